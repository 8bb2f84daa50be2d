//! Mutation testing: the engine is told to break one of its rules, and a seed has to notice.
//!
//! What a rule is for is proved by what happens without it. A rule that can be broken without a trace is either not needed, or the
//! simulation is blind to what it prevents; either is worth knowing.

use std::fmt;

use panpipe::config::{Broken, Rule};

use crate::options::Settings;
use crate::runner::{many, one};

/// What became of an engine that breaks a rule.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// The rule.
    pub rule: Rule,
    /// The first seed that noticed, and the check that did; none where no seed of those tried.
    pub killed: Option<(u64, String)>,
    /// How many seeds were tried at most.
    pub seeds_max: u64,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.killed {
            Some((seed, check)) => write!(f, "| {:?} | {} | {check} |", self.rule, seed + 1),
            None => write!(f, "| {:?} | **survives {} seeds** | |", self.rule, self.seeds_max),
        }
    }
}

/// Breaks a rule until a seed notices that would notice nothing otherwise.
pub fn break_rule(rule: Rule, seeds_max: u64) -> Mutant {
    let settings = Settings { broken: Broken::only(rule), ..Settings::default() };
    let mut first = 0;
    while first < seeds_max {
        let summary = many(first, seeds_max - first, settings, 1, false);
        let Some(failure) = summary.failures.first() else { break };
        if one(failure.seed, Settings::default()).0.is_empty() {
            return Mutant {
                rule,
                killed: Some((failure.seed, failure.problem.check.to_owned())),
                seeds_max,
            };
        }
        first = failure.seed + 1;
    }
    Mutant { rule, killed: None, seeds_max }
}

/// The table of all rules, with its heading.
pub fn table(mutants: &[Mutant]) -> String {
    let rows: Vec<String> = mutants.iter().map(Mutant::to_string).collect();
    format!(
        "# What each of the engine's rules is for\n\n\
         `cargo run --profile simulation -p panpipe-simulation -- mutants --out tests/simulation/MUTANTS.md` wrote this: the engine breaks\n\
         one rule, and seeds run from 0 on until one fails that passes with all rules kept.\n\n\
         | rule broken | seeds until noticed | by the check of |\n| --- | --- | --- |\n{}\n",
        rows.join("\n")
    )
}
