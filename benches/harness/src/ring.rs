//! What each choice of io_uring costs: the floor over io_uring with it, against the same without, on several workloads.
//!
//! Knows which choices can matter for which workload, and shows ratios only: they are taken within a round, and survive a machine that has
//! other things to do better than times.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::contender::{self, Flush};
use crate::load::Load;
use crate::race::{Outcome, Race};
use crate::report::format::{MISSING, ratio};
use crate::report::summary::{self, Spread, cpu};
use crate::target::{Kind, Spec};
use crate::workload::Workload;

/// `ring`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Whose choices: floor-ring or floor-full-ring.
    #[arg(long, default_value = "floor-ring")]
    base: String,
    /// Choices of `list`, joined by + where several are made at once, separated by commas; without them each one.
    #[arg(long, value_delimiter = ',')]
    choices: Vec<String>,
    /// What the contenders talk to.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sink,redis-7.0")]
    targets: Vec<Kind>,
    /// Parts of the workloads' names (`W1`, `GET`), separated by commas, instead of all.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Nodes of the target.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Timed rounds per contender.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds per round.
    #[arg(long, default_value_t = 100)]
    round_ms: u64,
    /// Writes JSON, CSV, histograms, pictures and a page into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// A column of the table.
struct Column {
    name: &'static str,
    workload: &'static str,
    value_bytes: usize,
    batch: usize,
    /// Whether what is large is what is sent, or what comes back; small ones are for all choices.
    large: Option<Large>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    Sent,
    Received,
}

const COLUMNS: [Column; 7] = [
    Column { name: "W1", workload: "W1", value_bytes: 64, batch: 100, large: None },
    Column { name: "W2", workload: "W2", value_bytes: 64, batch: 1000, large: None },
    Column { name: "W4", workload: "W4", value_bytes: 64, batch: 100, large: None },
    Column { name: "W6", workload: "W6", value_bytes: 64, batch: 1, large: None },
    Column {
        name: "GET 64k",
        workload: "W4",
        value_bytes: 64 << 10,
        batch: 100,
        large: Some(Large::Received),
    },
    Column { name: "SET 64k", workload: "W1", value_bytes: 64 << 10, batch: 100, large: Some(Large::Sent) },
    Column { name: "SET 1M", workload: "W1", value_bytes: 1 << 20, batch: 10, large: Some(Large::Sent) },
];

/// A wait whose end is farther than the kernel's next tick, as the shorter one of the list is not: it programs no timer.
const BESIDE: [&str; 1] = ["min-wait=5000"];

/// What large sends or receives tell nothing new about.
fn matters(choice: &str, large: Option<Large>) -> bool {
    let any = |names: &[&str]| choice.split('+').any(|one| names.iter().any(|name| one.starts_with(name)));
    match large {
        None => true,
        Some(Large::Received) => any(&["poll-first", "multishot", "bundle", "first", "no-defer"]),
        Some(Large::Sent) => any(&["zero-copy", "skip-success", "linked", "no-defer"]),
    }
}

impl Options {
    /// The races: a target and a workload each.
    ///
    /// # Errors
    /// Where something is named that there is not.
    pub(crate) fn races(&self) -> Result<Vec<Race>> {
        let all = || {
            contender::ring_choices().iter().map(|&(name, _)| name).chain(BESIDE).map(str::to_owned).collect()
        };
        let choices: Vec<String> = if self.choices.is_empty() { all() } else { self.choices.clone() };
        contender::check(&self.base)?;
        for choice in &choices {
            contender::check(&self.with(choice))?;
        }
        let wanted = |column: &&Column| {
            self.workloads.is_empty() || self.workloads.iter().any(|w| column.name.contains(w))
        };
        let columns: Vec<&Column> = COLUMNS.iter().filter(wanted).collect();
        if columns.is_empty() || self.rounds == 0 {
            bail!(
                "one workload and one round at least; the workloads are {}",
                COLUMNS.map(|c| c.name).join(", ")
            );
        }
        let races = self.targets.iter().flat_map(|&kind| columns.iter().map(move |column| (kind, column)));
        races.map(|(kind, column)| self.race(kind, column, &choices)).collect()
    }

    fn race(&self, kind: Kind, column: &Column, choices: &[String]) -> Result<Race> {
        let mut workload = Workload::named(column.workload)?
            .with_value_bytes(column.value_bytes)
            .with_batch(column.batch)?;
        column.name.clone_into(&mut workload.name);
        // A choice that was asked for by name is not left out.
        let chosen = choices.iter().filter(|name| !self.choices.is_empty() || matters(name, column.large));
        Ok(Race {
            workload,
            target: Spec { kind, url: None, nodes: self.nodes, delay_us: 0, standalone: false },
            contenders: std::iter::once(self.base.clone())
                .chain(chosen.map(|name| self.with(name)))
                .collect(),
            load: Load::Closed { time_ms: self.round_ms },
            rounds: self.rounds,
            warm_up_ms: 100,
            spin_us: 0,
            flush_policy: Flush::Explicit,
            seed: 1,
            count: false,
            programs: std::collections::BTreeMap::new(),
        })
    }

    fn with(&self, choice: &str) -> String {
        format!("{}:{choice}", self.base)
    }
}

/// A row for each choice, a column for each race: processor time per command as a ratio to the base.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for entrant in outcomes.iter().flat_map(|outcome| &outcome.results) {
        if !names.contains(&entrant.contender.as_str()) {
            names.push(&entrant.contender);
        }
    }
    let mut text = "Processor time per command against the first row, median of the rounds (extremes); the first row in ns\n\n".to_owned();
    let heads = outcomes.iter().map(|o| format!("{}, {}", o.race.workload, o.race.target));
    let _ = writeln!(text, "| | {} |", heads.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(outcomes.len()));
    for (row, name) in names.iter().enumerate() {
        let cells = outcomes
            .iter()
            .map(|outcome| if row == 0 { time(outcome, name) } else { against(outcome, name) });
        let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

fn time(outcome: &Outcome, name: &str) -> String {
    let entrant = outcome.results.iter().find(|entrant| entrant.contender == name);
    let times = entrant.and_then(|entrant| Spread::of(entrant.rounds.iter().map(cpu)));
    times.map_or_else(|| MISSING.to_owned(), |times| format!("{:.0}", times.middle))
}

fn against(outcome: &Outcome, name: &str) -> String {
    let Some(entrant) = outcome.results.iter().find(|entrant| entrant.contender == name) else {
        return String::new();
    };
    let errors: u64 = entrant.rounds.iter().map(|round| round.errors).sum();
    if entrant.failure.is_some() || errors > 0 {
        return "failed".to_owned();
    }
    match summary::ratios(entrant, outcome.results.first(), cpu) {
        Some(Spread { middle, min, max }) => format!("**{}** ({}–{})", ratio(middle), ratio(min), ratio(max)),
        None => MISSING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::report::sample;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn races(line: &[&str]) -> Result<Vec<Race>> {
        Line::parse_from([&["ring"], line].concat()).options.races()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn every_choice_meets_the_base_within_five_minutes() {
        let races = races(&[]).unwrap();
        assert_eq!(races.len(), 2 * COLUMNS.len());
        for (choice, _) in contender::ring_choices() {
            assert!(races.iter().any(|race| race.contenders.contains(&format!("floor-ring:{choice}"))));
        }
        assert!(races.iter().all(|race| race.contenders[0] == "floor-ring" && race.contenders.len() > 1));
        let rounds: usize = races.iter().map(|race| race.contenders.len() * (race.rounds + 1)).sum();
        assert!(rounds as u64 * 100 < 4 * 60 * 1000, "{rounds} rounds");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_asked_for_by_name_is_raced_and_what_is_not_there_is_refused() {
        let line = ["--base", "floor-full-ring", "--choices", "first+no-defer", "--workloads", "GET"];
        let asked = races(&line).unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].contenders, ["floor-full-ring", "floor-full-ring:first+no-defer"]);
        for line in [["--base", "floor"], ["--choices", "none"], ["--workloads", "W99"], ["--rounds", "0"]] {
            assert!(races(&line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_row_is_a_ratio_to_the_first_and_what_failed_says_so() {
        let mut document = sample::document();
        let text = markdown(&document.outcomes);
        assert!(text.contains("| floor | 210 |") && text.contains("| panpipe | **1.17**"), "{text}");
        document.outcomes[0].results[1].failure = Some("no".to_owned());
        assert!(markdown(&document.outcomes).contains("| panpipe | failed |"));
    }
}
