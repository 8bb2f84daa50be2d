//! Jitter: a small seeded generator, so that the same calls give the same outputs. Not for secrets.

/// SplitMix64: one addition and three multiplications per number, every seed is good.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 where the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is far below anything that jitter or a random choice of node could show.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// `value` ± 50 %.
    pub(crate) fn around(&mut self, value: u64) -> u64 {
        value / 2 + self.below(value.saturating_add(1))
    }
}
