//! What the text of an error proves of its command: whether it ran, and whether the node serves its slot.
//!
//! Knows the order in which servers check a command (`processCommand`, server.c): what is found before they execute proves that it did not run.
//! Refuses to know what follows from that. Invariant: what is not certain counts as run.

use crate::error::Outcome;
use crate::resp::server_error::{Code, ServerReply, classify};

/// Whether an error reply proves that its command did not run.
pub(crate) fn proves_no_run(text: &[u8]) -> bool {
    outcome_of(classify(text), text) == Outcome::NotExecuted
}

/// Whether an error reply proves that the command did not run: everything the server checks before it executes.
pub(crate) fn outcome_of(reply: ServerReply<'_>, text: &[u8]) -> Outcome {
    if is_from_script(text) {
        return Outcome::Executed;
    }
    match reply {
        ServerReply::Moved(_) | ServerReply::Ask(_) => Outcome::NotExecuted,
        ServerReply::Code(code) => match code {
            Code::TryAgain
            | Code::ClusterDown
            | Code::Loading
            | Code::MasterDown
            | Code::ReadOnly
            | Code::CrossSlot
            | Code::NoAuth
            | Code::NoPerm
            | Code::Oom
            | Code::Misconf
            | Code::NoReplicas
            | Code::Busy
            | Code::NoScript
            | Code::Unblocked
            | Code::Denied
            | Code::ExecAbort => Outcome::NotExecuted,
            _ if is_no_command(text) => Outcome::NotExecuted,
            _ => Outcome::Executed,
        },
    }
}

/// Whether an error shows that the node serves the command's slot: everything that the server finds after it has looked at the slot.
pub(crate) fn serves_the_slot(reply: ServerReply<'_>, text: &[u8]) -> bool {
    match reply {
        ServerReply::Moved(_) | ServerReply::Ask(_) => false,
        ServerReply::Code(_) if is_no_command(text) => false,
        ServerReply::Code(code) => !matches!(
            code,
            Code::TryAgain
                | Code::ClusterDown
                | Code::Loading
                | Code::MasterDown
                | Code::ReadOnly
                | Code::CrossSlot
                | Code::NoAuth
                | Code::NoPerm
                | Code::Denied
        ),
    }
}

/// What the server says before it looks at keys and slots.
fn is_no_command(text: &[u8]) -> bool {
    text.starts_with(b"ERR unknown command") || text.starts_with(b"ERR wrong number of arguments")
}

/// What is kept of an error's text while its command waits: enough for every server's own, and a bound for anybody else's.
pub(crate) fn kept_text(text: &[u8]) -> &[u8] {
    const KEPT_BYTES_MAX: usize = 512;
    text.get(..KEPT_BYTES_MAX).unwrap_or(text)
}

/// Errors that a script passes on end in its name (`script: 5e2f…, on @user_script:1.`).
pub(crate) fn is_from_script(text: &[u8]) -> bool {
    text.windows(8).any(|window| window == b"script: ")
        || text.windows(12).any(|window| window == b"@user_script")
}
