//! The `panpipe` command line: see the library at work, look at a cluster.
//!
//! Knows arguments, exit codes and how to print. What it shows comes from the library's public interface alone.
//! Invariant: nothing it prints repeats a password; a reader that closes our output early is no failure.

mod demo;
mod failure;
mod generate;
mod import;
mod input;
mod output;
mod progress;
mod records;
mod target;
mod topology;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;
use output::Output;
use target::TransportChoice;

const EXAMPLES: &str = "\
Examples:
  panpipe demo                                     see what it does, nothing else needed
  panpipe demo --url redis://10.0.0.1:7000         the same on your cluster
  panpipe topology --url redis://10.0.0.1:7000     who serves which slots, and does everybody answer
  panpipe import records.resp -h 10.0.0.1 -p 7000  load a file, on every node at once
  panpipe generate --records 1e6 records.resp      a million records to import
  panpipe demo --transport auto                    over io_uring where the system allows it";

/// Said in the help of every command but `import`, which has codes of its own besides.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  a check failed: a value came back different, a slot has no node, a node does not answer
  2  the command line or the URL is wrong
  4  no cluster: cannot connect, log in, or learn who serves the slots
  5  the input cannot be read, or has no records";

/// Drive every node of a Redis or Valkey Cluster at once, from one thread.
#[derive(Debug, Parser)]
#[command(version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 100)]
struct Cli {
    /// What moves the bytes [default: what the URL says, else mio].
    #[arg(long, global = true, value_enum)]
    transport: Option<TransportChoice>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a file into a cluster: every node at once, resumable, every record accounted for.
    Import(Box<import::Options>),
    /// Write and read real data through pipelines, and compare node after node with all nodes at once.
    Demo(demo::Options),
    /// Write any number of records to a file or pipe, to have something to import.
    Generate(generate::Options),
    /// Show the nodes, their roles, their slots, and whether they answer.
    Topology(topology::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(explain(&error)),
    };
    let mut out = Output::new();
    let (result, json) = match &cli.command {
        Command::Import(options) => (import::run(options, cli.transport, &mut out), false),
        Command::Demo(options) => (demo::run(options, cli.transport, &mut out), options.json),
        Command::Generate(options) => (generate::run(options, &mut out), false),
        Command::Topology(options) => (topology::run(options, cli.transport, &mut out), options.json),
    };
    if let (Err(failure), true) = (&result, json && out.empty) {
        out.line(&failure.to_json().to_string());
    }
    let written = out.finish();
    match result.and(written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

/// Prints what clap has to say: help, version, or what is wrong with the arguments.
fn explain(error: &clap::Error) -> u8 {
    // clap repeats an argument that it does not expect. A URL in the wrong place may hold a password.
    let text = error.to_string();
    let repeats_url =
        std::env::args().skip(1).any(|arg| arg.contains("://") && text.contains(arg.trim_matches('-')));
    if error.use_stderr() && repeats_url {
        let usage = Cli::command().get_name().to_owned();
        return Failure::usage("an address stands where none is expected")
            .hint(format!("put it behind --url, as in: {usage} topology --url redis://10.0.0.1:7000"))
            .print();
    }
    // Nobody to tell where the output is closed.
    let _ = error.print();
    if error.kind() == ErrorKind::InvalidValue && text.contains("'--host <HOST>' but none") {
        let _ = writeln!(
            std::io::stderr(),
            "-h is the host, as redis-cli has it; `panpipe import --help` is the help."
        );
    }
    u8::try_from(error.exit_code()).unwrap_or(failure::USAGE)
}
