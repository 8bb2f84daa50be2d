//! A process between this program and one that is measured: it starts it, waits for it, and asks the system what its children have used.
//!
//! So each measured program is the only child of its process, and its processor time and memory are told apart from all others'. It knows
//! nothing of what the program is for. Invariant: what is told is of one program, from its start to its end, with its start and its end.

use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::process::output_within;

/// A program that runs for longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// What is kept of what a program says.
const SAID_BYTES_MAX: usize = 4000;

/// A program and its words.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
}

/// What stands at a program's standard input.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) enum Input {
    #[default]
    Nothing,
    File(PathBuf),
    /// What another program writes; what that uses is not counted.
    Of(Program),
}

/// What is to be measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) program: Program,
    pub(super) input: Input,
    /// Where it runs.
    pub(super) directory: PathBuf,
    /// It says a line for each record: nobody reads them.
    pub(super) is_loud: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) wall_ns: u64,
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
    /// At least what the process in between held when it started the program, some MiB.
    pub(super) peak_memory_bytes: u64,
    /// Where it ended by itself.
    pub(super) code: Option<i32>,
    /// Ends of standard output and standard error.
    pub(super) out: String,
    pub(super) err: String,
}

impl Job {
    /// As one would type it.
    pub(super) fn shown(&self) -> String {
        let behind = match &self.input {
            Input::Nothing => String::new(),
            Input::File(path) => format!(" < {}", file_name(path)),
            Input::Of(_) => String::new(),
        };
        let before = match &self.input {
            Input::Of(program) => format!("{} | ", program.shown()),
            Input::Nothing | Input::File(_) => String::new(),
        };
        format!("{before}{}{behind}", self.program.shown())
    }
}

impl Program {
    fn shown(&self) -> String {
        let word = |arg: &String| match arg.contains(['/', ' ']) {
            // Where files lie is nobody's business.
            true if arg.starts_with('/') => file_name(&PathBuf::from(arg)),
            true => format!("'{arg}'"),
            false => arg.clone(),
        };
        let words: Vec<String> = self.args.iter().map(word).collect();
        format!("{} {}", file_name(&self.path), words.join(" "))
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Has a job done by a process of its own.
///
/// # Errors
/// Where it cannot be started. A program that fails is a result.
pub(super) fn run(job: &Job) -> Result<Used> {
    let own = std::env::current_exe().context("this program's own file cannot be found")?;
    let mut process = Command::new(own)
        .arg("measure")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("a process that measures cannot be started")?;
    let mut orders = process.stdin.take().context("a process that measures has no input")?;
    serde_json::to_writer(&mut orders, job)?;
    orders.write_all(b"\n")?;
    let output = process.wait_with_output()?;
    if !output.status.success() {
        bail!("{} could not be measured: see above", file_name(&job.program.path));
    }
    serde_json::from_slice(&output.stdout).context("a process that measures said something else")
}

/// The process in between.
///
/// # Errors
/// Where the program cannot be started, or what it used is not known.
pub(crate) fn serve() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line).context("nothing was given to be measured")?;
    serde_json::to_writer(std::io::stdout().lock(), &measure(&job)?)?;
    Ok(())
}

fn measure(job: &Job) -> Result<Used> {
    let mut feeder = None;
    let input = match &job.input {
        Input::Nothing => Stdio::null(),
        Input::File(path) => {
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?.into()
        }
        Input::Of(program) => {
            let mut child = command(program, job).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let output = child.stdout.take().context("a program has no output")?;
            feeder = Some(child);
            output.into()
        }
    };
    let err = if job.is_loud { Stdio::null() } else { Stdio::piped() };
    let began = Instant::now();
    let child = command(&job.program, job).stdin(input).stdout(Stdio::piped()).stderr(err).spawn();
    let child = child.with_context(|| format!("cannot start {}", job.program.path.display()))?;
    let output = output_within(child, PATIENCE)?;
    let wall = began.elapsed();
    // Of the children that were waited for: whoever fed it was not.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    if let Some(mut feeder) = feeder {
        feeder.wait()?;
    }
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Used {
        wall_ns: wall.as_nanos() as u64,
        user_ns: unsigned(usage.user_time().num_nanoseconds()),
        system_ns: unsigned(usage.system_time().num_nanoseconds()),
        peak_memory_bytes: unsigned(usage.max_rss()) << 10,
        code: output.status.code(),
        out: end_of(&output.stdout),
        err: end_of(&output.stderr),
    })
}

fn command(program: &Program, job: &Job) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.args).current_dir(&job.directory);
    command
}

fn end_of(said: &[u8]) -> String {
    String::from_utf8_lossy(&said[said.len().saturating_sub(SAID_BYTES_MAX)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program { path: "/bin/sh".into(), args: vec!["-c".into(), script.into()] }
    }

    #[test]
    fn a_program_is_measured_and_what_it_says_is_kept() {
        let input = Input::Of(shell("echo fed"));
        let job =
            Job { program: shell("cat; echo no >&2; exit 3"), input, directory: "/".into(), is_loud: false };
        let used = measure(&job).unwrap();
        assert_eq!((used.code, used.out.as_str(), used.err.as_str()), (Some(3), "fed\n", "no\n"));
        assert!(used.peak_memory_bytes > 100_000 && used.wall_ns > 0, "{used:?}");
        assert_eq!(job.shown(), "sh -c 'echo fed' | sh -c 'cat; echo no >&2; exit 3'");
    }

    #[test]
    fn what_a_loud_program_says_is_not_kept() {
        let job =
            Job { program: shell("echo no >&2"), directory: "/".into(), is_loud: true, ..Job::default() };
        assert_eq!(measure(&job).unwrap().err, "");
    }

    #[test]
    fn where_files_lie_is_not_shown() {
        let program =
            Program { path: "/a/b/tool".into(), args: vec!["/c/d.resp".into(), "SET #{key}".into()] };
        let job = Job { program, input: Input::File("/e/f.kv".into()), ..Job::default() };
        assert_eq!(job.shown(), "tool d.resp 'SET #{key}' < f.kv");
    }
}
