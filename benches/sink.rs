//! The whole client over a transport and real sockets, against a peer that answers at once: time, processor time of the client's thread, how
//! long a flush takes, system calls and allocations.
//!
//! ```text
//! cargo bench --bench sink                        every workload for two seconds
//! cargo bench --bench sink -- set_1000 20         one workload for twenty seconds: for a profiler
//! cargo bench --bench sink -- all 1 9             every workload for a second, in turn, nine times; the median and the best of each
//! cargo bench --bench sink -- --test              one round of each workload: that it runs
//! cargo bench --bench sink -- set_10,get_10000    any size of flush; also mixed_20 (half of each), stream_get_50
//!     --url redis://127.0.0.1:7000                a real cluster instead (not for the floor)
//!     --nodes 12                                  so many peers instead of three
//!     --delays-us 0,500                           the first peer answers at once, the second after half a millisecond, and so on
//!     --spin-us 50                                Config::spin_us
//!     --transport uring                           mio (without this), uring or auto; uring and auto with `--features io-uring`
//! ```
//!
//! The workloads `floor_…` send the same bytes, made beforehand, and count what comes back: the physical floor of the machine at that
//! moment. On the loopback interface a `send` runs the receiving side's network code too, so the client pays for both ends there.

mod peer;

use std::time::{Duration, Instant};

use panpipe::command::{self, Arg, Commands as _, Keys, Request};
use panpipe::config::Transport;
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
/// Room for the times of all rounds.
const ROUNDS_MAX: usize = 1 << 20;

/// Those of `all`.
const WORKLOADS: &str = "floor_set_100,floor_set_1000,floor_get_100,floor_get_1000,set_100,set_1000,get_100,get_1000,\
                         stream_set_1000,stream_get_1000,call_set,call_get";

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

/// What is sent.
#[derive(Clone, Copy)]
enum Commands {
    Only(Kind),
    /// Reads and writes in turn.
    Mixed,
}

impl Commands {
    fn kind(self, number: usize) -> Kind {
        match self {
            Commands::Only(kind) => kind,
            Commands::Mixed if number.is_multiple_of(2) => Kind::Get,
            Commands::Mixed => Kind::Set,
        }
    }
}

/// The workload of a name such as `floor_set_100`.
fn workload(name: &str) -> Option<(Commands, Use)> {
    let words: Vec<&str> = name.split('_').collect();
    let (way, words) = match words[..] {
        ["floor", ref rest @ ..] => ("floor", rest),
        ["stream", ref rest @ ..] => ("stream", rest),
        ["call", ref rest @ ..] => ("call", rest),
        ref all => ("flush", all),
    };
    let commands = match *words.first()? {
        "set" => Commands::Only(Kind::Set),
        "get" => Commands::Only(Kind::Get),
        "mixed" => Commands::Mixed,
        _ => return None,
    };
    let size = words.get(1).and_then(|size| size.parse().ok());
    let way = match (way, size) {
        ("call", _) => Use::Call,
        ("stream", size) => Use::Stream(size?),
        ("floor", size) => Use::Floor(size?),
        (_, size) => Use::Pipeline(size?),
    };
    Some((commands, way))
}

/// Where and how the workloads run.
struct Setting {
    url: Option<String>,
    nodes: usize,
    delays_us: Vec<u64>,
    spin_us: Option<u32>,
    transport: Transport,
}

/// A reply that is looked at where it lies.
struct Seen(usize);

impl FromReply for Seen {
    const EXPECTED: &'static str = "a string";

    fn from_reply(reply: ReplyRef<'_>) -> panpipe::Result<Self> {
        Ok(Seen(reply.as_bytes().map_or(0, <[u8]>::len)))
    }
}

fn main() -> Result<(), Error> {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut option = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.drain(at..(at + 2).min(args.len())).nth(1)
    };
    let delays = option("--delays-us").unwrap_or_default();
    let setting = Setting {
        url: option("--url"),
        nodes: option("--nodes").and_then(|nodes| nodes.parse().ok()).unwrap_or(NODES),
        delays_us: delays.split(',').filter_map(|delay| delay.parse().ok()).collect(),
        spin_us: option("--spin-us").and_then(|spin| spin.parse().ok()),
        transport: option("--transport").map_or(Ok(Transport::default()), |name| name.parse())?,
    };
    let number = |at: usize, usual: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let only_test = args.first().is_some_and(|arg| arg == "--test");
    let (seconds, turns) = if only_test { (0, 1) } else { (number(1, 2), number(2, 1)) };
    let names = args.first().filter(|name| *name != "all" && !only_test).map_or(WORKLOADS, String::as_str);
    let mut chosen = Vec::new();
    for name in names.split(',') {
        let workload = workload(name).ok_or_else(|| Error::config(format!("no workload {name}")))?;
        chosen.push((name, workload, Vec::new()));
    }
    for _ in 0..turns {
        for (_, (commands, way), lines) in &mut chosen {
            lines.push(run(&setting, *commands, *way, Duration::from_secs(seconds))?);
        }
    }
    println!(
        "{:<17}{:>10}{:>10}{:>12}{:>12}{:>10}{:>10}{:>9}{:>9}{:>9}{:>13}",
        "workload",
        "wall ns",
        "best",
        "cpu ns",
        "best",
        "p50 us",
        "p99 us",
        "writes",
        "reads",
        "waits",
        "allocations"
    );
    for (name, _, lines) in &chosen {
        print_lines(name, lines);
    }
    Ok(())
}

/// Medians; of the times also the best.
fn print_lines(name: &str, lines: &[Line]) {
    let [wall, cpu, p50, p99, writes, reads, waits] = [0, 1, 2, 3, 4, 5, 6].map(|column| {
        let mut seen: Vec<f64> = lines.iter().map(|line| line.figures[column]).collect();
        seen.sort_by(f64::total_cmp);
        (seen[seen.len() / 2], seen[0])
    });
    let allocations = lines.iter().map(|line| line.allocations).max().unwrap_or(0);
    println!(
        "{name:<17}{:>10.1}{:>10.1}{:>12.1}{:>12.1}{:>10.1}{:>10.1}{:>9.2}{:>9.2}{:>9.2}{allocations:>13}",
        wall.0, wall.1, cpu.0, cpu.1, p50.0, p99.0, writes.0, reads.0, waits.0
    );
}

/// One run: nanoseconds and processor nanoseconds per command; how many microseconds half and 99 of 100 flushes (or calls, or turns) take
/// at most; writes, reads and waits per flush; all allocations.
struct Line {
    figures: [f64; 7],
    allocations: u64,
}

/// What is measured.
trait Subject {
    /// Does one round; answers how many commands that were.
    fn round(&mut self) -> Result<u64, Error>;

    /// Before the first round and after the last.
    fn begin(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Writes, reads and waits so far: system calls. Over io_uring each of them is a wait.
    fn calls(&self) -> [u64; 3];
}

/// Works for that long, a round at least; answers how many commands there were.
fn work(subject: &mut dyn Subject, time: Duration, took_ns: &mut Vec<u64>) -> Result<u64, Error> {
    let began = Instant::now();
    let (mut commands, mut last) = (0, Duration::ZERO);
    took_ns.clear();
    subject.begin()?;
    loop {
        commands += subject.round()?;
        let now = began.elapsed();
        took_ns.push((now - last).as_nanos() as u64);
        last = now;
        if last >= time {
            break;
        }
    }
    subject.end()?;
    Ok(commands)
}

/// Runs a workload, warm.
fn run(setting: &Setting, commands: Commands, way: Use, time: Duration) -> Result<Line, Error> {
    let servers = Servers::start_delayed(setting.nodes, &setting.delays_us).map_err(|error| io(&error))?;
    let keys = keys(KEYS);
    let mut subject: Box<dyn Subject> = match way {
        Use::Floor(size) => {
            let floor = Floor::new(servers.ports(), commands.kind(1), &keys, size);
            Box::new((floor.map_err(|error| io(&error))?, size as u64))
        }
        _ => {
            let mut config = Config::from_url(setting.url.as_ref().unwrap_or(&servers.url()))?;
            config.flush_policy = FlushPolicy::Explicit;
            config.refresh_interval_ms = 0;
            config.spin_us = setting.spin_us.unwrap_or(config.spin_us);
            config.transport = setting.transport;
            let client = Client::connect_with(config)?;
            Box::new(Load { client, way, commands, keys, next: 0, tickets: Vec::with_capacity(KEYS) })
        }
    };
    let mut took_ns = Vec::with_capacity(ROUNDS_MAX);
    work(&mut *subject, time / 10, &mut took_ns)?;
    let (calls, cpu, began) = (subject.calls(), cpu_time(), Instant::now());
    let (ran, allocations) = alloc::during(|| work(&mut *subject, time, &mut took_ns));
    let (wall, cpu) = (began.elapsed(), cpu_time() - cpu);
    let (commands, rounds) = (ran?, took_ns.len() as u64);
    let per = |number: u64, of: u64| number as f64 / of as f64;
    let [writes, reads, waits] = [0, 1, 2].map(|kind| per(subject.calls()[kind] - calls[kind], rounds));
    let [wall, cpu] = [wall, cpu].map(|time| per(time.as_nanos() as u64, commands));
    took_ns.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| per(took_ns[took_ns.len() * percent / 100], 1000));
    Ok(Line { figures: [wall, cpu, p50, p99, writes, reads, waits], allocations: allocations.count })
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
    fn round(&mut self) -> Result<u64, Error> {
        self.0.round().map_err(|error| io(&error))?;
        Ok(self.1)
    }

    fn calls(&self) -> [u64; 3] {
        self.0.calls
    }
}

struct Load {
    client: Client,
    way: Use,
    commands: Commands,
    keys: Vec<[u8; KEY_BYTES]>,
    next: usize,
    tickets: Vec<Ticket<Seen>>,
}

impl Subject for Load {
    fn begin(&mut self) -> Result<(), Error> {
        match self.way {
            Use::Stream(window) => self.submit(window),
            _ => Ok(()),
        }
    }

    fn round(&mut self) -> Result<u64, Error> {
        match self.way {
            Use::Pipeline(size) => self.pipeline(size),
            Use::Stream(_) => self.turn(),
            Use::Call | Use::Floor(_) => self.call(),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        while self.client.stats().in_flight > 0 {
            self.client.wait(None)?;
        }
        while self.client.next_completion().is_some() {}
        Ok(())
    }

    fn calls(&self) -> [u64; 3] {
        let stats = self.client.transport_stats();
        match stats.enters {
            0 => [stats.writes, stats.reads, stats.waits],
            // io_uring's writes and reads are requests, which travel with its enters.
            enters => [0, 0, enters],
        }
    }
}

impl Load {
    fn pipeline(&mut self, size: usize) -> Result<u64, Error> {
        let mut pipeline = self.client.pipeline();
        self.tickets.clear();
        for _ in 0..size {
            let key = next_key(&self.keys, &mut self.next);
            let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
            self.tickets.push(pipeline.request(request(self.commands.kind(self.next), &args)));
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
            self.client.submit(request(self.commands.kind(self.next), &args), 7)?;
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
        let seen: Seen =
            command::Commands::request(&mut self.client, request(self.commands.kind(self.next), &args))?;
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
