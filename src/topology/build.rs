//! Collects what a reply says into a consistent [`Snapshot`], or refuses it.
//!
//! Knows when two mentions mean the same node, and when two claims on a slot contradict each other. Invariant:
//! a primary never becomes a replica, so a shard's index always names a primary.

use std::collections::BTreeMap;

use super::snapshot::{NODES_MAX, Role, SlotRange, Snapshot, SnapshotError, SnapshotNode};
use crate::config::Endpoint;

/// Other addresses kept for one node: an IP, a host name, and some to spare.
const ALIASES_MAX: usize = 8;

/// What a reply tells about a node, before its place in the cluster is known.
#[derive(Debug)]
pub(super) struct Mention {
    /// Empty where the reply tells none.
    pub(super) id: String,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) aliases: Vec<Endpoint>,
    pub(super) health_ok: bool,
    pub(super) config_epoch: Option<u64>,
}

/// A snapshot in the making.
#[derive(Debug, Default)]
pub(super) struct Builder {
    nodes: Vec<SnapshotNode>,
    by_id: BTreeMap<String, usize>,
    /// Only nodes without an id.
    by_endpoint: BTreeMap<Endpoint, usize>,
    ranges: Vec<SlotRange>,
}

impl Builder {
    /// Notes a primary and answers its index; `None` where nothing tells it from others.
    pub(super) fn primary(&mut self, mention: Mention) -> Result<Option<usize>, SnapshotError> {
        let at = match self.find(&mention) {
            Found::Known(at) => at,
            Found::New => self.add(mention, Role::Primary, None)?,
            Found::Nameless => return Ok(None),
        };
        if let Some(node) = self.nodes.get_mut(at) {
            node.role = Role::Primary;
            node.shard = at;
        }
        Ok(Some(at))
    }

    /// Notes a replica of this primary. The first mention of a node stands.
    pub(super) fn replica(&mut self, mention: Mention, primary: usize) -> Result<(), SnapshotError> {
        if let Found::New = self.find(&mention) {
            self.add(mention, Role::Replica, Some(primary))?;
        }
        Ok(())
    }

    /// Notes that the primary serves these slots. What is not a range of slots is skipped.
    pub(super) fn range(&mut self, start: u16, end: u16, primary: usize) {
        if start <= end && end < crate::slot::SLOT_COUNT {
            self.ranges.push(SlotRange { start, end, primary });
        }
    }

    /// The index of the node with this id.
    pub(super) fn by_id(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The snapshot, checked.
    pub(super) fn finish(mut self) -> Result<Snapshot, SnapshotError> {
        // Sorted, so that `validate` finds an overlap at its neighbour: as cheap for a million claims as for three.
        self.ranges.sort_by_key(|range| range.start);
        let mut ranges: Vec<SlotRange> = Vec::new();
        for range in self.ranges {
            match ranges.last_mut() {
                // The same claim twice is only said twice; and neighbours of one primary are one range.
                Some(last) if last.primary == range.primary && range.start <= last.end.saturating_add(1) => {
                    last.end = last.end.max(range.end);
                }
                _ => ranges.push(range),
            }
        }
        let snapshot = Snapshot { nodes: self.nodes, ranges };
        snapshot.validate().map(|()| snapshot)
    }

    fn find(&self, mention: &Mention) -> Found {
        let known = match &mention.endpoint {
            _ if !mention.id.is_empty() => self.by_id.get(&mention.id),
            Some(endpoint) => self.by_endpoint.get(endpoint),
            None => return Found::Nameless,
        };
        known.map_or(Found::New, |&at| Found::Known(at))
    }

    fn add(&mut self, mention: Mention, role: Role, shard: Option<usize>) -> Result<usize, SnapshotError> {
        let at = self.nodes.len();
        if at >= NODES_MAX {
            return Err(SnapshotError::TooManyNodes);
        }
        let Mention { id, endpoint, aliases, health_ok, config_epoch } = mention;
        if !id.is_empty() {
            self.by_id.insert(id.clone(), at);
        } else if let Some(endpoint) = &endpoint {
            self.by_endpoint.insert(endpoint.clone(), at);
        }
        let mut others: Vec<Endpoint> = Vec::new();
        for alias in aliases {
            if Some(&alias) != endpoint.as_ref() && !others.contains(&alias) && others.len() < ALIASES_MAX {
                others.push(alias);
            }
        }
        let shard = shard.unwrap_or(at);
        self.nodes.push(SnapshotNode { id, endpoint, aliases: others, role, shard, health_ok, config_epoch });
        Ok(at)
    }
}

enum Found {
    Known(usize),
    New,
    /// Neither id nor address.
    Nameless,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(id: &str, port: u16) -> Mention {
        Mention {
            id: id.into(),
            endpoint: (port != 0).then(|| Endpoint::new("h", port)),
            aliases: Vec::new(),
            health_ok: true,
            config_epoch: None,
        }
    }

    fn primary(builder: &mut Builder, id: &str, port: u16) -> usize {
        builder.primary(mention(id, port)).unwrap().unwrap()
    }

    #[test]
    fn ranges_come_out_sorted_and_joined() {
        let mut builder = Builder::default();
        let (a, b) = (primary(&mut builder, "a", 1), primary(&mut builder, "b", 2));
        for (start, end, node) in [(11, 20, b), (5, 9, a), (0, 4, a), (30, 40, a)] {
            builder.range(start, end, node);
        }
        let snapshot = builder.finish().unwrap();
        let ranges: Vec<_> = snapshot.ranges.iter().map(|r| (r.start, r.end, r.primary)).collect();
        assert_eq!(ranges, [(0, 9, a), (11, 20, b), (30, 40, a)]);
        assert_eq!(snapshot.covered(), 31);
        assert_eq!(snapshot.holes(), [(10, 10), (21, 29), (41, 16383)]);
    }

    #[test]
    fn no_hole_is_reported_where_all_slots_are_served() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.range(0, 16383, a);
        let snapshot = builder.finish().unwrap();
        assert_eq!((snapshot.covered(), snapshot.holes()), (16384, vec![]));
    }

    #[test]
    fn a_slot_of_two_nodes_is_refused_wherever_the_claims_stand() {
        for claims in [[(0, 10), (10, 20)], [(10, 20), (0, 10)], [(0, 100), (50, 60)], [(7, 7), (7, 7)]] {
            let mut builder = Builder::default();
            let (a, b) = (primary(&mut builder, "a", 1), primary(&mut builder, "b", 2));
            builder.range(claims[0].0, claims[0].1, a);
            builder.range(claims[1].0, claims[1].1, b);
            assert!(matches!(builder.finish(), Err(SnapshotError::SlotClaimedTwice { .. })), "{claims:?}");
        }
    }

    #[test]
    fn a_long_range_hides_no_contradiction_behind_a_short_one() {
        let mut builder = Builder::default();
        let (a, b) = (primary(&mut builder, "a", 1), primary(&mut builder, "b", 2));
        builder.range(0, 100, a);
        builder.range(1, 2, a);
        builder.range(90, 91, b);
        assert_eq!(builder.finish(), Err(SnapshotError::SlotClaimedTwice { slot: 90 }));
    }

    #[test]
    fn the_last_slot_can_be_a_hole() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.range(0, 16382, a);
        assert_eq!(builder.finish().unwrap().holes(), [(16383, 16383)]);
    }

    #[test]
    fn the_same_claim_said_twice_is_one_claim() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.range(0, 9, a);
        builder.range(0, 9, a);
        assert_eq!(builder.finish().unwrap().covered(), 10);
    }

    #[test]
    fn a_view_without_slots_is_refused() {
        let mut builder = Builder::default();
        primary(&mut builder, "a", 1);
        assert_eq!(builder.finish(), Err(SnapshotError::NoSlots));
    }

    #[test]
    fn what_is_no_range_is_skipped() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.range(5, 4, a);
        builder.range(16383, 16384, a);
        builder.range(3, 3, a);
        assert_eq!(builder.finish().unwrap().covered(), 1);
    }

    #[test]
    fn nodes_are_told_apart_by_id_and_without_one_by_address() {
        let mut builder = Builder::default();
        assert_eq!(primary(&mut builder, "a", 1), 0);
        assert_eq!(primary(&mut builder, "a", 2), 0);
        assert_eq!(primary(&mut builder, "", 1), 1);
        assert_eq!(primary(&mut builder, "", 1), 1);
        assert_eq!(builder.primary(mention("", 0)), Ok(None));
    }

    #[test]
    fn a_primary_stays_one_and_a_replica_may_become_one() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.replica(mention("a", 1), a).unwrap();
        builder.replica(mention("b", 2), a).unwrap();
        let b = primary(&mut builder, "b", 2);
        builder.range(0, 0, a);
        let snapshot = builder.finish().unwrap();
        let roles: Vec<_> = snapshot.nodes.iter().map(|node| (node.role, node.shard)).collect();
        assert_eq!(roles, [(Role::Primary, a), (Role::Primary, b)]);
    }

    #[test]
    fn the_number_of_nodes_is_bounded() {
        let mut builder = Builder::default();
        for number in 0..NODES_MAX {
            primary(&mut builder, &format!("n{number}"), 1);
        }
        assert_eq!(builder.primary(mention("n7", 1)), Ok(Some(7)));
        assert_eq!(builder.primary(mention("one more", 1)), Err(SnapshotError::TooManyNodes));
        assert_eq!(builder.replica(mention("one more", 1), 0), Err(SnapshotError::TooManyNodes));
    }

    #[test]
    fn aliases_are_kept_once_and_not_without_end() {
        let mut builder = Builder::default();
        let mut node = mention("a", 1);
        node.aliases = [1, 2, 2].into_iter().chain(3..100).map(|port| Endpoint::new("h", port)).collect();
        builder.primary(node).unwrap();
        builder.range(0, 0, 0);
        let snapshot = builder.finish().unwrap();
        let ports: Vec<_> = snapshot.nodes[0].aliases.iter().map(|alias| alias.port).collect();
        assert_eq!(ports, [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn validate_finds_what_a_hand_made_snapshot_breaks() {
        let mut builder = Builder::default();
        let a = primary(&mut builder, "a", 1);
        builder.replica(mention("b", 2), a).unwrap();
        builder.range(0, 10, a);
        let good = builder.finish().unwrap();
        let broken = |change: fn(&mut Snapshot)| {
            let mut snapshot = good.clone();
            change(&mut snapshot);
            snapshot.validate().unwrap_err()
        };
        assert!(matches!(broken(|s| s.nodes[1].shard = 1), SnapshotError::Malformed(_)));
        assert!(matches!(broken(|s| s.nodes[1].shard = 9), SnapshotError::Malformed(_)));
        assert!(matches!(broken(|s| s.ranges[0].primary = 1), SnapshotError::Malformed(_)));
        assert!(matches!(broken(|s| s.ranges[0].end = 16384), SnapshotError::Malformed(_)));
        assert_eq!(broken(|s| s.ranges.clear()), SnapshotError::NoSlots);
        assert_eq!(broken(|s| s.ranges.push(s.ranges[0])), SnapshotError::SlotClaimedTwice { slot: 0 });
        assert_eq!(
            broken(|s| s.nodes = vec![s.nodes[0].clone(); NODES_MAX + 1]),
            SnapshotError::TooManyNodes
        );
    }
}
