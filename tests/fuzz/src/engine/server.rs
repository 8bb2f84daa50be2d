//! What servers answer: reads commands off a connection's bytes, and writes replies of every kind.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::LazyLock;

use panpipe::engine::ConnId;

use crate::input::Input;

/// What a command is, as far as its replies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    /// Answered `OK` by servers that know it.
    Setting,
    NodeId,
    Topology,
    /// CLUSTER INFO and CLUSTER NODES.
    Info,
    Nodes,
    /// ECHO, and what is to come back.
    Echo([u8; 16]),
    Asking,
    Multi,
    Exec,
    /// Of a caller: with this number, about this slot.
    User {
        number: u32,
        slot: u16,
    },
    Ping {
        number: u32,
    },
    /// Answered with an integer: over several keys, or nodes.
    Sum,
}

/// One connection, as the network and the server see it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) conn: ConnId,
    pub(super) port: u16,
    /// The engine has named it since it had nothing to write.
    pub(super) writable: bool,
    /// Bytes of a command that is not whole.
    inbox: Vec<u8>,
    /// Commands without an answer.
    pub(super) owed: VecDeque<Kind>,
    /// Bytes for the client.
    pub(super) outbox: Vec<u8>,
    /// The transaction that MULTI has begun and EXEC has not ended.
    transaction: Option<Transaction>,
}

#[derive(Debug, Default)]
struct Transaction {
    /// Numbers of the commands that wait for EXEC, and the slot of the last.
    queued: Vec<u32>,
    slot: u16,
    was_refused: bool,
}

impl Socket {
    pub(super) fn new(conn: ConnId, port: u16) -> Self {
        let (inbox, owed, outbox, transaction) = Default::default();
        Socket { conn, port, writable: false, inbox, owed, outbox, transaction }
    }

    /// Bytes that no command accounts for yet.
    pub(super) fn unread(&self) -> usize {
        self.inbox.len()
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((kind, len)) = parse(&self.inbox[at..]) {
            self.owed.push_back(kind);
            at += len;
        }
        self.inbox.drain(..at);
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
    }

    /// The honest answer to the oldest command. Answers false where there is none.
    pub(super) fn answer(&mut self) -> bool {
        let Some(kind) = self.owed.pop_front() else { return false };
        let reply: Cow<'_, str> = match kind {
            Kind::Hello => "%3\r\n+proto\r\n:3\r\n+id\r\n:7\r\n+mode\r\n+cluster\r\n".into(),
            Kind::Setting | Kind::Asking => "+OK\r\n".into(),
            Kind::NodeId => format!("$40\r\n{:040}\r\n", self.port).into(),
            Kind::Topology => THIRDS_VIEW.as_str().into(),
            Kind::Info => bulk("cluster_enabled:1\r\ncluster_state:ok\r\n").into(),
            Kind::Nodes => bulk(&nodes(&THIRDS, self.port)).into(),
            Kind::Echo(nonce) => bulk(&String::from_utf8_lossy(&nonce)).into(),
            Kind::Multi => {
                self.transaction = Some(Transaction::default());
                "+OK\r\n".into()
            }
            Kind::Exec => self.run().into(),
            Kind::User { number, slot } if self.is_in_transaction() => {
                self.queue(number, slot);
                "+QUEUED\r\n".into()
            }
            Kind::User { number, .. } | Kind::Ping { number } => format!(":{number}\r\n").into(),
            Kind::Sum => ":1\r\n".into(),
        };
        self.send(reply.as_bytes());
        true
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    fn queue(&mut self, number: u32, slot: u16) {
        if let Some(transaction) = &mut self.transaction {
            transaction.queued.push(number);
            transaction.slot = slot;
        }
    }

    /// A command is about to be refused: what waits for EXEC will not run.
    pub(super) fn note_refusal(&mut self, slot: u16) {
        if let Some(transaction) = &mut self.transaction {
            (transaction.was_refused, transaction.slot) = (true, slot);
        }
    }

    /// The reply to EXEC, which ends the transaction.
    fn run(&mut self) -> String {
        match self.transaction.take() {
            None => "-ERR EXEC without MULTI\r\n".to_owned(),
            Some(transaction) if transaction.was_refused => {
                "-EXECABORT Transaction discarded because of previous errors.\r\n".to_owned()
            }
            Some(transaction) => {
                let replies: String =
                    transaction.queued.iter().map(|number| format!(":{number}\r\n")).collect();
                format!("*{}\r\n{replies}", transaction.queued.len())
            }
        }
    }

    /// EXEC is refused for itself: by slot as any command, else in words of its own.
    pub(super) fn refuse_exec(&mut self, input: &mut Input<'_>) -> String {
        let Some(transaction) = self.transaction.take().filter(|transaction| !transaction.was_refused) else {
            return "-EXECABORT Transaction discarded because of previous errors.\r\n".to_owned();
        };
        let refusal = error(transaction.slot, input);
        let is_by_slot =
            ["-MOVED", "-ASK", "-TRYAGAIN", "-CLUSTERDOWN"].iter().any(|code| refusal.starts_with(code));
        if is_by_slot {
            return refusal;
        }
        format!("-EXECABORT Transaction discarded because of: {}", refusal.trim_start_matches('-'))
    }
}

/// The view that all begin with.
const THIRDS: [(u16, u16, u16); 3] = [(0, 5460, 1), (5461, 10922, 2), (10923, 16383, 3)];
/// Told often, and so written once.
static THIRDS_VIEW: LazyLock<String> = LazyLock::new(|| view(&THIRDS));

/// The reply to CLUSTER SLOTS: ranges and the port of their primary.
pub(super) fn view(ranges: &[(u16, u16, u16)]) -> String {
    let mut reply = format!("*{}\r\n", ranges.len());
    for (start, end, port) in ranges {
        reply += &format!("*3\r\n:{start}\r\n:{end}\r\n*3\r\n$1\r\nh\r\n:{port}\r\n$40\r\n{port:040}\r\n");
    }
    reply
}

/// The reply to CLUSTER NODES.
pub(super) fn nodes(ranges: &[(u16, u16, u16)], myself: u16) -> String {
    let line = |(start, end, port): &(u16, u16, u16)| {
        let flags = if *port == myself { "myself,master" } else { "master" };
        format!("{port:040} h:{port}@{port}7 {flags} - 0 0 {port} connected {start}-{end}\n")
    };
    ranges.iter().map(line).collect()
}

pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// One command off the front of the bytes: the engine writes nothing but whole arrays of bulk strings, one behind the other.
fn parse(bytes: &[u8]) -> Option<(Kind, usize)> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| {
        let line = bytes.get(*at..)?;
        let end = line.iter().position(|&byte| byte == b'\r')?;
        assert_eq!(line[0], mark, "the stream is out of step: {}", line.escape_ascii());
        line.get(end + 1)?;
        *at += end + 2;
        Some(decimal(&line[1..end]).expect("a length"))
    };
    let count = number(b'*', &mut at)?;
    let (mut first, mut second, mut last) = (&b""[..], &b""[..], &b""[..]);
    for n in 0..count {
        let len = number(b'$', &mut at)? as usize;
        last = bytes.get(at..at + len)?;
        assert_eq!(bytes.get(at + len..at + len + 2)?, b"\r\n", "a word without an end");
        match n {
            0 => first = last,
            1 => second = last,
            _ => {}
        }
        at += len + 2;
    }
    let number = || decimal(last).expect("a caller's command ends with its number");
    let kind = match (first, second) {
        (b"HELLO", _) => Kind::Hello,
        (b"CLIENT" | b"AUTH", _) => Kind::Setting,
        (b"CLUSTER", b"MYID") => Kind::NodeId,
        (b"CLUSTER", b"INFO") => Kind::Info,
        (b"CLUSTER", b"NODES") => Kind::Nodes,
        (b"CLUSTER", b"SLOTS") => Kind::Topology,
        (b"ECHO", nonce) => Kind::Echo(nonce.try_into().expect("16 bytes")),
        (b"ASKING", _) => Kind::Asking,
        (b"MULTI", _) => Kind::Multi,
        (b"EXEC", _) => Kind::Exec,
        (b"PING", _) => Kind::Ping { number: number() },
        (b"EXISTS" | b"DBSIZE", _) => Kind::Sum,
        (b"GET" | b"SET" | b"RENAME", key) => {
            Kind::User { number: number(), slot: panpipe::slot::slot_of(key) }
        }
        (name, _) => panic!("nobody asked for {}", name.escape_ascii()),
    };
    Some((kind, at))
}

fn decimal(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A rejection or another error, in the server's words; of a redirect the target is chosen.
pub(super) fn error(slot: u16, input: &mut Input<'_>) -> String {
    let port = 1 + input.byte() % 5;
    match input.below(16) {
        0..=4 => format!("-MOVED {slot} h:{port}\r\n"),
        5..=7 => format!("-ASK {slot} h:{port}\r\n"),
        8 => "-TRYAGAIN Multiple keys request during rehashing of slot\r\n".to_owned(),
        9 => "-CLUSTERDOWN The cluster is down\r\n".to_owned(),
        10 => "-LOADING Redis is loading the dataset in memory\r\n".to_owned(),
        11 => "-READONLY You can't write against a read only replica.\r\n".to_owned(),
        12 => {
            "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n".to_owned()
        }
        13 => format!("-MOVED {slot} :{port}\r\n"),
        14 => format!("-MOVED {} other:{port}\r\n", slot / 2),
        _ => "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n".to_owned(),
    }
}

/// Another view than the one that all begin with.
pub(super) fn other_view(input: &mut Input<'_>) -> String {
    let port = |input: &mut Input<'_>| u16::from(1 + input.byte() % 5);
    match input.below(6) {
        0 => {
            let (a, b, c) = (port(input), port(input), port(input));
            view(&[(0, 5460, a), (5461, 10922, b), (10923, 16383, c)])
        }
        1 => view(&[(0, 16383, port(input))]),
        2 => {
            let at = input.word() % 16383;
            view(&[(0, at, port(input)), (at + 1, 16383, port(input))])
        }
        3 => view(&[(0, 5460, port(input)), (10923, 16383, port(input))]),
        4 => "*0\r\n".to_owned(),
        _ => "-ERR This instance has cluster support disabled\r\n".to_owned(),
    }
}

/// What a witness says that is not what the others say.
pub(super) fn other_witness(kind: Kind, input: &mut Input<'_>) -> String {
    let port = |input: &mut Input<'_>| u16::from(1 + input.byte() % 5);
    match (kind, input.below(4)) {
        (_, 0) => "-NOPERM this user has no permissions\r\n".to_owned(),
        (Kind::Info, 1) => bulk("cluster_state:fail\r\n"),
        (Kind::Info, _) => bulk("cluster_known_nodes:3\r\n"),
        (_, 1) => bulk("nothing"),
        (_, 2) => bulk(&nodes(&[(0, 16383, port(input))], port(input))),
        _ => bulk(&nodes(&[(0, 5460, port(input)), (5461, 10922, port(input))], port(input))),
    }
}

/// A reply to the handshake that is none of the usual.
pub(super) fn odd_handshake(kind: Kind, input: &mut Input<'_>) -> &'static str {
    match (kind, input.below(6)) {
        (Kind::Hello, 0) => "-ERR unknown command 'HELLO'\r\n",
        (Kind::Hello, 1) => "%2\r\n+proto\r\n:3\r\n+mode\r\n+standalone\r\n",
        (Kind::Hello, 2) => "-NOAUTH HELLO must be called with the client already authenticated\r\n",
        (Kind::Setting, 0) => "-ERR No such client\r\n",
        (_, 3) => "-LOADING Redis is loading the dataset in memory\r\n",
        (_, 4) => "-ERR max number of clients reached\r\n",
        (_, 5) => "-NOPERM this user has no permissions\r\n",
        _ => "-ERR unknown subcommand\r\n",
    }
}
