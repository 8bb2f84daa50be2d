//! Documents for the tests of reports, made by hand.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::Document;
use crate::contender::{Counters, Flush};
use crate::load::{Arrivals, Load};
use crate::measure::Latencies;
use crate::race::{Entrant, Outcome, Race};
use crate::syscalls::{Call, Calls};
use crate::target::{Kind, Spec};
use crate::worker::Figures;
use crate::workload::Workload;

/// Thousand commands in ten flushes and a millisecond; times are nanoseconds per command.
pub(crate) fn figures(user: u64, system: u64) -> Figures {
    Figures {
        flushes: 10,
        commands: 1000,
        errors: 0,
        wall_ns: 1_000_000,
        user_ns: user * 1000,
        system_ns: system * 1000,
        voluntary_switches: 5,
        involuntary_switches: 1,
        peak_memory_bytes: 3 << 20,
        allocations: None,
        counters: Some(Counters {
            writes: 30,
            reads: 40,
            waits: 20,
            sleeps: Some(10),
            bytes_written: 3000,
            bytes_read: 0,
            redirects: 2,
        }),
        latencies: latencies(50..=150),
    }
}

/// One latency each, in microseconds.
pub(crate) fn latencies(micros: RangeInclusive<u64>) -> String {
    let mut latencies = Latencies::new();
    micros.for_each(|micros| latencies.record(Duration::from_micros(micros)));
    latencies.encoded()
}

/// Rounds of so many nanoseconds per command in user mode and in the kernel.
pub(crate) fn entrant(name: &str, rounds: &[(u64, u64)]) -> Entrant {
    Entrant {
        contender: name.to_owned(),
        settings: vec![("threads".to_owned(), "1".to_owned())],
        rounds: rounds.iter().map(|&(user, system)| figures(user, system)).collect(),
        counted: Some(Figures { allocations: Some((2000, 48_000)), ..figures(1, 1) }),
        calls: None,
        failure: None,
    }
}

/// Ten flushes as strace saw them.
pub(crate) fn calls() -> Calls {
    let call = |count, returned| Call { count, returned };
    let by_name = [
        ("epoll_wait", call(20, 20)),
        ("futex", call(7, 0)),
        ("recvfrom", call(15, 300)),
        ("sendto", call(10, 900)),
        ("writev", call(20, 2100)),
    ];
    let by_name: BTreeMap<String, Call> =
        by_name.into_iter().map(|(name, call)| (name.to_owned(), call)).collect();
    Calls { flushes: 10, commands: 1000, by_name }
}

pub(crate) fn race(contenders: &[Entrant]) -> Race {
    Race {
        workload: Workload::named("W1").unwrap(),
        target: Spec { kind: Kind::Sink, url: None, nodes: 3, delay_us: 0, standalone: false },
        contenders: contenders.iter().map(|entrant| entrant.contender.clone()).collect(),
        load: Load::Closed { time_ms: 500 },
        rounds: 2,
        warm_up_ms: 100,
        spin_us: 0,
        flush_policy: Flush::Explicit,
        seed: 1,
        count: true,
        programs: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn outcome(results: Vec<Entrant>) -> Outcome {
    Outcome { race: race(&results), results }
}

/// Two contenders, one race.
pub(crate) fn document() -> Document {
    let entrants =
        vec![entrant("floor", &[(50, 150), (60, 160)]), entrant("panpipe", &[(80, 160), (85, 165)])];
    Document::new(vec![outcome(entrants)]).unwrap()
}

/// The same race with batches of several sizes.
pub(crate) fn sweep(batches: &[usize]) -> Document {
    let outcomes = batches.iter().map(|&batch| {
        let more = 1000 / batch as u64;
        let entrants = vec![
            entrant("floor", &[(50, 150 + more), (60, 160 + more)]),
            entrant("panpipe", &[(80, 160 + more), (85, 165 + more)]),
        ];
        let mut outcome = outcome(entrants);
        outcome.race.workload = outcome.race.workload.with_batch(batch).unwrap();
        outcome
    });
    Document::new(outcomes.collect()).unwrap()
}

/// A document that has every field that can be there, and names that are trouble.
pub(crate) fn everything() -> Document {
    let mut document = sweep(&[10, 100]);
    let mut odd = entrant("<b>&\"'odd, name", &[(100, 200)]);
    odd.calls = Some(calls());
    odd.rounds[0].counters = None;
    odd.failure = Some("it broke: <script>".to_owned());
    let loads = [
        Load::Open { batches_per_s: 1000.0, arrivals: Arrivals::Poisson, time_ms: 500 },
        Load::Share { share: 0.5, arrivals: Arrivals::Uniform, time_ms: 500 },
        Load::Stream { commands: 100_000, window: 1000 },
        Load::Stress { lanes: 16, time_ms: 500 },
        Load::Batches { batches: 10 },
    ];
    for load in loads {
        let mut outcome = outcome(vec![entrant("floor", &[(50, 150)]), odd.clone()]);
        outcome.race.load = load;
        document.outcomes.push(outcome);
    }
    for (outcome, name) in document.outcomes.iter_mut().zip(["W3", "YCSB-A"]) {
        outcome.race.workload.mix = Workload::named(name).unwrap().mix;
    }
    if let Some(first) = document.outcomes.first_mut() {
        first.race.flush_policy = Flush::Threshold { bytes: 4096, commands: 100 };
    }
    document
}
