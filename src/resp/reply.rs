//! Reading a reply in place: a view that decodes on demand and copies nothing.
//!
//! A [`ReplyRef`] is a slice of bytes that a [`Scanner`](super::Scanner) has accepted, and every question walks
//! just as far as it must: the kind is one byte, a scalar is one line, the elements of an aggregate are found
//! one after the other. Attributes are invisible unless asked for with [`attribute`](ReplyRef::attribute).
//!
//! RESP2 and RESP3 say the same thing in different shapes; the accessors level them: one null, a map or a flat
//! list of pairs, a double or its text, a boolean or 0 and 1.
//!
//! Knows how to read a frame; refuses to know what command it answers. Invariant: no bytes make it panic,
//! recurse or allocate; on bytes that no scanner has accepted the answers are `None` and empty.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;

use super::header::{self, Length, Line, Payload};

/// What a reply is. The two nulls of RESP2 and that of RESP3 are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// `+`: a short text, most often `OK`.
    Status,
    /// `-`: the command failed.
    Error,
    /// `:`: an integer of 64 bits.
    Integer,
    /// `$`: bytes.
    Bulk,
    /// `_`, `$-1`, `*-1`: nothing.
    Null,
    /// `*`: a list.
    Array,
    /// `%`: pairs of a key and a value.
    Map,
    /// `~`: a list without order.
    Set,
    /// `,`: a floating point number.
    Double,
    /// `#`: true or false.
    Boolean,
    /// `(`: an integer of any size.
    BigNumber,
    /// `=`: bytes with a format of three letters.
    Verbatim,
    /// `!`: the command failed; the text may hold anything.
    BlobError,
    /// `>`: out-of-band data, a kind and what belongs to it.
    Push,
}

/// A view of one reply.
#[derive(Clone, Copy)]
pub struct ReplyRef<'a> {
    frame: &'a [u8],
    /// What `frame` is a part of, where parts of it can be shared.
    backing: Option<&'a Bytes>,
}

impl<'a> ReplyRef<'a> {
    /// Views the bytes of one frame that a [`Scanner`](super::Scanner) has accepted.
    #[inline]
    pub fn new(frame: &'a [u8]) -> Self {
        ReplyRef { frame, backing: None }
    }

    /// Like [`new`](ReplyRef::new); [`to_bytes`](ReplyRef::to_bytes) then shares `frame` instead of copying.
    #[inline]
    pub fn with_backing(frame: &'a Bytes) -> Self {
        ReplyRef { frame, backing: Some(frame) }
    }

    /// The bytes of the frame, attributes included.
    #[inline]
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// What the reply is.
    pub fn kind(&self) -> ReplyKind {
        let value = self.value();
        match value.first() {
            Some(b'+') => ReplyKind::Status,
            Some(b'-') => ReplyKind::Error,
            Some(b':') => ReplyKind::Integer,
            Some(b'$') if value.get(1) != Some(&b'-') => ReplyKind::Bulk,
            Some(b'*') if value.get(1) != Some(&b'-') => ReplyKind::Array,
            // An attribute is seen by itself only through `attribute`.
            Some(b'%' | b'|') => ReplyKind::Map,
            Some(b'~') => ReplyKind::Set,
            Some(b',') => ReplyKind::Double,
            Some(b'#') => ReplyKind::Boolean,
            Some(b'(') => ReplyKind::BigNumber,
            Some(b'=') => ReplyKind::Verbatim,
            Some(b'!') => ReplyKind::BlobError,
            Some(b'>') => ReplyKind::Push,
            _ => ReplyKind::Null,
        }
    }

    /// Whether the reply is null, in any of its three spellings.
    pub fn is_null(&self) -> bool {
        self.kind() == ReplyKind::Null
    }

    /// The bytes of a status, a bulk string, a verbatim string (without its format) or a big number.
    #[inline]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        let value = self.value();
        match value.first()? {
            b'$' => payload(value),
            b'=' => payload(value)?.get(4..),
            b'+' | b'(' => line_text(value),
            _ => None,
        }
    }

    /// [`as_bytes`](ReplyRef::as_bytes), where they are UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, or a bulk string or status whose text is one.
    pub fn as_i64(&self) -> Option<i64> {
        let value = self.value();
        match value.first()? {
            b':' => header::integer(line_text(value)?),
            b'$' | b'+' => header::integer(self.as_bytes()?),
            _ => None,
        }
    }

    /// A double, an integer (to the nearest double), or a bulk string or status whose text is a number.
    pub fn as_f64(&self) -> Option<f64> {
        let value = self.value();
        match value.first()? {
            b',' | b':' => header::double(line_text(value)?),
            b'$' | b'+' => header::double(self.as_bytes()?),
            _ => None,
        }
    }

    /// A boolean, or the integer 0 or 1.
    pub fn as_bool(&self) -> Option<bool> {
        let value = self.value();
        match (value.first()?, line_text(value)?) {
            (b'#', b"t") | (b':', b"1") => Some(true),
            (b'#', b"f") | (b':', b"0") => Some(false),
            _ => None,
        }
    }

    /// The text of an error, without its `-`; of a blob error its payload.
    pub fn error(&self) -> Option<&'a [u8]> {
        let value = self.value();
        match value.first()? {
            b'-' => line_text(value),
            b'!' => payload(value),
            _ => None,
        }
    }

    /// The number of elements of an array, set or push, and of pairs of a map; 0 for everything else.
    pub fn len(&self) -> usize {
        let value = self.value();
        let values = count(value).map_or(0, |aggregate| aggregate.values);
        if matches!(value.first(), Some(b'%' | b'|')) { values / 2 } else { values }
    }

    /// Whether [`len`](ReplyRef::len) is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of an aggregate, those of a map as key, value, key, value; nothing for everything else.
    pub fn elements(&self) -> Elements<'a> {
        let value = self.value();
        match count(value) {
            Some(Aggregate { header_len, values }) => Elements {
                rest: value.get(header_len..).unwrap_or_default(),
                remaining: values,
                backing: self.backing,
            },
            None => Elements { rest: &[], remaining: 0, backing: None },
        }
    }

    /// Keys and values: of a map (RESP3), of a flat array of even length (how RESP2 sends a map), or of an array
    /// of arrays of two (how RESP3 sends scores). Nothing for everything else.
    pub fn pairs(&self) -> Pairs<'a> {
        let elements = self.elements();
        let first = elements.clone().next();
        let nested = match (self.kind(), first) {
            (ReplyKind::Map, _) => false,
            (ReplyKind::Array, Some(first)) if is_couple(first) => true,
            (ReplyKind::Array, _) if elements.remaining.is_multiple_of(2) => false,
            _ => return Pairs { elements: Elements { remaining: 0, ..elements }, nested: false },
        };
        Pairs { elements, nested }
    }

    /// The attribute in front of the reply (the first, should there be several), as a map. Those of elements
    /// stand before the elements.
    pub fn attribute(&self) -> Option<ReplyRef<'a>> {
        if self.frame.first() != Some(&b'|') {
            return None;
        }
        let len = attribute_len(self.frame)?;
        let followed = self.frame.get(len..).is_some_and(|rest| !rest.is_empty());
        followed.then(|| ReplyRef { frame: self.frame.get(..len).unwrap_or_default(), backing: self.backing })
    }

    /// [`as_bytes`](ReplyRef::as_bytes) as an owned value: shared with the frame's own memory where the reply was
    /// made [`with_backing`](ReplyRef::with_backing), copied elsewhere.
    ///
    /// Sharing keeps the whole frame alive: one small element of a large reply holds all of it.
    pub fn to_bytes(&self) -> Option<Bytes> {
        self.as_bytes().map(|bytes| self.share(bytes))
    }

    /// `part` lies within the frame.
    pub(super) fn share(&self, part: &'a [u8]) -> Bytes {
        match self.backing {
            Some(backing) => backing.slice_ref(part),
            None => Bytes::copy_from_slice(part),
        }
    }

    /// The text of a scalar that is one line: of an integer, a double, a boolean.
    pub(super) fn line_text(&self) -> Option<&'a [u8]> {
        line_text(self.value())
    }

    /// The frame without the attributes in front.
    #[inline]
    fn value(&self) -> &'a [u8] {
        if self.frame.first() == Some(&b'|') { after_attributes(self.frame) } else { self.frame }
    }
}

fn is_couple(reply: ReplyRef<'_>) -> bool {
    reply.kind() == ReplyKind::Array && reply.len() == 2
}

/// The elements of an aggregate, in the order of the wire.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
    remaining: usize,
    backing: Option<&'a Bytes>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = ReplyRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<ReplyRef<'a>> {
        if self.remaining == 0 {
            return None;
        }
        let Some((frame, rest)) = span(self.rest, 1).and_then(|len| self.rest.split_at_checked(len)) else {
            self.remaining = 0;
            return None;
        };
        self.rest = rest;
        self.remaining = self.remaining.saturating_sub(1);
        Some(ReplyRef { frame, backing: self.backing })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Elements<'_> {}
impl std::iter::FusedIterator for Elements<'_> {}

/// Keys with their values, in the order of the wire; keys that come twice stay twice.
#[derive(Clone)]
pub struct Pairs<'a> {
    elements: Elements<'a>,
    /// Every element is an array of a key and a value.
    nested: bool,
}

impl Pairs<'_> {
    /// Whether every element holds a pair, instead of every two.
    pub(super) fn is_nested(&self) -> bool {
        self.nested
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (ReplyRef<'a>, ReplyRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.elements.next()?;
        if !self.nested {
            return Some((first, self.elements.next()?));
        }
        let mut couple = first.elements();
        match (couple.next(), couple.next(), couple.next()) {
            (Some(key), Some(value), None) => Some((key, value)),
            _ => {
                self.elements.remaining = 0;
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let elements = self.elements.remaining;
        // A nested list can end early, at an element that is no pair.
        if self.nested { (0, Some(elements)) } else { (elements / 2, Some(elements / 2)) }
    }
}

impl std::iter::FusedIterator for Pairs<'_> {}

/// The text of a value that is one line.
#[inline]
fn line_text(value: &[u8]) -> Option<&[u8]> {
    header::line(value).map(|line| line.text)
}

/// The payload of a value with a length, where it is not null.
#[inline]
fn payload(value: &[u8]) -> Option<&[u8]> {
    let place = payload_place(value)?;
    value.get(place.start..place.end)
}

#[inline]
fn payload_place(value: &[u8]) -> Option<Payload> {
    if let Some(place) = value.get(1..).and_then(header::short_payload) {
        return Some(place);
    }
    let line = header::line(value)?;
    match header::length(line.text)? {
        Length::Null => None,
        Length::Of(size) => {
            Some(Payload { start: line.end, end: line.end.checked_add(usize::try_from(size).ok()?)? })
        }
    }
}

struct Aggregate {
    header_len: usize,
    /// Values that follow: for a map its keys and its values.
    values: usize,
}

/// The header of an aggregate, where `value` is one. The count is no more than the bytes can hold.
fn count(value: &[u8]) -> Option<Aggregate> {
    /// The smallest element: `+\r\n`.
    const ELEMENT_BYTES_MIN: usize = 3;
    let line = header::line(value)?;
    let values = announced(&line)?;
    let possible = value.len().saturating_sub(line.end) / ELEMENT_BYTES_MIN;
    Some(Aggregate {
        header_len: line.end,
        values: usize::try_from(values).map_or(possible, |n| n.min(possible)),
    })
}

/// How many values the header of an aggregate announces; `None` for null and what is no aggregate.
fn announced(line: &Line<'_>) -> Option<u64> {
    let values_per_element = match line.tag {
        b'*' | b'~' | b'>' => 1,
        b'%' | b'|' => 2,
        _ => return None,
    };
    match header::length(line.text)? {
        Length::Null => None,
        Length::Of(n) => n.checked_mul(values_per_element),
    }
}

/// The size of the first `values` values of `bytes`, with their attributes. Needs no memory of the nesting: it
/// is enough to count the values still missing.
fn span(bytes: &[u8], values: u64) -> Option<usize> {
    let mut missing = values;
    let mut end = 0usize;
    while missing > 0 {
        let rest = bytes.get(end..)?;
        let (len, announces) = match rest.first()? {
            b'$' | b'!' | b'=' => match payload_place(rest) {
                Some(place) => (place.end.checked_add(2)?, 0),
                None => (header::line(rest)?.end, 0),
            },
            b'|' => {
                let line = header::line(rest)?;
                // It is no value: the one it describes is still missing.
                (line.end, announced(&line)?.checked_add(1)?)
            }
            b'*' | b'~' | b'>' | b'%' => {
                let line = header::line(rest)?;
                (line.end, announced(&line).unwrap_or(0))
            }
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => (header::line(rest)?.end, 0),
            _ => return None,
        };
        end = end.checked_add(len)?;
        missing = missing.checked_sub(1)?.checked_add(announces)?;
    }
    (end <= bytes.len()).then_some(end)
}

/// The size of the attribute that `bytes` begins with.
fn attribute_len(bytes: &[u8]) -> Option<usize> {
    let line = header::line(bytes)?;
    span(bytes.get(line.end..)?, announced(&line)?)?.checked_add(line.end)
}

/// What follows the attributes at the start of `bytes`. An attribute that nothing follows is the value itself.
#[cold]
fn after_attributes(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while rest.first() == Some(&b'|') {
        match attribute_len(rest).and_then(|len| rest.get(len..)) {
            Some(next) if !next.is_empty() => rest = next,
            _ => return rest,
        }
    }
    rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
