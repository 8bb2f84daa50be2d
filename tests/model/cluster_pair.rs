//! A real cluster and a model of it, asked the same questions.
//!
//! The model gets the real nodes' ports, so redirects are equal as they are. Node ids differ: in requests `@1` stands
//! for the id of node 1, in replies ids are replaced by that.

use std::collections::BTreeSet;

use panpipe::slot::SLOT_COUNT;
use panpipe::testkit::{ModelCluster, ModelConfig, SessionId};

use super::compare::{same, shown, shown_words};
use super::peers::{Real, model_batch, unix_ms};
use super::wire::{Frame, Words};
use crate::servers::{Cluster, PATIENCE, Version, wait_until};

pub(crate) struct ClusterPair {
    pub(crate) real: Cluster,
    pub(crate) model: ModelCluster,
    connections: Vec<Real>,
    sessions: Vec<SessionId>,
    real_ids: Vec<String>,
    model_ids: Vec<String>,
    history: Vec<String>,
    compared: usize,
    /// See `newer`.
    pub(crate) version: Version,
}

impl ClusterPair {
    pub(crate) fn new(primaries: usize, replicas_per_primary: usize) -> ClusterPair {
        ClusterPair::on(Version::Redis70, primaries, replicas_per_primary)
    }

    pub(crate) fn on(version: Version, primaries: usize, replicas_per_primary: usize) -> ClusterPair {
        let real = Cluster::start(version, primaries, primaries * replicas_per_primary);
        let ports = real.nodes().iter().map(|node| node.server.port()).collect();
        let config = ModelConfig { primaries, replicas_per_primary, ports, ..ModelConfig::default() };
        let mut model = ModelCluster::new(config);
        for slot in 0..SLOT_COUNT {
            model.assign_slot(slot, real.owner_of(slot));
        }
        let count = model.nodes_len();
        let sessions = (0..count).map(|node| model.open(node, unix_ms()).expect("the model is up")).collect();
        let connections = real.nodes().iter().map(|node| Real::open(node.server.address())).collect();
        let real_ids = real.nodes().iter().map(|node| node.id.clone()).collect();
        let model_ids = (0..count).map(|node| model.node(node).id().to_owned()).collect();
        ClusterPair {
            real,
            model,
            connections,
            sessions,
            real_ids,
            model_ids,
            history: Vec::new(),
            compared: 0,
            version,
        }
    }

    pub(crate) fn compared(&self) -> usize {
        self.compared
    }

    /// Both answers of a node, with ids replaced.
    pub(crate) fn ask(&mut self, node: usize, words: &Words) -> (Vec<u8>, Vec<u8>) {
        let real = self.connections[node].call(&with_ids(words, &self.real_ids));
        let request = [with_ids(words, &self.model_ids)];
        let model = model_batch(&mut self.model, self.sessions[node], &request, unix_ms()).remove(0);
        let model = model.expect("one reply");
        self.compared += 1;
        (without_ids(&real, &self.real_ids), without_ids(&model, &self.model_ids))
    }

    /// Asks a node and insists on equal answers; the real one is returned.
    #[track_caller]
    pub(crate) fn compare(&mut self, node: usize, words: &Words) -> Vec<u8> {
        let (real, model) = self.ask(node, words);
        let asked = format!("node {node}: {}", shown_words(words));
        if !same(words, &real, &model) {
            let before = &self.history[self.history.len().saturating_sub(25)..];
            panic!(
                "{asked}\n  real:  {}\n  model: {}\nbefore:\n  {}",
                shown(&real),
                shown(&model),
                before.join("\n  "),
            );
        }
        self.history.push(format!("{asked} -> {}", shown(&real)));
        real
    }

    /// Waits until every real node gives the slot to this owner, and all know the same epochs, no two alike: until
    /// then a claim can still be lost to an earlier owner's.
    pub(crate) fn wait_owner(&self, slot: u16, owner: usize) {
        let id = &self.real_ids[owner];
        wait_until("the views to agree", PATIENCE, || {
            let nodes = 0..self.connections.len();
            let agrees = |node: usize| self.real.view(node).node(id).is_some_and(|owner| owner.owns(slot));
            let epochs: Vec<Vec<(String, u64)>> = nodes.clone().map(|node| self.epochs(node)).collect();
            let distinct: BTreeSet<u64> = epochs[0].iter().map(|(_, epoch)| *epoch).collect();
            let settled = epochs.iter().all(|seen| *seen == epochs[0]) && distinct.len() == nodes.len();
            if settled && nodes.clone().all(agrees) { Ok(()) } else { Err(format!("{epochs:?}")) }
        });
    }

    /// Every node's id and configuration epoch as one node knows them.
    fn epochs(&self, node: usize) -> Vec<(String, u64)> {
        let view = self.real.view(node);
        let mut epochs: Vec<_> = view.nodes.into_iter().map(|node| (node.id, node.config_epoch)).collect();
        epochs.sort();
        epochs
    }

    /// The lines of CLUSTER NODES without times and epochs, sorted.
    pub(crate) fn nodes_lines(&mut self, node: usize) -> (Vec<String>, Vec<String>) {
        let asked = super::wire::words("cluster nodes");
        let (real, model) = self.ask(node, &asked);
        let lines = |reply: &[u8]| {
            let (frame, _) = Frame::parse(reply).expect("a whole reply");
            let text = String::from_utf8(frame.payload).expect("text");
            let without_times = |line: &str| {
                let words: Vec<&str> = line.split(' ').collect();
                let kept = words.iter().enumerate().filter(|(at, _)| ![4, 5, 6].contains(at));
                kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
            };
            let mut lines: Vec<String> = text.lines().map(without_times).collect();
            lines.sort();
            lines
        };
        (lines(&real), lines(&model))
    }
}

fn with_ids(words: &Words, ids: &[String]) -> Words {
    let replaced = |word: &Vec<u8>| match word.as_slice() {
        [b'@', digit] => ids[usize::from(digit - b'0')].clone().into_bytes(),
        _ => word.clone(),
    };
    words.iter().map(replaced).collect()
}

/// Ids are 40 hexadecimal digits: the replacement is as long.
fn without_ids(reply: &[u8], ids: &[String]) -> Vec<u8> {
    let mut reply = reply.to_vec();
    for (index, id) in ids.iter().enumerate() {
        let label = format!("{:@<40}", index);
        while let Some(at) = reply.windows(id.len()).position(|window| window == id.as_bytes()) {
            reply[at..at + id.len()].copy_from_slice(label.as_bytes());
        }
    }
    reply
}
