//! Which of two accounts of a slot is to be believed: what is known, or what a view says.
//!
//! ```text
//!                          the view names an owner          the view names none
//! slot without owner       the view's owner                 stays without
//! known before the view    the view's owner                 the owner stays, marked stale
//!   was asked for
//! known since              the owner stays (contradicted,   the owner stays
//!                          where the view differs)
//! ```
//!
//! A MOVED that came after the question was *sent* is newer than the answer, whenever that arrives: the answer
//! may have been written before. And a view that serves fewer slots than ours comes from a node that just
//! joined, was reset or forgotten as often as from one that knows better, so it takes no slot away.
//!
//! Knows slots, node indices and times. Refuses to read a clock (a time is nanoseconds since some start, the same
//! for all) and to act: the caller moves commands from the old owner to the new one *before* it lets
//! [`SlotKnowledge::adopt`] write the new one down.

use std::fmt;

use super::slot_table::{NodeIndex, SlotTable};
use super::snapshot::{SlotRange, Snapshot};
use crate::slot::SLOT_COUNT;

const SLOTS: usize = SLOT_COUNT as usize;

/// What is known about every slot: its owner, since when, and whether it is in doubt.
#[derive(Clone)]
pub struct SlotKnowledge {
    owners: SlotTable,
    /// When the owner was learned or last confirmed. Means nothing where there is none.
    learned_at_ns: Box<[u64; SLOTS]>,
    /// The owner was missing in a later view. One bit for each slot.
    stale: Box<[u64; SLOTS / 64]>,
}

impl SlotKnowledge {
    /// Nothing is known.
    pub fn new() -> Self {
        SlotKnowledge {
            owners: SlotTable::new(),
            learned_at_ns: Box::new([0; SLOTS]),
            stale: Box::new([0; SLOTS / 64]),
        }
    }

    /// The slot's owner.
    #[inline]
    pub fn owner(&self, slot: u16) -> Option<NodeIndex> {
        self.owners.get(slot)
    }

    /// When the owner was learned or last confirmed; `None` where there is none.
    pub fn learned_at_ns(&self, slot: u16) -> Option<u64> {
        self.owner(slot).and(self.learned_at_ns.get(usize::from(slot)).copied())
    }

    /// Whether a later view did not name the owner any more: worth a try, and a reason to ask again.
    pub fn is_stale(&self, slot: u16) -> bool {
        let (word, bit) = stale_bit(slot);
        self.stale.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// All owners.
    pub fn owners(&self) -> &SlotTable {
        &self.owners
    }

    /// Notes what a MOVED said. Answers whether that is another owner than before.
    pub fn learn(&mut self, slot: u16, owner: NodeIndex, at_ns: u64) -> bool {
        let changed = self.owner(slot) != Some(owner);
        self.owners.set(slot, Some(owner));
        if let Some(learned_at_ns) = self.learned_at_ns.get_mut(usize::from(slot)) {
            *learned_at_ns = at_ns;
        }
        self.set_stale(slot, false);
        changed
    }

    /// Leaves all slots of a node without owner: the node is gone and its index is about to be used again.
    /// Answers how many there were.
    pub fn disown(&mut self, node: NodeIndex) -> usize {
        let mut count = 0usize;
        for slot in 0..SLOT_COUNT {
            if self.owner(slot) == Some(node) {
                self.owners.set(slot, None);
                self.set_stale(slot, false);
                count = count.saturating_add(1);
            }
        }
        count
    }

    /// Writes down what [`merge`] found, and what the view confirms. Run twice, the second run changes nothing.
    pub fn adopt(&mut self, view: &View<'_>) -> MergeSummary {
        let mut summary = MergeSummary::default();
        for (slot, named) in view.owners() {
            let verdict = self.judge(slot, named, view.sent_at_ns);
            summary.count(verdict);
            match (verdict, named) {
                (Verdict::Changed | Verdict::Confirmed, Some(owner)) => {
                    self.learn(slot, owner, view.sent_at_ns);
                }
                (Verdict::Stale, _) => self.set_stale(slot, true),
                _ => {}
            }
        }
        summary
    }

    fn judge(&self, slot: u16, named: Option<NodeIndex>, sent_at_ns: u64) -> Verdict {
        let newer = self.learned_at_ns(slot).is_some_and(|learned_at_ns| learned_at_ns >= sent_at_ns);
        match (self.owner(slot), named) {
            (None, None) => Verdict::Unserved,
            (None, Some(_)) => Verdict::Changed,
            (Some(_), None) if newer => Verdict::Kept,
            (Some(_), None) => Verdict::Stale,
            (Some(owner), Some(named)) if owner == named && newer => Verdict::Kept,
            (Some(owner), Some(named)) if owner == named => Verdict::Confirmed,
            (Some(_), Some(_)) if newer => Verdict::Contradicted,
            (Some(_), Some(_)) => Verdict::Changed,
        }
    }

    fn set_stale(&mut self, slot: u16, stale: bool) {
        let (word, bit) = stale_bit(slot);
        if let Some(bits) = self.stale.get_mut(word) {
            *bits = if stale { *bits | bit } else { *bits & !bit };
        }
    }
}

impl Default for SlotKnowledge {
    fn default() -> Self {
        SlotKnowledge::new()
    }
}

impl fmt::Debug for SlotKnowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stale: u32 = self.stale.iter().map(|bits| bits.count_ones()).sum();
        f.debug_struct("SlotKnowledge").field("owners", &self.owners).field("stale_slots", &stale).finish()
    }
}

fn stale_bit(slot: u16) -> (usize, u64) {
    (usize::from(slot / 64), 1 << (slot % 64))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Changed,
    Confirmed,
    Kept,
    Contradicted,
    Stale,
    Unserved,
}

/// A snapshot whose nodes have their indices, and the time when it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    ranges: &'a [SlotRange],
    nodes: &'a [Option<NodeIndex>],
    sent_at_ns: u64,
}

impl<'a> View<'a> {
    /// A view from a valid snapshot, from the index of each of its nodes as
    /// [`NodeTable::resolve_all`](super::NodeTable::resolve_all) answers them (the slots of a node without index
    /// are as good as unserved), and from the time when the question was *sent*.
    pub fn new(snapshot: &'a Snapshot, nodes: &'a [Option<NodeIndex>], sent_at_ns: u64) -> Self {
        View { ranges: &snapshot.ranges, nodes, sent_at_ns }
    }

    /// Every slot with the owner that the view names.
    fn owners(&self) -> impl Iterator<Item = (u16, Option<NodeIndex>)> + use<'a> {
        let nodes = self.nodes;
        let mut ranges = self.ranges.iter().peekable();
        (0..SLOT_COUNT).map(move |slot| {
            while ranges.next_if(|range| range.end < slot).is_some() {}
            let range = ranges.peek().filter(|range| range.start <= slot);
            (slot, range.and_then(|range| nodes.get(range.primary).copied().flatten()))
        })
    }
}

/// A slot that gets another owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotChange {
    /// The slot.
    pub slot: u16,
    /// Its owner so far.
    pub from: Option<NodeIndex>,
    /// Its owner now.
    pub to: NodeIndex,
}

/// What became of the slots in a merge. Together the numbers are 16384.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeSummary {
    /// Got another owner.
    pub changed: u32,
    /// The view names the known owner.
    pub confirmed: u32,
    /// Known since the question was sent, and not contradicted.
    pub kept: u32,
    /// Known since the question was sent, and the view names another owner: a reason to ask again.
    pub contradicted: u32,
    /// Keep an owner that the view does not name: a reason to ask another node.
    pub stale: u32,
    /// Have no owner, before and after.
    pub unserved: u32,
}

impl MergeSummary {
    fn count(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Changed => &mut self.changed,
            Verdict::Confirmed => &mut self.confirmed,
            Verdict::Kept => &mut self.kept,
            Verdict::Contradicted => &mut self.contradicted,
            Verdict::Stale => &mut self.stale,
            Verdict::Unserved => &mut self.unserved,
        };
        *count = count.saturating_add(1);
    }
}

/// Compares a view with what is known and appends every slot whose owner changes to `changes`, in order.
///
/// Writes nothing down: that is [`SlotKnowledge::adopt`]'s, which decides the same.
pub fn merge(known: &SlotKnowledge, view: &View<'_>, changes: &mut Vec<SlotChange>) -> MergeSummary {
    let mut summary = MergeSummary::default();
    for (slot, named) in view.owners() {
        let verdict = known.judge(slot, named, view.sent_at_ns);
        summary.count(verdict);
        if let (Verdict::Changed, Some(to)) = (verdict, named) {
            changes.push(SlotChange { slot, from: known.owner(slot), to });
        }
    }
    summary
}

#[cfg(test)]
mod tests;
