//! A connection breaks: what was not taken whole waits, reads are sent again, the rest is in doubt and says so.

use super::*;

#[test]
fn commands_that_were_not_taken_whole_leave_on_the_next_connection() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.submit(batch, &set(&key, "3"));
    s.flush(batch);
    let one = wire(&["SET", &key, "1"]).len();
    s.written_at_most(A, one + 3);
    s.reset(A);
    assert_eq!(
        [s.result(batch, 0), s.result(batch, 1), s.result(batch, 2)],
        ["ConnectionLost Unknown", "pending", "pending"]
    );
    s.tick(10_000 / 100);
    s.accept(A);
    assert_eq!(
        s.written(A),
        wires(&[&["SET", &key, "2"], &["SET", &key, "3"]]),
        "from the first byte of the half-written command"
    );
    s.reply(A, "+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 1), s.result(batch, 2)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn what_turns_out_not_to_have_been_taken_did_not_run() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.untaken(A, 1);
    s.reset(A);
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["ConnectionLost Unknown", "pending"]);
    s.tick(10_000 / 100);
    s.accept(A);
    assert_eq!(
        s.written(A),
        wires(&[&["SET", &key, "2"]]),
        "it is certain that it did not run: it may be sent"
    );
    s.reply(A, "+OK\r\n");
    s.assert_empty();
}

#[test]
fn a_read_is_sent_again_unless_a_later_write_of_its_slot_may_have_run() {
    let mut s = Script::start();
    let (key, other) = (key_of(A, 1), key_of(A, 2));
    let batch = s.batch();
    s.submit(batch, &get(&key));
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &get(&key));
    s.submit(batch, &get(&other));
    s.flush(batch);
    s.written(A);
    s.reset(A);
    let results: Vec<String> = (0..4).map(|n| s.result(batch, n)).collect();
    assert_eq!(results, ["ConnectionLost Unknown", "ConnectionLost Unknown", "pending", "pending"]);
    s.tick(100);
    s.accept(A);
    assert_eq!(s.written(A), wires(&[&["GET", &key], &["GET", &other]]));
    s.reply(A, "$1\r\n1\r\n_\r\n");
    assert_eq!([s.result(batch, 2), s.result(batch, 3)], ["$1\\r\\n1\\r\\n", "_\\r\\n"]);
    s.assert_empty();
}

#[test]
fn s36_s37_the_beginning_of_a_reply_tells_whether_the_command_ran() {
    for (begun, expected) in [
        ("+O", "ConnectionLost ExecutedReplyLost"),
        ("$10\r\nabc", "ConnectionLost ExecutedReplyLost"),
        ("-MO", "ConnectionLost Unknown"),
        ("", "ConnectionLost Unknown"),
    ] {
        let mut s = Script::start();
        let batch = s.send(&set(&key_of(A, 1), "v"));
        s.written(A);
        s.reply(A, begun);
        s.reset(A);
        assert_eq!(s.result(batch, 0), expected, "{begun:?}");
    }
}

#[test]
fn the_beginning_of_a_reply_tells_it_where_the_rest_never_comes_too() {
    for (begun, expected) in [
        (":1", "ConnectionLost ExecutedReplyLost"),
        ("-ER", "ConnectionLost Unknown"),
        (">2\r\n+x\r\n", "ConnectionLost Unknown"),
    ] {
        let mut config = config();
        config.command_timeout_ms = 60_000;
        let mut s = Script::start_with(config);
        let batch = s.batch();
        s.submit(batch, &cmd("INCR").key(key_of(A, 1)));
        s.submit(batch, &cmd("INCR").key(key_of(A, 1)));
        s.flush(batch);
        s.written(A);
        s.reply(A, begun);
        for _ in 0..300 {
            s.tick(100);
        }
        let results = [s.result(batch, 0), s.result(batch, 1)];
        assert_eq!(results, [expected, "ConnectionLost Unknown"], "{begun:?}");
    }
}

#[test]
fn an_extra_reply_closes_the_connection_at_once() {
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "+OK\r\n+SURPRISE\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    assert!(!s.is_open(A));
    assert_eq!(s.engine.stats().total.desyncs, 1);
}

#[test]
fn a_reply_to_an_unsent_command_closes_the_connection() {
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written_at_most(A, 5);
    s.reply(A, "+OK\r\n");
    assert!(!s.is_open(A));
    assert_eq!(s.result(batch, 0), "pending", "it was not taken whole: it waits for the next connection");
}

#[test]
fn garbage_from_a_server_closes_the_connection_and_fails_what_was_sent() {
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "HTTP/1.1 400 Bad Request\r\n");
    assert!(!s.is_open(A));
    assert_eq!(s.result(batch, 0), "Protocol Unknown");
    assert_eq!(s.engine.stats().total.protocol_errors, 1);
}

#[test]
fn pushes_between_replies_are_not_replies() {
    let mut s = Script::start();
    let batch = s.send(&get(&key_of(A, 1)));
    s.written(A);
    s.reply(A, ">2\r\n$10\r\ninvalidate\r\n_\r\n$1\r\nv\r\n>1\r\n+x\r\n");
    assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
    assert!(s.is_open(A));
}

#[test]
fn s55_a_server_that_accepts_and_closes_is_dialled_ever_more_slowly() {
    let mut s = Script::start();
    let batch = s.batch();
    s.submit(batch, &get(&key_of(B, 1)));
    s.flush(batch);
    let mut dials = 0;
    for _ in 0..4_900 {
        if s.dials.contains(&B) {
            dials += 1;
            s.accept(B);
            s.reset(B);
        }
        s.tick(1);
    }
    assert!((3..60).contains(&dials), "{dials} attempts in five seconds");
}

#[test]
fn s72_a_full_server_is_a_failure_to_connect_and_no_reply() {
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(B, 1), "v"));
    let conn = *s.dialled.get(&B).expect("dialled");
    s.conns.insert(B, conn);
    s.dials.clear();
    s.engine.handle_connected(conn, s.now);
    s.written(B);
    s.reply(B, "-ERR max number of clients reached\r\n");
    assert!(!s.is_open(B));
    assert_eq!(s.result(batch, 0), "pending", "nothing was sent: it waits");
    for _ in 0..99 {
        s.tick(10);
    }
    assert!(!s.dials.contains(&B), "not within a second");
    s.tick(4_000 + 10);
    s.tick(10);
    assert_eq!(s.result(batch, 0), "Connect NotExecuted");
}

#[test]
fn s114_user_commands_wait_for_the_verified_handshake() {
    let mut config = config();
    config.password = Some(crate::config::Secret::new("secret"));
    let mut engine = Engine::new(config, Timestamp::ZERO).expect("seeds");
    engine.handle_timeout(Timestamp::ZERO);
    let Some(Action::Connect { conn, .. }) = engine.poll_action() else { panic!("dials the seed") };
    engine.handle_connected(conn, Timestamp::ZERO);
    let mut slices = SmallVec::new();
    engine.unsent(conn, &mut slices);
    let handshake: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
    drop(slices);
    assert!(handshake.starts_with(&wire(&["HELLO", "3", "AUTH", "default", "secret"])));
    engine.handle_sent(conn, handshake.len(), Timestamp::ZERO);
    let mut recv = engine.lend_recv(conn).expect("open");
    let refusal = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    recv.spare_mut()[..refusal.len()].copy_from_slice(refusal);
    engine.handle_received(conn, recv, refusal.len(), Timestamp::ZERO);
    assert!(matches!(engine.poll_action(), Some(Action::Close { .. })));
    let failure = engine.start_failure().expect("the only seed refuses");
    assert!(matches!(failure.kind(), ErrorKind::Auth(_)));
    assert!(!format!("{failure} {failure:?}").contains("secret"));
}
