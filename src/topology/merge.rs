//! Which of two accounts of a slot is to be believed: what is known, or what a view says.
//!
//! ```text
//!                          the view names an owner          the view names none
//! slot without owner       the view's owner                 stays without
//! known before the view    the view's owner                 the owner stays, marked stale
//!   was asked for
//! known from a fresh       the owner stays (disputed,       the owner stays, marked stale
//!   MOVED, or from another where the view differs)
//!   node's fresh view
//! known since              the owner stays (contradicted,   the owner stays
//!                          where the view differs)
//! ```
//!
//! A MOVED that came after the question was *sent* is newer than the answer, whenever that arrives: the answer
//! may have been written before. And a view that serves fewer slots than ours comes from a node that just
//! joined, was reset or forgotten as often as from one that knows better, so it takes no slot away: only a view
//! that was [confirmed](View::confirmed) by several nodes does.
//!
//! Knows slots, node indices and times. Refuses to read a clock (a time is nanoseconds since some start, the same
//! for all) and to act: the caller moves commands from the old owner to the new one *before* it lets
//! [`SlotKnowledge::adopt`] write the new one down.

use std::fmt;

use super::slot_table::{NodeIndex, SlotTable};
use super::snapshot::{SlotRange, Snapshot};
use crate::slot::SLOT_COUNT;

const SLOTS: usize = SLOT_COUNT as usize;

/// No node.
const NOBODY: NodeIndex = NodeIndex::MAX;

/// What is known about every slot: its owner, since when, and whether it is in doubt.
#[derive(Clone)]
pub struct SlotKnowledge {
    owners: SlotTable,
    /// When the owner was learned or last confirmed. Means nothing where there is none.
    learned_at_ns: Box<[u64; SLOTS]>,
    /// The owner was missing in a later view. One bit for each slot.
    stale: Box<[u64; SLOTS / 64]>,
    /// Who named the owner in a MOVED that no view has confirmed yet, or nobody.
    told_by: Box<[NodeIndex; SLOTS]>,
}

impl SlotKnowledge {
    /// Nothing is known.
    pub fn new() -> Self {
        SlotKnowledge {
            owners: SlotTable::new(),
            learned_at_ns: Box::new([0; SLOTS]),
            stale: Box::new([0; SLOTS / 64]),
            told_by: Box::new([NOBODY; SLOTS]),
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
        has_bit(&self.stale, slot)
    }

    /// All owners.
    pub fn owners(&self) -> &SlotTable {
        &self.owners
    }

    /// Notes what a MOVED from node `told_by` said. Answers whether that is another owner than before.
    pub fn learn(&mut self, slot: u16, owner: NodeIndex, told_by: NodeIndex, at_ns: u64) -> bool {
        let changed = self.owner(slot) != Some(owner);
        self.note(slot, owner, at_ns);
        self.set_told_by(slot, told_by);
        changed
    }

    fn note(&mut self, slot: u16, owner: NodeIndex, at_ns: u64) {
        self.owners.set(slot, Some(owner));
        if let Some(learned_at_ns) = self.learned_at_ns.get_mut(usize::from(slot)) {
            *learned_at_ns = at_ns;
        }
        set_bit(&mut self.stale, slot, false);
        self.set_told_by(slot, NOBODY);
    }

    fn set_told_by(&mut self, slot: u16, node: NodeIndex) {
        if let Some(told_by) = self.told_by.get_mut(usize::from(slot)) {
            *told_by = node;
        }
    }

    fn forget(&mut self, slot: u16) {
        self.owners.set(slot, None);
        set_bit(&mut self.stale, slot, false);
        self.set_told_by(slot, NOBODY);
    }

    /// Leaves all slots of a node without owner: the node is gone and its index is about to be used again.
    /// Answers how many there were.
    pub fn disown(&mut self, node: NodeIndex) -> usize {
        let mut count = 0usize;
        for slot in 0..SLOT_COUNT {
            if self.owner(slot) == Some(node) {
                self.forget(slot);
                count = count.saturating_add(1);
            }
        }
        count
    }

    /// Writes down what [`merge`] found, and what the view confirms. Run twice, the second run changes nothing.
    pub fn adopt(&mut self, view: &View<'_>) -> MergeSummary {
        let mut summary = MergeSummary::default();
        for (start, end, claim) in view.runs() {
            for slot in start..end {
                if self.confirms(slot, claim, view) {
                    summary.confirmed = summary.confirmed.saturating_add(1);
                    self.note_again(slot, view.sent_at_ns);
                } else {
                    self.decide(slot, claim, view, &mut summary);
                }
            }
        }
        summary
    }

    fn decide(&mut self, slot: u16, claim: Claim, view: &View<'_>, summary: &mut MergeSummary) {
        let verdict = self.judge(slot, claim, view);
        summary.count(verdict, self.change(slot, claim));
        match (verdict, claim) {
            (Verdict::Changed | Verdict::Confirmed, Claim::Of(owner)) => {
                self.note(slot, owner, view.sent_at_ns);
            }
            (Verdict::Stale, _) => set_bit(&mut self.stale, slot, true),
            (Verdict::Removed, _) => self.forget(slot),
            _ => {}
        }
    }

    /// The short cut for nearly every slot of nearly every view: what was known before it was asked for, once more.
    #[inline(always)]
    fn confirms(&self, slot: u16, claim: Claim, view: &View<'_>) -> bool {
        let Claim::Of(named) = claim else { return false };
        let is_older = self.learned_at_ns.get(usize::from(slot)).is_some_and(|&at| at < view.sent_at_ns);
        is_older && self.owners.get(slot) == Some(named)
    }

    /// The owner is known; what it is known from is this view now.
    #[inline(always)]
    fn note_again(&mut self, slot: u16, at_ns: u64) {
        if let Some(learned_at_ns) = self.learned_at_ns.get_mut(usize::from(slot)) {
            *learned_at_ns = at_ns;
        }
        if let Some(told_by) = self.told_by.get_mut(usize::from(slot)) {
            *told_by = NOBODY;
        }
        if self.is_stale(slot) {
            set_bit(&mut self.stale, slot, false);
        }
    }

    fn judge(&self, slot: u16, claim: Claim, view: &View<'_>) -> Verdict {
        let known = self.owner(slot).zip(self.learned_at_ns(slot));
        let newer = known.is_some_and(|(_, learned_at_ns)| learned_at_ns >= view.sent_at_ns);
        match (known, claim) {
            (None, Claim::Nobody | Claim::Unreachable) => Verdict::Unserved,
            (None, Claim::Of(_)) => Verdict::Changed,
            (Some((owner, _)), Claim::Of(named)) if owner != named && newer => Verdict::Contradicted,
            (Some(_), _) if newer => Verdict::Kept,
            (Some(_), Claim::Nobody) if view.confirmed => Verdict::Removed,
            (Some(_), Claim::Nobody | Claim::Unreachable) => Verdict::Stale,
            (Some((owner, _)), Claim::Of(named)) if owner == named => Verdict::Confirmed,
            (Some((_, learned_at_ns)), Claim::Of(_)) if self.disputes(slot, learned_at_ns, view) => {
                Verdict::Disputed
            }
            (Some(_), Claim::Of(_)) => Verdict::Changed,
        }
    }

    fn change(&self, slot: u16, claim: Claim) -> SlotChange {
        let to = match claim {
            Claim::Of(node) => Some(node),
            Claim::Nobody | Claim::Unreachable => None,
        };
        SlotChange { slot, from: self.owner(slot), to }
    }

    /// Whether what is known is too fresh to be overridden by a view that says otherwise.
    fn disputes(&self, slot: u16, learned_at_ns: u64, view: &View<'_>) -> bool {
        let Some(doubt) = view.doubt else { return false };
        let told_by = self.told_by.get(usize::from(slot)).copied().unwrap_or(NOBODY);
        let fresh = view.sent_at_ns.saturating_sub(learned_at_ns) < doubt.fresh_ns;
        (told_by != NOBODY && told_by != doubt.source && fresh) || doubt.rival_ns == Some(learned_at_ns)
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

fn has_bit(bits: &[u64; SLOTS / 64], slot: u16) -> bool {
    bits.get(usize::from(slot / 64)).is_some_and(|word| word & (1 << (slot % 64)) != 0)
}

fn set_bit(bits: &mut [u64; SLOTS / 64], slot: u16, value: bool) {
    if let Some(word) = bits.get_mut(usize::from(slot / 64)) {
        let bit = 1 << (slot % 64);
        *word = if value { *word | bit } else { *word & !bit };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Changed,
    Confirmed,
    Kept,
    Contradicted,
    Disputed,
    Stale,
    Removed,
    Unserved,
}

/// What a view says of one slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Nobody,
    /// A node that cannot be reached.
    Unreachable,
    Of(NodeIndex),
}

/// A snapshot whose nodes have their indices, and the time when it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    ranges: &'a [SlotRange],
    nodes: &'a [Option<NodeIndex>],
    sent_at_ns: u64,
    doubt: Option<Doubt>,
    confirmed: bool,
}

/// Why a view is only one node's word.
#[derive(Debug, Clone, Copy)]
pub struct Doubt {
    /// Whose view it is. What this node said itself it may take back.
    pub source: NodeIndex,
    /// A MOVED of another node that is younger than this is not overridden.
    pub fresh_ns: u64,
    /// When the view before was asked for, if another node gave it a moment ago: that is not overridden either.
    pub rival_ns: Option<u64>,
}

impl<'a> View<'a> {
    /// A view from a valid snapshot, from the index of each of its nodes as
    /// [`NodeTable::resolve_all`](super::NodeTable::resolve_all) answers them (the slots of a node without index
    /// are as good as unserved), and from the time when the question was *sent*.
    pub fn new(snapshot: &'a Snapshot, nodes: &'a [Option<NodeIndex>], sent_at_ns: u64) -> Self {
        View { ranges: &snapshot.ranges, nodes, sent_at_ns, doubt: None, confirmed: false }
    }

    /// One node's word, which is not enough against what others have just said.
    pub fn doubted(self, doubt: Doubt) -> Self {
        View { doubt: Some(doubt), ..self }
    }

    /// The word of several nodes: where it names no owner, there is none.
    pub fn confirmed(self) -> Self {
        View { confirmed: true, ..self }
    }

    /// All slots in order, in runs of which the view says the same; ends are not included. Of overlapping ranges, which no valid snapshot
    /// has, the first counts.
    fn runs(&self) -> Vec<(u16, u16, Claim)> {
        let mut runs = Vec::new();
        let mut next = 0;
        for range in self.ranges {
            let start = range.start.clamp(next, SLOT_COUNT);
            let end = range.end.saturating_add(1).clamp(start, SLOT_COUNT);
            let node = self.nodes.get(range.primary).copied().flatten();
            runs.push((next, start, Claim::Nobody));
            runs.push((start, end, node.map_or(Claim::Unreachable, Claim::Of)));
            next = end;
        }
        runs.push((next, SLOT_COUNT, Claim::Nobody));
        runs
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
    pub to: Option<NodeIndex>,
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
    /// Known from a fresh MOVED or another node's fresh view, and the view names another owner: a reason to hear
    /// several nodes.
    pub disputed: u32,
    /// The first of those.
    pub dispute: Option<SlotChange>,
    /// Keep an owner although the view names none: a reason to ask another node.
    pub stale: u32,
    /// Lost their owner.
    pub removed: u32,
    /// Have no owner, before and after.
    pub unserved: u32,
}

impl MergeSummary {
    fn count(&mut self, verdict: Verdict, change: SlotChange) {
        if verdict == Verdict::Disputed && self.dispute.is_none() {
            self.dispute = Some(change);
        }
        let count = match verdict {
            Verdict::Changed => &mut self.changed,
            Verdict::Confirmed => &mut self.confirmed,
            Verdict::Kept => &mut self.kept,
            Verdict::Contradicted => &mut self.contradicted,
            Verdict::Disputed => &mut self.disputed,
            Verdict::Stale => &mut self.stale,
            Verdict::Removed => &mut self.removed,
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
    for (start, end, claim) in view.runs() {
        for slot in start..end {
            if known.confirms(slot, claim, view) {
                summary.confirmed = summary.confirmed.saturating_add(1);
                continue;
            }
            let verdict = known.judge(slot, claim, view);
            let change = known.change(slot, claim);
            summary.count(verdict, change);
            if matches!(verdict, Verdict::Changed | Verdict::Removed) {
                changes.push(change);
            }
        }
    }
    summary
}

#[cfg(test)]
mod tests;
