//! The model behind real loopback sockets.
//!
//! Knows sockets, threads and the clock; every decision is the model's. One thread accepts per node, one serves each
//! connection, one more per connection appears when answers are delayed. One lock guards the model. Invariant: what
//! the model says about a node (dead, frozen, removed) is what its sockets do, from the end of each call of `with` on.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cluster::ModelCluster;
use super::config::{HelloSupport, ModelConfig};
use super::session::SessionId;
use super::tcp_connection;

/// How long a restarted node tries to get its port back.
const REBIND_PATIENCE: Duration = Duration::from_secs(2);
/// How long dropping the cluster waits for its threads.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Everything the threads share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Signalled when a node may have thawed, a thread has ended, or all of it stops.
    pub(crate) changed: Condvar,
    is_stopping: AtomicBool,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) model: ModelCluster,
    pub(crate) delays_ms: Vec<u64>,
    /// Most bytes of an answer that leave in one piece.
    pub(crate) pieces_bytes: Vec<usize>,
    /// Handles by which other threads can end a connection.
    pub(crate) streams: HashMap<SessionId, TcpStream>,
    pub(crate) threads_alive: usize,
}

impl Shared {
    /// The lock. A test that panicked inside `with` does not take the cluster down with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

impl State {
    /// Ends the sockets of sessions that the model has closed, but for the one whose thread asks: it has output to
    /// write first.
    pub(crate) fn shut_closed(&mut self, but: Option<SessionId>) {
        for id in self.model.take_closed() {
            if Some(id) != but
                && let Some(stream) = self.streams.remove(&id)
            {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Milliseconds since the epoch: the time the model lives in when it is behind sockets.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One node's listening socket.
struct Listener {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        // `accept` cannot be interrupted, but it can be satisfied.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        let _ = self.thread.join();
    }
}

/// A cluster of model servers on loopback sockets of this process.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let cluster = panpipe::testkit::EmbeddedCluster::builder().primaries(3).replicas(1).start()?;
/// assert!(cluster.url().starts_with("redis://127.0.0.1:"));
/// cluster.with(|model| model.move_slot(12182, 0));
/// cluster.kill(1);
/// cluster.restart(1);
/// # Ok(()) }
/// ```
pub struct EmbeddedCluster {
    shared: Arc<Shared>,
    /// By node; none while the node does not listen. Held during changes, never by a connection's thread.
    listeners: Mutex<Vec<Option<Listener>>>,
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedCluster").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// How an [`EmbeddedCluster`] is laid out.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedClusterBuilder {
    config: ModelConfig,
    delay_ms: u64,
}

impl EmbeddedClusterBuilder {
    /// Nodes that own slots; 3 unless said otherwise.
    pub fn primaries(mut self, primaries: usize) -> Self {
        self.config.primaries = primaries;
        self
    }

    /// Replicas of each primary; none unless said otherwise.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.config.replicas_per_primary = replicas;
        self
    }

    /// Every answer leaves this long after its request has arrived, as if the servers were far away.
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    /// The password of the user `default`.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.config.password = Some(password.into());
        self
    }

    /// Servers that are not in cluster mode.
    pub fn standalone(mut self) -> Self {
        self.config.cluster_enabled = false;
        self
    }

    /// Servers that do not know `HELLO`.
    pub fn resp2_only(mut self) -> Self {
        self.config.hello = HelloSupport::Unknown;
        self
    }

    /// Keeps executed writes for [`ModelCluster::writes`].
    pub fn record_writes(mut self) -> Self {
        self.config.records_writes = true;
        self
    }

    /// Anything else the model can be told. Addresses are overwritten: they are those of the sockets.
    pub fn configure(mut self, change: impl FnOnce(&mut ModelConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Binds the sockets and starts to serve.
    pub fn start(mut self) -> io::Result<EmbeddedCluster> {
        let count = self.config.primaries * (1 + self.config.replicas_per_primary);
        let sockets = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
        let ports = sockets.iter().map(|socket| Ok(socket.local_addr()?.port()));
        self.config.ports = ports.collect::<io::Result<Vec<_>>>()?;
        self.config.host = "127.0.0.1".into();
        let state = State {
            model: ModelCluster::new(self.config),
            delays_ms: vec![self.delay_ms; count],
            pieces_bytes: vec![usize::MAX; count],
            streams: HashMap::new(),
            threads_alive: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            is_stopping: AtomicBool::new(false),
        });
        let cluster = EmbeddedCluster { shared, listeners: Mutex::new(Vec::new()) };
        let listeners =
            sockets.into_iter().enumerate().map(|(node, socket)| cluster.listen(node, socket).map(Some));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        *cluster.listeners.lock().unwrap_or_else(PoisonError::into_inner) = listeners;
        Ok(cluster)
    }
}

impl EmbeddedCluster {
    /// Three primaries without replicas, unless the builder is told otherwise.
    pub fn builder() -> EmbeddedClusterBuilder {
        EmbeddedClusterBuilder::default()
    }

    /// The address of every node, `redis://127.0.0.1:7000,127.0.0.1:7001`. Without the password.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.addresses().iter().map(SocketAddr::to_string).collect();
        format!("redis://{}", addresses.join(","))
    }

    /// The address of every node that has not been removed, by index.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let state = self.shared.lock();
        let nodes = (0..state.model.nodes_len()).map(|node| state.model.node(node));
        nodes
            .filter(|node| !node.is_removed())
            .map(|node| SocketAddr::from(([127, 0, 0, 1], node.port())))
            .collect()
    }

    /// Looks at the model, or injects a fault, while nothing else happens in it. The sockets follow before the call
    /// returns: dead nodes do not listen, new ones do. The closure must not call this cluster's methods.
    pub fn with<T>(&self, change: impl FnOnce(&mut ModelCluster) -> T) -> T {
        let result = {
            let mut state = self.shared.lock();
            let result = change(&mut state.model);
            state.shut_closed(None);
            result
        };
        self.shared.changed.notify_all();
        self.follow_model();
        result
    }

    /// Answers of this node leave so much later than their request arrives.
    pub fn set_delay_ms(&self, node: usize, delay_ms: u64) {
        if let Some(delay) = self.shared.lock().delays_ms.get_mut(node) {
            *delay = delay_ms;
        }
    }

    /// Answers of this node that are not delayed leave in pieces of so many bytes.
    pub fn set_piece_bytes(&self, node: usize, bytes: usize) {
        if let Some(piece) = self.shared.lock().pieces_bytes.get_mut(node) {
            *piece = bytes.max(1);
        }
    }

    /// The node accepts connections and bytes and answers nothing.
    pub fn freeze(&self, node: usize) {
        self.with(|model| model.freeze(node));
    }

    /// A frozen node goes on.
    pub fn thaw(&self, node: usize) {
        self.with(|model| model.thaw(node, now_ms()));
    }

    /// The node's connections break and new ones are refused.
    pub fn kill(&self, node: usize) {
        self.with(|model| model.kill(node));
    }

    /// A dead node listens again, on the same port and with its data.
    pub fn restart(&self, node: usize) {
        self.with(|model| model.restart(node));
    }

    /// Adds an empty primary with a socket of its own.
    pub fn add_node(&self) -> usize {
        self.with(ModelCluster::add_node)
    }

    /// Starts and stops listening according to the model.
    fn follow_model(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<(bool, u16)> = {
            let state = self.shared.lock();
            let nodes = (0..state.model.nodes_len()).map(|node| state.model.node(node));
            nodes.map(|node| (node.is_reachable(), node.port())).collect()
        };
        for (node, (listens, port)) in wanted.into_iter().enumerate() {
            let is_new = node >= listeners.len();
            if is_new {
                listeners.push(None);
                let mut state = self.shared.lock();
                state.delays_ms.push(0);
                state.pieces_bytes.push(usize::MAX);
            }
            match listeners[node].take() {
                Some(listener) if !listens => listener.stop(),
                None if listens => listeners[node] = self.bind(node, if is_new { 0 } else { port }),
                unchanged => listeners[node] = unchanged,
            }
        }
    }

    /// A socket for a node that has none; a new node (port 0) is told where it listens.
    fn bind(&self, node: usize, port: u16) -> Option<Listener> {
        let deadline = Instant::now() + REBIND_PATIENCE;
        loop {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(socket) => {
                    let bound = socket.local_addr().ok()?.port();
                    self.shared.lock().model.set_address(node, "127.0.0.1", bound);
                    return self.listen(node, socket).ok();
                }
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                Err(_) => return None,
            }
        }
    }

    fn listen(&self, node: usize, socket: TcpListener) -> io::Result<Listener> {
        let address = socket.local_addr()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (shared, stopping) = (Arc::clone(&self.shared), Arc::clone(&is_stopping));
        let accept = move || tcp_connection::accept(&shared, node, &socket, &stopping);
        let thread = thread::Builder::new().name(format!("model-node-{node}")).spawn(accept)?;
        Ok(Listener { address, is_stopping, thread })
    }
}

impl Drop for EmbeddedCluster {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        let listeners = self.listeners.get_mut().unwrap_or_else(PoisonError::into_inner);
        listeners.drain(..).flatten().for_each(Listener::stop);
        let state = self.shared.lock();
        for stream in state.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        let alive = |state: &mut State| state.threads_alive > 0;
        // Whatever still runs after that has no socket left and ends on its own.
        let _ = self.shared.changed.wait_timeout_while(state, STOP_PATIENCE, alive);
    }
}
