//! The library's loader: commands that are encoded already, as a file of them has them, pushed as a stream.
//!
//! The bytes are made before the clock starts; that they are read and looked at is part of what is measured, as is the count of each outcome.

use std::time::Duration;

use anyhow::{Result, bail};
use panpipe::bulk::{Flush, LoadOptions, OnError, PushError, RawKeys, Until};
use panpipe::{Client, cmd};

use super::panpipe::configuration;
use super::{Contender, Counters, Done, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// How long a flush of a plan may take: a load says so where others have their command timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// `loader`: with the windows that loads have where nobody says otherwise.
pub(crate) fn with_its_windows(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    start(setup, plan, None)
}

/// `loader-window`: never more in flight than the workload says.
pub(crate) fn with_the_window(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    start(setup, plan, Some(setup.nodes.len().max(1)))
}

fn start(setup: &Setup, plan: &Plan, nodes: Option<usize>) -> Result<Box<dyn Contender>> {
    if !setup.cluster {
        bail!("panpipe is a client of clusters");
    }
    let client = Client::connect_with(configuration(setup))?;
    let mut frames = Frames::default();
    for op in plan.flushes.iter().flatten() {
        frames.add(plan, *op)?;
    }
    Ok(Box::new(Loading { client, frames, nodes }))
}

/// Commands in their wire form, one behind the other.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    fn add(&mut self, plan: &Plan, op: Op) -> Result<()> {
        let key = plan.key(op);
        let command = match op.verb {
            Verb::Set => cmd("SET").key(key).arg(plan.value.as_slice()),
            Verb::Get => cmd("GET").key(key),
            Verb::IncrBy => cmd("INCRBY").key(key).arg(INCREMENT),
            Verb::Expire => cmd("EXPIRE").key(key).arg(EXPIRE_S),
        };
        command.request()?.write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| &self.bytes[start..end])
    }
}

struct Loading {
    client: Client,
    frames: Frames,
    /// The window is shared out among so many nodes.
    nodes: Option<usize>,
}

impl Loading {
    fn options(&self, window: usize) -> LoadOptions {
        let options = LoadOptions {
            on_error: OnError::Skip { count_max: None, percent_max: None },
            ..LoadOptions::default()
        };
        let Some(nodes) = self.nodes else { return options };
        let window_per_node_commands = (window / nodes).max(1);
        let flush = Flush::Every { bytes: 128 << 10, commands: (window / 2).max(1), interval_ms: 5 };
        LoadOptions { window_per_node_commands, flush, ..options }
    }

    fn load<'f>(
        client: &mut Client,
        options: LoadOptions,
        frames: impl Iterator<Item = &'f [u8]>,
    ) -> Result<Done> {
        let mut loader = client.loader(options)?;
        for (tag, frame) in frames.enumerate() {
            loop {
                match loader.push_raw(frame, RawKeys::Find, tag as u64) {
                    Ok(()) => break,
                    Err(PushError::Full(_)) => while loader.next_problem().is_some() {},
                    Err(error) => return Err(error.into()),
                }
                loader.run_until(Until::Room, None)?;
            }
        }
        let summary = loader.finish(PATIENCE)?;
        let outcomes = summary.outcomes;
        Ok(Done { flushes: summary.flushes, commands: outcomes.total(), errors: outcomes.problems() })
    }
}

impl Contender for Loading {
    fn settings(&self) -> Vec<Setting> {
        let options = self.options(1000);
        let window = match self.nodes {
            None => format!("{} commands per node, its default", options.window_per_node_commands),
            Some(nodes) => format!("that of the workload, shared by {nodes} nodes"),
        };
        vec![
            ("version".into(), env!("VERSION_OF_PANPIPE").into()),
            ("threads".into(), "1".into()),
            ("commands".into(), "encoded beforehand, as in a file; looked at and copied once".into()),
            ("window".into(), window),
            ("flush".into(), format!("{:?}", options.flush)),
        ]
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        let before: usize = plan.flushes.iter().take(at).map(Vec::len).sum();
        let options = self.options(plan.flushes[at].len());
        let frames = self.frames.iter().skip(before).take(plan.flushes[at].len());
        Ok(Loading::load(&mut self.client, options, frames)?.errors)
    }

    fn stream(&mut self, _plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let options = self.options(window);
        let frames = self.frames.iter().cycle().take(commands as usize);
        Loading::load(&mut self.client, options, frames)
    }

    fn counters(&self) -> Option<Counters> {
        let (calls, stats) = (self.client.transport_stats(), self.client.stats());
        Some(Counters {
            writes: calls.writes,
            reads: calls.reads,
            waits: calls.waits,
            sleeps: Some(calls.sleeps),
            bytes_written: stats.total.bytes_sent,
            bytes_read: stats.total.bytes_received,
            redirects: stats.total.moved + stats.total.asks,
        })
    }
}
