//! One seed from beginning to end: warm up, storm, heal, come to rest, prove that everything is alive, judge.

use smallvec::smallvec;

use crate::coverage::Coverage;
use crate::faults::Fault;
use crate::ops::{Fate, Key, Kind, number_of};
use crate::options::{Settings, Theme};
use crate::world::{Problem, World};

/// What one run was.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) problems: Vec<Problem>,
    pub(crate) commands: u64,
    pub(crate) virtual_ms: u64,
    /// A number that two runs have in common exactly if everything happened alike.
    pub(crate) history: u64,
    pub(crate) coverage: Coverage,
}

/// Beyond the longest wait that the settings allow, everything has to be over within this.
const REST_MS: u64 = 5_000;
/// So many attempts at every slot: each may find a connection whose other end has long been gone.
const LESSONS_MAX: usize = 4;
/// A mistaken address is corrected within this: a dial after its backoff, a question for the topology.
const LESSON_MS: u64 = 1_000;
/// A server that was full, or refused us, is left alone for so long.
const REFUSED_MS: u64 = 31_000;

/// Runs one seed.
pub(crate) fn run(seed: u64, settings: Settings) -> Outline {
    let mut world = World::new(seed, settings);
    world.warm_up();
    world.storm();
    world.heal();
    world.flush();
    world.come_to_rest("heal");
    if world.problems.is_empty() {
        world.prove_life();
    }
    if world.problems.is_empty() {
        world.judge();
        if world.options.theme != Theme::Integrity {
            world.judge_trails();
        }
    }
    if !world.problems.is_empty() {
        world.trace_journal();
    }
    let mut coverage = std::mem::take(&mut world.coverage);
    coverage.add(&world.net.tap().coverage);
    let results = world.ops.iter().map(|op| op.fate.fingerprint()).fold(0, u64::wrapping_add);
    Outline {
        commands: world.ops.len() as u64,
        virtual_ms: world.virtual_ms(),
        history: world.net.history() ^ results.rotate_left(32) ^ world.steps,
        problems: world.problems,
        coverage,
    }
}

impl World {
    fn warm_up(&mut self) {
        let until = self.net.now().after_ms(self.options.warm_up_ms);
        self.run_until(until);
    }

    fn storm(&mut self) {
        self.next_act = self.net.now();
        if self.options.faults.iter().any(|&weight| weight > 0) {
            self.next_fault = self.later(self.options.fault_every_us);
        }
        let until = self.net.now().after_ms(self.options.storm_ms);
        self.run_until(until);
        self.next_act = panpipe::engine::Timestamp::NEVER;
        self.next_fault = panpipe::engine::Timestamp::NEVER;
    }

    /// All is well and nobody asks for more: everything comes to its end.
    fn come_to_rest(&mut self, after: &str) {
        let config = self.engine.config();
        let mut wait_ms = REST_MS + config.node_silent_ms + config.connect_timeout_ms;
        if self.options.model.clients_max < 100 {
            wait_ms += REFUSED_MS;
        }
        let until = self.net.now().after_ms(wait_ms);
        while !self.is_at_rest() && self.step(until) {}
        if !self.is_at_rest() && self.problems.is_empty() {
            let open: Vec<u32> =
                self.ops.iter().filter(|op| op.fate == Fate::Pending).map(|op| op.number).collect();
            let (stats, fences) = (self.engine.stats(), self.engine.audit().fences);
            self.problem(
                "stall",
                format!("{wait_ms} ms after {after} {open:?} have no result; {stats:?}, fences {fences:?}"),
            );
        }
    }

    fn is_at_rest(&self) -> bool {
        let stats = self.engine.stats();
        stats.in_flight == 0
            && self.ops.iter().all(|op| op.fate != Fate::Pending)
            && self.net.is_settled()
            && !self.engine.has_completions()
    }

    /// Every slot serves, at the first attempt once the client knows where; nothing is left behind.
    fn prove_life(&mut self) {
        for _ in 0..LESSONS_MAX {
            let first = self.push_everywhere();
            if self.ops[first..].iter().all(|op| matches!(op.fate, Fate::Done(_))) {
                break;
            }
        }
        // What these attempts taught has been learnt.
        let until = self.net.now().after_ms(LESSON_MS);
        self.run_until(until);
        let before = self.net.tap().coverage.refusals();
        let first = self.push_everywhere();
        for number in first..self.ops.len() {
            if !matches!(self.ops[number].fate, Fate::Done(_)) {
                let text = format!("{number} to a healthy cluster: {:?}", self.ops[number].fate);
                self.problem("life", text);
            }
        }
        // After an exchange of addresses a connection may still lead to the node that it was made to, which says so.
        if self.net.tap().coverage.refusals() != before && !self.has_swapped {
            self.problem("life", "a slot whose owner was known is redirected".to_owned());
        }
        self.check_owners();
        self.check_identities();
        let audit = self.engine.audit();
        let stats = self.engine.stats();
        let left = (stats.in_flight, stats.queued_bytes, stats.parked, audit.rows, audit.fences.len());
        if left != (0, 0, 0, 0, 0) {
            self.problem("remains", format!("in flight, bytes, parked, rows, fences: {left:?}"));
        }
        self.audit();
    }

    fn push_everywhere(&mut self) -> usize {
        let first = self.ops.len();
        for slot in 0..self.slots.len() {
            self.submit(Kind::Push, smallvec![Key { slot, place: 0 }], 0, false, 60_000);
            self.flush();
            self.come_to_rest("a write to every slot");
        }
        first
    }

    /// What ran, for a reader of a trace.
    pub(crate) fn trace_journal(&self) {
        for (at, run) in self.net.cluster().executions().iter().enumerate() {
            let number = number_of(&run.words);
            self.trace(|| {
                let words: Vec<String> =
                    run.words.iter().take(4).map(|word| word.escape_ascii().to_string()).collect();
                format!(
                    "ran [{at}] {number:?} on node {}: {:.100} -> {:.60}",
                    run.node,
                    words.join(" "),
                    run.reply.escape_ascii().to_string()
                )
            });
        }
    }

    /// Whoever is at the other end of a connection is who the client thinks.
    fn check_identities(&mut self) {
        // A connection whose other end is gone does not hear that an address has changed hands.
        if self.coverage.count_of(Fault::Silence) > 0 {
            return;
        }
        for info in self.engine.nodes() {
            let Some(endpoint) = info.endpoint.filter(|_| info.connected) else { continue };
            let cluster = self.net.cluster();
            let there = (0..cluster.nodes_len())
                .find(|&node| cluster.node(node).port() == endpoint.port)
                .map(|node| cluster.node(node).id());
            if there != Some(info.id.as_str()) {
                let text = format!("{endpoint} is taken for {}, it is {there:?}", info.id);
                self.problem("identity", text);
            }
        }
    }

    fn check_owners(&mut self) {
        for slot in self.slots.clone() {
            let owner = self.net.cluster().owner(slot).map(|node| self.net.cluster().node(node).port());
            let known = self.engine.slot_owner(slot).map(|endpoint| endpoint.port);
            if owner != known {
                self.problem("life", format!("slot {slot} is served by {owner:?}, known is {known:?}"));
            }
        }
    }
}
