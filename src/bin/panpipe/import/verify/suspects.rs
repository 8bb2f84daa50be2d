//! Differences that may still turn out to be none: a later record can have written the same place.
//!
//! Invariant: what is held is bounded; when it is full, nobody adds to it before the rest of the input has been looked through.

use std::collections::BTreeMap;

use super::check::{Check, Difference};

/// What is held, about.
const BYTES_MAX: usize = 20 << 20;
/// What a suspect takes up beside its texts.
const OVERHEAD_BYTES: usize = 240;

/// A difference, and who wrote what should be there.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) record: u64,
    pub(super) command: String,
    pub(super) difference: Difference,
}

impl Suspect {
    fn bytes(&self, key: &[u8]) -> usize {
        OVERHEAD_BYTES + key.len() + self.command.len() + self.difference.what.len()
    }
}

/// By key.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    by_key: BTreeMap<Vec<u8>, Vec<Suspect>>,
    bytes: usize,
}

impl Suspects {
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn add(&mut self, key: &[u8], suspect: Suspect) {
        self.bytes += suspect.bytes(key);
        // Nearly always one: a vector that grows begins with room for four.
        self.by_key.entry(key.to_vec()).or_insert_with(|| Vec::with_capacity(1)).push(suspect);
    }

    /// Drops what was said before about places that this writes; answers how many that were.
    pub(super) fn supersede(&mut self, check: &Check) -> u64 {
        self.drop_where(&check.key, |suspect| check.supersedes(&suspect.difference.place))
    }

    /// Drops some of a key's.
    pub(super) fn drop_where(&mut self, key: &[u8], mut is_none: impl FnMut(&Suspect) -> bool) -> u64 {
        let Some(suspects) = self.by_key.get_mut(key) else { return 0 };
        let before = suspects.len();
        let bytes = &mut self.bytes;
        suspects.retain(|suspect| {
            let is_kept = !is_none(suspect);
            *bytes -= if is_kept { 0 } else { suspect.bytes(key) };
            is_kept
        });
        let dropped = before - suspects.len();
        if suspects.is_empty() {
            self.by_key.remove(key);
        }
        dropped as u64
    }

    /// Drops all of them; answers how many that were.
    pub(super) fn forget(&mut self) -> u64 {
        self.take().len() as u64
    }

    /// Takes all of them out, in the order of the input.
    pub(super) fn take(&mut self) -> Vec<(Vec<u8>, Suspect)> {
        let by_key = std::mem::take(self).by_key;
        let each = |(key, suspects): (Vec<u8>, Vec<Suspect>)| {
            suspects.into_iter().map(move |suspect| (key.clone(), suspect))
        };
        let mut all: Vec<(Vec<u8>, Suspect)> = by_key.into_iter().flat_map(each).collect();
        all.sort_by_key(|(_, suspect)| suspect.record);
        all
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.by_key.keys().map(Vec::as_slice)
    }
}
