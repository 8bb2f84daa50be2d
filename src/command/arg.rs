//! Arguments: anything byte-like or numeric.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::resp::encode::{self, WireBuf};

/// One argument, borrowed from the caller.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// Bytes that are copied into the node's buffer: the one copy of a command's life.
    Bytes(&'a [u8]),
    /// Bytes that may be shared with the buffer instead of copied, where they are large.
    Shared(&'a Bytes),
    /// A decimal integer.
    Integer(i64),
    /// A decimal integer above `i64::MAX`.
    Unsigned(u64),
    /// A float, as the shortest decimal that reads back as the same number.
    Float(f64),
}

/// Room for any number as a bulk string: the longest are doubles such as `-2.2250738585072014e-308`.
type NumberBulk = SmallVec<[u8; 64]>;

impl Arg<'_> {
    /// Bytes of the argument as a bulk string.
    #[inline(always)]
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Arg::Bytes(bytes) => encode::bulk_wire_len(bytes.len()),
            other => other.other_wire_len(),
        }
    }

    /// A size that the argument does not exceed as a bulk string, where it is below 100 KB.
    #[inline(always)]
    pub(crate) fn wire_bound(&self) -> usize {
        match self {
            Arg::Bytes(bytes) => encode::word_bound(bytes.len()),
            other => other.other_wire_len(),
        }
    }

    /// What is not plain bytes stays out of line, so that plain bytes can be inlined.
    #[inline(never)]
    fn other_wire_len(&self) -> usize {
        match self {
            Arg::Bytes(bytes) => encode::bulk_wire_len(bytes.len()),
            Arg::Shared(bytes) => encode::bulk_wire_len(bytes.len()),
            Arg::Integer(value) => encode::bulk_wire_len(encode::int_len(*value)),
            Arg::Unsigned(value) => encode::bulk_wire_len(encode::u64_len(*value)),
            Arg::Float(_) => self.number_bulk().len(),
        }
    }

    /// Appends the argument as a bulk string.
    #[inline]
    pub(crate) fn write(&self, out: &mut impl WireBuf) {
        match self {
            Arg::Bytes(bytes) => encode::put_bulk(out, bytes),
            other => other.write_other(out),
        }
    }

    /// As `write`, into room that is known to be enough; answers what is left of it.
    #[inline(always)]
    pub(crate) fn fill<'r>(&self, room: &'r mut [u8]) -> &'r mut [u8] {
        match self {
            Arg::Bytes(bytes) => encode::fill_word(room, bytes),
            other => other.fill_other(room),
        }
    }

    #[inline(never)]
    fn fill_other<'r>(&self, mut room: &'r mut [u8]) -> &'r mut [u8] {
        self.write(&mut room);
        room
    }

    #[inline(never)]
    fn write_other(&self, out: &mut impl WireBuf) {
        match self {
            Arg::Bytes(bytes) => encode::put_bulk(out, bytes),
            Arg::Shared(bytes) => {
                encode::put_bulk_header(out, bytes.len());
                out.put_shared(bytes);
                out.put(b"\r\n");
            }
            Arg::Integer(value) => encode::put_int_bulk(out, *value),
            Arg::Unsigned(value) => encode::put_u64_bulk(out, *value),
            Arg::Float(value) => encode::put_f64_bulk(out, *value),
        }
    }

    /// Lends the argument's bytes, as they go on the wire.
    #[inline(always)]
    pub(crate) fn with_bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Arg::Bytes(bytes) => read(bytes),
            Arg::Shared(bytes) => read(bytes),
            Arg::Integer(_) | Arg::Unsigned(_) | Arg::Float(_) => read(payload(&self.number_bulk())),
        }
    }

    /// A number in its wire form, on the stack.
    fn number_bulk(&self) -> NumberBulk {
        let mut bulk = NumberBulk::new();
        self.write(&mut bulk);
        bulk
    }
}

/// The payload of a bulk string that we encoded ourselves.
pub(crate) fn payload(bulk: &[u8]) -> &[u8] {
    let start = bulk.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    bulk.get(start..bulk.len().saturating_sub(2)).unwrap_or_default()
}

/// Anything that can be an argument of a command.
pub trait ToArg {
    /// The value as an argument.
    fn to_arg(&self) -> Arg<'_>;
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn to_arg(&self) -> Arg<'_> {
        (**self).to_arg()
    }
}

impl ToArg for str {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self.as_bytes())
    }
}

impl ToArg for String {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self.as_bytes())
    }
}

impl ToArg for [u8] {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self)
    }
}

impl<const N: usize> ToArg for [u8; N] {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self)
    }
}

impl ToArg for Vec<u8> {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self)
    }
}

impl ToArg for Bytes {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Shared(self)
    }
}

impl ToArg for std::borrow::Cow<'_, str> {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Bytes(self.as_bytes())
    }
}

impl ToArg for Arg<'_> {
    fn to_arg(&self) -> Arg<'_> {
        *self
    }
}

impl ToArg for u64 {
    fn to_arg(&self) -> Arg<'_> {
        i64::try_from(*self).map_or(Arg::Unsigned(*self), Arg::Integer)
    }
}

impl ToArg for usize {
    fn to_arg(&self) -> Arg<'_> {
        i64::try_from(*self).map_or(Arg::Unsigned(*self as u64), Arg::Integer)
    }
}

impl ToArg for i64 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Integer(*self)
    }
}

impl ToArg for i32 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Integer(i64::from(*self))
    }
}

impl ToArg for u32 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Integer(i64::from(*self))
    }
}

impl ToArg for u16 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Integer(i64::from(*self))
    }
}

impl ToArg for f64 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Float(*self)
    }
}

impl ToArg for f32 {
    fn to_arg(&self) -> Arg<'_> {
        Arg::Float(f64::from(*self))
    }
}
