//! What a parser hands over: where a record lies, and the commands that were made of it.

use std::ops::Range;

/// What is at the front of the window.
#[derive(Debug)]
pub(crate) enum Found {
    /// `len` bytes of a record, behind `before` bytes that are none. Its commands are in `Made`.
    Record {
        before: usize,
        len: usize,
    },
    /// As `Record`, of one that cannot be used.
    Bad {
        before: usize,
        len: usize,
        reason: String,
    },
    /// Bytes that are no record: a comment, a blank line, the command SELECT 0.
    Nothing {
        len: usize,
    },
    /// A record that goes on behind the window.
    More,
    /// Nothing behind this place can be trusted.
    Fatal {
        at: usize,
        reason: String,
    },
    End,
}

impl Found {
    pub(crate) fn bad(before: usize, len: usize, reason: impl Into<String>) -> Found {
        Found::Bad { before, len, reason: reason.into() }
    }

    pub(crate) fn fatal(at: usize, reason: impl Into<String>) -> Found {
        Found::Fatal { at, reason: reason.into() }
    }
}

/// One command of a record, within the bytes that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) frame: Range<usize>,
    /// The first key, from the frame's start.
    pub(crate) key: Option<Range<usize>>,
    pub(crate) is_unit: bool,
}

/// The commands of the record that was found last. Reused from record to record.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) spans: Vec<Span>,
    /// What was written for them; empty where they lie in the input as they go out.
    pub(crate) buffer: Vec<u8>,
    /// The spans are places in `buffer`, not in the window.
    pub(crate) in_buffer: bool,
    /// A MULTI .. EXEC began here; its own bytes are in `buffer`.
    pub(crate) unit_offset: Option<u64>,
    /// The number of the record that comes.
    pub(crate) number: u64,
    /// Where the window begins in the input.
    pub(crate) offset: u64,
    /// Somebody asks for the keys' slots: keys that are tedious to find must be found too.
    pub(crate) wants_keys: bool,
}

impl Made {
    pub(crate) fn new(wants_keys: bool) -> Made {
        Made {
            spans: Vec::new(),
            buffer: Vec::new(),
            in_buffer: false,
            unit_offset: None,
            number: 0,
            offset: 0,
            wants_keys,
        }
    }

    /// Ready for the next record.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.buffer.clear();
        self.in_buffer = false;
        self.unit_offset = None;
    }

    /// As `clear`, and leaves in the buffer what will be written over.
    #[inline(always)]
    pub(crate) fn restart(&mut self) {
        self.spans.clear();
        self.in_buffer = false;
        self.unit_offset = None;
    }

    #[inline(always)]
    pub(crate) fn commands<'a>(&'a self, window: &'a [u8]) -> Commands<'a> {
        let bytes = if self.in_buffer { &self.buffer } else { window };
        Commands { bytes, spans: self.spans.iter() }
    }
}

/// Makes the command of a record from the record's own bytes, as reading them made it; answers where in the buffer it is, and where in it its
/// key. What was in the buffer is written over.
pub(crate) type Remake = fn(&[u8], &mut Vec<u8>) -> Option<(Range<usize>, Range<usize>)>;

/// One command, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command<'a> {
    /// One array of bulk strings; of a unit several, MULTI first and EXEC last.
    pub(crate) frame: &'a [u8],
    /// Where its first key is in `frame`, if that is known here: always where it is the first argument and no other argument is a key.
    /// Where it is not known, the name says it to who knows commands.
    pub(crate) key: Option<Range<usize>>,
    /// MULTI .. EXEC, of one slot.
    pub(crate) is_unit: bool,
}

impl<'a> Command<'a> {
    pub(crate) fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key.clone().and_then(|key| self.frame.get(key))
    }
}

/// The commands of a record, in order.
#[derive(Debug, Clone)]
pub(crate) struct Commands<'a> {
    bytes: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Commands<'a> {
    /// The command, where there is one alone.
    #[inline(always)]
    pub(crate) fn only(&self) -> Option<Command<'a>> {
        if self.spans.len() == 1 { self.clone().next() } else { None }
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Command<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Command<'a>> {
        let span = self.spans.next()?;
        let frame = self.bytes.get(span.frame.clone()).unwrap_or_default();
        Some(Command { frame, key: span.key.clone(), is_unit: span.is_unit })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Commands<'_> {}
