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

use super::elements::{Elements, Pairs};
use super::{header, walk};

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

    /// A part of a frame; `backing` is what the whole frame may be shared from.
    #[inline]
    pub(super) fn part(frame: &'a [u8], backing: Option<&'a Bytes>) -> Self {
        ReplyRef { frame, backing }
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
            b'$' => walk::payload(value),
            b'=' => walk::payload(value)?.get(4..),
            b'+' | b'(' => walk::line_text(value),
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
            b':' => header::integer(walk::line_text(value)?),
            b'$' | b'+' => header::integer(self.as_bytes()?),
            _ => None,
        }
    }

    /// A double, an integer (to the nearest double), or a bulk string or status whose text is a number.
    pub fn as_f64(&self) -> Option<f64> {
        let value = self.value();
        match value.first()? {
            b',' | b':' => header::double(walk::line_text(value)?),
            b'$' | b'+' => header::double(self.as_bytes()?),
            _ => None,
        }
    }

    /// A boolean, or the integer 0 or 1.
    pub fn as_bool(&self) -> Option<bool> {
        let value = self.value();
        match (value.first()?, walk::line_text(value)?) {
            (b'#', b"t") | (b':', b"1") => Some(true),
            (b'#', b"f") | (b':', b"0") => Some(false),
            _ => None,
        }
    }

    /// The text of an error, without its `-`; of a blob error its payload.
    pub fn error(&self) -> Option<&'a [u8]> {
        let value = self.value();
        match value.first()? {
            b'-' => walk::line_text(value),
            b'!' => walk::payload(value),
            _ => None,
        }
    }

    /// The number of elements of an array, set or push, and of pairs of a map; 0 for everything else.
    pub fn len(&self) -> usize {
        let value = self.value();
        let values = walk::count(value).map_or(0, |aggregate| aggregate.values);
        if matches!(value.first(), Some(b'%' | b'|')) { values / 2 } else { values }
    }

    /// Whether [`len`](ReplyRef::len) is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of an aggregate, those of a map as key, value, key, value; nothing for everything else.
    pub fn elements(&self) -> Elements<'a> {
        Elements::of(self.value(), self.backing)
    }

    /// Keys and values: of a map (RESP3), of a flat array of even length (how RESP2 sends a map), or of an array
    /// of arrays of two (how RESP3 sends scores). Nothing for everything else.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs::of(*self)
    }

    /// The attribute in front of the reply (the first, should there be several), as a map. Those of elements
    /// stand before the elements.
    pub fn attribute(&self) -> Option<ReplyRef<'a>> {
        if self.frame.first() != Some(&b'|') {
            return None;
        }
        let len = walk::attribute_len(self.frame)?;
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
        walk::line_text(self.value())
    }

    /// The frame without the attributes in front.
    #[inline]
    fn value(&self) -> &'a [u8] {
        if self.frame.first() == Some(&b'|') { walk::after_attributes(self.frame) } else { self.frame }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
