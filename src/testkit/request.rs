//! Requests as the server reads them: arrays of bulk strings, in chunks of any size.
//!
//! Knows the framing of requests and its limits; knows nothing about commands. Invariant: between two calls that
//! report an incomplete request the bytes before `cursor` have been read and are not looked at again, so the cost
//! of a request is linear in its bytes however small its chunks are.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server>

use std::ops::Range;

use smallvec::SmallVec;

/// The longest line that announces a length (the server's inline limit).
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Arguments one request may have.
const ARGUMENTS_MAX: i64 = i32::MAX as i64;
/// Bytes one argument may have (`proto-max-bulk-len`).
const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Arguments, and bytes of one argument, that a peer without authentication may send.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// The arguments of one request, borrowed from the session's input.
pub(crate) type Arguments<'a> = SmallVec<[&'a [u8]; 8]>;

/// A request that is being read.
#[derive(Debug, Default)]
pub(crate) struct RequestParser {
    cursor: usize,
    arguments: SmallVec<[Range<usize>; 8]>,
    arguments_missing: usize,
    bulk_bytes: Option<usize>,
    complete: bool,
}

impl RequestParser {
    /// Reads on in `bytes`, which start at the request's first byte until it is complete. The answer is the length
    /// of a complete request, nothing while it is incomplete, or the text of a protocol error.
    pub(crate) fn advance(&mut self, bytes: &[u8], authenticated: bool) -> Result<Option<usize>, String> {
        if self.complete {
            *self = RequestParser::default();
        }
        if self.cursor == 0 && self.arguments_missing == 0 {
            match self.read_array_header(bytes, authenticated)? {
                None => return Ok(None),
                Some(0) => return Ok(Some(self.finish())),
                Some(arguments) => self.arguments_missing = arguments,
            }
        }
        while self.arguments_missing > 0 {
            let length = match self.bulk_bytes {
                Some(length) => length,
                None => match self.read_bulk_header(bytes, authenticated)? {
                    None => return Ok(None),
                    Some(length) => length,
                },
            };
            self.bulk_bytes = Some(length);
            // The server skips the two bytes behind the payload without looking at them.
            if bytes.len() < self.cursor + length + 2 {
                return Ok(None);
            }
            self.arguments.push(self.cursor..self.cursor + length);
            self.cursor += length + 2;
            self.bulk_bytes = None;
            self.arguments_missing -= 1;
        }
        Ok(Some(self.finish()))
    }

    /// The arguments of the request that `advance` has just completed; empty for an empty array.
    pub(crate) fn arguments<'a>(&self, bytes: &'a [u8]) -> Arguments<'a> {
        self.arguments.iter().map(|range| &bytes[range.clone()]).collect()
    }

    fn finish(&mut self) -> usize {
        self.complete = true;
        self.cursor
    }

    fn read_array_header(&mut self, bytes: &[u8], authenticated: bool) -> Result<Option<usize>, String> {
        match bytes.first() {
            None => return Ok(None),
            Some(b'*') => {}
            Some(_) => return Err("inline commands are not supported".into()),
        }
        let Some((line, end)) = header_line(bytes, 0) else {
            return unfinished_header(bytes, 0, "too big mbulk count string");
        };
        let count = integer(&line[1..]).filter(|&count| count <= ARGUMENTS_MAX);
        let count = count.ok_or("invalid multibulk length")?;
        if count > UNAUTHENTICATED_ARGUMENTS_MAX && !authenticated {
            return Err("unauthenticated multibulk length".into());
        }
        self.cursor = end;
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }

    fn read_bulk_header(&mut self, bytes: &[u8], authenticated: bool) -> Result<Option<usize>, String> {
        let Some((line, end)) = header_line(bytes, self.cursor) else {
            return unfinished_header(bytes, self.cursor, "too big bulk count string");
        };
        let first = line.first().copied().unwrap_or(b'\r');
        if first != b'$' {
            return Err(format!("expected '$', got '{}'", char::from(first)));
        }
        let length = integer(&line[1..]).filter(|length| (0..=BULK_BYTES_MAX).contains(length));
        let length = length.ok_or("invalid bulk length")?;
        if length > UNAUTHENTICATED_BULK_BYTES_MAX && !authenticated {
            return Err("unauthenticated bulk length".into());
        }
        self.cursor = end;
        Ok(usize::try_from(length).ok())
    }
}

/// The line at `start` without its end, and where the next one starts. The server looks for the carriage return
/// only and takes the byte behind it for granted.
fn header_line(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(start..)?;
    let at = rest.iter().take(HEADER_BYTES_MAX + 1).position(|&byte| byte == b'\r')?;
    (rest.len() > at + 1).then(|| (&rest[..at], start + at + 2))
}

fn unfinished_header(bytes: &[u8], start: usize, too_long: &str) -> Result<Option<usize>, String> {
    if bytes.len() - start > HEADER_BYTES_MAX { Err(too_long.into()) } else { Ok(None) }
}

/// A decimal integer as the server reads it: no sign but a minus, no leading zero, no space.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0x\r\n*1\r\n$4\r\nPING\r\n";

    #[test]
    fn a_request_split_anywhere_reads_the_same() {
        let first_len = TWO.len() - 14;
        for split in 0..first_len {
            let mut parser = RequestParser::default();
            assert_eq!(parser.advance(&TWO[..split], true), Ok(None), "split {split}");
            assert_eq!(parser.advance(TWO, true), Ok(Some(first_len)));
            assert_eq!(parser.arguments(TWO).as_slice(), [b"GET".as_slice(), b"\r\n\0x"]);
            let rest = &TWO[first_len..];
            assert_eq!(parser.advance(rest, true), Ok(Some(14)));
            assert_eq!(parser.arguments(rest).as_slice(), [b"PING".as_slice()]);
        }
    }

    #[test]
    fn one_byte_at_a_time_reads_the_same() {
        let mut parser = RequestParser::default();
        let complete = (1..=TWO.len()).find(|&n| parser.advance(&TWO[..n], true) != Ok(None));
        assert_eq!(complete, Some(TWO.len() - 14));
    }

    #[test]
    fn malformed_headers_are_protocol_errors() {
        let cases: [(&[u8], &str); 7] = [
            (b"PING\r\n", "inline commands are not supported"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*99999999999\r\n", "invalid multibulk length"),
            (b"*1\r\n+a\r\n", "expected '$', got '+'"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$999999999999\r\n", "invalid bulk length"),
        ];
        for (bytes, text) in cases {
            assert_eq!(RequestParser::default().advance(bytes, true), Err(text.into()));
        }
        let long = [b"*1\r\n$".as_slice(), &[b'1'; 70_000]].concat();
        assert_eq!(RequestParser::default().advance(&long, true), Err("too big bulk count string".into()));
        let many = RequestParser::default().advance(b"*11\r\n", false);
        assert_eq!(many, Err("unauthenticated multibulk length".into()));
    }

    #[test]
    fn an_empty_array_is_a_request_without_arguments() {
        let mut parser = RequestParser::default();
        assert_eq!(parser.advance(b"*0\r\n*-1\r\n", true), Ok(Some(4)));
        assert!(parser.arguments(b"*0\r\n").is_empty());
        assert_eq!(parser.advance(b"*-1\r\n", true), Ok(Some(5)));
    }

    #[test]
    fn integers_are_canonical() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        for text in ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
