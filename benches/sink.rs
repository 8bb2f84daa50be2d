//! The whole client over mio and real sockets, against a peer that answers at once: time, processor time of the client's thread, system
//! calls and allocations.
//!
//! ```text
//! cargo bench --bench sink                        every workload for two seconds
//! cargo bench --bench sink -- set_1000 20         one workload for twenty seconds: for a profiler
//! ```
//!
//! On the loopback interface a `send` runs the receiving side's network code too, so the client pays for both ends there.

mod peer;

use std::time::{Duration, Instant};

use panpipe::command::{Arg, Commands, Keys, Request};
use panpipe::resp::from_reply::FromReply;
use panpipe::resp::reply::ReplyRef;
use panpipe::transport::TransportStats;
use panpipe::{Client, Config, Error, FlushPolicy, Ticket};

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
}

const WORKLOADS: [(&str, Kind, Use); 8] = [
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
    let seconds = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    println!(
        "{:<17}{:>10}{:>12}{:>12}{:>9}{:>9}{:>9}{:>14}",
        "workload", "ns/cmd", "cpu ns/cmd", "kcmd/s", "writes", "reads", "waits", "allocations"
    );
    for (name, kind, way) in WORKLOADS {
        if args.first().is_none_or(|wanted| wanted == name) {
            run(name, kind, way, Duration::from_secs(seconds))?;
        }
    }
    Ok(())
}

/// Runs a workload, warms it up first, and prints its line. Calls and allocations are per flush (or call, or turn).
fn run(name: &str, kind: Kind, way: Use, time: Duration) -> Result<(), Error> {
    let servers = Servers::start(NODES).map_err(|error| Error::config(error.to_string()))?;
    let mut config = Config::from_url(&servers.url())?;
    config.flush_policy = FlushPolicy::Explicit;
    let mut client = Client::connect_with(config)?;
    let mut load = Load { kind, keys: keys(KEYS), next: 0, tickets: Vec::with_capacity(KEYS) };
    load.run(&mut client, way, time / 10)?;
    let (calls, cpu, began) = (client.transport_stats(), cpu_time(), Instant::now());
    let ((commands, rounds), allocations) = alloc::during(|| load.run(&mut client, way, time)).transpose()?;
    let (wall, cpu) = (began.elapsed(), cpu_time() - cpu);
    let calls = since(client.transport_stats(), calls);
    let per = |number: u64, of: u64| number as f64 / of as f64;
    println!(
        "{name:<17}{:>10.1}{:>12.1}{:>12.1}{:>9.2}{:>9.2}{:>9.2}{:>14}",
        per(wall.as_nanos() as u64, commands),
        per(cpu.as_nanos() as u64, commands),
        per(commands * 1_000_000, wall.as_nanos() as u64),
        per(calls.writes, rounds),
        per(calls.reads, rounds),
        per(calls.waits, rounds),
        allocations.count
    );
    Ok(())
}

/// Turns a pair with a result inside into a result of a pair.
trait Transpose<T, A> {
    fn transpose(self) -> Result<(T, A), Error>;
}

impl<T, A> Transpose<T, A> for (Result<T, Error>, A) {
    fn transpose(self) -> Result<(T, A), Error> {
        self.0.map(|done| (done, self.1))
    }
}

fn since(now: TransportStats, before: TransportStats) -> TransportStats {
    let mut calls = now;
    calls.writes -= before.writes;
    calls.reads -= before.reads;
    calls.waits -= before.waits;
    calls
}

/// Time this thread has spent on a processor, user and system.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

struct Load {
    kind: Kind,
    keys: Vec<[u8; KEY_BYTES]>,
    next: usize,
    tickets: Vec<Ticket<Seen>>,
}

impl Load {
    /// Answers how many commands and rounds fitted into the time.
    fn run(&mut self, client: &mut Client, way: Use, time: Duration) -> Result<(u64, u64), Error> {
        let began = Instant::now();
        let (mut commands, mut rounds) = (0, 0);
        if let Use::Stream(window) = way {
            self.submit(client, window)?;
        }
        while began.elapsed() < time {
            commands += match way {
                Use::Pipeline(size) => self.pipeline(client, size)?,
                Use::Stream(_) => self.turn(client)?,
                Use::Call => self.call(client)?,
            };
            rounds += 1;
        }
        while client.stats().in_flight > 0 {
            client.wait(None)?;
        }
        while client.next_completion().is_some() {}
        Ok((commands, rounds))
    }

    fn next_key(&mut self) -> [u8; KEY_BYTES] {
        self.next = if self.next + 1 == self.keys.len() { 0 } else { self.next + 1 };
        self.keys[self.next]
    }

    fn pipeline(&mut self, client: &mut Client, size: usize) -> Result<u64, Error> {
        let mut pipeline = client.pipeline();
        self.tickets.clear();
        for _ in 0..size {
            let key = self.next_key();
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

    fn submit(&mut self, client: &mut Client, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            let key = self.next_key();
            let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
            client.submit(request(self.kind, &args), 7)?;
        }
        client.flush();
        Ok(())
    }

    /// Takes what has come and submits as much again.
    fn turn(&mut self, client: &mut Client) -> Result<u64, Error> {
        client.wait(None)?;
        let mut taken = 0;
        while let Some(completion) = client.next_completion() {
            completion.result?;
            taken += 1;
        }
        self.submit(client, taken)?;
        Ok(taken as u64)
    }

    fn call(&mut self, client: &mut Client) -> Result<u64, Error> {
        let key = self.next_key();
        let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
        let seen: Seen = Commands::request(client, request(self.kind, &args))?;
        std::hint::black_box(seen.0);
        Ok(1)
    }
}

fn request<'a>(kind: Kind, args: &'a [Arg<'a>; 2]) -> Request<'a> {
    match kind {
        Kind::Set => Request::new("SET", Keys::FIRST, args),
        Kind::Get => Request::new("GET", Keys::FIRST, &args[..1]).read_only(),
    }
}
