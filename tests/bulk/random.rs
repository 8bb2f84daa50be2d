//! Loads at random under faults at random, held against the model: every command has exactly one outcome, the counts add up, what the outcomes
//! say is what ran, and the watermark passes nothing that has not ended.
//!
//! A failure names its seed; `PANPIPE_SEED=<seed> cargo test --all-features --test bulk random` repeats it, `PANPIPE_SEEDS=<count>` runs more.

use std::collections::BTreeMap;
use std::time::Duration;

use panpipe::bulk::{Flush, Full, LoadOptions, Loader, OnError, Problem, PushError, RawKeys, Stop, Until};
use panpipe::config::RetryUnknown;
use panpipe::slot::slot_of;
use panpipe::testkit::{ClusterDown, Dice, Memory, ModelConfig, Quirk, Refusals};
use panpipe::{Client, Outcome};

use crate::world::{client_with, model, resp, unit};

const SEEDS: u64 = 80;
const KEYS: usize = 24;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_command_has_one_outcome_and_it_is_true() {
    let seeds = match number("PANPIPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PANPIPE_SEEDS").unwrap_or(SEEDS),
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        let run = std::panic::AssertUnwindSafe(|| Run::new(seed).run());
        match std::panic::catch_unwind(run) {
            Ok(one) => seen.add(&one),
            Err(panic) => {
                println!("PANPIPE_SEED={seed} cargo test --all-features --test bulk random -- --nocapture");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{} seeds: {seen:?}", seeds.end - seeds.start);
    if seeds.end - seeds.start >= SEEDS {
        // Otherwise the test proves less than it seems to.
        let all = [seen.written, seen.executed, seen.not_executed, seen.unknown, seen.paused, seen.cut_short];
        assert!(all.iter().all(|&count| count > 0), "{seen:?}");
    }
}

/// What the seeds came to, together.
#[derive(Debug, Default)]
struct Seen {
    written: u64,
    executed: u64,
    not_executed: u64,
    unknown: u64,
    reply_lost: u64,
    refused: u64,
    paused: u64,
    stopped: u64,
    cut_short: u64,
    redirects: u64,
}

impl Seen {
    fn add(&mut self, one: &Seen) {
        self.written += one.written;
        self.executed += one.executed;
        self.not_executed += one.not_executed;
        self.unknown += one.unknown;
        self.reply_lost += one.reply_lost;
        self.refused += one.refused;
        self.paused += one.paused;
        self.stopped += one.stopped;
        self.cut_short += one.cut_short;
        self.redirects += one.redirects;
    }
}

struct Run {
    dice: Dice,
    keys: Vec<String>,
    /// By tag: the words, where they were pushed.
    pushed: Vec<Vec<String>>,
    problems: BTreeMap<u64, Problem>,
    /// The watermark when it was read last.
    committed: Option<u64>,
    seen: Seen,
}

fn options(dice: &mut Dice) -> LoadOptions {
    let flush = Flush::Every {
        bytes: dice.between(1, 5_000) as usize,
        commands: dice.between(1, 200) as usize,
        interval_ms: dice.below(10),
    };
    let retry = [RetryUnknown::Never, RetryUnknown::ReadOnly, RetryUnknown::Idempotent];
    let on_error = OnError::Skip { count_max: dice.one_in(5).then(|| dice.below(100)), percent_max: None };
    LoadOptions {
        window_per_node_commands: dice.between(1, 300) as usize,
        window_per_node_bytes: dice.between(100, 20_000) as usize,
        window_total_bytes: dice.between(1_000, 200_000) as usize,
        flush: if dice.one_in(2) { Flush::Explicit } else { flush },
        on_error: if dice.one_in(20) { OnError::Stop } else { on_error },
        retry_unknown: *dice.pick(&retry).unwrap(),
        rate_commands: dice.one_in(5).then(|| dice.between(500, 50_000)),
        rate_bytes: dice.one_in(5).then(|| dice.between(10_000, 1_000_000)),
        command_timeout_ms: *dice.pick(&[1_000, 5_000, 60_000]).unwrap(),
        pause_ms_max: *dice.pick(&[0, 500, 20_000]).unwrap(),
        problems_max: dice.between(1, 100) as usize,
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // Few slots, so that commands meet; some keys share one.
        let keys = (0..KEYS).map(|n| format!("{{{}}}:{n}", dice.below(8))).collect();
        let (pushed, problems) = (Vec::new(), BTreeMap::new());
        Run { dice, keys, pushed, problems, committed: None, seen: Seen::default() }
    }

    fn run(mut self) -> Seen {
        let config = ModelConfig { records_executions: true, ..ModelConfig::default() };
        let silent_ms = self.dice.between(200, 3_000);
        let mut client = client_with(config, |config| {
            config.node_silent_ms = silent_ms;
            config.refresh_interval_ms = 1_000;
        });
        let rows = client.engine().audit().rows;
        let options = options(&mut self.dice);
        let mut loader = client.loader(options).unwrap();
        let commands = self.dice.between(100, 1_500);
        while (self.pushed.len() as u64) < commands && self.push_next(&mut loader) {
            if self.dice.one_in(25) {
                self.break_something(&mut loader);
            }
            if self.dice.one_in(15) {
                self.look(&mut loader);
            }
        }
        if self.dice.one_in(2) {
            self.heal(&mut loader);
        }
        let wait = Duration::from_millis(*self.dice.pick(&[0, 100, 3_000, 100_000]).unwrap());
        let summary = loader.finish(wait).unwrap();
        assert_eq!((summary.outcomes.total(), loader.pending()), (self.pushed.len() as u64, 0));
        assert_eq!(summary.pushed, self.pushed.len() as u64);
        self.look(&mut loader);
        let last = self.pushed.len().checked_sub(1).map(|last| last as u64);
        let cut = self.problems.values().find(|problem| problem.is_cut_short).map(|problem| problem.tag);
        assert!(self.committed == last || cut.is_some_and(|cut| self.committed < Some(cut)), "{cut:?}");
        self.seen.paused += u64::from(!summary.paused.is_zero());
        self.seen.stopped +=
            u64::from(!matches!(loader.state(), panpipe::bulk::State::Stopped(Stop::Finished)));
        self.seen.redirects += summary.nodes.iter().map(|node| node.redirects).sum::<u64>();
        self.heal(&mut loader);
        drop(loader);
        self.check_outcomes(&summary.outcomes);
        // Late commands run, late replies come; then nothing is left.
        for _ in 0..40 {
            client.wait(Some(Duration::from_millis(200))).unwrap();
        }
        let audit = client.engine().audit();
        assert_eq!(audit.problems, Vec::<String>::new());
        assert_eq!(audit.rows, rows);
        self.check_journal(&client);
        self.seen
    }

    /// Pushes one command; answers false where the load has stopped.
    fn push_next(&mut self, loader: &mut Loader<'_, Memory>) -> bool {
        let tag = self.pushed.len() as u64;
        let n = self.dice.below(KEYS as u64) as usize;
        let key = self.keys[n].clone();
        let text = tag.to_string();
        // The first half are lists, the others strings.
        let list = n < KEYS / 2;
        let words: Vec<String> = match self.dice.below(20) {
            0 => vec!["INCRBY".into(), self.keys[0].clone(), text],
            1 if !list => {
                let other = self.keys[KEYS / 2 + self.dice.below(KEYS as u64 / 2) as usize].clone();
                vec!["MSET".into(), key, text.clone(), other, text]
            }
            2 => vec!["EXISTS".into(), key],
            3 if list => vec!["MULTI".into(), key, text],
            _ if list => vec!["RPUSH".into(), key, text],
            _ => vec!["SET".into(), key, text],
        };
        let views: Vec<&str> = words.iter().map(String::as_str).collect();
        let frame = match views.as_slice() {
            ["MULTI", key, text] => unit(&[&["SET", &format!("{key}:last"), "x"], &["RPUSH", key, text]]),
            _ => resp(&views),
        };
        for _ in 0..100_000 {
            let pushed = match views.first() {
                Some(&"MULTI") => loader.push_unit(&frame, RawKeys::Find, tag),
                _ => loader.push_raw(&frame, RawKeys::Find, tag),
            };
            match pushed {
                Ok(()) => {
                    self.pushed.push(words);
                    return true;
                }
                Err(PushError::Stopped(_)) => return false,
                Err(PushError::Refused(error)) => panic!("{error}"),
                Err(PushError::Full(full)) => {
                    if full == Full::Problems {
                        self.take_problems(loader);
                    }
                    let wait = Duration::from_millis(self.dice.between(1, 300));
                    let _room = loader.run_until(Until::Room, Some(wait)).unwrap();
                    if self.dice.one_in(10) {
                        self.heal(loader);
                    }
                    self.look(loader);
                }
            }
        }
        panic!("there is never room again");
    }

    fn take_problems(&mut self, loader: &mut Loader<'_, Memory>) {
        while let Some(problem) = loader.next_problem() {
            assert!(Some(problem.tag) > self.committed, "{:?} {problem:?}", self.committed);
            let before = self.problems.insert(problem.tag, problem);
            assert_eq!(before, None, "a second outcome");
        }
    }

    /// Turns, takes problems, reads the watermark.
    fn look(&mut self, loader: &mut Loader<'_, Memory>) {
        loader.turn().unwrap();
        self.take_problems(loader);
        let committed = loader.committed();
        assert!(committed >= self.committed && committed.is_none_or(|tag| tag < self.pushed.len() as u64));
        self.committed = committed;
        let ran = model(loader).executions().len() as u64;
        assert!(committed.is_none_or(|tag| ran + self.problems.len() as u64 > tag), "ended before it ran");
        let stats = loader.client().stats();
        assert!(stats.queued_bytes <= 4 * loader.options().window_per_node_bytes as u64 + 4_000, "{stats:?}");
    }

    fn break_something(&mut self, loader: &mut Loader<'_, Memory>) {
        let node = self.dice.below(3) as usize;
        let key = self.keys[self.dice.below(KEYS as u64) as usize].clone();
        let slot = slot_of(key.as_bytes());
        let to = self.dice.below(3) as usize;
        let healthy = (0..3).all(|node| {
            let node = model(loader).node(node);
            node.is_reachable() && !node.is_frozen()
        });
        let now_ms = loader.client().transport().now_ms();
        let kind = self.dice.below(16);
        let model = model(loader);
        match kind {
            0 | 1 if healthy => model.move_slot(slot, to),
            2 | 3 if healthy && model.owner(slot) != Some(to) => model.begin_migration(slot, to),
            4 => drop(model.migrate_key(key.as_bytes())),
            5 if healthy => model.finish_migration(slot),
            6 => model.freeze(node),
            7 => model.thaw(node, now_ms),
            8 => model.kill(node),
            9 => model.restart(node),
            10 => model.disconnect_all(node),
            11 => *model.refusals_mut(node) = Refusals { out_of_memory: true, ..Refusals::default() },
            12 => *model.refusals_mut(node) = Refusals { loading: true, ..Refusals::default() },
            13 => model.set_cluster_down(node, Some(ClusterDown::Everything)),
            14 => model.quirk(node, "RPUSH", 1, if to == 0 { Quirk::HangUp } else { Quirk::Cut(2) }),
            _ => *model.refusals_mut(node) = Refusals::default(),
        }
    }

    fn heal(&mut self, loader: &mut Loader<'_, Memory>) {
        let now_ms = loader.client().transport().now_ms();
        for node in 0..3 {
            let model = model(loader);
            model.thaw(node, now_ms);
            model.restart(node);
            model.clear_quirks(node);
            *model.refusals_mut(node) = Refusals::default();
        }
        for key in &self.keys {
            model(loader).finish_migration(slot_of(key.as_bytes()));
        }
    }

    fn check_outcomes(&mut self, outcomes: &panpipe::bulk::Outcomes) {
        let count =
            |outcome| self.problems.values().filter(|problem| problem.outcome() == outcome).count() as u64;
        assert_eq!(outcomes.executed_with_error, count(Outcome::Executed));
        assert_eq!(outcomes.not_executed, count(Outcome::NotExecuted));
        assert_eq!(outcomes.unknown, count(Outcome::Unknown));
        assert_eq!(outcomes.reply_lost, count(Outcome::ExecutedReplyLost));
        self.seen.written = outcomes.written;
        self.seen.executed = outcomes.executed_with_error;
        self.seen.not_executed = outcomes.not_executed;
        self.seen.unknown = outcomes.unknown;
        self.seen.reply_lost = outcomes.reply_lost;
        self.seen.cut_short = self.problems.values().filter(|problem| problem.is_cut_short).count() as u64;
    }

    /// What ran, by tag, against what the outcomes say; and for each key the order in which it ran.
    fn check_journal(&self, client: &Client<Memory>) {
        let mut ran: BTreeMap<u64, u32> = BTreeMap::new();
        let mut last: BTreeMap<(Vec<u8>, bool), u64> = BTreeMap::new();
        for execution in client.transport().cluster().executions() {
            let Some(text) = execution.words.last().filter(|_| execution.is_write) else { continue };
            let Some(tag) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()) else {
                continue;
            };
            // A part of a split MSET is one half of it.
            *ran.entry(tag).or_default() += 1;
            if self.problems.get(&tag).is_none_or(|problem| problem.outcome() != Outcome::Unknown) {
                let first_time = ran[&tag] == 1;
                let before = last.insert((execution.words[1].clone(), first_time), tag);
                assert!(!first_time || before.is_none_or(|before| before <= tag), "{before:?} before {tag}");
            }
        }
        for (tag, words) in self.pushed.iter().enumerate().filter(|(_, words)| words[0] != "EXISTS") {
            let times = ran.get(&(tag as u64)).copied().unwrap_or(0);
            let outcome = self.problems.get(&(tag as u64)).map(Problem::outcome);
            let once = matches!(words[0].as_str(), "RPUSH" | "INCRBY" | "MULTI");
            let is_true = match outcome {
                None | Some(Outcome::Executed | Outcome::ExecutedReplyLost) if once => times == 1,
                None | Some(Outcome::Executed | Outcome::ExecutedReplyLost) => times >= 1,
                Some(Outcome::NotExecuted) => times == 0,
                Some(Outcome::Unknown) => !once || times <= 1,
            };
            assert!(is_true, "{words:?} (tag {tag}) ran {times} times: {outcome:?}");
        }
    }
}
