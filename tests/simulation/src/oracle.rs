//! Holds what the callers were told against what the nodes have run.
//!
//! The model's journal is the truth: every command that ran, with its reply, in the order of execution. A write that a failover threw away
//! stands in it as well: it did run. So nothing here depends on what a cluster has lost.

use std::collections::BTreeMap;

use panpipe::Outcome;
use panpipe::config::{Order, Overtaken};
use panpipe::testkit::Execution;
use smallvec::SmallVec;

use crate::ops::{Fate, Key, Kind, Op, number_of};
use crate::options::Theme;
use crate::world::{Problem, World};

/// Where in the journal a command ran.
type Runs = SmallVec<[usize; 2]>;

pub(crate) struct Judge<'a> {
    world: &'a World,
    journal: &'a [Execution],
    runs: Vec<Runs>,
    found: Vec<Problem>,
}

impl World {
    /// Every result is true, and the order is that of submission.
    pub(crate) fn judge(&mut self) {
        let found = Judge::new(self).found();
        for problem in found {
            self.problem(problem.check, problem.text);
        }
    }
}

impl<'a> Judge<'a> {
    fn new(world: &'a World) -> Self {
        let journal = world.net.cluster().executions();
        let mut runs: Vec<Runs> = vec![Runs::new(); world.ops.len()];
        for (at, execution) in journal.iter().enumerate() {
            let of = number_of(&execution.words).and_then(|number| runs.get_mut(number as usize));
            if let Some(runs) = of {
                runs.push(at);
            }
        }
        Judge { world, journal, runs, found: Vec::new() }
    }

    fn found(mut self) -> Vec<Problem> {
        for op in &self.world.ops {
            if op.kind.is_recognised() {
                self.check_outcome(op);
            }
            self.check_pending(op);
        }
        let config = self.world.engine.config();
        if config.order != Order::Relaxed && config.overtaken == Overtaken::Fail {
            self.check_writes();
            self.check_reads();
            if config.fenced_reconnect && self.world.options.theme == Theme::Wires {
                self.check_final();
            }
        }
        self.found
    }

    fn say(&mut self, check: &'static str, op: &Op, text: impl AsRef<str>) {
        let runs: Vec<String> = self.runs[op.number as usize]
            .iter()
            .map(|&at| {
                let run = &self.journal[at];
                format!("[{at}] node {} {}", run.node, run.reply.escape_ascii())
            })
            .collect();
        let text = format!(
            "{} ({:?} {:?}) {}; told {:?}, ran {runs:.300?}",
            op.number,
            op.kind,
            op.keys,
            text.as_ref(),
            op.fate
        );
        self.found.push(Problem { check, text: text.chars().take(1_000).collect() });
    }

    fn check_pending(&mut self, op: &Op) {
        if op.fate == Fate::Pending {
            self.say("stall", op, "has no result");
        }
    }

    /// How often it may have run at most.
    fn most(&self, op: &Op) -> usize {
        let parts = if op.kind.is_split() || op.kind == Kind::Unit { self.parts(op) } else { 1 };
        if op.may_repeat(self.world.engine.config()) { usize::MAX } else { parts }
    }

    fn parts(&self, op: &Op) -> usize {
        match op.kind {
            Kind::EveryEcho => usize::MAX,
            // Each of its commands is an execution of its own.
            Kind::Unit => 2,
            _ if op.keys.len() == 2 && op.keys[0].slot != op.keys[1].slot => 2,
            _ => 1,
        }
    }

    fn check_outcome(&mut self, op: &Op) {
        let ran = self.runs[op.number as usize].len();
        let parts = if op.kind == Kind::EveryEcho { 1 } else { self.parts(op) };
        if ran > self.most(op) {
            return self.say("repetition", op, format!("ran {ran} times"));
        }
        let may_repeat = op.may_repeat(self.world.engine.config());
        if op.kind == Kind::Unit && !may_repeat && !may_be_broken(op) && !self.is_whole(op) {
            return self.say("transaction", op, "did not run as one");
        }
        match &op.fate {
            Fate::Done(_) if ran < parts => self.say("invention", op, "has a result and did not run"),
            Fate::Done(frame) => self.check_reply(op, frame),
            Fate::Failed { outcome: Outcome::NotExecuted, .. } if ran > 0 => {
                self.say("outcome", op, "is reported as not executed and ran");
            }
            Fate::Failed { outcome: Outcome::Executed | Outcome::ExecutedReplyLost, .. } if ran < parts => {
                self.say("outcome", op, "is reported as executed and did not run");
            }
            Fate::Failed { .. } | Fate::Abandoned | Fate::Pending => {}
        }
    }

    /// Whether each run of a unit is one of all its commands, behind each other and at one node.
    fn is_whole(&self, op: &Op) -> bool {
        self.runs[op.number as usize].chunks(2).all(|run| match run {
            &[first, second] => {
                let (one, other) = (&self.journal[first], &self.journal[second]);
                let [first_key, second_key] = [op.keys[0], op.keys[1]];
                second == first + 1
                    && one.node == other.node
                    && is_about(one, first_key, self.world)
                    && is_about(other, second_key, self.world)
            }
            _ => false,
        })
    }

    /// The reply is that of one of its own executions.
    fn check_reply(&mut self, op: &Op, frame: &[u8]) {
        if op.kind == Kind::Unit {
            let replies = |run: &[usize]| {
                let replies: Vec<&[u8]> = run.iter().map(|&at| self.journal[at].reply.as_slice()).collect();
                [b"*2\r\n", replies.concat().as_slice()].concat()
            };
            // (Before the run that was answered there may have been one without a transaction.)
            if !self.runs[op.number as usize].windows(2).any(|run| replies(run) == frame) {
                self.say("attribution", op, "has a reply that none of its executions gave");
            }
            return;
        }
        let own = self.runs[op.number as usize].iter().any(|&at| self.journal[at].reply == frame);
        if !own {
            self.say("attribution", op, "has a reply that none of its executions gave");
        }
    }

    /// Executed writes of one key ran in the order of submission.
    fn check_writes(&mut self) {
        let mut last: BTreeMap<Key, u32> = BTreeMap::new();
        let mut late = Vec::new();
        for execution in self.journal.iter().filter(|execution| execution.is_write) {
            let Some(op) = self.op_of(execution).filter(|op| self.counts(op)) else { continue };
            let per_slot = self.world.engine.config().order == Order::PerSlot;
            for key in op.keys.iter().filter(|key| is_about(execution, **key, self.world)) {
                let key = if per_slot { Key { place: 0, ..*key } } else { *key };
                let before = last.entry(key).or_insert(op.number);
                if *before > op.number {
                    late.push((op.number, *before));
                }
                *before = op.number.max(*before);
            }
        }
        for (number, before) in late {
            let op = &self.world.ops[number as usize];
            self.say("order", op, format!("ran after {before}, which was submitted later"));
        }
    }

    /// With fenced reconnects the order holds for all that ran, whatever their callers know, and however often they ran.
    fn check_final(&mut self) {
        let mut last: BTreeMap<Key, u32> = BTreeMap::new();
        let mut late = Vec::new();
        for (at, execution) in self.journal.iter().enumerate().filter(|(_, execution)| execution.is_write) {
            let Some(op) = self.op_of(execution).filter(|op| op.kind.is_ordered()) else { continue };
            // One that waited to be sent again may have been given up by its caller, or run out of time.
            if op.may_repeat(self.world.engine.config()) && !op.fate.has_run() {
                continue;
            }
            for &key in op.keys.iter().filter(|key| is_about(execution, **key, self.world)) {
                let mut again = self.runs[op.number as usize].iter().filter(|&&run| run > at);
                if again.any(|&run| is_about(&self.journal[run], key, self.world)) {
                    continue;
                }
                let before = last.entry(key).or_insert(op.number);
                if *before > op.number {
                    late.push((op.number, *before));
                }
                *before = op.number.max(*before);
            }
        }
        for (number, before) in late {
            let op = &self.world.ops[number as usize];
            self.say("fenced", op, format!("ran, last of all, after {before}, which was submitted later"));
        }
    }

    fn op_of(&self, execution: &Execution) -> Option<&'a Op> {
        number_of(&execution.words).and_then(|number| self.world.ops.get(number as usize))
    }

    /// Whether its place in the order is promised, and known.
    fn counts(&self, op: &Op) -> bool {
        op.kind.is_ordered() && op.fate.has_run() && self.runs[op.number as usize].len() <= self.parts(op)
    }

    /// A read ran after the writes of its keys that were submitted before it, and before those that came later.
    fn check_reads(&mut self) {
        let reads = |op: &&Op| {
            matches!(op.kind, Kind::ListRead | Kind::TextRead | Kind::MultiRead) && op.fate.has_run()
        };
        for op in self.world.ops.iter().filter(reads) {
            let Fate::Done(frame) = &op.fate else { continue };
            let mut why = None;
            let fits = self.runs[op.number as usize].iter().any(|&at| {
                let misplaced = self.journal[at].reply == *frame && {
                    why = self.misplaced(op, at);
                    why.is_some()
                };
                self.journal[at].reply == *frame && !misplaced
            });
            if let (false, Some((other, is_late))) = (fits, why) {
                let text = if is_late { "ran before the earlier" } else { "ran after the later" };
                self.say("order", op, format!("{text} write {other}"));
            }
        }
    }

    /// A write of one of its keys on the wrong side of this place.
    fn misplaced(&self, read: &Op, at: usize) -> Option<(u32, bool)> {
        let shares = |op: &Op| op.keys.iter().any(|key| read.keys.contains(key));
        // Of an earlier write only those count that are known to have run. Of a later one all do.
        let rivals =
            |op: &&Op| op.kind.is_write() && shares(op) && (op.number > read.number || self.counts(op));
        self.world.ops.iter().filter(rivals).find_map(|write| {
            let ran = self.runs[write.number as usize].iter().find(|&&ran| {
                let keys = &read.keys;
                keys.iter().any(|key| is_about(&self.journal[ran], *key, self.world))
            })?;
            let is_wrong = (*ran < at) != (write.number < read.number);
            is_wrong.then_some((write.number, write.number < read.number))
        })
    }
}

/// Whether MULTI was refused, or may have been: nothing keeps its commands together then.
fn may_be_broken(op: &Op) -> bool {
    match &op.fate {
        Fate::Failed { outcome: Outcome::Unknown, .. } | Fate::Abandoned => true,
        Fate::Failed { text, .. } => text.contains("MULTI was refused"),
        Fate::Done(_) | Fate::Pending => false,
    }
}

/// Whether an execution touched this key: parts of split commands touch one of theirs.
fn is_about(execution: &Execution, key: Key, world: &World) -> bool {
    let name = key.name(&world.tags);
    execution.words.iter().skip(1).any(|word| word == name.as_bytes())
}
