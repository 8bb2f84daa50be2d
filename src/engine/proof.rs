//! What the text of an error proves of its command: whether it ran, and whether the node serves its slot.
//!
//! Knows the order in which servers check a command (`processCommand`, server.c): what is found before they execute proves that it did not run.
//! A script can answer with any error, so of one only the servers' own sentences prove something. Refuses to know what follows from that.
//! Invariant: what is not certain counts as run.

use crate::error::Outcome;
use crate::resp::server_error::{Code, ServerReply, classify};

/// Commands whose reply is what a script returns.
const SCRIPTS: [&[u8]; 6] = [b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"];

/// How servers refuse a script before it runs, in words that no call within a script is answered with: `processCommand` and cluster.c of
/// Redis 6.2 to 8.2 and of Valkey 9.1. OOM, MISCONF, NOREPLICAS and READONLY are not among them: a script that has written may hear them
/// from `redis.pcall`, and return them.
const REFUSALS_OF_SCRIPTS: [&[u8]; 10] = [
    b"TRYAGAIN Multiple keys request during rehashing of slot",
    b"CLUSTERDOWN Hash slot not served",
    b"CLUSTERDOWN The cluster is down",
    b"LOADING Redis is loading the dataset in memory",
    b"LOADING Valkey is loading the dataset in memory",
    b"MASTERDOWN Link with MASTER is down",
    b"NOAUTH Authentication required.",
    b"CROSSSLOT Keys in request don't hash to the same slot",
    b"NOSCRIPT No matching script.",
    b"EXECABORT ",
];

/// Whether a command is one that runs a script of the caller's.
pub(crate) fn runs_script(name: &[u8]) -> bool {
    SCRIPTS.iter().any(|script| script.eq_ignore_ascii_case(name))
}

/// Whether an error that would prove that its command did not run may be a script's own.
pub(crate) fn may_be_of_script(text: &[u8]) -> bool {
    let is_servers = match classify(text) {
        ServerReply::Moved(_) | ServerReply::Ask(_) | ServerReply::Code(Code::NoPerm) => true,
        ServerReply::Code(Code::Busy) => text.windows(12).any(|window| window == b" is busy run"),
        ServerReply::Code(_) => REFUSALS_OF_SCRIPTS.iter().any(|refusal| text.starts_with(refusal)),
    };
    proves_no_run(text) && !is_servers
}

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
