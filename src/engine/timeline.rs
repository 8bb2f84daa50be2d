//! Where the time of a flush went, node by node.

use std::time::Duration;

use crate::engine::time::Timestamp;

/// One node's times in the current flush.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeTrace {
    pub(crate) commands: u32,
    pub(crate) bytes: u64,
    pub(crate) first_out: Option<Timestamp>,
    pub(crate) last_out: Option<Timestamp>,
    pub(crate) first_back: Option<Timestamp>,
    pub(crate) last_back: Option<Timestamp>,
    pub(crate) redirects: u32,
}

/// One node's share of a flush. Times count from the call of `flush`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTimeline {
    /// The node.
    pub node: String,
    /// Commands queued for it when the flush began.
    pub commands: u32,
    /// Their bytes.
    pub bytes: u64,
    /// When its first byte was handed to the kernel.
    pub first_out: Option<Duration>,
    /// When its last byte was handed to the kernel.
    pub last_out: Option<Duration>,
    /// When its first byte came back.
    pub first_back: Option<Duration>,
    /// When its last byte came back.
    pub last_back: Option<Duration>,
    /// Commands it redirected elsewhere.
    pub redirects: u32,
}

/// Where the time of a flush went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Every node that had something to send or answered, in the order of the topology.
    pub nodes: Vec<NodeTimeline>,
    /// From the call of `flush` to its end.
    pub total: Duration,
}

impl Timeline {
    /// The node whose last byte came back last.
    pub fn slowest(&self) -> Option<&NodeTimeline> {
        self.nodes.iter().filter(|node| node.last_back.is_some()).max_by_key(|node| node.last_back)
    }
}

impl NodeTrace {
    pub(crate) fn on_sent(&mut self, now: Timestamp) {
        self.first_out.get_or_insert(now);
        self.last_out = Some(now);
    }

    pub(crate) fn on_received(&mut self, now: Timestamp) {
        self.first_back.get_or_insert(now);
        self.last_back = Some(now);
    }

    /// The node's line, if it took part.
    pub(crate) fn to_line(self, node: String, began: Timestamp) -> Option<NodeTimeline> {
        if self.commands == 0 && self.first_out.is_none() && self.first_back.is_none() {
            return None;
        }
        let since = |at: Option<Timestamp>| at.map(|at| at.since(began));
        Some(NodeTimeline {
            node,
            commands: self.commands,
            bytes: self.bytes,
            first_out: since(self.first_out),
            last_out: since(self.last_out),
            first_back: since(self.first_back),
            last_back: since(self.last_back),
            redirects: self.redirects,
        })
    }
}
