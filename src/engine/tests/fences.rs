//! What a fence waits for may be lost, expire, be cancelled or move elsewhere: its slot comes back to life each time, in order.

use super::*;

#[test]
fn a_fence_goes_on_when_a_read_it_waits_for_loses_its_connection() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &get(&key));
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B));
    s.reset(A);
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.written(B), wire(&["GET", &key]));
    s.reply(B, "$1\r\n1\r\n");
    let next = s.send(&set(&key, "2"));
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
    s.reply(B, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(next, 0)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn a_fence_goes_on_when_a_half_written_command_it_waits_for_loses_its_connection() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let first = s.send(&set(&key, "1"));
    s.written(A);
    let second = s.send(&set(&key, "2"));
    s.written_at_most(A, 10);
    s.reply(A, moved(&key, B));
    s.reset(A);
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
    s.reply(B, "+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(second, 0)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn a_slot_whose_ask_led_nowhere_is_served_by_its_source_again() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "1"));
    let mut tries = 0;
    while s.result(batch, 0) == "pending" {
        if s.dials.contains(&9) {
            tries += 1;
            s.refuse(9);
        }
        match s.written(A) {
            bytes if bytes == wire(&["SET", &key, "1"]) => s.reply(A, ask(&key, 9)),
            bytes if bytes.is_empty() => {}
            _ => s.reply(A, slots_reply(&THIRDS)),
        }
        s.tick(1);
    }
    assert!(s.result(batch, 0).ends_with("NotExecuted"), "{}", s.result(batch, 0));
    assert!((3..20).contains(&tries), "{tries} attempts to reach the target");
    let next = s.send(&set(&key, "2"));
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]));
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(next, 0), "+OK\\r\\n");
    assert_eq!(s.idle(60_000, &THIRDS).dialled, [], "nobody needs the target any more");
    s.assert_empty();
}

#[test]
fn a_probe_in_the_queue_of_a_dead_node_follows_its_slot() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let first = s.send(&get(&key));
    s.written(A);
    s.reply(A, moved(&key, B));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["GET", &key]));
    s.reset(B);
    let second = s.send(&set(&key, "1"));
    // The attempt to reach B again is neither accepted nor refused.
    while s.written(A).is_empty() {
        s.tick(1);
    }
    s.reply(A, slots_reply(&[(0, 5460, C), (5461, 16383, A)]));
    s.accept(C);
    assert_eq!(s.written(C), wire(&["GET", &key]));
    s.reply(C, "_\r\n");
    assert_eq!(s.written(C), wire(&["SET", &key, "1"]));
    s.reply(C, "+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(second, 0)], ["_\\r\\n", "+OK\\r\\n"]);
    s.assert_empty();
}

#[test]
fn a_probe_that_nobody_waits_for_still_has_to_run_before_others_follow() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.stream(&set(&key, "1"), 1, 1_000);
    s.engine.flush();
    s.written(A);
    s.reply(A, moved(&key, B));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]));
    for n in 2..5 {
        s.stream(&set(&key, &n.to_string()), n, 5_000);
    }
    s.engine.flush();
    s.tick(1_500);
    assert_eq!(s.written(B), wire(&["CLUSTER", "SLOTS"]));
    assert_eq!(s.completions(), [(1, "Timeout Unknown".to_owned())]);
    s.reply(B, moved(&key, A) + &slots_reply(&THIRDS));
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]), "one asks for the others");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.written(A), wires(&[&["SET", &key, "3"], &["SET", &key, "4"]]));
    s.reply(A, "+OK\r\n+OK\r\n");
    assert_eq!(s.completions().len(), 3);
    s.assert_empty();
}

#[test]
fn a_refused_probe_that_nobody_waits_for_does_not_open_the_slot() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.stream(&set(&key, "1"), 1, 1_000);
    s.engine.flush();
    s.written(A);
    s.reply(A, moved(&key, B));
    s.accept(B);
    s.written(B);
    s.stream(&set(&key, "2"), 2, 5_000);
    s.stream(&set(&key, "3"), 3, 5_000);
    s.tick(1_500);
    s.written(B);
    s.reply(B, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]), "one asks for the others");
}

#[test]
fn a_probe_that_ran_where_the_slot_is_no_more_opens_nothing() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    for value in ["1", "2", "3"] {
        s.submit(batch, &set(&key, value));
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B).repeat(3));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]));
    s.engine.refresh_topology(s.now);
    let mut question = Vec::new();
    while question.is_empty() {
        s.tick(1);
        question = s.written(B);
    }
    s.tick(1_001);
    assert_eq!(s.written(A), wire(&["CLUSTER", "SLOTS"]), "B is slow: another node is asked");
    s.reply(A, slots_reply(&[(0, 5460, C), (5461, 16383, B)]));
    s.reply(B, "+OK\r\n");
    s.accept(C);
    assert_eq!(s.written(C), wire(&["SET", &key, "2"]), "one asks for the others");
    s.reply(C, "+OK\r\n");
    assert_eq!(s.written(C), wire(&["SET", &key, "3"]));
}

#[test]
fn cancelling_an_unsent_probe_lets_the_next_command_go_ahead() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let probe = s.stream(&set(&key, "1"), 1, 5_000);
    s.engine.flush();
    s.written(A);
    s.reply(A, moved(&key, B));
    s.refuse(B);
    s.stream(&set(&key, "2"), 2, 5_000);
    assert!(s.engine.cancel(probe));
    assert!(s.engine.poll_timeout().is_some_and(|due| due <= s.now), "there is something to do at once");
    while !s.dials.contains(&B) {
        s.tick(1);
    }
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.completions().len(), 2);
    assert_eq!((s.engine.stats().parked, s.engine.stream.len()), (0, 0));
}

#[test]
fn rounds_end_with_the_first_that_brings_no_ask_however_many_commands_come() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&set(&key, "0"));
    s.written(A);
    s.reply(A, ask(&key, B));
    s.accept(B);
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &key, "0"]]));
    s.send(&set(&key, "1"));
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "1"]));
    s.send(&set(&key, "2"));
    assert_eq!(s.written(A), b"", "it waits for the round");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]));
    s.send(&set(&key, "3"));
    assert_eq!(s.written(A), wire(&["SET", &key, "3"]), "the fence is lifted");
    s.reply(A, "+OK\r\n+OK\r\n");
    assert_eq!(s.engine.stats().parked, 0);
}

#[test]
fn a_redirect_about_a_slot_that_the_command_has_not_is_no_reason_to_split_that_slot() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&set(&key, "1"));
    s.written(A);
    let peek =
        s.send(&cmd("PEEK").arg(key.as_str()).route(crate::command::Route::Node(Endpoint::new("h", B))));
    s.accept(B);
    s.written(B);
    s.reply(B, moved(&key, C));
    assert!(s.result(peek, 0).starts_with("MOVED"), "the node was chosen by the caller");
    s.send(&set(&key, "2"));
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]), "in order, where the first is in flight");
}

#[test]
fn an_ask_neither_shortens_the_delay_of_a_tryagain_nor_overtakes_it() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    s.reply(A, ask(&key, B));
    assert_eq!((s.written(A), s.dials.contains(&B)), (Vec::new(), false), "not at once");
    s.tick(10);
    assert_eq!(s.written(A), wire(&["SET", &key, "1"]));
    assert!(!s.dials.contains(&B), "the second comes after the first");
    s.reply(A, "+OK\r\n");
    s.accept(B);
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &key, "2"]]));
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
}

#[test]
fn a_half_written_command_behind_asking_goes_back_to_the_source_when_its_target_is_lost() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "1"));
    s.written(A);
    s.reply(A, ask(&key, B));
    s.accept(B);
    s.written_at_most(B, wire(&["ASKING"]).len() + 5);
    s.reset(B);
    assert_eq!(s.written(A), wire(&["SET", &key, "1"]), "whole, and without ASKING");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    s.assert_empty();
}
