//! Which format an input has: by its name, else by its first bytes.
//!
//! Invariant: what is not clear is not guessed; the message says how to name it.

use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::key_rule::KeyRules;
use crate::input::options::{Format, InputOptions};
use crate::input::quoting::is_space;
use crate::input::source::Took;
use crate::input::window::Window;

/// What a dump begins with.
const DUMP: &[u8] = b"REDIS";
/// Enough for the beginning of a frame.
const FRAME_BYTES: usize = 2;
/// Enough for a few lines.
const LINES_BYTES: usize = 16 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the first chunk, drops a byte order mark, and answers the format and how it was found.
pub(crate) fn open(
    plain: &mut Plain,
    window: &mut Window,
    options: &InputOptions,
) -> Result<(Format, &'static str), InputError> {
    look_at(1, plain, window)?;
    // A writer that pauses behind its first record, however short, is not waited for.
    let could_be = |bytes: &[u8]| [DUMP, BYTE_ORDER_MARK].iter().any(|mark| mark.starts_with(bytes));
    while could_be(window.bytes()) && window.bytes().len() < DUMP.len() && !window.ends_here() {
        look_at(window.bytes().len() + 1, plain, window)?;
    }
    if window.bytes().starts_with(DUMP) {
        return Err(dump());
    }
    if window.bytes().starts_with(BYTE_ORDER_MARK) {
        window.consume(BYTE_ORDER_MARK.len());
    }
    if let Some(format) = options.format {
        return Ok((format, "as --format says"));
    }
    if let Some(format) = by_name(&options.path) {
        return Ok((format, "by its name"));
    }
    look_at(FRAME_BYTES, plain, window)?;
    if window.bytes().is_empty() && window.at_end {
        if options.is_implied {
            let what = "no FILE is named, and nothing comes in";
            return Err(InputError::usage(what).hint("Name a file, or - where nothing is right too"));
        }
        // Nothing of any kind. Templates have nothing to do with commands, and are refused there.
        let has_program = !(options.templates.is_empty() && options.words.is_empty());
        return Ok((if has_program { Format::Jsonl } else { Format::Resp }, "there is nothing in it"));
    }
    // Frames tell at once; lines must be compared, the same lines however they arrive.
    if !begins_with_frame(window.bytes()) {
        look_at(LINES_BYTES, plain, window)?;
    }
    let bytes = window.bytes();
    match by_content(
        bytes.get(..LINES_BYTES).unwrap_or(bytes),
        window.bytes().len() <= LINES_BYTES && window.at_end,
    ) {
        Some(format) => Ok((format, "by its first bytes")),
        None => Err(InputError::usage(format!(
            "cannot tell how the records are written; the input begins with {}",
            crate::output::excerpt(window.bytes().get(..40).unwrap_or(window.bytes()))
        ))
        .hint("Name it: --format resp|commands|kv|csv|tsv|psv|jsonl|json")),
    }
}

/// Has so many bytes in the window, or all that can be had.
fn look_at(bytes: usize, plain: &mut Plain, window: &mut Window) -> Result<(), InputError> {
    while window.bytes().len() < bytes && !window.ends_here() {
        if window.look_ahead(plain)? == Took::Waiting {
            plain.source.wait(super::LONG_WAIT);
        }
    }
    Ok(())
}

/// What the first lines look like.
fn by_content(bytes: &[u8], at_end: bool) -> Option<Format> {
    let text = bytes.trim_ascii_start();
    match text.first()? {
        b'*' if begins_with_frame(text) => return Some(Format::Resp),
        b'#' if text.starts_with(b"#TS:") => return Some(Format::Resp),
        b'[' => return Some(Format::Json),
        b'{' => return Some(if first_line_is_object(text) { Format::Jsonl } else { Format::Json }),
        _ => {}
    }
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    if !at_end && lines.len() > 1 {
        // The last one may go on.
        lines.pop();
    }
    lines.retain(|line| !line.trim_ascii().is_empty());
    let first = lines.first()?;
    let name = first.split(|&byte| is_space(byte)).next().unwrap_or_default();
    if !name.is_empty() && KeyRules::new().knows(name) {
        return Some(Format::Commands);
    }
    if first.iter().any(|&byte| byte < b' ' && byte != b'\t' && byte != b'\r') {
        return None;
    }
    let has = |line: &[u8], delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    if lines.iter().all(|line| has(line, b'\t') == 1) {
        return Some(Format::Kv);
    }
    // What the first line has, the second one has as often.
    let second = lines.get(1).unwrap_or(first);
    let is_even = |delimiter: u8| {
        let count = has(first, delimiter);
        count > 0 && has(second, delimiter) >= count
    };
    [(b'\t', Format::Tsv), (b',', Format::Csv), (b'|', Format::Psv)]
        .into_iter()
        .find(|(delimiter, _)| is_even(*delimiter))
        .map(|(_, format)| format)
}

fn begins_with_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [b'*', digit, ..] if digit.is_ascii_digit())
}

fn first_line_is_object(text: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    // A line longer than the window is one line of many.
    end == text.len() || serde_json::from_slice::<serde::de::IgnoredAny>(&text[..end]).is_ok()
}

fn dump() -> InputError {
    InputError::input("this is an RDB dump, or an append-only file that begins with one, and not a list of commands").hint(
        "Make commands of it first: `rdb -c protocol dump.rdb | panpipe import -` (redis-rdb-tools), or let a server write a plain \
         append-only file: CONFIG SET aof-use-rdb-preamble no, then BGREWRITEAOF",
    )
}

/// What the name's ending says, without that of a compression.
pub(crate) fn by_name(path: &str) -> Option<Format> {
    let name = path.to_ascii_lowercase();
    let plain = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
    let (_, extension) = plain.unwrap_or(&name).rsplit_once('.')?;
    Some(match extension {
        "resp" | "aof" => Format::Resp,
        "commands" | "cmd" | "redis" => Format::Commands,
        "kv" => Format::Kv,
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "psv" => Format::Psv,
        "jsonl" | "ndjson" => Format::Jsonl,
        "json" => Format::Json,
        _ => return None,
    })
}
