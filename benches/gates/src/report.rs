//! What is said on the terminal: tables, and what to do next.

use std::fmt::Write;
use std::path::Path;

use crate::baseline::Toolchain;
use crate::compare::{Comparison, Row, TOLERANCE, Verdict};
use crate::counts::{Counted, Metric, output_name};
use crate::valgrind::Tool;

/// Places that are worth a line.
const PLACES: usize = 8;

/// Counts alone.
pub(crate) fn shown(counted: &[Counted]) -> String {
    let mut text = format!("{:<26}", "per item");
    for metric in Metric::ALL {
        let _infallible = write!(text, "{:>14}", metric.name());
    }
    text.push('\n');
    for counted in counted {
        let _infallible = write!(text, "{:<26}", counted.name);
        for metric in Metric::ALL {
            let _infallible = write!(text, "{:>14.*}", metric.decimals(), counted.costs.of(metric));
        }
        text.push('\n');
    }
    text
}

/// Where the copied bytes of each workload are copied.
pub(crate) fn copies(counted: &[Counted]) -> String {
    let mut text = String::new();
    for counted in counted {
        let mut places: Vec<(&String, &f64)> =
            counted.copies.iter().filter(|(_, bytes)| **bytes > 0.0).collect();
        places.sort_by(|a, b| b.1.total_cmp(a.1));
        let _infallible = writeln!(text, "\n{}: bytes copied per item, and where", counted.name);
        for (place, bytes) in places.into_iter().take(PLACES) {
            let _infallible = writeln!(text, "{bytes:>12.2}  {place}");
        }
    }
    text
}

/// Counts beside their baselines.
pub(crate) fn table(comparison: &Comparison) -> String {
    let mut text = format!("{:<24}", "per item");
    for metric in Metric::ALL {
        let _infallible = write!(text, "{:>13}{:>10}{:>9}", metric.name(), "now", "change");
    }
    text.push('\n');
    for row in &comparison.rows {
        let _infallible = write!(text, "{:<24}", row.name);
        for metric in Metric::ALL {
            let (baseline, decimals) = (row.baseline.map(|costs| costs.of(metric)), metric.decimals());
            let baseline = baseline.map_or_else(|| "none".to_owned(), |value| format!("{value:.decimals$}"));
            let now = row.now.of(metric);
            let _infallible = write!(text, "{baseline:>13}{now:>10.decimals$}{:>9}", change(row, metric));
        }
        text.push_str(match () {
            () if row.baseline.is_none() => "  NEW",
            () if row.having(Verdict::More).next().is_some() => "  MORE",
            () if row.having(Verdict::Less).next().is_some() => "  less",
            () => "",
        });
        text.push('\n');
    }
    text
}

/// In percent where there is something to divide by.
fn change(row: &Row, metric: Metric) -> String {
    let now = row.now.of(metric);
    match row.baseline.map(|costs| costs.of(metric)) {
        None => String::new(),
        Some(0.0) if row.verdict(metric) == Some(Verdict::Same) => "=".to_owned(),
        Some(0.0) => format!("+{now:.*}", metric.decimals()),
        Some(baseline) => {
            // Not -0.0 %.
            let percent = ((now / baseline - 1.0) * 1000.0).round() / 10.0 + 0.0;
            if percent == 0.0 { "=".to_owned() } else { format!("{percent:+.1} %") }
        }
    }
}

/// What differs between the machine of the baseline and this one.
pub(crate) fn toolchains(theirs: &Toolchain, ours: &Toolchain) -> String {
    let mut text = String::new();
    for ((name, theirs), (_, ours)) in theirs.parts().into_iter().zip(ours.parts()) {
        if theirs != ours {
            let _infallible = writeln!(
                text,
                "note: the baseline was counted with {name} {theirs}, this is {ours}: a change of every workload may be its doing"
            );
        }
    }
    text
}

/// What costs more or less, how to look at it, and how to accept it.
pub(crate) fn advice(comparison: &Comparison, keep: &Path) -> String {
    let mut text = String::new();
    for row in comparison.rows.iter().filter(|row| row.having(Verdict::More).next().is_some()) {
        more(&mut text, row, keep);
    }
    for row in comparison.rows.iter().filter(|row| row.baseline.is_none()) {
        let _infallible = writeln!(text, "\n{} has no baseline.\n{}", row.name, accept(&row.name));
    }
    for name in &comparison.gone {
        let _infallible = writeln!(text, "\nthe baseline's {name} is no workload any more.\n{}", accept(""));
    }
    let less: Vec<&str> = comparison
        .rows
        .iter()
        .filter(|row| row.having(Verdict::Less).next().is_some())
        .map(|row| row.name.as_str())
        .collect();
    if !less.is_empty() {
        let _infallible = writeln!(
            text,
            "\nless than the baseline by more than it allows, so that as much could come back unseen: {}\n{}",
            less.join(" "),
            accept(&less.join(" ")),
        );
    }
    let _infallible = match comparison.passes() {
        true => writeln!(text, "\nnothing costs more than its baseline by over {} %", TOLERANCE * 100.0),
        false => writeln!(text, "\nFAILED: see above"),
    };
    text
}

fn more(text: &mut String, row: &Row, keep: &Path) {
    let name = &row.name;
    for metric in row.having(Verdict::More) {
        let decimals = metric.decimals();
        let (baseline, now) = (row.baseline.map_or(0.0, |costs| costs.of(metric)), row.now.of(metric));
        let allowed = if metric == Metric::Allocations { 0.0 } else { TOLERANCE * 100.0 };
        let _infallible = writeln!(
            text,
            "\n{name}: {baseline:.decimals$} {} per item were accepted, now {now:.decimals$} ({}); {allowed} % more are allowed.",
            metric.name(),
            change(row, metric),
        );
        let look = match metric {
            Metric::Instructions => {
                let file = keep.join(output_name(name, Tool::Callgrind));
                format!("callgrind_annotate {}", file.display())
            }
            Metric::CopiedBytes => format!("cargo run -p panpipe-gates -- show {name} --copies"),
            Metric::Allocations => {
                format!("TRAP_ALLOCATIONS=1 cargo bench --bench count -- {name} 200")
            }
        };
        let _infallible = writeln!(text, "    to look:    {look}");
    }
    let _infallible = writeln!(text, "{}", accept(name));
}

fn accept(names: &str) -> String {
    let command = format!("cargo run -p panpipe-gates -- accept {names}");
    format!("    to accept:  {}, and commit benches/gates/baseline.toml with the reason", command.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Baseline;
    use crate::baseline::tests::{counted, toolchain};
    use crate::compare::compare;

    fn comparison(now: &[Counted]) -> Comparison {
        let mut baseline = Baseline::new(toolchain());
        baseline.take(&[counted("a", 1000.0, 100.0, 0.0), counted("b", 90.0, 0.0, 1.0)]);
        compare(&baseline, now, true)
    }

    #[test]
    fn what_costs_more_is_named_with_how_to_look_and_how_to_accept() {
        let now = [counted("a", 1100.0, 120.0, 0.25), counted("b", 90.0, 0.0, 1.0)];
        let text = advice(&comparison(&now), Path::new("kept"));
        for part in [
            "a: 1000.0 instructions per item were accepted, now 1100.0 (+10.0 %); 2 % more are allowed.",
            "callgrind_annotate kept/a.80.callgrind",
            "show a --copies",
            "a: 0.0000 allocations per item were accepted, now 0.2500 (+0.2500); 0 % more are allowed.",
            "TRAP_ALLOCATIONS=1 cargo bench --bench count -- a 200",
            "cargo run -p panpipe-gates -- accept a, and commit",
            "FAILED",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("b:"), "{text}");
    }

    #[test]
    fn less_is_told_and_new_and_old_workloads_are() {
        let text = advice(&comparison(&[counted("a", 900.0, 100.0, 0.0)]), Path::new("kept"));
        assert!(text.contains("unseen: a\n"), "{text}");
        assert!(text.contains("the baseline's b is no workload any more"), "{text}");
        let now =
            [counted("a", 1000.0, 100.0, 0.0), counted("b", 90.0, 0.0, 1.0), counted("c", 1.0, 0.0, 0.0)];
        let text = advice(&comparison(&now), Path::new("kept"));
        assert!(text.contains("c has no baseline"), "{text}");
    }

    #[test]
    fn the_table_has_a_line_per_workload() {
        let now = [counted("a", 1100.0, 100.0, 0.0), counted("b", 80.0, 0.0, 1.0)];
        let text = table(&comparison(&now));
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[1],
            ["a", "1000.0", "1100.0", "+10.0", "%", "100.00", "100.00", "=", "0.0000", "0.0000", "=", "MORE"]
        );
        assert_eq!(
            lines[2],
            ["b", "90.0", "80.0", "-11.1", "%", "0.00", "0.00", "=", "1.0000", "1.0000", "=", "less"]
        );
    }

    #[test]
    fn another_compiler_is_told() {
        let ours = Toolchain { rustc: "1.96.0".into(), ..toolchain() };
        assert_eq!(toolchains(&toolchain(), &toolchain()), "");
        let text = toolchains(&toolchain(), &ours);
        assert!(text.contains("rustc 1.95.0, this is 1.96.0"), "{text}");
    }
}
