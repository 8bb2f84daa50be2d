//! Where one command goes: decided from its keys and its route, before anything is queued.

use smallvec::SmallVec;

use crate::command::{Keys, Request, Route};
use crate::error::{Error, ErrorKind};
use crate::slot::{SLOT_COUNT, slot_of};

/// Where one command goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One slot: nearly always.
    Slot(u16),
    /// Keys of several slots, and the command may be split.
    Split(Vec<Part>),
    Route(Route),
}

/// The share of one slot in a split command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) slot: u16,
    /// Which argument groups of the command, in the order asked.
    pub(crate) groups: Vec<u32>,
}

/// Slots named in a cross-slot error; enough to see the mistake.
const SLOTS_NAMED_MAX: usize = 8;

impl Request<'_> {
    /// The slot of a command with one key that the caller sends nowhere else: nearly every command. `None` says nothing.
    #[inline(always)]
    pub(crate) fn lone_slot(&self) -> Option<u16> {
        match (self.route, self.keys) {
            (None, Keys::Range { first, count: 1, .. }) => self.slot_at(first),
            _ => None,
        }
    }

    /// Decides where the command goes; refuses what no single node could run.
    #[inline]
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        match (self.route, self.keys) {
            // One key: nearly always.
            (None, Keys::Range { first, count: 1, .. }) => {
                self.slot_at(first).map(Plan::Slot).ok_or_else(|| self.no_key())
            }
            (None, Keys::InSlot(slot)) => existing_slot(slot),
            (None, _) => self.plan_keys(),
            (Some(Route::Slot(slot)), _) => existing_slot(*slot),
            (Some(Route::Key(key)), _) => Ok(Plan::Slot(slot_of(key))),
            (Some(route), _) => Ok(Plan::Route(route.clone())),
        }
    }

    fn plan_keys(&self) -> Result<Plan, Error> {
        let slots: SmallVec<[u16; 16]> =
            self.keys.positions(self.args_len()).filter_map(|at| self.slot_at(at)).collect();
        match slots.split_first() {
            None => Err(self.no_key()),
            Some((first, rest)) if rest.iter().all(|slot| slot == first) => Ok(Plan::Slot(*first)),
            Some(_) if self.can_split() => Ok(Plan::Split(parts(&slots))),
            Some(_) => Err(self.cross_slot(&slots)),
        }
    }

    /// Whether the arguments are nothing but groups that each start with a key. Options behind the keys, or keys that the caller
    /// marked elsewhere, would end up in the wrong part.
    fn can_split(&self) -> bool {
        let args = self.args_len();
        let Some(group) = self.group.filter(|group| *group > 0) else { return false };
        args.is_multiple_of(group) && self.keys.positions(args).eq((0..args).step_by(group))
    }

    #[cold]
    fn no_key(&self) -> Error {
        Error::not_executed(ErrorKind::NoKey { command: self.name.to_owned() })
    }

    #[cold]
    fn cross_slot(&self, slots: &[u16]) -> Error {
        let mut named: Vec<u16> = Vec::new();
        for &slot in slots {
            if named.len() < SLOTS_NAMED_MAX && !named.contains(&slot) {
                named.push(slot);
            }
        }
        Error::not_executed(ErrorKind::CrossSlot { command: self.name.to_owned(), slots: named })
    }
}

fn existing_slot(slot: u16) -> Result<Plan, Error> {
    if slot < SLOT_COUNT {
        Ok(Plan::Slot(slot))
    } else {
        Err(Error::config(format!("slot {slot} does not exist; slots are 0 to {}", SLOT_COUNT - 1)))
    }
}

/// One part per slot, in the order of slots; the groups of a part in the order asked. `slots[n]` is the slot of group `n`.
fn parts(slots: &[u16]) -> Vec<Part> {
    let mut by_slot: Vec<(u16, u32)> = slots.iter().copied().zip(0..).collect();
    by_slot.sort_unstable();
    let mut parts: Vec<Part> = Vec::new();
    for (slot, group) in by_slot {
        match parts.last_mut() {
            Some(part) if part.slot == slot => part.groups.push(group),
            _ => parts.push(Part { slot, groups: vec![group] }),
        }
    }
    parts
}

#[cfg(test)]
mod tests;
