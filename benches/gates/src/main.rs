//! Gates that do not depend on the clock: what one item of every workload of `cargo bench --bench count` costs in instructions, copied
//! bytes and allocations, held against a committed baseline.
//!
//! Each workload runs twice under valgrind's callgrind and twice under its DHAT, with N and 2 N rounds; the difference is N rounds
//! without set-up and warm-up. Only what happens inside the functions of `peer::measured` counts, so the peer costs nothing.
//!
//! Knows nothing of the client: it starts a program that does. See `README.md` beside it for what the numbers mean and do not mean.

mod baseline;
mod callgrind;
mod compare;
mod counts;
mod dhat;
mod failure;
mod program;
mod report;
mod valgrind;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::baseline::{Baseline, Toolchain};
use crate::counts::Counted;
use crate::failure::Failure;
use crate::program::Program;
use crate::valgrind::Valgrind;

const AFTER_HELP: &str = "\
Counted are, per item (a command, a reply, a key): instructions and copied bytes inside the functions of `peer::measured`, \
and allocations of the thread. The counted program is the one that `cargo bench --bench count` runs, with the release \
profile. Needs valgrind; x86-64 Linux is what the baseline was counted on.

Exit status: 0 nothing costs more, 1 something does, 2 nothing could be said.

Examples:
  cargo run -p panpipe-gates -- check
  cargo run -p panpipe-gates -- show engine_set_1000 --keep before
  callgrind_annotate before/engine_set_1000.80.callgrind
  cargo run -p panpipe-gates -- accept engine_set_1000";

/// Counts what a command costs and compares it with the baseline.
#[derive(Debug, Parser)]
#[command(name = "panpipe-gates", after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Leave the output of callgrind and DHAT in this folder [default: `gates` in cargo's target folder, overwritten by each run]
    #[arg(long, global = true, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Another baseline than `benches/gates/baseline.toml`
    #[arg(long, global = true, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare with the baseline; fail where something costs more than it allows
    Check {
        /// Workloads; all when none is named
        names: Vec<String>,
    },
    /// Count and write the baseline, to be committed with the reason
    Accept {
        /// Workloads whose lines are to be replaced; all when none is named
        names: Vec<String>,
    },
    /// Print counts and compare nothing
    Show {
        /// Workloads; all when none is named
        names: Vec<String>,
        /// Tell where the copied bytes are copied, too
        #[arg(long)]
        copies: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    let valgrind = Valgrind::find()?;
    let program = Program::build()?;
    let keep = cli.keep.clone().unwrap_or_else(|| program.target_dir().join("gates"));
    let path = cli.baseline.as_deref().unwrap_or(Path::new(Baseline::PATH));
    let count = |names: &[String]| counts::count(&program, &valgrind, names, &keep);
    match &cli.command {
        Command::Show { names, copies } => {
            let counted = count(names)?;
            print!("{}", report::shown(&counted));
            if *copies {
                print!("{}", report::copies(&counted));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Accept { names } => {
            let counted = count(names)?;
            let mut baseline = match names.is_empty() {
                true => Baseline::new(program.toolchain(&valgrind)),
                false => Baseline::read(path)?,
            };
            baseline.counted_with = program.toolchain(&valgrind);
            baseline.take(&counted);
            baseline.write(path)?;
            print!("{}", report::shown(&counted));
            println!("\nwritten to {}: commit it with the reason", path.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { names } => {
            // Before counting, which takes a minute.
            let baseline = Baseline::read(path)?;
            let here = program.toolchain(&valgrind);
            baseline.must_be_of(&here)?;
            Ok(check(&baseline, &count(names)?, names.is_empty(), &here, &keep))
        }
    }
}

fn check(baseline: &Baseline, counted: &[Counted], all: bool, here: &Toolchain, keep: &Path) -> ExitCode {
    let comparison = compare::compare(baseline, counted, all);
    print!("{}", report::table(&comparison));
    print!("{}", report::toolchains(&baseline.counted_with, here));
    print!("{}", report::advice(&comparison, keep));
    if comparison.passes() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
