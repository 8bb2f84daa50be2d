//! What the text of an error proves of its command: whether it ran, and whether the node serves its slot.
//!
//! Knows the order in which servers check a command (`processCommand`, server.c): what is found before they execute proves that it did not run.
//! A script can answer with any error, so of one only the servers' own sentences prove something. Refuses to know what follows from that.
//! Invariant: what is not certain counts as run.

use crate::error::Outcome;
use crate::resp::server_error::{Code, ServerReply, classify};

/// Commands whose reply is what a script returns.
const SCRIPTS: [&[u8]; 6] = [b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"];

/// How servers refuse a script before it runs, in words that no call within a script is answered with: `processCommand`, cluster.c and
/// `scriptPrepareForRun` of Redis 6.2 to 8.2 and of Valkey 9.1.
const REFUSALS_OF_SCRIPTS: [&[u8]; 11] = [
    b"TRYAGAIN Multiple keys request during rehashing of slot",
    b"CLUSTERDOWN Hash slot not served",
    b"CLUSTERDOWN The cluster is down",
    b"LOADING Redis is loading the dataset in memory",
    b"LOADING Valkey is loading the dataset in memory",
    b"MASTERDOWN Link with MASTER is down",
    b"NOAUTH Authentication required.",
    b"CROSSSLOT Keys in request don't hash to the same slot",
    b"NOSCRIPT No matching script.",
    b"OOM allow-oom flag is not set on the script",
    b"READONLY Can not run script with write flag",
];

/// What a function's declared flags decide before it runs. A script by EVAL may hear the same from `redis.pcall`, write then, and return it.
const REFUSALS_OF_FUNCTIONS: [&[u8]; 2] = [
    b"OOM command not allowed when used memory > 'maxmemory'.",
    b"NOREPLICAS Not enough good replicas to write.",
];

/// Whether a command is one that runs a script of the caller's.
pub(crate) fn runs_script(name: &[u8]) -> bool {
    SCRIPTS.iter().any(|script| script.eq_ignore_ascii_case(name))
}

/// Whether an error that would prove that its command did not run may be a script's own; `name` is the command that runs it.
pub(crate) fn may_be_of_script(name: &[u8], text: &[u8]) -> bool {
    let begins = |refusals: &[&[u8]]| refusals.iter().any(|refusal| text.starts_with(refusal));
    let is_servers = match classify(text) {
        ServerReply::Moved(_) | ServerReply::Ask(_) => true,
        ServerReply::Code(Code::NoPerm) => contains(text, b"o permissions to "),
        ServerReply::Code(Code::Busy) => contains(text, b" is busy running "),
        ServerReply::Code(Code::Misconf) => contains(text, b"Writable scripts are blocked"),
        // Of the command itself; of a call within a script servers say it in other words.
        ServerReply::Code(_) if is_no_command(text) => {
            text.windows(name.len().max(1)).any(|window| window.eq_ignore_ascii_case(name))
        }
        ServerReply::Code(_) => {
            let is_function = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"FCALL"));
            begins(&REFUSALS_OF_SCRIPTS) || (is_function && begins(&REFUSALS_OF_FUNCTIONS))
        }
    };
    proves_no_run(text) && !is_servers
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
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
    contains(text, b"script: ") || contains(text, b"@user_script")
}
