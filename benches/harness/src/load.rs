//! How a contender is driven in one round: as fast as it can, at a rate, as a stream, or with many batches at once.
//!
//! Latencies of a rate are counted from the time at which a batch should have been sent, not from the time at which it could be: a
//! client that stalls makes all batches of that time late, as it would its users.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Exp};
use serde::{Deserialize, Serialize};

use crate::contender::{Contender, Done, until};
use crate::measure::Latencies;
use crate::plan::Plan;

/// The times between batches of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// All the same.
    Uniform,
    /// Exponentially distributed, as of many independent users.
    Poisson,
}

/// What a round does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Load {
    /// The next batch when the last one is answered, for that long.
    Closed { time_ms: u64 },
    /// So many batches, as fast as they go: for counting.
    Batches { batches: u64 },
    /// Batches at this rate, for that long.
    Open { batches_per_s: f64, arrivals: Arrivals, time_ms: u64 },
    /// An open loop at this share of what the contender itself achieved in its warm-up.
    Share { share: f64, arrivals: Arrivals, time_ms: u64 },
    /// So many commands with a window.
    Stream { commands: u64, window: usize },
    /// So many batches in flight at once, for that long.
    Stress { lanes: usize, time_ms: u64 },
}

impl Load {
    /// With a share turned into a rate.
    pub(crate) fn at_most(self, batches_per_s_max: f64) -> Load {
        match self {
            Load::Share { share, arrivals, time_ms } => {
                Load::Open { batches_per_s: share * batches_per_s_max, arrivals, time_ms }
            }
            other => other,
        }
    }

    /// How long it lasts, where that is said.
    pub(crate) fn time(&self) -> Duration {
        match *self {
            Load::Closed { time_ms }
            | Load::Open { time_ms, .. }
            | Load::Share { time_ms, .. }
            | Load::Stress { time_ms, .. } => Duration::from_millis(time_ms),
            Load::Batches { .. } | Load::Stream { .. } => Duration::ZERO,
        }
    }

    /// The name that reports use.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Load::Closed { .. } | Load::Batches { .. } => "closed loop",
            Load::Open { .. } | Load::Share { .. } => "open loop",
            Load::Stream { .. } => "stream",
            Load::Stress { .. } => "stress",
        }
    }
}

/// Below this the thread does not sleep but looks at the clock: the kernel wakes it up later than asked.
const SLEEP_MIN: Duration = Duration::from_micros(200);
/// An open loop that is this much behind its schedule will not catch up.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// Drives the contender through one round.
///
/// # Errors
/// Where a flush failed as a whole, the contender cannot do this, or it cannot keep up with the rate.
pub(crate) fn drive(
    contender: &mut dyn Contender,
    plan: &Plan,
    load: &Load,
    seed: u64,
    latencies: &mut Latencies,
) -> Result<Done> {
    let time = |time_ms: u64| Duration::from_millis(time_ms);
    match *load {
        Load::Closed { time_ms } => match contender.run_alone(plan, time(time_ms), latencies)? {
            Some(done) => Ok(done),
            None => closed(contender, plan, time(time_ms), latencies),
        },
        Load::Batches { batches } if contender.runs_alone() => {
            let batch = plan.flushes.first().map_or(1, Vec::len);
            contender.stream(plan, batches * batch as u64, batch)
        }
        Load::Batches { batches } => batch_after_batch(contender, plan, batches),
        Load::Open { batches_per_s, arrivals, time_ms } => {
            open(contender, plan, (batches_per_s, arrivals, seed), time(time_ms), latencies)
        }
        Load::Share { .. } => bail!("a share of nothing: its maximum has not been measured"),
        Load::Stream { commands, window } => contender.stream(plan, commands, window),
        Load::Stress { lanes, time_ms } => match contender.stress(plan, lanes, time(time_ms), latencies)? {
            Some(done) => Ok(done),
            None => bail!("it has one batch at a time"),
        },
    }
}

fn run_batch(contender: &mut dyn Contender, plan: &Plan, number: u64, done: &mut Done) -> Result<()> {
    for at in plan.batch(number as usize) {
        done.errors += contender.flush(plan, at)?;
        done.commands += plan.flushes[at].len() as u64;
        done.flushes += 1;
    }
    Ok(())
}

fn closed(
    contender: &mut dyn Contender,
    plan: &Plan,
    time: Duration,
    latencies: &mut Latencies,
) -> Result<Done> {
    let end = until(time);
    let mut done = Done::default();
    let mut began = Instant::now();
    for number in 0.. {
        run_batch(contender, plan, number, &mut done)?;
        let now = Instant::now();
        latencies.record(now - began);
        if now >= end {
            break;
        }
        began = now;
    }
    Ok(done)
}

fn batch_after_batch(contender: &mut dyn Contender, plan: &Plan, batches: u64) -> Result<Done> {
    let mut done = Done::default();
    for number in 0..batches {
        run_batch(contender, plan, number, &mut done)?;
    }
    Ok(done)
}

fn open(
    contender: &mut dyn Contender,
    plan: &Plan,
    (batches_per_s, arrivals, seed): (f64, Arrivals, u64),
    time: Duration,
    latencies: &mut Latencies,
) -> Result<Done> {
    let Ok(gaps) = Exp::new(batches_per_s) else { bail!("{batches_per_s} batches per second is no rate") };
    if batches_per_s <= 0.0 {
        bail!("{batches_per_s} batches per second is no rate");
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut done = Done::default();
    let (mut intended, end) = (Instant::now(), until(time));
    for number in 0.. {
        let gap = match arrivals {
            Arrivals::Uniform => 1.0 / batches_per_s,
            Arrivals::Poisson => gaps.sample(&mut random),
        };
        intended += Duration::from_secs_f64(gap);
        if intended >= end {
            break;
        }
        wait_until(intended);
        run_batch(contender, plan, number, &mut done)?;
        let late = intended.elapsed();
        latencies.record(late);
        if late > BEHIND_MAX {
            bail!("it cannot keep up with {batches_per_s:.0} batches per second: {late:.1?} behind");
        }
    }
    Ok(done)
}

fn wait_until(intended: Instant) {
    loop {
        let left = intended.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SLEEP_MIN {
            std::thread::sleep(left - SLEEP_MIN);
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Setting;
    use crate::workload::Workload;

    /// Takes no time, but for its first flush.
    struct Stalling {
        stall: Duration,
        flushes: u64,
    }

    impl Contender for Stalling {
        fn settings(&self) -> Vec<Setting> {
            Vec::new()
        }

        fn flush(&mut self, _plan: &Plan, _at: usize) -> Result<u64> {
            self.flushes += 1;
            std::thread::sleep(std::mem::take(&mut self.stall));
            Ok(1)
        }
    }

    fn run(workload: &str, load: Load) -> (Result<Done>, Latencies, u64) {
        let plan = Plan::new(&Workload::named(workload).unwrap(), 1);
        let mut contender = Stalling { stall: Duration::from_millis(200), flushes: 0 };
        let mut latencies = Latencies::new();
        let done = drive(&mut contender, &plan, &load, 1, &mut latencies);
        (done, latencies, contender.flushes)
    }

    #[test]
    fn a_stall_makes_every_batch_late_that_was_due_meanwhile() {
        let load = Load::Open { batches_per_s: 1000.0, arrivals: Arrivals::Uniform, time_ms: 300 };
        let (done, latencies, _) = run("W1", load);
        // 300 are due; those of the first 100 ms wait for 100 ms or more, although each flush takes none but the first.
        assert!((290..=300).contains(&done.unwrap().flushes));
        let late = latencies.histogram().count_between(100_000_000, 300_000_000);
        assert!((90..=300).contains(&late), "{late}");
    }

    #[test]
    fn arrivals_of_the_same_seed_have_the_same_number() {
        let load = Load::Open { batches_per_s: 2000.0, arrivals: Arrivals::Poisson, time_ms: 300 };
        let flushes = |load| run("W1", load).0.unwrap().flushes;
        let (first, second) = (flushes(load), flushes(load));
        assert!((400..800).contains(&first) && first.abs_diff(second) <= 2, "{first} {second}");
    }

    #[test]
    fn a_batch_of_two_flushes_is_one_latency() {
        let (done, latencies, flushes) = run("YCSB-F", Load::Closed { time_ms: 210 });
        let done = done.unwrap();
        assert_eq!((done.flushes, done.errors), (flushes, flushes));
        assert_eq!(latencies.histogram().len(), flushes / 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let share = Load::Share { share: 0.5, arrivals: Arrivals::Uniform, time_ms: 1 };
        assert!(run("W1", share).0.is_err(), "a share of nothing");
        let stress = Load::Stress { lanes: 2, time_ms: 1 };
        assert!(run("W1", stress).0.is_err(), "one batch at a time");
        let Load::Open { batches_per_s, .. } = share.at_most(3000.0) else {
            panic!("a share becomes a rate")
        };
        assert_eq!(batches_per_s, 1500.0);
    }
}
