//! The ring at its limits: full queues, calls that are forbidden meanwhile, connects that hang, copies of the process.
#![allow(unsafe_code, reason = "to copy a process is the system's affair")]

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::ring::Ring;
use crate::{Client, Config, Transport};

#[path = "../../../tests/uring/seccomp.rs"]
mod seccomp;

/// Two ends of a connection.
fn pair() -> (Socket, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.connect(&listener.local_addr().expect("bound").into()).expect("a listener");
    (socket, listener.accept().expect("a connection").0.into())
}

fn room() -> crate::engine::RecvBuf {
    let mut room = crate::engine::RecvBuf::default();
    room.prepare(0);
    room
}

/// Takes completions until nothing is under way.
fn run_dry(ring: &mut Ring) {
    let began = Instant::now();
    while ring.under_way() > 0 {
        ring.enter(1, Some(Duration::from_millis(50)), None).expect("enter");
        while ring.next_completion().is_some() {}
        assert!(began.elapsed() < Duration::from_secs(5), "{} requests never end", ring.under_way());
    }
}

#[test]
fn more_requests_than_the_queues_hold_complete_all_the_same() {
    let mut ring = Ring::new().expect("the system has io_uring");
    // Two thousand completions fit.
    (0..5_000).for_each(|_| _ = ring.nothing());
    assert_eq!(ring.under_way(), 5_000);
    while ring.under_way() > 0 {
        assert!(ring.has_unsubmitted() || ring.has_news(), "{} are lost", ring.under_way());
        ring.enter(0, None, None).expect("enter");
        while ring.next_completion().is_some() {}
    }
}

#[test]
fn a_lane_that_is_closed_while_it_connects_is_removed() {
    let mut ring = Ring::new().expect("the system has io_uring");
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SockAddr = std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into();
    listener.bind(&any).expect("a loopback port");
    listener.listen(0).expect("a queue of one");
    let address = listener.local_addr().expect("bound");
    let dial = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("an option");
        let _in_progress = socket.connect(&address);
        socket
    };
    let lanes: Vec<usize> = (0..8).map(|n| ring.open(dial(), n, true)).collect();
    lanes.iter().for_each(|lane| ring.watch(*lane).expect("room"));
    ring.enter(0, None, None).expect("enter");
    lanes.into_iter().for_each(|lane| ring.close(lane));
    run_dry(&mut ring);
    assert_eq!(ring.open_lanes(), 0);
}

#[test]
fn a_timer_that_is_set_again_and_again_rings_once_and_early_enough() {
    let mut ring = Ring::new().expect("the system has io_uring");
    ring.set_timer(Duration::from_secs(100), false).expect("room");
    for ms in [5_000, 500, 20] {
        ring.set_timer(Duration::from_millis(ms), true).expect("room");
    }
    let began = Instant::now();
    run_dry(&mut ring);
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
}

#[test]
fn requests_that_are_refused_leave_lanes_that_can_be_closed() {
    let work = || {
        let mut ring = Ring::new().expect("the system has io_uring");
        let (socket, _peer) = pair();
        seccomp::forbid(&[libc::SYS_io_uring_enter], libc::EPERM);
        (0..1_024).for_each(|_| _ = ring.nothing());
        for request in 0..3 {
            let (socket, _peer) = pair();
            let lane = ring.open(socket, 1, true);
            let refused = match request {
                0 => ring.watch(lane),
                1 => ring.receive(lane, room()),
                _ => {
                    ring.pieces(lane).expect("no send is under way").push("bytes".into());
                    ring.send(lane)
                }
            };
            assert!(refused.is_err(), "{request}");
            ring.close(lane);
            assert_eq!(ring.open_lanes(), 0, "{request}");
        }
        drop(socket);
    };
    thread::spawn(work).join().expect("no panic");
}

#[test]
fn a_ring_that_may_not_be_entered_any_more_is_let_go_of() {
    let work = || {
        let mut ring = Ring::new().expect("the system has io_uring");
        let (socket, peer) = pair();
        let lane = ring.open(socket, 1, true);
        ring.receive(lane, room()).expect("room");
        ring.set_timer(Duration::from_secs(100), false).expect("room");
        seccomp::forbid(&[libc::SYS_io_uring_enter, libc::SYS_io_uring_register], libc::EPERM);
        drop(ring);
        // The receive has ended, and its socket is closed.
        peer.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
        assert_eq!(std::io::Read::read(&mut &peer, &mut [0]).expect("the end"), 0);
    };
    let began = Instant::now();
    thread::spawn(work).join().expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// A copy of this process that does this and ends. Answers its number.
fn copy(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the copy does nothing but this work, which takes no lock of another thread's, and ends without running anything else.
    match unsafe { libc::fork() } {
        0 => {
            work();
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        child => child,
    }
}

/// Waits for the end of a copy; kills it where it hangs.
fn has_ended(child: libc::pid_t, patience: Duration) -> bool {
    let began = Instant::now();
    // SAFETY: `child` is a process that this one has made and not yet waited for; no status is written.
    let waited = || unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) } == child;
    while began.elapsed() < patience {
        if waited() {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: as above.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: as above.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    false
}

#[test]
fn a_copy_of_the_process_lets_go_of_a_ring_without_harm_to_the_original() {
    let mut ring = Ring::new().expect("the system has io_uring");
    let (socket, peer) = pair();
    let lane = ring.open(socket, 1, true);
    ring.receive(lane, room()).expect("room");
    ring.enter(0, None, None).expect("enter");
    // What is moved into a closure that the original does not run stays with the original.
    let mut ring = Some(ring);
    let child = copy(|| drop(ring.take()));
    assert!(has_ended(child, Duration::from_secs(1)), "the copy waits for what the original holds");
    let mut ring = ring.expect("the original's");
    std::io::Write::write_all(&mut &peer, b"alive").expect("the connection is as it was");
    ring.enter(1, Some(Duration::from_secs(5)), None).expect("enter");
    let completion = ring.next_completion();
    assert!(
        matches!(completion, Some(super::ring::Completion::Received { result: Ok(5), .. })),
        "{completion:?}"
    );
}

#[test]
fn a_ring_that_a_copy_of_the_process_holds_is_not_waited_for_for_ever() {
    let mut ring = Ring::new().expect("the system has io_uring");
    let (socket, _peer) = pair();
    let lane = ring.open(socket, 1, true);
    ring.receive(lane, room()).expect("room");
    ring.enter(0, None, None).expect("enter");
    let child = copy(|| thread::sleep(Duration::from_secs(30)));
    let began = Instant::now();
    thread::spawn(move || drop(ring)).join().expect("no panic");
    let took = began.elapsed();
    has_ended(child, Duration::ZERO);
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_client_is_as_free_to_be_shared_as_over_mio() {
    fn is_free<T: Send + Sync>() {}
    is_free::<Client<crate::transport::Mio>>();
    is_free::<Client<super::Uring>>();
    is_free::<Client>();
}

/// What connecting says in a thread where these calls are forbidden.
fn refused(transport: Transport, calls: &'static [i64], error: i32) -> Result<Option<String>, String> {
    let work = move || {
        seccomp::forbid(calls, error);
        let mut config = Config::from_seeds([crate::Endpoint::new("127.0.0.1", 1)]);
        config.transport = transport;
        let net = crate::transport::Net::open(&config).map_err(|error| error.to_string())?;
        assert_eq!(net.kind(), Transport::Mio);
        Ok(net.refusal().map(str::to_owned))
    };
    thread::spawn(work).join().expect("no panic")
}

#[test]
fn a_filter_is_named_with_what_to_do() {
    let setup: &[i64] = &[libc::SYS_io_uring_setup];
    let enter: &[i64] = &[libc::SYS_io_uring_enter];
    let register: &[i64] = &[libc::SYS_io_uring_register];
    for (calls, error) in [
        (setup, libc::EPERM),
        (setup, libc::ENOSYS),
        (enter, libc::EPERM),
        (enter, libc::ENOSYS),
        (register, libc::EPERM),
    ] {
        let said = refused(Transport::Uring, calls, error).expect_err("nothing else was allowed");
        assert!(said.contains("seccomp") && said.contains("allow io_uring_setup"), "{said}");
        let said = refused(Transport::Auto, calls, error).expect("mio works").expect("the reason is kept");
        assert!(said.contains("seccomp") && said.contains("the transport mio works without it"), "{said}");
        println!("{calls:?} {error}: {said}");
    }
}

#[test]
fn a_bell_that_was_rung_late_is_silenced_by_the_next_turn() {
    let mut ring = Ring::new().expect("the system has io_uring");
    let mut alarm = super::alarm::Alarm::new(&mut ring).expect("a descriptor");
    let now = crate::engine::Timestamp::ZERO;
    alarm.set(&mut ring, None, false, now).expect("set");
    // The kernel had looked at the flag before `hush` muted it, and rings now, after its news were taken.
    let mut bell = std::fs::File::from(alarm.descriptor().try_clone_to_owned().expect("a copy"));
    std::io::Write::write_all(&mut bell, &1_u64.to_ne_bytes()).expect("rung");
    alarm.hush(&mut ring).expect("hush");
    alarm.set(&mut ring, None, false, now).expect("set");
    std::io::Read::read(&mut bell, &mut [0; 8]).expect_err("readable for ever, with nothing to do");
}

#[cfg(feature = "testkit")]
#[test]
fn a_copy_of_the_process_uses_its_client_and_does_the_original_no_harm() {
    use crate::prelude::*;
    let cluster = crate::testkit::EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    let mut config = Config::from_url(&cluster.url()).expect("url");
    config.transport = Transport::Uring;
    let mut client = Client::connect_with(config).expect("connect");
    let _watched = client.as_fd().expect("a descriptor");
    client.set("k", "original").expect("set");
    let child = copy(|| {
        for n in 0..3 {
            // What fails in a copy shows in what the original finds.
            let _result = client.set("k", format!("copy {n}"));
        }
    });
    assert!(has_ended(child, Duration::from_secs(10)), "the copy hangs");
    assert_eq!(client.get("k").expect("the original's").as_deref(), Some(b"copy 2".as_slice()));
    for n in 0..3 {
        client.set("k", n).expect("the original's connection is what it was");
    }
    assert_eq!(client.stats().total.disconnects, 0);
}
