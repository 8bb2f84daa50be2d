//! Lines of a window: where one ends, which are blank, and those that are too long to be kept.

use memchr::memchr;

/// The front of a window as a line.
pub(crate) enum Line {
    /// `len` bytes with its end, of which the first `content` are the line itself.
    Whole {
        len: usize,
        content: usize,
    },
    /// No record: blank, or the rest of a line that was given up.
    Nothing {
        len: usize,
    },
    More,
    End,
}

/// Finds lines. They end with LF or CR LF, the last one also without.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// How far a line without its end was looked through.
    scanned: usize,
    /// The line is given up: everything until its end is left out.
    pub(crate) skipping: bool,
}

impl Lines {
    /// Gives the present line up.
    pub(crate) fn skip(&mut self) {
        self.skipping = true;
        self.scanned = 0;
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool) -> Line {
        match memchr(b'\n', bytes.get(self.scanned..).unwrap_or_default()) {
            Some(found) if !self.skipping => {
                let end = self.scanned + found;
                self.scanned = 0;
                line(bytes, end, end + 1)
            }
            found => self.find_slow(bytes, at_end, found),
        }
    }

    #[inline(never)]
    fn find_slow(&mut self, bytes: &[u8], at_end: bool, found: Option<usize>) -> Line {
        if self.skipping {
            // More of it will come, unless its end was found.
            self.skipping = found.is_none() && !at_end;
            return match found {
                Some(end) => Line::Nothing { len: end + 1 },
                None if at_end => Line::Nothing { len: bytes.len() },
                None if bytes.is_empty() => Line::More,
                None => Line::Nothing { len: bytes.len() },
            };
        }
        if !at_end {
            self.scanned = bytes.len();
            return Line::More;
        }
        self.scanned = 0;
        if bytes.is_empty() { Line::End } else { line(bytes, bytes.len(), bytes.len()) }
    }
}

#[inline(always)]
fn line(bytes: &[u8], end: usize, len: usize) -> Line {
    let content = match end.checked_sub(1).and_then(|last| bytes.get(last)) {
        Some(b'\r') => end - 1,
        _ => end,
    };
    if content == 0 { Line::Nothing { len } } else { Line::Whole { len, content } }
}

/// A record without the line end behind it.
#[inline]
pub(crate) fn without_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}
