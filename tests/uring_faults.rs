//! The io_uring transport between servers and wires that misbehave, at random: resets, ends, halves of ends, silence, small windows, refused
//! connects, clients and pipelines that are dropped with requests under way. Results stay true, and nothing is left behind; freed memory is
//! neither written nor sent by the kernel, which the allocator of this test and the wires would notice.
//!
//! `PANPIPE_SEEDS=200 cargo test --features testkit,io-uring --test uring_faults` runs more seeds, `PANPIPE_SEED=n` repeats one.
#![cfg(all(feature = "testkit", feature = "io-uring", target_os = "linux"))]

#[path = "../src/transport/uring/tests/quarantine.rs"]
mod quarantine;
mod uring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;
use panpipe::transport::{Mio, Uring};
use panpipe::{Error, Outcome};

use uring::proxy::Wires;
use uring::rng::Rng;
use uring::{alone, assert_descriptors, descriptors, number, rings};

// A sanitizer has an allocator of its own for the same purpose, and sees more of what we do ourselves.
#[cfg_attr(not(panpipe_sanitize), global_allocator)]
#[cfg_attr(panpipe_sanitize, allow(dead_code, reason = "not used"))]
static ALLOCATOR: quarantine::Quarantine = quarantine::Quarantine;

const NODES: usize = 3;
const KEYS: u64 = 12;
const ROUNDS: usize = 3;
const STEPS: u64 = 12;
const SEEDS: u64 = 6;
/// Lengths of values: those that fit into a page, a socket's buffer, a read, and none of these.
const LENGTHS: [usize; 8] = [0, 10, 10, 10, 300, 5_000, 70_000, 300_000];

/// What may be found under a key.
#[derive(Debug, Default)]
struct Known {
    /// The last write that was confirmed.
    confirmed: u64,
    /// Writes whose fate nobody knows.
    unknown: BTreeSet<u64>,
    /// Writes of which the client said that they did not run.
    refuted: BTreeSet<u64>,
}

/// A command whose result has not been taken.
enum Pending {
    Write { key: u64, number: u64 },
    Read { key: u64 },
}

struct Run {
    rng: Rng,
    cluster: EmbeddedCluster,
    wires: Wires,
    client: Option<Client<Uring>>,
    known: BTreeMap<u64, Known>,
    pending: BTreeMap<u64, Pending>,
    writes: u64,
    submitted: u64,
    confirmed: u64,
}

#[test]
fn nothing_is_lost_invented_or_left_behind() {
    let Some(_alone) = alone() else { return };
    let seeds = match number("PANPIPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PANPIPE_SEEDS").unwrap_or(SEEDS),
    };
    let mut confirmed = 0;
    for seed in seeds {
        let repeat = format!(
            "PANPIPE_SEED={seed} cargo test --features testkit,io-uring --test uring_faults -- --nocapture"
        );
        let before = descriptors().len();
        if number("PANPIPE_SEEDS").is_some() {
            eprintln!("seed {seed}");
        }
        let ran = std::panic::catch_unwind(|| run(seed));
        match ran {
            Ok(count) => confirmed += count,
            Err(panic) => {
                eprintln!("seed {seed} failed; this repeats it:\n{repeat}");
                std::panic::resume_unwind(panic);
            }
        }
        assert_descriptors(before, &repeat);
        assert_eq!(rings(), 0, "{repeat}");
        assert_eq!(quarantine::broken_blocks(), 0, "freed memory was written to: {repeat}");
    }
    println!("{confirmed} writes confirmed");
    assert!(confirmed > 0);
}

fn run(seed: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let cluster = EmbeddedCluster::builder().primaries(NODES).start().expect("loopback sockets");
    let wires = Wires::start(&cluster.addresses(), rng.next(), quarantine::POISON).expect("loopback sockets");
    let mut run = Run {
        rng,
        cluster,
        wires,
        client: None,
        known: BTreeMap::new(),
        pending: BTreeMap::new(),
        writes: 0,
        submitted: 0,
        confirmed: 0,
    };
    for round in 0..ROUNDS {
        run.wires.heal(false);
        for _ in 0..STEPS {
            run.step();
        }
        run.settle(round);
    }
    run.drop_client();
    assert!(!run.wires.is_poisoned(), "freed memory was sent");
    run.confirmed
}

impl Run {
    fn step(&mut self) {
        match self.rng.below(20) {
            0..=8 => self.flush_pipeline(),
            9..=13 => self.submit_some(),
            14 => self.drop_pipeline(),
            15 => self.take_results(),
            16 => self.drop_client(),
            17 => {
                let refuse = self.rng.chance(40);
                self.wires.refuse(refuse);
            }
            18 => self.wires.cut(),
            _ => {
                let node = self.rng.below(NODES as u64) as usize;
                self.cluster.kill(node);
                self.cluster.restart(node);
            }
        }
    }

    /// The client, which is made where there is none; faults can forbid that.
    fn client(&mut self) -> Option<&mut Client<Uring>> {
        if self.client.is_none() {
            let config = self.config();
            let uring = Uring::new(&config).expect("the system has io_uring");
            self.client = Client::with_transport(config, uring).ok();
            if self.rng.chance(50)
                && let Some(client) = &mut self.client
            {
                client.as_fd().expect("a descriptor");
            }
        }
        self.client.as_mut()
    }

    fn config(&mut self) -> Config {
        let servers: Vec<u16> = self.cluster.addresses().iter().map(|address| address.port()).collect();
        let wires = self.wires.ports.clone();
        let seeds = servers.iter().map(|port| Endpoint::new("127.0.0.1", *port));
        let mut config = Config::from_seeds(seeds);
        config.address_map = Some(Arc::new(move |endpoint: &Endpoint| {
            let node = servers.iter().position(|port| *port == endpoint.port);
            node.map_or_else(|| endpoint.clone(), |node| Endpoint::new("127.0.0.1", wires[node]))
        }));
        config.command_timeout_ms = self.rng.pick(&[40, 100, 300]);
        config.connect_timeout_ms = 100;
        config.handshake_timeout_ms = 100;
        config.node_silent_ms = 100;
        config.reconnect_min_ms = 1;
        config.reconnect_max_ms = 10;
        config.refresh_interval_ms = self.rng.pick(&[0, 20]);
        config.refresh_min_interval_ms = 1;
        config.spin_us = self.rng.pick(&[0, 0, 100]);
        config.tcp.send_buffer_bytes = self.rng.pick(&[0, 0, 2 << 10, 64 << 10]);
        config.tcp.recv_buffer_bytes = self.rng.pick(&[0, 0, 2 << 10]);
        config.flush_policy =
            self.rng.pick(&[FlushPolicy::EachTurn, FlushPolicy::EachCommand, FlushPolicy::Explicit]);
        config
    }

    fn next_write(&mut self) -> (u64, u64) {
        self.writes += 1;
        let key = self.rng.below(KEYS);
        self.known.entry(key).or_default();
        (key, self.writes)
    }

    fn flush_pipeline(&mut self) {
        let commands = self.rng.pick(&[1, 3, 20, 60]);
        let mut plan = Vec::new();
        for _ in 0..commands {
            let is_write = self.rng.chance(60);
            let (key, number) = if is_write { self.next_write() } else { (self.rng.below(KEYS), 0) };
            plan.push((key, number));
        }
        let Some(client) = self.client() else {
            return plan.iter().for_each(|(key, number)| self.refuted(*key, *number));
        };
        let mut pipe = client.pipeline();
        let tickets: Vec<Ticket<Option<Bytes>>> = plan
            .iter()
            .map(|&(key, number)| {
                let name = name_of(key);
                if number > 0 {
                    pipe.call(cmd("SET").key(name).arg(value_of(key, number)))
                } else {
                    pipe.get(name)
                }
            })
            .collect();
        let replies = pipe.flush().expect("waiting is possible");
        let results: Vec<_> = tickets.into_iter().map(|ticket| replies.get(ticket)).collect();
        drop(pipe);
        for ((key, number), result) in plan.into_iter().zip(results) {
            if number > 0 {
                self.note_write(key, number, result.err().as_ref())
            } else {
                self.note_read(key, &result)
            }
        }
    }

    fn drop_pipeline(&mut self) {
        let (key, number) = self.next_write();
        if let Some(client) = self.client() {
            client.pipeline().set(name_of(key), value_of(key, number));
        }
        self.refuted(key, number);
    }

    fn submit_some(&mut self) {
        for _ in 0..self.rng.pick(&[1, 5, 40]) {
            self.submitted += 1;
            let id = self.submitted;
            let (key, number) = self.next_write();
            let is_write = self.rng.chance(60);
            let Some(client) = self.client() else { return self.refuted(key, number) };
            let command = if is_write {
                cmd("SET").key(name_of(key)).arg(value_of(key, number))
            } else {
                cmd("GET").key(name_of(key))
            };
            let queued = client.submit(command, id).is_ok();
            if !is_write || !queued {
                self.refuted(key, number);
            }
            if queued {
                let pending = if is_write { Pending::Write { key, number } } else { Pending::Read { key } };
                self.pending.insert(id, pending);
            }
        }
        let turns = self.rng.below(5);
        let (flush, sleep) = (self.rng.chance(80), self.rng.chance(50));
        let Some(client) = self.client() else { return };
        if flush {
            client.flush();
        }
        for _ in 0..turns {
            client.turn(Budget::default()).expect("turn");
            if sleep {
                client.wait(Some(Duration::from_millis(2))).expect("wait");
            }
        }
    }

    fn take_results(&mut self) {
        let mut taken = Vec::new();
        let Some(client) = self.client.as_mut() else { return };
        client.wait(Some(Duration::from_millis(5))).expect("wait");
        while let Some(done) = client.next_completion() {
            let result = match done.result {
                Ok(reply) => Ok(reply.as_bytes().map(Bytes::copy_from_slice)),
                Err(error) => Err(error.clone()),
            };
            taken.push((done.user_data, result));
        }
        for (id, result) in taken {
            match self.pending.remove(&id).expect("one result for each command") {
                Pending::Write { key, number } => self.note_write(key, number, result.err().as_ref()),
                Pending::Read { key } => self.note_read(key, &result),
            }
        }
    }

    /// With whatever is under way.
    fn drop_client(&mut self) {
        self.client = None;
        assert_eq!(rings(), 0);
        for (_, pending) in std::mem::take(&mut self.pending) {
            if let Pending::Write { key, number } = pending {
                self.known.entry(key).or_default().unknown.insert(number);
            }
        }
    }

    fn refuted(&mut self, key: u64, number: u64) {
        self.known.entry(key).or_default().refuted.insert(number);
    }

    fn note_write(&mut self, key: u64, number: u64, error: Option<&Error>) {
        let known = self.known.entry(key).or_default();
        match error.map(Error::outcome) {
            None => {
                known.confirmed = known.confirmed.max(number);
                self.confirmed += 1;
            }
            Some(Outcome::NotExecuted) => {
                known.refuted.insert(number);
            }
            Some(Outcome::Executed) => panic!("no server refuses a write here: {error:?}"),
            Some(_) => {
                known.unknown.insert(number);
            }
        }
    }

    fn note_read(&self, key: u64, result: &Result<Option<Bytes>, Error>) {
        if let Ok(Some(value)) = result {
            self.check(key, value);
        }
    }

    /// The value is whole, it was written under this key, and nobody has said that it was not.
    fn check(&self, key: u64, value: &[u8]) -> u64 {
        let number = number_of(value);
        assert!(
            value == value_of(key, number),
            "key {key}: not what was written: {:?}",
            value.get(..60).unwrap_or(value)
        );
        let refuted = self.known.get(&key).is_some_and(|known| known.refuted.contains(&number));
        assert!(!refuted, "key {key}: {number} was said not to have run");
        number
    }

    /// The faults end: the client recovers, and what it says is what the servers hold.
    fn settle(&mut self, round: usize) {
        self.wires.heal(true);
        self.wires.refuse(false);
        self.wires.cut();
        let began = Instant::now();
        loop {
            self.take_results();
            let recovered = self.client().is_some_and(|client| {
                let mut pipe = client.pipeline();
                // Large values cross small windows.
                pipe.deadline_ms(10_000);
                (0..KEYS).for_each(|key| _ = pipe.get(name_of(key)));
                pipe.flush().is_ok_and(|replies| replies.all().is_ok())
            });
            if recovered && self.pending.is_empty() {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "round {round}: no recovery");
        }
        let config = Config::from_url(&self.cluster.url()).expect("url");
        let mio = Mio::new(&config).expect("a poll descriptor");
        let mut honest = Client::with_transport(config, mio).expect("the servers are well");
        for key in 0..KEYS {
            let value = honest.get(name_of(key)).expect("the servers are well");
            let number = value.as_deref().map_or(0, |value| self.check(key, value));
            let Some(known) = self.known.get(&key) else { continue };
            let is_true = number == known.confirmed || known.unknown.contains(&number);
            assert!(is_true, "round {round}, key {key}: {number} is there, {known:?}");
        }
        self.check_gauges();
    }

    fn check_gauges(&mut self) {
        let began = Instant::now();
        let Some(client) = self.client.as_mut() else { return };
        loop {
            let uring = client.transport();
            let (requests, sockets) = (uring.requests_under_way(), uring.sockets());
            // Each open connection has a receive, and there is a timer where the descriptor is watched.
            if sockets <= NODES && (sockets..=sockets + 1).contains(&requests) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{requests} requests of {sockets} sockets");
            client.turn(Budget::default()).expect("turn");
        }
    }
}

fn name_of(key: u64) -> String {
    format!("key:{key}")
}

/// Every part of a value tells which one it is.
fn value_of(key: u64, number: u64) -> Vec<u8> {
    let length = LENGTHS[(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize];
    let part = format!("{number}:{key};");
    part.repeat(length / part.len() + 1).into_bytes()
}

fn number_of(value: &[u8]) -> u64 {
    let digits = value.split(|byte| *byte == b':').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).expect("a number at the front")
}
