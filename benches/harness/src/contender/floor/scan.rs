//! Where replies end, and of which kind they are. Nothing of them is kept: the payload of a string is stepped over.
//!
//! Knows the kinds of reply that the workloads' commands have; anything else is no reply. Invariant: a reply is counted when its last
//! byte has come, however the bytes are cut.

use anyhow::{Result, bail};

use crate::plan::{Plan, Verb};

/// Longer lines are none that a server sends.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The kinds of reply that a plan's commands can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::contender) struct Kinds {
    status: bool,
    integer: bool,
    string: bool,
}

impl Kinds {
    pub(in crate::contender) fn of(plan: &Plan) -> Kinds {
        let mut kinds = Kinds::default();
        for op in plan.flushes.iter().flatten() {
            match op.verb {
                Verb::Set => kinds.status = true,
                Verb::Get => kinds.string = true,
                Verb::IncrBy | Verb::Expire => kinds.integer = true,
            }
        }
        kinds
    }

    /// Whether any reply is a string.
    pub(super) fn strings(self) -> bool {
        self.string
    }

    /// Whether all replies are.
    pub(super) fn only_strings(self) -> bool {
        self.string && !self.status && !self.integer
    }
}

/// What some bytes completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::contender) struct Seen {
    /// Replies in all.
    pub(in crate::contender) replies: u64,
    /// Those among them that were errors, or of a kind that no command of the plan has.
    pub(in crate::contender) errors: u64,
}

/// The replies of one connection.
#[derive(Debug)]
pub(in crate::contender) struct Scanner {
    kinds: Kinds,
    /// Bytes of a string, with its line end, that are still to come.
    skip: usize,
    /// A line whose end is still to come.
    partial: Vec<u8>,
}

/// How far a line leads.
enum Line {
    /// To the end of a reply, which was as it should be or not.
    Reply { error: bool },
    /// To a string of so many bytes with its line end.
    String { len: usize },
}

impl Scanner {
    pub(in crate::contender) fn new(kinds: Kinds) -> Scanner {
        Scanner { kinds, skip: 0, partial: Vec::with_capacity(64) }
    }

    /// Looks at the bytes that came next.
    ///
    /// # Errors
    /// Where they are no replies.
    #[inline]
    pub(in crate::contender) fn scan(&mut self, bytes: &[u8]) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut rest = bytes;
        if self.skip > 0 || !self.partial.is_empty() {
            rest = self.resume(rest, &mut seen)?;
        }
        let (wrong_status, wrong_string) = (u64::from(!self.kinds.status), u64::from(!self.kinds.string));
        loop {
            // The two replies that nearly all are, at a glance; the others by their lines.
            if let Some((b"+OK\r\n", behind)) = rest.split_first_chunk::<5>() {
                seen.replies += 1;
                seen.errors += wrong_status;
                rest = behind;
            } else if let Some(behind) = whole_string(rest) {
                seen.replies += 1;
                seen.errors += wrong_string;
                rest = behind;
            } else if rest.is_empty() {
                return Ok(seen);
            } else {
                rest = self.line(rest, &mut seen)?;
            }
        }
    }

    /// Ends what an earlier call left open.
    #[cold]
    fn resume<'a>(&mut self, bytes: &'a [u8], seen: &mut Seen) -> Result<&'a [u8]> {
        if self.skip > 0 {
            return Ok(self.step_over(bytes, seen));
        }
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            return self.keep(bytes).map(|()| &bytes[bytes.len()..]);
        };
        let (tail, rest) = bytes.split_at(end + 1);
        self.partial.extend_from_slice(tail);
        let line = std::mem::take(&mut self.partial);
        let judged = self.judge(&line);
        self.partial = line;
        self.partial.clear();
        Ok(self.follow(judged?, rest, seen))
    }

    /// One line, and the string behind it if it announces one.
    fn line<'a>(&mut self, bytes: &'a [u8], seen: &mut Seen) -> Result<&'a [u8]> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            return self.keep(bytes).map(|()| &bytes[bytes.len()..]);
        };
        let (line, rest) = bytes.split_at(end + 1);
        let judged = self.judge(line)?;
        Ok(self.follow(judged, rest, seen))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LINE_BYTES_MAX {
            bail!("a line of a reply does not end");
        }
        Ok(())
    }

    fn follow<'a>(&mut self, line: Line, rest: &'a [u8], seen: &mut Seen) -> &'a [u8] {
        match line {
            Line::Reply { error } => {
                seen.replies += 1;
                seen.errors += u64::from(error);
                rest
            }
            Line::String { len } => {
                self.skip = len;
                self.step_over(rest, seen)
            }
        }
    }

    fn step_over<'a>(&mut self, bytes: &'a [u8], seen: &mut Seen) -> &'a [u8] {
        let step = self.skip.min(bytes.len());
        self.skip -= step;
        if self.skip == 0 {
            seen.replies += 1;
            seen.errors += u64::from(!self.kinds.string);
        }
        &bytes[step..]
    }

    fn judge(&self, line: &[u8]) -> Result<Line> {
        match line {
            [b'+', .., b'\r', b'\n'] => Ok(Line::Reply { error: !self.kinds.status }),
            [b':', .., b'\r', b'\n'] => Ok(Line::Reply { error: !self.kinds.integer }),
            [b'-', .., b'\r', b'\n'] => Ok(Line::Reply { error: true }),
            // The answer of a real server to GET of a key that it does not have.
            b"$-1\r\n" => Ok(Line::Reply { error: !self.kinds.string }),
            [b'$', digits @ .., b'\r', b'\n'] => {
                let len: usize = std::str::from_utf8(digits)?.parse()?;
                Ok(Line::String { len: len + 2 })
            }
            _ => bail!("this is no reply to any command that was sent: {}", line.escape_ascii()),
        }
    }
}

/// What is behind a string that lies in the bytes as a whole; `None` where it does not, or where they are something else.
#[inline(always)]
fn whole_string(bytes: &[u8]) -> Option<&[u8]> {
    let (b'$', mut rest) = bytes.split_first()? else { return None };
    let mut len = 0_usize;
    loop {
        let (&byte, behind) = rest.split_first()?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        len = len.wrapping_mul(10).wrapping_add(usize::from(digit));
        rest = behind;
    }
    // At least one digit (`$\r\n` has none), the line end, the payload and its line end.
    let (b"\r\n", payload) = rest.split_first_chunk::<2>()? else { return None };
    let end = payload.get(len..)?;
    match end.split_first_chunk::<2>()? {
        (b"\r\n", behind) if rest.len() + 1 < bytes.len() => Some(behind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Kinds = Kinds { status: true, integer: true, string: true };

    #[test]
    fn replies_are_counted_when_they_end_however_they_are_cut() {
        let replies: [&[u8]; 7] = [
            b"+OK\r\n",
            b":17\r\n",
            b"$3\r\nabc\r\n",
            b"-ERR no\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"+QUEUED\r\n",
        ];
        let all = replies.concat();
        for first in 0..=all.len() {
            for second in first..=all.len() {
                let mut scanner = Scanner::new(ALL);
                let (mut seen, mut fed) = (Seen::default(), 0);
                for cut in [first, second, all.len()] {
                    let more = scanner.scan(&all[fed..cut]).unwrap();
                    seen.replies += more.replies;
                    seen.errors += more.errors;
                    fed = cut;
                    let ends = (1..=replies.len()).filter(|&count| replies[..count].concat().len() <= cut);
                    assert_eq!(seen.replies, ends.count() as u64, "after {cut} bytes");
                }
                assert_eq!(seen, Seen { replies: 7, errors: 1 });
            }
        }
    }

    #[test]
    fn a_kind_that_no_command_has_is_an_error() {
        let mut scanner = Scanner::new(Kinds { integer: true, ..Kinds::default() });
        let seen = scanner.scan(b":1\r\n+OK\r\n$1\r\nx\r\n$-1\r\n-WRONGTYPE no\r\n").unwrap();
        assert_eq!(seen, Seen { replies: 5, errors: 4 });
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [&b"*1\r\n:1\r\n"[..], b"hello\r\n", b"$\r\n\r\n", b"$x\r\n", b"+OK\n"] {
            assert!(Scanner::new(ALL).scan(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(Scanner::new(ALL).scan(&[b'+'; LINE_BYTES_MAX + 1]).is_err());
    }
}
