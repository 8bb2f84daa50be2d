//! One server: its id, its addresses, its place in the cluster.
//!
//! Refuses to know the other servers. Invariant: no address is noted twice as learned, and that where the node is
//! reached not at all.

use super::super::slot_table::NodeIndex;
use super::super::snapshot::Role;
use crate::config::Endpoint;

/// Addresses of one node that were learned otherwise than from a view.
pub(super) const LEARNED_MAX: usize = 8;

/// A server.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) id: String,
    pub(super) endpoint: Option<Endpoint>,
    /// From the last view.
    pub(super) announced: Vec<Endpoint>,
    /// From seeds, redirects and the resolver; oldest first.
    pub(super) learned: Vec<Endpoint>,
    pub(super) role: Role,
    pub(super) primary: Option<NodeIndex>,
    pub(super) health_ok: bool,
}

impl Node {
    pub(super) fn at(endpoint: Option<Endpoint>) -> Node {
        Node {
            id: String::new(),
            endpoint,
            announced: Vec::new(),
            learned: Vec::new(),
            role: Role::Primary,
            primary: None,
            health_ok: true,
        }
    }

    /// Node id; empty until a view names the node.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is to be reached; `None` where no view ever said, or another node answers there now.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Its other addresses, those of the last view first.
    pub fn aliases(&self) -> impl Iterator<Item = &Endpoint> {
        self.announced.iter().chain(&self.learned)
    }

    /// Primary or replica, as the last view said; primary until one does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The primary of its shard; a primary's own index. `None` until a view says.
    pub fn primary(&self) -> Option<NodeIndex> {
        self.primary
    }

    /// Whether the last view called it well.
    pub fn health_ok(&self) -> bool {
        self.health_ok
    }

    pub(super) fn is_at(&self, host: &str, port: u16) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.is_at(host, port))
    }

    pub(super) fn is_also_at(&self, host: &str, port: u16) -> bool {
        self.aliases().any(|alias| alias.is_at(host, port))
    }

    pub(super) fn note_learned(&mut self, endpoint: Endpoint) {
        if self.is_at(&endpoint.host, endpoint.port) {
            return;
        }
        self.learned.retain(|known| !known.is_at(&endpoint.host, endpoint.port));
        if self.learned.len() >= LEARNED_MAX {
            self.learned.remove(0);
        }
        self.learned.push(endpoint);
    }
}
