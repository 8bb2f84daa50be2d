//! The event-driven use: what leaves when, what the host's loop can rely on.
#![cfg(feature = "testkit")]

#[path = "support/transport.rs"]
mod transport;

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

fn cluster() -> EmbeddedCluster {
    EmbeddedCluster::builder().primaries(3).start().expect("loopback sockets")
}

fn connect(cluster: &EmbeddedCluster, change: impl FnOnce(&mut Config)) -> Client {
    let mut config = Config::from_url(&cluster.url()).expect("url");
    change(&mut config);
    transport::connect_with(config).expect("connect")
}

/// Commands that the servers have processed, all nodes together.
fn processed(cluster: &EmbeddedCluster) -> u64 {
    cluster.with(|model| (0..3).map(|node| model.node(node).commands_processed()).sum())
}

/// A connection to every node, and nothing on its way.
fn warm_up(client: &mut Client) {
    for n in 0..30 {
        client.set(format!("warm:{n}"), n).expect("set");
    }
}

/// Takes results until there are `count`, at most five seconds.
fn collect(client: &mut Client, count: usize) -> Vec<u64> {
    let mut done = Vec::new();
    let began = Instant::now();
    while done.len() < count && began.elapsed() < Duration::from_secs(5) {
        client.wait(Some(Duration::from_millis(50))).expect("wait");
        while let Some(completion) = client.next_completion() {
            completion.result.expect("a result");
            done.push(completion.user_data);
        }
    }
    done
}

#[test]
fn explicit_means_that_nothing_leaves_before_the_flush() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.flush_policy = FlushPolicy::Explicit);
    warm_up(&mut client);
    let before = processed(&cluster);
    for n in 0..10 {
        client.submit(cmd("SET").key(format!("key:{n}")).arg(n), n).expect("room");
    }
    for _ in 0..20 {
        client.turn(Budget::default()).expect("turn");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(processed(&cluster), before, "turns do not flush");
    client.flush();
    let mut done = collect(&mut client, 10);
    done.sort_unstable();
    assert_eq!(done, (0..10).collect::<Vec<u64>>());
}

#[test]
fn each_turn_each_command_and_thresholds_flush_by_themselves() {
    let cluster = cluster();
    for policy in
        [FlushPolicy::EachTurn, FlushPolicy::EachCommand, FlushPolicy::Threshold { bytes: 1, commands: 1 }]
    {
        let mut client = connect(&cluster, |config| config.flush_policy = policy);
        warm_up(&mut client);
        for n in 0..10 {
            client.submit(cmd("SET").key(format!("key:{n}")).arg(n), n).expect("room");
        }
        assert_eq!(collect(&mut client, 10).len(), 10, "{policy:?}");
    }
}

#[test]
fn a_turn_writes_once_per_node_whatever_is_queued() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    let before = client.transport_stats();
    for n in 0..300 {
        client.submit(cmd("SET").key(format!("key:{n}")).arg(n), n).expect("room");
    }
    assert_eq!(client.transport_stats(), before, "submitting makes no system call");
    client.turn(Budget::default()).expect("turn");
    assert_eq!(client.transport_stats().writes - before.writes, 3);
    assert_eq!(collect(&mut client, 300).len(), 300);
}

#[test]
fn a_full_window_gives_the_command_back_and_takes_it_later() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.limits.commands_per_node_max = 5);
    let key = "one key, one node";
    for n in 0..5 {
        client.submit(cmd("INCR").key(key), n).expect("room");
    }
    let error = client.submit(cmd("INCR").key(key), 5).expect_err("no room");
    assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    assert_eq!(collect(&mut client, 5).len(), 5);
    client.submit(cmd("INCR").key(key), 5).expect("room again");
    assert_eq!(collect(&mut client, 1), [5]);
    assert_eq!(
        client.get(key).expect("get").as_deref(),
        Some(b"6".as_slice()),
        "nothing was lost or doubled"
    );
}

#[test]
fn commands_over_many_slots_complete_as_one() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    client.mset([("a", "1"), ("b", "2"), ("c", "3")]).expect("mset");
    client.submit(cmd("MGET").arg("c").arg("nobody").arg("a").arg("b").arg("a"), 9).expect("room");
    let began = Instant::now();
    loop {
        client.wait(Some(Duration::from_millis(50))).expect("wait");
        if let Some(done) = client.next_completion() {
            assert_eq!(done.user_data, 9);
            let reply = done.result.expect("joined");
            let values: Vec<Option<&[u8]>> = reply.elements().map(|element| element.as_bytes()).collect();
            assert_eq!(values, [Some(b"3".as_slice()), None, Some(b"1"), Some(b"2"), Some(b"1")]);
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

/// A host that watches nothing but the descriptor: no timeout of its own, no look at `next_deadline`.
struct Host {
    poll: Poll,
    events: Events,
}

impl Host {
    fn watch(client: &mut Client) -> Self {
        let poll = Poll::new().expect("poll");
        let fd = client.as_fd().expect("descriptor").as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).expect("register");
        Host { poll, events: Events::with_capacity(8) }
    }

    /// Whether the descriptor became readable within this time.
    fn sleep(&mut self, patience: Duration) -> bool {
        self.poll.poll(&mut self.events, Some(patience)).expect("poll");
        !self.events.is_empty()
    }
}

#[test]
fn the_descriptor_alone_tells_of_replies_and_of_deadlines() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    let mut host = Host::watch(&mut client);
    client.submit(cmd("SET").key("k").arg("v"), 1).expect("room");
    while client.turn(Budget::default()).expect("turn") > 0 {}
    let mut results = Vec::new();
    while results.is_empty() {
        assert!(host.sleep(Duration::from_secs(5)), "a reply makes it readable");
        while client.turn(Budget::default()).expect("turn") > 0 {}
        while let Some(done) = client.next_completion() {
            results.push(done.user_data);
        }
    }
    // A node that never answers: only the deadline can wake the host.
    (0..3).for_each(|node| cluster.freeze(node));
    client.submit_with_timeout(cmd("SET").key("k").arg("w"), 2, 150).expect("room");
    client.flush();
    let began = Instant::now();
    loop {
        assert!(host.sleep(Duration::from_secs(5)), "a deadline makes it readable");
        while client.turn(Budget::default()).expect("turn") > 0 {}
        if let Some(done) = client.next_completion() {
            let error = done.result.expect_err("nobody answers");
            assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
            break;
        }
    }
    assert!(began.elapsed() >= Duration::from_millis(150));
    (0..3).for_each(|node| cluster.thaw(node));
}

#[test]
fn the_descriptor_calls_for_what_was_submitted_or_cancelled_between_turns() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    let mut host = Host::watch(&mut client);
    while client.turn(Budget::default()).expect("turn") > 0 {}
    client.submit(cmd("SET").key("k").arg("v"), 1).expect("room");
    assert!(host.sleep(Duration::from_secs(5)), "the next turn has something to send");
    assert_eq!(collect(&mut client, 1), [1]);
    while client.turn(Budget::default()).expect("turn") > 0 {}
    let token = client.submit(cmd("SET").key("k").arg("w"), 2).expect("room");
    while host.sleep(Duration::from_millis(1)) && client.turn(Budget::default()).expect("turn") > 0 {}
    if client.cancel(token) {
        assert!(host.sleep(Duration::from_secs(5)), "a result waits to be taken");
        client.wait(None).expect("a result that waits is no reason to sleep");
        assert_eq!(client.next_completion().expect("cancelled").user_data, 2);
    }
}

#[test]
fn a_command_over_many_slots_is_queued_whole_or_not_at_all() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.limits.commands_per_node_max = 10);
    let pairs: Vec<(String, u32)> = (0..60).map(|n| (format!("whole:{n}"), n)).collect();
    let error = client.mset(pairs.clone()).expect_err("no room for sixty parts");
    assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error:?}");
    let mset = pairs.iter().fold(cmd("MSET"), |command, (key, value)| command.arg(key).arg(*value));
    assert!(client.submit(&mset, 1).is_err());
    assert_eq!(client.dbsize().expect("dbsize"), 0, "nothing of it was written");
}

#[test]
fn a_ticket_is_good_for_its_own_flush_only() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    let mut first = client.pipeline();
    let foreign = first.get("a");
    first.flush().expect("flush");
    drop(first);
    let mut second = client.pipeline();
    let own = second.set("a", "secret");
    let replies = second.flush().expect("flush");
    replies.get(own).expect("set");
    let error = replies.get(foreign).expect_err("another pipeline's");
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
    drop(second);
    let mut third = client.pipeline();
    let early = third.get("a");
    third.flush().expect("flush");
    third.set("a", "b");
    assert!(third.flush().expect("flush").get(early).is_err(), "an earlier flush's");
}

#[test]
fn an_idle_client_lets_its_host_sleep() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.refresh_interval_ms = 0);
    warm_up(&mut client);
    let mut host = Host::watch(&mut client);
    while host.sleep(Duration::from_millis(700)) {
        // The look for silent nodes that the warm-up has left behind; then nothing is due any more.
        while client.turn(Budget::default()).expect("turn") > 0 {}
    }
    assert!(!host.sleep(Duration::from_millis(300)));
}

#[test]
fn a_client_that_spins_gets_the_same_answers() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.spin_us = 1_000_000);
    warm_up(&mut client);
    let before = client.transport_stats();
    for n in 0..200 {
        client.set(format!("key:{n}"), n).expect("set");
        assert_eq!(client.get(format!("key:{n}")).expect("get"), Some(n.to_string().into()));
    }
    let after = client.transport_stats();
    assert_eq!(after.sleeps, before.sleeps, "every answer came while it was polling");
    assert!(after.waits - before.waits >= 400);
}

#[test]
fn a_client_may_move_to_another_thread() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    std::thread::spawn(move || client.set("k", "v").expect("set")).join().expect("no panic");
}

#[test]
fn the_descriptor_stays_the_same_when_the_client_moves_to_another_thread() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    let mut host = Host::watch(&mut client);
    let mut client = std::thread::spawn(move || {
        client.set("k", "v").expect("set");
        client
    })
    .join()
    .expect("no panic");
    client.submit(cmd("GET").key("k"), 1).expect("room");
    let began = Instant::now();
    loop {
        while client.turn(Budget::default()).expect("turn") > 0 {}
        if let Some(done) = client.next_completion() {
            assert_eq!(done.result.expect("get").as_bytes(), Some(b"v".as_slice()));
            return;
        }
        assert!(host.sleep(Duration::from_secs(5)), "it was given to the host before the move");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn several_clients_live_in_one_thread() {
    let cluster = cluster();
    let mut clients: Vec<Client> = (0..4).map(|_| connect(&cluster, |_| {})).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        for key in 0..50 {
            client.submit(cmd("INCR").key(format!("shared:{key}")), n as u64).expect("room");
        }
        client.flush();
    }
    for client in &mut clients {
        assert_eq!(collect(client, 50).len(), 50);
    }
    assert_eq!(clients[0].get("shared:7").expect("get").as_deref(), Some(b"4".as_slice()));
}

#[test]
fn a_node_that_dies_and_returns_is_used_again() {
    let cluster = cluster();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    cluster.kill(0);
    cluster.restart(0);
    let mut pipe = client.pipeline();
    for n in 0..100 {
        pipe.set(format!("again:{n}"), n);
    }
    let replies = pipe.flush().expect("flush");
    let lost =
        replies.iter().filter_map(Result::err).filter(|error| error.outcome() != Outcome::Unknown).count();
    assert_eq!(lost, 0, "what was not on the wire when the node died was sent again");
    drop(pipe);
    for n in 0..100 {
        client.set(format!("again:{n}"), n).expect("all nodes serve again");
    }
}

#[test]
fn a_command_is_not_given_up_early_for_what_the_host_did_before_it() {
    let cluster = cluster();
    let mut client = connect(&cluster, |config| config.flush_policy = FlushPolicy::Explicit);
    warm_up(&mut client);
    (0..3).for_each(|node| cluster.freeze(node));
    client.submit(cmd("SET").key("first").arg(1), 1).expect("room");
    std::thread::sleep(Duration::from_millis(80));
    let submitted = Instant::now();
    client.submit_with_timeout(cmd("SET").key("second").arg(2), 2, 60).expect("room");
    client.flush();
    while client.next_completion().is_none() {
        client.wait(Some(Duration::from_millis(20))).expect("wait");
        assert!(submitted.elapsed() < Duration::from_secs(5), "it runs out of time");
    }
    assert!(submitted.elapsed() >= Duration::from_millis(60), "{:?}", submitted.elapsed());
}

#[test]
fn every_flush_leaves_by_itself_also_without_a_turn_in_between() {
    let cluster = cluster();
    for policy in [FlushPolicy::Explicit, FlushPolicy::EachCommand] {
        let mut client = connect(&cluster, |config| {
            config.flush_policy = policy;
            config.refresh_interval_ms = 0;
        });
        warm_up(&mut client);
        let before = processed(&cluster);
        for n in 0..10 {
            client.submit(cmd("INCR").key("one node"), n).expect("room");
            client.flush();
        }
        let began = Instant::now();
        while processed(&cluster) - before < 10 && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(processed(&cluster) - before, 10, "{policy:?}: nobody turned");
        assert_eq!(collect(&mut client, 10).len(), 10, "{policy:?}: their results were not lost");
    }
}

#[test]
fn a_wait_that_answers_0_has_waited_for_its_whole_time() {
    let cluster = cluster();
    for policy in [FlushPolicy::Explicit, FlushPolicy::EachTurn] {
        let mut client = connect(&cluster, |config| {
            config.flush_policy = policy;
            config.refresh_interval_ms = 0;
        });
        warm_up(&mut client);
        while client.turn(Budget::default()).expect("turn") > 0 {}
        (0..3).for_each(|node| cluster.set_delay_ms(node, 60));
        client.submit(cmd("GET").key("k"), 1).expect("room");
        if policy == FlushPolicy::Explicit {
            client.flush();
        }
        let began = Instant::now();
        assert!(client.wait(Some(Duration::from_secs(5))).expect("wait") > 0, "{policy:?}");
        assert!(began.elapsed() >= Duration::from_millis(50), "{policy:?}: the end of a send is no news");
        assert!(client.next_completion().is_some(), "{policy:?}");
        (0..3).for_each(|node| cluster.set_delay_ms(node, 0));
    }
}
