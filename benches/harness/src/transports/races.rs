//! Which races there are.

use anyhow::Result;

use super::{FLOOR, FLOOR_RING, MIO, URING};
use crate::contender::{self, Flush};
use crate::load::Load;
use crate::race::Race;
use crate::suite::Length;
use crate::sweep::Parameter;
use crate::target::{Kind, Spec};
use crate::workload::Workload;

/// The floors move no further than the clients: they say what is left to gain.
const CONTENDERS: [&str; 4] = [MIO, URING, FLOOR, FLOOR_RING];
const WORKLOADS: [&str; 7] = ["W1", "W2", "W3", "W4", "W5", "W6", "W7"];
/// For how long those that spin look for replies before they sleep.
const SPIN_US: u32 = 100;
const NODES: [&str; 4] = ["3", "12", "48", "256"];
/// 64 bytes are the usual size.
const VALUE_BYTES: [&str; 6] = ["8", "64", "1024", "16384", "65536", "1048576"];

const ROUNDS: usize = 9;
const ROUND_MS: u64 = 120;
const WARM_UP_MS: u64 = 100;
const STREAM_COMMANDS: u64 = 200_000;

/// All races, those on the same target one after the other.
///
/// # Errors
/// Only where a name in here is wrong.
pub(super) fn all(length: Length, kinds: &[Kind]) -> Result<Vec<Race>> {
    let mut races: Vec<Race> = Vec::new();
    for &kind in kinds {
        let of_kind = match length {
            Length::Whole => whole(kind)?,
            Length::Quick => quick(kind)?,
        };
        // A size or a number of nodes that is the usual one is a race that there is already.
        for race in of_kind {
            if !races.iter().any(|other| is_same(other, &race)) {
                races.push(race);
            }
        }
    }
    Ok(races)
}

fn is_same(a: &Race, b: &Race) -> bool {
    a.workload == b.workload && a.target == b.target && a.spin_us == b.spin_us
}

fn whole(kind: Kind) -> Result<Vec<Race>> {
    let mut races = Vec::new();
    for spin_us in [0, SPIN_US] {
        for workload in WORKLOADS {
            races.push(Race { spin_us, ..race(workload, kind)? });
        }
    }
    if kind == Kind::Sink {
        for spin_us in [0, SPIN_US] {
            races.extend(over(Parameter::Nodes, &Race { spin_us, ..race("W7", kind)? }, &NODES)?);
        }
    }
    for workload in ["W1", "W4"] {
        races.extend(over(Parameter::ValueBytes, &race(workload, kind)?, &VALUE_BYTES)?);
    }
    Ok(races)
}

/// One short round; of the real servers only that they are understood.
fn quick(kind: Kind) -> Result<Vec<Race>> {
    let mut races = Vec::new();
    if kind == Kind::Sink {
        for workload in WORKLOADS {
            races.push(race(workload, kind)?);
        }
        races.push(Race { spin_us: SPIN_US, ..race("W1", kind)? });
        races.extend(over(Parameter::Nodes, &race("W7", kind)?, &["12", "256"])?);
        for workload in ["W1", "W4"] {
            races.extend(over(Parameter::ValueBytes, &race(workload, kind)?, &["8", "1048576"])?);
        }
    } else {
        for workload in ["W1", "W4", "W6"] {
            races.push(race(workload, kind)?);
        }
    }
    for race in &mut races {
        (race.rounds, race.warm_up_ms) = (1, 10);
        match &mut race.load {
            Load::Stream { commands, .. } => *commands = 5000,
            load => *load = Load::Closed { time_ms: 10 },
        }
    }
    Ok(races)
}

fn over(parameter: Parameter, race: &Race, values: &[&str]) -> Result<Vec<Race>> {
    let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    parameter.races(race, &values)
}

fn race(workload: &str, kind: Kind) -> Result<Race> {
    let workload = Workload::named(workload)?;
    let load = match workload.window {
        Some(window) => Load::Stream { commands: STREAM_COMMANDS, window },
        None => Load::Closed { time_ms: ROUND_MS },
    };
    // A system without io_uring has two of them.
    let here = |name: &&str| contender::named(name).is_ok();
    Ok(Race {
        workload,
        target: Spec { kind, url: None, nodes: 3, delay_us: 0, standalone: false },
        contenders: CONTENDERS.into_iter().filter(here).map(str::to_owned).collect(),
        load,
        rounds: ROUNDS,
        warm_up_ms: WARM_UP_MS,
        spin_us: 0,
        flush_policy: Flush::Explicit,
        seed: 1,
        // All of these count their own system calls, in the timed rounds.
        count: false,
        programs: std::collections::BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 3] = [Kind::Sink, Kind::Redis70, Kind::Valkey91];

    /// The times that races are given, in milliseconds; a command of a stream takes less than a microsecond.
    fn time_ms(races: &[Race]) -> u64 {
        let time = |race: &Race| {
            let round_ms = match race.load {
                Load::Closed { time_ms } => time_ms,
                Load::Stream { commands, .. } => commands / 1000,
                _ => panic!("{:?}", race.load),
            };
            race.contenders.len() as u64 * (race.warm_up_ms + race.rounds as u64 * round_ms)
        };
        races.iter().map(time).sum()
    }

    #[test]
    fn the_timed_part_takes_eight_minutes_at_most_and_a_quick_one_seconds() {
        let whole = all(Length::Whole, &KINDS).unwrap();
        assert!(time_ms(&whole) < 8 * 60 * 1000, "{} s", time_ms(&whole) / 1000);
        let quick = all(Length::Quick, &KINDS).unwrap();
        assert!(time_ms(&quick) < 5000, "{} ms", time_ms(&quick));
    }

    #[test]
    fn everything_that_was_asked_for_is_there_once() {
        let races = all(Length::Whole, &KINDS).unwrap();
        let count = |is: &dyn Fn(&Race) -> bool| races.iter().filter(|race| is(race)).count();
        for workload in WORKLOADS {
            let usual = Workload::named(workload).unwrap();
            for spin_us in [0, SPIN_US] {
                let same = |race: &Race| race.workload == usual && race.spin_us == spin_us;
                assert_eq!(count(&same), KINDS.len(), "{workload}");
            }
        }
        for nodes in [12, 48, 256] {
            assert_eq!(count(&|race: &Race| race.target.nodes == nodes), 2, "sleeping and spinning");
        }
        for (name, bytes) in [("W1", 8), ("W4", 1 << 20), ("W1", 16384)] {
            let same = |race: &Race| race.workload.name == name && race.workload.value_bytes == bytes;
            assert_eq!(count(&same), KINDS.len());
        }
        assert!(all(Length::Quick, &[Kind::Valkey91]).unwrap().len() < 5);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_transports_are_in_every_race_with_their_floors() {
        let races = all(Length::Whole, &KINDS).unwrap();
        assert!(races.iter().all(|race| race.contenders == CONTENDERS));
    }
}
