//! What a race was, in words.

use crate::contender::Flush;
use crate::load::{Arrivals, Load};
use crate::race::{Outcome, Race};
use crate::workload::{self, Mix, Workload};

/// `W1 on sink, 3 nodes`: short enough for a heading.
pub(crate) fn title(race: &Race) -> String {
    format!("{} on {}", race.workload.name, race.target)
}

/// How the contenders were driven.
pub(crate) fn load(load: &Load) -> String {
    let arrivals = |arrivals: Arrivals| match arrivals {
        Arrivals::Uniform => "evenly spaced",
        Arrivals::Poisson => "Poisson",
    };
    match *load {
        Load::Closed { .. } | Load::Batches { .. } => load.name().to_owned(),
        Load::Open { batches_per_s, arrivals: of, .. } => {
            format!("open loop, {batches_per_s} batches/s, {}", arrivals(of))
        }
        Load::Share { share, arrivals: of, .. } => {
            format!("open loop at {:.0} % of each contender's maximum, {}", 100.0 * share, arrivals(of))
        }
        Load::Stream { commands, window } => format!("stream of {commands}, {window} in flight"),
        Load::Stress { lanes, .. } => format!("{lanes} batches in flight"),
    }
}

/// Everything else that says what was compared: load, batch, values, keys and what differs from the usual.
pub(crate) fn particulars(race: &Race) -> String {
    parts(race).join(" · ")
}

fn parts(race: &Race) -> Vec<String> {
    let workload = &race.workload;
    let mut parts = vec![load(&race.load)];
    let commands = if workload.batch == 1 { "command" } else { "commands" };
    parts.push(format!("{} {commands} per flush", workload.batch));
    if !matches!(workload.mix, Mix::RateLimiter) {
        parts.push(format!("values of {} bytes", workload.value_bytes));
    }
    parts.push(format!("{} keys, {}", workload.keys, lower(workload.distribution)));
    if race.spin_us > 0 {
        parts.push(format!("spin {} us", race.spin_us));
    }
    if race.flush_policy != Flush::Explicit {
        parts.push(format!("flush policy {}", policy(race.flush_policy)));
    }
    parts
}

/// The title, and what tells an outcome apart from others of the same title.
pub(crate) fn heading(outcomes: &[Outcome], outcome: &Outcome) -> String {
    let title = title(&outcome.race);
    let same: Vec<Vec<String>> =
        outcomes.iter().map(|o| &o.race).filter(|race| self::title(race) == title).map(parts).collect();
    let mut own = parts(&outcome.race);
    own.retain(|part| !same.iter().all(|other| other.contains(part)));
    if own.is_empty() { title } else { format!("{title}: {}", own.join(", ")) }
}

/// What was repeated how often.
pub(crate) fn rounds(race: &Race) -> String {
    let time = match race.load {
        Load::Closed { time_ms }
        | Load::Open { time_ms, .. }
        | Load::Share { time_ms, .. }
        | Load::Stress { time_ms, .. } => format!(" of {time_ms} ms"),
        Load::Stream { commands, .. } => format!(" of {commands} commands"),
        Load::Batches { batches } => format!(" of {batches} batches"),
    };
    let rounds = if race.rounds == 1 { "round" } else { "rounds" };
    format!("{} {rounds}{time}, interleaved; warm-up {} ms; seed {}", race.rounds, race.warm_up_ms, race.seed)
}

/// What the workload is, where it is one of ours, unchanged.
pub(crate) fn about(race: &Race) -> &'static str {
    let unchanged = Workload::named(&race.workload.name).is_ok_and(|usual| usual == race.workload);
    let found = workload::all().find(|(name, _)| unchanged && *name == race.workload.name);
    found.map_or("", |(_, about)| about)
}

/// The name of a contender's part in logs: `workload/target/contender`, and what tells the outcome apart from others. Without the
/// characters that end a tag.
pub(crate) fn tag(outcomes: &[Outcome], outcome: &Outcome, contender: &str) -> String {
    let (title, heading) = (title(&outcome.race), heading(outcomes, outcome));
    let apart = heading.strip_prefix(&title).map_or("", |apart| apart.trim_start_matches(": "));
    let apart = if apart.is_empty() { String::new() } else { format!("({apart})") };
    let tag = format!("{}{apart}/{}/{contender}", outcome.race.workload.name, outcome.race.target);
    tag.replace(", ", "+").replace([',', ' ', '\n', '\r', '\t'], "_")
}

pub(crate) fn policy(flush: Flush) -> String {
    match flush {
        Flush::Explicit => "explicit".to_owned(),
        Flush::EachCommand => "each-command".to_owned(),
        Flush::EachTurn => "each-turn".to_owned(),
        Flush::Threshold { bytes, commands: usize::MAX } => format!("{bytes} bytes"),
        Flush::Threshold { bytes, commands } => format!("{bytes} bytes or {commands} commands"),
    }
}

/// An enum's name, as words begin within a sentence.
pub(crate) fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_race_is_described_in_words() {
        let race = sample::race(&[]);
        assert_eq!(title(&race), "W1 on sink, 3 nodes");
        let expected = "closed loop · 100 commands per flush · values of 64 bytes · 10000 keys, uniform";
        assert_eq!(particulars(&race), expected);
        assert_eq!(rounds(&race), "2 rounds of 500 ms, interleaved; warm-up 100 ms; seed 1");
        assert_eq!(about(&race), "SET x 100 per flush");
    }

    #[test]
    fn tags_tell_outcomes_apart_and_have_no_separators() {
        let single = sample::document().outcomes;
        assert_eq!(tag(&single, &single[0], "a b"), "W1/sink+3_nodes/a_b");
        let outcomes = sample::sweep(&[10, 100]).outcomes;
        assert_eq!(heading(&outcomes, &outcomes[1]), "W1 on sink, 3 nodes: 100 commands per flush");
        assert_eq!(tag(&outcomes, &outcomes[0], "x"), "W1(10_commands_per_flush)/sink+3_nodes/x");
        let tags = [tag(&outcomes, &outcomes[0], "x"), tag(&outcomes, &outcomes[1], "x")];
        assert_ne!(tags[0], tags[1]);
        assert!(tags.iter().all(|tag| hdrhistogram::serialization::interval_log::Tag::new(tag).is_some()));
    }
}
