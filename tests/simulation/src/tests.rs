//! A few seeds in the ordinary test profile; `.ci/run` runs ten thousand in the fast one.

use panpipe::config::{Broken, Rule};

use crate::mutants::break_rule;
use crate::options::Settings;
use crate::runner::{many, one};

#[test]
fn results_are_true_and_nothing_is_left_behind() {
    let summary = many(0, 200, Settings::default(), 1, false);
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    assert_eq!(summary.seeds, 200);
    assert!(summary.commands > 10_000, "{} commands are no work", summary.commands);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        assert_eq!(one(seed, Settings::default()).1, one(seed, Settings::default()).1, "seed {seed}");
    }
}

#[test]
fn an_engine_that_forgets_to_hold_new_commands_back_is_found_out() {
    let mutant = break_rule(Rule::ParkNew, 200);
    assert!(mutant.killed.is_some(), "{mutant}");
}

#[test]
fn a_broken_rule_changes_what_happens() {
    let broken = Settings { broken: Broken::only(Rule::ParkNew), ..Settings::default() };
    let differs = |seed: u64| one(seed, broken).1 != one(seed, Settings::default()).1;
    assert!((0..50).any(differs));
}
