//! An engine and a peer in memory, warmed up, and one round of a workload.

use panpipe::command::{Arg, Keys, Request};
use panpipe::config::{Config, Endpoint};
use panpipe::engine::{Engine, Timestamp};

use super::memory::Memory;
use super::{KEY_BYTES, VALUE, keys, measured};

/// The command of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Set,
    Get,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Set => "SET",
            Kind::Get => "GET",
        }
    }
}

/// How commands are handed over and results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A batch with its replies by index.
    Pipeline,
    /// Each command on its own.
    Stream,
}

/// One workload of the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) way: Use,
    pub(crate) nodes: usize,
    pub(crate) commands: usize,
}

/// All workloads of the engine.
pub(crate) const WORKLOADS: [Workload; 8] = [
    Workload::new("engine_set_100", Kind::Set, Use::Pipeline, 3, 100),
    Workload::new("engine_set_1000", Kind::Set, Use::Pipeline, 3, 1000),
    Workload::new("engine_get_100", Kind::Get, Use::Pipeline, 3, 100),
    Workload::new("engine_get_1000", Kind::Get, Use::Pipeline, 3, 1000),
    Workload::new("engine_stream_set_1000", Kind::Set, Use::Stream, 3, 1000),
    Workload::new("engine_stream_get_1000", Kind::Get, Use::Stream, 3, 1000),
    // As many commands per node as 100 over 3.
    Workload::new("engine_set_48_nodes", Kind::Set, Use::Pipeline, 48, 1600),
    Workload::new("engine_set_256_nodes", Kind::Set, Use::Pipeline, 256, 8533),
];

impl Workload {
    const fn new(name: &'static str, kind: Kind, way: Use, nodes: usize, commands: usize) -> Self {
        Workload { name, kind, way, nodes, commands }
    }
}

/// More keys than a round needs, so that rounds differ.
const KEYS: usize = 20_000;

/// An engine in service.
pub(crate) struct Rig {
    engine: Engine,
    memory: Memory,
    workload: Workload,
    keys: Vec<[u8; KEY_BYTES]>,
    next: usize,
    now: Timestamp,
}

impl Rig {
    /// Connects an engine to a peer and warms both up.
    pub(crate) fn new(workload: Workload) -> Self {
        let ports: Vec<u16> = (0..workload.nodes as u16).map(|node| 7000 + node).collect();
        let seeds = ports.iter().map(|&port| Endpoint::new("127.0.0.1", port));
        // The peer counts commands by their size, which is that of all others: no questions of the engine's in between.
        let config = Config {
            refresh_interval_ms: 0,
            sentinel_replies: 0,
            sentinel_ms: 0,
            jitter_seed: 1,
            ..Config::from_seeds(seeds)
        };
        let now = Timestamp::from_nanos(1);
        let engine = Engine::new(config, now).expect("seeds are given");
        let mut rig = Rig { engine, memory: Memory::new(&ports), workload, keys: keys(KEYS), next: 0, now };
        rig.start();
        for _ in 0..20 {
            rig.round();
        }
        rig
    }

    fn start(&mut self) {
        while !self.engine.has_topology() {
            self.engine.handle_timeout(self.now);
            self.memory.connect(&mut self.engine, self.now);
            self.memory.exchange(&mut self.engine, self.now);
        }
        // Connects every node: a command for each key.
        let batch = self.engine.open_batch();
        for key in &self.keys {
            let args = [Arg::Bytes(key), Arg::Bytes(VALUE)];
            self.engine.submit(batch, &Request::new("SET", Keys::FIRST, &args), self.now);
        }
        self.engine.flush();
        while !self.engine.is_complete(batch) {
            self.memory.connect(&mut self.engine, self.now);
            self.memory.exchange(&mut self.engine, self.now);
        }
        self.engine.abandon(batch);
        let args = [Arg::Bytes(&self.keys[0]), Arg::Bytes(VALUE)];
        let args = if self.workload.kind == Kind::Set { &args[..] } else { &args[..1] };
        let name = self.workload.kind.name();
        self.memory.settle(name, Request::new(name, Keys::FIRST, args).wire_len());
    }

    /// Sends one flush and takes its replies; answers how many commands it had.
    pub(crate) fn round(&mut self) -> u64 {
        let count = self.workload.commands;
        if self.next + count > self.keys.len() {
            self.next = 0;
        }
        let keys = &self.keys[self.next..self.next + count];
        self.next += count;
        self.now = self.now.after_ms(1);
        match self.workload.way {
            Use::Pipeline => {
                let batch = measured::submit(&mut self.engine, self.workload.kind, keys, self.now);
                measured::flush(&mut self.engine);
                while !measured::turn_ends(&self.engine, batch).0 {
                    self.memory.exchange(&mut self.engine, self.now);
                }
                measured::abandon(&mut self.engine, batch);
            }
            Use::Stream => {
                measured::submit_stream(&mut self.engine, self.workload.kind, keys, self.now);
                measured::flush(&mut self.engine);
                let mut taken = 0;
                while taken < count as u64 {
                    self.memory.exchange(&mut self.engine, self.now);
                    taken += measured::take_completions(&mut self.engine);
                }
            }
        }
        count as u64
    }
}
