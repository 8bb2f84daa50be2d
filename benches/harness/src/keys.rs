//! Which key comes next: uniform, zipf or hotspot, from a seed.

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use rand_distr::{Distribution as _, Zipf};
use serde::{Deserialize, Serialize};

/// How often which key is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distribution {
    /// Every key as often as any other.
    Uniform,
    /// YCSB's: exponent 0.99; the popular keys are spread over all slots.
    Zipf,
    /// Four of five choices fall on one key in five.
    Hotspot,
    /// Every key once, one after the other.
    InOrder,
}

const ZIPF_EXPONENT: f64 = 0.99;
const HOT_CHOICES: f64 = 0.8;
const HOT_KEYS: f64 = 0.2;

/// A sequence of keys.
#[derive(Debug)]
pub(crate) struct Chooser {
    random: StdRng,
    keys: u32,
    distribution: Distribution,
    zipf: Zipf<f64>,
    /// The one that comes next in order.
    next: u32,
}

impl Chooser {
    pub(crate) fn new(distribution: Distribution, keys: u32, seed: u64) -> Chooser {
        // At least one key and a positive exponent: the only demands of the distribution.
        let zipf = Zipf::new(f64::from(keys.max(1)), ZIPF_EXPONENT).expect("one key at least");
        Chooser { random: StdRng::seed_from_u64(seed), keys: keys.max(1), distribution, zipf, next: 0 }
    }

    /// The next key's number.
    pub(crate) fn next_key(&mut self) -> u32 {
        match self.distribution {
            Distribution::Uniform => self.random.random_range(0..self.keys),
            Distribution::Zipf => {
                let rank = self.zipf.sample(&mut self.random) as u64;
                spread(rank.saturating_sub(1), self.keys)
            }
            Distribution::InOrder => {
                let key = self.next;
                self.next = (key + 1) % self.keys;
                key
            }
            Distribution::Hotspot => {
                let hot = ((f64::from(self.keys) * HOT_KEYS) as u32).max(1);
                if hot == self.keys || self.random.random_bool(HOT_CHOICES) {
                    self.random.random_range(0..hot)
                } else {
                    self.random.random_range(hot..self.keys)
                }
            }
        }
    }

    /// A number below 100.
    pub(crate) fn percent(&mut self) -> u8 {
        self.random.random_range(0..100)
    }
}

/// Gives neighbours in rank numbers far apart (Knuth's multiplicative hash).
fn spread(rank: u64, keys: u32) -> u32 {
    (rank.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 % keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(distribution: Distribution) -> Vec<usize> {
        let mut counts = vec![0; 1000];
        let mut chooser = Chooser::new(distribution, 1000, 7);
        for _ in 0..100_000 {
            counts[chooser.next_key() as usize] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn uniform_keys_are_chosen_about_equally_often() {
        let counts = counts(Distribution::Uniform);
        assert!(counts[0] < 200 && counts[999] > 50, "{} and {}", counts[0], counts[999]);
    }

    #[test]
    fn the_most_popular_zipf_key_takes_an_eighth() {
        // 1 / H(1000, 0.99) = 0.13
        let counts = counts(Distribution::Zipf);
        assert!((11_000..16_000).contains(&counts[0]), "{}", counts[0]);
    }

    #[test]
    fn a_fifth_of_the_keys_is_hot() {
        let counts = counts(Distribution::Hotspot);
        let hot: usize = counts[..200].iter().sum();
        assert!((79_000..81_500).contains(&hot), "{hot}");
    }

    #[test]
    fn in_order_every_key_comes_once() {
        let mut chooser = Chooser::new(Distribution::InOrder, 3, 7);
        let keys: Vec<u32> = (0..7).map(|_| chooser.next_key()).collect();
        assert_eq!(keys, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_keys() {
        let run = |seed| {
            let mut chooser = Chooser::new(Distribution::Zipf, 1000, seed);
            (0..50).map(|_| chooser.next_key()).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
