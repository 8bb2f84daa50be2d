//! `Config::fenced_reconnect`: the old connection is dead on the server before anything is sent on the new one.
//!
//! A server that was stopped may read a new socket before the commands that an old one still holds. It runs one command at a time, so when it has
//! answered CLIENT KILL for the old connection, each command of that one either ran before or never will. That is true of the same
//! process only: the node's id must be the same, and the new connection's number above the old one's, since a process counts up. A
//! process that was started anew may have counted past the old number: the address of our end says that it is somebody else's then.

use crate::engine::event::Event;
use crate::engine::handshake::ServerName;
use crate::engine::{Engine, keeps};
use crate::error::ServerError;

/// How many are remembered; each of them had commands in doubt and was followed by another before it could be ended.
const OLD_MAX: usize = 8;

/// A connection that was lost with commands in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldConnection {
    server_id: u64,
    address: Option<Box<str>>,
    /// The node that it led to.
    node_id: String,
}

impl Engine {
    /// A connection was lost with commands in doubt.
    pub(crate) fn remember_old(&mut self, row: u16, old: ServerName) {
        if !self.config.fenced_reconnect || !keeps!(self.config, FencedReconnect) {
            return;
        }
        let node_id = self.nodes.get(row).map_or("", |node| node.id()).to_owned();
        let Some(server_id) = old.id.filter(|_| !node_id.is_empty()) else {
            let node = self.node_name(row);
            let reason = "the node does not tell its id, or the connection's".to_owned();
            self.events.push(Event::FenceRefused { node, reason });
            return;
        };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        if link.old_ids.len() == OLD_MAX {
            link.old_ids.remove(0);
        }
        link.old_ids.push(OldConnection { server_id, address: old.address, node_id });
    }

    /// The node behind a new connection has told its id: ends our earlier connections to the same process.
    pub(crate) fn fence_old(&mut self, row: u16, node_id: &str) {
        let Some(link) = self.links.get_mut(usize::from(row)).filter(|link| !link.old_ids.is_empty()) else {
            return;
        };
        let server_id = link.handshake.name.id;
        // One of the same node with a number that is not below ours was another process's: that has ended, and its commands with it.
        link.old_ids.retain(|old| old.node_id != node_id || server_id.is_some_and(|new| new > old.server_id));
        for old in link.old_ids.iter().filter(|old| old.node_id == node_id) {
            link.handshake.kill(old.server_id, old.address.as_deref(), &mut link.prelude.0);
        }
        link.handshake.lift_fence();
        self.schedule_transmit(row);
    }

    /// The reply to a CLIENT KILL has come.
    pub(crate) fn old_is_dead(&mut self, row: u16, refused: Option<ServerError>) {
        let node = self.node_name(row);
        let node_id = self.nodes.get(row).map_or("", |node| node.id());
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        // Replies come in the order of the questions.
        if let Some(at) = link.old_ids.iter().position(|old| old.node_id == node_id) {
            link.old_ids.remove(at);
        }
        link.stats.fenced_reconnects += u64::from(refused.is_none());
        if let Some(error) = refused {
            self.events.push(Event::FenceRefused { node, reason: error.to_string() });
        }
    }
}
