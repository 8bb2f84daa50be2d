//! A race: contenders in processes of their own, one target, rounds in turn.
//!
//! Rounds are interleaved so that whatever else the machine does meets all contenders alike, and figures are compared within a round
//! before anything is averaged. Invariant: while a round runs, no other contender of the race does anything.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::contender::{Flush, Setting, Setup};
use crate::load::Load;
use crate::progress::Progress;
use crate::syscalls::{self, Calls};
use crate::target::{Spec, Target};
use crate::worker::{Answer, Figures, Order, PROTOCOL};
use crate::workload::Workload;

/// Everything a race needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Race {
    pub(crate) workload: Workload,
    pub(crate) target: Spec,
    pub(crate) contenders: Vec<String>,
    pub(crate) load: Load,
    pub(crate) rounds: usize,
    pub(crate) warm_up_ms: u64,
    pub(crate) spin_us: u32,
    pub(crate) flush_policy: Flush,
    pub(crate) seed: u64,
    /// Whether allocations and system calls are counted in an extra round.
    pub(crate) count: bool,
    /// Builds of this harness other than the one that runs, by label: the contender `panpipe@A` is `panpipe` in the build `A`.
    #[serde(skip)]
    pub(crate) programs: BTreeMap<String, PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) race: Race,
    pub(crate) results: Vec<Entrant>,
}

/// One contender's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entrant {
    pub(crate) contender: String,
    pub(crate) settings: Vec<Setting>,
    pub(crate) rounds: Vec<Figures>,
    /// The counting round: its allocations and counters are exact, its times are not.
    pub(crate) counted: Option<Figures>,
    /// System calls of a round of their own, as the kernel saw them.
    pub(crate) calls: Option<Calls>,
    /// Why it has no rounds, or fewer.
    pub(crate) failure: Option<String>,
}

/// How much the counting rounds send.
const COUNTED_COMMANDS: u64 = 50_000;
const COUNTED_BATCHES_MAX: u64 = 500;
/// A worker that has not answered for this long, beyond the time of its load, hangs.
const PATIENCE: Duration = Duration::from_secs(60);

impl Race {
    /// Runs it.
    ///
    /// # Errors
    /// Where the target cannot be started or prepared. A contender that fails is a result, not an error.
    pub(crate) fn run(&self, progress: &Progress) -> Result<Outcome> {
        self.run_on(&Target::start(&self.target, self.workload.value_bytes)?, progress)
    }

    /// Runs it on a target that runs already, which must be the one that it names.
    ///
    /// # Errors
    /// Where the target cannot be prepared.
    pub(crate) fn run_on(&self, target: &Target, progress: &Progress) -> Result<Outcome> {
        let setup = Setup { spin_us: self.spin_us, flush_policy: self.flush_policy, ..target.setup() };
        crate::prepare::prepare(target, &setup, &self.workload, self.seed)?;
        let mut lanes: Vec<Lane> =
            self.contenders.iter().map(|name| Lane::start(name, self, &setup)).collect();
        for lane in &mut lanes {
            lane.warm_up(self);
        }
        for round in 0..self.rounds {
            // Another one begins each time: going first is no advantage to anybody.
            let count = lanes.len();
            for at in 0..count {
                let lane = &mut lanes[(round + at) % count];
                progress.round(
                    &self.workload.name,
                    &self.target,
                    &lane.entrant.contender,
                    round,
                    self.rounds,
                );
                lane.round(self, round);
                progress.step();
            }
        }
        if self.count {
            for lane in &mut lanes {
                lane.count(self);
            }
        }
        let results = lanes.into_iter().map(Lane::finish).collect();
        Ok(Outcome { race: self.clone(), results })
    }

    /// Rounds in all, for a progress bar.
    pub(crate) fn steps(&self) -> u64 {
        (self.rounds * self.contenders.len()) as u64
    }

    /// The load of a warm-up.
    pub(crate) fn warm_up(&self) -> Load {
        match self.load {
            Load::Stream { window, .. } => Load::Stream { commands: COUNTED_COMMANDS, window },
            Load::Stress { lanes, .. } => Load::Stress { lanes, time_ms: self.warm_up_ms },
            _ => Load::Closed { time_ms: self.warm_up_ms },
        }
    }

    /// A contender's name and the program that runs it.
    fn program<'a>(&self, name: &'a str) -> Result<(&'a str, PathBuf)> {
        if let Some((contender, label)) = name.split_once('@')
            && let Some(program) = self.programs.get(label)
        {
            return Ok((contender, program.clone()));
        }
        Ok((name, std::env::current_exe().context("this program's own file cannot be found")?))
    }

    /// The load of a counting round: a number of batches that is the same for everyone.
    fn counted(&self) -> Load {
        let batch = self.workload.batch as u64 * self.workload.flushes_per_batch() as u64;
        match self.load {
            Load::Stream { window, .. } => Load::Stream { commands: COUNTED_COMMANDS, window },
            Load::Stress { lanes, .. } => Load::Stress { lanes, time_ms: 500 },
            _ => Load::Batches { batches: (COUNTED_COMMANDS / batch).clamp(10, COUNTED_BATCHES_MAX) },
        }
    }
}

/// A worker process and what it has achieved.
struct Lane {
    worker: Option<Worker>,
    entrant: Entrant,
    /// What it achieved in its warm-up.
    batches_per_s_max: f64,
}

impl Lane {
    fn start(name: &str, race: &Race, setup: &Setup) -> Lane {
        let mut entrant = Entrant {
            contender: name.to_owned(),
            settings: Vec::new(),
            rounds: Vec::new(),
            counted: None,
            calls: None,
            failure: None,
        };
        let worker = Worker::start(name, race, setup).map(|(worker, settings)| {
            entrant.settings = settings;
            worker
        });
        match worker {
            Ok(worker) => Lane { worker: Some(worker), entrant, batches_per_s_max: 0.0 },
            Err(error) => {
                entrant.failure = Some(format!("{error:#}"));
                Lane { worker: None, entrant, batches_per_s_max: 0.0 }
            }
        }
    }

    fn warm_up(&mut self, race: &Race) {
        if let Some(figures) = self.run(race.warm_up(), race.seed, false) {
            let batches = figures.flushes / race.workload.flushes_per_batch() as u64;
            self.batches_per_s_max = batches as f64 / (figures.wall_ns as f64 / 1e9);
        }
    }

    fn round(&mut self, race: &Race, round: usize) {
        if let Some(figures) =
            self.run(race.load.at_most(self.batches_per_s_max), race.seed.wrapping_add(round as u64), false)
        {
            self.entrant.rounds.push(figures);
        }
    }

    fn count(&mut self, race: &Race) {
        if let Some(figures) = self.run(race.counted(), race.seed, true) {
            self.entrant.counted = Some(figures);
        }
        let Some(pid) = self.worker.as_ref().map(|worker| worker.id()) else { return };
        let Some(tracer) = syscalls::Tracer::attach(pid) else { return };
        if let Some(figures) = self.run(race.counted(), race.seed, false) {
            self.entrant.calls = tracer.finish(figures.flushes, figures.commands);
        }
    }

    /// One order; a failure ends the contender's part.
    fn run(&mut self, load: Load, seed: u64, count: bool) -> Option<Figures> {
        let worker = self.worker.as_mut()?;
        let failure = match worker.round(load, seed, count) {
            Ok(figures) => return Some(figures),
            Err(error) => format!("{error:#}"),
        };
        self.entrant.failure = Some(failure);
        self.worker = None;
        None
    }

    fn finish(self) -> Entrant {
        self.entrant
    }
}

/// A child process that runs a contender.
pub(crate) struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts the contender of this name and lets it connect.
    ///
    /// # Errors
    /// Where it cannot, or its program is another version of the harness that cannot be talked to.
    pub(crate) fn start(name: &str, race: &Race, setup: &Setup) -> Result<(Worker, Vec<Setting>)> {
        let (contender, program) = race.program(name)?;
        let mut process = Command::new(&program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("a worker cannot be started: {}", program.display()))?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let answers = BufReader::new(answers.context("a worker has no output")?);
        let mut worker = Worker { process, orders, answers };
        let order = Order::Start {
            protocol: PROTOCOL,
            contender: contender.to_owned(),
            setup: setup.clone(),
            workload: race.workload.clone(),
            seed: race.seed,
        };
        match worker.ask(&order, PATIENCE)? {
            Answer::Started { protocol: PROTOCOL, settings } => Ok((worker, settings)),
            Answer::Started { protocol, .. } => bail!(
                "its program speaks version {protocol} of the workers' protocol, and this one version {PROTOCOL}; \
                 build the revision's library under the present harness instead (--harness-from WORK)"
            ),
            Answer::Failed { reason } => bail!(reason),
            Answer::Round(_) => bail!("a worker answered a question that was not asked"),
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// One round.
    ///
    /// # Errors
    /// Where the contender fails.
    pub(crate) fn round(&mut self, load: Load, seed: u64, count: bool) -> Result<Figures> {
        match self.ask(&Order::Round { load, seed, count }, PATIENCE + load.time())? {
            Answer::Round(figures) => Ok(*figures),
            Answer::Failed { reason } => bail!(reason),
            Answer::Started { .. } => bail!("a worker answered a question that was not asked"),
        }
    }

    fn ask(&mut self, order: &Order, patience: Duration) -> Result<Answer> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        let orders = self.orders.as_mut().context("the worker was told to end")?;
        let asked = orders.write_all(line.as_bytes()).and_then(|()| orders.flush());
        line.clear();
        // Its answer is one line, written at once: what can be read can be read to the end.
        let mut waiting = [PollFd::new(self.answers.get_ref().as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        if asked.is_ok() && poll(&mut waiting, patience).is_ok_and(|ready| ready == 0) {
            self.process.kill()?;
            bail!("its process was ended because it gave no answer: it hangs");
        }
        let answered = self.answers.read_line(&mut line).unwrap_or(0);
        if asked.is_err() || answered == 0 {
            let status = self.process.wait()?;
            bail!("its process ended: {status}");
        }
        serde_json::from_str(&line).context("its process said something else than an answer")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when its input does; one that hangs is ended.
        self.orders = None;
        for _ in 0..200 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
