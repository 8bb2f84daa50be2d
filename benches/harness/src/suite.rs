//! The races behind the standing table: which contenders meet where, and for how long.

use anyhow::Result;

use crate::contender::{self, Flush};
use crate::keys::Distribution;
use crate::load::{Arrivals, Load};
use crate::race::Race;
use crate::sweep::Parameter;
use crate::target::{Kind, Spec};
use crate::workload::Workload;

/// How thorough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// For the record.
    Whole,
    /// One short round each: shows that everything runs, measures nothing.
    Quick,
}

/// A part of the table.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) races: Vec<Race>,
}

/// Those that write bytes without being a client, as yardsticks, and every client.
const MAIN: [&str; 11] = [
    "floor-full",
    "panpipe",
    "panpipe-uring",
    "floor",
    "floor-ring",
    "floor-full-ring",
    "redis-benchmark",
    "redis-rs",
    "redis-rs-async",
    "fred",
    "rustis",
];
const OURS: [&str; 4] = ["floor-full", "panpipe", "panpipe-uring", "floor-full-ring"];
const CLIENTS: [&str; 7] =
    ["floor-full", "panpipe", "panpipe-uring", "redis-rs", "redis-rs-async", "fred", "rustis"];
const WAYS_TO_FLUSH: [&str; 6] = [
    "panpipe",
    "panpipe-uring",
    "floor-full",
    "blocking-sequential",
    "blocking-threads",
    "blocking-multiplexed",
];

/// The name of the part whose memory is looked at.
pub(crate) const MEMORY: &str = "memory";

/// Builds races of one length.
struct Builder {
    length: Length,
}

impl Builder {
    fn race(&self, workload: &str, kind: Kind, contenders: &[&str]) -> Result<Race> {
        let workload = Workload::named(workload)?;
        let (rounds, time_ms) = match self.length {
            Length::Whole => (7, 250),
            Length::Quick => (1, 20),
        };
        let stream_commands = if self.length == Length::Whole { 1_000_000 } else { 20_000 };
        let load = match workload.window {
            Some(window) => Load::Stream { commands: stream_commands, window },
            None => Load::Closed { time_ms },
        };
        let here: Vec<String> = contender::all().map(|entry| entry.name.to_owned()).collect();
        Ok(Race {
            workload,
            target: Spec { kind, url: None, nodes: 3, delay_us: 0, standalone: false },
            contenders: contenders
                .iter()
                .map(|&name| name.to_owned())
                .filter(|name| here.contains(name))
                .collect(),
            load,
            rounds,
            warm_up_ms: if self.length == Length::Whole { 200 } else { 20 },
            spin_us: 0,
            flush_policy: Flush::Explicit,
            seed: 1,
            count: true,
            programs: std::collections::BTreeMap::new(),
        })
    }

    /// Fewer rounds, and nothing counted.
    fn brief(&self, workload: &str, kind: Kind, contenders: &[&str]) -> Result<Race> {
        let race = self.race(workload, kind, contenders)?;
        Ok(Race { rounds: race.rounds.min(3), count: false, ..race })
    }

    fn open(&self, race: Race, share: f64) -> Race {
        let time_ms = if self.length == Length::Whole { 1500 } else { 50 };
        let load = Load::Share { share, arrivals: Arrivals::Poisson, time_ms };
        Race { load, rounds: race.rounds.min(3), count: false, ..race }
    }
}

/// All parts, in the order in which they run.
///
/// # Errors
/// Only where a name in here is wrong.
pub(crate) fn parts(length: Length) -> Result<Vec<Part>> {
    let builder = Builder { length };
    Ok(vec![
        main_part(&builder)?,
        lone_part(&builder)?,
        half_part(&builder)?,
        nodes_part(&builder)?,
        far_part(&builder)?,
        batch_part(&builder)?,
        values_part(&builder)?,
        policy_part(&builder)?,
        ycsb_part(&builder)?,
        standalone_part(&builder)?,
        stress_part(&builder)?,
        memory_part(&builder)?,
    ])
}

fn main_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for kind in [Kind::Sink, Kind::Redis70] {
        for workload in ["W1", "W2", "W4", "W4-1000", "W5"] {
            races.push(builder.race(workload, kind, &MAIN)?);
        }
        // redis-benchmark has no mixes.
        let others: Vec<&str> = MAIN.into_iter().filter(|&name| name != "redis-benchmark").collect();
        for workload in ["W3", "W3-2keys"] {
            races.push(builder.race(workload, kind, &others)?);
        }
    }
    for workload in ["W1", "W2"] {
        races.push(builder.brief(workload, Kind::Valkey91, &CLIENTS)?);
    }
    Ok(Part { name: "main", about: "every workload, every contender, in a closed loop", races })
}

fn lone_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for kind in [Kind::Sink, Kind::Redis70] {
        races.push(builder.race("W6", kind, &MAIN)?);
        let spinning = builder.race("W6", kind, &OURS)?;
        races.push(Race { spin_us: 100, ..spinning });
        let spinning = builder.race("W3", kind, &OURS)?;
        races.push(Race { spin_us: 100, ..spinning });
    }
    Ok(Part {
        name: "lone",
        about: "one command at a time, sleeping and looking for replies for 100 us",
        races,
    })
}

fn half_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for kind in [Kind::Sink, Kind::Redis70] {
        races.push(builder.open(builder.race("W1", kind, &CLIENTS)?, 0.5));
    }
    Ok(Part { name: "half", about: "open loop at half of what each contender can do", races })
}

fn nodes_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for workload in ["W7", "W7-333"] {
        let contenders = ["floor", "floor-full", "panpipe", "panpipe-uring", "floor-full-ring", "redis-rs"];
        let race = builder.race(workload, Kind::Sink, &contenders)?;
        let race = Race { rounds: race.rounds.min(5), count: workload == "W7", ..race };
        races.extend(Parameter::Nodes.races(&race, &[])?);
    }
    Ok(Part { name: "nodes", about: "33 and 333 SETs per node, 3 to 256 nodes", races })
}

fn far_part(builder: &Builder) -> Result<Part> {
    let mut race = builder.brief("W1", Kind::Sink, &WAYS_TO_FLUSH)?;
    race.target.delay_us = 2000;
    let nodes = ["3", "12", "48"].map(str::to_owned);
    Ok(Part {
        name: "far",
        about: "nodes 2 ms away, 100 SETs per flush",
        races: Parameter::Nodes.races(&race, &nodes)?,
    })
}

fn batch_part(builder: &Builder) -> Result<Part> {
    let race = builder.brief(
        "W2",
        Kind::Sink,
        &["floor-full", "panpipe", "panpipe-uring", "redis-rs", "redis-rs-async", "fred"],
    )?;
    Ok(Part { name: "batch", about: "1 to 10000 SETs per flush", races: Parameter::Batch.races(&race, &[])? })
}

fn values_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for workload in ["W1", "W4"] {
        let race = builder.brief(
            workload,
            Kind::Sink,
            &["floor-full", "panpipe", "panpipe-uring", "floor-full-ring", "redis-rs"],
        )?;
        races.extend(Parameter::ValueBytes.races(&race, &[])?);
    }
    Ok(Part { name: "values", about: "values of 8 bytes to 1 MiB", races })
}

fn policy_part(builder: &Builder) -> Result<Part> {
    let race = builder.brief("W5", Kind::Sink, &["panpipe", "panpipe-uring"])?;
    let mut race = race;
    if let Load::Stream { commands, .. } = &mut race.load {
        *commands /= 5;
    }
    Ok(Part {
        name: "policy",
        about: "a stream, by flush policy",
        races: Parameter::FlushPolicy.races(&race, &[])?,
    })
}

fn ycsb_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for workload in ["YCSB-A", "YCSB-B", "YCSB-C", "YCSB-F"] {
        races.push(builder.brief(workload, Kind::Redis70, &CLIENTS)?);
    }
    for distribution in [Distribution::Uniform, Distribution::Hotspot] {
        let mut race = builder.brief("YCSB-A", Kind::Redis70, &CLIENTS)?;
        race.workload.distribution = distribution;
        races.push(race);
    }
    Ok(Part { name: "ycsb", about: "YCSB A, B, C, F in batches of 100", races })
}

fn standalone_part(builder: &Builder) -> Result<Part> {
    let cluster =
        builder.brief("W2", Kind::Redis70, &["panpipe", "panpipe-uring", "redis-rs", "redis-benchmark"])?;
    // redis-benchmark refuses a cluster of one.
    let mut one = builder.brief("W2", Kind::Sink, &["panpipe", "panpipe-uring", "redis-rs"])?;
    one.target.nodes = 1;
    let mut alone = builder.brief("W2", Kind::Redis70, &["redis-rs-standalone", "redis-benchmark"])?;
    alone.target = Spec { nodes: 1, standalone: true, ..alone.target };
    Ok(Part {
        name: "standalone",
        about: "a cluster of three, of one, and a server without",
        races: vec![cluster, one, alone],
    })
}

fn stress_part(builder: &Builder) -> Result<Part> {
    let mut races = Vec::new();
    for kind in [Kind::Sink, Kind::Redis70] {
        let mut race =
            builder.brief("W1", kind, &["panpipe", "panpipe-uring", "redis-rs-async", "fred", "rustis"])?;
        race.workload = race.workload.with_batch(10)?;
        let time_ms = if builder.length == Length::Whole { 1000 } else { 50 };
        races.push(Race { load: Load::Stress { lanes: 200, time_ms }, ..race });
    }
    Ok(Part { name: "stress", about: "200 batches of 10 SETs in flight at once", races })
}

fn memory_part(builder: &Builder) -> Result<Part> {
    let mut race = builder.brief("W6", Kind::Sink, &["panpipe", "panpipe-uring"])?;
    race.target.nodes = 1000;
    // Next to nothing is asked: it is the topology that takes the room.
    let races = vec![Race { load: Load::Batches { batches: 1 }, rounds: 1, warm_up_ms: 0, ..race }];
    Ok(Part { name: MEMORY, about: "a topology of 1000 nodes, idle", races })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_can_be_built_and_has_races() {
        for length in [Length::Whole, Length::Quick] {
            let parts = parts(length).unwrap();
            assert!(parts.iter().all(|part| !part.races.is_empty()));
            let mut names: Vec<&str> = parts.iter().map(|part| part.name).collect();
            names.dedup();
            assert_eq!(names.len(), parts.len());
        }
    }

    #[test]
    fn the_timed_part_of_the_whole_suite_stays_under_a_quarter_of_an_hour() {
        let ms: u64 = parts(Length::Whole)
            .unwrap()
            .iter()
            .flat_map(|part| &part.races)
            .map(|race| {
                let round_ms = match race.load {
                    Load::Closed { time_ms } | Load::Open { time_ms, .. } | Load::Stress { time_ms, .. } => {
                        time_ms
                    }
                    Load::Share { time_ms, .. } => time_ms,
                    // A million commands at half a microsecond.
                    Load::Stream { commands, .. } => commands / 2000,
                    Load::Batches { .. } => 1,
                };
                race.contenders.len() as u64 * (race.warm_up_ms + race.rounds as u64 * round_ms)
            })
            .sum();
        assert!(ms < 15 * 60 * 1000, "{} s", ms / 1000);
    }
}
