//! Figures of a contender, from its rounds. It knows no form of output.
//!
//! Ratios are taken within a round, where both met the same circumstances, and only then is their median taken. Invariants: what was
//! not measured is `None`, never zero; nobody is left out because of a failure.

use hdrhistogram::Histogram;

use super::syscalls::{CallFigures, call_figures};
use crate::measure::Latencies;
use crate::race::{Entrant, Outcome};
use crate::worker::Figures;

/// The median of all rounds and their extremes; of latencies the middle is what all rounds' batches together have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) middle: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of those values that are numbers; of an even number of them the median is the mean of the two in the middle.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let middle =
            if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Spread { middle, min, max })
    }

    /// In another unit.
    pub(crate) fn divided(self, by: f64) -> Spread {
        Spread { middle: self.middle / by, min: self.min / by, max: self.max / by }
    }
}

/// Nanoseconds below which a share of the batches were answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantiles {
    pub(crate) p50: Spread,
    pub(crate) p90: Spread,
    pub(crate) p99: Spread,
    pub(crate) p99_9: Spread,
    pub(crate) max: Spread,
}

/// Everything that is shown of one contender's part in one race.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) entrant: &'a Entrant,
    /// Commands per second.
    pub(crate) throughput: Option<Spread>,
    /// Processor nanoseconds per command: all, in user mode, in the kernel.
    pub(crate) cpu: Option<Spread>,
    pub(crate) user: Option<Spread>,
    pub(crate) system: Option<Spread>,
    pub(crate) latency: Option<Quantiles>,
    /// Context switches per thousand commands.
    pub(crate) voluntary_switches: Option<Spread>,
    pub(crate) involuntary_switches: Option<Spread>,
    /// Allocations per command, of the counting round.
    pub(crate) allocations: Option<f64>,
    pub(crate) allocated_bytes: Option<f64>,
    pub(crate) calls: Option<CallFigures>,
    pub(crate) peak_memory_bytes: Option<u64>,
    pub(crate) redirects: Option<u64>,
    pub(crate) errors: u64,
    /// Against the base, per round.
    pub(crate) cpu_ratio: Option<Spread>,
    pub(crate) throughput_ratio: Option<Spread>,
}

/// All contenders of an outcome, in their order. The base is the first where none is named.
pub(crate) fn summaries<'a>(outcome: &'a Outcome, base: Option<&str>) -> Vec<Summary<'a>> {
    let base = match base {
        Some(name) => outcome.results.iter().find(|entrant| entrant.contender == name),
        None => outcome.results.first(),
    };
    outcome.results.iter().map(|entrant| summary(entrant, base)).collect()
}

fn summary<'a>(entrant: &'a Entrant, base: Option<&Entrant>) -> Summary<'a> {
    let rounds = &entrant.rounds;
    let spread = |figure: fn(&Figures) -> f64| Spread::of(rounds.iter().map(figure));
    let counted = |figure: fn((u64, u64)) -> u64| {
        let figures = entrant.counted.as_ref()?;
        Some(figure(figures.allocations?) as f64 / figures.commands as f64).filter(|value| value.is_finite())
    };
    let redirects: Vec<u64> =
        rounds.iter().filter_map(|round| Some(round.counters.as_ref()?.redirects)).collect();
    Summary {
        entrant,
        throughput: spread(throughput),
        cpu: spread(cpu),
        user: spread(|round| round.user_ns as f64 / round.commands as f64),
        system: spread(|round| round.system_ns as f64 / round.commands as f64),
        latency: quantiles(rounds),
        voluntary_switches: spread(|round| 1000.0 * round.voluntary_switches as f64 / round.commands as f64),
        involuntary_switches: spread(|round| {
            1000.0 * round.involuntary_switches as f64 / round.commands as f64
        }),
        allocations: counted(|(calls, _)| calls),
        allocated_bytes: counted(|(_, bytes)| bytes),
        calls: call_figures(entrant),
        peak_memory_bytes: rounds.iter().map(|round| round.peak_memory_bytes).max(),
        redirects: (!redirects.is_empty()).then(|| redirects.iter().sum()),
        errors: rounds.iter().map(|round| round.errors).sum(),
        cpu_ratio: ratios(entrant, base, cpu),
        throughput_ratio: ratios(entrant, base, throughput),
    }
}

/// Processor nanoseconds per command.
pub(crate) fn cpu(round: &Figures) -> f64 {
    (round.user_ns + round.system_ns) as f64 / round.commands as f64
}

/// Commands per second.
pub(crate) fn throughput(round: &Figures) -> f64 {
    if round.commands == 0 { f64::NAN } else { round.commands as f64 * 1e9 / round.wall_ns as f64 }
}

/// A contender's rounds end with its first failure, so that those of the same index are of the same time.
pub(crate) fn ratios(
    entrant: &Entrant,
    base: Option<&Entrant>,
    figure: fn(&Figures) -> f64,
) -> Option<Spread> {
    let pairs = entrant.rounds.iter().zip(&base?.rounds);
    Spread::of(pairs.map(|(own, base)| figure(own) / figure(base)))
}

/// Nanoseconds within which this share of a round's batches were answered; no number where no latency was recorded.
pub(crate) fn quantile(round: &Figures, share: f64) -> f64 {
    match Latencies::decoded(&round.latencies) {
        Ok(latencies) if !latencies.histogram().is_empty() => {
            latencies.histogram().value_at_quantile(share) as f64
        }
        _ => f64::NAN,
    }
}

/// The latencies of all rounds. `None` where none were recorded, or none that can be read.
pub(crate) fn latencies(rounds: &[Figures]) -> Option<Latencies> {
    let mut all = Latencies::new();
    histograms(rounds).iter().for_each(|latencies| all.add(latencies));
    (!all.histogram().is_empty()).then_some(all)
}

fn histograms(rounds: &[Figures]) -> Vec<Latencies> {
    rounds.iter().filter_map(|round| Latencies::decoded(&round.latencies).ok()).collect()
}

fn quantiles(rounds: &[Figures]) -> Option<Quantiles> {
    let (all, each) = (latencies(rounds)?, histograms(rounds));
    let spread = |figure: &dyn Fn(&Histogram<u64>) -> u64| {
        let each = Spread::of(each.iter().map(|latencies| figure(latencies.histogram()) as f64))?;
        Some(Spread { middle: figure(all.histogram()) as f64, ..each })
    };
    Some(Quantiles {
        p50: spread(&|histogram| histogram.value_at_quantile(0.5))?,
        p90: spread(&|histogram| histogram.value_at_quantile(0.9))?,
        p99: spread(&|histogram| histogram.value_at_quantile(0.99))?,
        p99_9: spread(&|histogram| histogram.value_at_quantile(0.999))?,
        max: spread(&Histogram::max)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn middle(spread: Option<Spread>) -> f64 {
        spread.unwrap().middle
    }

    #[test]
    fn medians_of_odd_and_even_numbers_of_rounds() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { middle: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Some(Spread { middle: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of([f64::NAN, 7.0]), Some(Spread { middle: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn figures_are_per_command() {
        let outcome = sample::outcome(vec![sample::entrant("a", &[(100, 300), (200, 300)])]);
        let summary = &summaries(&outcome, None)[0];
        // A sample round sends 1000 commands in a millisecond.
        assert_eq!(summary.cpu, Some(Spread { middle: 450.0, min: 400.0, max: 500.0 }));
        assert_eq!((middle(summary.user), middle(summary.system)), (150.0, 300.0));
        assert_eq!(middle(summary.throughput), 1_000_000.0);
        assert_eq!(summary.allocations, Some(2.0));
        assert_eq!(summary.allocated_bytes, Some(48.0));
        assert_eq!(middle(summary.voluntary_switches), 5.0);
        assert_eq!(summary.redirects, Some(4));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The medians are 200 and 300; but in every round the second took twice as long, or less.
        let base = sample::entrant("base", &[(100, 0), (200, 0), (400, 0)]);
        let other = sample::entrant("other", &[(200, 0), (300, 0), (800, 0)]);
        let outcome = sample::outcome(vec![base, other]);
        let summary = &summaries(&outcome, None)[1];
        assert_eq!(summary.cpu_ratio, Some(Spread { middle: 2.0, min: 1.5, max: 2.0 }));
        assert_eq!(middle(summaries(&outcome, Some("other"))[0].cpu_ratio), 0.5);
        assert_eq!(summaries(&outcome, Some("nobody"))[0].cpu_ratio, None);
    }

    #[test]
    fn a_contender_that_failed_is_there_without_figures() {
        let mut failed = sample::entrant("failed", &[]);
        failed.counted = None;
        failed.failure = Some("it cannot".to_owned());
        let outcome = sample::outcome(vec![sample::entrant("fine", &[(1, 1)]), failed]);
        let summaries = summaries(&outcome, None);
        let failed = &summaries[1];
        assert_eq!(failed.entrant.failure.as_deref(), Some("it cannot"));
        assert!(failed.cpu.is_none() && failed.cpu_ratio.is_none() && failed.latency.is_none());
        assert!(failed.allocations.is_none() && failed.peak_memory_bytes.is_none());
        assert!(failed.calls.is_none() && failed.redirects.is_none());
    }

    #[test]
    fn a_round_that_ended_early_is_compared_with_its_own_time() {
        let base = sample::entrant("base", &[(100, 0), (1000, 0)]);
        let other = sample::entrant("other", &[(300, 0)]);
        let outcome = sample::outcome(vec![base, other]);
        assert_eq!(middle(summaries(&outcome, None)[1].cpu_ratio), 3.0);
    }

    #[test]
    fn percentiles_are_of_all_rounds_and_their_range_of_each() {
        let mut entrant = sample::entrant("a", &[(1, 1), (1, 1)]);
        entrant.rounds[0].latencies = sample::latencies(1..=1000);
        entrant.rounds[1].latencies = sample::latencies(1001..=2000);
        let outcome = sample::outcome(vec![entrant]);
        let quantiles = summaries(&outcome, None)[0].latency.unwrap();
        let near = |value: f64, micros: f64| (value / 1000.0 - micros).abs() <= micros / 500.0;
        assert!(near(quantiles.p50.middle, 1000.0), "{quantiles:?}");
        assert!(near(quantiles.p50.min, 500.0) && near(quantiles.p50.max, 1500.0), "{quantiles:?}");
        assert!(near(quantiles.p99.middle, 1980.0) && near(quantiles.p99_9.middle, 1998.0));
        assert!(near(quantiles.max.min, 1000.0) && near(quantiles.max.max, 2000.0));
    }

    #[test]
    fn rounds_without_commands_or_latencies_have_no_figures() {
        let mut entrant = sample::entrant("a", &[(1, 1)]);
        entrant.rounds[0].commands = 0;
        entrant.rounds[0].latencies = String::new();
        let outcome = sample::outcome(vec![entrant]);
        let summary = &summaries(&outcome, None)[0];
        assert!(summary.cpu.is_none() && summary.throughput.is_none() && summary.latency.is_none());
    }
}
