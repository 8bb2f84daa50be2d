//! What the RESP tests share: a text for any reply, read through the public accessors only, and the checks that
//! every frame must pass however it is cut.

use panpipe::config::FrameLimits;
use panpipe::error::ProtocolError;
use panpipe::resp::{Frame, FrameKind, ReplyKind, ReplyRef, Scan, Scanner};

/// A canonical text of a reply; asserts on the way that the accessors agree with each other.
pub(crate) fn describe(reply: ReplyRef<'_>) -> String {
    let value = describe_value(reply);
    match reply.attribute() {
        Some(attribute) => format!("|{} {value}", describe_value(attribute)),
        None => value,
    }
}

fn describe_value(reply: ReplyRef<'_>) -> String {
    let kind = reply.kind();
    let bytes = |bytes: Option<&[u8]>| bytes.expect("a text").escape_ascii().to_string();
    let list = |open: &str| {
        let elements: Vec<String> = reply.elements().map(describe).collect();
        assert_eq!(elements.len(), reply.len());
        format!("{open}{}]", elements.join(" "))
    };
    assert_eq!(reply.is_null(), kind == ReplyKind::Null);
    assert_eq!(reply.error().is_some(), matches!(kind, ReplyKind::Error | ReplyKind::BlobError));
    let has_bytes =
        matches!(kind, ReplyKind::Status | ReplyKind::Bulk | ReplyKind::Verbatim | ReplyKind::BigNumber);
    assert_eq!(reply.as_bytes().is_some(), has_bytes);
    assert_eq!(reply.as_str(), reply.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()));
    assert_eq!(reply.to_bytes().as_deref(), reply.as_bytes());
    assert_eq!(reply.is_empty(), reply.elements().next().is_none());
    match kind {
        ReplyKind::Status => format!("+{}", bytes(reply.as_bytes())),
        ReplyKind::Error => format!("-{}", bytes(reply.error())),
        ReplyKind::Integer => format!(":{}", reply.as_i64().expect("an integer")),
        ReplyKind::Bulk => format!("\"{}\"", bytes(reply.as_bytes())),
        ReplyKind::Null => "null".to_owned(),
        ReplyKind::Array => list("["),
        ReplyKind::Set => list("~["),
        ReplyKind::Push => list(">["),
        ReplyKind::Map => {
            let pairs: Vec<String> =
                reply.pairs().map(|(key, value)| format!("{}={}", describe(key), describe(value))).collect();
            assert_eq!(pairs.len(), reply.len());
            assert_eq!(reply.elements().count(), 2 * pairs.len());
            format!("{{{}}}", pairs.join(" "))
        }
        ReplyKind::Double => format!(",{:?}", reply.as_f64().expect("a double")),
        ReplyKind::Boolean => format!("#{}", reply.as_bool().expect("a boolean")),
        ReplyKind::BigNumber => format!("({}", bytes(reply.as_bytes())),
        ReplyKind::Verbatim => format!("=\"{}\"", bytes(reply.as_bytes())),
        ReplyKind::BlobError => format!("!{}", bytes(reply.error())),
    }
}

/// What a scan came to, without what depends on how much of the frame had arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Complete(Frame),
    Incomplete,
    Malformed(&'static str),
    Limit(&'static str, u64),
}

pub(crate) fn verdict(result: &Result<Scan, ProtocolError>) -> Verdict {
    match result {
        Ok(Scan::Complete(frame)) => Verdict::Complete(*frame),
        Ok(Scan::Incomplete { bytes_wanted }) => {
            assert!(*bytes_wanted > 0, "waits for nothing");
            Verdict::Incomplete
        }
        Err(ProtocolError::Malformed { what, .. }) => Verdict::Malformed(what),
        Err(ProtocolError::LimitExceeded { what, limit }) => Verdict::Limit(what, *limit),
        Err(other) => panic!("an error of a kind that no scanner makes: {other:?}"),
    }
}

pub(crate) fn scan_whole(bytes: &[u8], limits: FrameLimits) -> Verdict {
    verdict(&Scanner::new(limits).scan(bytes))
}

/// The verdict when the bytes come in pieces that end at `cuts` and then at the end.
pub(crate) fn scan_in_pieces(
    bytes: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: FrameLimits,
) -> Verdict {
    let mut scanner = Scanner::new(limits);
    // Nothing new can be found before this many bytes are there.
    let mut useful_from = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        let result = scanner.scan(&bytes[..end]);
        let verdict = verdict(&result);
        match (verdict, result) {
            (Verdict::Incomplete, Ok(Scan::Incomplete { bytes_wanted })) => {
                useful_from = end + bytes_wanted;
            }
            (verdict, result) => {
                assert!(end >= useful_from, "an answer before the bytes it waited for");
                assert_eq!(scanner_after(&mut scanner, &result, limits), verdict, "a second answer differs");
                return verdict;
            }
        }
    }
    Verdict::Incomplete
}

/// P5: after an error the scanner answers that error to anything; after a frame it is fresh.
fn scanner_after(
    scanner: &mut Scanner,
    result: &Result<Scan, ProtocolError>,
    limits: FrameLimits,
) -> Verdict {
    let pong = b"+PONG\r\n";
    let fresh = scan_whole(pong, limits);
    if result.is_err() {
        for bytes in [&pong[..], b"", b"$-1\r\n", b"*"] {
            assert_eq!(&scanner.scan(bytes), result, "an error must stay");
        }
        scanner.reset();
    }
    assert_eq!(self::verdict(&scanner.scan(pong)), fresh, "a new reply starts afresh");
    verdict(result)
}

/// Asserts that the bytes get `expected` whole, split anywhere, byte by byte, and with a PONG behind them.
pub(crate) fn assert_verdict(bytes: &[u8], expected: &Verdict, limits: FrameLimits) {
    let name = bytes[..bytes.len().min(80)].escape_ascii().to_string();
    assert_eq!(&scan_whole(bytes, limits), expected, "whole: {name}");
    assert_eq!(&scan_in_pieces(bytes, 0..bytes.len(), limits), expected, "byte by byte: {name}");
    if *expected != Verdict::Incomplete {
        let with_pong = [bytes, b"+PONG\r\n"].concat();
        assert_eq!(&scan_whole(&with_pong, limits), expected, "with PONG: {name}");
        assert_eq!(&scan_in_pieces(&with_pong, 0..with_pong.len(), limits), expected, "with PONG: {name}");
    }
    // Quadratic: long vectors are cut near their ends, where headers and terminators are.
    for cut in (0..bytes.len()).filter(|cut| *cut < 150 || bytes.len() - cut < 150) {
        assert_eq!(&scan_in_pieces(bytes, [cut], limits), expected, "cut at {cut}: {name}");
    }
}

/// The frames of a stream in pieces of `piece` bytes: kind and text of each, until the bytes end.
pub(crate) fn read_stream(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Vec<(FrameKind, String)> {
    let mut scanner = Scanner::new(FrameLimits::default());
    let (mut start, mut end) = (0, 0);
    let mut frames = Vec::new();
    loop {
        match scanner.scan(&bytes[start..end]).expect("a valid stream") {
            Scan::Complete(frame) => {
                assert!(frame.len >= 3 && frame.len <= end - start, "P3: progress within the input");
                frames.push((frame.kind, describe(ReplyRef::new(&bytes[start..start + frame.len]))));
                start += frame.len;
            }
            Scan::Incomplete { .. } if end == bytes.len() => {
                assert_eq!(start, end, "the stream ends within a frame");
                return frames;
            }
            Scan::Incomplete { .. } => end = (end + piece().max(1)).min(bytes.len()),
        }
    }
}
