//! Every knob, with its unit in its name and a safe default.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A node's address as somebody wrote it: a host name or an IP literal, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host name or IP literal, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from its two parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Endpoint { host: host.into(), port }
    }

    /// The socket address, where the host is an IP literal (which is never resolved).
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host.parse().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A password: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Secret(password.into())
    }

    /// The password itself, for the handshake.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How a flush visits the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fanout {
    /// Every node's bytes go out at once; readiness is multiplexed.
    #[default]
    Parallel,
    /// Node after node: the next is written when the one before has answered. For debugging and comparison.
    Sequential,
}

/// When submitted bytes leave, for the event-driven use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlushPolicy {
    /// Only at `flush`.
    Explicit,
    /// At the start of every turn: one write per node per turn.
    #[default]
    EachTurn,
    /// At every submit.
    EachCommand,
    /// When this much is unflushed on one node, and at `flush`.
    Threshold {
        /// Unflushed bytes of one node that trigger a flush of it.
        bytes: usize,
        /// Unflushed commands of one node that trigger a flush of it.
        commands: usize,
    },
}

/// What to do with a command that was sent and got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryUnknown {
    /// Never send it again.
    Never,
    /// Send read-only commands again, where that cannot reorder them behind a later write.
    #[default]
    ReadOnly,
}

/// Which RESP version the handshake asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HELLO 3, and RESP2 where the server does not know HELLO.
    #[default]
    Resp3,
    /// No HELLO: AUTH and CLIENT SETNAME only.
    Resp2,
}

/// Bounds on what a server may send: a peer can be compromised, or somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Nesting of aggregates, at most 1024.
    pub depth_max: usize,
    /// Bytes of one bulk string.
    pub bulk_bytes_max: u64,
    /// Bytes of one line: simple strings, errors, numbers, lengths.
    pub line_bytes_max: usize,
    /// Elements of one aggregate.
    pub elements_max: u64,
    /// Elements of one whole reply.
    pub total_elements_max: u64,
    /// Bytes of one whole reply.
    pub reply_bytes_max: u64,
    /// Attribute pairs of one reply.
    pub attribute_pairs_max: u64,
    /// Attribute bytes of one reply.
    pub attribute_bytes_max: u64,
}

impl Default for FrameLimits {
    fn default() -> Self {
        FrameLimits {
            depth_max: 64,
            bulk_bytes_max: 512 << 20,
            line_bytes_max: 64 << 10,
            elements_max: 16 << 20,
            total_elements_max: 64 << 20,
            reply_bytes_max: 1 << 30,
            attribute_pairs_max: 1024,
            attribute_bytes_max: 64 << 10,
        }
    }
}

impl FrameLimits {
    /// Tighter bounds for a peer that has not been authenticated yet.
    pub fn handshake() -> Self {
        FrameLimits {
            line_bytes_max: 4 << 10,
            bulk_bytes_max: 64 << 10,
            reply_bytes_max: 64 << 10,
            elements_max: 4096,
            total_elements_max: 4096,
            ..FrameLimits::default()
        }
    }
}

/// Bounds on what the client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Commands queued or in flight per connection.
    pub commands_per_node_max: usize,
    /// Encoded and unanswered bytes per connection.
    pub bytes_per_node_max: usize,
    /// Encoded, parked and unanswered bytes of the whole client.
    pub bytes_total_max: usize,
    /// Bytes of one command on the wire; servers refuse a bulk over 512 MiB.
    pub command_bytes_max: usize,
    /// Arguments of one command.
    pub command_args_max: usize,
    /// Bytes of replies that the caller of the event-driven use has not taken yet.
    pub untaken_reply_bytes_max: usize,
    /// Bounds on one reply.
    pub frame: FrameLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            commands_per_node_max: 1 << 20,
            bytes_per_node_max: 64 << 20,
            bytes_total_max: 256 << 20,
            command_bytes_max: 512 << 20,
            command_args_max: 1 << 20,
            untaken_reply_bytes_max: 256 << 20,
            frame: FrameLimits::default(),
        }
    }
}

/// Socket options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions {
    /// Send small writes at once.
    pub nodelay: bool,
    /// Idle seconds before keepalive probes; 0 turns them off.
    pub keepalive_s: u32,
    /// Milliseconds the kernel waits for an acknowledgement before it gives the connection up (Linux); 0: system default.
    pub user_timeout_ms: u32,
    /// SO_SNDBUF in bytes; 0: system default.
    pub send_buffer_bytes: usize,
    /// SO_RCVBUF in bytes; 0: system default.
    pub recv_buffer_bytes: usize,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            nodelay: true,
            keepalive_s: 15,
            user_timeout_ms: 12_000,
            send_buffer_bytes: 0,
            recv_buffer_bytes: 0,
        }
    }
}

/// Maps an address that a server announced to the one this client can reach (NAT, containers, port forwards).
pub type AddressMap = Arc<dyn Fn(&Endpoint) -> Endpoint + Send + Sync>;

/// Decides whether a node that a trusted node named may be contacted (and sent credentials).
pub type AcceptNode = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;

/// How a client behaves. All fields have safe defaults; `Debug` prints them whole with secrets redacted.
#[derive(Clone)]
pub struct Config {
    /// Addresses to start from; one reachable is enough. (Known elsewhere as *startup nodes*.)
    pub seeds: Vec<Endpoint>,
    /// ACL user; `None` is the default user.
    pub username: Option<String>,
    /// Password; `None` sends no AUTH.
    pub password: Option<Secret>,
    /// CLIENT SETNAME on every connection.
    pub client_name: Option<String>,
    /// RESP version to ask for.
    pub protocol: Protocol,
    /// Deadline of a command: queueing, connecting, redirects and the reply together.
    pub command_timeout_ms: u64,
    /// Deadline of a TCP connect.
    pub connect_timeout_ms: u64,
    /// Deadline of the handshake after the TCP connect.
    pub handshake_timeout_ms: u64,
    /// A node whose oldest command is unanswered for this long is given up and its connection closed.
    pub node_silent_ms: u64,
    /// First reconnect delay's upper bound; doubles with full jitter.
    pub reconnect_min_ms: u64,
    /// Upper bound of the reconnect delay.
    pub reconnect_max_ms: u64,
    /// Period of the background topology refresh, ± 20 %; 0 turns it off.
    pub refresh_interval_ms: u64,
    /// Least time between two refreshes.
    pub refresh_min_interval_ms: u64,
    /// Refuse to start when slots are unserved. (A running client is never stopped by holes.)
    pub require_full_coverage: bool,
    /// Redirects that one command follows.
    pub hops_max: u8,
    /// How long TRYAGAIN is retried.
    pub tryagain_wait_ms: u64,
    /// Sent and unanswered commands when a connection breaks.
    pub retry_unknown: RetryUnknown,
    /// How a flush visits the nodes.
    pub fanout: Fanout,
    /// When bytes leave in the event-driven use.
    pub flush_policy: FlushPolicy,
    /// Microseconds to poll busily before sleeping; 0 sleeps at once.
    pub spin_us: u32,
    /// Bounds on memory.
    pub limits: Limits,
    /// Socket options.
    pub tcp: TcpOptions,
    /// Announced address to reachable address. (Known elsewhere as *host_port_remap*.)
    pub address_map: Option<AddressMap>,
    /// Narrows the nodes that may be contacted; seeds are always accepted.
    pub accept_node: Option<AcceptNode>,
    /// Seed of the generator behind jitter; 0 takes one from the system.
    pub jitter_seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seeds: Vec::new(),
            username: None,
            password: None,
            client_name: None,
            protocol: Protocol::default(),
            command_timeout_ms: 5_000,
            connect_timeout_ms: 1_000,
            handshake_timeout_ms: 2_000,
            node_silent_ms: 12_000,
            reconnect_min_ms: 50,
            reconnect_max_ms: 5_000,
            refresh_interval_ms: 60_000,
            refresh_min_interval_ms: 100,
            require_full_coverage: false,
            hops_max: 32,
            tryagain_wait_ms: 2_000,
            retry_unknown: RetryUnknown::default(),
            fanout: Fanout::default(),
            flush_policy: FlushPolicy::default(),
            spin_us: 0,
            limits: Limits::default(),
            tcp: TcpOptions::default(),
            address_map: None,
            accept_node: None,
            jitter_seed: 0,
        }
    }
}
