//! Replies as Rust types.
//!
//! [`FromReply`] levels what RESP2 and RESP3 say differently: a `HashMap` reads a map and a flat list of pairs,
//! an `f64` reads a double and a text, a `bool` reads a boolean and 0 or 1, a string reads a double's text.
//! Nothing else is converted: an integer is no string, and null is nothing but an `Option`'s `None`, and the "no"
//! of a conditional write (`SET … NX`) that says `OK` for "yes", which a `bool` reads as well.
//!
//! Knows shapes; refuses to know which command asked. Invariant: an error reply is always an
//! [`ErrorKind::Server`], a reply of the wrong shape always an [`ErrorKind::Decode`]; both carry
//! [`Outcome::Executed`], since the reply was seen. Messages tell kinds and sizes, never values.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;

use bytes::Bytes;

use super::reply::{ReplyKind, ReplyRef};
use crate::error::{Error, ErrorKind, Outcome, ServerError};

/// A type that a reply can be turned into.
pub trait FromReply: Sized {
    /// What the type expects, for the error message: `a string`, `an array of pairs`.
    const EXPECTED: &'static str;

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Server`] where the reply is an error, [`ErrorKind::Decode`] where it has another shape.
    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error>;

    /// Reads an aggregate of such values. Types that a flat list holds in more than one element (pairs) read
    /// it their own way.
    ///
    /// # Errors
    ///
    /// Those of [`from_reply`](FromReply::from_reply).
    fn vec_from_reply(reply: ReplyRef<'_>) -> Result<Vec<Self>, Error> {
        match reply.kind() {
            ReplyKind::Array | ReplyKind::Set | ReplyKind::Push | ReplyKind::Map => {
                reply.elements().map(Self::from_reply).collect()
            }
            _ => Err(mismatch("an array", reply)),
        }
    }
}

/// The error for a reply that is an error or has another shape.
#[cold]
fn mismatch(expected: &'static str, reply: ReplyRef<'_>) -> Error {
    if let Some(text) = reply.error() {
        return Error::new(ErrorKind::Server(ServerError::from_bytes(text)), Outcome::Executed);
    }
    let found = match reply.kind() {
        ReplyKind::Null => "null".to_owned(),
        ReplyKind::Status => "a status".to_owned(),
        ReplyKind::Integer => "an integer".to_owned(),
        ReplyKind::Double => "a double".to_owned(),
        ReplyKind::Boolean => "a boolean".to_owned(),
        ReplyKind::BigNumber => "a big number".to_owned(),
        ReplyKind::Error | ReplyKind::BlobError => "an error".to_owned(),
        ReplyKind::Bulk | ReplyKind::Verbatim => {
            format!("a string of {} bytes", reply.as_bytes().map_or(0, <[u8]>::len))
        }
        ReplyKind::Array => format!("an array of {} elements", reply.len()),
        ReplyKind::Set => format!("a set of {} elements", reply.len()),
        ReplyKind::Push => format!("a push of {} elements", reply.len()),
        ReplyKind::Map => format!("a map of {} pairs", reply.len()),
    };
    Error::new(ErrorKind::Decode { expected, found }, Outcome::Executed)
}

/// The bytes of a string; those of a double too, which RESP2 sends as a string.
fn string_bytes(reply: ReplyRef<'_>) -> Option<&[u8]> {
    match reply.kind() {
        ReplyKind::Double => reply.line_text(),
        _ => reply.as_bytes(),
    }
}

/// Any status: the command did what it was asked to.
impl FromReply for () {
    const EXPECTED: &'static str = "a status";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        match reply.kind() {
            ReplyKind::Status => Ok(()),
            _ => Err(mismatch(Self::EXPECTED, reply)),
        }
    }
}

/// A boolean, 0 or 1; and what a conditional write answers: `OK`, or null where the condition did not hold.
impl FromReply for bool {
    const EXPECTED: &'static str = "a boolean, 0 or 1, OK or nil";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        match reply.kind() {
            ReplyKind::Null => Ok(false),
            ReplyKind::Status if reply.as_bytes() == Some(b"OK") => Ok(true),
            _ => reply.as_bool().ok_or_else(|| mismatch(Self::EXPECTED, reply)),
        }
    }
}

/// An integer, or a string or big number whose text is one, within the type's range.
fn integer<T: TryFrom<i64> + FromStr>(expected: &'static str, reply: ReplyRef<'_>) -> Result<T, Error> {
    let value = match reply.as_i64() {
        Some(value) => T::try_from(value).ok(),
        // Beyond i64 only a text can hold it.
        None => reply.as_str().and_then(|text| text.parse().ok()),
    };
    value.ok_or_else(|| mismatch(expected, reply))
}

macro_rules! integers {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        /// An integer, or a string or big number whose text is one, within the type's range.
        impl FromReply for $type {
            const EXPECTED: &'static str = $expected;

            fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
                integer(Self::EXPECTED, reply)
            }
        }
    )*};
}

integers! {
    i32: "an integer of 32 bits",
    i64: "an integer of 64 bits",
    u32: "an integer of 32 bits without sign",
    u64: "an integer of 64 bits without sign",
    usize: "a size",
}

/// A double, an integer, or a string whose text is a number.
impl FromReply for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        reply.as_f64().ok_or_else(|| mismatch(Self::EXPECTED, reply))
    }
}

/// A string or status in UTF-8.
impl FromReply for String {
    const EXPECTED: &'static str = "a string in UTF-8";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        let text = string_bytes(reply).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(str::to_owned).ok_or_else(|| mismatch(Self::EXPECTED, reply))
    }
}

/// A string or status.
impl FromReply for Vec<u8> {
    const EXPECTED: &'static str = "a string";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        string_bytes(reply).map(<[u8]>::to_vec).ok_or_else(|| mismatch(Self::EXPECTED, reply))
    }
}

/// A string or status; shares the reply's memory where the view can.
impl FromReply for Bytes {
    const EXPECTED: &'static str = "a string";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        string_bytes(reply).map(|bytes| reply.share(bytes)).ok_or_else(|| mismatch(Self::EXPECTED, reply))
    }
}

/// Null is `None`.
impl<T: FromReply> FromReply for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        if reply.is_null() { Ok(None) } else { T::from_reply(reply).map(Some) }
    }
}

/// An array, set or push; a map as key, value, key, value. A `Vec` of pairs reads what [`pairs_vec`] does.
impl<T: FromReply> FromReply for Vec<T> {
    const EXPECTED: &'static str = "an array";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        T::vec_from_reply(reply)
    }
}

/// An array of two.
impl<A: FromReply, B: FromReply> FromReply for (A, B) {
    const EXPECTED: &'static str = "an array of 2 elements";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        let [a, b] = fixed(Self::EXPECTED, reply)?;
        Ok((A::from_reply(a)?, B::from_reply(b)?))
    }

    fn vec_from_reply(reply: ReplyRef<'_>) -> Result<Vec<Self>, Error> {
        pairs_vec(reply)
    }
}

/// An array of three.
impl<A: FromReply, B: FromReply, C: FromReply> FromReply for (A, B, C) {
    const EXPECTED: &'static str = "an array of 3 elements";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        let [a, b, c] = fixed(Self::EXPECTED, reply)?;
        Ok((A::from_reply(a)?, B::from_reply(b)?, C::from_reply(c)?))
    }
}

fn fixed<'a, const N: usize>(
    expected: &'static str,
    reply: ReplyRef<'a>,
) -> Result<[ReplyRef<'a>; N], Error> {
    if !matches!(reply.kind(), ReplyKind::Array | ReplyKind::Push | ReplyKind::Set) {
        return Err(mismatch(expected, reply));
    }
    let mut found = [reply; N];
    let mut elements = reply.elements();
    for place in &mut found {
        *place = elements.next().ok_or_else(|| mismatch(expected, reply))?;
    }
    if elements.next().is_some() { Err(mismatch(expected, reply)) } else { Ok(found) }
}

/// Pairs in the order of the wire, from a map, a flat array of even length, or an array of arrays of two.
///
/// # Errors
///
/// [`ErrorKind::Server`] where the reply or a part of it is an error, [`ErrorKind::Decode`] where it has another
/// shape.
pub fn pairs_vec<K: FromReply, V: FromReply>(reply: ReplyRef<'_>) -> Result<Vec<(K, V)>, Error> {
    collect_pairs(reply)
}

const PAIRS: &str = "a map or an array of pairs";

fn collect_pairs<K: FromReply, V: FromReply, C: FromIterator<(K, V)>>(
    reply: ReplyRef<'_>,
) -> Result<C, Error> {
    let values = reply.elements().len();
    let mut read = 0usize;
    let mut pairs = reply.pairs();
    let per_pair = if pairs.is_nested() { 1 } else { 2 };
    let collected: Result<C, Error> = pairs
        .by_ref()
        .map(|(key, value)| {
            read = read.saturating_add(per_pair);
            Ok((K::from_reply(key)?, V::from_reply(value)?))
        })
        .collect();
    let collected = collected?;
    let has_pairs = matches!(reply.kind(), ReplyKind::Map | ReplyKind::Array);
    if has_pairs && read == values { Ok(collected) } else { Err(mismatch(PAIRS, reply)) }
}

/// Pairs, as [`pairs_vec`] reads them; of keys that come twice the last counts.
impl<K: FromReply + Eq + Hash, V: FromReply, S: BuildHasher + Default> FromReply for HashMap<K, V, S> {
    const EXPECTED: &'static str = PAIRS;

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        collect_pairs(reply)
    }
}

/// Pairs, as [`pairs_vec`] reads them; of keys that come twice the last counts.
impl<K: FromReply + Ord, V: FromReply> FromReply for BTreeMap<K, V> {
    const EXPECTED: &'static str = PAIRS;

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        collect_pairs(reply)
    }
}

/// An error reply as a value: for lists in which some elements may be errors, such as EXEC's.
impl<T: FromReply> FromReply for Result<T, ServerError> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        match reply.error() {
            Some(text) => Ok(Err(ServerError::from_bytes(text))),
            None => T::from_reply(reply).map(Ok),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
