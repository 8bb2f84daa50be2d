//! One run: a client's engine, a network, a cluster and callers, under one virtual clock.
//!
//! The world is the engine's driver. It keeps the order that the engine's documentation asks for (actions, transmits, events, timeouts),
//! calls `handle_timeout` when `poll_timeout` says so, and does one thing at a time in the order of due times.

use std::collections::{BTreeMap, BTreeSet};

use panpipe::config::Order;
use panpipe::engine::{Action, ConnId, Engine, Event as EngineEvent, Timestamp, Token};
use panpipe::slot::slot_of;
use panpipe::testkit::{Dice, ModelCluster, Network};

use crate::coverage::{Coverage, Event};
use crate::monitor::Monitor;
use crate::ops::{Fate, Op};
use crate::options::{Options, Settings, Theme};
use crate::storm::Cure;
use crate::views::Heard;
use crate::workload::OpenBatch;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which check found it.
    pub check: &'static str,
    /// What it found.
    pub text: String,
}

/// Problems kept of one run; the first is the one that counts.
const PROBLEMS_MAX: usize = 8;
/// The books are looked at after so many steps.
const AUDIT_EVERY: u64 = 16;

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) engine: Engine,
    pub(crate) net: Network<Monitor>,
    pub(crate) dice: Dice,
    /// Hash tags of the slots in use, and the slots.
    pub(crate) tags: Vec<String>,
    pub(crate) slots: Vec<u16>,
    pub(crate) ops: Vec<Op>,
    pub(crate) tokens: Vec<(u32, Token)>,
    pub(crate) batches: Vec<OpenBatch>,
    pub(crate) next_act: Timestamp,
    pub(crate) next_fault: Timestamp,
    pub(crate) cures: BTreeSet<(Timestamp, usize, Cure)>,
    pub(crate) migrating: BTreeMap<u16, usize>,
    /// Nodes that hear no news.
    pub(crate) held: BTreeSet<usize>,
    /// Nodes that refuse MULTI.
    pub(crate) forbidding: BTreeSet<usize>,
    /// Slots that changed hands a moment ago are left alone until then, where that matters.
    pub(crate) quiet_until: BTreeMap<u16, Timestamp>,
    pub(crate) has_swapped: bool,
    /// The last view that was taken over, and how many have been; how often several nodes were heard.
    pub(crate) view_before: Option<Heard>,
    pub(crate) views: u64,
    pub(crate) arbitrated: u64,
    pub(crate) problems: Vec<Problem>,
    pub(crate) coverage: Coverage,
    pub(crate) steps: u64,
    began: Timestamp,
}

/// Hash tags of different slots, and the slots.
fn slots_in_use(dice: &mut Dice, count: usize) -> (Vec<String>, Vec<u16>) {
    let (mut tags, mut slots) = (Vec::new(), Vec::new());
    while slots.len() < count {
        let tag = format!("t{}", dice.below(1_000_000));
        let slot = slot_of(tag.as_bytes());
        if !slots.contains(&slot) {
            tags.push(tag);
            slots.push(slot);
        }
    }
    (tags, slots)
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings) -> World {
        let options = Options::draw(seed, &settings);
        let mut dice = Dice::new(seed);
        let cluster = ModelCluster::new(options.model.clone());
        let mut net = Network::new(cluster, options.network.clone(), dice.roll(), Monitor::default());
        let now = net.now();
        let engine = Engine::new(options.client.clone(), now).expect("there are seeds");
        let (tags, slots) = slots_in_use(&mut dice, options.slots);
        net.tap_mut().now = now;
        net.tap_mut().traces_since = settings.trace.then_some(now);
        net.tap_mut().is_relaxed = options.client.order == Order::Relaxed;
        net.tap_mut().ports = (0..16).map(|node| options.model.first_port + node).collect();
        let mut world = World {
            settings,
            options,
            engine,
            net,
            dice,
            tags,
            slots,
            ops: Vec::new(),
            tokens: Vec::new(),
            batches: Vec::new(),
            next_act: Timestamp::NEVER,
            next_fault: Timestamp::NEVER,
            cures: BTreeSet::new(),
            migrating: BTreeMap::new(),
            held: BTreeSet::new(),
            forbidding: BTreeSet::new(),
            quiet_until: BTreeMap::new(),
            has_swapped: false,
            view_before: None,
            views: 0,
            arbitrated: 0,
            problems: Vec::new(),
            coverage: Coverage::default(),
            steps: 0,
            began: now,
        };
        world.trace_options();
        world
    }

    pub(crate) fn trace(&self, text: impl FnOnce() -> String) {
        if self.settings.trace {
            let micros = self.net.now().since(self.began).as_micros();
            println!("{:>9}.{:03} ms  {}", micros / 1000, micros % 1000, text());
        }
    }

    fn trace_options(&mut self) {
        self.trace(|| format!("{:#?}", self.options));
        self.trace(|| format!("slots {:?} of {:?}", self.slots, self.tags));
    }

    pub(crate) fn problem(&mut self, check: &'static str, text: String) {
        self.trace(|| format!("PROBLEM: {check}: {text}"));
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { check, text });
        }
    }

    pub(crate) fn virtual_ms(&self) -> u64 {
        self.net.now().since(self.began).as_millis() as u64
    }

    /// What a driver does before it waits.
    pub(crate) fn drive(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Connect { conn, endpoint } => {
                    self.trace(|| format!("connect {conn:?} {endpoint}"));
                    self.net.connect(conn, &endpoint);
                    self.check_dials();
                }
                Action::Close { conn } => {
                    self.trace(|| format!("close {conn:?}"));
                    self.net.close(conn);
                }
            }
        }
        while let Some(conn) = self.engine.poll_transmit() {
            self.net.submit(conn, &mut self.engine);
        }
        while let Some(event) = self.engine.poll_event() {
            self.trace(|| format!("event: {event:?}"));
            self.on_event(&event);
        }
        self.take_results();
    }

    /// Nothing in most runs sends replies that answer nothing, or leaves any out.
    fn on_desync(&mut self, node: &str, what: &str) {
        let is_foretold = matches!(self.options.theme, Theme::Desync | Theme::Integrity);
        // A server that refuses all it is asked.
        let has_reason = what.contains("was refused");
        if !is_foretold && !has_reason {
            self.problem("desync", format!("{node}: {what}"));
        }
    }

    fn check_dials(&mut self) {
        let (dials, most) = (self.net.connecting(), self.engine.config().limits.connects_at_once_max);
        if dials > most {
            self.problem("dials", format!("{dials} connections are being made at once, {most} are allowed"));
        }
    }

    fn on_event(&mut self, event: &EngineEvent) {
        match event {
            EngineEvent::NodeDown { .. } => self.cover(Event::ConnectionLost),
            EngineEvent::Desync { node, what } => self.on_desync(node, what),
            _ => {}
        }
    }

    /// Counts an event for every fence that there is.
    pub(crate) fn cover(&mut self, event: Event) {
        for (_, state) in self.engine.fence_states() {
            self.coverage.fence(state, event);
        }
    }

    /// Counts what a caller does to the slots of a command.
    pub(crate) fn cover_op(&mut self, event: Event, number: u32) {
        for (slot, state) in self.engine.fence_states() {
            let keys = &self.ops[number as usize].keys;
            if keys.iter().any(|key| self.slots[key.slot] == slot) {
                self.coverage.fence(state, event);
            }
        }
    }

    /// Something arrives, at a server or at the client.
    fn travel(&mut self) {
        let fences = self.engine.fence_states();
        if fences.is_empty() {
            self.net.step(&mut self.engine);
            return self.check_view();
        }
        let news = |world: &World| (world.net.tap().coverage.refusals(), world.engine.stats().refreshes);
        let before = news(self);
        self.net.step(&mut self.engine);
        self.check_view();
        let after = news(self);
        for (_, state) in fences {
            if after.0 != before.0 {
                self.coverage.fence(state, Event::Refusal);
            }
            if after.1 != before.1 {
                self.coverage.fence(state, Event::View);
            }
        }
    }

    /// Everything that is due happens, one thing after the other, until this time.
    pub(crate) fn run_until(&mut self, until: Timestamp) {
        while self.step(until) {}
        self.net.pass(until);
    }

    /// The next thing happens, unless it is later than `until`.
    pub(crate) fn step(&mut self, until: Timestamp) -> bool {
        self.drive();
        let timeout = self.engine.poll_timeout().unwrap_or(Timestamp::NEVER);
        let travel = self.net.next_at().unwrap_or(Timestamp::NEVER);
        let cure = self.cures.first().map_or(Timestamp::NEVER, |cure| cure.0);
        let next = timeout.min(travel).min(cure).min(self.next_act).min(self.next_fault);
        if next > until || !self.problems.is_empty() {
            return false;
        }
        self.net.pass(next);
        let now = self.net.now();
        self.net.tap_mut().now = now;
        if travel <= now {
            self.travel();
        } else if timeout <= now {
            self.time_out(now);
        } else if cure <= now {
            if let Some((_, _, cure)) = self.cures.pop_first() {
                self.apply_cure(cure);
            }
        } else if self.next_act <= now {
            self.act();
            self.next_act = self.later(self.options.act_every_us);
        } else {
            self.break_something();
            self.next_fault = self.later(self.options.fault_every_us);
        }
        self.steps += 1;
        if self.steps.is_multiple_of(AUDIT_EVERY) {
            self.audit();
        }
        true
    }

    fn time_out(&mut self, now: Timestamp) {
        if self.ops.iter().any(|op| op.deadline <= now && op.fate == Fate::Pending) {
            self.cover(Event::Deadline);
        }
        self.engine.handle_timeout(now);
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            // Twice is allowed: what the first call did may have made something due.
            self.drive();
            self.engine.handle_timeout(now);
            self.drive();
            if self.engine.poll_timeout().is_some_and(|due| due <= now) {
                self.problem("busy", format!("the engine asks to be called at {now:?} again and again"));
            }
        }
    }

    /// About this long from now.
    pub(crate) fn later(&mut self, mean_us: u64) -> Timestamp {
        let wait = std::time::Duration::from_micros(1 + self.dice.below(2 * mean_us));
        self.net.now().after(wait)
    }

    pub(crate) fn audit(&mut self) {
        let audit = self.engine.audit();
        for problem in audit.problems {
            self.problem("books", problem);
        }
        let breaches = std::mem::take(&mut self.net.tap_mut().breaches);
        for breach in breaches {
            self.problem("wire", breach);
        }
    }

    pub(crate) fn any_connection(&mut self) -> Option<ConnId> {
        let all: Vec<ConnId> = self.net.live().collect();
        self.dice.pick(&all).copied()
    }

    /// The client's machine does nothing for a while: everything that is due meanwhile is late.
    pub(crate) fn pause_host(&mut self) -> bool {
        let pause = std::time::Duration::from_millis(self.dice.between(1, 200));
        let until = self.net.now().after(pause);
        self.net.pass(until);
        for op in &mut self.ops {
            op.deadline = op.deadline.after(pause);
        }
        true
    }
}
