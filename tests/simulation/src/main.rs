//! The simulation's command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use panpipe::config::{Broken, Rule};
use panpipe_simulation::{Settings, mutants, runner};

/// The whole engine against a model of a cluster under seeded faults.
#[derive(Debug, Parser)]
#[command(name = "panpipe-simulation")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs many seeds, or repeats one.
    Run {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// This one alone.
        #[arg(long)]
        seed: Option<u64>,
        /// Print what happens.
        #[arg(long)]
        trace: bool,
        /// Break this rule of the engine.
        #[arg(long, value_parser = rule_named)]
        broken: Option<Rule>,
        /// Only seeds that can have the kind of fault whose name contains this.
        #[arg(long, value_parser = runner::fault_named)]
        fault: Option<usize>,
        /// Stop after so many failures.
        #[arg(long, default_value_t = 20)]
        failures_max: usize,
    },
    /// Breaks each rule of the engine until a seed notices.
    Mutants {
        /// Seeds to try for each.
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// Only rules whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
        /// Where to write the table.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Runs seeds twice: the same must happen.
    Repeat {
        /// How many.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
    },
}

/// A run of so many seeds comes past every case.
const COVERING_SEEDS: u64 = 100_000;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    runner::catch_panics();
    let is_well = match command {
        Command::Run { seed: Some(seed), trace, broken, .. } => run_one(seed, settings(trace, broken)),
        Command::Run { seeds, first, trace, broken, fault, failures_max, .. } => {
            run_many(first, seeds, Settings { fault, ..settings(trace, broken) }, failures_max)
        }
        Command::Mutants { seeds, only, out } => break_rules(seeds, &only, out.as_deref()),
        Command::Repeat { seeds } => repeat(seeds),
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rule_named(name: &str) -> Result<Rule, String> {
    let named = Rule::ALL.iter().find(|rule| format!("{rule:?}") == name);
    named.copied().ok_or_else(|| format!("the rules are {:?}", Rule::ALL))
}

fn settings(trace: bool, broken: Option<Rule>) -> Settings {
    Settings { broken: broken.map_or_else(Broken::default, Broken::only), trace, fault: None }
}

fn run_one(seed: u64, settings: Settings) -> bool {
    let (problems, history) = runner::one(seed, settings);
    for problem in &problems {
        println!("{}: {}", problem.check, problem.text);
    }
    println!("seed {seed}: {} problems, history {history:016x}", problems.len());
    problems.is_empty()
}

fn run_many(first: u64, seeds: u64, settings: Settings, failures_max: usize) -> bool {
    let began = Instant::now();
    let summary = runner::many(first, seeds, settings, failures_max, true);
    println!("faults:");
    for (name, count) in summary.faults() {
        println!("{count:>12}  {name}");
    }
    println!("coverage:");
    for (name, count) in summary.cells() {
        println!("{count:>12}  {name}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds, {} commands, {} s of virtual time, {seconds:.1} s, {:.2} ms per seed and core, {} failed",
        summary.seeds,
        summary.commands,
        summary.virtual_ms / 1000,
        seconds * 1000.0 * cores() / summary.seeds.max(1) as f64,
        summary.failures.len()
    );
    let mut by_check: BTreeMap<&str, u64> = BTreeMap::new();
    for failure in &summary.failures {
        *by_check.entry(failure.problem.check).or_default() += 1;
        println!("seed {}: {}: {}", failure.seed, failure.problem.check, failure.problem.text);
        println!(
            "  repeat: cargo run --profile simulation -p panpipe-simulation -- run --seed {} --trace",
            failure.seed
        );
    }
    println!("{by_check:?}");
    let empty: Vec<String> =
        summary.cells().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect();
    println!("{} cells of coverage are empty: {empty:?}", empty.len());
    let is_covered = summary.seeds < COVERING_SEEDS || empty.is_empty();
    summary.failures.is_empty() && is_covered
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1, usize::from) as f64
}

fn break_rules(seeds: u64, only: &str, out: Option<&Path>) -> bool {
    let rules = Rule::ALL.iter().filter(|rule| format!("{rule:?}").contains(only));
    let mutants: Vec<mutants::Mutant> = rules
        .map(|&rule| {
            let mutant = mutants::break_rule(rule, seeds);
            println!("{mutant}");
            mutant
        })
        .collect();
    if let Some(out) = out
        && let Err(error) = std::fs::write(out, mutants::table(&mutants))
    {
        eprintln!("{}: {error}", out.display());
        return false;
    }
    mutants.iter().all(|mutant| mutant.killed.is_some())
}

fn repeat(seeds: u64) -> bool {
    let differs =
        |&seed: &u64| runner::one(seed, Settings::default()).1 != runner::one(seed, Settings::default()).1;
    let different: Vec<u64> = (0..seeds).filter(differs).collect();
    println!("{seeds} seeds twice, different: {different:?}");
    different.is_empty()
}
