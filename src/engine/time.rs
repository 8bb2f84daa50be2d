//! Time as the engine sees it: a number that arrives as an argument and never goes back, but for the submits of one burst.

use std::time::Duration;

/// Nanoseconds since an epoch that the driver of the engine chose; the engine never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch.
    pub const ZERO: Timestamp = Timestamp(0);

    /// A later time than any other: "never".
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// This many nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Timestamp(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This much later.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Timestamp(self.0.saturating_add(wait.as_nanos() as u64))
    }

    /// This many milliseconds later.
    #[must_use]
    pub const fn after_ms(self, wait_ms: u64) -> Self {
        Timestamp(self.0.saturating_add(wait_ms.saturating_mul(1_000_000)))
    }

    /// Time passed since `earlier`; zero where that lies ahead.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
