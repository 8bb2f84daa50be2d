//! A process that uses the client has one thread: nothing runs behind the caller's back. The kernel's workers for requests of io_uring
//! that would block count as threads of the process, and there are none of them either.
//!
//! The test is two processes: this one is the peer and has threads; its child is the client and counts its own. There is no test
//! harness, because that has threads too.

#[path = "../benches/peer/mod.rs"]
mod peer;
#[path = "support/transport.rs"]
mod transport;

use std::process::Command;
use std::time::Duration;

use panpipe::command::{Arg, Commands, Keys, Request};
use panpipe::{Client, Error, Ticket};

use peer::tcp::Servers;
use peer::{HANG_UP, VALUE, keys};

/// Tells the child where the peer is, and that it is the child.
const PEER: &str = "PANPIPE_TEST_PEER";
const NODES: usize = 3;

fn main() {
    if let Ok(url) = std::env::var(PEER) {
        if let Err(error) = child(&url) {
            panic!("the client failed: {error}");
        }
        return;
    }
    if !cfg!(target_os = "linux") {
        println!("threads are counted on Linux only");
        return;
    }
    let servers = Servers::start(NODES).expect("the loopback interface has free ports");
    let program = std::env::current_exe().expect("the system knows this program");
    let output =
        Command::new(program).env(PEER, servers.url()).output().expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    let counts: Vec<&str> = said.lines().collect();
    assert_eq!(
        counts,
        ["start: 1", "connected: 1", "flushed: 1", "hung up on: 1", "connected again: 1", "dropped: 1"],
        "{complained}"
    );
    println!("one thread: {}", counts.join(", "));
}

fn report(moment: &str) {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    println!("{moment}: {threads}");
}

fn child(url: &str) -> Result<(), Error> {
    report("start");
    let mut client = transport::connect(url)?;
    report("connected");
    flush(&mut client)?;
    report("flushed");
    let lost = set(&mut client, HANG_UP);
    assert!(lost.is_err(), "the peer hangs up on this key");
    report("hung up on");
    let connects = client.transport_stats().connects;
    while client.transport_stats().connects == connects {
        client.wait(Some(Duration::from_millis(10)))?;
        flush(&mut client)?;
    }
    flush(&mut client)?;
    report("connected again");
    drop(client);
    report("dropped");
    Ok(())
}

fn flush(client: &mut Client) -> Result<(), Error> {
    let mut pipeline = client.pipeline();
    let tickets: Vec<Ticket<()>> = keys(300)
        .iter()
        .map(|key| pipeline.request(Request::new("SET", Keys::FIRST, &[Arg::Bytes(key), Arg::Bytes(VALUE)])))
        .collect();
    let replies = pipeline.flush()?;
    tickets.into_iter().try_for_each(|ticket| replies.get(ticket))
}

fn set(client: &mut Client, key: &[u8]) -> Result<(), Error> {
    Commands::request(client, Request::new("SET", Keys::FIRST, &[Arg::Bytes(key), Arg::Bytes(VALUE)]))
}
