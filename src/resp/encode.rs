//! Writing commands: arrays of bulk strings, straight into the buffer that goes on the wire.
//!
//! A command is [`put_array_header`] with the number of its words, then one [`put_bulk`] per word; every word is
//! length-prefixed, so that no argument can be mistaken for protocol. The `*_len` functions tell the size of
//! each part before it is written.
//!
//! Knows the shape of the bytes; refuses to know what a command means. Invariant: what is written is exactly as
//! long as the `*_len` functions say, and nothing is allocated but by the buffer itself.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// A buffer that bytes can be appended to.
pub trait WireBuf {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a few bytes whose number is known to the compiler: a store, where `put` is a call.
    #[inline]
    fn put_few<const N: usize>(&mut self, bytes: [u8; N]) {
        self.put(&bytes);
    }

    /// Appends `bytes`; a buffer made of segments may share them instead of copying.
    fn put_shared(&mut self, bytes: &Bytes) {
        self.put(bytes);
    }
}

impl WireBuf for BytesMut {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl WireBuf for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> WireBuf for SmallVec<[u8; N]>
where
    [u8; N]: smallvec::Array<Item = u8>,
{
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Room of a known size, filled from the front.
///
/// # Panics
/// Where more is put than there is room for.
impl WireBuf for &mut [u8] {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let (filled, rest) = std::mem::take(self).split_at_mut(bytes.len());
        filled.copy_from_slice(bytes);
        *self = rest;
    }

    #[inline]
    fn put_few<const N: usize>(&mut self, bytes: [u8; N]) {
        match std::mem::take(self).split_first_chunk_mut() {
            Some((filled, rest)) => {
                *filled = bytes;
                *self = rest;
            }
            None => self.put(&bytes),
        }
    }
}

/// The start of a command: [`put_array_header`] and the first word, into room that is enough; answers what is left of it. Room that is handed
/// on like this stays in registers, where room that is appended to by reference lives in memory.
#[inline(always)]
pub(crate) fn fill_head<'r>(room: &'r mut [u8], elements: usize, name: &[u8]) -> &'r mut [u8] {
    if elements > 9 || name.len() > 9 {
        return fill_long_head(room, elements, name);
    }
    let header = [b'*', digit(elements), b'\r', b'\n', b'$', digit(name.len()), b'\r', b'\n'];
    fill_short_word(room, header, name)
}

/// As [`put_bulk`], into room of at least [`word_bound`]; answers what is left of it.
#[inline(always)]
pub(crate) fn fill_word<'r>(room: &'r mut [u8], payload: &[u8]) -> &'r mut [u8] {
    let len = payload.len();
    match len {
        0..=9 => fill_short_word(room, [b'$', digit(len), b'\r', b'\n'], payload),
        10..=99 => fill_short_word(room, [b'$', digit(len / 10), digit(len), b'\r', b'\n'], payload),
        _ => fill_long_word(room, payload),
    }
}

#[inline(always)]
fn fill_short_word<'r, const N: usize>(room: &'r mut [u8], header: [u8; N], payload: &[u8]) -> &'r mut [u8] {
    let (word, rest) = room.split_at_mut(N.wrapping_add(payload.len()).wrapping_add(2));
    if let Some((first, word)) = word.split_first_chunk_mut()
        && let Some((middle, last)) = word.split_last_chunk_mut()
    {
        *first = header;
        copy(payload, middle);
        *last = *b"\r\n";
    }
    rest
}

#[inline(never)]
fn fill_long_head<'r>(mut room: &'r mut [u8], elements: usize, name: &[u8]) -> &'r mut [u8] {
    put_array_header(&mut room, elements);
    put_bulk(&mut room, name);
    room
}

#[inline(never)]
fn fill_long_word<'r>(mut room: &'r mut [u8], payload: &[u8]) -> &'r mut [u8] {
    put_bulk(&mut room, payload);
    room
}

/// Copies short bytes without a call: from both ends, in two pieces that may overlap. Both must be of one length.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        2..=3 => copy_ends::<2>(from, to),
        4..=7 => copy_ends::<4>(from, to),
        8..=16 => copy_ends::<8>(from, to),
        17..=32 => copy_ends::<16>(from, to),
        33..=64 => copy_ends::<32>(from, to),
        _ => to.copy_from_slice(from),
    }
}

#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        if let Some(start) = to.first_chunk_mut() {
            *start = *first;
        }
        if let Some(end) = to.last_chunk_mut() {
            *end = *last;
        }
    }
}

/// Starts a command of `elements` words: `*N\r\n`.
#[inline]
pub fn put_array_header(out: &mut impl WireBuf, elements: usize) {
    put_header(out, b'*', elements);
}

/// One word of a command: `$len\r\n…\r\n`.
#[inline]
pub fn put_bulk(out: &mut impl WireBuf, payload: &[u8]) {
    put_header(out, b'$', payload.len());
    out.put(payload);
    out.put_few(*b"\r\n");
}

/// The start of a word whose payload follows in a segment of its own, and then `\r\n`.
#[inline]
pub fn put_bulk_header(out: &mut impl WireBuf, len: usize) {
    put_header(out, b'$', len);
}

/// An integer as a word.
#[inline]
pub fn put_int_bulk(out: &mut impl WireBuf, value: i64) {
    let mut text = Text::new();
    text.push_int(value);
    put_bulk(out, text.as_bytes());
}

/// An integer without sign as a word.
#[inline]
pub fn put_u64_bulk(out: &mut impl WireBuf, value: u64) {
    let mut text = Text::new();
    text.push_uint(value);
    put_bulk(out, text.as_bytes());
}

/// A floating point number as a word, in a short text that reads back to the same number. Infinities are `inf`
/// and `-inf`; NaN is `nan`, which servers refuse where they expect a number.
pub fn put_f64_bulk(out: &mut impl WireBuf, value: f64) {
    let mut text = Text::new();
    let magnitude = value.abs();
    // Positional notation would spell 1e300 with 301 digits.
    let positional = magnitude == 0.0 || (1e-5..1e17).contains(&magnitude);
    // `Text` holds the longest of these (`-2.2250738585072014e-308`): writing to it cannot fail.
    let _ = match value {
        _ if value.is_nan() => text.write_str("nan"),
        _ if value.is_infinite() => text.write_str(if value < 0.0 { "-inf" } else { "inf" }),
        _ if positional => write!(text, "{value}"),
        _ => write!(text, "{value:e}"),
    };
    put_bulk(out, text.as_bytes());
}

/// The bytes [`put_bulk`] writes for a payload of this size.
#[inline]
pub fn bulk_wire_len(payload_len: usize) -> usize {
    array_header_len(payload_len).saturating_add(payload_len).saturating_add(2)
}

/// At least the bytes [`put_bulk`] writes for a payload of this size, where that has at most five digits.
#[inline(always)]
pub(crate) fn word_bound(payload_len: usize) -> usize {
    payload_len.wrapping_add(10)
}

/// The bytes [`put_array_header`] and [`put_bulk_header`] write.
#[inline]
pub fn array_header_len(n: usize) -> usize {
    digits(n as u64).saturating_add(3)
}

/// The characters of an integer in decimal, its sign included.
#[inline]
pub fn int_len(value: i64) -> usize {
    digits(value.unsigned_abs()).saturating_add(usize::from(value < 0))
}

/// The characters of an integer without sign in decimal.
#[inline]
pub fn u64_len(value: u64) -> usize {
    digits(value)
}

#[inline]
fn digits(value: u64) -> usize {
    match value {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        _ => value.checked_ilog10().map_or(1, |log| (log as usize).saturating_add(1)),
    }
}

/// Nearly all headers are of one or two digits: those are written as constants-sized pieces, which compile to a
/// store; the length of the others is only known at run time.
#[inline(always)]
fn put_header(out: &mut impl WireBuf, tag: u8, n: usize) {
    match n {
        0..=9 => out.put_few([tag, digit(n), b'\r', b'\n']),
        10..=99 => out.put_few([tag, digit(n / 10), digit(n % 10), b'\r', b'\n']),
        _ => put_long_header(out, tag, n),
    }
}

#[inline(never)]
fn put_long_header(out: &mut impl WireBuf, tag: u8, n: usize) {
    let mut text = Text::new();
    text.push_uint(n as u64);
    text.push_front(tag);
    out.put(text.as_bytes());
    out.put(b"\r\n");
}

/// The last decimal digit of `n`.
#[inline]
fn digit(n: usize) -> u8 {
    b'0'.wrapping_add((n % 10) as u8)
}

/// A short text on the stack. Integers are written from the end towards the front, text from `end` on.
struct Text {
    bytes: [u8; Text::SIZE],
    start: usize,
    end: usize,
}

impl Text {
    const SIZE: usize = 64;
    /// Room for the digits of any integer in front, and for the text of any double behind.
    const MIDDLE: usize = 32;

    fn new() -> Self {
        Text { bytes: [0; Text::SIZE], start: Text::MIDDLE, end: Text::MIDDLE }
    }

    fn push_front(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }

    fn push_uint(&mut self, value: u64) {
        let mut rest = value;
        loop {
            self.push_front(digit((rest % 10) as usize));
            rest /= 10;
            if rest == 0 {
                return;
            }
        }
    }

    fn push_int(&mut self, value: i64) {
        self.push_uint(value.unsigned_abs());
        if value < 0 {
            self.push_front(b'-');
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.end.saturating_add(text.len());
        self.bytes.get_mut(self.end..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn bulk(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bulk(&mut out, payload);
        out
    }

    #[test]
    fn command_is_an_array_of_bulks() {
        let mut out = BytesMut::new();
        put_array_header(&mut out, 3);
        put_bulk(&mut out, b"SET");
        put_bulk(&mut out, b"k\r\n");
        put_int_bulk(&mut out, -17);
        assert_eq!(&out[..], b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$3\r\n-17\r\n");
    }

    #[test]
    fn lengths_announced_are_lengths_written() {
        for len in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 65535, 65536, 1_000_000] {
            let out = bulk(&vec![b'x'; len]);
            assert_eq!(out.len(), bulk_wire_len(len));
            let header = format!("${len}\r\n");
            assert!(out.starts_with(header.as_bytes()));
            assert!(out.ends_with(b"\r\n"));
            assert_eq!(header.len(), array_header_len(len));
            let mut out: SmallVec<[u8; 16]> = SmallVec::new();
            put_array_header(&mut out, len);
            assert_eq!(&out[..], format!("*{len}\r\n").as_bytes());
            let mut out = Vec::new();
            put_bulk_header(&mut out, len);
            assert_eq!(out, header.as_bytes());
        }
        assert_eq!(array_header_len(usize::MAX), format!("*{}\r\n", usize::MAX).len());
        assert_eq!(bulk_wire_len(usize::MAX), usize::MAX);
    }

    #[test]
    fn room_is_filled_as_buffers_are_appended_to() {
        for len in (0..130).chain([999, 1000, 12_345]) {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            for elements in [1, 9, 10, 1234] {
                let mut appended = Vec::new();
                put_array_header(&mut appended, elements);
                put_bulk(&mut appended, &payload);
                put_bulk(&mut appended, &payload);
                let mut room = vec![0; 8 + 2 * word_bound(len)];
                let bound = room.len();
                let left = fill_word(fill_head(&mut room, elements, &payload), &payload).len();
                assert_eq!(room[..bound - left], appended, "{len} {elements}");
            }
        }
    }

    #[test]
    fn integers_read_back() {
        let mut cases = vec![0, 1, -1, 9, 10, -10, 99, 100, i64::MAX, i64::MIN, i64::MIN + 1];
        cases.extend((0..19).flat_map(|power| [10i64.pow(power), -(10i64.pow(power)), 10i64.pow(power) - 1]));
        for value in cases {
            let mut out = Vec::new();
            put_int_bulk(&mut out, value);
            assert_eq!(out, bulk(value.to_string().as_bytes()));
            assert_eq!(int_len(value), value.to_string().len());
            let value = value as u64;
            let mut out = Vec::new();
            put_u64_bulk(&mut out, value);
            assert_eq!(out, bulk(value.to_string().as_bytes()));
            assert_eq!(u64_len(value), value.to_string().len());
        }
    }

    #[test]
    fn doubles_read_back_and_stay_short() {
        let cases = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e5,
            1e16,
            1e17,
            1e300,
            -1e-300,
            1e-5,
            9.9e-6,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::MIN,
            std::f64::consts::PI,
            99999999999999990.0,
            -0.000012345678901234567,
        ];
        for value in cases {
            let mut out = Vec::new();
            put_f64_bulk(&mut out, value);
            let text = std::str::from_utf8(&out).unwrap().split("\r\n").nth(1).unwrap();
            let back: f64 = text.parse().unwrap();
            assert_eq!(back.to_bits(), value.to_bits(), "{text}");
            assert!(text.len() <= 25, "{text}");
        }
        for (value, text) in [(f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf"), (f64::NAN, "nan")] {
            let mut out = Vec::new();
            put_f64_bulk(&mut out, value);
            assert_eq!(out, bulk(text.as_bytes()));
        }
    }
}
