//! Random commands on both ends of a slot that migrates.

use panpipe::slot::slot_of;

use super::cluster_pair::ClusterPair;
use super::random::Random;
use super::wire::{Frame, Words, words};
use crate::servers::Version;

/// Commands between two steps of a migration.
const TRAFFIC: usize = 30;

/// Random commands on a few keys of three slots.
pub(crate) struct Traffic {
    random: Random,
    tags: Vec<String>,
}

impl Traffic {
    pub(crate) fn new(seed: u64, pair: &ClusterPair) -> Traffic {
        let owned_by = |node: usize, skipped: usize| {
            let tags = (0..).map(|i| format!("{{t{i}}}"));
            let mut owned = tags.filter(|tag| pair.model.owner(slot_of(tag.as_bytes())) == Some(node));
            owned.nth(skipped).expect("some tag fits")
        };
        let tags = vec![owned_by(0, 0), owned_by(0, 1), owned_by(1, 0)];
        Traffic { random: Random::new(seed), tags }
    }

    fn tag(&mut self) -> String {
        // Mostly the first: its slot is the one that migrates most of the time.
        let at = if self.random.one_in(2) { 0 } else { self.random.below(3) };
        self.tags[at].clone()
    }

    fn command(&mut self, port_of_other: u16) -> Words {
        let (tag, other_tag) = (self.tag(), self.tag());
        let slot = slot_of(tag.as_bytes());
        let keys: Vec<String> = (0..3).map(|_| format!("{tag}{}", self.random.below(5))).collect();
        let [a, b, c] = &keys[..] else { unreachable!("three keys were made") };
        let line = match self.random.below(26) {
            0..3 => format!("get {a}"),
            3..5 => format!("set {a} {}", self.random.below(100)),
            5 => format!("incr {a}"),
            6 => format!("del {a}"),
            7 => format!("mget {a} {b}"),
            8 => format!("mset {a} 1 {b} 2"),
            9 => format!("exists {a} {b} {c}"),
            10 => format!("del {a} {b}"),
            11 => format!("mget {a} {other_tag}1"),
            12..16 => "asking".to_owned(),
            16 => "readonly".to_owned(),
            17 => "multi".to_owned(),
            18 => "exec".to_owned(),
            19 => "ping".to_owned(),
            20 => format!("rename {a} {b}"),
            21 => format!("cluster countkeysinslot {slot}"),
            22 => format!("cluster getkeysinslot {slot} 100"),
            23 => format!("migrate 127.0.0.1 {port_of_other} {a} 0 5000"),
            24 => format!("migrate 127.0.0.1 {port_of_other}  0 5000 replace keys {a} {b}"),
            _ => "discard".to_owned(),
        };
        words(&line)
    }

    fn run(&mut self, pair: &mut ClusterPair, commands: usize) {
        let ports: Vec<u16> = (0..2).map(|node| pair.model.node(node).port()).collect();
        let mut in_transaction = [false; 2];
        for _ in 0..commands {
            let node = self.random.below(2);
            let command = self.command(ports[1 - node]);
            // It judges what is queued at EXEC.
            if pair.version == Version::Valkey91 && command[0] == b"multi" {
                continue;
            }
            in_transaction[node] = match command[0].as_slice() {
                b"multi" => true,
                b"exec" | b"discard" => false,
                _ => in_transaction[node],
            };
            // Its reply is in no order, and EXEC's is compared as it is.
            if in_transaction[node] && command.iter().any(|word| word == b"getkeysinslot") {
                continue;
            }
            pair.compare(node, &command);
        }
        // No transaction stays open: what follows is meant to be executed.
        for node in 0..2 {
            pair.compare(node, &words("discard"));
        }
    }

    /// One slot goes to the other node, or stays in the end.
    pub(crate) fn migrate(&mut self, pair: &mut ClusterPair) {
        let slot = slot_of(self.tag().as_bytes());
        let from = pair.model.owner(slot).expect("every slot has an owner");
        let to = 1 - from;
        self.run(pair, TRAFFIC);
        pair.compare(to, &words(&format!("cluster setslot {slot} importing @{from}")));
        self.run(pair, TRAFFIC);
        pair.compare(from, &words(&format!("cluster setslot {slot} migrating @{to}")));
        self.run(pair, 3 * TRAFFIC);
        // A new owner is refused while there are keys.
        pair.compare(from, &words(&format!("cluster setslot {slot} node @{to}")));
        if self.random.one_in(4) {
            pair.compare(from, &words(&format!("cluster setslot {slot} stable")));
            self.run(pair, TRAFFIC);
            pair.compare(to, &words(&format!("cluster setslot {slot} stable")));
            return;
        }
        self.move_rest(pair, slot, from, to);
        pair.compare(to, &words(&format!("cluster setslot {slot} node @{to}")));
        pair.wait_owner(slot, to);
        pair.compare(from, &words(&format!("cluster setslot {slot} node @{to}")));
        self.run(pair, TRAFFIC);
        let (real, model) = pair.nodes_lines(from);
        assert_eq!(real, model);
    }

    fn move_rest(&mut self, pair: &mut ClusterPair, slot: u16, from: usize, to: usize) {
        let reply = pair.compare(from, &words(&format!("cluster getkeysinslot {slot} 100")));
        let (keys, _) = Frame::parse(&reply).expect("a whole reply");
        let port = pair.model.node(to).port();
        let mut command = words(&format!("migrate 127.0.0.1 {port}  0 5000 replace keys"));
        command.extend(keys.elements.into_iter().map(|key| key.payload));
        pair.compare(from, &command);
    }
}
