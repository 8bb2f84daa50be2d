//! Ratios of rounds, and whether they say anything.
//!
//! Rounds of two that take turns are compared pair by pair: what the machine did meanwhile met both. Two questions are asked of the
//! ratios, neither of which knows how they are distributed: how many favour one side (a sign test), and how far their median moves when
//! rounds are drawn again at random (a bootstrap).

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What two series of rounds say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// Medians.
    pub(super) a: f64,
    pub(super) b: f64,
    /// B over A, of each round.
    pub(super) ratios: Vec<f64>,
    pub(super) median: f64,
    /// Of 95 % of the bootstrap's medians.
    pub(super) interval: (f64, f64),
    /// How likely so uneven a count of rounds is where there is no difference.
    pub(super) chance: f64,
}

/// What they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Less,
    More,
    /// Nothing stands out of the noise.
    Open,
    /// Too few rounds to say.
    TooFew,
}

const DRAWS: usize = 10_000;
const SEED: u64 = 1;
/// Below this no count of rounds can be uneven enough: 2 / 2^6 is 3 %.
const ROUNDS_MIN: usize = 6;
const CHANCE_MAX: f64 = 0.05;

impl Comparison {
    /// Of rounds in the order in which they were run; a round that one side lacks is left out.
    pub(super) fn of(a: &[f64], b: &[f64]) -> Option<Comparison> {
        let usable = |value: &f64| value.is_finite() && *value > 0.0;
        let pairs: Vec<(f64, f64)> =
            a.iter().copied().zip(b.iter().copied()).filter(|(a, b)| usable(a) && usable(b)).collect();
        let ratios: Vec<f64> = pairs.iter().map(|(a, b)| b / a).collect();
        Some(Comparison {
            a: median(&mut pairs.iter().map(|pair| pair.0).collect::<Vec<_>>())?,
            b: median(&mut pairs.iter().map(|pair| pair.1).collect::<Vec<_>>())?,
            median: median(&mut ratios.clone())?,
            interval: bootstrap(&ratios)?,
            chance: sign_test(&ratios),
            ratios,
        })
    }

    /// Rounds in which B was lower.
    pub(super) fn lower(&self) -> usize {
        self.ratios.iter().filter(|&&ratio| ratio < 1.0).count()
    }

    /// The lowest ratio and the highest.
    pub(super) fn range(&self) -> (f64, f64) {
        let lowest = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        (lowest, self.ratios.iter().copied().fold(0.0, f64::max))
    }

    /// A difference stands out where both questions say so.
    pub(super) fn verdict(&self) -> Verdict {
        match self.interval {
            _ if self.ratios.len() < ROUNDS_MIN => Verdict::TooFew,
            (_, high) if high < 1.0 && self.chance < CHANCE_MAX => Verdict::Less,
            (low, _) if low > 1.0 && self.chance < CHANCE_MAX => Verdict::More,
            _ => Verdict::Open,
        }
    }
}

/// Sorts them.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// The interval that holds 95 % of the medians of samples drawn from the ratios, with replacement.
fn bootstrap(ratios: &[f64]) -> Option<(f64, f64)> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut drawn = vec![0.0; ratios.len()];
    let mut medians = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        for value in &mut drawn {
            *value = *ratios.get(random.random_range(0..ratios.len().max(1)))?;
        }
        medians.push(median(&mut drawn)?);
    }
    medians.sort_by(f64::total_cmp);
    Some((medians[DRAWS * 25 / 1000], medians[DRAWS * 975 / 1000 - 1]))
}

/// How likely it is that at least so many of the rounds that differ go the same way, by tossing a coin; both ways count.
fn sign_test(ratios: &[f64]) -> f64 {
    let lower = ratios.iter().filter(|&&ratio| ratio < 1.0).count();
    let higher = ratios.iter().filter(|&&ratio| ratio > 1.0).count();
    let (tosses, most) = (lower + higher, lower.max(higher));
    // Probabilities of 0, 1, 2, … heads: each from the one before.
    let mut probability = 0.5_f64.powi(i32::try_from(tosses).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for heads in 0..=tosses {
        if heads >= most {
            tail += probability;
        }
        probability *= (tosses - heads) as f64 / (heads + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(number: usize, around: f64, spread: f64) -> Vec<f64> {
        let mut random = StdRng::seed_from_u64(number as u64 + around.to_bits());
        (0..number).map(|_| around * (1.0 + spread * (random.random::<f64>() - 0.5))).collect()
    }

    #[test]
    fn medians_are_those_of_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn coins_are_tossed_correctly() {
        assert!((sign_test(&[0.9; 5]) - 0.0625).abs() < 1e-12);
        assert!((sign_test(&[0.9; 10]) - 2.0 / 1024.0).abs() < 1e-12);
        assert_eq!(sign_test(&[0.9, 1.1]), 1.0);
        assert_eq!(sign_test(&[1.0, 1.0]), 1.0);
        // 8 of 10: (45 + 10 + 1) / 1024, both ways.
        let mixed = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.1, 1.1];
        assert!((sign_test(&mixed) - 112.0 / 1024.0).abs() < 1e-12);
    }

    #[test]
    fn a_real_difference_stands_out_and_noise_does_not() {
        let a = rounds(21, 100.0, 0.1);
        let faster = Comparison::of(&a, &rounds(21, 92.0, 0.1)).unwrap();
        assert_eq!(faster.verdict(), Verdict::Less, "{faster:?}");
        assert!((0.88..0.96).contains(&faster.median) && faster.interval.0 <= faster.median);
        let slower = Comparison::of(&a, &rounds(21, 109.0, 0.1)).unwrap();
        assert_eq!(slower.verdict(), Verdict::More, "{slower:?}");
        let same = Comparison::of(&a, &rounds(21, 100.1, 0.1)).unwrap();
        assert_eq!(same.verdict(), Verdict::Open, "{same:?}");
    }

    #[test]
    fn few_rounds_say_nothing() {
        let few = Comparison::of(&[100.0; 3], &[50.0; 3]).unwrap();
        assert_eq!((few.verdict(), few.median, few.lower()), (Verdict::TooFew, 0.5, 3));
        assert_eq!(Comparison::of(&[], &[]), None);
        assert_eq!(Comparison::of(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn rounds_are_compared_pair_by_pair() {
        // The machine became slower by the round; B is always a tenth better.
        let a: Vec<f64> = (0..9).map(|round| 100.0 * 1.3_f64.powi(round)).collect();
        let b: Vec<f64> = a.iter().map(|a| 0.9 * a).collect();
        let compared = Comparison::of(&a, &b).unwrap();
        assert_eq!(compared.verdict(), Verdict::Less);
        let (low, high) = compared.range();
        assert!((low - 0.9).abs() < 1e-9 && (high - 0.9).abs() < 1e-9);
    }
}
