//! Replies and batches that are large: bounded memory, and an end. The client runs in a process of its own, so that the kernel can tell how
//! much memory it ever had.

use std::fs;
use std::process::Command;
use std::time::Duration;

use panpipe::command::cmd;
use panpipe::{Config, ErrorKind};

use super::plan::{Bench, remove_keys};
use super::tally::Tally;
use crate::servers::Cluster;
use crate::transport;

/// Says to a copy of this program what it is to measure.
const CHILD: &str = "PANPIPE_FAULTS_CHILD";

const MIB: u64 = 1 << 20;
/// What memory grows by anyhow: buffers, the heap's own.
const SLACK: u64 = 32 * MIB;

/// What a child is asked to do.
struct Job {
    what: &'static str,
    count: u64,
    /// Bytes that it may grow by.
    bytes_max: u64,
}

/// **RC13**: one reply of 512 MiB, one of a million elements, a batch of ten million commands, and as many through a narrow window (less in the
/// short form).
pub(crate) fn volumes(bench: &mut Bench, tally: &mut Tally) {
    let long = bench.is_long();
    let cluster = bench.cluster(60_000);
    let bulk = if long { 512 } else { 64 } * MIB;
    let elements = 1_000_000;
    let commands = match (long, cfg!(debug_assertions)) {
        (true, _) => 10_000_000,
        (false, false) => 1_000_000,
        // Without optimisation a command takes ten times its time.
        (false, true) => 250_000,
    };
    prepare(cluster, bulk, elements);
    let jobs = [
        // Its buffer grows by doubling: for a moment there are the old one and the new one.
        Job { what: "bulk", count: bulk, bytes_max: 3 * bulk },
        // 12 bytes each on the wire.
        Job { what: "elements", count: elements, bytes_max: 3 * 12 * elements },
        // About 50 bytes on the wire, 16 in the queue and 16 in the batch, in lists that grow by doubling; the answer takes five.
        Job { what: "batch", count: commands, bytes_max: commands * 250 },
        Job { what: "window", count: commands, bytes_max: 16 * MIB },
    ];
    for job in jobs {
        measure(cluster, &job, tally);
    }
    remove_keys(cluster);
    tally.cycles = 1;
}

fn prepare(cluster: &Cluster, bulk: u64, elements: u64) {
    let on = |key: &str, words: &[&str]| {
        let slot = panpipe::slot::slot_of(key.as_bytes());
        let mut connection = cluster.connect(cluster.owner_of(slot)).expect("connect");
        connection.set_timeout(Duration::from_secs(120)).expect("a socket");
        connection.call(words).expect("an answer").expect(&words[0]);
    };
    on("bulk", &["SETRANGE", "bulk", &(bulk - 1).to_string(), "!"]);
    let script = "for i = 1, ARGV[1] do redis.call('RPUSH', KEYS[1], 100000 + i % 100000) end return 1";
    on("elements", &["EVAL", script, "1", "elements", &elements.to_string()]);
}

fn measure(cluster: &Cluster, job: &Job, tally: &mut Tally) {
    let Job { what, count, bytes_max } = job;
    let program = std::env::current_exe().expect("the system knows this program");
    let output = Command::new(program)
        .env(CHILD, format!("{what} {count} {}", cluster.url()))
        .output()
        .expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(grown) = said.trim().parse::<u64>().ok().filter(|_| output.status.success()) else {
        let complained = String::from_utf8_lossy(&output.stderr);
        return tally.violation(format!("{what}: {said}{complained}"));
    };
    let commands = if ["batch", "window"].contains(what) { *count } else { 1 };
    tally.commands += commands;
    tally.executed += commands;
    tally.note(format!("{what} of {count}: grew by {:.1} MiB", grown as f64 / MIB as f64));
    tally.check(grown <= bytes_max + SLACK, || {
        format!("{what} of {count}: {grown} bytes, {bytes_max} allowed")
    });
}

/// Whether this process is a child, which has done its work then.
pub(crate) fn is_child() -> bool {
    let Ok(job) = std::env::var(CHILD) else { return false };
    let words: Vec<&str> = job.split(' ').collect();
    let [what, count, url] = words[..] else { panic!("a job has three words, not {job:?}") };
    let count: u64 = count.parse().expect("a count");
    let mut config = Config::from_url(url).expect("url");
    config.command_timeout_ms = 300_000;
    config.node_silent_ms = 300_000;
    config.tcp.user_timeout_ms = 0;
    let before = match what {
        "bulk" | "elements" => one_reply(config, what, count),
        "batch" => batch(config, count),
        "window" => window(config, count),
        other => panic!("no such job: {other:?}"),
    };
    println!("{}", most_bytes() - before);
    true
}

/// The most memory that this process ever had.
fn most_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

fn one_reply(config: Config, what: &str, count: u64) -> u64 {
    let mut client = transport::connect_with(config).expect("connect");
    client.call::<Option<i64>>(cmd("GET").key("nothing")).expect("GET");
    let before = most_bytes();
    let mut pipe = client.pipeline();
    let ticket = if what == "bulk" {
        pipe.call::<()>(cmd("GET").key("bulk"))
    } else {
        pipe.call::<()>(cmd("LRANGE").key("elements").arg(0).arg(-1))
    };
    let replies = pipe.flush().expect("flush");
    let reply = replies.reply(ticket).expect("the reply");
    if what == "bulk" {
        let bytes = reply.as_bytes().expect("a bulk");
        assert_eq!((bytes.len() as u64, bytes.first(), bytes.last()), (count, Some(&0), Some(&b'!')));
    } else {
        assert_eq!(reply.len() as u64, count);
        let last = reply.elements().last().and_then(|last| last.as_bytes()).map(<[u8]>::len);
        assert_eq!(last, Some(6));
    }
    before
}

fn batch(mut config: Config, count: u64) -> u64 {
    config.limits.commands_per_node_max = count as usize;
    config.limits.bytes_per_node_max = 4 << 30;
    config.limits.bytes_total_max = 4 << 30;
    let mut client = transport::connect_with(config).expect("connect");
    let before = most_bytes();
    let mut pipe = client.pipeline();
    for n in 0..count {
        pipe.call::<()>(cmd("SET").key(format!("batch:{}", n % 10_000)).arg(n));
    }
    let replies = pipe.flush().expect("flush");
    assert_eq!(replies.len() as u64, count);
    for (n, reply) in replies.iter().enumerate() {
        reply.unwrap_or_else(|error| panic!("command {n} of {count}: {error}"));
    }
    before
}

/// As many, but never more than the window holds.
fn window(mut config: Config, count: u64) -> u64 {
    config.limits.commands_per_node_max = 10_000;
    let mut client = transport::connect_with(config).expect("connect");
    let before = most_bytes();
    let (mut sent, mut done) = (0, 0);
    while done < count {
        while sent < count {
            match client.submit(cmd("SET").key(format!("window:{}", sent % 10_000)).arg(sent), sent) {
                Ok(_) => sent += 1,
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => break,
                Err(error) => panic!("command {sent}: {error}"),
            }
        }
        client.wait(Some(Duration::from_millis(100))).expect("wait");
        while let Some(completion) = client.next_completion() {
            completion.result.unwrap_or_else(|error| panic!("{}: {error}", completion.user_data));
            done += 1;
        }
    }
    before
}
