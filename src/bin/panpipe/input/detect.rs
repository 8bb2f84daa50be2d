//! Which format an input has: by its name, else by its first bytes.
//!
//! Invariant: what is not clear is not guessed; the message says how to name it.

use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::options::{Format, InputOptions};
use crate::input::source::Took;
use crate::input::window::Window;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the first chunk, drops a byte order mark, and answers the format and how it was found.
pub(crate) fn open(
    plain: &mut Plain,
    window: &mut Window,
    options: &InputOptions,
) -> Result<(Format, &'static str), InputError> {
    while window.bytes().len() < 16 && !window.at_end {
        if window.fill(plain)? == Took::Waiting {
            plain.source.wait(super::LONG_WAIT);
        }
    }
    if window.bytes().starts_with(b"REDIS") {
        return Err(dump());
    }
    if window.bytes().starts_with(BYTE_ORDER_MARK) {
        window.consume(BYTE_ORDER_MARK.len());
    }
    if let Some(format) = options.format {
        return Ok((format, "as --format says"));
    }
    if let Some(format) = by_name(&options.path)? {
        return Ok((format, "by its name"));
    }
    Err(InputError::usage("cannot tell the format")
        .hint("Name it: --format resp|commands|kv|csv|tsv|psv|jsonl|json"))
}

fn dump() -> InputError {
    InputError::input("this is an RDB dump, or an append-only file that begins with one, and not a list of commands").hint(
        "Make commands of it first: `rdb -c protocol dump.rdb | panpipe import -` (redis-rdb-tools), or let a server write a plain \
         append-only file: CONFIG SET aof-use-rdb-preamble no, then BGREWRITEAOF",
    )
}

fn by_name(path: &str) -> Result<Option<Format>, InputError> {
    let name = path.to_ascii_lowercase();
    let name =
        [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    Ok(Some(match extension {
        Some("resp" | "aof") => Format::Resp,
        Some("commands" | "cmd" | "redis") => Format::Commands,
        Some("kv") => Format::Kv,
        Some("csv") => Format::Csv,
        Some("tsv" | "tab") => Format::Tsv,
        Some("psv") => Format::Psv,
        Some("jsonl" | "ndjson") => Format::Jsonl,
        Some("json") => Format::Json,
        _ => return Ok(None),
    }))
}
