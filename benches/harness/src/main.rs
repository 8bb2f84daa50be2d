//! The benchmark harness of panpipe: see `README.md` beside it, or `--help`.

mod ab;
mod cargo;
mod cli;
mod contender;
mod flame;
mod keys;
mod load;
mod loading;
mod matrix;
mod measure;
mod plain;
mod plan;
mod prepare;
mod process;
mod progress;
mod race;
mod report;
mod ring;
mod scene;
mod standing;
mod suite;
mod sweep;
mod syscalls;
mod target;
mod timeline;
mod transports;
mod worker;
mod workload;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: measure::alloc::Counting = measure::alloc::Counting;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
