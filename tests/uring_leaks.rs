//! Clients over io_uring come and go, and move between threads: descriptors, rings, threads and memory return to what they were.
//!
//! `PANPIPE_CYCLES=50000 cargo test --features testkit,io-uring --test uring_leaks thousands` opens and closes more.
#![cfg(all(feature = "testkit", feature = "io-uring", target_os = "linux"))]

mod uring;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;
use panpipe::transport::Net;
use panpipe::{Client, Config, Transport};

use uring::proxy::Wires;
use uring::rng::Rng;
use uring::{alone, assert_descriptors, descriptors, number, resident_bytes, rings};

const NODES: usize = 2;
const CYCLES: u64 = 2_500;
const GROWTH_BYTES_MAX: usize = 16 << 20;

fn start() -> EmbeddedCluster {
    EmbeddedCluster::builder().primaries(NODES).start().expect("loopback sockets")
}

fn connect(cluster: &EmbeddedCluster, change: impl FnOnce(&mut Config)) -> Client {
    let mut config = Config::from_url(&cluster.url()).expect("url");
    config.transport = Transport::Uring;
    config.refresh_interval_ms = 0;
    change(&mut config);
    let net = Net::open(&config).expect("the system has io_uring");
    Client::with_transport(config, net).expect("the servers are well")
}

/// A connection to every node.
fn warm_up(client: &mut Client) {
    let mut pipe = client.pipeline();
    (0..20).for_each(|n| _ = pipe.set(format!("warm:{n}"), n));
    pipe.flush().expect("flush").all().expect("set");
}

/// Commands that have left and have no result, some of them large.
fn leave_in_flight(client: &mut Client, large: usize) {
    for n in 0..20 {
        let value = vec![b'v'; if n % 5 == 0 { large } else { 10 }];
        client.submit(cmd("SET").key(format!("key:{n}")).arg(value.as_slice()), n).expect("room");
    }
    client.flush();
    client.turn(Budget::default()).expect("turn");
}

#[test]
fn thousands_of_clients_leave_nothing_behind() {
    let Some(_alone) = alone() else { return };
    let before_all = descriptors().len();
    let cluster = start();
    let mut rng = Rng::new(1);
    let cycles = number("PANPIPE_CYCLES").unwrap_or(CYCLES);
    let before = descriptors().len();
    let mut resident = 0;
    for cycle in 0..cycles {
        if cycle == cycles / 5 {
            resident = resident_bytes();
        }
        one_cycle(&cluster, &mut rng);
        assert_eq!(rings(), 0, "cycle {cycle}");
        if cycle % 100 == 0 {
            assert_descriptors(before, &format!("cycle {cycle}"));
        }
    }
    let grown = resident_bytes().saturating_sub(resident);
    println!("{cycles} clients: {} KiB more in memory after the last four fifths", grown >> 10);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes");
    assert_descriptors(before, "all cycles");
    drop(cluster);
    assert_descriptors(before_all, "all cycles, and the servers");
}

/// One client's life, ended at some point of it.
fn one_cycle(cluster: &EmbeddedCluster, rng: &mut Rng) {
    let mut client = connect(cluster, |config| {
        config.spin_us = rng.pick(&[0, 0, 20]);
        config.tcp.send_buffer_bytes = rng.pick(&[0, 4 << 10]);
    });
    if rng.chance(30) {
        client.as_fd().expect("a descriptor");
    }
    match rng.below(100) {
        0..15 => {}
        15..30 => warm_up(&mut client),
        30..50 => leave_in_flight(&mut client, 10),
        50..65 => leave_in_flight(&mut client, 100_000),
        // Never flushed: dials are under way at most.
        65..80 => _ = client.submit(cmd("SET").key("k").arg("v"), 1).expect("room"),
        80..94 => _ = client.pipeline().set("k", "v"),
        // These wait for the kernel, which takes its time where another thread lets go of a ring.
        94..97 => thread::scope(|scope| drop(scope.spawn(move || drop(client)).join())),
        _ => {
            warm_up(&mut client);
            leave_in_flight(&mut client, 10);
            thread::scope(|scope| drop(scope.spawn(move || warm_up(&mut client)).join()));
        }
    }
}

/// Runs in another thread; hangs are told from work.
fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || sender.send(work()));
    let result = receiver.recv_timeout(Duration::from_secs(20));
    let _sent = thread.join();
    result.expect("it neither hangs nor panics")
}

/// What is under way when the client moves.
const STATES: [fn(&mut Client); 4] = [
    |_| {},
    warm_up,
    |client| leave_in_flight(client, 10),
    |client| {
        warm_up(client);
        leave_in_flight(client, 600_000);
    },
];

#[test]
fn a_client_works_on_in_another_thread_and_comes_back() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let before = descriptors().len();
    for (case, prepare) in STATES.into_iter().enumerate() {
        let mut client = connect(&cluster, |_| {});
        prepare(&mut client);
        let client = elsewhere(move || {
            warm_up(&mut client);
            client.set("k", "there").expect("a new connection");
            client
        });
        let mut client = client;
        assert_eq!(client.get("k").expect("a new connection").as_deref(), Some(b"there".as_slice()));
        assert_eq!(rings(), 1, "case {case}");
        drop(client);
        assert_eq!(rings(), 0, "case {case}");
        assert_descriptors(before, &format!("case {case}"));
    }
}

#[test]
fn results_are_honest_when_the_client_moves_with_commands_in_flight() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    for node in 0..NODES {
        cluster.freeze(node);
        cluster.thaw(node);
    }
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    (0..NODES).for_each(|node| cluster.set_delay_ms(node, 30));
    leave_in_flight(&mut client, 10);
    let outcomes = elsewhere(move || {
        let mut outcomes = Vec::new();
        let began = Instant::now();
        while outcomes.len() < 20 && began.elapsed() < Duration::from_secs(10) {
            client.wait(Some(Duration::from_millis(20))).expect("wait");
            while let Some(done) = client.next_completion() {
                outcomes.push(done.result.map(drop).map_err(|error| error.outcome()));
            }
        }
        outcomes
    });
    assert_eq!(outcomes, vec![Err(Outcome::Unknown); 20]);
}

#[test]
fn what_a_move_has_cost_is_told_at_once_and_counters_go_on() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let mut client = connect(&cluster, |config| config.command_timeout_ms = 60_000);
    warm_up(&mut client);
    (0..NODES).for_each(|node| cluster.freeze(node));
    client.submit(cmd("INCR").key("k"), 1).expect("room");
    client.flush();
    let enters = client.transport_stats().enters;
    let (outcome, enters_after, took) = elsewhere(move || {
        let began = Instant::now();
        client.wait(Some(Duration::from_secs(30))).expect("wait");
        let outcome = client.next_completion().map(|done| done.result.expect_err("it was lost").outcome());
        (outcome, client.transport_stats().enters, began.elapsed())
    });
    assert_eq!(outcome, Some(Outcome::Unknown));
    assert!(enters_after >= enters, "{enters_after} after {enters}");
    assert!(took < Duration::from_secs(10), "{took:?}: a result was there and the client slept");
    (0..NODES).for_each(|node| cluster.thaw(node));
}

#[test]
fn a_client_is_dropped_by_another_thread_while_its_maker_lives_blocked() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let before = descriptors().len();
    for (case, prepare) in STATES.into_iter().enumerate() {
        let mut client = connect(&cluster, |_| {});
        prepare(&mut client);
        // This thread, the maker, sleeps meanwhile.
        elsewhere(move || drop(client));
        assert_eq!(rings(), 0, "case {case}");
        assert_descriptors(before, &format!("case {case}"));
    }
}

#[test]
fn a_client_outlives_the_thread_that_made_it() {
    let Some(_alone) = alone() else { return };
    let cluster = std::sync::Arc::new(start());
    let before = descriptors().len();
    for (case, prepare) in STATES.into_iter().enumerate() {
        for is_used in [false, true] {
            let made_by = std::sync::Arc::clone(&cluster);
            let mut client = elsewhere(move || {
                let mut client = connect(&made_by, |_| {});
                prepare(&mut client);
                client
            });
            if is_used {
                warm_up(&mut client);
            }
            drop(client);
            assert_eq!(rings(), 0, "case {case}");
            assert_descriptors(before, &format!("case {case}"));
        }
    }
}

#[test]
fn the_descriptor_that_is_asked_for_after_a_move_speaks_of_everything() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    client.as_fd().expect("a descriptor");
    let done = elsewhere(move || {
        use std::os::fd::AsRawFd;
        let mut poll = mio::Poll::new().expect("poll");
        // Before anything else is done here.
        client.submit(cmd("SET").key("k").arg("v"), 7).expect("room");
        let fd = client.as_fd().expect("a descriptor").as_raw_fd();
        let mut source = mio::unix::SourceFd(&fd);
        poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).expect("register");
        let mut events = mio::Events::with_capacity(4);
        for _ in 0..50 {
            poll.poll(&mut events, Some(Duration::from_secs(3))).expect("poll");
            assert!(!events.is_empty(), "the host is not woken");
            while client.turn(Budget::default()).expect("turn") > 0 {}
            if let Some(done) = client.next_completion() {
                return done.result.map(drop).map_err(|error| error.to_string());
            }
        }
        Err("no result".to_owned())
    });
    done.expect("it ran on a new connection");
}

#[test]
fn what_is_called_first_after_a_move_does_not_matter() {
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let first: [fn(&mut Client); 6] = [
        |client| _ = client.submit(cmd("SET").key("k").arg("v"), 1).expect("room"),
        Client::flush,
        |client| _ = client.turn(Budget::default()).expect("turn"),
        |client| _ = client.wait(Some(Duration::ZERO)).expect("wait"),
        |client| _ = client.as_fd().expect("a descriptor"),
        |client| client.set("k", "v").expect("set"),
    ];
    for (case, call) in first.into_iter().enumerate() {
        for is_watched in [false, true] {
            let mut client = connect(&cluster, |_| {});
            warm_up(&mut client);
            if is_watched {
                client.as_fd().expect("a descriptor");
            }
            elsewhere(move || {
                call(&mut client);
                for _ in 0..3 {
                    let turned = client.turn(Budget::default()).map(drop);
                    turned.unwrap_or_else(|error| panic!("case {case}, watched {is_watched}: {error}"));
                }
                warm_up(&mut client);
            });
        }
    }
}

#[test]
fn no_thread_of_the_kernel_works_for_a_client_that_sends_more_than_a_socket_takes() {
    let Some(_alone) = alone() else { return };
    for send_buffer_bytes in [0, 1 << 10] {
        let (done, workers) = send_through_small_windows(send_buffer_bytes);
        assert_eq!(done, 6);
        assert!(workers.is_empty(), "{} sightings of {:?}", workers.len(), workers.first());
    }
}

/// How many large values were confirmed, and which threads of the kernel were seen meanwhile.
fn send_through_small_windows(send_buffer_bytes: usize) -> (usize, Vec<String>) {
    let cluster = start();
    // The seed gives both wires small windows.
    let wires = Wires::start(&cluster.addresses(), 3, 0xDB).expect("loopback sockets");
    let addresses: Vec<u16> = cluster.addresses().iter().map(|address| address.port()).collect();
    let ports = wires.ports.clone();
    let mut client = connect(&cluster, |config| {
        config.tcp.send_buffer_bytes = send_buffer_bytes;
        config.address_map = Some(std::sync::Arc::new(move |endpoint: &Endpoint| {
            let node = addresses.iter().position(|port| *port == endpoint.port);
            node.map_or_else(|| endpoint.clone(), |node| Endpoint::new("127.0.0.1", ports[node]))
        }));
    });
    warm_up(&mut client);
    let value = vec![b'v'; 2 << 20];
    // Keys of both nodes.
    for n in 0..6 {
        let set = cmd("SET").key(format!("k:{n}")).arg(value.as_slice());
        client.submit_with_timeout(set, n, 60_000).expect("room");
    }
    client.flush();
    let (mut workers, mut done) = (Vec::new(), 0);
    let began = Instant::now();
    while done < 6 && began.elapsed() < Duration::from_secs(30) {
        client.wait(Some(Duration::from_millis(10))).expect("wait");
        while client.next_completion().is_some() {
            done += 1;
        }
        let tasks = std::fs::read_dir("/proc/self/task").expect("proc").flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        workers.extend(names.filter(|name| name.starts_with("iou-wrk")));
    }
    (done, workers)
}

/// A host that watches nothing but the descriptor, level and edge alike.
#[test]
fn the_descriptor_alone_wakes_a_host() {
    use std::os::fd::AsRawFd;
    let Some(_alone) = alone() else { return };
    let cluster = start();
    let mut client = connect(&cluster, |_| {});
    warm_up(&mut client);
    let fd = client.as_fd().expect("a descriptor").as_raw_fd();
    let mut poll = mio::Poll::new().expect("poll");
    let mut source = mio::unix::SourceFd(&fd);
    poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).expect("register");
    let mut events = mio::Events::with_capacity(4);
    while client.turn(Budget::default()).expect("turn") > 0 {}
    for round in 0..12 {
        let (is_frozen, delay) = (round % 3 == 1, [0, 0, 20][round % 3]);
        for node in 0..NODES {
            if is_frozen {
                cluster.freeze(node)
            } else {
                cluster.thaw(node)
            }
            cluster.set_delay_ms(node, delay);
        }
        let began = Instant::now();
        client.submit_with_timeout(cmd("SET").key("k").arg("v"), 7, 150).expect("room");
        client.flush();
        let mut wakes = 0;
        let is_ok = loop {
            poll.poll(&mut events, Some(Duration::from_secs(3))).expect("poll");
            assert!(!events.is_empty(), "round {round}: the host is not woken");
            wakes += 1;
            while client.turn(Budget::default()).expect("turn") > 0 {}
            if let Some(done) = client.next_completion() {
                break done.result.is_ok();
            }
        };
        assert_eq!(is_ok, !is_frozen, "round {round}");
        assert!(began.elapsed() < Duration::from_secs(2), "round {round}: {:?}", began.elapsed());
        assert!(wakes < 10, "round {round}: woken for nothing");
    }
    // What has been dealt with makes nothing readable: a fresh look, which sees levels, sees nothing.
    while client.turn(Budget::default()).expect("turn") > 0 {}
    let mut again = mio::Poll::new().expect("poll");
    again.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).expect("register");
    again.poll(&mut events, Some(Duration::ZERO)).expect("poll");
    assert!(events.is_empty(), "readable although nothing is to be done");
}
