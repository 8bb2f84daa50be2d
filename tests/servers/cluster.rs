//! A running cluster: its nodes, what they think of each other, and what can be done to them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use super::form;
use super::permit::{CLUSTERS, Permit};
use super::resp::{Connection, Value};
use super::server::Server;
use super::version::Version;
use super::view::View;
use super::wait::{PATIENCE, wait_until};

/// How the nodes of a cluster are configured; the default is what most tests want.
#[derive(Debug, Clone)]
pub(crate) struct ClusterOptions {
    /// `cluster-node-timeout`: a dead primary is replaced after about this, and a second or two more.
    pub(crate) node_timeout_ms: u32,
    /// `cluster-require-full-coverage`: whether one slot without owner takes the whole cluster down.
    pub(crate) require_full_coverage: bool,
    /// `requirepass`, on every node.
    pub(crate) password: Option<String>,
    /// More flags for every node; they win over ours.
    pub(crate) args: Vec<String>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            node_timeout_ms: 2000,
            require_full_coverage: true,
            password: None,
            args: Vec::new(),
        }
    }
}

/// One node: its server, and its id in the cluster, which a restart keeps.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) server: Server,
}

/// A cluster. Nodes are named by index: first the primaries of the start, then their replicas. All methods take
/// `&self`, so that one thread can break what another one loads. Keep it in a local variable: a `static` is never
/// dropped, and leaves its servers to the watcher.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    options: ClusterOptions,
    /// Slots on their way, by hand: from which node, to which.
    pub(super) moves: Mutex<BTreeMap<u16, (usize, usize)>>,
    /// Last: given back when the servers are gone.
    _permit: Permit<'static>,
}

impl Cluster {
    /// Starts `primaries` + `replicas` servers and waits until they are one healthy cluster. Slots are dealt evenly,
    /// in order; replica i (node `primaries` + i) follows primary i modulo `primaries`.
    pub(crate) fn start(version: Version, primaries: usize, replicas: usize) -> Cluster {
        Cluster::start_with(version, primaries, replicas, ClusterOptions::default())
    }

    /// Like `start`, configured.
    pub(crate) fn start_with(
        version: Version,
        primaries: usize,
        replicas: usize,
        options: ClusterOptions,
    ) -> Cluster {
        let permit = CLUSTERS.take();
        let nodes = (0..primaries + replicas).map(|_| start_node(version, &options)).collect();
        let cluster = Cluster { nodes, options, moves: Mutex::default(), _permit: permit };
        form::form(&cluster, primaries);
        cluster
    }

    /// One more server, known to all nodes, without slots and following nobody. Its index is the answer.
    pub(crate) fn add_node(&mut self) -> usize {
        self.nodes.push(start_node(self.nodes[0].server.version(), &self.options));
        form::meet(self);
        self.nodes.len() - 1
    }

    /// Ends a node and makes the others forget it. Its index stays taken.
    pub(crate) fn forget(&self, node: usize) {
        self.kill(node);
        for other in self.responsive() {
            self.call(other, &["CLUSTER", "FORGET", &self.nodes[node].id]).expect(&"CLUSTER FORGET");
        }
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// `127.0.0.1:port` of every node.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.server.address().to_string()).collect()
    }

    /// `redis://` with the password, where there is one, and every node as a seed.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}{}", self.nodes[0].server.url_credentials(), self.addresses().join(","))
    }

    /// Sends a command over a kept connection; no answer ends the test, an error reply is an answer.
    #[track_caller]
    pub(crate) fn call<A: AsRef<[u8]>>(&self, node: usize, args: &[A]) -> Value {
        self.nodes[node].server.call(args)
    }

    /// Like `call`, for nodes that may not answer.
    pub(crate) fn try_call<A: AsRef<[u8]>>(&self, node: usize, args: &[A]) -> io::Result<Value> {
        self.nodes[node].server.try_call(args)
    }

    /// A connection of one's own: for ASKING, MULTI, HELLO 3, subscriptions.
    pub(crate) fn connect(&self, node: usize) -> io::Result<Connection> {
        self.nodes[node].server.connect()
    }

    /// `kill -9`.
    pub(crate) fn kill(&self, node: usize) {
        self.nodes[node].server.kill();
    }

    /// Starts a node again, with its old id and port and no data; ends it first where it runs.
    pub(crate) fn restart(&self, node: usize) {
        self.nodes[node].server.restart();
    }

    /// Ends all nodes, starts them again at other ports, with their old ids and slots and no data, and introduces them to each other anew.
    pub(crate) fn restart_elsewhere(&mut self) {
        self.nodes.iter().for_each(|node| node.server.kill());
        self.nodes.iter_mut().for_each(|node| node.server.restart_elsewhere());
        form::meet(self);
        self.wait_healthy();
    }

    /// SIGSTOP.
    pub(crate) fn stop(&self, node: usize) {
        self.nodes[node].server.stop();
    }

    /// SIGCONT.
    pub(crate) fn cont(&self, node: usize) {
        self.nodes[node].server.cont();
    }

    /// The nodes that run and are not stopped.
    pub(crate) fn responsive(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| self.nodes[node].server.is_responsive()).collect()
    }

    /// What a node thinks of the cluster.
    pub(crate) fn view(&self, node: usize) -> View {
        let reply = self.call(node, &["CLUSTER", "NODES"]).expect(&"CLUSTER NODES");
        View::parse(reply.text().expect("CLUSTER NODES is text"))
    }

    pub(crate) fn index_of_id(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    pub(crate) fn index_of_port(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.server.port() == port)
    }

    /// The node that claims the slot, as it says itself, so no gossip is waited for; of two the newer claim.
    pub(crate) fn owner_of(&self, slot: u16) -> usize {
        self.claimants(slot).max().unwrap_or_else(|| panic!("slot {slot} has no owner that answers")).1
    }

    fn claimants(&self, slot: u16) -> impl Iterator<Item = (u64, usize)> {
        self.responsive().into_iter().filter_map(move |node| {
            let view = self.view(node);
            let myself = view.myself();
            (myself.is_primary() && myself.owns(slot)).then_some((myself.config_epoch, node))
        })
    }

    /// The responsive nodes that hold themselves for primaries.
    pub(crate) fn primaries(&self) -> Vec<usize> {
        self.responsive().into_iter().filter(|&node| self.view(node).myself().is_primary()).collect()
    }

    /// Whom a node follows, as it says itself.
    pub(crate) fn primary_of(&self, replica: usize) -> Option<usize> {
        self.index_of_id(self.view(replica).myself().primary_id.as_ref()?)
    }

    /// The responsive nodes that follow a node, as they say themselves.
    pub(crate) fn replicas_of(&self, primary: usize) -> Vec<usize> {
        self.responsive().into_iter().filter(|&node| self.primary_of(node) == Some(primary)).collect()
    }

    /// Waits until all responsive nodes are up and agree on who owns which slot.
    #[track_caller]
    pub(crate) fn wait_agreed(&self) {
        wait_until("the nodes to agree", PATIENCE, || form::agreed(self).map(|_| ()));
    }

    /// Waits until all responsive nodes agree, all slots are covered, they see each other as well, and every replica
    /// is in sync with its primary.
    #[track_caller]
    pub(crate) fn wait_healthy(&self) {
        wait_until("the cluster to be healthy", PATIENCE, || form::healthy(self));
    }
}

fn start_node(version: Version, options: &ClusterOptions) -> Node {
    let node_timeout = options.node_timeout_ms.to_string();
    let full_coverage = if options.require_full_coverage { "yes" } else { "no" };
    let mut args = vec!["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
    args.extend(["--cluster-node-timeout", &node_timeout, "--cluster-require-full-coverage", full_coverage]);
    // A replica is in sync at once, and not after the five seconds in which more replicas might come.
    args.extend(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]);
    if let Some(password) = &options.password {
        args.extend(["--requirepass", password, "--masterauth", password]);
    }
    args.extend(options.args.iter().map(String::as_str));
    let server = Server::start(version, &args);
    let id = server.call(&["CLUSTER", "MYID"]).expect(&"CLUSTER MYID");
    Node { id: id.text().expect("an id is text").to_owned(), server }
}
