//! Three servers that behave: slots change hands and migrate key by key, every node has its own idea of who owns what, and a write
//! appends its number to its key's log. The log is the truth that the random test holds results against.

use std::collections::VecDeque;

use super::{A, B, C, key_of};
use crate::engine::rng::Rng;
use crate::slot::slot_of;

pub(super) const PORTS: [u16; 3] = [A, B, C];
pub(super) const REJECTIONS: [&str; 4] = [
    "CLUSTERDOWN Hash slot not served",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
];
const TRYAGAIN: &str = REJECTIONS[3];

pub(super) struct Key {
    pub(super) name: String,
    /// It lies on the importing node already.
    moved: bool,
    /// Numbers of the appends that ran.
    pub(super) log: Vec<u32>,
}

pub(super) struct Slot {
    number: u16,
    /// Who runs its commands; nobody while it is handed over.
    authority: Option<u16>,
    /// Who takes over.
    heir: u16,
    importing: Option<u16>,
    /// What each node believes, by place in `PORTS`.
    beliefs: [u16; 3],
    pub(super) keys: Vec<Key>,
}

/// A connection as a server sees it.
#[derive(Default)]
pub(super) struct Socket {
    pub(super) port: u16,
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: VecDeque<u8>,
    asking: bool,
    /// Neither reads nor answers.
    pub(super) hung: bool,
}

pub(super) struct Cluster {
    pub(super) slots: Vec<Slot>,
    /// Config epochs; whoever takes a slot over gets the highest.
    epochs: [u64; 3],
    /// Nodes that refuse connections.
    pub(super) down: [bool; 3],
    /// What a node answers to every command with keys.
    pub(super) moods: [Option<&'static str>; 3],
}

fn place(port: u16) -> usize {
    usize::from(port - A)
}

/// One command off the front of what has arrived: its words and its length.
pub(super) fn parse(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| {
        let line = bytes.get(*at..)?;
        let end = line.windows(2).position(|pair| pair == b"\r\n")?;
        assert_eq!(line[0], mark, "the stream is out of step: {}", line.escape_ascii());
        *at += end + 2;
        std::str::from_utf8(&line[1..end]).ok()?.parse::<usize>().ok()
    };
    let count = number(b'*', &mut at)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len = number(b'$', &mut at)?;
        let word = bytes.get(at..at + len)?;
        bytes.get(at + len..at + len + 2)?;
        words.push(String::from_utf8(word.to_vec()).expect("text"));
        at += len + 2;
    }
    Some((words, at))
}

impl Socket {
    pub(super) fn new(port: u16) -> Self {
        Socket { port, ..Socket::default() }
    }

    /// The next bytes for the client.
    pub(super) fn take_out(&mut self, limit: usize) -> Vec<u8> {
        let n = limit.min(self.outbox.len());
        self.outbox.drain(..n).collect()
    }
}

impl Cluster {
    pub(super) fn new() -> Self {
        let slot = |port: u16| {
            let tag = key_of(port, 1);
            let key = |n: u32| Key { name: format!("{tag}{n}"), moved: false, log: Vec::new() };
            let number = slot_of(tag.as_bytes());
            let keys = (0..2).map(key).collect();
            Slot { number, authority: Some(port), heir: port, importing: None, beliefs: [port; 3], keys }
        };
        Cluster {
            slots: PORTS.into_iter().map(slot).collect(),
            epochs: [1, 2, 3],
            down: [false; 3],
            moods: [None; 3],
        }
    }

    pub(super) fn is_down(&self, port: u16) -> bool {
        self.down[place(port)]
    }

    /// Serves the oldest command of a connection. Answers false where there is none.
    pub(super) fn serve(&mut self, socket: &mut Socket) -> bool {
        let Some((words, len)) = parse(&socket.inbox).filter(|_| !socket.hung) else { return false };
        socket.inbox.drain(..len);
        let asking = std::mem::take(&mut socket.asking);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reply = match words[..] {
            ["HELLO", ..] => "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n".to_owned(),
            ["CLIENT", ..] => "+OK\r\n".to_owned(),
            ["CLUSTER", "MYID"] => format!("$40\r\n{:040}\r\n", socket.port),
            ["CLUSTER", "SLOTS"] => super::slots_reply(&self.view_of(socket.port)),
            ["CLUSTER", "INFO"] => bulk("cluster_state:ok\r\n".to_owned()),
            ["CLUSTER", "NODES"] => {
                super::nodes_reply(&self.view_of(socket.port), |port| self.epochs[place(port)])
            }
            ["ASKING"] => {
                socket.asking = true;
                "+OK\r\n".to_owned()
            }
            ["ECHO", text] => bulk(text.to_owned()),
            ["PING", number] => bulk(format!("{number}:0:")),
            _ => {
                let keys = if words[0] == "EXISTS" { &words[1..] } else { &words[1..2] };
                match self.rejection(socket.port, keys, asking) {
                    None => self.run(&words),
                    Some(text) => format!("-{text}\r\n"),
                }
            }
        };
        socket.outbox.extend(reply.into_bytes());
        true
    }

    fn slot_of_key(&self, key: &str) -> usize {
        let number = slot_of(key.as_bytes());
        self.slots.iter().position(|slot| slot.number == number).expect("a key of the model")
    }

    fn rejection(&self, port: u16, keys: &[&str], asking: bool) -> Option<String> {
        if let Some(mood) = self.moods[place(port)] {
            return Some(mood.to_owned());
        }
        let slot = &self.slots[self.slot_of_key(keys[0])];
        let number = slot.number;
        let moved = slot.keys.iter().filter(|key| key.moved && keys.contains(&key.name.as_str())).count();
        if slot.authority == Some(port) {
            return match slot.importing {
                Some(target) if moved == keys.len() => Some(format!("ASK {number} h:{target}")),
                Some(_) if moved > 0 => Some(TRYAGAIN.to_owned()),
                _ => None,
            };
        }
        if asking && slot.authority.is_some() && slot.importing == Some(port) {
            return (moved < keys.len()).then(|| TRYAGAIN.to_owned());
        }
        Some(format!("MOVED {number} h:{}", slot.beliefs[place(port)]))
    }

    fn run(&mut self, words: &[&str]) -> String {
        if words[0] == "EXISTS" {
            return format!(":{}\r\n", words.len() - 1);
        }
        let slot = self.slot_of_key(words[1]);
        let key =
            self.slots[slot].keys.iter_mut().find(|key| key.name == words[1]).expect("a key of the model");
        let number: u32 = words[2].parse().expect("a number");
        if words[0] == "RPUSH" {
            key.log.push(number);
        }
        let padding = if number % 61 == 7 { 17 << 10 } else { 0 };
        bulk(format!("{number}:{}:{}", key.log.len(), "x".repeat(padding)))
    }

    fn view_of(&self, port: u16) -> Vec<(u16, u16, u16)> {
        let mut ranges = Vec::new();
        for (start, end, owner) in super::THIRDS {
            let slot = &self.slots[place(owner)];
            ranges.push((start, slot.number - 1, owner));
            ranges.push((slot.number, slot.number, slot.beliefs[place(port)]));
            ranges.push((slot.number + 1, end, owner));
        }
        ranges
    }

    /// One step of a migration, a hand-over, or the spreading of news.
    pub(super) fn evolve(&mut self, rng: &mut Rng) {
        let highest = self.epochs.iter().max().map_or(1, |epoch| epoch + 1);
        let slot = &mut self.slots[rng.below(3) as usize];
        let other = PORTS[rng.below(3) as usize];
        let key = rng.below(2) as usize;
        let Some(authority) = slot.authority else {
            // The heir hears that the slot is its own.
            slot.authority = Some(slot.heir);
            slot.beliefs[place(slot.heir)] = slot.heir;
            self.epochs[place(slot.heir)] = highest;
            return;
        };
        match (rng.below(7), slot.importing) {
            (0..=2, None) if other != authority => slot.importing = Some(other),
            (0..=2, Some(_)) => slot.keys[key].moved = true,
            (3, Some(target)) if slot.keys.iter().all(|key| key.moved) => slot.hand_over(authority, target),
            (3, None) if other != authority => slot.hand_over(authority, other),
            (4, Some(_)) => match slot.keys.iter().position(|key| key.moved) {
                Some(back) => slot.keys[back].moved = false,
                None => slot.importing = None,
            },
            // It takes itself for the owner: it names itself, and runs nothing.
            (6, _) if other != authority => slot.beliefs[place(other)] = other,
            _ if other != authority => slot.beliefs[place(other)] = authority,
            _ => {}
        }
    }

    /// Everything is as it should be.
    pub(super) fn heal(&mut self) {
        self.down = [false; 3];
        self.moods = [None; 3];
        for slot in &mut self.slots {
            let authority = slot.authority.unwrap_or(slot.heir);
            slot.authority = Some(authority);
            slot.beliefs = [authority; 3];
            slot.importing = None;
            slot.keys.iter_mut().for_each(|key| key.moved = false);
        }
    }
}

impl Slot {
    /// The old owner names the heir; the heir does not know yet.
    fn hand_over(&mut self, from: u16, to: u16) {
        self.authority = None;
        self.heir = to;
        self.importing = None;
        self.beliefs[place(from)] = to;
        self.keys.iter_mut().for_each(|key| key.moved = false);
    }
}

fn bulk(text: String) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
