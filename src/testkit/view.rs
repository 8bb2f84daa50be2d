//! What one node believes about the cluster: who owns which slot, who is whose replica, who has failed.
//!
//! Each node has its own view, and it may be stale. Invariants: `assigned` counts the slots with an owner; an owner
//! is an index of `peers`.

use super::SLOT_COUNT;

const NOBODY: u16 = u16::MAX;

/// One member as a view sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Peer {
    /// Met, and not forgotten since.
    pub(crate) is_known: bool,
    /// The primary it replicates; none for a primary.
    pub(crate) primary: Option<usize>,
    pub(crate) has_failed: bool,
    pub(crate) epoch: u64,
}

/// The cluster in the eyes of one node.
#[derive(Debug, Clone)]
pub(crate) struct View {
    owners: Vec<u16>,
    assigned: usize,
    pub(crate) peers: Vec<Peer>,
}

impl View {
    pub(crate) fn new() -> Self {
        View { owners: vec![NOBODY; usize::from(SLOT_COUNT)], assigned: 0, peers: Vec::new() }
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<usize> {
        let owner = self.owners[usize::from(slot)];
        (owner != NOBODY).then_some(usize::from(owner))
    }

    pub(crate) fn set_owner(&mut self, slot: u16, owner: Option<usize>) {
        let entry = &mut self.owners[usize::from(slot)];
        self.assigned -= usize::from(*entry != NOBODY);
        *entry = owner.map_or(NOBODY, |owner| owner as u16);
        self.assigned += usize::from(*entry != NOBODY);
    }

    /// How many slots have an owner.
    pub(crate) fn assigned(&self) -> usize {
        self.assigned
    }

    pub(crate) fn covers_all(&self) -> bool {
        self.assigned == usize::from(SLOT_COUNT)
    }

    /// Runs of slots with the same owner, in order: first, last, owner.
    pub(crate) fn ranges(&self) -> Vec<(u16, u16, usize)> {
        let mut ranges: Vec<(u16, u16, usize)> = Vec::new();
        let mut start = 0;
        for run in self.owners.chunk_by(|a, b| a == b) {
            let end = start + run.len() as u16;
            if run[0] != NOBODY {
                ranges.push((start, end - 1, usize::from(run[0])));
            }
            start = end;
        }
        ranges
    }

    pub(crate) fn is_known(&self, node: usize) -> bool {
        self.peers.get(node).is_some_and(|peer| peer.is_known)
    }

    /// The entry of a member, made when it is new.
    pub(crate) fn peer_mut(&mut self, node: usize) -> &mut Peer {
        if self.peers.len() <= node {
            self.peers.resize(node + 1, Peer::default());
        }
        &mut self.peers[node]
    }

    pub(crate) fn primary_of(&self, node: usize) -> Option<usize> {
        self.peers.get(node).and_then(|peer| peer.primary)
    }

    /// Known members in the order of their index.
    pub(crate) fn members(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.peers.iter().enumerate().filter(|(_, peer)| peer.is_known)
    }

    /// Known replicas of a primary.
    pub(crate) fn replicas_of(&self, primary: usize) -> impl Iterator<Item = (usize, &Peer)> {
        self.members().filter(move |(_, peer)| peer.primary == Some(primary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_runs_of_one_owner() {
        let mut view = View::new();
        (0..100).for_each(|slot| view.set_owner(slot, Some(0)));
        view.set_owner(50, Some(1));
        view.set_owner(60, None);
        assert_eq!(view.ranges(), [(0, 49, 0), (50, 50, 1), (51, 59, 0), (61, 99, 0)]);
        assert_eq!(view.assigned(), 99);
    }
}
