//! The grammar of one line, shared by the scanner (which judges it) and the views (which read it again).
//!
//! Invariant: pure functions of bytes; `None` means "not of this form", never a panic.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// A length or count as written in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// `-1`: the null of RESP2.
    Null,
    /// A plain decimal number; one that does not fit is `u64::MAX`, which is over every limit.
    Of(u64),
}

/// Reads a length: digits without sign or leading zero, or `-1`.
pub(super) fn length(text: &[u8]) -> Option<Length> {
    match text {
        b"-1" => return Some(Length::Null),
        [] | [b'0', _, ..] => return None,
        _ => {}
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(u64::from(digit));
    }
    Some(Length::Of(value))
}

/// Reads an integer: an optional sign and at least one digit, within `i64`.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether `text` is an optional sign and at least one digit, of any size.
pub(super) fn is_whole_number(text: &[u8]) -> bool {
    let digits = match text {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Reads a double: decimal with optional fraction and exponent, `inf`, `infinity` or `nan` in any case, each with
/// an optional sign. A finite text that only an infinity could hold (`1e400`) is refused: it would read back as
/// something the server did not say.
pub(super) fn double(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let spelled_with_digits = text.iter().any(u8::is_ascii_digit);
    (value.is_finite() || !spelled_with_digits).then_some(value)
}

/// A line with its type byte: `tag text \r\n`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) tag: u8,
    pub(super) text: &'a [u8],
    /// Where the next line starts.
    pub(super) end: usize,
}

/// The line that `bytes` begins with, where it is whole. A line feed of its own belongs to the text: modules of
/// the server send error texts of several lines.
#[inline]
pub(super) fn line(bytes: &[u8]) -> Option<Line<'_>> {
    let (&tag, body) = bytes.split_first()?;
    let text = body.get(..body.iter().position(|&byte| byte == b'\r')?)?;
    let after = body.get(text.len()..)?;
    after.starts_with(b"\r\n").then(|| Line { tag, text, end: text.len().saturating_add(3) })
}

/// Where a length-prefixed payload lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) start: usize,
    /// Where its `\r\n` starts.
    pub(super) end: usize,
}

/// The payload announced by a whole header of at most nine digits (`$`, `!` or `=` stands before `body`), where
/// the header is of that common form. Offsets count from the type byte.
#[inline]
pub(super) fn short_payload(body: &[u8]) -> Option<Payload> {
    const DIGITS_MAX: usize = 9;
    let mut value = 0usize;
    let mut digits = 0usize;
    for &byte in body {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Nine digits stay far from the end of even 32 bits.
        value = value.wrapping_mul(10).wrapping_add(usize::from(digit));
        digits = digits.wrapping_add(1);
        if digits > DIGITS_MAX {
            return None;
        }
    }
    let leading_zero = digits > 1 && body.first() == Some(&b'0');
    if digits == 0 || leading_zero || !body.get(digits..)?.starts_with(b"\r\n") {
        return None;
    }
    let start = digits.wrapping_add(3);
    Some(Payload { start, end: start.wrapping_add(value) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_spelling() {
        assert_eq!(length(b"0"), Some(Length::Of(0)));
        assert_eq!(length(b"-1"), Some(Length::Null));
        assert_eq!(length(b"18446744073709551615"), Some(Length::Of(u64::MAX)));
        assert_eq!(length(b"18446744073709551616"), Some(Length::Of(u64::MAX)));
        for wrong in [&b""[..], b"-0", b"-2", b"+3", b"03", b"00", b" 3", b"3 ", b"-", b"?", b"1a", b"\xff"] {
            assert_eq!(length(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn short_payloads_are_found() {
        assert_eq!(short_payload(b"3\r\nfoo\r\n"), Some(Payload { start: 4, end: 7 }));
        assert_eq!(short_payload(b"0\r\n\r\n"), Some(Payload { start: 4, end: 4 }));
        assert_eq!(short_payload(b"123456789\r\n"), Some(Payload { start: 12, end: 123_456_801 }));
        for other in
            [&b""[..], b"\r\n", b"-1\r\n", b"03\r\n", b"1234567890\r\n", b"3\r", b"3\rx", b"3x", b"33"]
        {
            assert_eq!(short_payload(other), None, "{}", other.escape_ascii());
        }
    }
}
