//! Every knob, with its unit in its name and a safe default.
//!
//! This module knows names, units and defaults, and how people write addresses. It refuses to know what the
//! settings do. Invariant: nothing here prints a password.

mod endpoint;
mod limits;
mod parameters;
#[cfg(feature = "testkit")]
mod rule;
mod url;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

pub use endpoint::Endpoint;
pub(crate) use endpoint::is_host;
pub use limits::{FrameLimits, Limits, TcpOptions};
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub use rule::{Broken, Rule};

use crate::error::{Error, Result};

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
    /// Only at `flush`. A blocking call or a pipeline of the same client flushes too.
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
    /// Send also commands again that leave the same behind when they run twice (SET, DEL, HSET, SADD; not INCR, not RPUSH). Their reply may
    /// be another the second time: DEL answers 0.
    Idempotent,
    /// Send everything again: at least once instead of at most once.
    Always,
}

/// Which commands keep their order when redirects, migrations and reconnects get in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Commands that share a key, unless both only read. A command whose keys cannot be told shares them all.
    #[default]
    PerKey,
    /// All commands of a slot.
    PerSlot,
    /// None: a redirected command is sent on at once, past those that were submitted after it.
    Relaxed,
}

/// What becomes of a command that a later one of the same key has overtaken: the node refused the earlier and ran the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overtaken {
    /// It fails, not executed.
    #[default]
    Fail,
    /// It is sent again, and runs out of order.
    Retry,
}

/// What moves the bytes between the client and the sockets.
///
/// io_uring pays for pipelines over several nodes; single commands, streams and large replies cost less over mio, and so does a client that moves
/// between threads: over io_uring each move means new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Nonblocking sockets and readiness (epoll on Linux): everywhere.
    #[default]
    Mio,
    /// Requests and completions through io_uring: Linux 6.1 and later, feature `io-uring`. Connecting fails where the system refuses it.
    Uring,
    /// io_uring where this build and the system have it, mio otherwise; `Client::transport` says which it became.
    Auto,
}

impl Transport {
    /// As command lines and URLs name it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Mio => "mio",
            Transport::Uring => "uring",
            Transport::Auto => "auto",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Transport {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Transport::Mio, Transport::Uring, Transport::Auto];
        all.into_iter()
            .find(|transport| transport.name() == text)
            .ok_or_else(|| Error::config("a transport is mio, uring or auto"))
    }
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

/// Maps an address that a server announced to the one this client can reach (NAT, containers, port forwards).
pub type AddressMap = Arc<dyn Fn(&Endpoint) -> Endpoint + Send + Sync>;

/// Decides whether a node that a trusted node named may be contacted (and sent credentials).
pub type AcceptNode = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;

/// Resolves a host name; `None` in the configuration is the resolver of the standard library, which blocks while it looks a name up.
///
/// The client has one thread and waits for the answer, at each attempt to connect. A resolver that must not block looks names up elsewhere, and
/// answers an error until it knows: what it last found serves then, and where it never found anything the attempt is made again after the
/// pause between attempts ([`Config::reconnect_min_ms`] and up). An error never withdraws an address; another answer does.
pub type Resolver = Arc<dyn Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync>;

/// How a client behaves. All fields have safe defaults; `Debug` prints them whole with secrets redacted.
///
/// Other clients call some of these by other names:
///
/// | known elsewhere as | here |
/// |---|---|
/// | startup nodes, initial nodes, root nodes | [`seeds`](Config::seeds) |
/// | `socket_timeout`, `response_timeout` | [`command_timeout_ms`](Config::command_timeout_ms), which covers queueing and redirects too |
/// | `max_connections_per_node`, pool size | none: one connection per node carries everything |
/// | `reinitialize_steps`, `cluster_refresh_period` | [`refresh_interval_ms`](Config::refresh_interval_ms); a MOVED patches its slot at once and asks for a refresh |
/// | `require_full_coverage`, `cluster-require-full-coverage` | [`require_full_coverage`](Config::require_full_coverage), at start only |
/// | `max_redirects`, `cluster_error_retry_attempts`, `retries` | [`hops_max`](Config::hops_max) |
/// | `retry_on_timeout` | [`retry_unknown`](Config::retry_unknown) |
/// | auto-flush | [`flush_policy`](Config::flush_policy) |
/// | `host_port_remap`, `address_remap`, `nat_map` | [`address_map`](Config::address_map) |
/// | `readonly_mode`, `read_from_replicas` | none: commands go to primaries |
#[derive(Clone)]
pub struct Config {
    /// Addresses to start from; one reachable is enough. (Known elsewhere as *startup nodes*.)
    #[doc(alias("startup_nodes", "initial_nodes"))]
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
    #[doc(alias("socket_timeout", "response_timeout"))]
    pub command_timeout_ms: u64,
    /// Deadline of a TCP connect.
    pub connect_timeout_ms: u64,
    /// Deadline of the handshake after the TCP connect.
    pub handshake_timeout_ms: u64,
    /// A node that owes replies and sends nothing for this long is given up and its connection closed; so is one that in as long
    /// completes no reply and sends less than 4 KiB. A reply that takes longer to come but keeps coming is never cut off: the commands
    /// that wait behind it have their deadlines.
    pub node_silent_ms: u64,
    /// First reconnect delay's upper bound; doubles with full jitter.
    pub reconnect_min_ms: u64,
    /// Upper bound of the reconnect delay.
    pub reconnect_max_ms: u64,
    /// Period of the background topology refresh, ± 20 %; 0 turns it off.
    #[doc(alias("reinitialize_steps", "cluster_refresh_period"))]
    pub refresh_interval_ms: u64,
    /// Least time between two refreshes.
    pub refresh_min_interval_ms: u64,
    /// Refuse to start when slots are unserved. (A running client is never stopped by holes.)
    pub require_full_coverage: bool,
    /// Commands to slots that no node serves fail at once, instead of waiting for an owner until their deadline.
    pub fail_fast_uncovered: bool,
    /// Redirects that one command follows.
    #[doc(alias("max_redirects", "cluster_error_retry_attempts"))]
    pub hops_max: u8,
    /// How long TRYAGAIN is retried.
    pub tryagain_wait_ms: u64,
    /// Commands that were sent and not answered when a connection breaks: which are sent again, each decided by itself. A caller can decide
    /// for one command (`Cmd::retry_unknown`, `Request::retry_unknown`). Whatever this says, a read is not sent again behind a later
    /// write of its keys that was sent, and a write only together with all later commands of its keys that were sent. What is not sent
    /// again fails with the outcome `Unknown`; what is, and fails later, is `Unknown` too, and
    /// [`Error::attempts`](crate::error::Error::attempts) counts all attempts ([`NodeStats::resent`](crate::engine::NodeStats::resent)
    /// those that succeed as well).
    #[doc(alias("retry_on_timeout"))]
    pub retry_unknown: RetryUnknown,
    /// After a connection broke with commands in doubt: end it on the server too, with CLIENT KILL, before anything is sent on the next one. So
    /// what was in doubt ran before all that follows, or never, also where the server was stopped and reads its buffers late. Needs the
    /// permission for CLIENT KILL (an event tells where it is missing, and the client goes on without); says nothing across a failover
    /// or behind a proxy. A connection is named by its number and its address (CLIENT INFO, from Redis 6.2 on), so that nobody else's is
    /// ended where the server was started anew.
    pub fenced_reconnect: bool,
    /// Replies of one connection after which an ECHO checks that replies and commands still match; 0 turns it off.
    pub sentinel_replies: u64,
    /// Time with traffic after which that check is made at the latest; 0 turns it off.
    pub sentinel_ms: u64,
    /// Check with every flush, and hold the results of its commands back until the check behind them has come out right: a server or a proxy
    /// that loses or adds a reply can then give no command the reply of another. Where the connection breaks before, or the check fails, they
    /// are `Unknown`. Redirects and other rejections are acted upon as they come. Costs one ECHO for each node and flush.
    pub high_integrity: bool,
    /// Which commands keep their order.
    pub order: Order,
    /// What becomes of a command whose place in that order is lost.
    pub overtaken: Overtaken,
    /// How a flush visits the nodes.
    pub fanout: Fanout,
    /// When bytes leave in the event-driven use.
    #[doc(alias("auto_flush"))]
    pub flush_policy: FlushPolicy,
    /// What moves the bytes. (Of [`Client::connect`](crate::Client::connect) and its like; a client that is given a transport uses that.)
    pub transport: Transport,
    /// Microseconds to poll busily before sleeping; 0 sleeps at once.
    pub spin_us: u32,
    /// Bounds on memory.
    pub limits: Limits,
    /// Socket options.
    pub tcp: TcpOptions,
    /// Announced address to reachable address. (Known elsewhere as *host_port_remap*.)
    #[doc(alias("host_port_remap", "address_remap", "nat_map"))]
    pub address_map: Option<AddressMap>,
    /// Narrows the nodes that may be contacted; seeds are always accepted.
    pub accept_node: Option<AcceptNode>,
    /// Resolves host names, while connecting only; IP literals are never resolved.
    pub resolver: Option<Resolver>,
    /// Seed of the generator behind jitter; 0 takes one from the system.
    pub jitter_seed: u64,
    /// Rules that the engine is to break, to see whether tests notice.
    #[cfg(feature = "testkit")]
    #[doc(hidden)]
    pub broken: Broken,
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
            fail_fast_uncovered: false,
            hops_max: 32,
            tryagain_wait_ms: 2_000,
            retry_unknown: RetryUnknown::default(),
            fenced_reconnect: false,
            sentinel_replies: 65_536,
            sentinel_ms: 5_000,
            high_integrity: false,
            order: Order::default(),
            overtaken: Overtaken::default(),
            fanout: Fanout::default(),
            flush_policy: FlushPolicy::default(),
            transport: Transport::default(),
            spin_us: 0,
            limits: Limits::default(),
            tcp: TcpOptions::default(),
            address_map: None,
            accept_node: None,
            resolver: None,
            jitter_seed: 0,
            #[cfg(feature = "testkit")]
            broken: Broken::default(),
        }
    }
}

impl Config {
    /// The defaults, with these addresses to start from.
    pub fn from_seeds(seeds: impl IntoIterator<Item = Endpoint>) -> Config {
        Config { seeds: seeds.into_iter().collect(), ..Config::default() }
    }

    /// Reads a cluster URL: `redis://` or `valkey://`, credentials, any number of seeds, parameters.
    ///
    /// ```
    /// use panpipe::config::Config;
    ///
    /// let config = Config::from_url("redis://ada:p%40ss@10.0.0.1:7000,[::1]:7001?timeout_ms=2000")?;
    /// assert_eq!(config.seeds.len(), 2);
    /// assert_eq!(config.command_timeout_ms, 2000);
    /// # Ok::<(), panpipe::error::Error>(())
    /// ```
    ///
    /// * A seed is `host:port`, `host` (port 6379), or an IPv6 address in brackets. One that answers is enough.
    /// * User, password and client name are percent-decoded; `:password@` is the default user.
    /// * The path may be `/0`: a cluster has no other database.
    /// * Whole URLs may be repeated, separated by commas or spaces, as long as they agree.
    ///
    /// | parameter | sets |
    /// |---|---|
    /// | `timeout_ms` | [`command_timeout_ms`](Config::command_timeout_ms) |
    /// | `connect_timeout_ms` | [`connect_timeout_ms`](Config::connect_timeout_ms) |
    /// | `handshake_timeout_ms` | [`handshake_timeout_ms`](Config::handshake_timeout_ms) |
    /// | `node_silent_ms` | [`node_silent_ms`](Config::node_silent_ms) |
    /// | `reconnect_min_ms` | [`reconnect_min_ms`](Config::reconnect_min_ms) |
    /// | `reconnect_max_ms` | [`reconnect_max_ms`](Config::reconnect_max_ms) |
    /// | `refresh_interval_ms` | [`refresh_interval_ms`](Config::refresh_interval_ms), 0 is off |
    /// | `refresh_min_interval_ms` | [`refresh_min_interval_ms`](Config::refresh_min_interval_ms) |
    /// | `tryagain_wait_ms` | [`tryagain_wait_ms`](Config::tryagain_wait_ms), 0 is off |
    /// | `require_full_coverage` | [`require_full_coverage`](Config::require_full_coverage): `true` or `false` |
    /// | `fail_fast_uncovered` | [`fail_fast_uncovered`](Config::fail_fast_uncovered): `true` or `false` |
    /// | `hops_max` | [`hops_max`](Config::hops_max): 0 to 255 |
    /// | `transport` | [`transport`](Config::transport): `mio`, `uring` or `auto` |
    /// | `spin_us` | [`spin_us`](Config::spin_us), 0 is off |
    /// | `protocol` | [`protocol`](Config::protocol): `2` or `3` |
    /// | `client_name` | [`client_name`](Config::client_name) |
    /// | `retry_unknown` | [`retry_unknown`](Config::retry_unknown): `never`, `readonly`, `idempotent` or `always` |
    /// | `fenced_reconnect` | [`fenced_reconnect`](Config::fenced_reconnect): `true` or `false` |
    /// | `sentinel_replies` | [`sentinel_replies`](Config::sentinel_replies), 0 is off |
    /// | `sentinel_ms` | [`sentinel_ms`](Config::sentinel_ms), 0 is off |
    /// | `high_integrity` | [`high_integrity`](Config::high_integrity): `true` or `false` |
    /// | `order` | [`order`](Config::order): `per_key`, `per_slot` or `relaxed` |
    /// | `overtaken` | [`overtaken`](Config::overtaken): `fail` or `retry` |
    /// | `fanout` | [`fanout`](Config::fanout): `parallel` or `sequential` |
    /// | `flush_policy` | [`flush_policy`](Config::flush_policy): `explicit`, `each_turn` or `each_command` |
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) says which part is wrong and shows a right
    /// example. It never repeats the password, even where that stands in a wrong place.
    pub fn from_url(url: &str) -> Result<Config> {
        Config::from_urls([url])
    }

    /// Reads several cluster URLs into one configuration: the seeds add up, everything else must agree.
    ///
    /// # Errors
    ///
    /// As [`Config::from_url`].
    pub fn from_urls<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Config> {
        url::parse(&mut urls.into_iter())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A function has no text of its own.
        struct Function;

        impl fmt::Debug for Function {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fn")
            }
        }

        macro_rules! print {
            ($($field:ident),* ; $($function:ident),*) => {{
                // Taken apart whole: a field that is added and not printed does not compile.
                let Config {
                    $($field,)* $($function,)*
                    #[cfg(feature = "testkit")]
                    broken: _,
                } = self;
                f.debug_struct("Config")
                    $(.field(stringify!($field), $field))*
                    $(.field(stringify!($function), &$function.as_ref().map(|_| Function)))*
                    .finish()
            }};
        }
        print!(
            seeds, username, password, client_name, protocol, command_timeout_ms, connect_timeout_ms,
            handshake_timeout_ms, node_silent_ms, reconnect_min_ms, reconnect_max_ms, refresh_interval_ms,
            refresh_min_interval_ms, require_full_coverage, fail_fast_uncovered, hops_max, tryagain_wait_ms,
            retry_unknown, fenced_reconnect, sentinel_replies, sentinel_ms, high_integrity, order, overtaken,
            fanout, flush_policy, transport, spin_us, limits, tcp, jitter_seed;
            address_map, accept_node, resolver
        )
    }
}
