//! Bounds on memory, and socket options: plain numbers with safe defaults.
//!
//! Every bound is finite: a server can be compromised, or the address may belong to somebody else by now.

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
    /// Commands per connection that were given up after they were sent and still owe their reply: at this many the connection is closed.
    pub tombstones_per_node_max: usize,
    /// Connections of the whole client; a node beyond them waits until another one is closed.
    pub connections_max: usize,
    /// Connections being made at the same time; the others wait their turn.
    pub connects_at_once_max: usize,
    /// Attempts to connect again in a second, and at once after a pause. The first attempt to reach a node is not counted.
    pub reconnects_per_second_max: u32,
    /// Bytes of replies that the caller of the event-driven use has not taken yet.
    pub untaken_reply_bytes_max: usize,
    /// Results that the caller of the event-driven use has not taken yet, failures among them; what is in flight may still add to them.
    pub untaken_results_max: usize,
    /// Nodes of one view of the topology, at most 4096; a view of more is not believed.
    pub view_nodes_max: usize,
    /// Bytes of one view of the topology, at most 16 MiB; a longer one is not read.
    pub view_bytes_max: usize,
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
            tombstones_per_node_max: 65_536,
            connections_max: 1024,
            connects_at_once_max: 16,
            reconnects_per_second_max: 50,
            untaken_reply_bytes_max: 256 << 20,
            untaken_results_max: 1 << 20,
            view_nodes_max: 4096,
            view_bytes_max: 4 << 20,
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
