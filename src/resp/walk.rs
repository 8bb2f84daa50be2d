//! Finding the way about in a frame that a scanner has accepted.
//!
//! Invariant: total on any bytes: `None` where they are no such frame; no recursion, no memory of the nesting.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::header::{self, Length, Line, Payload};

/// The text of a value that is one line.
#[inline]
pub(super) fn line_text(value: &[u8]) -> Option<&[u8]> {
    header::line(value).map(|line| line.text)
}

/// The payload of a value with a length, where it is not null.
#[inline]
pub(super) fn payload(value: &[u8]) -> Option<&[u8]> {
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

pub(super) struct Aggregate {
    pub(super) header_len: usize,
    /// Values that follow: for a map its keys and its values.
    pub(super) values: usize,
}

/// The header of an aggregate, where `value` is one. The count is no more than the bytes can hold.
pub(super) fn count(value: &[u8]) -> Option<Aggregate> {
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
pub(super) fn span(bytes: &[u8], values: u64) -> Option<usize> {
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
pub(super) fn attribute_len(bytes: &[u8]) -> Option<usize> {
    let line = header::line(bytes)?;
    span(bytes.get(line.end..)?, announced(&line)?)?.checked_add(line.end)
}

/// What follows the attributes at the start of `bytes`. An attribute that nothing follows is the value itself.
#[cold]
pub(super) fn after_attributes(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while rest.first() == Some(&b'|') {
        match attribute_len(rest).and_then(|len| rest.get(len..)) {
            Some(next) if !next.is_empty() => rest = next,
            _ => return rest,
        }
    }
    rest
}
