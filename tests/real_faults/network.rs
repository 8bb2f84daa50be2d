//! Wires that are cut, slowed and mangled, by a proxy per node (`proxy.rs` says how that differs from a packet filter).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use panpipe::command::cmd;
use panpipe::engine::Event;
use panpipe::{Client, Config, ErrorKind};

use super::late::{check_fence, hasty};
use super::load::Load;
use super::plan::{Bench, NO_FAILOVER_MS, close, config, remove_keys};
use super::proxy::{Mangle, Mode, Proxies};
use super::tally::Tally;
use crate::servers::PATIENCE;
use crate::transport;

/// A node that says nothing for so long is given up.
const SILENT_MS: u64 = 1_500;

/// **RC5**: the client is cut off from one node, in one direction or both, or its connections are reset; then wires that are slow. The
/// cluster sees nothing of it, so nothing may be lost.
pub(crate) fn partitioned(bench: &mut Bench, tally: &mut Tally) {
    cut_off(bench, tally, false);
}

/// The same with FencedReconnect.
pub(crate) fn partitioned_fenced(bench: &mut Bench, tally: &mut Tally) {
    cut_off(bench, tally, true);
}

fn cut_off(bench: &mut Bench, tally: &mut Tally, fenced: bool) {
    let cycles = bench.cycles(1, 10);
    let cluster = bench.cluster(NO_FAILOVER_MS);
    let proxies = Proxies::start(cluster);
    let config = Config { node_silent_ms: SILENT_MS, reconnect_max_ms: 500, ..config(cluster) };
    let mut load = hasty(config, &proxies, fenced);
    for cycle in 0..cycles {
        let victim = cluster.primaries()[cycle % 3];
        for mode in [Mode::HoldUp, Mode::HoldDown, Mode::HoldBoth, Mode::Reset] {
            cut(&mut load, &proxies, victim, mode);
        }
        for mode in [Mode::Delay(Duration::from_millis(20)), Mode::Drip] {
            proxies.proxies[victim].set(mode);
            load.rounds(15);
            load.settle();
        }
        proxies.proxies[victim].set(Mode::Pass);
        load.rounds(5);
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    tally.note("through user-space proxies");
    check_fence(&load, cluster, tally);
    close(load, tally);
}

/// Until the client has noticed; then the wire is whole again.
fn cut(load: &mut Load, proxies: &Proxies, victim: usize, mode: Mode) {
    // Pipelines would wait for the end of it.
    load.pipelines = false;
    load.window = 50_000;
    load.rounds(5);
    let before = load.client.stats().total.disconnects;
    let began = Instant::now();
    if mode == Mode::Reset {
        // Something is on the wire then, of which the server has run all.
        proxies.proxies[victim].set(Mode::HoldDown);
        load.rounds(2);
    }
    proxies.proxies[victim].set(mode);
    while load.client.stats().total.disconnects == before && began.elapsed() < PATIENCE {
        load.round();
    }
    let noticed = load.client.stats().total.disconnects > before;
    load.book.tally.check(noticed, || format!("{mode:?} was not noticed in {PATIENCE:?}"));
    load.rounds(10);
    proxies.proxies[victim].set(Mode::Pass);
    load.rounds(5);
    load.settle();
    load.pipelines = true;
    load.window = 1_000;
    load.rounds(5);
}

const KEYS: usize = 300;
const KINDS: [Mangle; 3] = [Mangle::Drop, Mangle::Inject, Mangle::Corrupt];

/// **RC14**: one reply is dropped, doubled or corrupted. Every value names its key, so a reply that reaches the wrong command shows. From the
/// moment at which the client gives the connection up, none may.
pub(crate) fn mangled(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(6, 150);
    let cluster = bench.cluster(NO_FAILOVER_MS);
    let proxies = Proxies::start(cluster);
    let mut config = Config { node_silent_ms: SILENT_MS, reconnect_max_ms: 500, ..config(cluster) };
    proxies.apply(&mut config);
    let mut client = transport::connect_with(config).expect("connect");
    for key in 0..KEYS {
        client.call::<()>(cmd("SET").key(name(key)).arg(value(key))).expect("SET");
    }
    let mut reader = Reader {
        client,
        victim: [0, 0],
        asked: 0,
        open: 0,
        reasons: BTreeMap::new(),
        wrong: 0,
        tally: Tally::default(),
    };
    let mut wrong_before = 0;
    for cycle in 0..cycles {
        let victim = cluster.primaries()[cycle / KINDS.len() % 3];
        let kind = KINDS[cycle % KINDS.len()];
        reader.wrong = 0;
        reader.victim = proxies.ports_of(victim);
        let detected = until_detected(&mut reader, &proxies, victim, kind, cycle as u64);
        wrong_before += reader.wrong;
        tally.check(detected, || format!("{kind:?} was not detected in {PATIENCE:?}"));
        reader.wrong = 0;
        for _ in 0..20 {
            reader.ask();
        }
        reader.drain();
        let wrong = reader.wrong;
        tally
            .check(wrong == 0, || format!("{kind:?}: {wrong} replies of other commands after the detection"));
        tally.cycles += 1;
    }
    tally.add(reader.tally);
    let reasons: Vec<String> =
        reader.reasons.iter().map(|(reason, count)| format!("{count} times \"{reason}\"")).collect();
    tally.note(format!("through user-space proxies; noticed by: {}", reasons.join(", ")));
    tally.note(format!("{wrong_before} replies of other commands before that"));
    remove_keys(cluster);
}

fn name(key: usize) -> String {
    format!("mangled:{key}")
}

fn value(key: usize) -> String {
    format!("value of {key}")
}

/// Load goes on for a while after the reply was mangled; then it pauses, so that a missing reply is not made up for by the next.
fn until_detected(reader: &mut Reader, proxies: &Proxies, victim: usize, kind: Mangle, skipped: u64) -> bool {
    let proxy = &proxies.proxies[victim];
    let before = proxy.mangled();
    reader.detected();
    reader.ask();
    proxy.mangle(kind, 37 * (skipped + 1));
    let began = Instant::now();
    let mut after = 0;
    while began.elapsed() < PATIENCE {
        after += usize::from(proxy.mangled() > before);
        if after < 30 {
            reader.ask();
        }
        reader.turn();
        // A node may be given up for its silence before, on a busy machine.
        if reader.detected() && proxy.mangled() > before {
            return true;
        }
        // Nothing under way: an extra reply would be noticed with the next command.
        if after >= 30 && reader.open == 0 {
            reader.ask();
        }
    }
    false
}

/// Reads keys whose values are known.
struct Reader {
    client: Client,
    /// Ports that the node goes by whose replies are mangled.
    victim: [u16; 2],
    asked: usize,
    open: usize,
    reasons: BTreeMap<String, u64>,
    /// Replies that were somebody else's.
    wrong: usize,
    tally: Tally,
}

impl Reader {
    fn ask(&mut self) {
        for _ in 0..40 {
            let key = self.asked % KEYS;
            match self.client.submit(cmd("GET").key(name(key)), key as u64) {
                Ok(_) => {
                    self.open += 1;
                    self.tally.commands += 1;
                }
                Err(error) => assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error}"),
            }
            self.asked += 1;
        }
        self.turn();
    }

    fn turn(&mut self) {
        self.client.wait(Some(Duration::from_millis(5))).expect("the system lets the client wait");
        while let Some(done) = self.client.next_completion() {
            self.open -= 1;
            let wanted = value(done.user_data as usize);
            match done.result {
                Ok(reply) => {
                    self.tally.executed += 1;
                    self.wrong += usize::from(reply.as_bytes() != Some(wanted.as_bytes()));
                }
                Err(error) => self.tally.count_error(&error),
            }
        }
    }

    /// Whether the client has given a connection to the victim up since the last look.
    fn detected(&mut self) -> bool {
        let mut detected = false;
        while let Some(event) = self.client.next_event() {
            if let Event::NodeDown { reason, node } = event {
                if !self.victim.iter().any(|port| node.ends_with(&format!(":{port}"))) {
                    continue;
                }
                detected = true;
                let reason = reason.split('(').next().unwrap_or_default().trim_end().to_owned();
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
        detected
    }

    fn drain(&mut self) {
        let began = Instant::now();
        while self.open > 0 && began.elapsed() < PATIENCE {
            self.turn();
        }
        assert_eq!(self.open, 0, "commands without result");
    }
}
