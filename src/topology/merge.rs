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

use std::ops::RangeInclusive;

use super::knowledge::{Account, Run, SlotKnowledge, between};
use super::slot_table::NodeIndex;
use super::snapshot::{SlotRange, Snapshot};
use crate::slot::SLOT_COUNT;

/// Slots of which the same is known, and a view says the same. The end is not included.
struct Piece {
    start: u16,
    end: u16,
    account: Account,
    claim: Claim,
}

impl Piece {
    /// What the view wants.
    fn change(&self) -> SlotChange {
        let to = match self.claim {
            Claim::Of(node) => Some(node),
            Claim::Nobody | Claim::Unreachable => None,
        };
        SlotChange { start: self.start, end: self.end.saturating_sub(1), from: self.account.owner, to }
    }
}

impl SlotKnowledge {
    /// Writes down what [`merge`] found, and what the view confirms. Run twice, the second run changes nothing.
    pub fn adopt(&mut self, view: &View<'_>) -> MergeSummary {
        let known = self.take();
        judge(&known, view, |piece, verdict| {
            let account = piece.account.after(verdict, piece.claim, view);
            self.write(piece.start, piece.end, piece.account, account);
        })
    }
}

impl Account {
    fn judge(&self, claim: Claim, view: &View<'_>) -> Verdict {
        let newer = self.learned_at_ns >= view.sent_at_ns;
        match (self.owner, claim) {
            (None, Claim::Nobody | Claim::Unreachable) => Verdict::Unserved,
            (None, Claim::Of(_)) => Verdict::Changed,
            (Some(owner), Claim::Of(named)) if owner != named && newer => Verdict::Contradicted,
            (Some(_), _) if newer => Verdict::Kept,
            (Some(_), Claim::Nobody) if view.confirmed => Verdict::Removed,
            (Some(_), Claim::Nobody | Claim::Unreachable) => Verdict::Stale,
            (Some(owner), Claim::Of(named)) if owner == named => Verdict::Confirmed,
            (Some(_), Claim::Of(_)) if self.disputes(view) => Verdict::Disputed,
            (Some(_), Claim::Of(_)) => Verdict::Changed,
        }
    }

    /// Whether what is known is too fresh to be overridden by a view that says otherwise.
    fn disputes(&self, view: &View<'_>) -> bool {
        let Some(doubt) = view.doubt else { return false };
        let fresh = view.sent_at_ns.saturating_sub(self.learned_at_ns) < doubt.fresh_ns;
        (self.told_by.is_some_and(|node| node != doubt.source) && fresh)
            || doubt.rival_ns == Some(self.learned_at_ns)
    }

    /// What is known once a view has been judged.
    fn after(self, verdict: Verdict, claim: Claim, view: &View<'_>) -> Self {
        match (verdict, claim) {
            (Verdict::Changed | Verdict::Confirmed, Claim::Of(owner)) => Account::of(owner, view.sent_at_ns),
            (Verdict::Stale, _) => Account { stale: true, ..self },
            (Verdict::Removed, _) => Account::NONE,
            _ => self,
        }
    }
}

/// Holds a view against what is known, in the order of slots.
fn judge(known: &[Run], view: &View<'_>, mut found: impl FnMut(&Piece, Verdict)) -> MergeSummary {
    let mut summary = MergeSummary::default();
    for (start, end, claim) in view.runs() {
        for (start, end, account) in between(known, start, end) {
            let piece = Piece { start, end, account, claim };
            let verdict = account.judge(claim, view);
            summary.count(verdict, &piece);
            found(&piece, verdict);
        }
    }
    summary
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

/// Slots in a row that get another owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotChange {
    /// First slot.
    pub start: u16,
    /// Last slot, included.
    pub end: u16,
    /// Their owner so far.
    pub from: Option<NodeIndex>,
    /// Their owner now.
    pub to: Option<NodeIndex>,
}

impl SlotChange {
    /// The slots.
    pub fn slots(&self) -> RangeInclusive<u16> {
        self.start..=self.end
    }
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
    fn count(&mut self, verdict: Verdict, piece: &Piece) {
        if verdict == Verdict::Disputed && self.dispute.is_none() {
            self.dispute = Some(piece.change());
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
        *count = count.saturating_add(u32::from(piece.end.saturating_sub(piece.start)));
    }
}

/// Compares a view with what is known and appends all slots whose owner changes to `changes`, in order.
///
/// Writes nothing down: that is [`SlotKnowledge::adopt`]'s, which decides the same.
pub fn merge(known: &SlotKnowledge, view: &View<'_>, changes: &mut Vec<SlotChange>) -> MergeSummary {
    judge(known.runs(), view, |piece, verdict| {
        if matches!(verdict, Verdict::Changed | Verdict::Removed) {
            changes.push(piece.change());
        }
    })
}

#[cfg(test)]
mod tests;
