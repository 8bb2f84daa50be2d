//! The rules: what is more, what is less, what is the same.

use crate::baseline::Baseline;
use crate::counts::{Costs, Counted, Metric};

/// Part of the baseline by which an item may differ: a change of the compiler's mind somewhere else costs as much.
pub(crate) const TOLERANCE: f64 = 0.02;

/// How a figure stands to its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// More than allowed.
    More,
    /// So much less that the baseline would let as much come back unseen.
    Less,
}

/// A workload and its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `None`: nothing was accepted yet.
    pub(crate) baseline: Option<Costs>,
    pub(crate) now: Costs,
}

/// All workloads that were counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) rows: Vec<Row>,
    /// Lines of the baseline that no workload has.
    pub(crate) gone: Vec<String>,
}

/// Holds counts against the baseline. `all`: every workload was counted, so that a line without one is left over.
pub(crate) fn compare(baseline: &Baseline, counted: &[Counted], all: bool) -> Comparison {
    let row = |counted: &Counted| Row {
        name: counted.name.clone(),
        baseline: baseline.costs(&counted.name),
        now: counted.costs,
    };
    let is_gone = |name: &&str| all && !counted.iter().any(|counted| counted.name == *name);
    Comparison {
        rows: counted.iter().map(row).collect(),
        gone: baseline.names().filter(is_gone).map(str::to_owned).collect(),
    }
}

/// Allocations are few and exact: one more is more. Others may differ by the tolerance.
pub(crate) fn judge(metric: Metric, baseline: f64, now: f64) -> Verdict {
    let allowed = if metric == Metric::Allocations { 0.0 } else { baseline * TOLERANCE };
    // The baseline is rounded and the count is not.
    let allowed = allowed + 0.6 * 0.1_f64.powi(metric.decimals() as i32);
    match now - baseline {
        change if change > allowed => Verdict::More,
        change if change < -allowed => Verdict::Less,
        _ => Verdict::Same,
    }
}

impl Row {
    /// `None` without a baseline.
    pub(crate) fn verdict(&self, metric: Metric) -> Option<Verdict> {
        self.baseline.map(|baseline| judge(metric, baseline.of(metric), self.now.of(metric)))
    }

    /// The metrics with this verdict.
    pub(crate) fn having(&self, verdict: Verdict) -> impl Iterator<Item = Metric> {
        Metric::ALL.into_iter().filter(move |metric| self.verdict(*metric) == Some(verdict))
    }
}

impl Comparison {
    /// Whether nothing costs more, every workload has a baseline and every baseline has a workload.
    pub(crate) fn passes(&self) -> bool {
        let fine = |row: &Row| row.baseline.is_some() && row.having(Verdict::More).next().is_none();
        self.gone.is_empty() && self.rows.iter().all(fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::tests::{counted, toolchain};

    fn baseline() -> Baseline {
        let mut baseline = Baseline::new(toolchain());
        baseline.take(&[counted("a", 1000.0, 100.0, 0.0), counted("b", 90.0, 0.0, 1.0)]);
        baseline
    }

    fn compared(a: Counted) -> Comparison {
        compare(&baseline(), &[a, counted("b", 90.0, 0.0, 1.0)], true)
    }

    #[test]
    fn two_percent_are_the_same_and_more_is_more() {
        use Metric::{CopiedBytes, Instructions};
        for (metric, baseline, now, verdict) in [
            (Instructions, 1000.0, 1020.0, Verdict::Same),
            (Instructions, 1000.0, 1020.2, Verdict::More),
            (Instructions, 1000.0, 980.0, Verdict::Same),
            (Instructions, 1000.0, 979.8, Verdict::Less),
            (CopiedBytes, 100.0, 102.0, Verdict::Same),
            (CopiedBytes, 100.0, 102.1, Verdict::More),
            (CopiedBytes, 100.0, 90.0, Verdict::Less),
            (CopiedBytes, 0.0, 0.0, Verdict::Same),
            (CopiedBytes, 0.0, 1.0, Verdict::More),
            (CopiedBytes, 1.0, 0.0, Verdict::Less),
        ] {
            assert_eq!(judge(metric, baseline, now), verdict, "{metric:?} {baseline} {now}");
        }
    }

    #[test]
    fn allocations_are_exact() {
        assert_eq!(judge(Metric::Allocations, 100.0, 100.001), Verdict::More);
        assert_eq!(judge(Metric::Allocations, 0.0, 1.0 / 4000.0), Verdict::More);
        assert_eq!(judge(Metric::Allocations, 1.0, 0.5), Verdict::Less);
        assert_eq!(judge(Metric::Allocations, 0.3333, 1.0 / 3.0), Verdict::Same);
    }

    #[test]
    fn only_more_fails() {
        assert!(compared(counted("a", 1000.0, 100.0, 0.0)).passes());
        assert!(compared(counted("a", 500.0, 10.0, 0.0)).passes());
        for worse in
            [counted("a", 1021.0, 100.0, 0.0), counted("a", 1.0, 103.0, 0.0), counted("a", 1.0, 1.0, 0.1)]
        {
            let comparison = compared(worse);
            assert!(!comparison.passes());
            assert_eq!(comparison.rows[0].having(Verdict::More).count(), 1);
            assert_eq!(comparison.rows[1].having(Verdict::More).count(), 0);
        }
    }

    #[test]
    fn a_workload_without_a_baseline_fails_and_one_without_a_workload_too() {
        let new = compared(counted("c", 1.0, 0.0, 0.0));
        assert_eq!((new.passes(), new.rows[0].verdict(Metric::Instructions)), (false, None));
        assert_eq!(new.gone, ["a"]);
        let only = [counted("b", 90.0, 0.0, 1.0)];
        assert!(!compare(&baseline(), &only, true).passes());
        assert!(compare(&baseline(), &only, false).passes());
    }
}
