//! What is known about every slot.
//!
//! Knows slots, node indices and times, and how to keep them small. Refuses to know why something is believed: that is
//! [`merge`](mod@super::merge)'s.

use std::{fmt, mem};

use super::slot_table::{NodeIndex, SlotTable};
use crate::slot::SLOT_COUNT;

/// What is known about every slot: its owner, since when, and whether it is in doubt.
///
/// Thousands of slots in a row are nearly always learned together and from then on are one case: they are kept as a run, and judged once. Who owns a
/// slot is asked for every command, and so is in a table besides. Invariant: the first run begins at slot 0, the others behind each other; a run
/// ends where the next begins; the table says what the runs say.
#[derive(Clone)]
pub struct SlotKnowledge {
    owners: SlotTable,
    runs: Vec<Run>,
}

/// Slots of which the same is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) start: u16,
    pub(super) account: Account,
}

/// What is known of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) owner: Option<NodeIndex>,
    /// When the owner was learned or last confirmed.
    pub(super) learned_at_ns: u64,
    /// Who named the owner in a MOVED that no view has confirmed yet.
    pub(super) told_by: Option<NodeIndex>,
    /// The owner was missing in a later view.
    pub(super) stale: bool,
}

impl SlotKnowledge {
    /// Nothing is known.
    pub fn new() -> Self {
        SlotKnowledge { owners: SlotTable::new(), runs: vec![Run { start: 0, account: Account::NONE }] }
    }

    /// The slot's owner.
    #[inline]
    pub fn owner(&self, slot: u16) -> Option<NodeIndex> {
        self.owners.get(slot)
    }

    /// When the owner was learned or last confirmed; `None` where there is none.
    pub fn learned_at_ns(&self, slot: u16) -> Option<u64> {
        self.account(slot).and_then(|account| account.owner.and(Some(account.learned_at_ns)))
    }

    /// Whether a later view did not name the owner any more: worth a try, and a reason to ask again.
    pub fn is_stale(&self, slot: u16) -> bool {
        self.account(slot).is_some_and(|account| account.stale)
    }

    pub(super) fn account(&self, slot: u16) -> Option<Account> {
        between(&self.runs, slot, slot.saturating_add(1)).next().map(|(.., account)| account)
    }

    /// All owners.
    pub fn owners(&self) -> &SlotTable {
        &self.owners
    }

    /// The nodes that own slots, in the order of their slots: one with slots in several places more than once.
    pub fn primaries(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.runs.iter().filter_map(|run| run.account.owner)
    }

    /// Ranges of slots with the same owner or none, in order and both ends included; together they are all slots.
    pub fn ranges(&self) -> Vec<(u16, u16, Option<NodeIndex>)> {
        let mut ranges: Vec<(u16, u16, Option<NodeIndex>)> = Vec::new();
        for (start, end, account) in between(&self.runs, 0, SLOT_COUNT) {
            let last = end.saturating_sub(1);
            match ranges.last_mut() {
                Some(range) if range.2 == account.owner => range.1 = last,
                _ => ranges.push((start, last, account.owner)),
            }
        }
        ranges
    }

    /// Notes what a MOVED from node `told_by` said. Answers whether that is another owner than before.
    pub fn learn(&mut self, slot: u16, owner: NodeIndex, told_by: NodeIndex, at_ns: u64) -> bool {
        let changed = self.owner(slot) != Some(owner);
        if slot < SLOT_COUNT {
            let at = self.part(slot);
            self.part(slot.saturating_add(1));
            if let Some(run) = self.runs.get_mut(at) {
                run.account = Account { told_by: Some(told_by), ..Account::of(owner, at_ns) };
            }
            self.owners.set(slot, Some(owner));
        }
        changed
    }

    /// Sees to it that a run begins at the slot, and answers where in the list.
    fn part(&mut self, slot: u16) -> usize {
        let at = self.runs.partition_point(|run| run.start < slot);
        if slot < SLOT_COUNT && self.runs.get(at).is_none_or(|run| run.start != slot) {
            let before = at.checked_sub(1).and_then(|before| self.runs.get(before));
            let account = before.map_or(Account::NONE, |run| run.account);
            self.runs.insert(at, Run { start: slot, account });
        }
        at
    }

    /// Leaves all slots of a node without owner: the node is gone and its index is about to be used again.
    /// Answers how many there were.
    pub fn disown(&mut self, node: NodeIndex) -> usize {
        let count = self.owners.count_owned(node);
        let known = self.take();
        for (start, end, account) in between(&known, 0, SLOT_COUNT) {
            let left = if account.owner == Some(node) { Account::NONE } else { account };
            self.write(start, end, account, left);
        }
        count
    }

    /// Hands the runs out; [`write`](SlotKnowledge::write) is to be given all slots again.
    pub(super) fn take(&mut self) -> Vec<Run> {
        mem::take(&mut self.runs)
    }

    /// The runs, in order.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The next slots, in order: what was known of them, and what is known now.
    pub(super) fn write(&mut self, start: u16, end: u16, before: Account, now: Account) {
        if self.runs.last().is_none_or(|last| last.account != now) {
            self.runs.push(Run { start, account: now });
        }
        if before.owner != now.owner {
            self.owners.set_range(start, end.saturating_sub(1), now.owner);
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
        let stale = between(&self.runs, 0, SLOT_COUNT).filter(|(.., account)| account.stale);
        let stale: usize = stale.map(|(start, end, _)| (start..end).len()).sum();
        f.debug_struct("SlotKnowledge").field("owners", &self.owners).field("stale_slots", &stale).finish()
    }
}

impl Account {
    pub(super) const NONE: Account = Account { owner: None, learned_at_ns: 0, told_by: None, stale: false };

    pub(super) fn of(owner: NodeIndex, learned_at_ns: u64) -> Self {
        Account { owner: Some(owner), learned_at_ns, ..Account::NONE }
    }
}

/// The runs from slot `start` up to `end`, which is not included.
pub(super) fn between(runs: &[Run], start: u16, end: u16) -> impl Iterator<Item = (u16, u16, Account)> + '_ {
    let first = runs.partition_point(|run| run.start <= start).saturating_sub(1);
    let ends = runs.iter().map(|run| run.start).skip(first.saturating_add(1)).chain([SLOT_COUNT]);
    let clip = move |(run, next): (&Run, u16)| (run.start.max(start), next.min(end), run.account);
    runs.iter().skip(first).zip(ends).map(clip).take_while(|(start, end, _)| start < end)
}
