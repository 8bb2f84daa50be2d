//! News of the control path, and what the driver of the engine must do.

use std::collections::VecDeque;

use crate::config::Endpoint;
use crate::engine::connection::ConnId;

/// What the driver must do for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection, then call `handle_connected` or `handle_closed`. The host may be a name that must be resolved.
    Connect {
        /// The connection.
        conn: ConnId,
        /// Where to.
        endpoint: Endpoint,
    },
    /// Close a connection; nothing is reported back.
    Close {
        /// The connection.
        conn: ConnId,
    },
}

/// Something an operator would want to know. Never one per command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection is in service.
    NodeUp {
        /// The node.
        node: String,
    },
    /// A connection was lost or could not be made.
    NodeDown {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// The slot table changed by a refresh.
    TopologyChanged {
        /// Slots with another owner than before.
        slots_moved: u32,
        /// Nodes in the new view.
        nodes: u32,
    },
    /// Replies and commands did not match; the connection was closed at once.
    Desync {
        /// The node.
        node: String,
        /// What gave it away.
        what: String,
    },
    /// The server did not let us end an earlier connection (`Config::fenced_reconnect`): what was in doubt there may still run.
    FenceRefused {
        /// The node.
        node: String,
        /// What it said.
        reason: String,
    },
    /// The server does not answer ECHO as it should: whether replies and commands match cannot be checked there.
    SentinelRefused {
        /// The node.
        node: String,
        /// What it said.
        reason: String,
    },
    /// A view of the topology was of no use.
    RefreshFailed {
        /// The node that was asked.
        node: String,
        /// Why.
        reason: String,
    },
}

/// Events nobody has read yet; the oldest go first when there are too many.
const EVENTS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.0.len() == EVENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
