//! What is done to a cluster on purpose: nodes join and leave, slots move, replicas take over.
//!
//! Every operation changes the truth and tells the nodes that listen. A node whose gossip is held, or that does not
//! run, keeps its stale view until it is let go. Invariant: the data of a slot is where the truth says its owner is,
//! but for keys in the middle of a migration.

use super::SLOT_COUNT;
use super::cluster::ModelCluster;
use super::node::{ModelNode, Process};
use super::slot_of;
use super::view::View;

impl ModelCluster {
    pub(crate) fn lay_out(&mut self) {
        let (primaries, replicas) = (self.config().primaries, self.config().replicas_per_primary);
        for _ in 0..primaries {
            self.add_node();
        }
        for primary in 0..primaries {
            for _ in 0..replicas {
                let replica = self.add_node();
                self.make_replica(replica, primary);
            }
        }
        if self.config().cluster_enabled {
            // The same split as `redis-cli --cluster create`: three primaries end at 5460, 10922 and 16383.
            let share = f64::from(SLOT_COUNT) / primaries as f64;
            let mut first = 0;
            for primary in 0..primaries {
                let end = (share * (primary + 1) as f64).round() as u16;
                (first..end).for_each(|slot| self.truth.set_owner(slot, Some(primary)));
                first = end;
            }
            // Everybody knows everything.
            self.nodes.iter_mut().for_each(|node| node.view.clone_from(&self.truth));
        }
    }

    /// Adds an empty primary that everybody knows. Its port follows from the configuration.
    pub fn add_node(&mut self) -> usize {
        let index = self.nodes.len();
        let (id, port) = (self.config().id_of(index), self.config().port_of(index));
        let host = self.config().host.clone();
        self.epoch += 1;
        let epoch = self.epoch;
        self.nodes.push(ModelNode::new(id, host, port, self.truth.clone()));
        self.tell_all(|view| {
            let peer = view.peer_mut(index);
            peer.is_known = true;
            peer.epoch = epoch;
        });
        index
    }

    /// Changes where a node is found. Everybody learns it at once.
    pub fn set_address(&mut self, node: usize, host: &str, port: u16) {
        self.nodes[node].host = host.into();
        self.nodes[node].port = port;
    }

    /// Makes a node without slots a replica; it takes a full copy.
    pub fn make_replica(&mut self, replica: usize, primary: usize) {
        self.nodes.iter_mut().for_each(|node| node.replicas.retain(|index| *index != replica));
        self.nodes[primary].replicas.push(replica);
        self.tell_all(|view| view.peer_mut(replica).primary = Some(primary));
        self.sync(replica, primary);
    }

    /// Takes a node out: the others forget it, it refuses connections, and slots it still owned have no owner.
    pub fn remove_node(&mut self, node: usize) {
        for slot in 0..SLOT_COUNT {
            if self.truth.owner(slot) == Some(node) {
                self.unassign_slot(slot);
            }
        }
        self.tell_all(|view| view.peer_mut(node).is_known = false);
        self.nodes.iter_mut().for_each(|other| other.replicas.retain(|index| *index != node));
        self.nodes[node].is_removed = true;
        self.disconnect_all(node);
    }

    /// The owner of a slot in truth.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        self.truth.owner(slot)
    }

    /// The owner of a slot in the eyes of one node.
    pub fn owner_seen_by(&self, node: usize, slot: u16) -> Option<usize> {
        self.nodes[node].view.owner(slot)
    }

    /// Plants a belief in one node alone. It lasts until the next news about that slot.
    pub fn set_owner_seen_by(&mut self, node: usize, slot: u16, owner: Option<usize>) {
        self.nodes[node].view.set_owner(slot, owner);
    }

    /// The primary of a node in truth; none for a primary.
    pub fn primary_of(&self, node: usize) -> Option<usize> {
        self.truth.primary_of(node)
    }

    /// Takes a slot away from everybody; its keys are dropped.
    pub fn unassign_slot(&mut self, slot: u16) {
        self.publish_owner(slot, None);
    }

    /// Gives a slot to a node, without moving data: keys left at an earlier owner are dropped.
    pub fn assign_slot(&mut self, slot: u16, to: usize) {
        self.publish_owner(slot, Some(to));
    }

    /// Moves a slot with its keys in one step, as atomic slot migration does: no ASK, then MOVED.
    pub fn move_slot(&mut self, slot: u16, to: usize) {
        if let Some(from) = self.truth.owner(slot) {
            self.transfer_slot(slot, from, to);
        }
        self.clear_migration(slot);
        self.bump_epoch(to);
        self.publish_owner(slot, Some(to));
    }

    /// Begins a migration: MIGRATING at the owner, IMPORTING at the target.
    pub fn begin_migration(&mut self, slot: u16, to: usize) {
        if let Some(from) = self.truth.owner(slot) {
            self.nodes[from].migrating.insert(slot, to);
            self.nodes[to].importing.insert(slot, from);
        }
    }

    /// Moves one key of a migrating slot. False when the slot does not migrate or the source does not have the key.
    pub fn migrate_key(&mut self, key: &[u8]) -> bool {
        let slot = slot_of(key);
        let Some(from) = self.truth.owner(slot) else { return false };
        let Some(&to) = self.nodes[from].migrating.get(&slot) else { return false };
        self.transfer_key(key, from, to)
    }

    /// Moves all keys of a migrating slot that the source has; the slot stays where it is.
    pub fn migrate_keys(&mut self, slot: u16) {
        let from = self.truth.owner(slot);
        let to = from.and_then(|from| self.nodes[from].migrating.get(&slot).copied());
        if let (Some(from), Some(to)) = (from, to) {
            self.transfer_slot(slot, from, to);
        }
    }

    /// The slots that migrate away from their owners, and to whom.
    pub fn migrations(&self) -> Vec<(u16, usize)> {
        let owned = |node: usize, slot: u16| self.truth.owner(slot) == Some(node);
        let all = self.nodes.iter().enumerate();
        let all =
            all.flat_map(|(node, server)| server.migrating.iter().map(move |(&slot, &to)| (node, slot, to)));
        all.filter(|&(node, slot, _)| owned(node, slot)).map(|(_, slot, to)| (slot, to)).collect()
    }

    /// Ends a migration: keys still at the source move, then the slot changes its owner.
    pub fn finish_migration(&mut self, slot: u16) {
        let target = self.truth.owner(slot).and_then(|from| self.nodes[from].migrating.get(&slot).copied());
        if let Some(to) = target {
            self.move_slot(slot, to);
        }
    }

    /// Ends a migration without effect: keys already at the target move back, the owner stays.
    pub fn cancel_migration(&mut self, slot: u16) {
        let Some(owner) = self.truth.owner(slot) else { return };
        if let Some(&target) = self.nodes[owner].migrating.get(&slot) {
            self.transfer_slot(slot, target, owner);
        }
        self.clear_migration(slot);
    }

    fn clear_migration(&mut self, slot: u16) {
        for node in &mut self.nodes {
            node.migrating.remove(&slot);
            node.importing.remove(&slot);
        }
    }

    /// Moves a key with its expiry between primaries, and on their replicas.
    pub(crate) fn transfer_key(&mut self, key: &[u8], from: usize, to: usize) -> bool {
        let Some(entry) = self.nodes[from].keyspace.remove(key) else { return false };
        for replica in self.synced_replicas(from).collect::<Vec<_>>() {
            self.nodes[replica].keyspace.remove(key);
        }
        for node in self.synced_replicas(to).chain([to]).collect::<Vec<_>>() {
            self.nodes[node].keyspace.insert(key, entry.value.clone(), entry.expires_at_ms);
        }
        true
    }

    fn transfer_slot(&mut self, slot: u16, from: usize, to: usize) {
        if from == to {
            return;
        }
        let keys: Vec<Vec<u8>> = self.nodes[from].keyspace.keys_in_slot(slot).map(<[u8]>::to_vec).collect();
        for key in keys {
            self.transfer_key(&key, from, to);
        }
    }

    /// Promotes a replica. Its former primary becomes its replica, at once or when it comes back.
    pub fn failover(&mut self, replica: usize) {
        let Some(former) = self.truth.primary_of(replica) else { return };
        let siblings = std::mem::take(&mut self.nodes[former].replicas);
        self.bump_epoch(replica);
        self.tell_all(|view| view.peer_mut(replica).primary = None);
        for slot in 0..SLOT_COUNT {
            if self.truth.owner(slot) == Some(former) {
                self.clear_migration(slot);
                self.publish_owner_keeping_data(slot, Some(replica));
            }
        }
        for sibling in siblings.into_iter().filter(|sibling| *sibling != replica) {
            self.make_replica(sibling, replica);
        }
        if self.nodes[former].runs() && !self.nodes[former].gossip_is_held {
            self.make_replica(former, replica);
        } else {
            self.nodes[former].replaced_by = Some(replica);
            self.tell_all(|view| view.peer_mut(former).has_failed = true);
        }
    }

    pub(crate) fn bump_epoch(&mut self, node: usize) {
        self.epoch += 1;
        let epoch = self.epoch;
        self.tell_all(|view| view.peer_mut(node).epoch = epoch);
    }

    /// Changes the truth, and the views of the nodes that listen.
    pub(crate) fn tell_all(&mut self, change: impl Fn(&mut View)) {
        change(&mut self.truth);
        for node in self.nodes.iter_mut().filter(|node| node.runs() && !node.gossip_is_held) {
            change(&mut node.view);
        }
    }

    /// A new owner of a slot. A primary that loses a slot drops the keys it still has of it.
    pub(crate) fn publish_owner(&mut self, slot: u16, owner: Option<usize>) {
        let former = self.truth.owner(slot).filter(|former| Some(*former) != owner);
        self.publish_owner_keeping_data(slot, owner);
        let Some(former) = former else { return };
        for node in self.synced_replicas(former).chain([former]).collect::<Vec<_>>() {
            self.nodes[node].keyspace.clear_slot(slot);
        }
    }

    fn publish_owner_keeping_data(&mut self, slot: u16, owner: Option<usize>) {
        self.tell_all(|view| view.set_owner(slot, owner));
    }

    /// A node that was out of touch learns the truth, and its place in it.
    pub(crate) fn converge(&mut self, node: usize) {
        if !self.nodes[node].runs() || self.nodes[node].gossip_is_held {
            return;
        }
        self.nodes[node].view = self.truth.clone();
        self.set_failed(node, false);
        if let Some(successor) = self.nodes[node].replaced_by.take() {
            self.make_replica(node, successor);
        } else if let Some(primary) = self.truth.primary_of(node) {
            self.sync(node, primary);
        }
    }

    pub(crate) fn sync(&mut self, replica: usize, primary: usize) {
        let target = &self.nodes[replica];
        if target.process == Process::Dead || target.replication_is_held {
            self.nodes[replica].needs_sync = true;
            return;
        }
        self.nodes[replica].keyspace = self.nodes[primary].keyspace.clone();
        self.nodes[replica].needs_sync = false;
    }
}
