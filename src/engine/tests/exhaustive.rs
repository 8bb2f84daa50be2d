//! Everything that can happen to a few commands of one slot between two nodes: each choice of what comes next is tried in each state, until
//! no new state turns up.
//!
//! A state is what the engine and the servers hold, and how far the commands are; times are left out, so that two states which differ in
//! nothing but how long something still waits count as one. In each state: the unanswered commands of the slot sit on one connection,
//! commands that share a key have run in the order of submission, and every result is true. From each state in which nothing new can be
//! submitted (of one in eight, that is), all comes to its end once the servers agree.
//!
//! The tests try every program of two commands, and four that are named. `PANPIPE_PROGRAMS=4 cargo test --profile simulation --all-features --lib
//! exhaustive -- --nocapture` tries every program of four (eight minutes on two cores), and prints how many states there are;
//! `PANPIPE_COMMANDS` is the length of the four that are named, `PANPIPE_DISTURBANCES` how much may go wrong in each.

mod digest;
mod world;

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::engine::in_flight::{InFlight, REFRESH, SENTINEL};
use world::{Change, World, place};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Submit,
    /// The socket takes the next command whole, or the half of it.
    Write(u16),
    WriteHalf(u16),
    Serve(u16),
    Deliver(u16),
    Change(Change),
    Drop(u16),
    /// Time passes until the engine wants to be called.
    Timer,
    /// Time passes until every deadline is over.
    Deadline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A write of the first key, of the second, of both; a read of the first.
    First,
    Second,
    Both,
    Read,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Fate {
    Pending,
    Executed,
    NotExecuted,
    Unknown,
}

/// One way that things may go, as far as it has gone.
struct Path<'a> {
    s: Script,
    world: World,
    program: &'a [Kind],
    slot: u16,
    keys: [String; 2],
    fates: Vec<Fate>,
    /// How much more may go wrong: a connection lost, a slot taken away, a deadline, a timer that ends before bytes that are on their way
    /// arrive, a command that is written by halves.
    disturbances_left: u32,
}

/// One is a hand-over or a migration, or something that breaks; two are such a thing during the other.
fn disturbances() -> u32 {
    number("PANPIPE_DISTURBANCES").unwrap_or(1)
}

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

const TIMEOUT_MS: u64 = 100_000;

impl<'a> Path<'a> {
    fn start(program: &'a [Kind]) -> Self {
        let tag = "{a}";
        let slot = slot_of(tag.as_bytes());
        let keys = [format!("{tag}a"), format!("{tag}b")];
        let config = Config { hops_max: 6, tryagain_wait_ms: 300, ..config() };
        let mut s = Script::start_with_view(config, &World::ranges(slot, A));
        // B is connected too.
        let warm = s.send(&cmd("CLUSTER COUNTKEYSINSLOT").arg(world::OF_B));
        s.accept(B);
        s.written(B);
        s.reply(B, ":0\r\n");
        assert_eq!(s.result(warm, 0), ":0\\r\\n");
        s.engine.abandon(warm);
        let world = World::new(slot, keys.clone());
        Path { s, world, program, slot, keys, fates: Vec::new(), disturbances_left: disturbances() }
    }

    /// What can come next.
    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let disturb = self.disturbances_left > 0 && !self.world.is_calm;
        if self.fates.len() < self.program.len() {
            choices.push(Choice::Submit);
        }
        for port in [A, B] {
            let wire = &self.world.wires[place(port)];
            if let Some(end) = self.next_command_end(port) {
                choices.push(Choice::Write(port));
                if disturb && end > 20 {
                    choices.push(Choice::WriteHalf(port));
                }
            }
            if self.world.can_serve(port) {
                choices.push(Choice::Serve(port));
            }
            if !wire.outbox.is_empty() {
                choices.push(Choice::Deliver(port));
            }
            if disturb && self.s.is_open(port) {
                choices.push(Choice::Drop(port));
            }
        }
        let changes = self.world.changes().into_iter().filter(|(_, disturbs)| disturb || !disturbs);
        choices.extend(changes.map(|(change, _)| Choice::Change(change)));
        if self.next_timer().is_some() && (!self.is_busy() || disturb) {
            choices.push(Choice::Timer);
        }
        if disturb && self.fates.contains(&Fate::Pending) {
            choices.push(Choice::Deadline);
        }
        choices
    }

    /// How many bytes the socket takes until a command ends.
    fn next_command_end(&self, port: u16) -> Option<usize> {
        let row = self.s.conns.get(&port)?.row();
        let link = &self.s.engine.links[row];
        let mut end = link.queue.acked();
        link.in_flight.iter().find_map(|entry| {
            end += u64::from(entry.len);
            (end > link.queue.sent()).then(|| (end - link.queue.sent()) as usize)
        })
    }

    fn disturbs(&self, choice: Choice) -> bool {
        match choice {
            Choice::WriteHalf(_) | Choice::Drop(_) | Choice::Deadline => true,
            Choice::Timer => self.is_busy(),
            Choice::Change(change) => self.world.changes().contains(&(change, true)),
            Choice::Submit | Choice::Write(_) | Choice::Serve(_) | Choice::Deliver(_) => false,
        }
    }

    /// Bytes are on their way.
    fn is_busy(&self) -> bool {
        [A, B].into_iter().any(|port| {
            let waits = !self.world.wires[place(port)].outbox.is_empty();
            waits || self.world.can_serve(port) || self.next_command_end(port).is_some()
        })
    }

    /// Whether a question of the engine's own is the next to leave, and nothing is in front of it.
    fn asks_next(&self, port: u16) -> bool {
        let Some(conn) = self.s.conns.get(&port) else { return false };
        let link = &self.s.engine.links[conn.row()];
        let sent = link.queue.sent();
        let mut at = link.queue.acked();
        let next = link.in_flight.iter().find(|entry| {
            at += u64::from(entry.len);
            at > sent
        });
        let is_whole = next.is_some_and(|entry| at - u64::from(entry.len) == sent);
        is_whole
            && next.is_some_and(|entry| matches!(entry.batch, REFRESH | SENTINEL))
            && !self.world.can_serve(port)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        // Deadlines are a choice of their own.
        self.s.engine.poll_timeout().filter(|due| *due < self.s.now.after_ms(TIMEOUT_MS / 2))
    }

    fn take(&mut self, choice: Choice) {
        // Nothing happens at the very same time.
        self.s.now = Timestamp::from_nanos(self.s.now.as_nanos() + 1);
        if self.disturbs(choice) {
            self.disturbances_left = self.disturbances_left.saturating_sub(1);
        }
        match choice {
            Choice::Submit => self.submit(),
            Choice::Write(port) => self.write(port, |end| end),
            Choice::WriteHalf(port) => self.write(port, |end| end / 2),
            Choice::Serve(port) => self.world.serve(port),
            Choice::Deliver(port) => {
                let frame = self.world.wires[place(port)].outbox.pop_front().expect("a reply");
                self.s.reply(port, frame);
            }
            Choice::Change(change) => self.world.change(change),
            Choice::Drop(port) => self.s.reset(port),
            Choice::Timer => {
                self.s.now = self.s.now.max(self.next_timer().expect("a timer"));
                self.s.tick(0);
            }
            Choice::Deadline => self.s.tick(TIMEOUT_MS + 10),
        }
        self.settle();
    }

    fn write(&mut self, port: u16, share: impl FnOnce(usize) -> usize) {
        let end = self.next_command_end(port).expect("a command");
        let bytes = self.s.written_at_most(port, share(end));
        self.world.wires[place(port)].inbox.extend(bytes);
    }

    fn submit(&mut self) {
        let number = self.fates.len();
        let [first, second] = &self.keys;
        let command = match self.program[number] {
            Kind::First => cmd("RPUSH").key(first).arg(number),
            Kind::Second => cmd("RPUSH").key(second).arg(number),
            Kind::Both => cmd("MSET").key(first).arg(number).key(second).arg(number),
            Kind::Read => cmd("GET").key(first).arg(number),
        };
        self.s.stream(&command, number as u64, TIMEOUT_MS);
        self.s.engine.flush();
        self.fates.push(Fate::Pending);
    }

    /// New connections are accepted at once; connections that were closed are empty; results are taken.
    fn settle(&mut self) {
        self.s.act();
        for port in std::mem::take(&mut self.s.dials) {
            self.world.wires[place(port)] = world::Wire::default();
            self.s.accept_quietly(port);
        }
        for port in [A, B] {
            if !self.s.is_open(port) {
                self.world.wires[place(port)] = world::Wire::default();
            }
        }
        // The engine's own questions leave and are looked at as soon as they can be; their answers take their time.
        for port in [A, B] {
            while self.asks_next(port) {
                self.write(port, |end| end);
                self.world.serve(port);
            }
        }
        for (number, text) in self.s.completions() {
            let number = number as usize;
            assert_eq!(self.fates[number], Fate::Pending, "{number} completed twice");
            self.fates[number] = self.fate(number, &text);
        }
    }

    fn fate(&self, number: usize, text: &str) -> Fate {
        if text.ends_with(" NotExecuted") {
            return Fate::NotExecuted;
        }
        if text.ends_with(" Unknown") {
            return Fate::Unknown;
        }
        if let Kind::Read = self.program[number] {
            let line = text.split("\\r\\n").nth(1).expect("a bulk string");
            let (told, seen) = line.split_once(':').expect("number and log");
            assert_eq!(told, number.to_string(), "somebody else's reply");
            let seen: Vec<usize> = seen.split(',').filter_map(|n| n.parse().ok()).collect();
            assert!(seen.iter().all(|&write| write < number), "read {number} saw the future: {seen:?}");
            for (earlier, kind) in self.program[..number].iter().enumerate() {
                let wrote = matches!(kind, Kind::First | Kind::Both) && self.fates[earlier] == Fate::Executed;
                assert!(!wrote || seen.contains(&earlier), "read {number} missed {earlier}");
            }
            return Fate::Executed;
        }
        assert_eq!(text, format!(":{number}\\r\\n"), "somebody else's reply");
        Fate::Executed
    }

    /// What must hold in every state.
    fn check(&mut self) {
        for (number, fate) in self.fates.iter().enumerate() {
            let runs = |log: &Vec<u32>| log.iter().filter(|&&ran| ran == number as u32).count();
            let runs = self.world.logs.each_ref().map(runs);
            let expected = match self.program[number] {
                Kind::First => [1, 0],
                Kind::Second => [0, 1],
                Kind::Both => [1, 1],
                Kind::Read => [0, 0],
            };
            match fate {
                Fate::Executed => assert_eq!(runs, expected, "{number} was answered"),
                Fate::NotExecuted => assert_eq!(runs, [0, 0], "{number} did not run"),
                Fate::Unknown | Fate::Pending => assert!(runs <= expected, "{number} ran twice"),
            }
        }
        for log in &self.world.logs {
            let executed = |number: &&u32| self.fates[**number as usize] == Fate::Executed;
            assert!(log.iter().filter(executed).is_sorted(), "another order: {log:?} {:?}", self.fates);
        }
        let engine = &mut self.s.engine;
        let of_slot = |entry: &InFlight| entry.slot == self.slot;
        let homes = engine.links.iter().filter(|link| link.in_flight.iter().any(of_slot)).count();
        assert!(homes <= 1, "commands of one slot are on two connections");
        let waited_for: usize = engine
            .links
            .iter()
            .flat_map(|link| link.in_flight.iter())
            .filter(|entry| of_slot(entry) && entry.has(InFlight::FENCED))
            .count();
        let is_fenced = engine.fences.is_fenced(self.slot);
        let fence = engine.fences.get_mut(self.slot);
        assert_eq!(is_fenced, fence.is_some());
        if let Some(fence) = fence {
            assert_eq!(fence.draining as usize, waited_for, "what the fence waits for");
            assert!(fence.parked.iter().is_sorted_by_key(|parked| parked.sequence));
        }
    }

    /// The servers agree and answer: everything comes to its end.
    fn come_to_rest(&mut self) {
        self.world.heal();
        for _ in 0..400 {
            let moves = |choice: &Choice| {
                matches!(choice, Choice::Write(_) | Choice::Serve(_) | Choice::Deliver(_) | Choice::Timer)
            };
            let pending = self.fates.contains(&Fate::Pending);
            let Some(choice) = self.choices().into_iter().find(moves).filter(|_| pending) else { break };
            self.take(choice);
            self.check();
        }
        let held = self.s.engine.stats().parked;
        assert!(!self.fates.contains(&Fate::Pending) && held == 0, "stuck: {:?}, {held} held", self.fates);
    }
}

/// The state at the end of a path.
fn follow<'a>(program: &'a [Kind], choices: &[Choice]) -> Path<'a> {
    let mut path = Path::start(program);
    choices.iter().for_each(|choice| path.take(*choice));
    path
}

/// Prints the way to a state that broke a rule.
struct Way<'a>(&'a [Kind], Vec<Choice>);

impl Drop for Way<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("program {:?}, choices:\n{:#?}", self.0, self.1);
        }
    }
}

/// Of how many states one is followed to the end: neighbours end alike, and it takes longer than everything else.
const ENDS_FOLLOWED: u128 = 8;

struct Found {
    states: usize,
    steps: usize,
    ends: usize,
}

fn explore(program: &[Kind]) -> Found {
    // A state's way is its parent and the choice that led on.
    let mut ways: Vec<(u32, Option<Choice>)> = vec![(0, None)];
    let mut known = BTreeSet::from([digest::of(&mut Path::start(program))]);
    let mut open = VecDeque::from([0u32]);
    let mut found = Found { states: 1, steps: 0, ends: 0 };
    while let Some(state) = open.pop_front() {
        let mut way = Way(program, way_to(&ways, state));
        let here = follow(program, &way.1);
        let choices = here.choices();
        for choice in choices {
            way.1.push(choice);
            let mut path = follow(program, &way.1[..way.1.len() - 1]);
            path.take(choice);
            path.check();
            found.steps += 1;
            let next = ways.len() as u32;
            let digest = digest::of(&mut path);
            if known.insert(digest) {
                ways.push((state, Some(choice)));
                open.push_back(next);
                found.states += 1;
                if path.fates.len() == program.len() && digest.is_multiple_of(ENDS_FOLLOWED) {
                    path.come_to_rest();
                    found.ends += 1;
                }
            }
            way.1.pop();
        }
    }
    found
}

fn way_to(ways: &[(u32, Option<Choice>)], state: u32) -> Vec<Choice> {
    let mut way = Vec::new();
    let mut at = state;
    while let (parent, Some(choice)) = ways[at as usize] {
        way.push(choice);
        at = parent;
    }
    way.reverse();
    way
}

fn try_everything(program: [Kind; 4]) {
    try_program(&program[..number("PANPIPE_COMMANDS").unwrap_or(2) as usize]);
}

/// Answers how many states, steps and ways to the end there were.
fn try_program(program: &[Kind]) -> [usize; 3] {
    let found = explore(program);
    let Found { states, steps, ends } = found;
    println!(
        "{program:?}, {} disturbances: {states} states, {steps} steps, {ends} followed to the end",
        disturbances()
    );
    assert!(states > 100);
    [states, steps, ends]
}

/// Every program of so many commands that begins with this one.
fn try_programs_from(first: Kind) {
    const KINDS: [Kind; 4] = [Kind::First, Kind::Second, Kind::Both, Kind::Read];
    let len = number("PANPIPE_PROGRAMS").unwrap_or(2);
    let mut all = [0; 3];
    for number in 0..KINDS.len().pow(len - 1) {
        let rest = (0..len - 1).map(|at| KINDS[number / KINDS.len().pow(at) % KINDS.len()]);
        let program: Vec<Kind> = std::iter::once(first).chain(rest).collect();
        all.iter_mut().zip(try_program(&program)).for_each(|(sum, found)| *sum += found);
    }
    let [states, steps, ends] = all;
    println!(
        "every program of {len} from {first:?} on: {states} states, {steps} steps, {ends} followed to the end"
    );
}

#[test]
fn every_program_from_a_write_on() {
    try_programs_from(Kind::First);
}

#[test]
fn every_program_from_a_write_of_another_key_on() {
    try_programs_from(Kind::Second);
}

#[test]
fn every_program_from_a_write_of_two_keys_on() {
    try_programs_from(Kind::Both);
}

#[test]
fn every_program_from_a_read_on() {
    try_programs_from(Kind::Read);
}

#[test]
fn writes_of_one_key_and_a_read_between_them() {
    try_everything([Kind::First, Kind::First, Kind::Read, Kind::First]);
}

#[test]
fn a_write_of_two_keys_before_those_of_one() {
    try_everything([Kind::Both, Kind::First, Kind::Read, Kind::Second]);
}

#[test]
fn writes_of_two_keys_between_those_of_one() {
    try_everything([Kind::First, Kind::Both, Kind::First, Kind::Both]);
}

#[test]
fn a_read_before_writes_of_two_keys() {
    try_everything([Kind::Read, Kind::First, Kind::Second, Kind::First]);
}
