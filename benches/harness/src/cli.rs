//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::contender::{self, Flush};
use crate::load::{Arrivals, Load};
use crate::progress::Progress;
use crate::race::{Outcome, Race};
use crate::report::Document;
use crate::suite::Length;
use crate::sweep::Parameter;
use crate::target::{Kind, Spec};
use crate::{
    ab, flame, loading, matrix, report, ring, standing, suite, timeline, transports, worker, workload,
};

/// Clients of Redis and Valkey clusters side by side: the same commands to the same servers, in turn, each in a process of its own.
#[derive(Debug, Parser)]
#[command(name = "panpipe-bench", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Begin with:
  panpipe-bench list                              what can be chosen
  panpipe-bench run                               1000 SETs per flush: panpipe and the floor
  panpipe-bench run --workload W1 --target redis-7.0 --contenders all --out target/w1
  panpipe-bench sweep batch --contenders panpipe,redis-rs
  panpipe-bench flame --workload W2               where the time goes
  panpipe-bench transports                        epoll against io_uring, in all circumstances
How it measures, and what the figures do not say: benches/harness/README.md";

#[derive(Debug, Subcommand)]
enum Command {
    /// What can be chosen: workloads, targets and contenders.
    List,
    /// One workload on one target: every contender, in turn, round by round.
    Run(Box<Run>),
    /// The same for several values of one parameter.
    Sweep {
        /// What differs from race to race.
        #[arg(value_enum)]
        over: Parameter,
        /// Its values, separated by commas; without them the usual ones.
        #[arg(long, value_delimiter = ',')]
        values: Vec<String>,
        #[command(flatten)]
        run: Box<Run>,
    },
    /// Renders a stored document again.
    Report {
        /// The targets and the figures side by side, in Markdown, as `table` prints them.
        #[arg(long)]
        standing: bool,
        /// The tables of `transports`, in Markdown, as it prints them.
        #[arg(long, conflicts_with = "standing")]
        transports: bool,
        /// A `report.json`.
        file: PathBuf,
        #[command(flatten)]
        show: Show,
    },
    /// A flame graph of one contender, and where its processor time goes, stage by stage.
    Flame(Box<flame::Options>),
    /// A picture of one flush: what happened at which node when.
    Timeline(Box<timeline::Options>),
    /// Two revisions of the library against each other, round by round.
    Ab(Box<ab::Options>),
    /// The whole standing table: every part of `list`, with the targets and whether they are met. Twenty minutes and more.
    Table(TableOptions),
    /// The library over mio and over io_uring, with the floor of each, through workloads, nodes, sizes of values, sleeping and spinning.
    /// About six minutes.
    Transports(transports::Options),
    /// What each way of using io_uring costs: the floor with it against the floor without. A few minutes.
    Ring(ring::Options),
    /// Bulk loading: `panpipe import` against `redis-cli --pipe` and programs that use redis-rs, with the same files. About ten minutes.
    Load(Box<loading::Options>),
    /// One contender of `load`; started by it.
    #[command(hide = true)]
    LoadPart(loading::Part),
    /// Starts a program and tells what it used; started by `load`.
    #[command(hide = true)]
    Measure,
    /// A contender's own process; started by the others.
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Args)]
struct TableOptions {
    /// Parts of `list`, separated by commas, instead of all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// One short round of everything: shows that it runs, measures nothing.
    #[arg(long)]
    quick: bool,
    /// Where results and plots go.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

/// What is shown of outcomes.
#[derive(Debug, Args)]
struct Show {
    /// The contender that ratios are taken against; without it the first one.
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// Writes JSON, CSV, histograms, pictures and a page into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// All figures.
    #[arg(long)]
    wide: bool,
    /// How each contender was set up.
    #[arg(long)]
    settings: bool,
    /// The document instead of tables.
    #[arg(long)]
    json: bool,
}

impl Show {
    fn show(&self, document: &Document) -> Result<()> {
        let base = self.base.as_deref();
        document.check_base(base)?;
        let mut text = match (self.json, self.wide) {
            (true, _) => document.json()?,
            (false, true) => report::wide(document, base),
            (false, false) => report::table(document, base),
        };
        if self.settings && !self.json {
            text.push_str(&report::settings(document));
        }
        // Whoever reads only the beginning, as `head` does, is no reason to panic.
        let _reader_went_away = std::io::stdout().write_all(text.as_bytes());
        if let Some(out) = &self.out {
            for path in report::write_all(document, base, out)? {
                eprintln!("wrote {}", path.display());
            }
        }
        Ok(())
    }
}

/// What a race is made of.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A workload of `list`.
    #[arg(long, default_value = "W2")]
    workload: String,
    /// What the contenders talk to.
    #[arg(long, value_enum, default_value = "sink")]
    target: Kind,
    /// A cluster that runs already, instead.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Nodes of the target.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Microseconds between a command and its reply, on the sink and the model.
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// One server without a cluster.
    #[arg(long)]
    standalone: bool,
    /// Names from `list`, separated by commas; `all` is everything.
    #[arg(long, value_delimiter = ',', default_value = "floor,panpipe")]
    contenders: Vec<String>,
    /// Commands per flush, instead of the workload's own.
    #[arg(long)]
    batch: Option<usize>,
    /// Bytes per value, instead of the workload's own.
    #[arg(long)]
    value_bytes: Option<usize>,
    /// Which keys are chosen how often, instead of the workload's own.
    #[arg(long, value_enum)]
    keys: Option<crate::keys::Distribution>,
    /// Timed rounds per contender.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds per round.
    #[arg(long, default_value_t = 500)]
    round_ms: u64,
    /// Milliseconds of warm-up per contender; not measured.
    #[arg(long, default_value_t = 300)]
    warm_up_ms: u64,
    /// Batches per second, or in percent of what each contender does in its warm-up (50%): an open loop, whose latencies count from
    /// the time at which a batch was due.
    #[arg(long)]
    rate: Option<Rate>,
    /// The times between batches of an open loop.
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: Arrivals,
    /// This many batches in flight at once, where a contender can.
    #[arg(long)]
    lanes: Option<usize>,
    /// Commands of a stream.
    #[arg(long, default_value_t = 2_000_000)]
    stream_commands: u64,
    /// Microseconds for which contenders that can look for replies before they sleep.
    #[arg(long, default_value_t = 0)]
    spin_us: u32,
    /// Seed of keys and arrivals.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out the rounds that count allocations and system calls.
    #[arg(long)]
    no_count: bool,
    #[command(flatten)]
    show: Show,
}

/// `2000`, or `50%`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rate {
    PerSecond(f64),
    Share(f64),
}

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Rate> {
        let (number, percent) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let number: f64 =
            number.parse().with_context(|| format!("{text:?} is neither a number nor a percentage"))?;
        if !number.is_finite() || number <= 0.0 {
            bail!("{text} is no rate");
        }
        Ok(if percent { Rate::Share(number / 100.0) } else { Rate::PerSecond(number) })
    }
}

impl Run {
    /// The race that was asked for.
    pub(crate) fn race(&self) -> Result<Race> {
        let mut workload = workload::Workload::named(&self.workload)?;
        if let Some(batch) = self.batch {
            workload = workload.with_batch(batch)?;
        }
        if let Some(value_bytes) = self.value_bytes {
            workload = workload.with_value_bytes(value_bytes);
        }
        if let Some(keys) = self.keys {
            workload.distribution = keys;
        }
        if self.rounds == 0 {
            bail!("one round at least");
        }
        let load = match (self.rate, self.lanes, workload.window) {
            (Some(_), Some(_), _) => bail!("--rate and --lanes exclude each other"),
            (Some(Rate::PerSecond(batches_per_s)), None, _) => {
                Load::Open { batches_per_s, arrivals: self.arrivals, time_ms: self.round_ms }
            }
            (Some(Rate::Share(share)), None, _) => {
                Load::Share { share, arrivals: self.arrivals, time_ms: self.round_ms }
            }
            (None, Some(lanes), _) => Load::Stress { lanes, time_ms: self.round_ms },
            (None, None, Some(window)) => Load::Stream { commands: self.stream_commands, window },
            (None, None, None) => Load::Closed { time_ms: self.round_ms },
        };
        let contenders: Vec<String> = if self.contenders.iter().any(|name| name == "all") {
            contender::all().map(|entry| entry.name.to_owned()).collect()
        } else {
            self.contenders.clone()
        };
        for name in &contenders {
            contender::check(name)?;
        }
        Ok(Race {
            workload,
            target: Spec {
                kind: self.target,
                url: self.url.clone(),
                nodes: if self.standalone { 1 } else { self.nodes },
                delay_us: self.delay_us,
                standalone: self.standalone,
            },
            contenders,
            load,
            rounds: self.rounds,
            warm_up_ms: self.warm_up_ms,
            spin_us: self.spin_us,
            flush_policy: Flush::Explicit,
            seed: self.seed,
            count: !self.no_count,
            programs: std::collections::BTreeMap::new(),
        })
    }
}

/// Does what the command line says.
///
/// # Errors
/// Where that is not possible.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::List => {
            list();
            Ok(())
        }
        Command::Run(run) => run.show.show(&races(&[run.race()?])?),
        Command::Sweep { over, values, run } => run.show.show(&races(&over.races(&run.race()?, &values)?)?),
        Command::Report { file, standing: true, .. } => {
            print!("{}", standing_text(&Document::read(&file)?));
            Ok(())
        }
        Command::Report { file, transports: true, .. } => {
            print!("{}", transports::markdown(&Document::read(&file)?));
            Ok(())
        }
        Command::Report { file, show, .. } => show.show(&Document::read(&file)?),
        Command::Flame(options) => flame::run(&options),
        Command::Timeline(options) => timeline::run(&options),
        Command::Ab(options) => ab::run(&options),
        Command::Table(options) => table(&options),
        Command::Transports(options) => transports::run(&options),
        Command::Ring(options) => ring_table(&options),
        Command::Load(options) => loading::run(&options),
        Command::LoadPart(part) => part.run(),
        Command::Measure => loading::measure(),
        Command::Worker => worker::serve(),
    }
}

fn run_all(races: &[Race]) -> Result<Vec<Outcome>> {
    report::begin();
    let progress = Progress::new(races.iter().map(Race::steps).sum());
    let outcomes = races.iter().map(|race| race.run(&progress)).collect();
    progress.finish();
    outcomes
}

/// Runs them all.
fn races(races: &[Race]) -> Result<Document> {
    Document::new(run_all(races)?)
}

fn table(options: &TableOptions) -> Result<()> {
    let length = if options.quick { Length::Quick } else { Length::Whole };
    let mut parts = suite::parts(length)?;
    for name in &options.only {
        if !parts.iter().any(|part| part.name == name) {
            bail!("there is no part {name:?}; `list` shows them");
        }
    }
    parts.retain(|part| options.only.is_empty() || options.only.iter().any(|name| name == part.name));
    let races: Vec<Race> = parts.into_iter().flat_map(|part| part.races).collect();
    let document = Document::new(run_all(&races)?)?;
    report::write_all(&document, None, &options.out)?;
    let standing = standing_text(&document);
    print!("{standing}");
    let path = options.out.join("standing.md");
    std::fs::write(&path, standing).with_context(|| format!("cannot write {}", path.display()))?;
    let failures: Vec<String> = document.outcomes.iter().flat_map(failures).collect();
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not everything ran:\n{}", failures.join("\n"))
}

fn ring_table(options: &ring::Options) -> Result<()> {
    let document = Document::new(run_all(&options.races()?)?)?;
    print!("{}", ring::markdown(&document.outcomes));
    if let Some(out) = &options.out {
        report::write_all(&document, None, out)?;
    }
    let failures: Vec<String> = document.outcomes.iter().flat_map(failures).collect();
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not everything ran:\n{}", failures.join("\n"))
}

/// What a contender could not do, or got errors for.
pub(crate) fn failures(outcome: &Outcome) -> Vec<String> {
    let (workload, target) = (&outcome.race.workload.name, &outcome.race.target);
    let lines = outcome.results.iter().filter_map(|entrant| {
        let errors: u64 = entrant.rounds.iter().map(|round| round.errors).sum();
        let errors = (errors > 0).then(|| format!("{errors} error replies"));
        let what = entrant.failure.clone().or(errors)?;
        Some(format!("{workload} on {target}, {}: {what}", entrant.contender))
    });
    lines.collect()
}

/// The targets, then the figures.
fn standing_text(document: &Document) -> String {
    let rows = standing::markdown(&standing::rows(&document.outcomes));
    format!("{rows}\n{}", matrix::markdown(&document.outcomes))
}

fn list() {
    println!("workloads (--workload)");
    for (name, about) in workload::all() {
        println!("  {name:<10}{about}");
    }
    println!("\ntargets (--target), or --url");
    for kind in <Kind as clap::ValueEnum>::value_variants() {
        if let Some(value) = clap::ValueEnum::to_possible_value(kind) {
            let about = value.get_help().map(ToString::to_string).unwrap_or_default();
            println!("  {:<12}{about}", value.get_name());
        }
    }
    println!("\nparts of the standing table (table --only)");
    for part in suite::parts(Length::Whole).unwrap_or_default() {
        println!("  {:<12}{}", part.name, part.about);
    }
    println!("\ncontenders (--contenders)");
    for entry in contender::all() {
        println!("  {:<21}{}", entry.name, entry.about);
    }
    println!(
        "\nchoices of the contenders over io_uring (floor-ring:CHOICE, floor-full-ring:CHOICE+CHOICE; `ring` races all)"
    );
    for (name, about) in contender::ring_choices() {
        println!("  {name:<20}{about}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_one() {
        Cli::command().debug_assert();
    }
}
