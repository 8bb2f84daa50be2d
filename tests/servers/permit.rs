//! How many clusters may run at once in one test process: two cores cannot keep more of them alive.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Clusters that may run at the same time in one test process.
pub(crate) const CLUSTERS_AT_ONCE_MAX: usize = 2;

/// Longer than any test holds a cluster; a test that asks for a third cluster while it holds two ends here.
const PATIENCE: Duration = Duration::from_secs(900);

pub(super) static CLUSTERS: Permits = Permits::new(CLUSTERS_AT_ONCE_MAX);

/// One cluster more may run at once: for a program that is given the machine for an hour.
pub(crate) fn allow_one_more() {
    CLUSTERS.give();
}

/// A counting semaphore.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Mutex<usize>,
    returned: Condvar,
}

/// One taken permit; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) const fn new(free: usize) -> Self {
        Permits { free: Mutex::new(free), returned: Condvar::new() }
    }

    /// Waits for a permit.
    pub(crate) fn take(&self) -> Permit<'_> {
        let free = self.free.lock().unwrap();
        let (mut free, timeout) =
            self.returned.wait_timeout_while(free, PATIENCE, |free| *free == 0).unwrap();
        assert!(
            !timeout.timed_out(),
            "no permit for a cluster in {PATIENCE:?}: does this test hold them all?"
        );
        *free -= 1;
        Permit(self)
    }

    /// A permit, where one is free now.
    pub(crate) fn try_take(&self) -> Option<Permit<'_>> {
        let mut free = self.free.lock().unwrap();
        *free = free.checked_sub(1)?;
        Some(Permit(self))
    }
}

impl Permits {
    fn give(&self) {
        *self.free.lock().unwrap() += 1;
        self.returned.notify_one();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.give();
    }
}
