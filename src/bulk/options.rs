//! How a load behaves.

use crate::config::RetryUnknown;

/// When pushed commands leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// At [`Loader::flush`](super::Loader::flush), and where [`Loader::run_until`](super::Loader::run_until) and
    /// [`Loader::finish`](super::Loader::finish) wait for what nobody has flushed.
    Explicit,
    /// Once one of these is reached, counted over all nodes since the last flush; and as with `Explicit`.
    Every {
        /// Bytes.
        bytes: usize,
        /// Commands.
        commands: usize,
        /// Milliseconds since the first of them, looked at by [`Loader::turn`](super::Loader::turn); 0 is never.
        interval_ms: u64,
    },
}

impl Default for Flush {
    fn default() -> Self {
        Flush::Every { bytes: 128 << 10, commands: 2048, interval_ms: 5 }
    }
}

/// What a [`Problem`](super::Problem) does to the load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnError {
    /// The first one stops it.
    #[default]
    Stop,
    /// It is handed out, and the load goes on.
    Skip {
        /// More problems than this stop it.
        count_max: Option<u64>,
        /// A greater share of the commands that have their outcome stops it: percent, 0 to 100. Counts from the thousandth on.
        percent_max: Option<f64>,
    },
}

/// How a load behaves. All fields have defaults for a load over a fast network.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Commands of one node without a reply, or held back by redirects. Default: 8192.
    pub window_per_node_commands: usize,
    /// Bytes of them. A lone command may be larger. Default: 4 MiB.
    pub window_per_node_bytes: usize,
    /// Bytes of commands between the watermark and the newest one, with 32 bytes for each command: what one slow node can make the loader
    /// remember, and what a resumed load repeats at most. Default: 64 MiB.
    pub window_total_bytes: usize,
    /// When commands leave. Default: every 128 KiB, 2048 commands or 5 ms.
    pub flush: Flush,
    /// What a problem does to the load. Default: it stops.
    pub on_error: OnError,
    /// Commands that were sent and not answered when their connection broke: which are sent again. Instead of the client's
    /// [`Config::retry_unknown`](crate::Config), and within the same bounds of order. Default: none; they are reported as `Unknown`.
    pub retry_unknown: RetryUnknown,
    /// Commands per second; a burst has at most a twentieth of a second's, and at least one. Default: no limit.
    pub rate_commands: Option<u64>,
    /// Bytes per second, likewise. A command that is larger than a burst makes those behind it wait. Default: no limit.
    pub rate_bytes: Option<u64>,
    /// How long a command may take from the flush on, with redirects and reconnects. Long, so that a node that stops for a while costs time and
    /// not outcomes; but a node that owes replies and is silent for [`Config::node_silent_ms`](crate::Config) is given up before. Does not
    /// run while the load is paused. Default: 60 s.
    pub command_timeout_ms: u64,
    /// How long servers may refuse writes (OOM, MISCONF, NOREPLICAS) before the load stops. What they refuse is not counted: it waits in its
    /// place, and is tried again with pauses of 50 ms to 1 s. 0: such an answer is a problem like any other. Default: 60 s. Scripts by EVAL are not
    /// waited for: such an answer may be their own.
    pub pause_ms_max: u64,
    /// Problems that wait to be taken before [`Loader::push`](super::Loader::push) says `Full`. Default: 1024.
    pub problems_max: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            window_per_node_commands: 8192,
            window_per_node_bytes: 4 << 20,
            window_total_bytes: 64 << 20,
            flush: Flush::default(),
            on_error: OnError::default(),
            retry_unknown: RetryUnknown::Never,
            rate_commands: None,
            rate_bytes: None,
            command_timeout_ms: 60_000,
            pause_ms_max: 60_000,
            problems_max: 1024,
        }
    }
}
