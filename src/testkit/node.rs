//! One server: its identity, its data, its view of the cluster, and the states in which it refuses work.
//!
//! Knows nothing about sessions or about other nodes' data. Invariant: `replicas` lists the nodes that replay this
//! node's writes, and is empty for a replica.

use std::collections::{BTreeMap, BTreeSet};

use super::keyspace::Keyspace;
use super::quirks::Planned;
use super::session::SessionId;
use super::view::View;

/// How a node names nodes in redirects and in CLUSTER SLOTS (`cluster-preferred-endpoint-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreferredEndpoint {
    /// By address.
    #[default]
    Ip,
    /// By announced host name, `?` for a node without one.
    Hostname,
    /// Not at all: NULL in CLUSTER SLOTS, empty in redirects. The client keeps the host it is connected to.
    Unknown,
}

/// What a cluster that is down refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterDown {
    /// Every command with keys.
    Everything,
    /// Every write with keys (`cluster-allow-reads-when-down`).
    Writes,
}

/// States in which a node refuses commands. All off is a healthy node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// `CLUSTERDOWN …`.
    pub cluster_down: Option<ClusterDown>,
    /// `OOM …` for commands that may grow the data.
    pub out_of_memory: bool,
    /// `MISCONF …` for writes.
    pub misconfigured: bool,
    /// `NOREPLICAS …` for writes.
    pub no_replicas: bool,
    /// `MASTERDOWN …` for most commands on a replica.
    pub primary_link_down: bool,
    /// `LOADING …` for most commands.
    pub loading: bool,
    /// `BUSY …` for most commands.
    pub busy: bool,
    /// This text for every command with keys that the node would serve: for states that real servers are in for moments only.
    pub keyed: Option<&'static str>,
}

/// What the operating system does with the node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Running,
    /// Connections are accepted and bytes buffered, nothing is read (`SIGSTOP`).
    Frozen,
    /// Connections are refused (`SIGKILL`).
    Dead,
}

/// One server of a [`ModelCluster`](super::ModelCluster).
#[derive(Debug)]
pub struct ModelNode {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) hostname: Option<String>,
    pub(crate) knows_own_ip: bool,
    pub(crate) preferred_endpoint: PreferredEndpoint,
    pub(crate) keyspace: Keyspace,
    pub(crate) view: View,
    /// Slots that leave, with where they go.
    pub(crate) migrating: BTreeMap<u16, usize>,
    /// Slots that arrive, with where they come from.
    pub(crate) importing: BTreeMap<u16, usize>,
    pub(crate) replicas: Vec<usize>,
    /// A replica that missed writes; it takes a full copy before it replays again.
    pub(crate) needs_sync: bool,
    pub(crate) replication_is_held: bool,
    pub(crate) gossip_is_held: bool,
    /// Who took over while this primary was away.
    pub(crate) replaced_by: Option<usize>,
    pub(crate) process: Process,
    pub(crate) refusals: Refusals,
    /// Sessions that watch a key.
    pub(crate) watchers: BTreeMap<Vec<u8>, BTreeSet<SessionId>>,
    /// The reply to ASKING is never sent.
    pub(crate) omits_asking_reply: bool,
    pub(crate) clients_ever: i64,
    pub(crate) clients_now: usize,
    pub(crate) commands_processed: u64,
    pub(crate) is_removed: bool,
    /// What it does wrong, and when.
    pub(crate) quirks: Vec<Planned>,
    /// So many bytes of an unfinished command make it hang up, once.
    pub(crate) hangs_up_at: Option<usize>,
}

impl ModelNode {
    pub(crate) fn new(id: String, host: String, port: u16, view: View) -> Self {
        ModelNode {
            id,
            host,
            port,
            hostname: None,
            knows_own_ip: true,
            preferred_endpoint: PreferredEndpoint::Ip,
            keyspace: Keyspace::new(),
            view,
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            replicas: Vec::new(),
            needs_sync: false,
            replication_is_held: false,
            gossip_is_held: false,
            replaced_by: None,
            process: Process::Running,
            refusals: Refusals::default(),
            watchers: BTreeMap::new(),
            omits_asking_reply: false,
            clients_ever: 0,
            clients_now: 0,
            commands_processed: 0,
            is_removed: false,
            quirks: Vec::new(),
            hangs_up_at: None,
        }
    }

    /// Whether the process executes commands right now.
    pub(crate) fn runs(&self) -> bool {
        self.process == Process::Running && !self.is_removed
    }

    pub(crate) fn forget_watches(&mut self, session: SessionId, watched: &[(Vec<u8>, bool)]) {
        for (key, _) in watched {
            if let Some(watchers) = self.watchers.get_mut(key) {
                watchers.remove(&session);
                if watchers.is_empty() {
                    self.watchers.remove(key);
                }
            }
        }
    }

    /// The node's id: 40 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The address it listens on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether connections are accepted (also while it is frozen).
    pub fn is_reachable(&self) -> bool {
        self.process != Process::Dead && !self.is_removed
    }

    /// Whether it is frozen: it accepts connections and answers nothing.
    pub fn is_frozen(&self) -> bool {
        self.process == Process::Frozen
    }

    /// Whether it has been taken out of the cluster.
    pub fn is_removed(&self) -> bool {
        self.is_removed
    }

    /// Keys it stores.
    pub fn keys_len(&self) -> usize {
        self.keyspace.len()
    }

    /// Connections that are open now.
    pub fn clients(&self) -> usize {
        self.clients_now
    }

    /// Commands it has looked at, refused ones included.
    pub fn commands_processed(&self) -> u64 {
        self.commands_processed
    }

    /// The states in which it refuses commands.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }
}
