//! In the steady state a command costs no heap allocation, over real sockets, counted in the client's thread alone.
//!
//! What does allocate, by design: connecting, a refresh of the topology (the periodic one is off here), redirects and failures, a
//! window that grows beyond anything before it, a command that is split over slots, a reply of 16 KiB or more (it keeps the memory it
//! was received into), and decoding into an owned value (`client.get` answers `Bytes`: one allocation).
//!
//! When a test fails, `TRAP_ALLOCATIONS=1 cargo test --test zero_alloc` shows where the first allocation comes from.

#[path = "../benches/peer/mod.rs"]
mod peer;
#[path = "support/transport.rs"]
mod transport;

use panpipe::bulk::{LoadOptions, PushError, RawKeys, Until};
use panpipe::command::{Arg, Commands, Keys, Request, Strings, cmd};
use panpipe::resp::from_reply::FromReply;
use panpipe::resp::reply::ReplyRef;
use panpipe::{Client, Config, Error, FlushPolicy};

use peer::rig::Kind;
use peer::tcp::Servers;
use peer::{KEY_BYTES, VALUE, alloc, keys};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const NODES: usize = 3;
const WARM_UP: usize = 200;
const ROUNDS: usize = 200;

fn client() -> Result<Client, Error> {
    let servers = Servers::start(NODES).expect("the loopback interface has free ports");
    let mut config = Config::from_url(&servers.url())?;
    config.flush_policy = FlushPolicy::Explicit;
    transport::connect_with(config)
}

fn request<'a>(kind: Kind, args: &'a [Arg<'a>; 2]) -> Request<'a> {
    match kind {
        Kind::Set => Request::new("SET", Keys::FIRST, args),
        Kind::Get => Request::new("GET", Keys::FIRST, &args[..1]).read_only(),
    }
}

/// A value that is looked at where it lies: decoding it costs nothing.
struct Expected;

impl FromReply for Expected {
    const EXPECTED: &'static str = "OK, or the value of the tests";

    fn from_reply(reply: ReplyRef<'_>) -> panpipe::Result<Self> {
        let bytes = reply.as_bytes().unwrap_or_default();
        assert!(bytes == VALUE || bytes == b"OK", "{reply:?}");
        Ok(Expected)
    }
}

/// Runs `round` often enough to fill every buffer, then again and counts.
fn allocations(mut round: impl FnMut() -> Result<(), Error>) -> Result<alloc::Allocations, Error> {
    for _ in 0..WARM_UP {
        round()?;
    }
    let (result, allocations) = alloc::during(|| (0..ROUNDS).try_for_each(|_| round()));
    result.map(|()| allocations)
}

/// As `allocations`, of the first of twenty attempts that sees none, or else of the last. How replies are cut, and with it which buffers are
/// needed at once, is a matter of chance on a busy machine: what grows then has grown for good, and what allocates each time never ends.
fn allocations_in_the_end(mut round: impl FnMut() -> Result<(), Error>) -> Result<alloc::Allocations, Error> {
    let mut seen = allocations(&mut round)?;
    for _ in 1..20 {
        if seen == NONE {
            break;
        }
        seen = allocations(&mut round)?;
    }
    Ok(seen)
}

const NONE: alloc::Allocations = alloc::Allocations { count: 0, bytes: 0 };

/// The typed commands, and results that are looked at where they lie.
fn pipelines(kind: Kind, size: usize) -> Result<(), Error> {
    let mut client = client()?;
    let keys = keys(size);
    let expected: &[u8] = if kind == Kind::Set { b"OK" } else { VALUE };
    let seen = allocations(|| {
        let mut pipeline = client.pipeline();
        for key in &keys {
            if kind == Kind::Set {
                let _ticket = pipeline.set(key, VALUE);
            } else {
                let _ticket = pipeline.get(key);
            }
        }
        let replies = pipeline.flush()?;
        assert_eq!(replies.len(), size);
        assert!(replies.iter().all(|reply| reply.is_ok_and(|reply| reply.as_bytes() == Some(expected))));
        Ok(())
    })?;
    assert_eq!(seen, NONE, "{ROUNDS} flushes of {size} {}", kind.name());
    Ok(())
}

#[test]
fn pipelines_of_100_writes_allocate_nothing() -> Result<(), Error> {
    pipelines(Kind::Set, 100)
}

#[test]
fn pipelines_of_1000_writes_allocate_nothing() -> Result<(), Error> {
    pipelines(Kind::Set, 1000)
}

#[test]
fn pipelines_of_100_reads_allocate_nothing() -> Result<(), Error> {
    pipelines(Kind::Get, 100)
}

#[test]
fn pipelines_of_1000_reads_allocate_nothing() -> Result<(), Error> {
    pipelines(Kind::Get, 1000)
}

#[test]
fn a_pipeline_that_is_filled_again_allocates_nothing() -> Result<(), Error> {
    let mut client = client()?;
    let keys = keys(300);
    let mut pipeline = client.pipeline();
    let seen = allocations(|| {
        for key in &keys {
            let _ticket = pipeline.set(key, VALUE);
        }
        let replies = pipeline.flush()?;
        assert!(replies.iter().all(|reply| reply.is_ok()));
        Ok(())
    })?;
    assert_eq!(seen, NONE);
    Ok(())
}

/// A flush that is larger than what one node is sent or read at a time.
#[test]
fn a_flush_over_the_write_quantum_allocates_nothing() -> Result<(), Error> {
    let mut client = client()?;
    let keys = keys(10_000);
    let mut pipeline = client.pipeline();
    let seen = allocations(|| {
        for key in &keys {
            let _ticket = pipeline.set(key, VALUE);
        }
        let replies = pipeline.flush()?;
        assert!(replies.iter().all(|reply| reply.is_ok()));
        Ok(())
    })?;
    assert_eq!(seen, NONE);
    Ok(())
}

fn submit(client: &mut Client, kind: Kind, keys: &[[u8; KEY_BYTES]]) -> Result<(), Error> {
    for (number, key) in keys.iter().enumerate() {
        client.submit(request(kind, &[Arg::Bytes(key), Arg::Bytes(VALUE)]), number as u64)?;
    }
    client.flush();
    Ok(())
}

/// Lets the results of twice as many commands pile up as a round has: how many wait at once in a round is a matter of chance, and no
/// buffer may grow then.
fn fill_buffers(client: &mut Client, kind: Kind, keys: &[[u8; KEY_BYTES]]) -> Result<(), Error> {
    submit(client, kind, keys)?;
    submit(client, kind, keys)?;
    while client.stats().in_flight > 0 {
        client.wait(None)?;
    }
    while let Some(completion) = client.next_completion() {
        completion.result?;
    }
    Ok(())
}

fn events(kind: Kind) -> Result<(), Error> {
    let mut client = client()?;
    let keys = keys(500);
    fill_buffers(&mut client, kind, &keys)?;
    let seen = allocations(|| {
        submit(&mut client, kind, &keys)?;
        let mut missing = keys.len();
        while missing > 0 {
            client.wait(None)?;
            while let Some(completion) = client.next_completion() {
                Expected::from_reply(completion.result?)?;
                missing -= 1;
            }
        }
        Ok(())
    })?;
    assert_eq!(seen, NONE);
    Ok(())
}

#[test]
fn event_driven_writes_allocate_nothing() -> Result<(), Error> {
    events(Kind::Set)
}

#[test]
fn event_driven_reads_allocate_nothing() -> Result<(), Error> {
    events(Kind::Get)
}

/// A window that never empties: results are taken while others are under way.
#[test]
fn a_window_that_is_kept_full_allocates_nothing() -> Result<(), Error> {
    let mut client = client()?;
    let keys = keys(400);
    fill_buffers(&mut client, Kind::Get, &keys)?;
    submit(&mut client, Kind::Get, &keys)?;
    let seen = allocations_in_the_end(|| {
        client.wait(Some(std::time::Duration::ZERO))?;
        let mut taken = 0;
        while let Some(completion) = client.next_completion() {
            completion.result?;
            taken += 1;
        }
        submit(&mut client, Kind::Get, &keys[..taken])
    })?;
    assert_eq!(seen, NONE);
    Ok(())
}

fn calls<R: FromReply>(kind: Kind) -> Result<alloc::Allocations, Error> {
    let mut client = client()?;
    let key = keys(1)[0];
    allocations(|| {
        let args = [Arg::Bytes(&key), Arg::Bytes(VALUE)];
        Commands::request::<R>(&mut client, request(kind, &args)).map(drop)
    })
}

#[test]
fn a_lone_write_allocates_nothing() -> Result<(), Error> {
    let mut client = client()?;
    let key = keys(1)[0];
    assert_eq!(allocations(|| client.set(key, VALUE))?, NONE);
    Ok(())
}

#[test]
fn a_lone_read_that_is_decoded_in_place_allocates_nothing() -> Result<(), Error> {
    assert_eq!(calls::<Expected>(Kind::Get)?, NONE);
    Ok(())
}

#[test]
fn a_lone_read_into_an_owned_value_allocates_that_value_alone() -> Result<(), Error> {
    let value = alloc::Allocations { count: ROUNDS as u64, bytes: (ROUNDS * VALUE.len()) as u64 };
    let mut client = client()?;
    let key = keys(1)[0];
    assert_eq!(allocations(|| client.get(key).map(drop))?, value);
    assert_eq!(calls::<Vec<u8>>(Kind::Get)?, value);
    assert_eq!(calls::<Option<String>>(Kind::Get)?, value);
    Ok(())
}

#[test]
fn a_raw_command_allocates_its_name_at_most() -> Result<(), Error> {
    let mut client = client()?;
    let key = keys(1)[0];
    let seen = allocations(|| client.call::<()>(cmd("SET").key(key).arg(VALUE)))?;
    assert!(seen.count <= ROUNDS as u64, "{seen:?}");
    Ok(())
}

/// Frames of a load, more than a chunk of the loader's per round, and windows that are full again and again.
fn loads(options: LoadOptions) -> Result<(), Error> {
    let mut client = client()?;
    let mut frames = Vec::new();
    for key in keys(3000) {
        let mut frame = Vec::new();
        request(Kind::Set, &[Arg::Bytes(&key), Arg::Bytes(VALUE)]).write(&mut frame);
        frames.push(frame);
    }
    let mut loader = client.loader(options)?;
    let mut tag = 0;
    let seen = allocations_in_the_end(|| {
        for frame in &frames {
            tag += 1;
            while let Err(error) = loader.push_raw(frame, RawKeys::Find, tag) {
                assert!(matches!(error, PushError::Full(_)), "{error}");
                loader.run_until(Until::Room, None)?;
            }
        }
        assert!(loader.turn().is_ok() && loader.committed() <= Some(tag));
        Ok(())
    })?;
    assert_eq!(seen, NONE);
    let summary = loader.finish(std::time::Duration::from_secs(20))?;
    assert_eq!(summary.outcomes.written, tag);
    Ok(())
}

#[test]
fn a_load_allocates_nothing() -> Result<(), Error> {
    // Full in each round: a window that is never quite full grows when it is.
    loads(LoadOptions { window_per_node_commands: 900, ..LoadOptions::default() })
}

#[test]
fn a_load_with_small_windows_allocates_nothing() -> Result<(), Error> {
    loads(LoadOptions {
        window_per_node_commands: 200,
        window_per_node_bytes: 10_000,
        ..LoadOptions::default()
    })
}
