//! What happens to a cluster by accident: nodes die, freeze, fall behind, refuse work, or name each other oddly.
//!
//! Knows the states of nodes and connections; the slots are the business of `operations.rs`. Invariant: what a node
//! missed while it was out of touch it learns when it is let go, before it serves anybody (but see `thaw`).

use super::cluster::ModelCluster;
use super::node::{ClusterDown, PreferredEndpoint, Process, Refusals};
use super::session::{Session, SessionId};

impl ModelCluster {
    /// Ends a node's process: its connections break, what it had not yet said is lost, new ones are refused. Its data
    /// survives, as with an append-only file.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].process = Process::Dead;
        self.disconnect_all(node);
    }

    /// Starts a dead node with its data. Unless its gossip is held it learns the truth before it serves anybody.
    pub fn restart(&mut self, node: usize) {
        if self.nodes[node].process == Process::Dead {
            self.nodes[node].process = Process::Running;
            self.converge(node);
        }
    }

    /// Drops a node's keys without a word to its replicas: a restart without persistence.
    pub fn wipe(&mut self, node: usize) {
        self.nodes[node].keyspace.clear();
    }

    /// Stops a node's process without ending it: it accepts connections and bytes and answers nothing.
    pub fn freeze(&mut self, node: usize) {
        if self.nodes[node].process == Process::Running {
            self.nodes[node].process = Process::Frozen;
        }
    }

    /// Lets a frozen node go on. It first executes what it was sent, with the view it had, and hears the news then:
    /// the worst order that real servers show.
    pub fn thaw(&mut self, node: usize, now_ms: u64) {
        if self.nodes[node].process == Process::Frozen {
            self.nodes[node].process = Process::Running;
            self.catch_up(node, now_ms);
            self.converge(node);
        }
    }

    /// Keeps news from a node: its view grows stale.
    pub fn hold_gossip(&mut self, node: usize) {
        self.nodes[node].gossip_is_held = true;
    }

    /// Lets the news through again: the node learns the truth now.
    pub fn release_gossip(&mut self, node: usize) {
        self.nodes[node].gossip_is_held = false;
        self.converge(node);
    }

    /// Keeps writes from a replica: a failover to it now loses them.
    pub fn hold_replication(&mut self, replica: usize) {
        self.nodes[replica].replication_is_held = true;
    }

    /// Lets a replica catch up.
    pub fn release_replication(&mut self, replica: usize) {
        self.nodes[replica].replication_is_held = false;
        if let Some(primary) = self.primary_of(replica) {
            self.sync(replica, primary);
        }
    }

    /// Marks a node as failed in everybody's view: CLUSTER NODES says so, CLUSTER SLOTS leaves a failed replica out.
    pub fn set_failed(&mut self, node: usize, has_failed: bool) {
        self.tell_all(|view| view.peer_mut(node).has_failed = has_failed);
    }

    /// The states in which a node refuses commands, for changing.
    pub fn refusals_mut(&mut self, node: usize) -> &mut Refusals {
        &mut self.nodes[node].refusals
    }

    /// Makes a node swallow its replies to ASKING, as a broken proxy might. Where the command behind it has a reply that could pass for
    /// one to ASKING (`+OK`, an error), nothing is swallowed.
    pub fn set_omits_asking_reply(&mut self, node: usize, omits: bool) {
        self.nodes[node].omits_asking_reply = omits;
    }

    /// Makes a connection's server swallow one more of its replies to commands with keys.
    pub fn omit_reply(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.omits += 1;
        }
    }

    /// Switches LOADING on or off.
    pub fn set_loading(&mut self, node: usize, loading: bool) {
        self.nodes[node].refusals.loading = loading;
    }

    /// Switches CLUSTERDOWN on or off.
    pub fn set_cluster_down(&mut self, node: usize, down: Option<ClusterDown>) {
        self.nodes[node].refusals.cluster_down = down;
    }

    /// How a node names nodes in its answers.
    pub fn set_preferred_endpoint(&mut self, node: usize, preferred: PreferredEndpoint) {
        self.nodes[node].preferred_endpoint = preferred;
    }

    /// The host name a node announces.
    pub fn set_hostname(&mut self, node: usize, hostname: Option<&str>) {
        self.nodes[node].hostname = hostname.map(str::to_owned);
    }

    /// Whether a node knows its own address; one that does not reports an empty string for itself.
    pub fn set_knows_own_ip(&mut self, node: usize, knows: bool) {
        self.nodes[node].knows_own_ip = knows;
    }

    /// Ends every connection of a node; what it had not yet said is lost.
    pub fn disconnect_all(&mut self, node: usize) {
        let of_node = |(id, session): (&SessionId, &Session)| (session.node == node).then_some(*id);
        let sessions: Vec<SessionId> = self.sessions.iter().filter_map(of_node).collect();
        for id in sessions {
            self.disconnect(id);
        }
    }

    /// Breaks one connection as a reset does: what the server had not yet said is lost.
    pub fn disconnect(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.output.clear();
        }
        self.close_by_server(session);
    }
}
