//! Walking the elements of an aggregate, one by one or in pairs.
//!
//! Invariant: an iterator ends at the first byte that is not RESP; it never panics and never allocates. A step
//! costs the size of the element it passes, so that walking a whole tree costs at most its depth times its size.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;

use super::reply::{ReplyKind, ReplyRef};
use super::walk::{self, Aggregate};

/// The elements of an aggregate, in the order of the wire.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
    remaining: usize,
    backing: Option<&'a Bytes>,
}

impl<'a> Elements<'a> {
    /// Those of an aggregate without attributes in front; none of any other value.
    pub(super) fn of(value: &'a [u8], backing: Option<&'a Bytes>) -> Self {
        match walk::count(value) {
            Some(Aggregate { header_len, values }) => {
                Elements { rest: value.get(header_len..).unwrap_or_default(), remaining: values, backing }
            }
            None => Elements { rest: &[], remaining: 0, backing: None },
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = ReplyRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<ReplyRef<'a>> {
        if self.remaining == 0 {
            return None;
        }
        let Some((frame, rest)) = walk::span(self.rest, 1).and_then(|len| self.rest.split_at_checked(len))
        else {
            self.remaining = 0;
            return None;
        };
        self.rest = rest;
        self.remaining = self.remaining.saturating_sub(1);
        Some(ReplyRef::part(frame, self.backing))
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

impl<'a> Pairs<'a> {
    /// Those of a map, of a flat array of even length or of an array of arrays of two; none of any other reply.
    pub(super) fn of(reply: ReplyRef<'a>) -> Self {
        let elements = reply.elements();
        let kind = reply.kind();
        let nested = kind == ReplyKind::Array && elements.clone().next().is_some_and(is_couple);
        let flat =
            kind == ReplyKind::Map || (kind == ReplyKind::Array && elements.remaining.is_multiple_of(2));
        let remaining = if nested || flat { elements.remaining } else { 0 };
        Pairs { elements: Elements { remaining, ..elements }, nested }
    }

    /// Whether every element holds a pair, instead of every two.
    pub(super) fn is_nested(&self) -> bool {
        self.nested
    }
}

fn is_couple(reply: ReplyRef<'_>) -> bool {
    reply.kind() == ReplyKind::Array && reply.len() == 2
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
