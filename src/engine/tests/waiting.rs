//! How long a fence waits: targets that never answer, delays that grow only while nothing runs, views that end a wait.

use super::*;

#[test]
fn commands_whose_target_never_answers_go_back_to_the_source_in_their_order() {
    let mut config = config();
    config.command_timeout_ms = 60_000;
    for connected in [false, true] {
        let mut s = Script::start_with(config.clone());
        let key = key_of(A, 1);
        s.send(&get(&key));
        s.written(A);
        s.reply(A, ask(&key, B));
        s.act();
        if connected {
            s.accept(B);
            assert_eq!(s.written(B), wires(&[&["ASKING"], &["GET", &key]]));
        }
        s.send(&set(&key, "2"));
        for _ in 0..150 {
            s.tick(100);
            match s.written(A) {
                bytes if bytes.is_empty() => {}
                bytes if bytes == wire(&["CLUSTER", "SLOTS"]) => s.reply(A, slots_reply(&THIRDS)),
                bytes => {
                    let both = wires(&[&["GET", &key], &["SET", &key, "2"]]);
                    assert!(bytes.starts_with(&both), "{}", bytes.escape_ascii());
                    s.reply(A, "_\r\n+OK\r\n");
                    break;
                }
            }
        }
        assert_eq!(s.engine.stats().parked, 0, "connected: {connected}");
    }
}

#[test]
fn a_tryagain_after_many_successful_rounds_waits_as_short_as_the_first() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&set(&key, "v"));
    for n in 0..10 {
        assert_eq!(s.written(A), wire(&["SET", &key, "v"]), "round {n}");
        s.reply(A, ask(&key, B));
        if n == 0 {
            s.accept(B);
        }
        assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &key, "v"]]), "round {n}");
        s.send(&set(&key, "v"));
        s.reply(B, "+OK\r\n+OK\r\n");
    }
    s.written(A);
    s.reply(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    s.tick(16);
    assert_eq!(s.written(A), wire(&["SET", &key, "v"]));
}

#[test]
fn a_view_that_moves_a_slot_ends_the_wait_of_its_fence() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    s.send(&set(&key, "v"));
    let mut tries = 0;
    while tries < 6 {
        s.tick(1);
        for port in [A, B] {
            let written = s.written(port);
            if written.ends_with(&wire(&["SET", &key, "v"])) {
                tries += 1;
                s.reply(port, "-CLUSTERDOWN The cluster is down\r\n");
            } else if !written.is_empty() {
                s.reply(port, slots_reply(&THIRDS));
            }
        }
    }
    s.engine.refresh_topology(s.now);
    let mut asked = None;
    for _ in 0..2_000 {
        s.tick(1);
        asked = [A, B].into_iter().find(|&port| s.written(port) == wire(&["CLUSTER", "SLOTS"]));
        if asked.is_some() {
            break;
        }
    }
    s.reply(asked.expect("somebody is asked"), slots_reply(&[(0, 10922, B), (10923, 16383, C)]));
    assert_eq!(s.written(B), wire(&["SET", &key, "v"]), "at once");
}

#[test]
fn commands_of_one_slot_go_to_one_target_at_a_time() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    // The migration to B was given up for one to C.
    s.reply(A, ask(&key, B) + &ask(&key, C));
    assert_eq!(s.dials, [B]);
    s.accept(B);
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &key, "1"]]));
    s.reply(B, "+OK\r\n+OK\r\n");
    s.accept(C);
    assert_eq!(s.written(C), wires(&[&["ASKING"], &["SET", &key, "2"]]));
    s.reply(C, "+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn the_rest_of_a_round_that_has_not_left_does_not_overtake_a_command_of_it() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&set(&key, "1"));
    s.written(A);
    let batch = s.batch();
    s.submit(batch, &set(&key, "2"));
    s.submit(batch, &set(&key, "3"));
    s.flush(batch);
    s.reply(A, ask(&key, B));
    s.accept(B);
    s.written(B);
    s.reply(B, "+OK\r\n+OK\r\n");
    let one = wire(&["SET", &key, "2"]);
    assert_eq!(s.written_at_most(A, one.len()), one);
    s.reply(A, ask(&key, B));
    assert_eq!(s.written(A), b"", "the migration may be over by now");
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &key, "2"]]));
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "3"]));
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}
