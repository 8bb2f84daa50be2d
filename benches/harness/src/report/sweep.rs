//! Outcomes of a document that differ in one thing.
//!
//! A document does not say that it is a sweep: races are compared field by field. Two axes move a second field with them (a batch per
//! node, a batch that keeps large values together below a size); that is the same sweep as long as every value appears once.

use serde_json::{Value, json};

use super::describe;
use crate::load::Load;
use crate::race::{Outcome, Race};
use crate::target::Spec;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Batch,
    Nodes,
    ValueBytes,
    Rate,
    Share,
    Lanes,
    Delay,
    Spin,
    FlushPolicy,
    Keys,
    Target,
}

/// At least two outcomes, in the order of the axis.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) axis: Axis,
    pub(crate) points: Vec<&'a Outcome>,
}

const AXES: [Axis; 11] = [
    Axis::Batch,
    Axis::Nodes,
    Axis::ValueBytes,
    Axis::Rate,
    Axis::Share,
    Axis::Lanes,
    Axis::Delay,
    Axis::Spin,
    Axis::FlushPolicy,
    Axis::Keys,
    Axis::Target,
];

/// All of a document.
pub(crate) fn sweeps(outcomes: &[Outcome]) -> Vec<Sweep<'_>> {
    let mut sweeps = Vec::new();
    for axis in AXES {
        for group in groups(axis, outcomes, axis.moves_batch()) {
            let mut labels: Vec<String> = group.iter().map(|outcome| axis.value(&outcome.race)).collect();
            labels.sort_unstable();
            labels.dedup();
            if labels.len() == group.len() {
                sweeps.push(Sweep::new(axis, group));
            } else {
                // A grid, or repetitions: one line of it at a time.
                let lines = groups_of(axis, group, false);
                sweeps.extend(lines.into_iter().map(|line| Sweep::new(axis, line)));
            }
        }
    }
    sweeps.retain(|sweep| {
        let first = sweep.axis.value(&sweep.points[0].race);
        sweep.points.iter().any(|outcome| sweep.axis.value(&outcome.race) != first)
    });
    sweeps
}

fn groups(axis: Axis, outcomes: &[Outcome], any_batch: bool) -> Vec<Vec<&Outcome>> {
    groups_of(axis, outcomes.iter().collect(), any_batch)
}

fn groups_of(axis: Axis, outcomes: Vec<&Outcome>, any_batch: bool) -> Vec<Vec<&Outcome>> {
    let mut groups: Vec<(Value, Vec<&Outcome>)> = Vec::new();
    for outcome in outcomes {
        let Some(rest) = axis.rest(&outcome.race, any_batch) else { continue };
        match groups.iter_mut().find(|(found, _)| *found == rest) {
            Some((_, group)) => group.push(outcome),
            None => groups.push((rest, vec![outcome])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Axis {
    /// As a heading.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Axis::Batch => "commands per flush",
            Axis::Nodes => "nodes",
            Axis::ValueBytes => "bytes per value",
            Axis::Rate => "batches per second",
            Axis::Share => "percent of the maximum rate",
            Axis::Lanes => "batches in flight",
            Axis::Delay => "delay of a reply, µs",
            Axis::Spin => "spin, µs",
            Axis::FlushPolicy => "flush policy",
            Axis::Keys => "keys",
            Axis::Target => "target",
        }
    }

    /// Where a race is on the axis; `None` where the axis has names and no numbers, or the race has no such thing.
    pub(crate) fn position(self, race: &Race) -> Option<f64> {
        match (self, race.load) {
            (Axis::Batch, _) => Some(race.workload.batch as f64),
            (Axis::Nodes, _) => Some(race.target.nodes as f64),
            (Axis::ValueBytes, _) => Some(race.workload.value_bytes as f64),
            (Axis::Delay, _) => Some(race.target.delay_us as f64),
            (Axis::Spin, _) => Some(f64::from(race.spin_us)),
            (Axis::Rate, Load::Open { batches_per_s, .. }) => Some(batches_per_s),
            (Axis::Share, Load::Share { share, .. }) => Some((share * 1e4).round() / 100.0),
            (Axis::Lanes, Load::Stress { lanes, .. }) => Some(lanes as f64),
            _ => None,
        }
    }

    /// The same in writing.
    pub(crate) fn value(self, race: &Race) -> String {
        match self {
            Axis::FlushPolicy => describe::policy(race.flush_policy),
            Axis::Keys => describe::lower(race.workload.distribution),
            Axis::Target => race.target.to_string(),
            _ => self.position(race).map_or_else(String::new, |position| position.to_string()),
        }
    }

    /// Whether a sweep over it may change the batch as it goes.
    fn moves_batch(self) -> bool {
        matches!(self, Axis::Nodes | Axis::ValueBytes)
    }

    /// Everything of a race but this: what must be equal in a sweep. `None` where the race is not on the axis.
    fn rest(self, race: &Race, any_batch: bool) -> Option<Value> {
        let mut race = race.clone();
        let named = matches!(self, Axis::FlushPolicy | Axis::Keys | Axis::Target);
        if !named {
            self.position(&race)?;
        }
        if self == Axis::Batch || any_batch {
            race.workload.window = race.workload.window.map(|_| 0);
            race.workload.batch = 0;
            if let Load::Stream { window, .. } = &mut race.load {
                *window = 0;
            }
        }
        match (self, &mut race.load) {
            (Axis::Nodes, _) => race.target.nodes = 0,
            (Axis::ValueBytes, _) => (race.workload.value_bytes, race.workload.keys) = (0, 0),
            (Axis::Delay, _) => race.target.delay_us = 0,
            (Axis::Spin, _) => race.spin_us = 0,
            (Axis::Rate, Load::Open { batches_per_s, .. }) => *batches_per_s = 0.0,
            (Axis::Share, Load::Share { share, .. }) => *share = 0.0,
            (Axis::Lanes, Load::Stress { lanes, .. }) => *lanes = 0,
            _ => {}
        }
        let mut rest = serde_json::to_value(&race).ok()?;
        // Not every contender can do everything.
        rest["contenders"] = json!(null);
        match self {
            Axis::FlushPolicy => rest["flush_policy"] = json!(null),
            Axis::Keys => rest["workload"]["distribution"] = json!(null),
            Axis::Target => rest["target"] = json!(null),
            _ => {}
        }
        Some(rest)
    }
}

impl<'a> Sweep<'a> {
    fn new(axis: Axis, mut points: Vec<&'a Outcome>) -> Sweep<'a> {
        let position = |outcome: &Outcome| axis.position(&outcome.race).unwrap_or(0.0);
        points.sort_by(|a, b| position(a).total_cmp(&position(b)));
        Sweep { axis, points }
    }

    /// `W1 on sink, 3 nodes, by commands per flush`.
    pub(crate) fn title(&self) -> String {
        let race = &self.points[0].race;
        let target = match self.axis {
            Axis::Target => String::new(),
            // Without the number of nodes, or the delay: it differs.
            Axis::Nodes => format!(" on {}", race.target.to_string().split(", ").next().unwrap_or_default()),
            Axis::Delay => format!(" on {}", Spec { delay_us: 0, ..race.target.clone() }),
            _ => format!(" on {}", race.target),
        };
        format!("{}{target}, by {}", race.workload.name, self.axis.name())
    }

    /// How a row is called; with the batch where that differs too.
    pub(crate) fn label(&self, point: &Outcome) -> String {
        let value = self.axis.value(&point.race);
        let batch = point.race.workload.batch;
        let constant = self.points.iter().all(|other| other.race.workload.batch == batch);
        if constant || self.axis == Axis::Batch { value } else { format!("{value} (batch {batch})") }
    }

    /// All contenders, in the order in which they first appear.
    pub(crate) fn contenders(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for entrant in self.points.iter().flat_map(|outcome| &outcome.results) {
            if !names.contains(&entrant.contender.as_str()) {
                names.push(&entrant.contender);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn labels(sweep: &Sweep<'_>) -> Vec<String> {
        sweep.points.iter().map(|point| sweep.label(point)).collect()
    }

    #[test]
    fn outcomes_that_differ_in_the_batch_are_a_sweep_in_order() {
        let document = sample::sweep(&[1000, 10, 100]);
        let sweeps = sweeps(&document.outcomes);
        assert_eq!(sweeps.len(), 1);
        assert_eq!(sweeps[0].axis, Axis::Batch);
        assert_eq!(labels(&sweeps[0]), ["10", "100", "1000"]);
        assert_eq!(sweeps[0].title(), "W1 on sink, 3 nodes, by commands per flush");
        assert_eq!(sweeps[0].contenders(), ["floor", "panpipe"]);
    }

    #[test]
    fn one_outcome_or_repetitions_are_none() {
        assert!(sweeps(&sample::document().outcomes).is_empty());
        assert!(sweeps(&sample::sweep(&[10, 10]).outcomes).is_empty());
    }

    #[test]
    fn a_batch_that_grows_with_the_nodes_is_a_sweep_over_nodes() {
        let mut outcomes = sample::sweep(&[30, 60, 120]).outcomes;
        for (outcome, nodes) in outcomes.iter_mut().zip([3, 6, 12]) {
            outcome.race.target.nodes = nodes;
        }
        let sweeps = sweeps(&outcomes);
        assert_eq!(sweeps.len(), 1);
        assert_eq!((sweeps[0].axis, labels(&sweeps[0])[1].as_str()), (Axis::Nodes, "6 (batch 60)"));
    }

    #[test]
    fn a_grid_is_a_sweep_for_every_line() {
        let mut outcomes = sample::sweep(&[10, 100, 10, 100]).outcomes;
        outcomes[2].race.target.nodes = 6;
        outcomes[3].race.target.nodes = 6;
        let found: Vec<(Axis, usize)> =
            sweeps(&outcomes).iter().map(|sweep| (sweep.axis, sweep.points.len())).collect();
        let expected = [(Axis::Batch, 2), (Axis::Batch, 2), (Axis::Nodes, 2), (Axis::Nodes, 2)];
        assert_eq!(found[..4], expected);
    }

    #[test]
    fn rates_spins_and_targets_are_found() {
        use crate::load::Arrivals::Poisson;
        let mut outcomes = sample::sweep(&[100, 100]).outcomes;
        outcomes[1].race.spin_us = 50;
        assert_eq!(sweeps(&outcomes)[0].axis, Axis::Spin);
        outcomes[1].race.spin_us = 0;
        outcomes[1].race.target.kind = crate::target::Kind::Model;
        assert_eq!(sweeps(&outcomes)[0].axis, Axis::Target);
        outcomes[1].race.target.kind = crate::target::Kind::Sink;
        for (outcome, share) in outcomes.iter_mut().zip([0.95, 0.1]) {
            outcome.race.load = Load::Share { share, arrivals: Poisson, time_ms: 100 };
        }
        let found = sweeps(&outcomes);
        assert_eq!(found[0].axis, Axis::Share);
        assert_eq!(labels(&found[0]), ["10", "95"]);
    }
}
