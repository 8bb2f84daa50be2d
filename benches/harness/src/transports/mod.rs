//! `transports`: the library over mio against the library over io_uring, and the least work over each beside them.
//!
//! The same few contenders through everything that could tell the two apart: workloads, nodes, sizes of values, sleeping and spinning,
//! servers that answer at once and real ones. It knows which races those are and how their figures are shown; it runs none by itself.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::cli::failures;
use crate::progress::Progress;
use crate::race::{Outcome, Race};
use crate::report::{self, Document};
use crate::suite::Length;
use crate::target::{Kind, Target};

mod races;
mod tables;
mod targets;

pub(crate) use targets::rows;

/// Over mio, over io_uring, and the floor of each.
const MIO: &str = "panpipe";
const URING: &str = "panpipe-uring";
const FLOOR: &str = "floor-full";
const FLOOR_RING: &str = "floor-full-ring";

/// How thorough, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A few short races: shows that it runs, measures nothing.
    #[arg(long)]
    quick: bool,
    /// What the contenders talk to.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sink,redis-7.0,valkey-9.1")]
    targets: Vec<Kind>,
    /// Rounds per contender, instead of the usual nine.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Where the document, the pictures and `transports.md` go.
    #[arg(long, value_name = "DIR", default_value = "target/transports")]
    out: PathBuf,
}

/// Runs all races, and prints and writes the tables.
///
/// # Errors
/// Where a target cannot be started; or, after all was written, where a contender failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let length = if options.quick { Length::Quick } else { Length::Whole };
    let mut races = races::all(length, &options.targets)?;
    if let Some(rounds) = options.rounds {
        races.iter_mut().for_each(|race| race.rounds = usize::from(rounds));
    }
    let document = Document::new(run_all(&races)?)?;
    report::write_all(&document, None, &options.out)?;
    let text = markdown(&document);
    print!("{text}");
    let path = options.out.join("transports.md");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let failures: Vec<String> = document.outcomes.iter().flat_map(failures).collect();
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not everything ran:\n{}", failures.join("\n"))
}

/// Races of the same real servers have them one after the other: a cluster takes longer to start than a race to run.
fn run_all(races: &[Race]) -> Result<Vec<Outcome>> {
    report::begin();
    let progress = Progress::new(races.iter().map(Race::steps).sum());
    let mut outcomes = Vec::with_capacity(races.len());
    let mut running: Option<(&Race, Target)> = None;
    for race in races {
        // The sink answers with values of one size, the one it was started for.
        let fits = |&(earlier, _): &(&Race, Target)| {
            earlier.target == race.target
                && (earlier.target.kind != Kind::Sink
                    || earlier.workload.value_bytes == race.workload.value_bytes)
        };
        let target = match running.take().filter(fits) {
            Some((_, target)) => target,
            None => Target::start(&race.target, race.workload.value_bytes)?,
        };
        outcomes.push(race.run_on(&target, &progress)?);
        running = Some((race, target));
    }
    progress.finish();
    Ok(outcomes)
}

/// What a document of these races says: the circumstances, the targets, the figures.
pub(crate) fn markdown(document: &Document) -> String {
    let standing = crate::standing::markdown(&rows(&document.outcomes));
    format!("{}\n{standing}\n{}", tables::circumstances(document), tables::markdown(&document.outcomes))
}
