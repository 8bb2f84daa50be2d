//! redis-benchmark, which comes with the servers: another program, in C, that runs by itself.
//!
//! It is not asked for what it cannot do. It does not route: each of its connections belongs to a node, and its keys have a tag in
//! them that was chosen so. It keeps no reply. Its pipelines do not wait for each other, so a flush is not a thing it has.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Contender, Done, Setting, Setup};
use crate::measure::Latencies;
use crate::plan::{Plan, Verb};
use crate::process::output_within;

/// A run below this says little about how fast it is: with threads, as for clusters, it looks every 250 ms whether it is done.
const CALIBRATION: Duration = Duration::from_millis(1000);
const TICK: Duration = Duration::from_millis(250);
/// A server that is gone is dialled for ever.
const PATIENCE: Duration = Duration::from_secs(120);
/// Keys that were never written are answered with null; chosen at random, so many times as many miss one in 20000.
const FILL_FACTOR: u64 = 10;

struct RedisBenchmark {
    program: PathBuf,
    version: String,
    setup: Setup,
    /// Its name for the command.
    test: &'static str,
    keys: usize,
    value_bytes: usize,
    batch: usize,
    /// Commands per second, once it was calibrated. Not followed from round to round: each would be shorter than the one before.
    rate: Option<f64>,
}

/// Finds the program; writes all keys where they are to be read.
pub(super) fn start(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    let test = match plan.flushes.iter().flatten().try_fold(None, same_verb) {
        Some(Some(Verb::Set)) => "set",
        Some(Some(Verb::Get)) => "get",
        _ => bail!("redis-benchmark has no such mix: it sends one command over and over, here SET or GET"),
    };
    let program = find()?;
    let output =
        Command::new(&program).arg("--version").output().context("redis-benchmark does not start")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let batch = plan.flushes.iter().map(Vec::len).max().unwrap_or(1);
    let (keys, value_bytes) = (plan.keys.len(), plan.value.len());
    let found =
        RedisBenchmark { program, version, setup: setup.clone(), test, keys, value_bytes, batch, rate: None };
    if test == "get" {
        found.run("set", keys as u64 * FILL_FACTOR, Shape::of(1000, setup.nodes.len()))?;
    }
    Ok(Box::new(found))
}

/// The verb of all commands so far; `None` where there are two.
fn same_verb(so_far: Option<Verb>, op: &crate::plan::Op) -> Option<Option<Verb>> {
    (so_far.is_none() || so_far == Some(op.verb)).then_some(Some(op.verb))
}

/// On the path, or beside the servers that the tests use.
fn find() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let servers = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../servers");
    folders.extend(std::fs::read_dir(servers).into_iter().flatten().flatten().map(|entry| entry.path()));
    let found = folders.into_iter().map(|folder| folder.join("redis-benchmark")).find(|file| file.is_file());
    found.context("redis-benchmark is neither on the path nor beside the servers in target/servers")
}

/// How commands in flight are spread: connections, and commands per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    clients: usize,
    pipeline: usize,
}

impl Shape {
    /// A connection per node, and the commands shared out evenly: never more of them than asked for.
    fn of(in_flight: usize, nodes: usize) -> Shape {
        let clients = nodes.min(in_flight).max(1);
        Shape { clients, pipeline: (in_flight / clients).max(1) }
    }

    fn in_flight(self) -> u64 {
        (self.clients * self.pipeline) as u64
    }
}

impl RedisBenchmark {
    fn command(&self, test: &str, requests: u64, shape: Shape) -> Result<Command> {
        let Some(node) = self.setup.nodes.first() else { bail!("the target has no node") };
        let mut command = Command::new(&self.program);
        command.args(["-h", &node.ip().to_string(), "-p", &node.port().to_string(), "--csv", "-t", test]);
        for (flag, number) in [
            ("-n", requests),
            ("-c", shape.clients as u64),
            ("-P", shape.pipeline as u64),
            ("-d", self.value_bytes as u64),
            ("-r", self.keys as u64),
        ] {
            command.args([flag, &number.to_string()]);
        }
        if self.setup.cluster {
            // Unless told otherwise it has a thread per node.
            command.args(["--cluster", "--threads", "1"]);
        }
        if let Some((user, password)) = &self.setup.credentials {
            command.args(user.iter().flat_map(|user| ["--user", user])).args(["-a", password]);
        }
        Ok(command)
    }

    /// Runs it once, for at least so many commands. Answers what it did, and how long that took.
    fn run(&self, test: &str, commands: u64, shape: Shape) -> Result<(Done, Duration)> {
        let flushes = commands.div_ceil(shape.in_flight()).max(1);
        let requests = flushes * shape.in_flight();
        let began = Instant::now();
        let mut command = self.command(test, requests, shape)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("redis-benchmark does not start")?;
        let output = output_within(child, PATIENCE)?;
        let took = began.elapsed();
        check(test, &output)?;
        Ok((Done { flushes, commands: requests, errors: 0 }, took))
    }

    /// Runs more and more until one run is long enough to tell how fast it is.
    fn calibrate(&self, shape: Shape) -> Result<f64> {
        let mut commands = 10 * shape.in_flight();
        loop {
            let (done, took) = self.run(self.test, commands, shape)?;
            if took >= CALIBRATION {
                return Ok(done.commands as f64 / (took - TICK / 2).as_secs_f64());
            }
            let missing = CALIBRATION.as_secs_f64() / took.as_secs_f64();
            commands = (commands as f64 * (1.5 * missing).clamp(2.0, 20.0)) as u64;
        }
    }
}

/// It tells errors in its output, one a second at most: how many there were is not known.
fn check(test: &str, output: &Output) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().chain(said.lines());
    if let Some(error) = lines.find(|line| line.to_ascii_lowercase().starts_with("error")) {
        bail!("redis-benchmark says: {error}");
    }
    if !output.status.success() {
        bail!("redis-benchmark failed: {}: {}", output.status, said.trim());
    }
    let row = format!("\"{}\",", test.to_ascii_uppercase());
    if !text.lines().any(|line| line.starts_with(&row)) {
        bail!("redis-benchmark has no result: {}", text.trim());
    }
    Ok(())
}

impl Contender for RedisBenchmark {
    fn settings(&self) -> Vec<Setting> {
        let shape = Shape::of(self.batch, self.setup.nodes.len());
        vec![
            ("version".into(), self.version.clone()),
            ("threads".into(), "1".into()),
            ("connections (-c)".into(), shape.clients.to_string()),
            ("pipeline (-P)".into(), shape.pipeline.to_string()),
            ("in flight".into(), format!("{} for batches of {}", shape.in_flight(), self.batch)),
            (
                "keys".into(),
                format!("its own, uniform over {}, 24 bytes and more, one tag per node", self.keys),
            ),
            ("routing".into(), "none: a connection's commands are for its node".into()),
            ("replies".into(), "parsed, not kept".into()),
            ("starting and connecting".into(), "part of each round".into()),
            (
                "end".into(),
                "on a tick of 250 ms: its processor time counts, its throughput is too low".into(),
            ),
        ]
    }

    fn flush(&mut self, _plan: &Plan, _at: usize) -> Result<u64> {
        bail!("redis-benchmark runs by itself: it cannot be given batches, at a rate or otherwise")
    }

    fn stream(&mut self, _plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let shape = Shape::of(window, self.setup.nodes.len());
        Ok(self.run(self.test, commands, shape)?.0)
    }

    fn run_alone(&mut self, _plan: &Plan, time: Duration, _its_own: &mut Latencies) -> Result<Option<Done>> {
        let shape = Shape::of(self.batch, self.setup.nodes.len());
        let rate = match self.rate {
            Some(rate) => rate,
            None => self.calibrate(shape)?,
        };
        self.rate = Some(rate);
        Ok(Some(self.run(self.test, (rate * time.as_secs_f64()) as u64, shape)?.0))
    }

    fn runs_alone(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use panpipe::testkit::EmbeddedCluster;

    use super::*;
    use crate::contender::Flush;
    use crate::workload::Workload;

    #[test]
    fn as_many_commands_are_in_flight_as_a_batch_has_or_fewer() {
        for (in_flight, nodes, clients, pipeline) in [
            (1, 3, 1, 1),
            (2, 3, 2, 1),
            (100, 3, 3, 33),
            (1000, 3, 3, 333),
            (1000, 1, 1, 1000),
            (9, 256, 9, 1),
        ] {
            assert_eq!(Shape::of(in_flight, nodes), Shape { clients, pipeline });
        }
    }

    fn started(workload: &str, cluster: &EmbeddedCluster) -> Result<(Box<dyn Contender>, Plan)> {
        let setup = Setup {
            nodes: cluster.addresses(),
            credentials: None,
            cluster: true,
            spin_us: 0,
            flush_policy: Flush::Explicit,
        };
        let plan = Plan::new(&Workload::named(workload)?, 1);
        Ok((start(&setup, &plan)?, plan))
    }

    #[test]
    fn it_runs_for_about_the_time_of_a_round() {
        let cluster = EmbeddedCluster::builder().primaries(3).start().unwrap();
        if find().is_err() {
            return;
        }
        let (mut contender, plan) = started("W4", &cluster).unwrap();
        let time = Duration::from_millis(500);
        let done = contender.run_alone(&plan, time, &mut Latencies::new()).unwrap().unwrap();
        assert!(done.commands == done.flushes * 99 && done.errors == 0, "{done:?}");
        let (mut contender, plan) = started("W5", &cluster).unwrap();
        assert_eq!(contender.stream(&plan, 1000, 100).unwrap().commands, 1089);
    }

    #[test]
    fn what_it_cannot_do_is_said() {
        let cluster = EmbeddedCluster::builder().primaries(1).start().unwrap();
        for workload in ["W3", "YCSB-A"] {
            let refused = started(workload, &cluster).err().unwrap();
            assert!(refused.to_string().contains("no such mix"), "{refused}");
        }
    }

    #[test]
    fn errors_are_found_in_its_output() {
        let output = |text: &str| Output {
            status: std::process::ExitStatus::default(),
            stdout: text.into(),
            stderr: Vec::new(),
        };
        assert!(check("set", &output("\"test\",\"rps\"\n\"SET\",\"1000.00\"\n")).is_ok());
        assert!(check("set", &output("Error from server: OOM\n\"SET\",\"1000.00\"\n")).is_err());
        assert!(check("set", &output("")).is_err());
    }
}
