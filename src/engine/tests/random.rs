//! Random use of the engine against servers that behave (`model`). Whatever happens: every command completes once, and what its result
//! says is true of the model's logs.
//!
//! A failure prints its seed; `PANPIPE_SEED=<seed> cargo test --lib random` repeats it, `PANPIPE_SEEDS=<count>` tries more.

use std::collections::BTreeMap;

use super::model::REJECTIONS;
use super::sim::{Command, Fate, Kind, Sim};
use crate::command::cmd;
use crate::engine::in_flight::{InFlight, NO_SLOT};
use crate::error::Outcome;

const SEEDS: u64 = 300;
const STEPS: u32 = 250;
const TURN_MS: u64 = 7;
const REST_TURNS: u64 = 4_000 / TURN_MS;

/// Names the seed when a test panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with PANPIPE_SEED={} cargo test --lib random", self.0);
        }
    }
}

impl Sim {
    /// Something happens.
    fn step(&mut self) {
        match self.rng.below(100) {
            0..=14 => {
                let timeout_ms = 20 + self.rng.below(self.engine.config().command_timeout_ms);
                self.submit_stream(timeout_ms);
            }
            15..=29 => self.submit_batch(),
            30..=39 => self.flush(),
            40..=41 => self.cancel(),
            42 => self.abandon(),
            43..=57 => self.move_bytes(),
            58..=69 => self.serve_some(),
            70..=74 => {
                let pick = self.rng.below(self.dials.len() as u64) as usize;
                self.answer_dial(pick);
            }
            75..=82 => {
                let ms = [0, 1, 5, 20, 20, 100, 600][self.rng.below(7) as usize];
                self.pass(ms);
            }
            83..=92 => self.cluster.evolve(&mut self.rng),
            93..=95 if self.stormy => self.break_something(),
            96 => self.engine.refresh_topology(self.now),
            _ => self.take_results(),
        }
        self.act();
    }

    /// Half of the time everybody gets somewhere.
    fn move_bytes(&mut self) {
        if self.one_in(2) {
            for conn in self.sockets.keys().copied().collect::<Vec<_>>() {
                self.write(conn, 100_000);
                self.serve(conn, 10);
                self.deliver(conn, 100_000);
            }
            return;
        }
        let limit = [1, 7, 50, 100_000][self.rng.below(4) as usize];
        let times = 1 + self.rng.below(8);
        for _ in 0..times {
            let Some(conn) = self.any_socket() else { return };
            self.write(conn, limit);
            self.deliver(conn, limit);
        }
    }

    fn serve_some(&mut self) {
        let Some(conn) = self.any_socket() else { return };
        let commands = self.rng.below(10);
        self.serve(conn, commands);
    }

    fn serve(&mut self, conn: crate::engine::ConnId, commands: u64) {
        if let Some(socket) = self.sockets.get_mut(&conn) {
            let _all = (0..commands).all(|_| self.cluster.serve(socket));
        }
    }

    fn break_something(&mut self) {
        let node = self.rng.below(3) as usize;
        match self.rng.below(6) {
            0 | 1 => {
                if let Some(conn) = self.any_socket() {
                    self.reset(conn);
                }
            }
            2 => {
                if let Some(conn) = self.any_socket() {
                    self.sockets.get_mut(&conn).expect("open").hung = true;
                }
            }
            3 => self.cluster.down[node] = !self.cluster.down[node],
            _ => {
                let mood = REJECTIONS[self.rng.below(REJECTIONS.len() as u64) as usize];
                let moods = &mut self.cluster.moods[node];
                *moods = if moods.is_some() { None } else { Some(mood) };
            }
        }
    }

    /// The engine's own books agree with each other, at every moment.
    fn check_books(&mut self) {
        let mut in_flight = 0;
        let mut bytes = 0;
        let mut fenced: BTreeMap<u16, u32> = BTreeMap::new();
        let mut homes: BTreeMap<u16, usize> = BTreeMap::new();
        let mut referenced: BTreeMap<u32, u32> = BTreeMap::new();
        for (row, link) in self.engine.links.iter().enumerate() {
            link.queue.invariants();
            let held: u64 = link.in_flight.iter().map(|entry| u64::from(entry.len)).sum();
            assert_eq!(held, link.queue.held_bytes(), "the entries are the bytes");
            bytes += held;
            in_flight += link.in_flight.len() as u64;
            for entry in link.in_flight.iter().filter(|entry| entry.slot != NO_SLOT) {
                *fenced.entry(entry.slot).or_default() += u32::from(entry.has(InFlight::FENCED));
                let home = *homes.entry(entry.slot).or_insert(row);
                assert_eq!(home, row, "commands of slot {} are on two connections", entry.slot);
            }
            let tombstones = link.in_flight.iter().filter(|entry| entry.has(InFlight::GIVEN_UP)).count();
            assert_eq!(tombstones, link.tombstones as usize, "given-up commands are counted");
            in_flight += link.guard.held_count() as u64;
            for entry in link.in_flight.iter().chain(link.guard.held()) {
                *referenced.entry(entry.batch).or_default() += 1;
            }
        }
        let mut parked = 0;
        for slot in self.engine.fences.slots() {
            assert!(self.engine.fences.is_fenced(slot));
            let fence = self.engine.fences.get_mut(slot).expect("listed");
            assert_eq!(
                fence.draining,
                fenced.remove(&slot).unwrap_or(0),
                "what the fence of {slot} waits for"
            );
            assert!(fence.parked.iter().is_sorted_by_key(|parked| parked.sequence));
            for held in &fence.parked {
                let len: usize = held.bytes.iter().map(|piece| piece.len()).sum();
                assert_eq!(len, held.entry.len as usize);
                bytes += u64::from(held.entry.len);
                parked += 1;
                *referenced.entry(held.entry.batch).or_default() += 1;
            }
        }
        assert!(fenced.values().all(|&count| count == 0), "nobody waits for entries with the flag");
        let stats = self.engine.stats();
        assert_eq!(
            (stats.in_flight, stats.queued_bytes, stats.parked),
            (in_flight + parked, bytes, parked),
            "the totals are the sums"
        );
        for (id, batch) in self.engine.batches.iter() {
            assert_eq!(batch.referenced, referenced.remove(&id).unwrap_or(0), "batch {id}");
        }
    }

    /// All is well and nobody asks for more: everything comes to its end, within the longest pause between two tries and a little.
    fn come_to_rest(&mut self) {
        self.cluster.heal();
        self.flush();
        for _ in 0..REST_TURNS {
            self.turn();
            let pending = self.ops.iter().any(|op| matches!(op.fate, Fate::Pending));
            if !pending && self.engine.stats().in_flight == 0 {
                return;
            }
        }
        let pending = self.ops.iter().filter(|op| matches!(op.fate, Fate::Pending)).count();
        panic!("{pending} commands are still pending, {:?}", self.engine.stats());
    }

    /// Everybody does everything there is to do, and some time passes.
    fn turn(&mut self) {
        self.act();
        while !self.dials.is_empty() {
            self.answer_dial(0);
        }
        for conn in self.sockets.keys().copied().collect::<Vec<_>>() {
            while self.writable.contains(&conn) && self.sockets.contains_key(&conn) {
                self.write(conn, 100_000);
            }
            if let Some(socket) = self.sockets.get_mut(&conn) {
                socket.hung = false;
                while self.cluster.serve(socket) {}
            }
            self.deliver(conn, 100_000);
        }
        self.take_results();
        self.pass(TURN_MS);
        self.check_books();
    }

    /// Every slot is alive. The first attempt may teach where it is.
    fn probe_slots(&mut self) {
        self.append_everywhere();
        let first = self.append_everywhere();
        for op in &self.ops[first..] {
            assert!(matches!(op.fate, Fate::Done(_)), "slot {} is dead: {:?}", op.key.0, op.fate);
        }
    }

    fn append_everywhere(&mut self) -> usize {
        let first = self.ops.len();
        for slot in 0..3 {
            for key in 0..2 {
                let number = self.ops.len() as u32;
                let name = self.cluster.slots[slot].keys[key].name.clone();
                self.ops.push(super::sim::Op { kind: Kind::Append, key: (slot, key), fate: Fate::Pending });
                self.submit_as_stream(
                    number,
                    &Command::Raw(Box::new(cmd("RPUSH").key(name).arg(number))),
                    10_000,
                );
            }
        }
        self.engine.flush();
        self.come_to_rest();
        first
    }

    /// What the callers were told is what happened.
    fn check_logs(&self) {
        for (number, op) in self.ops.iter().enumerate() {
            let number = number as u32;
            let log = &self.cluster.slots[op.key.0].keys[op.key.1].log;
            let runs = log.iter().filter(|&&ran| ran == number).count();
            let Kind::Append = op.kind else {
                if let (Kind::Read, Fate::Done(len)) = (op.kind, &op.fate) {
                    self.check_read(number, op.key, &log[..*len]);
                }
                continue;
            };
            match &op.fate {
                Fate::Done(_) => assert_eq!(runs, 1, "{number} was answered"),
                Fate::Failed(Outcome::NotExecuted, why) => assert_eq!(runs, 0, "{number} did not run: {why}"),
                Fate::Failed(Outcome::Executed | Outcome::ExecutedReplyLost, why) => {
                    assert_eq!(runs, 1, "{number} ran: {why}");
                }
                Fate::Failed(Outcome::Unknown, _) | Fate::Abandoned => {
                    assert!(runs <= 1, "{number} ran twice")
                }
                Fate::Pending => panic!("{number} has no result"),
            }
        }
        for key in self.cluster.slots.iter().flat_map(|slot| &slot.keys) {
            assert!(key.log.is_sorted(), "appends of {} ran in another order: {:?}", key.name, key.log);
        }
    }

    /// A read sees the writes that were submitted before it, and none that came later.
    fn check_read(&self, number: u32, key: (usize, usize), seen: &[u32]) {
        assert!(seen.iter().all(|&ran| ran < number), "read {number} saw the future: {seen:?}");
        let before = self.ops.iter().enumerate().take(number as usize);
        for (earlier, _) in before
            .filter(|(_, op)| op.key == key && op.kind == Kind::Append && matches!(op.fate, Fate::Done(_)))
        {
            assert!(seen.contains(&(earlier as u32)), "read {number} missed {earlier}: {seen:?}");
        }
    }
}

fn run(seed: u64) {
    let _named = Seed(seed);
    let mut sim = Sim::new(seed);
    // Half of the runs begin with a connected client.
    for _ in 0..if seed.is_multiple_of(2) { 5 } else { 0 } {
        sim.turn();
    }
    for _ in 0..STEPS {
        sim.step();
        sim.check_books();
    }
    sim.come_to_rest();
    sim.probe_slots();
    sim.check_logs();
    let Sim { engine, .. } = &sim;
    assert_eq!((engine.batches.len(), engine.stream.len()), (0, 0), "rows are given back");
    assert!(engine.fences.is_empty());
}

#[test]
fn whatever_happens_results_are_true_and_nothing_is_left_behind() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("PANPIPE_SEED") {
        return run(seed);
    }
    for seed in 0..number("PANPIPE_SEEDS").unwrap_or(SEEDS) {
        run(seed);
    }
}
