//! `Order::Relaxed`: no fence holds anything up.
//!
//! A redirected command goes on at once, past later ones of its slot. One that must wait (TRYAGAIN, CLUSTERDOWN, no owner) is kept where
//! fences keep theirs, for its own time and without a claim on anybody's place.

use crate::engine::Engine;
use crate::engine::fence::Fence;
use crate::engine::in_flight::InFlight;
use crate::engine::time::Timestamp;

impl Engine {
    /// Sends what need not wait any longer.
    pub(crate) fn settle_relaxed(&mut self, slot: u16, now: Timestamp) {
        self.drop_unwanted(slot);
        let Some(owner) = self.slots.owner(slot) else {
            let Some(fence) = self.fences.get(slot) else { return };
            return match (fence.parked.is_empty(), fence.draining) {
                (false, _) => self.wait_for_owner(slot, now),
                (true, 0) => self.fences.lift(slot),
                (true, _) => {}
            };
        };
        for mut parked in self.fences.take_all(slot, |parked| parked.not_before <= now) {
            // Counted, so that what is known of its tries outlives this one.
            parked.entry.flags |= InFlight::FENCED;
            if let Some(fence) = self.fences.get_mut(slot) {
                fence.draining += 1;
            }
            match parked.ask {
                Some(target) => self.send_asking(target, parked.entry, &parked.bytes, now),
                None => self.send_on(owner, parked.entry, &parked.bytes, now),
            }
        }
        let Some(fence) = self.fences.get_mut(slot) else { return };
        fence.not_before = Timestamp::ZERO;
        let Fence { parked, tryagains, draining, .. } = fence;
        if *draining == 0 {
            tryagains
                .retain(|sequence, _| parked.binary_search_by_key(sequence, |held| held.sequence).is_ok());
        }
        match parked.iter().map(|parked| parked.not_before).min() {
            Some(until) => self.wait_until(slot, until),
            None if *draining == 0 => self.fences.lift(slot),
            None => {}
        }
    }
}
