//! Who is who: one entry for each server, however it is named.
//!
//! ```text
//!            admit(address)         resolve(view names it)
//! (unknown) ───────────────► seed ─────────────────────────► node with id ─┐ resolve: new address,
//!     │                   (address only)                          ▲  └─────┘ role, aliases
//!     └────────────── resolve(view names it) ─────────────────────┘
//!
//! any of them ── remove ──► removed (keeps its index) ── release ──► (index may be used again)
//! ```
//!
//! The node id is the identity; addresses are how a node is recognised before its id is known, and how it is
//! reached. A server reached by IP and by host name is one node as soon as a view names both; a server that got
//! a new IP is still the same; and an address at which a view sees another id is that other node's from then on.
//!
//! Knows ids, addresses and roles. Refuses to know connections, slots and names' resolution.
//!
//! Invariants: an id belongs to at most one live entry; an index means the same server from the call that answers
//! it until [`NodeTable::release`]; every decision follows the order of the indices or of the view, never that of
//! a hash.

mod node;

use std::collections::BTreeMap;

pub use node::Node;

use super::slot_table::NodeIndex;
use super::snapshot::{Snapshot, SnapshotNode};
use crate::config::Endpoint;

/// Entries in the table, removed ones included. Several views of the largest size fit; a server that makes up
/// nodes for ever does not get further.
pub const NODE_TABLE_MAX: usize = 16_384;

#[derive(Debug, Clone)]
enum Entry {
    Free,
    Live(Node),
    /// No longer found by id or address; its index still means it.
    Removed(Node),
}

impl Entry {
    fn live(&self) -> Option<&Node> {
        match self {
            Entry::Live(node) => Some(node),
            Entry::Free | Entry::Removed(_) => None,
        }
    }
}

/// All servers that are known, by index.
#[derive(Debug, Clone, Default)]
pub struct NodeTable {
    entries: Vec<Entry>,
    /// Live entries with an id.
    by_id: BTreeMap<String, NodeIndex>,
}

impl NodeTable {
    /// Nobody is known.
    pub fn new() -> Self {
        NodeTable::default()
    }

    /// The node at this index, live or removed.
    pub fn get(&self, index: NodeIndex) -> Option<&Node> {
        match self.entries.get(usize::from(index))? {
            Entry::Live(node) | Entry::Removed(node) => Some(node),
            Entry::Free => None,
        }
    }

    /// Whether the node is there and not removed.
    pub fn is_live(&self, index: NodeIndex) -> bool {
        self.live(index).is_some()
    }

    /// Live nodes in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIndex, &Node)> {
        (0..).zip(&self.entries).filter_map(|(index, entry)| Some((index, entry.live()?)))
    }

    /// How many nodes are live.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no node is live.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The live node with this id.
    pub fn by_id(&self, id: &str) -> Option<NodeIndex> {
        self.by_id.get(id).copied()
    }

    /// The live node at this address; see [`by_address`](NodeTable::by_address).
    pub fn by_endpoint(&self, endpoint: &Endpoint) -> Option<NodeIndex> {
        self.by_address(&endpoint.host, endpoint.port)
    }

    /// The live node at this address. In doubt a node with an id comes before a seed (which is then a second name
    /// for it), and being reached there before being called so; an alias that two nodes with ids share means
    /// neither.
    pub fn by_address(&self, host: &str, port: u16) -> Option<NodeIndex> {
        let nodes = || self.iter().filter(|(_, node)| !node.id.is_empty());
        let seeds = || self.iter().filter(|(_, node)| node.id.is_empty());
        let reached = nodes().find(|(_, node)| node.is_at(host, port));
        let called = || {
            let mut called = nodes().filter(|(_, node)| node.is_also_at(host, port));
            called.next().filter(|_| called.next().is_none())
        };
        reached
            .or_else(called)
            .or_else(|| seeds().find(|(_, node)| node.is_at(host, port)))
            .or_else(|| seeds().find(|(_, node)| node.is_also_at(host, port)))
            .map(|(index, _)| index)
    }

    /// The node at this address, which a seed or a redirect names; a new one where none is known there.
    /// `None` when the table is full.
    pub fn admit(&mut self, endpoint: &Endpoint) -> Option<NodeIndex> {
        match self.by_endpoint(endpoint) {
            Some(index) => Some(index),
            None => self.add(Node::at(Some(endpoint.clone()))),
        }
    }

    /// The node that a connection to this very address reaches: as [`admit`](NodeTable::admit), but an address
    /// that is only an alias is taken from its node, so that its name is resolved afresh. For seeds, when the
    /// known nodes have all gone silent and may have been replaced.
    pub fn admit_afresh(&mut self, endpoint: &Endpoint) -> Option<NodeIndex> {
        let reached = self
            .by_endpoint(endpoint)
            .filter(|&index| self.live(index).is_some_and(|node| node.is_at(&endpoint.host, endpoint.port)));
        if reached.is_some() {
            return reached;
        }
        for entry in &mut self.entries {
            if let Entry::Live(node) = entry {
                node.announced.retain(|alias| !alias.is_at(&endpoint.host, endpoint.port));
                node.learned.retain(|alias| !alias.is_at(&endpoint.host, endpoint.port));
            }
        }
        self.admit(endpoint)
    }

    /// Notes the id that a node told of itself, where none is known yet. An id that another entry has is left there: this one is a second
    /// way to the same server, and the next view will tell which of the two stays.
    pub fn learn_id(&mut self, index: NodeIndex, id: &str) {
        if id.is_empty() || self.by_id.contains_key(id) {
            return;
        }
        if let Some(node) = self.live_mut(index).filter(|node| node.id.is_empty()) {
            node.id = id.to_owned();
            self.by_id.insert(id.to_owned(), index);
        }
    }

    /// Notes one more address of a node: what its name resolved to, or a name that led to it.
    pub fn add_alias(&mut self, index: NodeIndex, alias: Endpoint) {
        if let Some(node) = self.live_mut(index) {
            node.note_learned(alias);
        }
    }

    /// The index of a node that a view names, with everything that the view says about it noted but the shard.
    ///
    /// By id; then, where the id is new, a seed at one of its addresses, which thereby gets the id; else a new
    /// node. `None` when the table is full.
    pub fn resolve(&mut self, named: &SnapshotNode) -> Option<NodeIndex> {
        let known = if named.id.is_empty() {
            named.endpoint.as_ref().and_then(|endpoint| self.by_endpoint(endpoint))
        } else {
            self.by_id(&named.id).or_else(|| self.seed_of(named))
        };
        let index = match known {
            Some(index) => index,
            None => self.add(Node::at(None))?,
        };
        let endpoint = named.endpoint.clone().filter(|endpoint| self.claim(endpoint, index, named.health_ok));
        if !named.id.is_empty() {
            self.by_id.insert(named.id.clone(), index);
        }
        let node = self.live_mut(index)?;
        if !named.id.is_empty() && node.id.is_empty() {
            node.id.clone_from(&named.id);
            // What led to the seed still leads to the node.
            if let Some(seed) = node.endpoint.clone().filter(|_| endpoint.is_some()) {
                node.endpoint = None;
                node.note_learned(seed);
            }
        }
        if endpoint.is_some() {
            node.endpoint = endpoint;
        }
        if let Some(endpoint) = &node.endpoint {
            node.learned.retain(|alias| !alias.is_at(&endpoint.host, endpoint.port));
        }
        node.announced.clone_from(&named.aliases);
        node.role = named.role;
        node.health_ok = named.health_ok;
        Some(index)
    }

    /// The index of a node that CLUSTER NODES names: that tells the IP where other views tell the address to use, so it
    /// moves nobody who is known. `None` for a node that cannot be reached.
    pub fn place(&mut self, named: &SnapshotNode) -> Option<NodeIndex> {
        let index = self.by_id(&named.id).or_else(|| self.resolve(named))?;
        Some(index).filter(|&index| self.live(index).is_some_and(|node| node.endpoint.is_some()))
    }

    /// The node is not known by its id any more: whoever answers there next may tell one.
    pub fn forget_id(&mut self, index: NodeIndex) {
        if let Some(node) = self.live_mut(index) {
            let id = std::mem::take(&mut node.id);
            self.by_id.remove(&id);
        }
    }

    /// A server with another id answers at this address: nodes with ids that were reached there are not any more.
    pub fn vacate(&mut self, endpoint: &Endpoint, id: &str) {
        for entry in &mut self.entries {
            if let Entry::Live(node) = entry
                && !node.id.is_empty()
                && node.id != id
                && node.is_at(&endpoint.host, endpoint.port)
            {
                node.endpoint = None;
            }
        }
    }

    /// The server with this id answers at this address: it is reached there from now on. A new entry where the id is unknown; `None` when the
    /// table is full.
    pub fn settle_at(&mut self, endpoint: &Endpoint, id: &str) -> Option<NodeIndex> {
        self.vacate(endpoint, id);
        let index = match self.by_id(id) {
            Some(index) => index,
            None => self.add(Node::at(None))?,
        };
        self.learn_id(index, id);
        let node = self.live_mut(index)?;
        node.endpoint = Some(endpoint.clone());
        node.learned.retain(|alias| !alias.is_at(&endpoint.host, endpoint.port));
        Some(index)
    }

    /// The index of every node of a view, and the shard of each noted. `None` stands for a node that cannot be
    /// reached: no view ever said where (`?`), another node answers there, or the table is full.
    pub fn resolve_all(&mut self, snapshot: &Snapshot) -> Vec<Option<NodeIndex>> {
        let mut indices: Vec<_> = snapshot.nodes.iter().map(|named| self.resolve(named)).collect();
        for (index, named) in indices.iter().zip(&snapshot.nodes) {
            let primary = indices.get(named.shard).copied().flatten();
            if let Some(node) = index.and_then(|index| self.live_mut(index)) {
                node.primary = primary;
            }
        }
        for index in &mut indices {
            *index = index.filter(|&index| self.live(index).is_some_and(|node| node.endpoint.is_some()));
        }
        indices
    }

    /// Live nodes that a view did not name, from what [`resolve_all`](NodeTable::resolve_all) answered: seeds
    /// that are not in the cluster, a second name of a server that is, and nodes that have left.
    pub fn absent_from(&self, indices: &[Option<NodeIndex>]) -> Vec<NodeIndex> {
        let mut present = vec![false; self.entries.len()];
        for index in indices.iter().flatten() {
            if let Some(mark) = present.get_mut(usize::from(*index)) {
                *mark = true;
            }
        }
        self.iter()
            .map(|(index, _)| index)
            .filter(|&index| present.get(usize::from(index)) == Some(&false))
            .collect()
    }

    /// How many nodes of a view are known by id: none at all, once ids are known, is another cluster's view.
    pub fn ids_in_common(&self, snapshot: &Snapshot) -> usize {
        snapshot.nodes.iter().filter(|node| self.by_id.contains_key(&node.id)).count()
    }

    /// Takes a node out: it is no longer found, but its index still means it. Answers whether it was live.
    pub fn remove(&mut self, index: NodeIndex) -> bool {
        let Some(entry) = self.entries.get_mut(usize::from(index)) else { return false };
        let Entry::Live(node) = entry else { return false };
        self.by_id.remove(&node.id);
        *entry = Entry::Removed(std::mem::replace(node, Node::at(None)));
        true
    }

    /// Lets the index of a removed node be used again: nothing refers to it any more. Answers whether it was
    /// removed.
    pub fn release(&mut self, index: NodeIndex) -> bool {
        match self.entries.get_mut(usize::from(index)) {
            Some(entry @ Entry::Removed(_)) => {
                *entry = Entry::Free;
                true
            }
            _ => false,
        }
    }

    fn live(&self, index: NodeIndex) -> Option<&Node> {
        self.entries.get(usize::from(index))?.live()
    }

    fn live_mut(&mut self, index: NodeIndex) -> Option<&mut Node> {
        match self.entries.get_mut(usize::from(index))? {
            Entry::Live(node) => Some(node),
            Entry::Free | Entry::Removed(_) => None,
        }
    }

    fn add(&mut self, node: Node) -> Option<NodeIndex> {
        let free = self.entries.iter().position(|entry| matches!(entry, Entry::Free));
        let at = free.unwrap_or(self.entries.len());
        if at >= NODE_TABLE_MAX {
            return None;
        }
        match self.entries.get_mut(at) {
            Some(entry) => *entry = Entry::Live(node),
            None => self.entries.push(Entry::Live(node)),
        }
        NodeIndex::try_from(at).ok()
    }

    /// The seed that a view means by a node with a new id: reached at, or also called by, one of its addresses.
    /// A seed at the address of a node with an id is a second name of that one, and nobody else.
    fn seed_of(&self, named: &SnapshotNode) -> Option<NodeIndex> {
        let addresses = || named.endpoint.iter().chain(&named.aliases);
        let is_second_name = |seed: &Node| {
            let mut nodes = self.iter().filter(|(_, node)| !node.id.is_empty());
            nodes.any(|(_, node)| seed.endpoint.as_ref().is_some_and(|at| node.is_at(&at.host, at.port)))
        };
        let seeds = || self.iter().filter(|(_, node)| node.id.is_empty());
        let reached = seeds().filter(|(_, node)| addresses().any(|a| node.is_at(&a.host, a.port)));
        let called = seeds().filter(|(_, node)| addresses().any(|a| node.is_also_at(&a.host, a.port)));
        reached.chain(called).find(|(_, seed)| !is_second_name(seed)).map(|(index, _)| index)
    }

    /// Whether the node gets the address. Another node with an id that held it loses it, unless only that one is
    /// well: a view may name a dead node and its successor at the same address, in any order.
    fn claim(&mut self, endpoint: &Endpoint, index: NodeIndex, health_ok: bool) -> bool {
        let holder = self
            .iter()
            .find(|(at, node)| {
                *at != index && !node.id.is_empty() && node.is_at(&endpoint.host, endpoint.port)
            })
            .map(|(at, node)| (at, node.health_ok));
        match holder {
            None => true,
            Some((_, true)) if !health_ok => false,
            Some((holder, _)) => {
                if let Some(node) = self.live_mut(holder) {
                    node.endpoint = None;
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
