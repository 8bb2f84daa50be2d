use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use super::*;
use crate::config::{Config, Endpoint};
use crate::engine::{Engine, Timestamp};

/// A buffer with room, as the engine lends them.
fn room() -> RecvBuf {
    let mut engine =
        Engine::new(Config::from_seeds([Endpoint::new("h", 1)]), Timestamp::ZERO).expect("a seed");
    engine.handle_timeout(Timestamp::ZERO);
    let Some(crate::engine::Action::Connect { conn, .. }) = engine.poll_action() else { panic!("no dial") };
    engine.lend_recv(conn).expect("a live connection")
}

/// A ring with a receive under way on each of two lanes, and their peers.
fn two_lanes(has_min_wait: bool) -> (Ring, Vec<UnixStream>) {
    let mut ring = Ring::new().expect("this system allows io_uring");
    assert!(ring.has_min_wait || !has_min_wait, "this kernel is older than 6.12");
    ring.has_min_wait = has_min_wait;
    let peers = (0..2).map(|tag| {
        let (ours, peer) = UnixStream::pair().expect("sockets");
        let lane = ring.open(Socket::from(std::os::fd::OwnedFd::from(ours)), tag, true);
        ring.receive(lane, room()).expect("room for a request");
        peer
    });
    let peers = peers.collect();
    (ring, peers)
}

/// What has come, by lane.
fn received(ring: &mut Ring) -> Vec<(u64, usize)> {
    let mut received = Vec::new();
    while let Some(completion) = ring.next_completion() {
        if let Completion::Received { tag, result, .. } = completion {
            received.push((tag, result.expect("bytes")));
        }
    }
    received
}

const PATIENCE: Duration = Duration::from_millis(30);

/// Both ways of waiting: the kernel's own, and the one for kernels that have none.
fn both(test: impl Fn(bool)) {
    test(true);
    test(false);
}

#[test]
fn patience_ends_with_what_there_is() {
    both(|kernel| {
        let (mut ring, mut peers) = two_lanes(kernel);
        peers[0].write_all(b"abc").expect("write");
        let began = Instant::now();
        ring.enter(2, None, Some(PATIENCE)).expect("enter");
        assert!(began.elapsed() >= PATIENCE, "it insists on both first");
        assert_eq!(received(&mut ring), [(0, 3)]);
    });
}

#[test]
fn the_first_that_comes_ends_a_wait_whose_patience_is_over() {
    both(|kernel| {
        let (mut ring, mut peers) = two_lanes(kernel);
        let began = Instant::now();
        let mut late = peers.remove(1);
        let writer = thread::spawn(move || {
            thread::sleep(3 * PATIENCE);
            late.write_all(b"late").expect("write");
            late
        });
        ring.enter(2, None, Some(PATIENCE)).expect("enter");
        assert!(began.elapsed() >= 3 * PATIENCE);
        assert_eq!(received(&mut ring), [(1, 4)]);
        drop(writer.join());
    });
}

#[test]
fn all_that_is_wanted_ends_a_wait_at_once_and_the_time_ends_it_in_any_case() {
    both(|kernel| {
        let (mut ring, mut peers) = two_lanes(kernel);
        let began = Instant::now();
        ring.enter(2, Some(2 * PATIENCE), Some(PATIENCE)).expect("enter");
        assert!(began.elapsed() >= 2 * PATIENCE);
        assert_eq!(received(&mut ring), []);
        for peer in &mut peers {
            peer.write_all(b"x").expect("write");
        }
        // With a patience that no test waits for.
        ring.enter(2, None, Some(Duration::from_secs(3600))).expect("enter");
        let mut both = received(&mut ring);
        both.sort_unstable();
        assert_eq!(both, [(0, 1), (1, 1)]);
    });
}

#[test]
fn a_closed_lane_keeps_its_socket_and_buffer_until_its_request_has_ended() {
    let (mut ring, peers) = two_lanes(true);
    ring.enter(0, None, None).expect("enter");
    ring.close(0);
    assert_eq!((ring.open_lanes(), ring.under_way()), (2, 2));
    ring.enter(1, None, None).expect("enter");
    assert!(ring.next_completion().is_none(), "nobody is told");
    assert_eq!((ring.open_lanes(), ring.under_way()), (1, 1));
    drop(peers);
}

#[test]
fn more_requests_than_the_queue_holds_are_all_made() {
    let mut ring = Ring::new().expect("this system allows io_uring");
    for _ in 0..3 * ENTRIES {
        ring.nothing().expect("room");
    }
    ring.enter(0, None, None).expect("enter");
    let mut rung = 0;
    while ring.has_task_work() || ring.ready() > 0 {
        while ring.next_completion().is_some() {
            rung += 1;
        }
        ring.enter(0, None, None).expect("enter");
    }
    assert_eq!((rung, ring.under_way()), (3 * ENTRIES, 0));
}

#[test]
fn a_ring_that_another_thread_drops_is_gone_when_its_memory_is_freed() {
    let (mut ring, peers) = two_lanes(false);
    ring.enter(0, None, None).expect("enter");
    let mut gone = ring.gone.try_clone().expect("a descriptor");
    rustix::io::ioctl_fionbio(&gone, true).expect("an option");
    let blocks = std::io::Read::read(&mut gone, &mut [0]).expect_err("requests are under way");
    assert_eq!(blocks.kind(), io::ErrorKind::WouldBlock);
    thread::spawn(move || drop(ring)).join().expect("no panic");
    assert_eq!(std::io::Read::read(&mut gone, &mut [0]).expect("the end"), 0);
    drop(peers);
}

#[test]
fn a_send_that_made_room_for_itself_is_counted() {
    let (mut ring, _peers) = two_lanes(true);
    while ring.uring().submission().len() < ENTRIES as usize {
        ring.nothing().expect("room");
    }
    ring.pieces(0).expect("free").push("bytes".into());
    ring.send(0).expect("room");
    assert!(ring.has_unsubmitted());
    assert_eq!(ring.fresh_sends(), 1, "it would not leave with `launch`");
}
