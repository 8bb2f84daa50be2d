//! The data of one node: keys with a value and an expiry, grouped by hash slot.
//!
//! Knows types, expiry against the time it is given, and how many keys a slot has; refuses to know about clusters and
//! sessions. Invariants: no aggregate is ever empty, `len` is the number of stored keys, and equal histories give
//! equal iteration orders (so a replica that replays its primary's writes has the same content).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::reply::{CommandError, WRONG_TYPE};
use super::slot_of;
use super::sorted_set::SortedSet;

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    SortedSet(SortedSet),
}

impl Value {
    /// The name `TYPE` gives it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Hash(_) => "hash",
            Value::Set(_) => "set",
            Value::SortedSet(_) => "zset",
        }
    }

    fn is_empty_aggregate(&self) -> bool {
        match self {
            Value::String(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::SortedSet(set) => set.is_empty(),
        }
    }
}

/// A value with the time at which it ceases to exist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expires_at_ms: Option<i64>,
}

/// One node's keys.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    /// Slots with at least one key.
    slots: BTreeMap<u16, BTreeMap<Vec<u8>, Entry>>,
    len: usize,
    /// The time of the command that is running.
    now_ms: i64,
    /// Counts changes: a command that leaves it alone has written nothing.
    changes: u64,
    /// Keys that changed, while somebody wants to know.
    changed_keys: Vec<Vec<u8>>,
    tracks_keys: bool,
}

/// Typed access: `$read` finds an existing value, `$create` makes an empty one where there is none.
macro_rules! typed_access {
    ($read:ident, $create:ident, $variant:ident, $type:ty) => {
        pub(crate) fn $read(&mut self, key: &[u8]) -> Result<Option<&mut $type>, CommandError> {
            match self.entry(key) {
                None => Ok(None),
                Some(Entry { value: Value::$variant(value), .. }) => Ok(Some(value)),
                Some(_) => Err(WRONG_TYPE),
            }
        }

        pub(crate) fn $create(&mut self, key: &[u8]) -> Result<&mut $type, CommandError> {
            if !self.contains(key) {
                self.insert(key, Value::$variant(<$type>::default()), None);
            }
            match self.entry(key) {
                Some(Entry { value: Value::$variant(value), .. }) => Ok(value),
                _ => Err(WRONG_TYPE),
            }
        }
    };
}

impl Keyspace {
    pub(crate) fn new() -> Self {
        Keyspace {
            slots: BTreeMap::new(),
            len: 0,
            now_ms: 0,
            changes: 0,
            changed_keys: Vec::new(),
            tracks_keys: false,
        }
    }

    /// A string, or a list's elements one after the other.
    pub(crate) fn text_of(&self, key: &[u8]) -> Option<Vec<u8>> {
        match &self.slots.get(&slot_of(key))?.get(key)?.value {
            Value::String(text) => Some(text.clone()),
            Value::List(list) => Some(list.iter().flatten().copied().collect()),
            Value::Hash(_) | Value::Set(_) | Value::SortedSet(_) => None,
        }
    }

    typed_access!(string, string_or_new, String, Vec<u8>);
    typed_access!(list, list_or_new, List, VecDeque<Vec<u8>>);
    typed_access!(hash, hash_or_new, Hash, BTreeMap<Vec<u8>, Vec<u8>>);
    typed_access!(members, members_or_new, Set, BTreeSet<Vec<u8>>);
    typed_access!(sorted_set, sorted_set_or_new, SortedSet, SortedSet);

    /// Sets the time that expiry is judged by from here on.
    pub(crate) fn set_time(&mut self, now_ms: u64) {
        self.now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Says that the running command has changed this key.
    pub(crate) fn changed(&mut self, key: &[u8]) {
        self.changes += 1;
        if self.tracks_keys {
            self.changed_keys.push(key.to_vec());
        }
    }

    /// Collects the keys that change from here on, or stops doing so.
    pub(crate) fn track_keys(&mut self, tracks: bool) {
        self.tracks_keys = tracks;
        self.changed_keys.clear();
    }

    /// The keys collected since the last call.
    pub(crate) fn take_changed_keys(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.changed_keys)
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The stored keys. Expired ones count until they are touched, as on the server.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The live entry of a key. One whose time has come is removed here: expiry is lazy.
    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let slot = slot_of(key);
        let keys = self.slots.get_mut(&slot)?;
        if keys.get(key)?.expires_at_ms.is_some_and(|at| at <= self.now_ms) {
            self.take(slot, key);
            return None;
        }
        self.slots.get_mut(&slot)?.get_mut(key)
    }

    pub(crate) fn contains(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    /// Stores a value in place of whatever was there.
    pub(crate) fn insert(&mut self, key: &[u8], value: Value, expires_at_ms: Option<i64>) {
        let keys = self.slots.entry(slot_of(key)).or_default();
        if keys.insert(key.to_vec(), Entry { value, expires_at_ms }).is_none() {
            self.len += 1;
        }
    }

    /// Takes a live entry out.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.entry(key)?;
        self.take(slot_of(key), key)
    }

    fn take(&mut self, slot: u16, key: &[u8]) -> Option<Entry> {
        let keys = self.slots.get_mut(&slot)?;
        let taken = keys.remove(key)?;
        if keys.is_empty() {
            self.slots.remove(&slot);
        }
        self.len -= 1;
        Some(taken)
    }

    /// Removes the key when its aggregate has lost its last element.
    pub(crate) fn remove_if_empty(&mut self, key: &[u8]) {
        if self.entry(key).is_some_and(|entry| entry.value.is_empty_aggregate()) {
            self.remove(key);
        }
    }

    /// Removes everything: a change of every key there was.
    pub(crate) fn clear(&mut self) {
        for keys in std::mem::take(&mut self.slots).into_values().map(BTreeMap::into_keys) {
            if self.tracks_keys {
                self.changed_keys.extend(keys);
            }
        }
        self.len = 0;
        self.changes += 1;
    }

    pub(crate) fn clear_slot(&mut self, slot: u16) {
        self.len -= self.slots.remove(&slot).map_or(0, |keys| keys.len());
    }

    /// The stored keys of a slot in order.
    pub(crate) fn keys_in_slot(&self, slot: u16) -> impl Iterator<Item = &[u8]> {
        self.slots.get(&slot).into_iter().flat_map(BTreeMap::keys).map(Vec::as_slice)
    }

    pub(crate) fn count_in_slot(&self, slot: u16) -> usize {
        self.slots.get(&slot).map_or(0, BTreeMap::len)
    }

    /// The slots from this one on that hold keys, in order.
    pub(crate) fn slots_from(&self, first: u16) -> impl Iterator<Item = u16> {
        self.slots.range(first..).map(|(slot, _)| *slot)
    }

    /// The live keys of a slot in order.
    pub(crate) fn live_in_slot(&self, slot: u16) -> impl Iterator<Item = (&[u8], &Entry)> {
        let now_ms = self.now_ms;
        let live = move |entry: &Entry| entry.expires_at_ms.is_none_or(|at| at > now_ms);
        let entries = self.slots.get(&slot).into_iter().flatten();
        entries.filter(move |(_, entry)| live(entry)).map(|(key, entry)| (key.as_slice(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_key_is_gone_at_its_time() {
        let mut keys = Keyspace::new();
        keys.insert(b"k", Value::String(b"v".to_vec()), Some(100));
        keys.set_time(99);
        assert!(keys.contains(b"k"));
        keys.set_time(100);
        assert_eq!(keys.len(), 1);
        assert!(!keys.contains(b"k"));
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn the_wrong_type_is_refused_and_nothing_is_created() {
        let mut keys = Keyspace::new();
        keys.insert(b"k", Value::String(b"v".to_vec()), None);
        assert_eq!(keys.list(b"k"), Err(WRONG_TYPE));
        assert_eq!(keys.list_or_new(b"k"), Err(WRONG_TYPE));
        assert_eq!(keys.hash(b"other"), Ok(None));
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn an_empty_aggregate_does_not_exist() {
        let mut keys = Keyspace::new();
        keys.list_or_new(b"l").unwrap().push_back(b"x".to_vec());
        keys.remove_if_empty(b"l");
        assert!(keys.contains(b"l"));
        keys.list(b"l").unwrap().unwrap().clear();
        keys.remove_if_empty(b"l");
        assert_eq!(keys.len(), 0);
    }
}
