//! One owner, or none, for each of the 16384 slots.
//!
//! Knows numbers only: what a node index stands for is [`NodeTable`](super::NodeTable)'s.

use std::fmt;

use crate::slot::SLOT_COUNT;

const SLOTS: usize = SLOT_COUNT as usize;

/// A node's place in the [`NodeTable`](super::NodeTable). `u16::MAX` is never one.
pub type NodeIndex = u16;

/// Slots that are looked up together where they have one owner.
const BLOCK: usize = 32;

/// The owner of every slot: 32 KiB, and in front of it 1 KiB that answers for nearly all slots and stays in the first-level cache where random
/// places of the large table do not. Invariant: an entry of `blocks` is the owner of all slots of its block, or `MIXED`.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotTable {
    owners: Box<[NodeIndex; SLOTS]>,
    blocks: Box<[NodeIndex; SLOTS / BLOCK]>,
}

impl SlotTable {
    /// Stands for "no owner".
    const NONE: NodeIndex = NodeIndex::MAX;

    /// Stands for "look at the slot itself". No block has no owner: "none" is one of the answers that are looked up.
    const MIXED: NodeIndex = NodeIndex::MAX;

    /// A table in which no slot has an owner.
    pub fn new() -> Self {
        SlotTable { owners: Box::new([Self::NONE; SLOTS]), blocks: Box::new([Self::MIXED; SLOTS / BLOCK]) }
    }

    /// The slot's owner; `None` too for what is not a slot.
    #[inline(always)]
    pub fn get(&self, slot: u16) -> Option<NodeIndex> {
        match self.blocks.get(usize::from(slot) / BLOCK) {
            Some(&owner) if owner != Self::MIXED => Some(owner),
            _ => self.look_up(slot),
        }
    }

    #[inline(never)]
    fn look_up(&self, slot: u16) -> Option<NodeIndex> {
        self.owners.get(usize::from(slot)).copied().filter(|&owner| owner != Self::NONE)
    }

    /// Gives the slot an owner, or none. What is not a slot is left alone.
    pub fn set(&mut self, slot: u16, owner: Option<NodeIndex>) {
        let owner = owner.unwrap_or(Self::NONE);
        match self.owners.get_mut(usize::from(slot)) {
            Some(entry) if *entry != owner => *entry = owner,
            _ => return,
        }
        self.note_block(usize::from(slot) / BLOCK, owner);
    }

    /// Gives all slots from `start` to `end`, both included, an owner or none.
    pub fn set_range(&mut self, start: u16, end: u16, owner: Option<NodeIndex>) {
        let (start, end) = (usize::from(start), usize::from(end).min(SLOTS.saturating_sub(1)));
        if start > end {
            return;
        }
        let owner = owner.unwrap_or(Self::NONE);
        if let Some(slots) = self.owners.get_mut(start..=end) {
            slots.fill(owner);
        }
        let (first, last) = (start / BLOCK, end / BLOCK);
        if let Some(blocks) = self.blocks.get_mut(first..last) {
            blocks.fill(owner);
        }
        // Of these two there may be slots outside.
        self.note_block(first, owner);
        self.note_block(last, owner);
    }

    /// Whether the block, in which a slot has got this owner, is the owner's as a whole.
    fn note_block(&mut self, number: usize, owner: NodeIndex) {
        let (slots, _) = self.owners.as_chunks::<BLOCK>();
        if let (Some(slots), Some(block)) = (slots.get(number), self.blocks.get_mut(number)) {
            *block = if slots.iter().all(|&other| other == owner) { owner } else { Self::MIXED };
        }
    }

    /// How many slots the node owns.
    pub fn count_owned(&self, node: NodeIndex) -> usize {
        if node == Self::NONE { 0 } else { self.owners.iter().filter(|&&owner| owner == node).count() }
    }

    /// Ranges of slots with the same owner or none, in order; together they are all slots.
    pub fn runs(&self) -> impl Iterator<Item = (u16, u16, Option<NodeIndex>)> + '_ {
        let mut start: u16 = 0;
        self.owners.chunk_by(|a, b| a == b).map(move |chunk| {
            let first = start;
            start = first.saturating_add(u16::try_from(chunk.len()).unwrap_or(u16::MAX));
            (first, start.saturating_sub(1), self.get(first))
        })
    }

    /// Ranges of slots without an owner, both ends included.
    pub fn holes(&self) -> Vec<(u16, u16)> {
        self.runs().filter(|run| run.2.is_none()).map(|(start, end, _)| (start, end)).collect()
    }
}

impl Default for SlotTable {
    fn default() -> Self {
        SlotTable::new()
    }
}

impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (start, end, owner) in self.runs() {
            if let Some(owner) = owner {
                map.entry(&format_args!("{start}-{end}"), &owner);
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_is_one_hole() {
        assert_eq!(SlotTable::new().holes(), [(0, 16383)]);
        assert_eq!(SlotTable::new().get(0), None);
    }

    #[test]
    fn remembers_owners_to_the_last_slot() {
        let mut table = SlotTable::new();
        table.set_range(0, 5460, Some(0));
        table.set_range(10923, 16383, Some(2));
        table.set(93, Some(1));
        assert_eq!((table.get(92), table.get(93), table.get(5461)), (Some(0), Some(1), None));
        assert_eq!((table.get(16383), table.get(16384), table.get(u16::MAX)), (Some(2), None, None));
        assert_eq!((table.count_owned(0), table.count_owned(1), table.count_owned(7)), (5460, 1, 0));
        assert_eq!(table.holes(), [(5461, 10922)]);
        assert_eq!(format!("{table:?}"), "{0-92: 0, 93-93: 1, 94-5460: 0, 10923-16383: 2}");
    }

    #[test]
    fn blocks_and_slots_agree() {
        let mut table = SlotTable::new();
        let mut model = vec![None; SLOTS];
        let mut random = 1u64;
        for _ in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let start = (random >> 50) as u16;
            let len = (random >> 20) % 100;
            let owner = Some((random >> 10) as u16 % 4).filter(|owner| *owner != 3);
            let end = (u64::from(start) + len).min(16383) as u16;
            table.set_range(start, end, owner);
            model[usize::from(start)..=usize::from(end)].fill(owner);
            for slot in start.saturating_sub(70)..=(end + 70).min(16383) {
                assert_eq!(table.get(slot), model[usize::from(slot)], "{slot}");
            }
        }
        assert!((0..).zip(&model).all(|(slot, owner)| table.get(slot) == *owner));
    }

    #[test]
    fn leaves_what_is_no_slot_alone() {
        let mut table = SlotTable::new();
        table.set(16384, Some(1));
        table.set_range(16380, u16::MAX, Some(1));
        table.set_range(5, 4, Some(1));
        assert_eq!(table.count_owned(1), 4);
    }

    #[test]
    fn the_mark_for_no_owner_is_no_node() {
        let mut table = SlotTable::new();
        table.set(1, Some(u16::MAX));
        assert_eq!((table.get(1), table.count_owned(u16::MAX)), (None, 0));
    }

    #[test]
    fn an_owner_can_be_taken_away() {
        let mut table = SlotTable::new();
        table.set_range(0, 16383, Some(3));
        table.set(7, None);
        assert_eq!(table.holes(), [(7, 7)]);
    }
}
