//! Races that differ in one thing.

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::contender::Flush;
use crate::keys::Distribution;
use crate::load::{Arrivals, Load};
use crate::race::Race;
use crate::workload::Workload;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Parameter {
    /// Commands per flush: 1 to 10000.
    Batch,
    /// Nodes of the target: 3 to 256. W7 grows with them, other workloads send the same batch to all together.
    Nodes,
    /// Bytes per value: 8 to 1 MiB; batches of at most 100 commands and 8 MiB.
    ValueBytes,
    /// Batches per second, in percent of what each contender can do: 10 to 95.
    Rate,
    /// When commands of a stream leave: explicit, each-turn, each-command, 4096, 16384 or 65536 bytes.
    FlushPolicy,
    /// Microseconds of looking for replies before sleeping: 0 to 100.
    Spin,
    /// Microseconds between a command and its reply (sink and model): 0 to 5000.
    Delay,
    /// uniform, zipf, hotspot.
    Keys,
}

/// Bytes of values in one flush of a sweep over their size.
const FLUSH_BYTES_MAX: usize = 8 << 20;
const VALUE_SWEEP_BATCH_MAX: usize = 100;

impl Parameter {
    /// The values that are taken where none are given.
    fn usual_values(self) -> &'static [&'static str] {
        match self {
            Parameter::Batch => {
                &["1", "2", "5", "10", "20", "50", "100", "200", "500", "1000", "2000", "5000", "10000"]
            }
            Parameter::Nodes => &["3", "6", "12", "24", "48", "96", "256"],
            Parameter::ValueBytes => &["8", "64", "512", "4096", "16384", "65536", "262144", "1048576"],
            Parameter::Rate => &["10", "25", "50", "75", "90", "95"],
            Parameter::FlushPolicy => &["explicit", "each-turn", "each-command", "4096", "16384", "65536"],
            Parameter::Spin => &["0", "20", "50", "100"],
            Parameter::Delay => &["0", "200", "1000", "2000", "5000"],
            Parameter::Keys => &["uniform", "zipf", "hotspot"],
        }
    }

    /// The races, one per value.
    ///
    /// # Errors
    /// Where a value makes no sense.
    pub(crate) fn races(self, race: &Race, values: &[String]) -> Result<Vec<Race>> {
        let usual: Vec<String> = self.usual_values().iter().map(|&value| value.to_owned()).collect();
        let values = if values.is_empty() { &usual } else { values };
        values.iter().map(|value| self.with(race, value)).collect()
    }

    fn with(self, race: &Race, value: &str) -> Result<Race> {
        let mut race = race.clone();
        let number = || value.parse::<u64>().with_context(|| format!("{value:?} is not a number"));
        match self {
            Parameter::Batch => race.workload = race.workload.with_batch(number()? as usize)?,
            Parameter::Nodes => {
                race.target.nodes = number()? as usize;
                race.workload = per_node(race.workload, race.target.nodes)?;
            }
            Parameter::ValueBytes => {
                let bytes = number()? as usize;
                let batch = (FLUSH_BYTES_MAX / bytes.max(1)).clamp(1, VALUE_SWEEP_BATCH_MAX);
                let batch = batch.min(race.workload.batch);
                race.workload = race.workload.with_value_bytes(bytes).with_batch(batch)?;
            }
            Parameter::Rate => {
                let share = number()? as f64 / 100.0;
                let (arrivals, time_ms) = match race.load {
                    Load::Closed { time_ms } => (Arrivals::Poisson, time_ms),
                    Load::Open { arrivals, time_ms, .. } | Load::Share { arrivals, time_ms, .. } => {
                        (arrivals, time_ms)
                    }
                    other => bail!("a {} has no rate", other.name()),
                };
                race.load = Load::Share { share, arrivals, time_ms };
            }
            Parameter::FlushPolicy => race.flush_policy = policy(value)?,
            Parameter::Spin => race.spin_us = u32::try_from(number()?).context("too long a spin")?,
            Parameter::Delay => race.target.delay_us = number()?,
            Parameter::Keys => race.workload.distribution = distribution(value)?,
        }
        Ok(race)
    }
}

/// W7 grows with the cluster.
fn per_node(workload: Workload, nodes: usize) -> Result<Workload> {
    match workload.commands_per_node() {
        Some(commands) => workload.with_batch(commands * nodes),
        None => Ok(workload),
    }
}

fn policy(value: &str) -> Result<Flush> {
    Ok(match value {
        "explicit" => Flush::Explicit,
        "each-turn" => Flush::EachTurn,
        "each-command" => Flush::EachCommand,
        bytes => {
            let Ok(bytes) = bytes.parse() else {
                bail!(
                    "a flush policy is explicit, each-turn, each-command or a number of bytes, not {value:?}"
                )
            };
            Flush::Threshold { bytes, commands: usize::MAX }
        }
    })
}

fn distribution(value: &str) -> Result<Distribution> {
    Distribution::from_str(value, true)
        .map_err(|_| anyhow::anyhow!("keys are uniform, zipf or hotspot, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn race(workload: &str) -> Race {
        Race { workload: Workload::named(workload).unwrap(), ..sample::race(&[]) }
    }

    #[test]
    fn the_usual_values_of_every_parameter_are_possible() {
        for parameter in Parameter::value_variants() {
            let races = parameter.races(&race("W1"), &[]).unwrap();
            assert_eq!(races.len(), parameter.usual_values().len());
        }
    }

    #[test]
    fn w7_grows_with_the_nodes_and_others_do_not() {
        let nodes = ["3", "256"].map(str::to_owned);
        let batches = |workload| -> Vec<usize> {
            let races = Parameter::Nodes.races(&race(workload), &nodes).unwrap();
            races.iter().map(|race| race.workload.batch).collect()
        };
        assert_eq!(batches("W7"), [99, 8448]);
        assert_eq!(batches("W2"), [1000, 1000]);
    }

    #[test]
    fn large_values_come_in_small_batches() {
        let races = Parameter::ValueBytes.races(&race("W2"), &["1048576".to_owned()]).unwrap();
        assert_eq!((races[0].workload.batch, races[0].workload.value_bytes), (8, 1 << 20));
        assert!(races[0].workload.keys <= 64);
    }

    #[test]
    fn values_without_sense_are_refused() {
        for (parameter, value) in [
            (Parameter::Batch, "0"),
            (Parameter::Batch, "many"),
            (Parameter::FlushPolicy, "sometimes"),
            (Parameter::Keys, "odd"),
        ] {
            assert!(parameter.races(&race("W1"), &[value.to_owned()]).is_err(), "{value}");
        }
    }
}
