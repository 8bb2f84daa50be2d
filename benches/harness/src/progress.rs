//! A progress bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

use crate::target::Spec;

/// Counts rounds.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of that many rounds.
    pub(crate) fn new(rounds: u64) -> Progress {
        let bar = ProgressBar::new(rounds);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} rounds, {eta} left  {wide_msg}");
        bar.set_style(style.expect("the template is a constant"));
        Progress { bar }
    }

    /// A round begins.
    pub(crate) fn round(&self, workload: &str, target: &Spec, contender: &str, round: usize, rounds: usize) {
        self.bar.set_message(format!("{workload} on {target}: {contender}, round {} of {rounds}", round + 1));
    }

    /// A round is over.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Clears the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
