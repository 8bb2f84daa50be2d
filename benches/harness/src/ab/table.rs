//! A comparison as text.

use std::fmt::Write as _;

use super::Compared;
use super::ratio::{Comparison, Verdict};
use crate::race::Outcome;

/// All of it.
pub(super) fn of(outcome: &Outcome, compared: &[Compared]) -> String {
    let race = &outcome.race;
    let rounds = compared.first().map_or(0, |first| first.comparison.ratios.len());
    let mut text = format!(
        "{} on {}, {}, {rounds} rounds of each in turn, medians\n\n",
        race.workload.name,
        race.target,
        race.load.name()
    );
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{:<21}{:>12}{:>12}{:>8}  {:<15}{:<17}{:<14}unit",
        "", "A", "B", "B/A", "95 %", "min-max", "B lower in"
    );
    for Compared { name, unit, comparison, .. } in compared {
        let Comparison { a, b, median, interval: (low, high), .. } = comparison;
        let (least, most) = comparison.range();
        let count = format!("{} of {}", comparison.lower(), comparison.ratios.len());
        let _ = writeln!(
            text,
            "{name:<21}{:>12}{:>12}{median:>8.3}  {:<15}{:<17}{count:<14}{unit}",
            number(*a),
            number(*b),
            format!("{low:.3}-{high:.3}"),
            format!("{least:.3}-{most:.3}"),
        );
    }
    text.push('\n');
    for one in compared {
        text.push_str(&verdict(one));
    }
    let errors: u64 =
        outcome.results.iter().flat_map(|entrant| &entrant.rounds).map(|round| round.errors).sum();
    if errors > 0 {
        let _ = writeln!(text, "note: {errors} replies were errors");
    }
    text
}

fn verdict(compared: &Compared) -> String {
    let Compared { name, less, comparison, .. } = compared;
    let percent = 100.0 * (comparison.median - 1.0);
    let chance = match comparison.chance {
        chance if chance < 0.001 => "below 0.1 %".to_owned(),
        chance => format!("{:.1} %", 100.0 * chance),
    };
    let better = |lower: bool| if lower == *less { "better" } else { "worse" };
    match comparison.verdict() {
        Verdict::TooFew => {
            format!("{name}: {percent:+.1} %, but so few rounds prove nothing; use --rounds 21\n")
        }
        Verdict::Open => format!(
            "{name}: no difference stands out of the noise ({percent:+.1} %, by chance in {chance})\n"
        ),
        found => format!(
            "{name}: B is {} by {:.1} %, which stands out of the noise (by chance in {chance})\n",
            better(found == Verdict::Less),
            percent.abs()
        ),
    }
}

/// Few digits for large numbers.
fn number(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(a: f64, b: f64, rounds: usize, less: bool) -> String {
        let a: Vec<f64> = (0..rounds).map(|round| a * (1.0 + 0.001 * (round % 3) as f64)).collect();
        let comparison = Comparison::of(&a, &vec![b; rounds]).unwrap();
        verdict(&Compared { name: "it", unit: "ns", less, comparison })
    }

    #[test]
    fn verdicts_say_which_way_is_better() {
        assert!(
            said(100.0, 90.0, 11, true).starts_with("it: B is better by 10"),
            "{}",
            said(100.0, 90.0, 11, true)
        );
        assert!(said(100.0, 90.0, 11, false).starts_with("it: B is worse by 10"));
        assert!(said(100.0, 110.0, 11, true).starts_with("it: B is worse by"));
        assert!(said(100.0, 100.1, 12, true).contains("no difference stands out"));
        assert!(said(100.0, 50.0, 3, true).contains("so few rounds prove nothing"));
    }
}
