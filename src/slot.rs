//! Hash slots: which of the 16384 shares of the key space a key belongs to.
//!
//! Knows the hash tag rule and the checksum of the [cluster specification]; refuses to know who serves a slot.
//! Invariant: every answer is below [`SLOT_COUNT`], for any bytes.
//!
//! [cluster specification]: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crc16::{State, XMODEM};

/// How many hash slots a cluster has.
pub const SLOT_COUNT: u16 = 16384;

/// The part of a key that is hashed: what stands between the first `{` and the first `}` after it, unless that
/// is nothing; else the whole key.
///
/// ```
/// use panpipe::slot::hash_tag;
///
/// assert_eq!(hash_tag(b"{user1000}.following"), b"user1000");
/// assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
/// ```
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    // Keys without a tag are the rule, and `contains` looks at a word at a time where `position` looks at a byte.
    if !key.contains(&b'{') {
        return key;
    }
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inside = key.get(open..).and_then(<[u8]>::split_first).map_or(&[][..], |(_, inside)| inside);
    match inside.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => inside.get(..close).unwrap_or(key),
        _ => key,
    }
}

/// The slot of a key: CRC16 (the XMODEM variant) of its [hash tag](hash_tag), modulo [`SLOT_COUNT`].
///
/// ```
/// use panpipe::slot::slot_of;
///
/// assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
/// ```
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    // The count is a power of two, so that the remainder is a mask.
    State::<XMODEM>::calculate(hash_tag(key)) & (SLOT_COUNT.wrapping_sub(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31C3 % SLOT_COUNT);
        assert_eq!(slot_of(b"123456789"), 12739);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"bar"), 5061);
        assert_eq!(slot_of(b""), 0);
    }

    #[test]
    fn hash_tag_rule_of_the_specification() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"{user1000}.following", b"user1000"),
            (b"{user1000}.followers", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"", b""),
            (b"{", b"{"),
            (b"}", b"}"),
            (b"{}", b"{}"),
            (b"}{", b"}{"),
            (b"a{b", b"a{b"),
            (b"a}b", b"a}b"),
            (b"}a{b}", b"b"),
            (b"{a}", b"a"),
            (b"{\xff\0}x", b"\xff\0"),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key), *tag, "{}", key.escape_ascii());
            assert_eq!(slot_of(key), bitwise_slot(tag), "{}", key.escape_ascii());
        }
    }

    /// CRC16/XMODEM by its definition: polynomial 0x1021, start 0, most significant bit first.
    fn bitwise_slot(bytes: &[u8]) -> u16 {
        let crc = bytes.iter().fold(0u16, |crc, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 }
            })
        });
        crc % SLOT_COUNT
    }

    #[test]
    fn table_and_definition_agree() {
        for first in 0..=255u8 {
            for length in 0..40usize {
                let key: Vec<u8> = (0..length).map(|i| first.wrapping_add((i * 31) as u8)).collect();
                assert_eq!(slot_of(&key), bitwise_slot(hash_tag(&key)));
            }
        }
    }
}
