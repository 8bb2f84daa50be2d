//! Waiting for all replies of a flush: a node that is slow, stopped or gone does not hold the news of the others back, and nothing that
//! happens meanwhile is missed.
#![cfg(feature = "testkit")]

#[path = "support/transport.rs"]
mod transport;

use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use panpipe::prelude::*;
use panpipe::slot::slot_of;
use panpipe::testkit::EmbeddedCluster;
use panpipe::{Budget, Client, ErrorKind, Outcome};

/// Nodes a millisecond away, all of them connected.
fn start() -> (EmbeddedCluster, Client) {
    let cluster = EmbeddedCluster::builder().delay_ms(1).start().expect("loopback sockets");
    let mut client =
        transport::connect(&format!("{}?refresh_interval_ms=0", cluster.url())).expect("connect");
    for node in 0..30 {
        client.set(key_of(&cluster, node % 3, 0), "warm").expect("set");
    }
    (cluster, client)
}

/// A key of this primary's slots.
fn key_of(cluster: &EmbeddedCluster, node: usize, skipped: usize) -> String {
    let owner = |key: &String| cluster.with(|model| model.owner(slot_of(key.as_bytes())));
    let mut keys = (0..).map(|n| format!("key:{n}")).filter(|key| owner(key) == Some(node));
    keys.nth(skipped).expect("a key of every node")
}

#[test]
fn a_stopped_node_that_was_written_last_holds_no_redirect_back() {
    let (cluster, mut client) = start();
    let (moved, stuck) = (key_of(&cluster, 0, 0), key_of(&cluster, 1, 0));
    cluster.freeze(1);
    for round in 0..4 {
        let to = if round % 2 == 0 { 2 } else { 0 };
        cluster.with(|model| model.move_slot(slot_of(moved.as_bytes()), to));
        let began = Instant::now();
        let mut pipe = client.pipeline();
        pipe.deadline_ms(500);
        let followed = pipe.set(&moved, round);
        let silent = pipe.set(&stuck, round);
        let replies = pipe.flush().expect("flush");
        replies.get(followed).expect("the redirect was followed in time");
        let error = replies.get(silent).expect_err("nobody answers");
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(5), "{took:?}");
    }
    cluster.thaw(1);
    client.set(&stuck, "again").expect("set");
}

#[test]
fn a_connection_that_breaks_meanwhile_is_noticed_at_once() {
    let (cluster, mut client) = start();
    let (broken, stuck) = (key_of(&cluster, 0, 0), key_of(&cluster, 1, 0));
    cluster.freeze(0);
    cluster.freeze(1);
    let cluster = &cluster;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            cluster.kill(0);
        });
        let mut pipe = client.pipeline();
        pipe.deadline_ms(1_000);
        let (lost, silent) = (pipe.set(&broken, "v"), pipe.set(&stuck, "v"));
        let replies = pipe.flush().expect("flush");
        let error = replies.get(lost).expect_err("its node died");
        assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown);
        let error = replies.get(silent).expect_err("nobody answers");
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
    });
}

#[test]
fn a_connection_that_ends_while_others_are_used_is_not_written_to() {
    let (cluster, mut client) = start();
    let (used, ended) = (key_of(&cluster, 0, 0), key_of(&cluster, 1, 0));
    cluster.kill(1);
    cluster.restart(1);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        client.set(&used, "v").expect("set");
    }
    // Written to the connection that has ended, its outcome would be unknown.
    client.set(&ended, "v").expect("the end was noticed, and a new connection made");
}

#[test]
fn what_is_answered_was_done_while_nodes_come_and_go() {
    let (cluster, mut client) = start();
    (0..3).for_each(|node| cluster.set_delay_ms(node, 1 + node as u64));
    let keys: Vec<String> = (0..60).map(|n| format!("again:{n}")).collect();
    let cluster = &cluster;
    for round in 0..12_usize {
        let mut done = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_micros(500 * round as u64));
                cluster.kill(round % 3);
                cluster.restart(round % 3);
            });
            let mut pipe = client.pipeline();
            let tickets: Vec<_> = keys.iter().map(|key| pipe.set(key, round)).collect();
            let replies = pipe.flush().expect("flush");
            for ticket in tickets {
                let result = replies.get(ticket);
                if let Err(error) = &result {
                    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
                }
                done.push(result.is_ok());
            }
        });
        let mut pipe = client.pipeline();
        let tickets: Vec<_> = keys.iter().map(|key| pipe.get(key)).collect();
        let replies = pipe.flush().expect("flush");
        for (ticket, done) in tickets.into_iter().zip(done) {
            let value = replies.get(ticket).expect("reads are sent again");
            let found = value.map_or(0, |value| String::from_utf8_lossy(&value).parse().expect("a number"));
            assert!(found == round || !done && found < round, "{found} in round {round}");
        }
    }
}

#[test]
fn a_flush_leaves_the_descriptor_as_it_was() {
    let (cluster, mut client) = start();
    let mut poll = Poll::new().expect("poll");
    let fd = client.as_fd().expect("descriptor").as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).expect("register");
    while client.turn(Budget::default()).expect("turn") > 0 {}
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
    let mut rung = 0;
    for round in 0..50 {
        let mut pipe = client.pipeline();
        for node in 0..3 {
            pipe.set(key_of(&cluster, node, 0), round);
        }
        pipe.flush().expect("flush").all().expect("set");
        drop(pipe);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
        rung += usize::from(!events.is_empty());
        while client.turn(Budget::default()).expect("turn") > 0 {}
    }
    assert!(rung <= 2, "a host would turn for nothing: {rung}");
}

#[test]
fn a_wait_for_news_is_not_ended_by_what_a_flush_has_read() {
    let (cluster, mut client) = start();
    let mut pipe = client.pipeline();
    for node in 0..3 {
        pipe.set(key_of(&cluster, node, 0), "v");
    }
    pipe.flush().expect("flush").all().expect("set");
    drop(pipe);
    let began = Instant::now();
    assert_eq!(client.wait(Some(Duration::from_millis(40))).expect("wait"), 0);
    assert!(began.elapsed() >= Duration::from_millis(40));
}

#[test]
fn a_busy_wait_for_a_slow_node_holds_no_redirect_back() {
    let (cluster, client) = start();
    drop(client);
    let mut config = Config::from_url(&cluster.url()).expect("url");
    config.refresh_interval_ms = 0;
    config.spin_us = 400_000;
    let mut client = transport::connect_with(config).expect("connect");
    let (moved, stuck) = (key_of(&cluster, 0, 0), key_of(&cluster, 1, 0));
    client.set(&moved, "warm").expect("set");
    client.set(&stuck, "warm").expect("set");
    client.set(key_of(&cluster, 2, 0), "warm").expect("set");
    cluster.freeze(1);
    cluster.with(|model| model.move_slot(slot_of(moved.as_bytes()), 2));
    let mut pipe = client.pipeline();
    pipe.deadline_ms(200);
    let (followed, silent) = (pipe.set(&moved, "there"), pipe.set(&stuck, "nowhere"));
    let replies = pipe.flush().expect("flush");
    replies.get(followed).expect("followed while the other node was silent");
    replies.get(silent).expect_err("nobody answers");
    cluster.thaw(1);
}
