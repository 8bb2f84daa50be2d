//! What flushes cost: their times, and how much of them each node took.
//!
//! Knows only what was measured. Invariant: every number it answers comes from a flush that happened.

use std::time::Duration;

use panpipe::engine::{NodeTimeline, Timeline};
use panpipe::transport::TransportStats;

/// Timelines kept, to pick a typical one from.
const TIMELINES_MAX: usize = 1000;

/// All flushes of one kind.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) commands: u64,
    /// Queueing and flushing together.
    pub(crate) elapsed: Duration,
    took: Vec<Duration>,
    nodes: usize,
    nodes_sum: Duration,
    nodes_slowest: Duration,
    /// Timelines of flushes that read a whole batch, with the commands in them.
    timelines: Vec<(usize, Timeline)>,
    pub(crate) syscalls: Syscalls,
}

/// System calls of the transport.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Syscalls {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) waits: u64,
    /// Of io_uring, which does all three.
    pub(crate) enters: u64,
}

impl Syscalls {
    pub(crate) fn between(before: TransportStats, after: TransportStats) -> Self {
        if after.enters > 0 {
            // Its writes and reads are requests.
            return Syscalls { enters: after.enters - before.enters, ..Syscalls::default() };
        }
        Syscalls {
            enters: 0,
            writes: after.writes - before.writes,
            reads: after.reads - before.reads,
            waits: after.waits - before.waits,
        }
    }

    fn add(&mut self, other: Syscalls) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.waits += other.waits;
        self.enters += other.enters;
    }
}

/// One flush.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) commands: usize,
    /// Queueing its commands.
    pub(crate) queueing: Duration,
    /// From the call of `flush` to its end.
    pub(crate) took: Duration,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) syscalls: Syscalls,
    /// Whether its commands were reads.
    pub(crate) reads: bool,
}

impl Measured {
    pub(crate) fn add(&mut self, flush: Flush) {
        self.commands += flush.commands as u64;
        self.elapsed += flush.queueing + flush.took;
        self.took.push(flush.took);
        self.syscalls.add(flush.syscalls);
        let Some(timeline) = flush.timeline else { return };
        self.nodes += timeline.nodes.len();
        self.nodes_sum += timeline.nodes.iter().map(own_time).sum::<Duration>();
        self.nodes_slowest += timeline.nodes.iter().map(own_time).max().unwrap_or_default();
        if flush.reads && self.timelines.len() < TIMELINES_MAX {
            self.timelines.push((flush.commands, timeline));
        }
    }

    pub(crate) fn flushes(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn commands_per_s(&self) -> f64 {
        self.commands as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(crate) fn average(&self) -> Duration {
        self.per_flush(self.took.iter().sum())
    }

    /// The time that so many percent of the flushes did not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// Nodes that a flush concerned, on average.
    pub(crate) fn nodes_per_flush(&self) -> f64 {
        self.nodes as f64 / self.took.len().max(1) as f64
    }

    /// The nodes' own times added up, per flush on average.
    pub(crate) fn nodes_sum(&self) -> Duration {
        self.per_flush(self.nodes_sum)
    }

    /// The own time of the slowest node, per flush on average.
    pub(crate) fn nodes_slowest(&self) -> Duration {
        self.per_flush(self.nodes_slowest)
    }

    fn per_flush(&self, total: Duration) -> Duration {
        total / u32::try_from(self.took.len()).unwrap_or(u32::MAX).max(1)
    }

    /// The flush that took the median time among those with the most commands.
    pub(crate) fn typical(&self) -> Option<&Timeline> {
        let most = self.timelines.iter().map(|(commands, _)| *commands).max()?;
        let mut whole: Vec<&Timeline> =
            self.timelines.iter().filter(|(commands, _)| *commands == most).map(|(_, line)| line).collect();
        whole.sort_unstable_by_key(|timeline| timeline.total);
        whole.get(whole.len() / 2).copied()
    }
}

/// How long one node kept us waiting: from its first byte out to its last byte back.
pub(crate) fn own_time(node: &NodeTimeline) -> Duration {
    match (node.first_out, node.last_back) {
        (Some(out), Some(back)) => back.saturating_sub(out),
        _ => Duration::ZERO,
    }
}

/// How many times the one is the other.
pub(crate) fn ratio(above: Duration, below: Duration) -> f64 {
    above.as_secs_f64() / below.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush(took_ms: u64, commands: usize) -> Flush {
        let took = Duration::from_millis(took_ms);
        let timeline = Timeline { nodes: Vec::new(), total: took };
        Flush {
            commands,
            queueing: Duration::ZERO,
            took,
            timeline: Some(timeline),
            syscalls: Syscalls::default(),
            reads: true,
        }
    }

    #[test]
    fn percentiles_are_times_that_occurred() {
        let mut measured = Measured::default();
        for took in 1..=10 {
            measured.add(flush(took, 5));
        }
        assert_eq!(measured.percentile(50), Duration::from_millis(5));
        assert_eq!(measured.percentile(95), Duration::from_millis(10));
        assert_eq!(measured.percentile(99), Duration::from_millis(10));
        assert_eq!(measured.average(), Duration::from_micros(5500));
    }

    #[test]
    fn nothing_measured_is_zero() {
        let measured = Measured::default();
        assert_eq!(measured.percentile(50), Duration::ZERO);
        assert_eq!(measured.average(), Duration::ZERO);
        assert!(measured.typical().is_none());
    }

    #[test]
    fn the_typical_flush_is_a_whole_one() {
        let mut measured = Measured::default();
        for (took, commands) in [(9, 1), (3, 5), (2, 5), (7, 5), (1, 1)] {
            measured.add(flush(took, commands));
        }
        assert_eq!(measured.typical().map(|timeline| timeline.total), Some(Duration::from_millis(3)));
    }
}
