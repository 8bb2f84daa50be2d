//! Who answers at an address: the node that was meant, or another one, and what becomes of the address then.
//!
//! Pods come back with each other's addresses, and a seed's name leads to whoever is there. Each connection tells the node's id before any
//! command leaves; where it is not the one that was meant, the connection ends and the address changes hands:
//!
//! | the address is | the id is | it goes to |
//! |---|---|---|
//! | a view's | anybody's | the node with that id, known or new |
//! | a seed's | known | an entry without id, which anybody may answer |
//! | a seed's | unknown | nobody while other nodes are left to try: it may be another cluster's (`search` takes it up in the end) |
//!
//! Knows addresses and ids. Refuses to move commands: those of a node wait for that node, whoever is at its address.

use crate::config::Endpoint;
use crate::engine::connection::LinkState;
use crate::engine::lifecycle::LostBecause;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};

impl Engine {
    /// The node tells its id: an address may have been given to somebody else since we learnt it.
    pub(crate) fn on_node_id(&mut self, row: u16, id: &str) -> Result<(), LostBecause> {
        let known = self.nodes.get(row).map_or("", |node| node.id());
        if known.is_empty() {
            self.nodes.learn_id(row, id);
            return Ok(());
        }
        if id.is_empty() || known == id || !keeps!(self.config, NodeIdentity) {
            return Ok(());
        }
        let may_be_anybody = self.nodes.by_id(id).is_some() || !self.has_topology();
        if may_be_anybody && self.is_nobody_yet(row) {
            self.nodes.forget_id(row);
            self.nodes.learn_id(row, id);
            return Ok(());
        }
        Err(LostBecause::Stranger(id.to_owned()))
    }

    /// Whether a row is a seed that no view has named and that nobody waits for: it may be anybody.
    fn is_nobody_yet(&self, row: u16) -> bool {
        let is_new = self
            .links
            .get(usize::from(row))
            .is_some_and(|link| !link.was_in_view && link.in_flight.is_empty() && link.old_ids.is_empty());
        is_new && self.is_at_seed(row) && self.primaries.binary_search(&row).is_err()
    }

    /// Whether a node is reached where a seed is.
    pub(crate) fn is_at_seed(&self, row: u16) -> bool {
        let at = self.nodes.get(row).and_then(|node| node.endpoint());
        at.is_some_and(|at| self.config.seeds.contains(at))
    }

    /// Another node than the one of this row answered where it was dialled.
    pub(crate) fn give_address_away(&mut self, row: u16, id: &str, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let at = link.dialled.clone();
        let current = self.nodes.get(row).and_then(|node| node.endpoint());
        if current.is_none() || current == at.as_ref() {
            // Nothing to dial until a view tells where the node is; then at once.
            link.endpoint = None;
            link.state = LinkState::Idle;
        }
        let Some(at) = at else { return };
        let heir = self.heir_of(&at, id);
        let Some(heir) = heir else { return };
        self.ensure_link(heir);
        let Some(link) = self.links.get_mut(usize::from(heir)) else { return };
        if let LinkState::Backoff { .. } = link.state {
            // That was for another address.
            link.state = LinkState::Idle;
        }
        if !link.in_flight.is_empty() {
            self.want_connection(heir, now);
        }
    }

    /// Who has the address from now on.
    fn heir_of(&mut self, at: &Endpoint, id: &str) -> Option<u16> {
        let known = self.nodes.by_id(id);
        if self.config.seeds.contains(at) {
            self.nodes.vacate(at, id);
            let may_be_anybody = known.is_some() || !self.has_topology();
            return if may_be_anybody { self.nodes.admit_afresh(at) } else { None };
        }
        if let Some(known) = known.filter(|row| self.can_be_asked(*row)) {
            // It is reached where it was: this is a second way.
            self.nodes.vacate(at, id);
            self.nodes.add_alias(known, at.clone());
            return None;
        }
        self.nodes.settle_at(at, id)
    }
}
