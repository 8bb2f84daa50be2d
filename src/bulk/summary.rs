//! What a load came to: outcomes, errors by class, and figures per node.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Engine, NodeStats, Timestamp};
use crate::error::{Error, ErrorKind, Outcome};

/// Classes that are told apart; what comes after is `other`.
const CLASSES_MAX: usize = 64;

/// Commands by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcomes {
    /// The server ran it, and answered with no error.
    pub written: u64,
    /// The server ran it, and answered with an error: WRONGTYPE, and what scripts make.
    pub executed_with_error: u64,
    /// It did not run.
    pub not_executed: u64,
    /// It was sent, and may have run.
    pub unknown: u64,
    /// It ran, and its reply is lost.
    pub reply_lost: u64,
}

impl Outcomes {
    /// All together.
    pub fn total(&self) -> u64 {
        self.written + self.problems()
    }

    /// All but those that were simply written.
    pub fn problems(&self) -> u64 {
        self.executed_with_error + self.not_executed + self.unknown + self.reply_lost
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Executed => self.executed_with_error += 1,
            Outcome::NotExecuted => self.not_executed += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::ExecutedReplyLost => self.reply_lost += 1,
        }
    }
}

/// Problems of one kind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ErrorClass {
    /// The code of a server's error (`WRONGTYPE`), or what went wrong otherwise (`timeout`).
    pub name: String,
    /// What became of the commands.
    pub outcomes: Outcomes,
    /// The first one's tag.
    pub example_tag: u64,
    /// The first one, in words.
    pub example: String,
}

/// What one node had to do with the load.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeSummary {
    /// Its address.
    pub node: String,
    /// Commands encoded for it, those sent again included.
    pub commands: u64,
    /// Bytes handed to the kernel.
    pub bytes: u64,
    /// Redirects that it answered.
    pub redirects: u64,
    /// Connections made to it after the first.
    pub reconnects: u64,
    /// Times that it sent nothing for a second or longer while it owed replies.
    pub stalls: u64,
    /// The longest of them.
    pub stall_max: Duration,
    /// From a flush to the last reply to it, sampled.
    pub latency: Latency,
}

/// Times from a flush to the last reply to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many were measured.
    pub samples: u64,
    /// Half of them were no longer; to an eighth.
    pub p50: Duration,
    /// 99 of 100 were no longer; to an eighth.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// What a load came to, so far or in the end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Commands pushed.
    pub pushed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those that have their outcome. Once finished, `outcomes.total()` is `pushed`.
    pub outcomes: Outcomes,
    /// The problems among them by class, the most frequent first.
    pub classes: Vec<ErrorClass>,
    /// By address; nodes that had nothing to do are left out.
    pub nodes: Vec<NodeSummary>,
    /// Flushes.
    pub flushes: u64,
    /// Answers of servers that took no writes for the time being.
    pub refusals: u64,
    /// How long the load was paused for them.
    pub paused: Duration,
    /// Since the loader was made; until it was finished.
    pub elapsed: Duration,
}

/// The counts of one load.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) outcomes: Outcomes,
    classes: BTreeMap<String, ErrorClass>,
}

impl Counts {
    pub(super) fn count(&mut self, tag: u64, error: &Error) {
        self.outcomes.count(error.outcome());
        let mut name = class_of(error);
        if !self.classes.contains_key(name) && self.classes.len() >= CLASSES_MAX {
            name = "other";
        }
        if !self.classes.contains_key(name) {
            let class = ErrorClass {
                name: name.to_owned(),
                outcomes: Outcomes::default(),
                example_tag: tag,
                example: error.to_string(),
            };
            self.classes.insert(name.to_owned(), class);
        }
        if let Some(class) = self.classes.get_mut(name) {
            class.outcomes.count(error.outcome());
        }
    }

    pub(super) fn classes(&self) -> Vec<ErrorClass> {
        let mut classes: Vec<ErrorClass> = self.classes.values().cloned().collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.outcomes.total()));
        classes
    }
}

fn class_of(error: &Error) -> &str {
    match error.kind() {
        ErrorKind::Server(server) | ErrorKind::UnitRefused { refusal: server, .. } => server.code(),
        ErrorKind::SlotNotServed { .. } => "slot not served",
        ErrorKind::NoNode { .. } => "no node",
        ErrorKind::Redirects { .. } => "too many redirects",
        ErrorKind::Overtaken { .. } => "overtaken",
        ErrorKind::Connect { .. } => "cannot connect",
        ErrorKind::ConnectionLost { .. } => "connection lost",
        ErrorKind::Timeout { .. } => "timeout",
        ErrorKind::Auth(_) => "authentication failed",
        ErrorKind::Protocol(_) => "protocol error",
        ErrorKind::Desync { .. } => "out of step",
        ErrorKind::CrossSlot { .. } => "CROSSSLOT",
        ErrorKind::TooLarge { .. } => "too large",
        ErrorKind::Partial { .. } => "partial failure",
        ErrorKind::Cancelled => "cancelled",
        _ => "other",
    }
}

/// Buckets per doubling.
const STEPS: u64 = 8;
const BUCKETS: usize = 40 * STEPS as usize;

/// A histogram of microseconds, to an eighth.
#[derive(Debug)]
struct Histogram {
    buckets: Box<[u32; BUCKETS]>,
    samples: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: Box::new([0; BUCKETS]), samples: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    fn record(&mut self, time: Duration) {
        let bucket = bucket_of(time.as_micros() as u64);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.samples += 1;
        self.max = self.max.max(time);
    }

    fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.samples as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted.max(1) {
                return Duration::from_micros(top_of(bucket as u64)).min(self.max);
            }
        }
        self.max
    }

    fn latency(&self) -> Latency {
        Latency { samples: self.samples, p50: self.quantile(0.5), p99: self.quantile(0.99), max: self.max }
    }
}

fn bucket_of(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2()) - 3;
    let step = (micros >> doubling) - STEPS;
    ((STEPS + doubling * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The greatest number of microseconds in a bucket.
fn top_of(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let (doubling, step) = ((bucket - STEPS) / STEPS, (bucket - STEPS) % STEPS);
    ((STEPS + step + 1) << doubling) - 1
}

/// A node that owes replies for longer than this without a byte stalls.
const STALL: Duration = Duration::from_secs(1);

/// One node, watched at each flush and each turn.
#[derive(Debug, Default)]
struct Watched {
    before: NodeStats,
    /// The end of a flush, on this connection, and when it was made.
    sample: Option<(u32, u64, Timestamp)>,
    latency: Histogram,
    /// Since when it has been silent, while it stalls.
    stalling: Option<Timestamp>,
    stalls: u64,
    stall_max: Duration,
}

/// All nodes, watched; by row.
#[derive(Debug, Default)]
pub(super) struct Watch(Vec<Watched>);

/// A node that sends nothing although it owes replies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// Its address.
    pub node: String,
    /// Commands in flight to it.
    pub in_flight: usize,
    /// For how long nothing has come.
    pub silent: Duration,
}

impl Watch {
    pub(super) fn new(engine: &Engine) -> Self {
        let mut watch = Watch::default();
        watch.see_all(engine);
        watch
    }

    fn see_all(&mut self, engine: &Engine) {
        while let Some((_, before)) = engine.node_stats(self.0.len()) {
            self.0.push(Watched { before, ..Watched::default() });
        }
    }

    /// What was just flushed is a sample, where none is under way.
    pub(super) fn flushed(&mut self, engine: &Engine, now: Timestamp) {
        if engine.node_rows() != self.0.len() {
            self.see_all(engine);
        }
        for (row, node) in self.0.iter_mut().enumerate().filter(|(_, node)| node.sample.is_none()) {
            let Some(progress) = engine.progress(row) else { continue };
            node.sample =
                (progress.flushed > progress.acked).then_some((progress.generation, progress.flushed, now));
        }
    }

    /// What was answered meanwhile.
    pub(super) fn looked(&mut self, engine: &Engine, now: Timestamp) {
        for (row, node) in self.0.iter_mut().enumerate() {
            let Some(progress) = engine.progress(row) else { continue };
            if let Some((generation, end, since)) = node.sample {
                if generation != progress.generation || progress.flushed < end {
                    node.sample = None;
                } else if progress.acked >= end {
                    node.latency.record(now.since(since));
                    node.sample = None;
                }
            }
            match progress.silent_since.filter(|since| now.since(*since) >= STALL) {
                Some(since) => {
                    if node.stalling.replace(since).is_none() {
                        node.stalls += 1;
                    }
                    node.stall_max = node.stall_max.max(now.since(since));
                }
                None => node.stalling = None,
            }
        }
    }

    pub(super) fn nodes(&self, engine: &Engine) -> Vec<NodeSummary> {
        let mut nodes = Vec::new();
        for (row, watched) in self.0.iter().enumerate() {
            let Some((node, now)) = engine.node_stats(row) else { continue };
            let before = &watched.before;
            if now == *before {
                continue;
            }
            nodes.push(NodeSummary {
                node,
                commands: now.commands - before.commands,
                bytes: now.bytes_sent - before.bytes_sent,
                redirects: now.moved + now.asks - before.moved - before.asks,
                reconnects: (now.connects - before.connects).saturating_sub(u64::from(before.connects == 0)),
                stalls: watched.stalls,
                stall_max: watched.stall_max,
                latency: watched.latency.latency(),
            });
        }
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        nodes
    }
}

/// Nodes that owe replies and have sent nothing for at least this long.
pub(super) fn stalls(engine: &Engine, now: Timestamp, at_least: Duration) -> Vec<Stall> {
    let stalled = |row: usize| {
        let progress = engine.progress(row)?;
        let silent = now.since(progress.silent_since?);
        let (node, _) = engine.node_stats(row)?;
        (silent >= at_least).then_some(Stall { node, in_flight: progress.in_flight, silent })
    };
    (0..engine.node_rows()).filter_map(stalled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        for micros in (0..5000).chain([123_456, 99_999_999]) {
            let top = top_of(bucket_of(micros) as u64);
            assert!(top >= micros && top - micros <= micros / 8, "{micros} {top}");
        }
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let latency = histogram.latency();
        assert_eq!((latency.samples, latency.max), (1000, Duration::from_millis(1)));
        assert!((500..=563).contains(&latency.p50.as_micros()), "{latency:?}");
        assert!((990..=1000).contains(&latency.p99.as_micros()), "{latency:?}");
    }
}
