//! Reads along on every connection: what the client writes, and what it is told.
//!
//! Knows which commands of a connection await their reply, so it sees what the client may not do: write a caller's bytes before the
//! handshake is verified, put something between ASKING and its command, follow too many redirects, ask two nodes that name each other
//! without a pause, go back to a node that has said who took its place. It also counts where in a window a refusal falls.

use std::collections::{BTreeMap, VecDeque};

use panpipe::config::FrameLimits;
use panpipe::engine::{ConnId, Timestamp};
use panpipe::resp::{FrameKind, Scan, Scanner};
use panpipe::testkit::Tap;

use panpipe::slot::slot_of;

use crate::coverage::{Coverage, Place, Shape};
use crate::ops::{first_words, number_of};
use crate::views::{Heard, Move};

/// A command on its way or at its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    shape: Shape,
    /// Part of the handshake.
    greets: bool,
    /// A question for the topology, and when it was asked.
    asks_view: Option<Timestamp>,
    /// It went where its slot belongs: what a redirect of it says is believed.
    teaches: bool,
    /// The number of one of the callers' commands; of a unit at its EXEC.
    number: Option<u32>,
    /// The number of the unit that it is a part of, in front of EXEC.
    within: Option<u32>,
}

impl Mark {
    fn is_multi(&self) -> bool {
        self.shape == Shape::WithinMulti && self.within.is_none()
    }
}

#[derive(Debug)]
struct Line {
    written: Vec<u8>,
    heard: Vec<u8>,
    scanner: Scanner,
    awaited: VecDeque<Mark>,
    /// The reply to the handshake's first command has come.
    is_greeted: bool,
    is_asking: bool,
    /// MULTI was written and EXEC was not: the number of the commands behind it, once there is one.
    unit: Option<Option<u32>>,
    /// Whether the first refusal within a unit was a redirect.
    unit_refusal: Option<bool>,
    /// The unit whose replies come stands at the front of the window.
    unit_is_first: bool,
    /// The server has answered a MULTI with OK: it does not run the commands of the next one by themselves either.
    allows_multi: bool,
    /// When the first byte of `written` was written.
    began: Timestamp,
    /// Replies since nothing was awaited last.
    answered: u32,
    /// Of the node at the other end.
    port: u16,
}

impl Line {
    fn new() -> Self {
        Line {
            written: Vec::new(),
            heard: Vec::new(),
            scanner: Scanner::new(FrameLimits::default()),
            awaited: VecDeque::new(),
            is_greeted: false,
            is_asking: false,
            unit: None,
            unit_refusal: None,
            unit_is_first: false,
            allows_multi: false,
            began: Timestamp::ZERO,
            answered: 0,
            port: 0,
        }
    }
}

/// What the wire has shown of one of the callers' commands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// When refusals of it reached the client.
    pub(crate) refused_last: Option<Timestamp>,
    /// When redirects did.
    pub(crate) redirects: Vec<Timestamp>,
    /// How often all of it was written.
    pub(crate) written: u32,
    /// Its connection broke after the beginning of a reply that was no error.
    pub(crate) was_begun: Option<Timestamp>,
    /// It is a unit, and its connection broke behind a part of it that a server which forbids MULTI would have run.
    pub(crate) was_cut: bool,
}

/// Who serves a slot, as a MOVED told.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    at: Timestamp,
    port: u16,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    pub(crate) now: Timestamp,
    /// Print what passes; times count from this.
    pub(crate) traces_since: Option<Timestamp>,
    /// Whether what was said of a slot's owner means little: each command follows its own redirects, or addresses have been exchanged.
    pub(crate) is_relaxed: bool,
    /// The ports of the nodes, by index.
    pub(crate) ports: Vec<u16>,
    /// What redirects have taught and no later view has made old.
    lessons: BTreeMap<u16, Lesson>,
    /// Every MOVED that has reached the client.
    pub(crate) moves: Vec<Move>,
    /// The last answer to CLUSTER SLOTS, until it has been looked at.
    pub(crate) heard: Option<Heard>,
    lines: BTreeMap<ConnId, Line>,
    trails: Vec<Trail>,
    /// When connections broke behind the beginning of a unit that had not shown its number yet.
    cuts: Vec<Timestamp>,
    /// What the client should not have done.
    pub(crate) breaches: Vec<String>,
    pub(crate) coverage: Coverage,
}

impl Monitor {
    /// Whether the handshake's first reply has come: from then on replies may be in RESP3.
    pub(crate) fn is_greeted(&self, conn: ConnId) -> bool {
        self.lines.get(&conn).is_some_and(|line| line.is_greeted)
    }

    /// Whether the handshake is over.
    pub(crate) fn is_introduced(&self, conn: ConnId) -> bool {
        let Some(line) = self.lines.get(&conn) else { return false };
        line.is_greeted && line.awaited.iter().all(|mark| !mark.greets)
    }

    /// Whether nothing that was written on this connection awaits a reply.
    pub(crate) fn is_idle(&self, conn: ConnId) -> bool {
        self.lines.get(&conn).is_some_and(|line| {
            line.awaited.is_empty() && line.written.is_empty() && line.heard.is_empty() && line.is_greeted
        })
    }

    pub(crate) fn trail(&self, number: u32) -> Trail {
        self.trails.get(number as usize).cloned().unwrap_or_default()
    }

    /// Whether a unit may have been cut in that time whose number had not been written.
    pub(crate) fn may_have_cut(&self, from: Timestamp, to: Timestamp) -> bool {
        self.cuts.iter().any(|at| (from..=to).contains(at))
    }
}

fn trail_of(trails: &mut Vec<Trail>, number: u32) -> &mut Trail {
    if trails.len() <= number as usize {
        trails.resize(number as usize + 1, Trail::default());
    }
    &mut trails[number as usize]
}

impl Tap for Monitor {
    fn sent(&mut self, conn: ConnId, node: usize, bytes: &[u8]) {
        let line = self.lines.entry(conn).or_insert_with(Line::new);
        let mut written = std::mem::take(&mut line.written);
        // What was begun is completed, a unit as a whole.
        if written.is_empty() && line.unit.is_none() {
            line.began = self.now;
        }
        written.extend_from_slice(bytes);
        let mut start = 0;
        while let Some((words, length)) = first_words(&written[start..]) {
            start += length;
            trace(self.traces_since, self.now, || format!("{conn:?} > {:.80}", shown(&words.join(&b' '))));
            let port = self.ports.get(node).copied().unwrap_or_default();
            line.port = port;
            let relapse = line.relapse(&words, port, &self.lessons);
            let breach = line.on_command(&words, self.now).or(relapse.filter(|_| !self.is_relaxed));
            self.breaches.extend(breach.map(|breach| format!("{conn:?}: {breach}")));
            if line.unit.is_none() {
                line.began = self.now;
            }
            if let Some(number) = line.awaited.back().and_then(|mark| mark.number) {
                trail_of(&mut self.trails, number).written += 1;
            }
        }
        written.drain(..start);
        line.written = written;
    }

    fn delivered(&mut self, conn: ConnId, bytes: &[u8]) {
        let Monitor { now, lines, trails, coverage, lessons, moves, heard, traces_since, .. } = self;
        let line = lines.entry(conn).or_insert_with(Line::new);
        line.heard.extend_from_slice(bytes);
        let mut start = 0;
        while let Ok(Scan::Complete(frame)) = line.scanner.scan(&line.heard[start..]) {
            let reply = &line.heard[start..start + frame.len];
            trace(*traces_since, *now, || format!("{conn:?} < {:.80}", shown(reply)));
            start += frame.len;
            if frame.kind == FrameKind::Push {
                continue;
            }
            let place = match line.answered {
                0 => Place::Head,
                _ if line.awaited.len() <= 1 => Place::Tail,
                _ => Place::Middle,
            };
            let mark = line.awaited.pop_front();
            let place = match mark {
                Some(Mark { shape: shape @ (Shape::WithinMulti | Shape::Exec), .. }) => {
                    place_of_unit(&mut line.unit_is_first, &line.awaited, shape, place)
                }
                _ => place,
            };
            line.answered = if line.awaited.is_empty() { 0 } else { line.answered + 1 };
            if let (true, Some(mark), [b'-', text @ ..]) = (line.is_greeted, mark, reply) {
                let is_refusal = coverage.refusal(text, place, mark.shape);
                let is_redirect = text.starts_with(b"MOVED") || text.starts_with(b"ASK");
                if let Some(number) = mark.number.or(mark.within).filter(|_| is_refusal) {
                    trail_of(trails, number).refused_last = Some(*now);
                }
                // A unit is redirected once, where the first that is refused of it is, and only when EXEC has been answered.
                if mark.within.is_some() {
                    line.unit_refusal.get_or_insert(is_redirect);
                } else if let Some(number) = mark.number
                    && line.unit_refusal.unwrap_or(is_redirect)
                {
                    trail_of(trails, number).redirects.push(*now);
                }
            }
            if mark.is_some_and(|mark| mark.within.is_none()) {
                line.unit_refusal = None;
            }
            line.is_greeted |= !reply.starts_with(b"-");
            line.allows_multi |= mark.is_some_and(|mark| mark.is_multi()) && reply.starts_with(b"+OK");
            if let Some((slot, port)) = moved(reply) {
                moves.push(Move { at: *now, slot, port });
                if mark.is_some_and(|mark| mark.teaches) {
                    lessons.insert(slot, Lesson { at: *now, port });
                }
            }
            if let Some(asked) = mark.and_then(|mark| mark.asks_view) {
                lessons.retain(|_, lesson| lesson.at >= asked);
                if reply.starts_with(b"*") {
                    *heard = Some(Heard { asked, source: line.port, frame: reply.to_vec() });
                }
            }
        }
        line.heard.drain(..start);
    }

    fn ended(&mut self, conn: ConnId) {
        let Some(line) = self.lines.remove(&conn) else { return };
        match line.unit.filter(|_| !line.allows_multi) {
            Some(Some(number)) => trail_of(&mut self.trails, number).was_cut = true,
            Some(None) if !line.written.is_empty() => self.cuts.push(self.now),
            _ => {}
        }
        let is_begun = !matches!(line.heard.first(), None | Some(b'-' | b'!' | b'>' | b'|'));
        if let (true, Some(Mark { number: Some(number), .. })) = (is_begun, line.awaited.front()) {
            trail_of(&mut self.trails, *number).was_begun = Some(self.now);
        }
    }
}

impl Line {
    /// The client has written a command to a node although another had been named since, and nothing newer is known.
    fn relapse(&self, words: &[&[u8]], port: u16, lessons: &BTreeMap<u16, Lesson>) -> Option<String> {
        let slot = slot_of(words.get(1)?);
        let lesson = lessons.get(&slot).filter(|_| is_keyed(words[0]) && !self.is_asking)?;
        (lesson.port != port && lesson.at < self.began).then(|| {
            let known = lesson.port;
            format!("a command of slot {slot} was sent to {port}, {known} had been named")
        })
    }

    /// The client has written a command. Answers what is wrong with that.
    fn on_command(&mut self, words: &[&[u8]], now: Timestamp) -> Option<String> {
        let name = words.first()?.to_ascii_uppercase();
        let asks_view = name == b"CLUSTER" && words.get(1).is_some_and(|word| *word != b"MYID");
        let several_keys = matches!(name.as_slice(), b"MSET" | b"EXISTS" | b"MGET");
        let teaches = is_keyed(&name) || name == b"EXEC";
        let name = String::from_utf8_lossy(&name).into_owned();
        let is_greeting = matches!(name.as_str(), "HELLO" | "AUTH" | "CLIENT" | "READONLY")
            || (name == "CLUSTER" && words.get(1) == Some(&b"MYID".as_slice()));
        let number = number_of(words);
        let was_unit = self.unit;
        self.unit = match (name.as_str(), was_unit) {
            ("MULTI", _) => Some(None),
            ("EXEC", _) => None,
            (_, Some(before)) => Some(before.or(number)),
            (_, None) => None,
        };
        let within = self.unit.flatten();
        let is_unit = self.unit.is_some() || name == "EXEC";
        self.awaited.push_back(Mark {
            shape: match name.as_str() {
                "EXEC" => Shape::Exec,
                _ if is_unit => Shape::WithinMulti,
                _ if several_keys => Shape::SeveralKeys,
                _ => Shape::OneKey,
            },
            greets: is_greeting,
            teaches,
            asks_view: asks_view.then_some(now),
            number: if name == "EXEC" { was_unit.flatten() } else { number.filter(|_| within.is_none()) },
            within,
        });
        if was_unit.is_some() && name != "EXEC" && (number.is_none() || number != within) {
            return Some(format!("{name} stands within a unit"));
        }
        // The server keeps the flag that ASKING sets until EXEC.
        let keeps_asking = self.is_asking && self.unit.is_some();
        let was_asking = std::mem::replace(&mut self.is_asking, name == "ASKING" || keeps_asking);
        if !is_greeting && !self.is_greeted {
            return Some(format!("{name} was written before the handshake was verified"));
        }
        let is_callers = !is_greeting && name != "ASKING" && name != "CLUSTER";
        (was_asking && !is_callers).then(|| format!("{name} stands behind ASKING"))
    }
}

/// Where the whole of a unit stands among all that awaits its reply, as one of its replies comes.
fn place_of_unit(is_first: &mut bool, awaited: &VecDeque<Mark>, shape: Shape, place: Place) -> Place {
    let leads = *is_first || place == Place::Head;
    *is_first = leads && shape != Shape::Exec;
    let rest = awaited.iter().skip_while(|mark| mark.shape == Shape::WithinMulti);
    let behind = rest.skip(usize::from(shape == Shape::WithinMulti)).count();
    match (leads, behind) {
        (true, _) => Place::Head,
        (false, 0) => Place::Tail,
        (false, _) => Place::Middle,
    }
}

fn trace(since: Option<Timestamp>, now: Timestamp, text: impl FnOnce() -> String) {
    if let Some(since) = since {
        let micros = now.since(since).as_micros();
        println!("{:>9}.{:03} ms  {}", micros / 1000, micros % 1000, text());
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The slot and the port of a MOVED.
fn moved(reply: &[u8]) -> Option<(u16, u16)> {
    let text = std::str::from_utf8(reply.strip_prefix(b"-MOVED ")?).ok()?.trim_end();
    let (slot, address) = text.split_once(' ')?;
    Some((slot.parse().ok()?, address.rsplit(':').next()?.parse().ok()?))
}

/// Of those that go where their slot belongs, not where a caller says.
fn is_keyed(name: &[u8]) -> bool {
    [b"RPUSH".as_slice(), b"APPEND", b"SET", b"MSET", b"LRANGE", b"GETRANGE", b"EXISTS", b"MGET", b"UNHEARD"]
        .contains(&name)
}
