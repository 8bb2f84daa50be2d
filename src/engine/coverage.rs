//! Slots without an owner: who waits for one, who fails at once, and why a client cannot start.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind};

impl Engine {
    /// Whether a command to this slot fails at once because the topology is known and nobody serves the slot.
    pub(crate) fn fails_fast(&self, slot: u16) -> bool {
        self.config.fail_fast_uncovered && self.has_topology() && self.slots.owner(slot).is_none()
    }

    /// Fails what waits for a slot that nobody serves.
    #[cold]
    pub(crate) fn fail_uncovered(&mut self, slot: u16) {
        for parked in self.fences.take_all(slot, |_| true) {
            let hops = u32::from(parked.entry.hops);
            let error = Error::not_executed(ErrorKind::SlotNotServed { slot }).with_counts(hops, hops);
            self.fail_entry(&parked.entry, error);
            self.drop_entry(&parked.entry);
        }
        self.fences.wake(slot);
    }

    /// Why there is no topology and will not be soon: every seed has been tried and failed.
    pub fn start_failure(&self) -> Option<Error> {
        if self.links.iter().any(|link| link.for_now || link.is_open()) {
            // A full server, or one that loads its data, may have room or be ready before the deadline.
            return None;
        }
        self.last_start_failure()
    }

    /// What the attempts to connect came to so far.
    pub fn last_start_failure(&self) -> Option<Error> {
        let failures: Vec<(&ErrorKind, String)> = self
            .links
            .iter()
            .map(|link| link.last_failure.as_ref().map(|kind| (kind, link.name())))
            .collect::<Option<_>>()?;
        let telling = |kind: &ErrorKind| match kind {
            ErrorKind::Auth(_) => 0,
            ErrorKind::NotCluster { .. } => 1,
            ErrorKind::Connect { .. } => 3,
            _ => 2,
        };
        let (kind, name) = failures.into_iter().min_by_key(|(kind, _)| telling(kind))?;
        let error = Error::not_executed(kind.clone());
        Some(if matches!(kind, ErrorKind::Auth(_)) { error.at_node(name) } else { error })
    }

    /// What the last useless view said, for the message when a start takes too long.
    pub fn last_refresh_failure(&self) -> Option<&str> {
        self.refresh.last_failure.as_deref()
    }

    /// Fails a slot lookup for callers that want to know at once.
    pub fn is_served(&self, slot: u16) -> bool {
        self.slots.owner(slot).is_some()
    }
}
