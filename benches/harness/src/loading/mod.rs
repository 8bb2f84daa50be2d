//! `load`: bulk loading side by side. A file of records goes into a cluster: by `panpipe import`, by `redis-cli --pipe`, by programs that use
//! redis-rs; beside them the least work for the same stream, and the parsing alone.
//!
//! ```text
//!   files ─▶ entrants: a program, its words, its file ─▶ measured: a process that starts it and asks the system what it used
//!               │ one after the other, round by round               │
//!               ▼                                                   ▼
//!           ends: what is on the target, before and after       record ─▶ tables, targets
//! ```
//!
//! It knows what takes part and in which order; what a contender does, it has done. Invariants: while one loads no other one does; each
//! loads the same records in each round; on servers that keep what they are told, it is counted after each round what has arrived.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::progress::Progress;
use crate::report;
use crate::target::{Kind, Spec};

mod ends;
mod entrants;
mod files;
mod measured;
mod parse;
mod part;
mod record;
#[cfg(feature = "peers")]
mod redis_rs;
mod stream;
mod tables;

pub(crate) use measured::serve as measure;
pub(crate) use part::Part;

use ends::Ends;
use entrants::{Entrant, Place};
use files::Files;
use record::{Contender, Race, Record, Round};
use stream::Stream;

const NODES: usize = 3;
/// Keys of 16 bytes hold numbers of this many digits behind their prefix.
const RECORDS_MAX: u64 = 999_999_999_999;
const QUICK_RECORDS: u64 = 5000;

/// What is loaded, by whom, into what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many records: SET, keys of 16 bytes, values of 64.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..=RECORDS_MAX))]
    records: u64,
    /// Rounds per contender.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// What is loaded into.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sink,redis-7.0,valkey-9.1")]
    targets: Vec<Kind>,
    /// Beginnings of the names of those that take part, separated by commas, instead of all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// One round of few records: shows that everything runs, measures nothing.
    #[arg(long)]
    quick: bool,
    /// The `panpipe` that is measured, instead of one that is built as this program was.
    #[arg(long, value_name = "FILE")]
    panpipe: Option<PathBuf>,
    /// What else the machine was doing: stands above the tables.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Prints the tables of a stored document again, and runs nothing.
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["records", "rounds", "targets", "only", "quick", "note"])]
    again: Option<PathBuf>,
    /// Where the files, the document and `loading.md` go.
    #[arg(long, value_name = "DIR", default_value = "target/loading")]
    out: PathBuf,
}

/// Races, prints and writes the tables.
///
/// # Errors
/// Where a file or a target cannot be made; or, after all was written, where a contender failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.again {
        print!("{}", tables::markdown(&Record::read(path)?));
        return Ok(());
    }
    report::begin();
    let records = if options.quick { options.records.min(QUICK_RECORDS) } else { options.records };
    let rounds = if options.quick { 1 } else { usize::from(options.rounds) };
    let taking_part = entrants::chosen(&options.only)?;
    let files = Files::make(&options.out, records, options.panpipe.as_deref(), &taking_part)?;
    let steps = options.targets.len() * rounds * taking_part.len();
    let progress = Progress::new(steps as u64);
    let mut races = Vec::new();
    for &kind in &options.targets {
        races.push(race(kind, &files, (records, rounds), &taking_part, &progress)?);
    }
    progress.finish();
    let record = Record::new(records, options.note.clone(), races)?;
    write(&record, &options.out)?;
    print!("{}", tables::markdown(&record));
    let failures = record.failures();
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not everything ran:\n{}", failures.join("\n"))
}

fn write(record: &Record, out: &Path) -> Result<()> {
    for (name, text) in [("loading.json", record.json()?), ("loading.md", tables::markdown(record))] {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// One target, all rounds.
fn race(
    kind: Kind,
    files: &Files,
    (records, rounds): (u64, usize),
    taking_part: &[Entrant],
    progress: &Progress,
) -> Result<Race> {
    let ends = Ends::start(kind, NODES)?;
    let here: Vec<Entrant> = taking_part
        .iter()
        .copied()
        .filter(|entrant| entrant.place != Place::OneOfThree || ends.keeps)
        .collect();
    let load_before = report::load_average_now();
    let mut lanes: Vec<Lane> = here.iter().map(|entrant| Lane::new(*entrant, records, &ends)).collect();
    let spec = Spec { kind, url: None, nodes: NODES, delay_us: 0, standalone: false };
    for round in 0..rounds {
        // Another one begins each time: going first is no advantage to anybody.
        for at in 0..lanes.len() {
            let count = lanes.len();
            let lane = &mut lanes[(round + at) % count];
            progress.round("load", &spec, lane.entrant.name, round, rounds);
            lane.round(files, &ends, records);
            progress.step();
        }
    }
    Ok(Race {
        target: spec,
        contenders: lanes.into_iter().map(|lane| lane.contender).collect(),
        load_before,
        load_after: report::load_average_now(),
    })
}

/// A contender and what it has achieved.
struct Lane {
    entrant: Entrant,
    stream: Option<Stream>,
    contender: Contender,
}

impl Lane {
    fn new(entrant: Entrant, records: u64, ends: &Ends) -> Lane {
        let mut contender = Contender {
            name: entrant.name.to_owned(),
            about: entrant.about.to_owned(),
            command: String::new(),
            rounds: Vec::new(),
            failure: None,
        };
        let mut stream = None;
        if let Some((name, window)) = entrant.stream() {
            match Stream::start(name, window, records, ends) {
                Ok(started) => stream = Some(started),
                Err(error) => contender.failure = Some(format!("{error:#}")),
            }
        }
        Lane { entrant, stream, contender }
    }

    /// A failure ends the contender's part.
    fn round(&mut self, files: &Files, ends: &Ends, records: u64) {
        if self.contender.failure.is_some() {
            return;
        }
        match self.run(files, ends, records) {
            Ok(round) => self.contender.rounds.push(round),
            Err(error) => self.contender.failure = Some(format!("{error:#}")),
        }
    }

    fn run(&mut self, files: &Files, ends: &Ends, records: u64) -> Result<Round> {
        let nodes = ends.of(self.entrant.place);
        ends::empty(nodes, ends.keeps)?;
        let round = match &mut self.stream {
            Some(stream) => stream.round(records)?,
            None => {
                let job = self.entrant.job(files, nodes)?;
                self.contender.command = job.shown();
                let used = measured::run(&job)?;
                Round { errors: self.entrant.errors(&used, records)?, ..Round::of(&used, records) }
            }
        };
        // A round that loaded something else than all of it is none.
        let stored = match self.entrant.loads() {
            true => ends::stored(nodes, ends.keeps)?,
            false => None,
        };
        let is_whole =
            self.entrant.place == Place::OneOfThree || stored.is_none_or(|stored| stored == records);
        if !is_whole {
            bail!("{} of {records} records have arrived", stored.unwrap_or_default());
        }
        Ok(Round { stored, ..round })
    }
}
