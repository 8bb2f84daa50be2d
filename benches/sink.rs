//! The whole client over mio and real sockets, against a peer that answers at once: time, processor time of the client's thread, system
//! calls and allocations.
//!
//! ```text
//! cargo bench --bench sink                        every workload for two seconds
//! cargo bench --bench sink -- set_1000 20         one workload for twenty seconds: for a profiler
//! cargo bench --bench sink -- all 1 9             every workload for a second, in turn, nine times; the median and the best of each
//! cargo bench --bench sink -- --test              one round of each workload: that it runs
//! ```
//!
//! The workloads `floor_…` send the same bytes, made beforehand, and count what comes back: the physical floor of the machine at that
//! moment. On the loopback interface a `send` runs the receiving side's network code too, so the client pays for both ends there.

mod peer;

use std::time::{Duration, Instant};

use panpipe::command::{Arg, Commands, Keys, Request};
use panpipe::resp::from_reply::FromReply;
use panpipe::resp::reply::ReplyRef;
use panpipe::{Client, Config, Error, FlushPolicy, Ticket};

use peer::floor::Floor;
use peer::rig::Kind;
use peer::tcp::Servers;
use peer::{KEY_BYTES, VALUE, alloc, keys};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const NODES: usize = 3;
const KEYS: usize = 10_000;

#[derive(Clone, Copy)]
enum Use {
    /// Commands per flush.
    Pipeline(usize),
    /// Commands in flight.
    Stream(usize),
    /// One at a time.
    Call,
    /// Commands per flush, with no client at all.
    Floor(usize),
}

const WORKLOADS: [(&str, Kind, Use); 12] = [
    ("floor_set_100", Kind::Set, Use::Floor(100)),
    ("floor_set_1000", Kind::Set, Use::Floor(1000)),
    ("floor_get_100", Kind::Get, Use::Floor(100)),
    ("floor_get_1000", Kind::Get, Use::Floor(1000)),
    ("set_100", Kind::Set, Use::Pipeline(100)),
    ("set_1000", Kind::Set, Use::Pipeline(1000)),
    ("get_100", Kind::Get, Use::Pipeline(100)),
    ("get_1000", Kind::Get, Use::Pipeline(1000)),
    ("stream_set_1000", Kind::Set, Use::Stream(1000)),
    ("stream_get_1000", Kind::Get, Use::Stream(1000)),
    ("call_set", Kind::Set, Use::Call),
    ("call_get", Kind::Get, Use::Call),
];

/// A reply that is looked at where it lies.
struct Seen(usize);

impl FromReply for Seen {
    const EXPECTED: &'static str = "a string";

    fn from_reply(reply: ReplyRef<'_>) -> panpipe::Result<Self> {
        Ok(Seen(reply.as_bytes().map_or(0, <[u8]>::len)))
    }
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |at: usize, usual: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let only_test = args.first().is_some_and(|arg| arg == "--test");
    let (seconds, turns) = if only_test { (0, 1) } else { (number(1, 2), number(2, 1)) };
    let wanted =
        |name: &str| only_test || args.first().is_none_or(|wanted| wanted == name || wanted == "all");
    let chosen = || WORKLOADS.into_iter().filter(|(name, ..)| wanted(name));
    let mut lines: Vec<Vec<Line>> = chosen().map(|_| Vec::new()).collect();
    for _ in 0..turns {
        for ((_, kind, way), lines) in chosen().zip(&mut lines) {
            lines.push(run(kind, way, Duration::from_secs(seconds))?);
        }
    }
    println!(
        "{:<17}{:>10}{:>10}{:>12}{:>12}{:>9}{:>9}{:>9}{:>13}",
        "workload", "wall ns", "best", "cpu ns", "best", "writes", "reads", "waits", "allocations"
    );
    for ((name, ..), lines) in chosen().zip(&lines) {
        let [wall, cpu, writes, reads, waits] = [0, 1, 2, 3, 4].map(|column| {
            let mut seen: Vec<f64> = lines.iter().map(|line| line.figures[column]).collect();
            seen.sort_by(f64::total_cmp);
            (seen[seen.len() / 2], seen[0])
        });
        let allocations = lines.iter().map(|line| line.allocations).max().unwrap_or(0);
        println!(
            "{name:<17}{:>10.1}{:>10.1}{:>12.1}{:>12.1}{:>9.2}{:>9.2}{:>9.2}{allocations:>13}",
            wall.0, wall.1, cpu.0, cpu.1, writes.0, reads.0, waits.0
        );
    }
    Ok(())
}

/// One run: nanoseconds and processor nanoseconds per command; writes, reads and waits per flush (or call, or turn); all allocations.
struct Line {
    figures: [f64; 5],
    allocations: u64,
}

/// What is measured.
trait Subject {
    /// Works for that long, a round at least; answers how many commands and rounds fitted in.
    fn run(&mut self, time: Duration) -> Result<(u64, u64), Error>;

    /// Writes, reads and waits so far.
    fn calls(&self) -> [u64; 3];
}

/// Runs a workload, warm.
fn run(kind: Kind, way: Use, time: Duration) -> Result<Line, Error> {
    let servers = Servers::start(NODES).map_err(|error| io(&error))?;
    let keys = keys(KEYS);
    let mut subject: Box<dyn Subject> = match way {
        Use::Floor(size) => {
            let floor = Floor::new(servers.ports(), kind, &keys, size).map_err(|error| io(&error))?;
            Box::new((floor, size as u64))
        }
        _ => {
            let mut config = Config::from_url(&servers.url())?;
            config.flush_policy = FlushPolicy::Explicit;
            let client = Client::connect_with(config)?;
            Box::new(Load { client, way, kind, keys, next: 0, tickets: Vec::with_capacity(KEYS) })
        }
    };
    subject.run(time / 10)?;
    let (calls, cpu, began) = (subject.calls(), cpu_time(), Instant::now());
    let (ran, allocations) = alloc::during(|| subject.run(time));
    let (commands, rounds) = ran?;
    let (wall, cpu) = (began.elapsed(), cpu_time() - cpu);
    let per = |number: u64, of: u64| number as f64 / of as f64;
    let [writes, reads, waits] = [0, 1, 2].map(|kind| per(subject.calls()[kind] - calls[kind], rounds));
    let [wall, cpu] = [wall, cpu].map(|time| per(time.as_nanos() as u64, commands));
    Ok(Line { figures: [wall, cpu, writes, reads, waits], allocations: allocations.count })
}

fn io(error: &std::io::Error) -> Error {
    Error::config(error.to_string())
}

/// Time this thread has spent on a processor, user and system.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

impl Subject for (Floor, u64) {
    fn run(&mut self, time: Duration) -> Result<(u64, u64), Error> {
        let began = Instant::now();
        let mut rounds = 0;
        while rounds == 0 || began.elapsed() < time {
            self.0.round().map_err(|error| io(&error))?;
            rounds += 1;
        }
        Ok((rounds * self.1, rounds))
    }

    fn calls(&self) -> [u64; 3] {
        self.0.calls
    }
}

struct Load {
    client: Client,
    way: Use,
    kind: Kind,
    keys: Vec<[u8; KEY_BYTES]>,
    next: usize,
    tickets: Vec<Ticket<Seen>>,
}

impl Subject for Load {
    fn run(&mut self, time: Duration) -> Result<(u64, u64), Error> {
        let began = Instant::now();
        let (mut commands, mut rounds) = (0, 0);
        if let Use::Stream(window) = self.way {
            self.submit(window)?;
        }
        while rounds == 0 || began.elapsed() < time {
            commands += match self.way {
                Use::Pipeline(size) => self.pipeline(size)?,
                Use::Stream(_) => self.turn()?,
                Use::Call | Use::Floor(_) => self.call()?,
            };
            rounds += 1;
        }
        while self.client.stats().in_flight > 0 {
            self.client.wait(None)?;
        }
        while self.client.next_completion().is_some() {}
        Ok((commands, rounds))
    }

    fn calls(&self) -> [u64; 3] {
        let stats = self.client.transport_stats();
        [stats.writes, stats.reads, stats.waits]
    }
}

impl Load {
    fn pipeline(&mut self, size: usize) -> Result<u64, Error> {
        let mut pipeline = self.client.pipeline();
        self.tickets.clear();
        for _ in 0..size {
            let key = next_key(&self.keys, &mut self.next);
            let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
            self.tickets.push(pipeline.request(request(self.kind, &args)));
        }
        let replies = pipeline.flush()?;
        let mut seen = 0;
        for ticket in &self.tickets {
            seen += replies.get(*ticket)?.0;
        }
        std::hint::black_box(seen);
        Ok(size as u64)
    }

    fn submit(&mut self, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            let key = next_key(&self.keys, &mut self.next);
            let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
            self.client.submit(request(self.kind, &args), 7)?;
        }
        self.client.flush();
        Ok(())
    }

    /// Takes what has come and submits as much again.
    fn turn(&mut self) -> Result<u64, Error> {
        self.client.wait(None)?;
        let mut taken = 0;
        while let Some(completion) = self.client.next_completion() {
            completion.result?;
            taken += 1;
        }
        self.submit(taken)?;
        Ok(taken as u64)
    }

    fn call(&mut self) -> Result<u64, Error> {
        let key = next_key(&self.keys, &mut self.next);
        let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
        let seen: Seen = Commands::request(&mut self.client, request(self.kind, &args))?;
        std::hint::black_box(seen.0);
        Ok(1)
    }
}

fn next_key(keys: &[[u8; KEY_BYTES]], next: &mut usize) -> [u8; KEY_BYTES] {
    *next = if *next + 1 == keys.len() { 0 } else { *next + 1 };
    keys[*next]
}

fn request<'a>(kind: Kind, args: &'a [Arg<'a>; 2]) -> Request<'a> {
    match kind {
        Kind::Set => Request::new("SET", Keys::FIRST, args),
        Kind::Get => Request::new("GET", Keys::FIRST, &args[..1]).read_only(),
    }
}
