//! Reads along on every connection: what the client writes, and what it is told.
//!
//! Knows which commands of a connection await their reply, so it sees what the client may not do (write a caller's bytes before the
//! handshake is verified, put something between ASKING and its command) and where in a window of commands a refusal falls.

use std::collections::{BTreeMap, VecDeque};

use panpipe::config::FrameLimits;
use panpipe::engine::ConnId;
use panpipe::resp::{FrameKind, Scan, Scanner};
use panpipe::testkit::Tap;

use crate::coverage::{Coverage, Place};

/// A command on its way or at its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    several_keys: bool,
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
    /// Replies since nothing was awaited last.
    answered: u32,
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
            answered: 0,
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    lines: BTreeMap<ConnId, Line>,
    /// What the client should not have done.
    pub(crate) breaches: Vec<String>,
    pub(crate) coverage: Coverage,
}

impl Monitor {
    /// Whether the handshake's first reply has come: from then on replies may be in RESP3.
    pub(crate) fn is_greeted(&self, conn: ConnId) -> bool {
        self.lines.get(&conn).is_some_and(|line| line.is_greeted)
    }

    /// Whether nothing that was written on this connection awaits a reply.
    pub(crate) fn is_idle(&self, conn: ConnId) -> bool {
        self.lines.get(&conn).is_some_and(|line| {
            line.awaited.is_empty() && line.written.is_empty() && line.heard.is_empty() && line.is_greeted
        })
    }
}

impl Tap for Monitor {
    fn sent(&mut self, conn: ConnId, _node: usize, bytes: &[u8]) {
        let line = self.lines.entry(conn).or_insert_with(Line::new);
        let mut written = std::mem::take(&mut line.written);
        written.extend_from_slice(bytes);
        let mut start = 0;
        while let Some((words, length)) = first_words(&written[start..]) {
            start += length;
            let breach = line.on_command(&words);
            self.breaches.extend(breach.map(|breach| format!("{conn:?}: {breach}")));
        }
        written.drain(..start);
        line.written = written;
    }

    fn delivered(&mut self, conn: ConnId, bytes: &[u8]) {
        let line = self.lines.entry(conn).or_insert_with(Line::new);
        line.heard.extend_from_slice(bytes);
        let mut start = 0;
        while let Ok(Scan::Complete(frame)) = line.scanner.scan(&line.heard[start..]) {
            let reply = &line.heard[start..start + frame.len];
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
            line.answered = if line.awaited.is_empty() { 0 } else { line.answered + 1 };
            if let (true, Some(mark), [b'-', text @ ..]) = (line.is_greeted, mark, reply) {
                self.coverage.refusal(text, place, mark.several_keys);
            }
            line.is_greeted |= !reply.starts_with(b"-");
        }
        line.heard.drain(..start);
    }

    fn ended(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
    }
}

impl Line {
    /// The client has written a command. Answers what is wrong with that.
    fn on_command(&mut self, words: &[&[u8]; 3]) -> Option<String> {
        let name = words[0].to_ascii_uppercase();
        let mark = Mark { several_keys: matches!(name.as_slice(), b"MSET" | b"EXISTS" | b"MGET") };
        self.awaited.push_back(mark);
        let name = String::from_utf8_lossy(&name).into_owned();
        let is_greeting = matches!(name.as_str(), "HELLO" | "AUTH" | "CLIENT" | "READONLY")
            || (name == "CLUSTER" && words[1] == b"MYID");
        let was_asking = std::mem::replace(&mut self.is_asking, name == "ASKING");
        if !is_greeting && !self.is_greeted {
            return Some(format!("{name} was written before the handshake was verified"));
        }
        let is_callers = !is_greeting && name != "ASKING" && name != "CLUSTER";
        (was_asking && !is_callers).then(|| format!("{name} stands behind ASKING"))
    }
}

/// The first words of the command at the front, and its length; none where it is not whole.
fn first_words(bytes: &[u8]) -> Option<([&[u8]; 3], usize)> {
    let mut at = 0;
    let count = number(bytes, b'*', &mut at)?;
    let mut words: [&[u8]; 3] = [b""; 3];
    for n in 0..count {
        let length = number(bytes, b'$', &mut at)?;
        let word = bytes.get(at..at + length)?;
        at += length + 2;
        if let Some(place) = words.get_mut(n) {
            *place = word;
        }
    }
    (at <= bytes.len()).then_some((words, at))
}

fn number(bytes: &[u8], mark: u8, at: &mut usize) -> Option<usize> {
    let line = bytes.get(*at..)?;
    let end = line.iter().position(|&byte| byte == b'\r').filter(|end| end + 1 < line.len())?;
    assert_eq!(line[0], mark, "not a command: {}", line.escape_ascii());
    *at += end + 2;
    std::str::from_utf8(&line[1..end]).ok()?.parse().ok()
}
