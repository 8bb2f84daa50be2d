//! `panpipe demo`: real data through pipelines, node after node against all nodes at once.

mod chart;
mod cluster;
mod json;
mod measure;
mod report;
mod workload;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use panpipe::Fanout;
use panpipe::config::Transport;

use crate::failure::Failure;
use crate::output::Output;
use crate::records::{self, Reading, Records};
use crate::target::{TransportChoice, URL_HELP};
use cluster::Cluster;
use measure::Measured;
use workload::Workload;

/// What all keys begin with. No hash tag: the keys must spread over the slots.
const PREFIX: &str = "panpipe:demo:";

/// Flushes wanted per kind of flush, so that its percentiles mean something.
const FLUSHES_WANTED: usize = 70;
const ROUNDS_MAX: usize = 20;

const EXAMPLES: &str = "\
Examples:
  panpipe demo                                      an embedded cluster, 3 primaries and 3 replicas
  panpipe demo --nodes 6 --delay-ms 5               six primaries that take 5 ms each to answer
  panpipe demo --url redis://10.0.0.1:7000          your cluster: panpipe:demo:* written, read, deleted
  panpipe demo --input cities.csv --batch 1000      your data: a header line, then one record a line
  panpipe demo --json | jq .ratio.p50               for a script";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", crate::EXIT_CODES))]
pub(crate) struct Options {
    #[arg(long, value_name = "URL", help = format!("{URL_HELP} [default: an embedded cluster]"))]
    url: Option<String>,

    /// Text file, one record a line, its first field the key; `-` is standard input [default: 3,322 aircraft].
    #[arg(long, value_name = "FILE")]
    input: Option<String>,

    /// The first line of --input is a record, not the names of the columns.
    #[arg(long, requires = "input")]
    no_header: bool,

    /// Use no more than the first N records.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,

    /// Commands per flush.
    #[arg(long, value_name = "N", default_value = "500", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    batch: usize,

    /// Write and read everything N times, each way [default: enough for 70 flushes, at most 20].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    rounds: Option<usize>,

    /// Primaries of the embedded cluster, each with a replica.
    #[arg(long, value_name = "N", default_value = "3", conflicts_with = "url", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    nodes: usize,

    /// How long every node of the embedded cluster waits before it answers: the network that this machine has not.
    #[arg(long, value_name = "MS", default_value = "2", conflicts_with = "url", value_parser = RangedU64ValueParser::<u64>::new().range(0..=1000))]
    delay_ms: u64,

    /// Leave the keys in the cluster (they are deleted otherwise, and expire after an hour if that fails).
    #[arg(long, requires = "url")]
    keep: bool,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    fn reading(&self) -> Reading<'_> {
        Reading { prefix: PREFIX, header: !self.no_header, limit: self.limit.unwrap_or(usize::MAX) }
    }

    fn rounds_for(&self, batches: usize) -> usize {
        self.rounds.unwrap_or_else(|| FLUSHES_WANTED.div_ceil(2 * batches).clamp(1, ROUNDS_MAX))
    }
}

/// What the demonstration found.
struct Findings<'a> {
    options: &'a Options,
    cluster: &'a Cluster,
    records: &'a Records,
    primaries: usize,
    replicas: usize,
    transport: Transport,
    rounds: usize,
    /// Values that were read and equal what was written.
    checked: u64,
    sequential: Measured,
    parallel: Measured,
    cleaned: Cleaned,
}

/// What became of the keys at the end.
enum Cleaned {
    /// The embedded cluster is gone, and they with it.
    Gone,
    Kept,
    Deleted {
        deleted: u64,
        /// The first failure, where not all could be deleted.
        problem: Option<String>,
    },
}

pub(crate) fn run(
    options: &Options,
    transport: Option<TransportChoice>,
    out: &mut Output,
) -> Result<(), Failure> {
    let records = match &options.input {
        Some(path) => records::from_file(path, options.reading())?,
        None => records::built_in(options.reading()),
    };
    let cluster = Cluster::start(options, transport)?;
    let client = crate::target::connect(cluster.config.clone())?;
    let mut workload = Workload::new(client, &records, options);
    let rounds = options.rounds_for(workload.batches());
    if !options.json {
        report::introduction(out, options, &cluster, &workload);
    }
    let measured = compare(&mut workload, rounds);
    // The keys go away also where a check failed.
    let cleaned = match (options.url.is_some(), options.keep) {
        (true, false) => workload.delete_all(),
        (true, true) => Cleaned::Kept,
        (false, _) => Cleaned::Gone,
    };
    let (sequential, parallel) = measured.map_err(|failure| failure.and_then_say(&cleaned))?;
    let findings = Findings {
        options,
        cluster: &cluster,
        records: &records,
        primaries: workload.primaries(),
        replicas: workload.replicas(),
        transport: workload.transport(),
        rounds,
        checked: workload.checked,
        sequential,
        parallel,
        cleaned,
    };
    if options.json {
        out.line(&json::findings(&findings).to_string());
    } else {
        report::text(out, &findings);
    }
    Ok(())
}

/// Loads and checks once, then measures both ways in turns.
fn compare(workload: &mut Workload<'_>, rounds: usize) -> Result<(Measured, Measured), Failure> {
    let mut progress = workload.progress(rounds);
    let (mut sequential, mut parallel) = (Measured::default(), Measured::default());
    // Opens the connections; not measured.
    workload.write_and_read(Fanout::Parallel, &mut Measured::default(), &mut progress, "first load")?;
    for round in 1..=rounds {
        let mut ways = [
            (Fanout::Sequential, &mut sequential, "node after node"),
            (Fanout::Parallel, &mut parallel, "all nodes at once"),
        ];
        // Neither way always comes first.
        if round % 2 == 0 {
            ways.reverse();
        }
        for (fanout, measured, name) in ways {
            let part = format!("round {round} of {rounds}, {name}");
            workload.write_and_read(fanout, measured, &mut progress, &part)?;
        }
    }
    Ok((sequential, parallel))
}

impl Failure {
    /// Tells of keys that could not be deleted.
    fn and_then_say(self, cleaned: &Cleaned) -> Failure {
        match cleaned {
            Cleaned::Deleted { problem: Some(problem), .. } => self.also(&format!(
                "the keys {PREFIX}* could not be deleted ({problem}); those that were written expire within an hour"
            )),
            _ => self,
        }
    }
}
