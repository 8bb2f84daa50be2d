//! Plain counters, taken as a snapshot by copy.

/// What happened on one node's connection, or on all of them together, since the client was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Commands encoded for the node, those sent again included.
    pub commands: u64,
    /// Replies to commands.
    pub replies: u64,
    /// Error replies that were given to the caller.
    pub errors: u64,
    /// MOVED redirects that were followed.
    pub moved: u64,
    /// ASK redirects that were followed.
    pub asks: u64,
    /// Commands that were held back and tried again (TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY).
    pub retries: u64,
    /// Connection attempts.
    pub connects: u64,
    /// Connections lost or refused.
    pub disconnects: u64,
    /// Commands that ran into their deadline.
    pub timeouts: u64,
    /// Connections closed because replies and commands did not match.
    pub desyncs: u64,
    /// Connections closed because what came was no RESP, or more than the limits allow.
    pub protocol_errors: u64,
    /// Out-of-band frames.
    pub pushes: u64,
    /// Commands in doubt that were sent again on another connection.
    pub resent: u64,
    /// Commands given up after they were sent: their replies are discarded.
    pub given_up: u64,
    /// Bytes of replies that nobody waited for and that were dropped as they came.
    pub skipped_bytes: u64,
    /// Connections closed because too many given-up commands owed their replies.
    pub tombstone_closes: u64,
    /// Connection attempts that had to wait for others, or because there had been too many.
    pub connects_delayed: u64,
    /// Credentials refused.
    pub auth_failures: u64,
    /// ECHO commands that check whether replies and commands match.
    pub sentinels: u64,
    /// Old connections that were ended on the server before the new one was used.
    pub fenced_reconnects: u64,
    /// Bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
}

impl NodeStats {
    /// Adds another node's counters.
    pub fn add(&mut self, other: &NodeStats) {
        self.commands += other.commands;
        self.replies += other.replies;
        self.errors += other.errors;
        self.moved += other.moved;
        self.asks += other.asks;
        self.retries += other.retries;
        self.connects += other.connects;
        self.disconnects += other.disconnects;
        self.timeouts += other.timeouts;
        self.desyncs += other.desyncs;
        self.protocol_errors += other.protocol_errors;
        self.pushes += other.pushes;
        self.resent += other.resent;
        self.given_up += other.given_up;
        self.skipped_bytes += other.skipped_bytes;
        self.tombstone_closes += other.tombstone_closes;
        self.connects_delayed += other.connects_delayed;
        self.auth_failures += other.auth_failures;
        self.sentinels += other.sentinels;
        self.fenced_reconnects += other.fenced_reconnects;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

/// The whole client at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sums over all nodes.
    pub total: NodeStats,
    /// Topology refreshes that were applied.
    pub refreshes: u64,
    /// Nodes that were asked for their view of the topology.
    pub refreshes_asked: u64,
    /// Views that were not believed, and nodes that did not give theirs.
    pub refreshes_rejected: u64,
    /// Of those, views with more nodes or bytes than the limits allow.
    pub refreshes_too_large: u64,
    /// Times that several nodes were heard because accounts of a slot contradicted each other.
    pub refreshes_arbitrated: u64,
    /// Commands without a reply, parked ones included.
    pub in_flight: u64,
    /// Bytes encoded and not answered, parked ones included.
    pub queued_bytes: u64,
    /// Commands held back by redirects or missing owners.
    pub parked: u64,
    /// Commands refused because a window was full.
    pub windows_full: u64,
}
