//! Rates: credit that grows with time, up to a burst.
//!
//! Knows numbers and times; refuses to sleep. Invariant: in any time `t` no more is spent than `rate * t` and one burst, beside the last command.

use std::time::Duration;

use crate::engine::Timestamp;

const NANOS: u128 = 1_000_000_000;
/// The part of a second's credit that a burst may have.
const BURST: u64 = 20;

/// Credit of one kind.
#[derive(Debug)]
pub(super) struct Credit {
    /// Per second; `None` is without limit.
    rate: Option<u64>,
    /// Below zero where the last command took more than there was.
    left: i64,
    /// Up to when it has grown.
    grown: Timestamp,
}

impl Credit {
    pub(super) fn new(rate: Option<u64>, now: Timestamp) -> Self {
        let left = rate.map_or(i64::MAX, burst);
        Credit { rate, left, grown: now }
    }

    #[inline(always)]
    pub(super) fn is_spent(&self) -> bool {
        self.left <= 0
    }

    #[inline(always)]
    pub(super) fn spend(&mut self, amount: usize) {
        // Without a limit it lasts for longer than anything: 2^63 bytes.
        self.left -= amount as i64;
    }

    /// Lets it grow; answers how long it takes until there is some.
    pub(super) fn grow(&mut self, now: Timestamp) -> Duration {
        let Some(rate) = self.rate else {
            self.left = i64::MAX;
            return Duration::ZERO;
        };
        let nanos = now.since(self.grown).as_nanos();
        let grown = nanos * u128::from(rate) / NANOS;
        // What is not a whole unit goes on growing.
        self.grown = self.grown.after(Duration::from_nanos((grown * NANOS / u128::from(rate)) as u64));
        self.left = self.left.saturating_add(i64::try_from(grown).unwrap_or(i64::MAX));
        if self.left >= burst(rate) {
            self.left = burst(rate);
            self.grown = now;
        }
        if self.left > 0 {
            return Duration::ZERO;
        }
        let missing = u128::from(self.left.unsigned_abs()) + 1;
        let due = self.grown.after(Duration::from_nanos((missing * NANOS).div_ceil(u128::from(rate)) as u64));
        due.since(now)
    }
}

fn burst(rate: u64) -> i64 {
    i64::try_from((rate / BURST).max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO.after_ms(ms)
    }

    #[test]
    fn no_more_than_the_rate_and_a_burst() {
        for rate in [1, 3, 20, 999, 100_000] {
            let mut credit = Credit::new(Some(rate), at(0));
            let mut spent = 0;
            for ms in 0..10_000 {
                let wait = credit.grow(at(ms));
                assert_eq!(wait.is_zero(), !credit.is_spent());
                while !credit.is_spent() {
                    credit.spend(1);
                    spent += 1;
                }
                assert!(spent <= rate * ms / 1000 + (rate / 20).max(1), "{rate} {ms} {spent}");
            }
            assert!(spent >= rate * 9_998 / 1000, "{rate} {spent}");
        }
    }

    #[test]
    fn the_wait_is_exact_and_a_debt_is_paid() {
        let mut credit = Credit::new(Some(1000), at(0));
        credit.spend(1050);
        let wait = credit.grow(at(0));
        assert_eq!(wait, Duration::from_millis(1001));
        assert!(!credit.grow(at(1000)).is_zero());
        assert!(credit.grow(at(1001)).is_zero());
        let mut free = Credit::new(None, at(0));
        free.spend(usize::MAX / 4);
        assert!(!free.is_spent());
    }
}
