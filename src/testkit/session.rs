//! One connection to one node: what the server remembers about it between two commands.
//!
//! Knows the flags a session carries and its bytes in and out; refuses to know what commands do. Invariants: `asking`
//! is set by ASKING alone and outlives exactly one further command, or one transaction; a closed session reads nothing.

use super::reply::Resp;
use super::request::RequestParser;
use super::table::Command;

/// One connection of a [`ModelCluster`](super::ModelCluster). Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) u64);

/// Whether the server still reads from a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// The server has said its last word and ends the connection after it.
    Closing,
    /// The connection has ended. What is in the output still arrives.
    Closed,
}

/// A command that waits for EXEC.
#[derive(Debug)]
pub(crate) struct QueuedCommand {
    pub(crate) command: &'static Command,
    pub(crate) words: Vec<Vec<u8>>,
}

/// What happened between MULTI and now.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<QueuedCommand>,
    /// A command was refused: EXEC will run nothing.
    pub(crate) is_broken: bool,
}

/// The server's side of a connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// Index of the node it is connected to.
    pub(crate) node: usize,
    /// What `CLIENT ID` answers: counted per node.
    pub(crate) client_id: i64,
    pub(crate) resp: Resp,
    pub(crate) is_authenticated: bool,
    pub(crate) name: Vec<u8>,
    pub(crate) asking: bool,
    /// Replies to commands with keys that will be swallowed.
    pub(crate) omits: u32,
    /// Its reply to ASKING was held back.
    pub(crate) owes_asking_reply: bool,
    pub(crate) reads_replica: bool,
    pub(crate) transaction: Option<Transaction>,
    /// Watched keys, each with whether it existed.
    pub(crate) watched: Vec<(Vec<u8>, bool)>,
    pub(crate) watch_is_broken: bool,
    pub(crate) life: Life,
    /// The client has closed its end while its last commands were still waiting.
    pub(crate) client_is_gone: bool,
    pub(crate) input: Vec<u8>,
    pub(crate) parser: RequestParser,
    pub(crate) output: Vec<u8>,
}

impl Session {
    pub(crate) fn new(id: SessionId, node: usize, client_id: i64, is_authenticated: bool) -> Self {
        Session {
            id,
            node,
            client_id,
            resp: Resp::Two,
            is_authenticated,
            name: Vec::new(),
            asking: false,
            omits: 0,
            owes_asking_reply: false,
            reads_replica: false,
            transaction: None,
            watched: Vec::new(),
            watch_is_broken: false,
            life: Life::Open,
            client_is_gone: false,
            input: Vec::new(),
            parser: RequestParser::default(),
            output: Vec::new(),
        }
    }

    /// Back to the state of a new connection (`RESET`); the caller has dropped the watches.
    pub(crate) fn reset(&mut self, is_authenticated: bool) {
        self.resp = Resp::Two;
        self.is_authenticated = is_authenticated;
        self.name.clear();
        self.asking = false;
        self.reads_replica = false;
        self.transaction = None;
    }

    /// The client's end as the server would see it, one for each session.
    pub(crate) fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", 1024 + self.id.0)
    }

    /// A refused command inside MULTI breaks the transaction.
    pub(crate) fn break_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.is_broken = true;
        }
    }
}
