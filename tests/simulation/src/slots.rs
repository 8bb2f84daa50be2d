//! Slots change hands, and replicas take over: what is done to a cluster on purpose, at bad moments.

use panpipe::testkit::ModelCluster;

use crate::faults::Fault;
use crate::ops::{KEYS_PER_SLOT, Key};
use crate::options::Theme;
use crate::storm::Cure;
use crate::world::World;

/// More than the longest way there and back, with the pauses of a few refusals.
const QUIET_MS: u64 = 15;

impl World {
    /// A primary that is up and in touch: it can be a party to a hand-over.
    pub(crate) fn is_sound(&self, node: usize) -> bool {
        let cluster = self.net.cluster();
        let server = cluster.node(node);
        server.is_reachable()
            && !server.is_frozen()
            && !self.held.contains(&node)
            && cluster.primary_of(node).is_none()
    }

    pub(crate) fn hold(&mut self, node: usize) {
        self.held.insert(node);
        self.net.cluster_mut().hold_gossip(node);
        // Not for long where it is the moment of hearing that matters.
        let most_ms = if self.options.theme == Theme::HandOver { 10 } else { 300 };
        self.cure(Cure::Release(node), 0, most_ms);
    }

    /// One of the slots in use, with its owner, if a sound owner can give it to `target`.
    fn slot_for(&mut self, target: usize) -> Option<(u16, usize)> {
        let slot = *self.dice.pick(&self.slots)?;
        let owner = self.net.cluster().owner(slot)?;
        let is_fit = owner != target && self.is_sound(owner) && self.is_sound(target) && self.is_quiet(slot);
        is_fit.then_some((slot, owner))
    }

    pub(crate) fn begin_migration(&mut self, target: usize) -> bool {
        let Some((slot, _)) = self.slot_for(target) else { return false };
        if self.migrating.contains_key(&slot) {
            return false;
        }
        self.migrating.insert(slot, target);
        self.hush(slot);
        self.net.cluster_mut().begin_migration(slot, target);
        true
    }

    /// In a plain hand-over a slot changes once within what is in flight at a time.
    fn is_quiet(&self, slot: u16) -> bool {
        self.quiet_until.get(&slot).is_none_or(|&until| until <= self.net.now())
    }

    fn hush(&mut self, slot: u16) {
        if self.options.theme == Theme::HandOver {
            self.quiet_until.insert(slot, self.net.now().after_ms(QUIET_MS));
        }
    }

    /// Its owner has changed, or has heard that it is the owner.
    pub(crate) fn hush_slots_of(&mut self, node: usize) {
        for slot in self.slots.clone() {
            if self.net.cluster().owner(slot) == Some(node) {
                self.hush(slot);
            }
        }
    }

    fn any_migrating(&mut self) -> Option<(u16, usize)> {
        let all: Vec<(u16, usize)> = self.migrating.iter().map(|(&slot, &target)| (slot, target)).collect();
        let &(slot, target) = self.dice.pick(&all)?;
        let owner = self.net.cluster().owner(slot)?;
        (self.is_sound(owner) && self.is_sound(target) && self.is_quiet(slot)).then_some((slot, target))
    }

    pub(crate) fn migrate_key(&mut self) -> bool {
        let Some((slot, _)) = self.any_migrating() else { return false };
        self.hush(slot);
        let place = self.dice.below(KEYS_PER_SLOT as u64) as usize;
        let slot = self.slots.iter().position(|&used| used == slot).unwrap_or(0);
        let name = Key { slot, place }.name(&self.tags);
        self.net.cluster_mut().migrate_key(name.as_bytes())
    }

    pub(crate) fn finish_migration(&mut self) -> bool {
        let Some((slot, _)) = self.any_migrating() else { return false };
        self.migrating.remove(&slot);
        self.hush(slot);
        self.net.cluster_mut().finish_migration(slot);
        true
    }

    pub(crate) fn cancel_migration(&mut self) -> bool {
        let Some((slot, _)) = self.any_migrating() else { return false };
        self.migrating.remove(&slot);
        self.net.cluster_mut().cancel_migration(slot);
        true
    }

    pub(crate) fn move_slot(&mut self, target: usize, target_is_late: bool) -> bool {
        let Some((slot, _)) = self.slot_for(target) else { return false };
        if self.migrating.remove(&slot).is_some() {
            self.net.cluster_mut().cancel_migration(slot);
        }
        self.hush(slot);
        if target_is_late {
            self.hold(target);
        }
        self.net.cluster_mut().move_slot(slot, target);
        true
    }

    pub(crate) fn fail_over(&mut self, fault: Fault) -> bool {
        let cluster = self.net.cluster();
        let replicas: Vec<(usize, usize)> = (0..cluster.nodes_len())
            .filter_map(|node| Some((node, cluster.primary_of(node)?)))
            .filter(|&(replica, _)| self.is_up(replica))
            .collect();
        let Some(&(replica, former)) = self.dice.pick(&replicas) else { return false };
        let owns_or_takes = |(slot, target): (&u16, &usize)| {
            (self.net.cluster().owner(*slot) == Some(former) || *target == former).then_some(*slot)
        };
        let touched: Vec<u16> = self.migrating.iter().filter_map(owns_or_takes).collect();
        for slot in touched {
            self.migrating.remove(&slot);
            self.net.cluster_mut().cancel_migration(slot);
        }
        match fault {
            Fault::FailOverStale if self.is_sound(former) => self.hold(former),
            Fault::FailOverDead => {
                self.net.cluster_mut().kill(former);
                self.cure(Cure::Restart(former), 20, 800);
            }
            Fault::FailOverFrozen => {
                self.net.cluster_mut().freeze(former);
                self.cure(Cure::Thaw(former), 20, 1_500);
            }
            _ => {}
        }
        let cluster: &mut ModelCluster = self.net.cluster_mut();
        cluster.failover(replica);
        true
    }

    fn is_up(&self, node: usize) -> bool {
        let server = self.net.cluster().node(node);
        server.is_reachable() && !server.is_frozen() && !self.held.contains(&node)
    }
}
