//! Hash slots: which of the 16384 shares of the key space a key belongs to.
//!
//! Knows the hash tag rule and the checksum of the [cluster specification]; refuses to know who serves a slot.
//! Invariant: every answer is below [`SLOT_COUNT`], for any bytes.
//!
//! [cluster specification]: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

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
    let Some(open) = find(key, b'{') else { return key };
    let inside = key.get(open..).and_then(<[u8]>::split_first).map_or(&[][..], |(_, inside)| inside);
    match find(inside, b'}') {
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
    crc16(hash_tag(key)) & (SLOT_COUNT.wrapping_sub(1))
}

/// Where `needle` stands first; eight bytes are looked at in one step.
#[inline]
fn find(bytes: &[u8], needle: u8) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at: usize = 0;
    for word in words {
        // The needle's bytes become zero; the lowest high bit that the subtraction leaves set marks the first zero.
        let zeroed = u64::from_le_bytes(*word) ^ ONES.wrapping_mul(u64::from(needle));
        let marks = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        if marks != 0 {
            return Some(at.wrapping_add(marks.trailing_zeros() as usize / 8));
        }
        at = at.wrapping_add(8);
    }
    rest.iter().position(|&byte| byte == needle).map(|found| at.wrapping_add(found))
}

/// Bytes that are folded into the checksum in one step.
const BLOCK: usize = 16;

/// `TABLES[n][byte]` is the checksum of `byte` with `BLOCK - 1 - n` zero bytes behind it: what the byte at place `n` of a block adds.
static TABLES: [[u16; 256]; BLOCK] = tables();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses an index out of bounds"
)]
#[expect(clippy::arithmetic_side_effects, reason = "evaluated by the compiler, which refuses an overflow")]
const fn tables() -> [[u16; 256]; BLOCK] {
    const POLYNOMIAL: u16 = 0x1021;
    let mut tables = [[0; 256]; BLOCK];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut place = BLOCK;
        while place > 0 {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { (crc << 1) ^ POLYNOMIAL } else { crc << 1 };
                bit += 1;
            }
            place -= 1;
            tables[place][byte] = crc;
        }
        byte += 1;
    }
    tables
}

/// CRC16/XMODEM. A byte at a time each step waits for the one before; by blocks the bytes are looked up independently of each other.
#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let crc = blocks.iter().fold(0, |crc, block| fold_block(crc, block));
    if rest.is_empty() { crc } else { fold_block(crc, rest) }
}

/// The checksum of what had the checksum `crc` and at most a block of bytes behind it.
#[inline(always)]
fn fold_block(crc: u16, block: &[u8]) -> u16 {
    let tables = TABLES.get(BLOCK.saturating_sub(block.len())..).unwrap_or_default();
    let lookup = |table: &[u16; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0);
    // The checksum so far counts as if it stood in the block's first two places.
    let [high, low] = crc.to_be_bytes();
    let so_far = match tables {
        [first, second, ..] => lookup(first, high) ^ lookup(second, low),
        [only] => lookup(only, high) ^ (u16::from(low) << 8),
        [] => crc,
    };
    block.iter().zip(tables).fold(so_far, |sum, (&byte, table)| sum ^ lookup(table, byte))
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
    fn tables_definition_and_reference_agree() {
        for first in 0..=if cfg!(miri) { 1 } else { 255u8 } {
            for length in 0..70usize {
                let key: Vec<u8> = (0..length).map(|i| first.wrapping_add((i * 31) as u8)).collect();
                assert_eq!(slot_of(&key), bitwise_slot(hash_tag(&key)));
                assert_eq!(crc16(&key), crc16::State::<crc16::XMODEM>::calculate(&key));
            }
        }
    }

    #[test]
    fn braces_are_found_wherever_they_stand() {
        for filler in [b'a', b'z', b'|', 0x00, 0xff, b'{' ^ 0x80, b'{' - 1] {
            for length in 0..if cfg!(miri) { 18 } else { 40usize } {
                let mut bytes = vec![filler; length];
                assert_eq!(find(&bytes, b'{'), None);
                for at in (0..length).rev() {
                    // Others may follow: the first counts.
                    bytes[at] = b'{';
                    assert_eq!(find(&bytes, b'{'), Some(at));
                }
            }
        }
    }
}
