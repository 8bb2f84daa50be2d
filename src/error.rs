//! What can go wrong, split by who is to blame, and whether the command ran.
//!
//! Every failure carries an [`Outcome`]: the caller never has to guess whether a write happened.
//! Messages name the node, the slot and what was waited for; they never contain values or credentials.

use std::fmt;

/// Whether the server ran the command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The reply was seen: the command ran (and may have answered with an error of its own).
    Executed,
    /// Proved: the command was never fully handed to the kernel, or the server rejected it before running it.
    NotExecuted,
    /// The command was handed to the kernel whole and no reply came: it may have run.
    Unknown,
    /// A reply that was not an error had begun to arrive when the connection broke: it ran, its value is lost.
    ExecutedReplyLost,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Executed => "executed",
            Outcome::NotExecuted => "not executed",
            Outcome::Unknown => "unknown whether it was executed",
            Outcome::ExecutedReplyLost => "executed, but its reply was lost",
        })
    }
}

/// An error reply as the server sent it, without the leading `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerError {
    text: Box<str>,
}

impl ServerError {
    /// Takes the error line's text; bytes that are not UTF-8 and control characters are escaped.
    pub fn from_bytes(text: &[u8]) -> Self {
        let mut clean = String::with_capacity(text.len());
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { clean.extend(c.escape_default()) } else { clean.push(c) }
            }
            for byte in chunk.invalid() {
                clean.push_str(&format!("\\x{byte:02x}"));
            }
        }
        ServerError { text: clean.into_boxed_str() }
    }

    /// The first word: `WRONGTYPE`, `ERR`, `MOVED`, …
    pub fn code(&self) -> &str {
        self.text.split(' ').next().unwrap_or("")
    }

    /// The whole text, code included.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The peer sent bytes that are not RESP, or more than the limits allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The bytes do not follow the protocol.
    #[error("{what} (at \"{near}\")")]
    Malformed {
        /// Which rule was broken.
        what: &'static str,
        /// The first bytes of the frame, escaped, at most 32 of them.
        near: String,
    },
    /// A limit of the client was exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    LimitExceeded {
        /// What was too large.
        what: &'static str,
        /// The limit, in bytes or elements.
        limit: u64,
    },
}

/// Where a command was when its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting for the slot to get an owner that serves it (redirects, cluster down, topology unknown).
    Parked,
    /// Encoded into a node's queue, not handed to the kernel whole.
    Queued,
    /// Handed to the kernel, waiting for the reply.
    Sent,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Parked => "waiting for a node that serves its slot",
            Phase::Queued => "waiting to be sent",
            Phase::Sent => "waiting for the reply",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server answered with an error.
    #[error("the server answered: {0}")]
    Server(ServerError),
    /// No node serves the slot.
    #[error("slot {slot} is served by no node")]
    SlotNotServed {
        /// The slot.
        slot: u16,
    },
    /// There is no node for a command without a slot.
    #[error("no node for it: {what}")]
    NoNode {
        /// What is missing.
        what: &'static str,
    },
    /// The command was redirected too often.
    #[error("gave up after {hops} redirects, the last was: {last}")]
    Redirects {
        /// How many redirects were followed.
        hops: u32,
        /// The last redirect as the server wrote it.
        last: String,
    },
    /// A later command that shares a key with it had already run when the node refused it: sent again, it would run out of order.
    #[error("overtaken by a later command of the same key; its node had refused it with: {cause}")]
    Overtaken {
        /// The refusal, as the server wrote it; or why its connection was lost.
        cause: String,
    },
    /// No connection to the node.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Whom we tried.
        address: String,
        /// Why it failed.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {reason}")]
    ConnectionLost {
        /// Why.
        reason: String,
    },
    /// The deadline passed.
    #[error("no result after {waited_ms} ms, {phase}")]
    Timeout {
        /// Where the command was.
        phase: Phase,
        /// How long it had, in milliseconds.
        waited_ms: u64,
    },
    /// No usable view of the cluster.
    #[error("no usable view of the cluster (waited {waited_ms} ms): {reason}")]
    NoTopology {
        /// How long it was tried, in milliseconds.
        waited_ms: u64,
        /// What the last node said, or which slots are missing.
        reason: String,
    },
    /// The server refused the credentials.
    #[error("authentication failed: {0}")]
    Auth(ServerError),
    /// The seed is a server without cluster mode.
    #[error(
        "{address} is not a cluster node (cluster mode is off there); panpipe needs a Redis or Valkey Cluster"
    )]
    NotCluster {
        /// The seed.
        address: String,
    },
    /// The peer broke the protocol; the connection was closed.
    #[error("protocol error: {0}")]
    Protocol(#[from] ProtocolError),
    /// Replies and commands no longer match; the connection was closed.
    #[error("replies out of step with commands: {what}")]
    Desync {
        /// What gave it away.
        what: String,
    },
    /// The keys of one command hash to different slots.
    #[error("{command}: keys in different slots ({}); use a hash tag {{…}} to keep them together", slots_text(.slots))]
    CrossSlot {
        /// The command's name.
        command: String,
        /// The slots, in key order, at most 8 of them.
        slots: Vec<u16>,
    },
    /// A raw command that the table does not know and that neither marks its keys nor gives a route.
    #[error("{command}: unknown command; mark its keys with .key() or give it a route with .route()")]
    UnknownCommand {
        /// The command's name.
        command: String,
    },
    /// A command that needs a key has none.
    #[error("{command}: needs at least one key (mark keys with .key())")]
    NoKey {
        /// The command's name.
        command: String,
    },
    /// A command that does not belong on a shared, pipelined connection.
    #[error("{command}: not allowed here: {why}")]
    NotAllowed {
        /// The command's name.
        command: String,
        /// Why, and what to use instead.
        why: &'static str,
    },
    /// The window is full: read replies, or raise the limit.
    #[error(
        "the window of {node} is full ({queued_bytes} bytes, {queued_commands} commands queued or in flight)"
    )]
    Full {
        /// The node, or "the client" where the total is the limit.
        node: String,
        /// Bytes held.
        queued_bytes: u64,
        /// Commands held.
        queued_commands: u64,
    },
    /// One command is larger than a server accepts.
    #[error("{command}: {what} exceeds the limit of {limit}")]
    TooLarge {
        /// The command's name.
        command: String,
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Some parts of a command that was split over slots or nodes failed.
    #[error("{failed} of {parts} parts failed, the first: {first}")]
    Partial {
        /// How many failed.
        failed: usize,
        /// How many there are.
        parts: usize,
        /// The first failure's text.
        first: String,
    },
    /// The server refused one of the commands between MULTI and EXEC, and so all of them.
    #[error("command {} of the transaction was refused: {refusal}", at + 1)]
    UnitRefused {
        /// Why, in the server's words.
        refusal: ServerError,
        /// Which of the commands between MULTI and EXEC, from 0.
        at: usize,
    },
    /// The server refused MULTI, so the commands of the unit ran one by one, without a transaction around them.
    #[error("MULTI was refused ({refusal}), and {ran} of {commands} commands ran outside of a transaction")]
    UnitBroken {
        /// Why, in the server's words.
        refusal: ServerError,
        /// How many ran.
        ran: usize,
        /// How many there are between MULTI and EXEC.
        commands: usize,
    },
    /// The reply has a shape that the requested type cannot hold.
    #[error("expected {expected}, the server sent {found}")]
    Decode {
        /// What the caller asked for.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// The caller cancelled it, or dropped its pipeline.
    #[error("cancelled by the caller")]
    Cancelled,
    /// A setting or an address makes no sense.
    #[error("{what}")]
    Config {
        /// What is wrong and what would be right.
        what: String,
    },
    /// The operating system refused something the client cannot work without.
    #[error("{what}: {reason}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
}

fn slots_text(slots: &[u16]) -> String {
    slots.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// A failure: what, where, and whether the command ran.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    node: Option<String>,
    attempts: u32,
    redirects: u32,
}

/// Shorthand used all over the crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind with this outcome, tied to no node yet.
    pub fn new(kind: ErrorKind, outcome: Outcome) -> Self {
        Error(Box::new(Inner { kind, outcome, node: None, attempts: 0, redirects: 0 }))
    }

    /// A failure that happened before anything was sent.
    pub fn not_executed(kind: ErrorKind) -> Self {
        Error::new(kind, Outcome::NotExecuted)
    }

    /// A setting or an address that makes no sense.
    pub fn config(what: impl Into<String>) -> Self {
        Error::not_executed(ErrorKind::Config { what: what.into() })
    }

    /// The same failure with another outcome.
    #[must_use]
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Names the node.
    #[must_use]
    pub fn at_node(mut self, node: impl fmt::Display) -> Self {
        self.0.node = Some(node.to_string());
        self
    }

    /// Records how often the command was sent and redirected.
    #[must_use]
    pub fn with_counts(mut self, attempts: u32, redirects: u32) -> Self {
        self.0.attempts = attempts;
        self.0.redirects = redirects;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the command ran.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The node the command was last sent to, where there was one.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_deref()
    }

    /// How often the command was sent, attempts whose fate is unknown included.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How many redirects it followed.
    pub fn redirects(&self) -> u32 {
        self.0.redirects
    }

    /// The server's own error, where that is what failed.
    pub fn server(&self) -> Option<&ServerError> {
        match &self.0.kind {
            ErrorKind::Server(error) | ErrorKind::Auth(error) => Some(error),
            ErrorKind::UnitRefused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // These name the node themselves.
        let named = matches!(
            self.0.kind,
            ErrorKind::Connect { .. } | ErrorKind::NotCluster { .. } | ErrorKind::Full { .. }
        );
        if let Some(node) = self.0.node.as_ref().filter(|_| !named) {
            write!(f, "{node}: ")?;
        }
        write!(f, "{}", self.0.kind)?;
        match self.0.outcome {
            // In-command errors and caller mistakes speak for themselves.
            Outcome::Executed => Ok(()),
            outcome if self.0.attempts > 0 => write!(f, " ({outcome})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("node", &self.0.node)
            .field("attempts", &self.0.attempts)
            .field("redirects", &self.0.redirects)
            .finish()
    }
}

impl std::error::Error for Error {}
