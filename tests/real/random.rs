//! A small seeded generator: a failure prints its seed.

pub(crate) struct Random(u64);

impl Random {
    /// From `PANPIPE_TEST_SEED`, else always the same; printed, so that a failure can be repeated.
    pub(crate) fn from_environment() -> Self {
        let seed =
            std::env::var("PANPIPE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
        eprintln!("repeat with PANPIPE_TEST_SEED={seed}");
        Random(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
