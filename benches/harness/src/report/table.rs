//! An outcome as an aligned table.

use std::fmt::Write as _;

use crate::race::Outcome;

/// Processor time per command, per contender: the median of its rounds.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    for entrant in &outcome.results {
        let mut cpu: Vec<f64> = entrant
            .rounds
            .iter()
            .map(|round| (round.user_ns + round.system_ns) as f64 / round.commands as f64)
            .collect();
        cpu.sort_by(f64::total_cmp);
        let median = cpu.get(cpu.len() / 2).copied().unwrap_or(f64::NAN);
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{:<20}{median:>10.1}  {}",
            entrant.contender,
            entrant.failure.as_deref().unwrap_or("")
        );
    }
    text
}
