//! Two servers and a slot between them, small enough to try everything: the slot migrates key by key or is handed over at once, and at a
//! hand-over the old owner knows first.

use std::collections::VecDeque;
use std::hash::Hash;

use crate::engine::tests::model::parse;
use crate::engine::tests::{A, B, slots_reply};

/// A slot that B owns all the time.
pub(super) const OF_B: u16 = 16000;
const TRYAGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
const CLUSTERDOWN: &str = "-CLUSTERDOWN Hash slot not served\r\n";

/// What the cluster may do, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Begin,
    MoveKey(usize),
    MoveBack(usize),
    /// All keys are at the target: the source gives the slot up.
    Finish,
    /// All at once, without a migration.
    HandOver,
    /// The new owner hears that it is.
    Learn,
}

/// A connection as its server sees it.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Wire {
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: VecDeque<Vec<u8>>,
    asking: bool,
}

#[derive(Debug, Clone, Hash)]
pub(super) struct World {
    slot: u16,
    keys: [String; 2],
    /// Nobody while the slot is handed over.
    owner: Option<u16>,
    heir: u16,
    importing: bool,
    moved: [bool; 2],
    /// Whom A and B take for the owner.
    beliefs: [u16; 2],
    /// Numbers of the writes that ran, by key.
    pub(super) logs: [Vec<u32>; 2],
    /// To A and to B.
    pub(super) wires: [Wire; 2],
    epochs: [u64; 2],
    /// The cluster does nothing new any more.
    pub(super) is_calm: bool,
}

pub(super) fn place(port: u16) -> usize {
    usize::from(port - A)
}

fn other(port: u16) -> u16 {
    if port == A { B } else { A }
}

impl World {
    pub(super) fn new(slot: u16, keys: [String; 2]) -> Self {
        World {
            slot,
            keys,
            owner: Some(A),
            heir: A,
            importing: false,
            moved: [false; 2],
            beliefs: [A; 2],
            logs: [Vec::new(), Vec::new()],
            wires: [Wire::default(), Wire::default()],
            epochs: [1, 2],
            is_calm: false,
        }
    }

    /// Few slots, so that a view costs little: one for each node, and the one that it is about.
    pub(super) fn ranges(slot: u16, owner: u16) -> Vec<(u16, u16, u16)> {
        vec![(0, 0, A), (slot, slot, owner), (OF_B, OF_B, B)]
    }

    /// CLUSTER NODES, as the node at this port sees it.
    fn nodes(&self, port: u16) -> String {
        let owner = self.beliefs[place(port)];
        let line = |node: u16| {
            let flags = if node == port { "myself,master" } else { "master" };
            let own = if node == A { "0".to_owned() } else { OF_B.to_string() };
            let slot = if node == owner { format!(" {}", self.slot) } else { String::new() };
            // The epoch of a node grows when it takes slots over.
            let epoch = self.epochs[place(node)];
            format!("{node:040} h:{node}@1{node} {flags} - 0 0 {epoch} connected {own}{slot}\n")
        };
        line(A) + &line(B)
    }

    /// What the cluster may do next, and whether that disturbs: what has begun goes on by itself.
    pub(super) fn changes(&self) -> Vec<(Change, bool)> {
        let Some(_) = self.owner else { return vec![(Change::Learn, false)] };
        let mut changes = Vec::new();
        if self.importing {
            match self.moved.iter().position(|moved| !moved) {
                // Which of the two goes first makes a difference to commands; the second follows.
                Some(_) if self.moved == [false; 2] => {
                    changes.extend([(Change::MoveKey(0), false), (Change::MoveKey(1), false)]);
                }
                Some(key) => changes.push((Change::MoveKey(key), false)),
                None => changes.push((Change::Finish, false)),
            }
            if let Some(key) = self.moved.iter().position(|moved| *moved) {
                changes.push((Change::MoveBack(key), true));
            }
        } else {
            changes.extend([(Change::Begin, true), (Change::HandOver, true)]);
        }
        changes
    }

    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Begin => self.importing = true,
            Change::MoveKey(key) => self.moved[key] = true,
            Change::MoveBack(key) => self.moved[key] = false,
            Change::Finish | Change::HandOver => {
                let from = self.owner.take().expect("an owner");
                self.heir = other(from);
                self.beliefs[place(from)] = self.heir;
                self.importing = false;
                self.moved = [false; 2];
            }
            Change::Learn => {
                self.epochs[place(self.heir)] = self.epochs.iter().max().copied().unwrap_or(0) + 1;
                self.owner = Some(self.heir);
                self.beliefs[place(self.heir)] = self.heir;
            }
        }
    }

    /// Nothing changes any more, and all that is begun is done.
    pub(super) fn heal(&mut self) {
        self.is_calm = true;
        if self.owner.is_none() {
            self.change(Change::Learn);
        }
        self.importing = false;
        self.moved = [false; 2];
        self.beliefs = [self.owner.expect("an owner"); 2];
    }

    /// Whether a whole command has arrived there.
    pub(super) fn can_serve(&self, port: u16) -> bool {
        parse(&self.wires[place(port)].inbox).is_some()
    }

    /// Runs the oldest command; ASKING together with the one behind it, where that has arrived.
    pub(super) fn serve(&mut self, port: u16) {
        loop {
            let wire = &mut self.wires[place(port)];
            let Some((words, len)) = parse(&wire.inbox) else { return };
            wire.inbox.drain(..len);
            let is_asking = words[0] == "ASKING";
            let reply = if is_asking {
                wire.asking = true;
                "+OK\r\n".to_owned()
            } else {
                let asking = std::mem::take(&mut wire.asking);
                self.answer(port, asking, &words)
            };
            self.wires[place(port)].outbox.push_back(reply.into_bytes());
            if !is_asking {
                return;
            }
        }
    }

    fn answer(&mut self, port: u16, asking: bool, words: &[String]) -> String {
        let (keys, number): (&[usize], usize) = match words[0].as_str() {
            "ECHO" => return format!("${}\r\n{}\r\n", words[1].len(), words[1]),
            "CLUSTER" if words[1] == "INFO" => {
                let text = "cluster_state:ok\r\n";
                return format!("${}\r\n{text}\r\n", text.len());
            }
            "CLUSTER" if words[1] == "NODES" => {
                let text = self.nodes(port);
                return format!("${}\r\n{text}\r\n", text.len());
            }
            "CLUSTER" => {
                return slots_reply(&World::ranges(self.slot, self.beliefs[place(port)]));
            }
            "MSET" => (&[0, 1], 2),
            _ if words[1] == self.keys[0] => (&[0], 2),
            _ => (&[1], 2),
        };
        if let Some(rejection) = self.rejection(port, asking, keys) {
            return rejection;
        }
        let number: u32 = words[number].parse().expect("a number");
        if words[0] == "GET" {
            let seen: Vec<String> = self.logs[keys[0]].iter().map(u32::to_string).collect();
            let text = format!("{number}:{}", seen.join(","));
            return format!("${}\r\n{text}\r\n", text.len());
        }
        for &key in keys {
            self.logs[key].push(number);
        }
        format!(":{number}\r\n")
    }

    fn rejection(&self, port: u16, asking: bool, keys: &[usize]) -> Option<String> {
        let slot = self.slot;
        let moved = keys.iter().filter(|&&key| self.moved[key]).count();
        if self.owner == Some(port) {
            return match moved {
                0 => None,
                _ if moved == keys.len() => Some(format!("-ASK {slot} h:{}\r\n", other(port))),
                _ => Some(TRYAGAIN.to_owned()),
            };
        }
        if asking && self.importing {
            return (moved < keys.len()).then(|| TRYAGAIN.to_owned());
        }
        // A node that has heard nothing names the old owner; one that names itself serves nothing yet.
        let belief = self.beliefs[place(port)];
        Some(if belief == port { CLUSTERDOWN.to_owned() } else { format!("-MOVED {slot} h:{belief}\r\n") })
    }
}
