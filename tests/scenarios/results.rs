//! Results as texts; `script.rs` says how they read.

use panpipe::resp::reply::{ReplyKind, ReplyRef};
use panpipe::{Error, ErrorKind};

/// Whether a result is the expected one.
pub(crate) fn check(place: &str, found: &str, expected: &str) {
    let fits = match expected.strip_prefix('~') {
        Some(part) => found.contains(part),
        None => expected == "*" || found == expected,
    };
    assert!(fits, "{place}: {found}, not {expected}");
}

pub(crate) fn shown_result(result: Result<ReplyRef<'_>, &Error>) -> String {
    result.map_or_else(shown_error, shown)
}

pub(crate) fn shown_error(error: &Error) -> String {
    let kind = format!("{:?}", error.kind());
    let name = kind.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let name = match error.kind() {
        ErrorKind::Server(server) => server.code(),
        _ => name,
    };
    format!("!{name} {:?}", error.outcome())
}

fn shown(reply: ReplyRef<'_>) -> String {
    match reply.kind() {
        ReplyKind::Null => "nil".to_owned(),
        ReplyKind::Error | ReplyKind::BlobError => {
            format!("-{}", String::from_utf8_lossy(reply.error().unwrap_or_default()))
        }
        ReplyKind::Array | ReplyKind::Set | ReplyKind::Push | ReplyKind::Map => {
            let parts: Vec<String> = reply.elements().map(shown).collect();
            format!("[{}]", parts.join(", "))
        }
        ReplyKind::Integer => reply.as_i64().unwrap_or_default().to_string(),
        _ => match reply.as_bytes() {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => format!("{reply:?}"),
        },
    }
}
