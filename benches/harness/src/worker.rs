//! A contender's own process. It is told what to do in lines of JSON on standard input and answers each with one on standard output.

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::contender::{self, Contender, Counters, Setting, Setup};
use crate::load::{self, Load};
use crate::measure::{self, Latencies, Used, alloc};
use crate::plan::Plan;
use crate::workload::Workload;

/// The version of what is asked and answered here. Raised with every change that a worker built from another revision of this file
/// would misunderstand: `ab` has workers of two revisions.
pub(crate) const PROTOCOL: u32 = 1;

/// What a worker is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Connect. The first order, once.
    Start {
        /// [`PROTOCOL`]; 0 of a harness that was before it had a number.
        #[serde(default)]
        protocol: u32,
        contender: String,
        setup: Setup,
        workload: Workload,
        seed: u64,
    },
    /// One round. With `count` allocations are counted and times mean little.
    Round { load: Load, seed: u64, count: bool },
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Started {
        #[serde(default)]
        protocol: u32,
        settings: Vec<Setting>,
    },
    Round(Box<Figures>),
    Failed {
        reason: String,
    },
}

/// Everything measured in one round of one contender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) flushes: u64,
    pub(crate) commands: u64,
    /// Error replies and replies of the wrong kind.
    pub(crate) errors: u64,
    pub(crate) wall_ns: u64,
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
    /// Of the process since it began.
    pub(crate) peak_memory_bytes: u64,
    /// Calls and bytes, where they were counted.
    pub(crate) allocations: Option<(u64, u64)>,
    /// What the contender counted itself.
    pub(crate) counters: Option<Counters>,
    /// Latencies of batches in nanoseconds: HdrHistogram V2, compressed, in base64. Empty where none were recorded.
    pub(crate) latencies: String,
}

/// Serves until standard input ends.
///
/// # Errors
/// Where the other side does not speak as it should; a contender's failure is an answer.
pub(crate) fn serve() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let order: Order = serde_json::from_str(&first?).context("a worker was given no order")?;
    let Order::Start { protocol, contender, setup, workload, seed } = order else {
        bail!("a worker starts first")
    };
    if protocol != PROTOCOL {
        let reason = format!(
            "it was asked in version {protocol} of the workers' protocol and speaks version {PROTOCOL}"
        );
        return answer(&Answer::Failed { reason });
    }
    let plan = Plan::new(&workload, seed);
    let started = contender::named(&contender).and_then(|start| start(&setup, &plan));
    let mut contender = match started {
        Ok(contender) => contender,
        Err(error) => return answer(&Answer::Failed { reason: format!("{error:#}") }),
    };
    answer(&Answer::Started { protocol: PROTOCOL, settings: contender.settings() })?;
    for line in lines {
        let order: Order = serde_json::from_str(&line?).context("a worker was given no order")?;
        let Order::Round { load, seed, count } = order else { bail!("a worker starts once") };
        match round(contender.as_mut(), &plan, &load, seed, count) {
            Ok(figures) => answer(&Answer::Round(Box::new(figures)))?,
            Err(error) => answer(&Answer::Failed { reason: format!("{error:#}") })?,
        }
    }
    Ok(())
}

fn answer(answer: &Answer) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn round(contender: &mut dyn Contender, plan: &Plan, load: &Load, seed: u64, count: bool) -> Result<Figures> {
    let mut latencies = Latencies::new();
    let counted = contender.counters();
    let (used, began) = (Used::so_far()?, Instant::now());
    let (done, allocations) = if count {
        let (done, allocations) = alloc::during(|| load::drive(contender, plan, load, seed, &mut latencies));
        (done?, Some((allocations.calls, allocations.bytes)))
    } else {
        (load::drive(contender, plan, load, seed, &mut latencies)?, None)
    };
    let (wall, used) = (began.elapsed(), Used::so_far()?.since(used));
    let counters = contender.counters().zip(counted).map(|(now, before)| now.since(before));
    let recorded = !latencies.histogram().is_empty();
    Ok(Figures {
        flushes: done.flushes,
        commands: done.commands,
        errors: done.errors,
        wall_ns: wall.as_nanos() as u64,
        user_ns: used.user_ns,
        system_ns: used.system_ns,
        voluntary_switches: used.voluntary_switches,
        involuntary_switches: used.involuntary_switches,
        peak_memory_bytes: measure::peak_memory_bytes()?,
        allocations,
        counters,
        latencies: if recorded { latencies.encoded() } else { String::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_from_before_the_protocol_had_a_number_is_number_zero() {
        let answer: Answer = serde_json::from_str(r#"{"started":{"settings":[]}}"#).unwrap();
        assert!(matches!(answer, Answer::Started { protocol: 0, .. }));
    }
}
