//! What a flush costs in system calls. Over mio: one write per node, and at most a read and a wait for each reply, so at most 3 N + 1 over N
//! nodes. Over io_uring: one enter, which sends everything and waits for everything, and a second one now and then, on any number of nodes.
//!
//! The counts are the transport's own. That they are the kernel's is checked with strace where it is installed: a child of this program
//! is the client and makes a system call of no other use before and after what is counted. There is no test harness, because that has
//! threads, and the child must not.
//!
//! Writes are exact. Reads and waits depend on how many replies are there at a look, so they have a bound and no expected number. So do
//! enters, and theirs is one of the mean: a peer that is kept from its processor for longer than the client is patient costs another.

#[path = "../benches/peer/mod.rs"]
mod peer;
#[path = "support/transport.rs"]
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use panpipe::command::{Arg, Commands, Keys, Request};
use panpipe::slot::slot_of;
use panpipe::transport::TransportStats;
use panpipe::{Client, Config, Error, FlushPolicy, Ticket, Transport};

use peer::rig::Kind;
use peer::tcp::Servers;
use peer::{KEY_BYTES, VALUE, keys};

/// Nodes, and commands per flush: a few for each node, and as many as 100 and 1000 over three are.
const SIZES: [(usize, usize); 7] =
    [(3, 100), (3, 1000), (12, 400), (12, 4000), (48, 1600), (256, 2500), (256, 8533)];
const WARM_UP: usize = 5;
const FLUSHES: usize = 20;

/// Tells the child where the peer is, and that it is the child.
const PEER: &str = "PANPIPE_TEST_PEER";
/// Tells the child how many commands a flush has.
const COMMANDS: &str = "PANPIPE_TEST_COMMANDS";
/// Files that are not there; trying to open them marks a place among the system calls.
const BEGIN: &str = "panpipe-test-counting-begins";
const END: &str = "panpipe-test-counting-ends";

/// Over io_uring: most system calls of a flush, in the mean of a round.
const ENTERS_MEAN_MAX: f64 = 2.0;
/// Rounds, one of which must keep the bound of the mean: on a busy machine a peer can be kept waiting for longer than any patience.
const ROUNDS: usize = 3;

/// What the transport did. Over mio writes, reads and waits are the system calls that move bytes or wait; over io_uring enters are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Calls {
    writes: u64,
    reads: u64,
    waits: u64,
    enters: u64,
}

impl Calls {
    fn between(before: TransportStats, after: TransportStats) -> Calls {
        Calls {
            writes: after.writes - before.writes,
            reads: after.reads - before.reads,
            waits: after.waits - before.waits,
            enters: after.enters - before.enters,
        }
    }

    fn add(self, more: Calls) -> Calls {
        Calls {
            writes: self.writes + more.writes,
            reads: self.reads + more.reads,
            waits: self.waits + more.waits,
            enters: self.enters + more.enters,
        }
    }

    /// Those of them that are system calls.
    fn of_the_kernel(self) -> Calls {
        match transport::chosen() {
            Transport::Uring => Calls { enters: self.enters, ..Calls::default() },
            _ => self,
        }
    }

    fn system_calls(self) -> u64 {
        let calls = self.of_the_kernel();
        calls.writes + calls.reads + calls.waits + calls.enters
    }
}

fn main() {
    if let Ok(url) = std::env::var(PEER) {
        if let Err(error) = child(&url) {
            panic!("the client failed: {error}");
        }
        return;
    }
    println!(
        "per flush over {}\n{:>6}{:>9}{:>6}{:>9}{:>8}{:>8}{:>8}{:>14}{:>8}",
        transport::chosen(),
        "nodes",
        "commands",
        "",
        "writes",
        "reads",
        "waits",
        "enters",
        "system calls",
        "worst"
    );
    let mut servers: Option<(usize, Servers)> = None;
    for (nodes, commands) in SIZES {
        if servers.as_ref().is_none_or(|(running, _)| *running != nodes) {
            let started = Servers::start(nodes).expect("the loopback interface has free ports");
            servers = Some((nodes, started));
        }
        let (_, servers) = servers.as_ref().expect("they were started");
        for kind in [Kind::Set, Kind::Get] {
            if let Err(error) = flushes_are_bounded(servers, nodes, commands, kind) {
                panic!("the client failed: {error}");
            }
        }
    }
    for (nodes, commands) in [(3, 100), (12, 400)] {
        the_kernel_counts_the_same(nodes, commands);
    }
}

fn flushes_are_bounded(servers: &Servers, nodes: usize, commands: usize, kind: Kind) -> Result<(), Error> {
    let keys = keys(commands);
    let owner =
        |key: &[u8; KEY_BYTES]| (0..nodes).rfind(|node| 16384 * node / nodes <= usize::from(slot_of(key)));
    let addressed: BTreeSet<Option<usize>> = keys.iter().map(owner).collect();
    assert_eq!(addressed.len(), nodes, "every flush has a command for every node");
    let mut client = client(&servers.url())?;
    for _ in 0..WARM_UP {
        flush(&mut client, kind, &keys)?;
    }
    let what = format!("a flush of {commands} over {nodes} nodes");
    let mut mean = f64::INFINITY;
    for _ in 0..ROUNDS {
        let worst;
        (mean, worst) = measure(&mut client, nodes, kind, &keys)?;
        if transport::chosen() != Transport::Uring {
            assert!(worst <= 3 * nodes as u64 + 1, "{worst} system calls for {what}");
            return Ok(());
        }
        if mean <= ENTERS_MEAN_MAX {
            return Ok(());
        }
    }
    panic!("{mean} system calls for {what}, and more than {ENTERS_MEAN_MAX} in each of {ROUNDS} rounds");
}

/// Prints a line; answers how many system calls a flush makes in the mean, and at worst.
fn measure(
    client: &mut Client,
    nodes: usize,
    kind: Kind,
    keys: &[[u8; KEY_BYTES]],
) -> Result<(f64, u64), Error> {
    let commands = keys.len();
    let mut sum = Calls::default();
    let mut worst = 0;
    for _ in 0..FLUSHES {
        let before = client.transport_stats();
        flush(client, kind, keys)?;
        let calls = Calls::between(before, client.transport_stats());
        assert_eq!(calls.writes, nodes as u64, "writes of a flush of {commands} over {nodes} nodes");
        worst = worst.max(calls.system_calls());
        sum = sum.add(calls);
    }
    let mean = |number: u64| number as f64 / FLUSHES as f64;
    println!(
        "{nodes:>6}{commands:>9}{:>6}{:>9.2}{:>8.2}{:>8.2}{:>8.2}{:>14.2}{worst:>8}",
        kind.name(),
        mean(sum.writes),
        mean(sum.reads),
        mean(sum.waits),
        mean(sum.enters),
        mean(sum.system_calls()),
    );
    Ok((mean(sum.system_calls()), worst))
}

fn client(url: &str) -> Result<Client, Error> {
    let mut config = Config::from_url(url)?;
    config.flush_policy = FlushPolicy::Explicit;
    transport::connect_with(config)
}

fn flush(client: &mut Client, kind: Kind, keys: &[[u8; KEY_BYTES]]) -> Result<(), Error> {
    let mut pipeline = client.pipeline();
    for key in keys {
        let args = [Arg::Bytes(key), Arg::Bytes(VALUE)];
        let _ticket: Ticket<()> = match kind {
            Kind::Set => pipeline.request(Request::new("SET", Keys::FIRST, &args)),
            Kind::Get => pipeline.request(Request::new("GET", Keys::FIRST, &args[..1]).read_only()),
        };
    }
    let replies = pipeline.flush()?;
    assert!(replies.iter().all(|reply| reply.is_ok()));
    Ok(())
}

/// The client that strace looks at. Its last line says what it has counted itself.
fn child(url: &str) -> Result<(), Error> {
    let commands = std::env::var(COMMANDS).ok().and_then(|text| text.parse().ok());
    let keys = keys(commands.expect("the parent says how many commands"));
    let mut client = client(url)?;
    for _ in 0..WARM_UP {
        flush(&mut client, Kind::Set, &keys)?;
    }
    let before = client.transport_stats();
    let _not_there = std::fs::File::open(BEGIN);
    for _ in 0..FLUSHES {
        flush(&mut client, Kind::Set, &keys)?;
    }
    let _not_there = std::fs::File::open(END);
    let calls = Calls::between(before, client.transport_stats()).of_the_kernel();
    println!("{} {} {} {}", calls.writes, calls.reads, calls.waits, calls.enters);
    Ok(())
}

fn the_kernel_counts_the_same(nodes: usize, commands: usize) {
    if !strace_works() {
        println!(
            "strace is not installed or may not trace here: the counters are not compared with the kernel's"
        );
        return;
    }
    let servers = Servers::start(nodes).expect("the loopback interface has free ports");
    let program = std::env::current_exe().expect("the system knows this program");
    let log = std::env::temp_dir().join(format!("panpipe-system-calls-{}-{nodes}", std::process::id()));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(program)
        .env(PEER, servers.url())
        .env(COMMANDS, commands.to_string())
        .output()
        .expect("strace starts");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    let trace = std::fs::read_to_string(&log).expect("strace writes its log");
    let _left_over = std::fs::remove_file(&log);
    let said = String::from_utf8_lossy(&output.stdout);
    let counted: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let kernel = by_kind(&names_between(&trace));
    let kernel = [kernel.writes, kernel.reads, kernel.waits, kernel.enters];
    assert_eq!(counted, kernel, "writes, reads, waits and enters: the transport's and the kernel's");
    println!(
        "{nodes} nodes, {FLUSHES} flushes of {commands}: the kernel counts the same {kernel:?} and nothing else"
    );
}

fn strace_works() -> bool {
    let output = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// How often each system call was made between the two marks.
fn names_between(trace: &str) -> BTreeMap<&str, u64> {
    let mut names = BTreeMap::new();
    let lines = trace.lines().skip_while(|line| !line.contains(BEGIN)).skip(1);
    for line in lines.take_while(|line| !line.contains(END)) {
        // The process comes first, then the call; signals and exits have no bracket behind their first word.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if let Some((name, _)) = call.split_once('(') {
            *names.entry(name).or_default() += 1;
        }
    }
    assert!(!names.is_empty(), "no system call was made between the marks:\n{trace}");
    names
}

/// Any other system call is one too many, and so is one of the other transport.
fn by_kind(names: &BTreeMap<&str, u64>) -> Calls {
    let mut calls = Calls::default();
    let over_uring = transport::chosen() == Transport::Uring;
    for (name, count) in names {
        match *name {
            "io_uring_enter" if over_uring => calls.enters += count,
            other if over_uring => panic!("a flush made {count} calls of {other}: {names:?}"),
            "write" | "writev" | "sendto" | "sendmsg" => calls.writes += count,
            "read" | "readv" | "recvfrom" | "recvmsg" => calls.reads += count,
            "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => calls.waits += count,
            other => panic!("a flush made {count} calls of {other}, which nobody counts: {names:?}"),
        }
    }
    calls
}
