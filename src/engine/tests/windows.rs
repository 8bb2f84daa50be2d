//! Bounds: what does not fit is refused, with the bound in the message, and nothing is lost.

use super::*;

#[test]
fn s59_a_full_window_refuses_and_takes_again_when_replies_have_come() {
    let mut config = config();
    config.limits.commands_per_node_max = 3;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let batch = s.batch();
    for n in 0..5 {
        s.submit(batch, &set(&key, &n.to_string()));
    }
    assert_eq!(s.result(batch, 3), "Full NotExecuted");
    assert_eq!(s.result(batch, 4), "Full NotExecuted");
    s.flush(batch);
    assert_eq!(s.written(A), wires(&[&["SET", &key, "0"], &["SET", &key, "1"], &["SET", &key, "2"]]));
    s.reply(A, "+OK\r\n+OK\r\n+OK\r\n");
    let next = s.send(&set(&key, "5"));
    assert_eq!(s.result(next, 0), "pending");
}

#[test]
fn bytes_are_bounded_per_node_and_in_all() {
    let mut config = config();
    config.limits.bytes_per_node_max = 1_000;
    config.limits.bytes_total_max = 1_500;
    let mut s = Script::start_with(config);
    let batch = s.batch();
    let value = "v".repeat(300);
    for n in 0..10 {
        s.submit(batch, &set(&key_of([A, B][n % 2], 1), &value));
    }
    let refused = (0..10).filter(|&n| s.result(batch, n) == "Full NotExecuted").count();
    assert!((6..=7).contains(&refused), "{refused}");
    assert!(s.engine.stats().queued_bytes <= 1_500);
}

#[test]
fn a_lone_command_may_be_larger_than_the_window_but_not_than_the_limit() {
    let mut config = config();
    config.limits.bytes_per_node_max = 1_000;
    config.limits.bytes_total_max = 1_000;
    config.limits.command_bytes_max = 5_000;
    let mut s = Script::start_with(config);
    let batch = s.batch();
    s.submit(batch, &set(&key_of(A, 1), &"v".repeat(4_000)));
    s.submit(batch, &set(&key_of(B, 1), &"v".repeat(6_000)));
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["pending", "TooLarge NotExecuted"]);
}

#[test]
fn parked_bytes_count() {
    let mut config = config();
    config.limits.bytes_total_max = 1_000;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    s.send(&get(&key));
    s.written(A);
    s.reply(A, format!("-MOVED {} h:{B}\r\n", slot_of(key.as_bytes())));
    let batch = s.batch();
    for _ in 0..10 {
        s.submit(batch, &set(&key, &"v".repeat(200)));
    }
    let refused = (0..10).filter(|&n| s.result(batch, n) == "Full NotExecuted").count();
    assert_eq!(refused, 6, "four of 200 bytes and some fit into 1000");
}
