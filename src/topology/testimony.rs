//! Whom to believe where nodes contradict each other: several nodes' CLUSTER NODES, joined into one view.
//!
//! Every claim on a slot carries the config epoch under which its node won it; of two claims the higher epoch is
//! the later one. But a primary that was cut off keeps announcing its old slots, and nobody has told it of the
//! new epoch. So only those are heard who are on the majority's side:
//!
//! 1. nodes that say `cluster_state:ok`;
//! 2. where no node says so (one unserved slot makes all of them say `fail`), nodes that see most of the primaries
//!    with slots well.
//!
//! Knows views and epochs. Refuses to know who gave a view, and what is believed already.

use std::collections::BTreeMap;

use super::snapshot::{Role, SlotRange, Snapshot, SnapshotNode};
use crate::slot::SLOT_COUNT;

/// One node's word.
#[derive(Debug)]
pub struct Testimony {
    /// `cluster_state` of its CLUSTER INFO; `None` where it does not tell.
    pub state_ok: Option<bool>,
    /// Its CLUSTER NODES.
    pub view: Snapshot,
}

impl Testimony {
    /// Whether the node sees most of the primaries that own slots well.
    fn sees_the_majority(&self) -> bool {
        let owners: BTreeMap<usize, bool> = self
            .view
            .ranges
            .iter()
            .map(|range| (range.primary, self.view.nodes.get(range.primary).is_some_and(|n| n.health_ok)))
            .collect();
        let well = owners.values().filter(|well| **well).count();
        well.saturating_mul(2) > owners.len()
    }
}

/// `cluster_state` of a CLUSTER INFO reply.
pub fn state_ok(info: &[u8]) -> Option<bool> {
    let mut lines = info.split(|&byte| byte == b'\n').map(|line| line.trim_ascii());
    let state = lines.find_map(|line| line.strip_prefix(b"cluster_state:"))?;
    Some(state == b"ok")
}

/// Who of these is on the majority's side, by place.
pub fn trusted(testimonies: &[Testimony]) -> Vec<usize> {
    let all = || testimonies.iter().enumerate();
    let well: Vec<usize> = all()
        .filter(|(_, said)| {
            said.state_ok == Some(true) || (said.state_ok.is_none() && said.sees_the_majority())
        })
        .map(|(at, _)| at)
        .collect();
    if !well.is_empty() {
        return well;
    }
    all().filter(|(_, said)| said.sees_the_majority()).map(|(at, _)| at).collect()
}

/// One view of all: every slot with the claim of the highest config epoch, the earlier one where they are equal. It names
/// the owners only. `None` where nothing was said.
pub fn join<'a>(views: impl IntoIterator<Item = &'a Snapshot>) -> Option<Snapshot> {
    let mut nodes: Vec<SnapshotNode> = Vec::new();
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    let mut best: Vec<Option<(u64, usize)>> = vec![None; usize::from(SLOT_COUNT)];
    for view in views {
        for range in &view.ranges {
            let Some(owner) = view.nodes.get(range.primary).filter(|owner| !owner.id.is_empty()) else {
                continue;
            };
            let at = *by_id.entry(&owner.id).or_insert_with(|| {
                let shard = nodes.len();
                nodes.push(SnapshotNode { role: Role::Primary, shard, ..owner.clone() });
                shard
            });
            if let Some(node) = nodes.get_mut(at).filter(|node| node.endpoint.is_none()) {
                node.endpoint.clone_from(&owner.endpoint);
            }
            let epoch = owner.config_epoch.unwrap_or(0);
            let slots = usize::from(range.start)..=usize::from(range.end);
            for claim in best.get_mut(slots).into_iter().flatten() {
                if claim.is_none_or(|(highest, _)| epoch > highest) {
                    *claim = Some((epoch, at));
                }
            }
        }
    }
    let snapshot = Snapshot { nodes, ranges: runs(&best) };
    snapshot.validate().is_ok().then_some(snapshot)
}

fn runs(best: &[Option<(u64, usize)>]) -> Vec<SlotRange> {
    let mut ranges: Vec<SlotRange> = Vec::new();
    for (slot, claim) in (0..SLOT_COUNT).zip(best) {
        let Some((_, primary)) = *claim else { continue };
        match ranges.last_mut() {
            Some(last) if last.primary == primary && last.end.saturating_add(1) == slot => last.end = slot,
            _ => ranges.push(SlotRange { start: slot, end: slot, primary }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;
