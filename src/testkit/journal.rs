//! What the nodes have run, in the order in which they ran it: the truth that results are held against.
//!
//! Knows every command that nothing refused, its reply, and whether its node had been replaced by then without knowing it.
//! Refuses to judge. Invariant: `executions` is in the order of execution over the whole cluster.

use super::dispatch::Exec;
use super::session::SessionId;

/// A command that a node has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Index of the node that ran it.
    pub node: usize,
    /// The session it came from.
    pub session: SessionId,
    /// The command's words.
    pub words: Vec<Vec<u8>>,
    /// The reply, whether or not it reached anybody.
    pub reply: Vec<u8>,
    /// Whether the command may write.
    pub is_write: bool,
    /// Somebody else had taken this node's place, and it had not heard of that: what it wrote is lost.
    pub is_deposed: bool,
}

/// Everything that ran, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) executions: Vec<Execution>,
}

impl Exec<'_> {
    /// Takes note of a command that has run.
    pub(crate) fn record_execution(&mut self, words: &[&[u8]], reply: &[u8], is_write: bool) {
        let node = self.session.node;
        let is_deposed = self.cluster.nodes[node].replaced_by.is_some();
        self.cluster.journal.executions.push(Execution {
            node,
            session: self.session.id,
            words: words.iter().map(|word| word.to_vec()).collect(),
            reply: reply.to_vec(),
            is_write,
            is_deposed,
        });
    }
}
