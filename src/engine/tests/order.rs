//! Commands that share a key keep their order, or the one that lost its place says so; commands that share none do not wait for each other.

use super::*;
use crate::config::{Order, Overtaken};

const TRYAGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

/// Two keys of one slot of node A.
fn keys() -> [String; 3] {
    let tag = key_of(A, 1);
    [format!("{tag}a"), format!("{tag}b"), format!("{tag}c")]
}

fn mset(one: &str, two: &str) -> Cmd {
    cmd("MSET").key(one).arg(1).key(two).arg(2)
}

fn mset_wire(one: &str, two: &str) -> Vec<u8> {
    wire(&["MSET", one, "1", two, "2"])
}

fn with(order: Order, overtaken: Overtaken) -> Script {
    Script::start_with(Config { order, overtaken, ..config() })
}

#[test]
fn a_command_that_a_later_one_of_its_key_has_passed_fails_and_is_not_sent_again() {
    let mut s = Script::start();
    let [a, b, _] = keys();
    let batch = s.batch();
    s.submit(batch, &mset(&a, &b));
    s.submit(batch, &set(&a, "3"));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("{TRYAGAIN}+OK\r\n"));
    s.tick(1_000);
    assert_eq!(s.result(batch, 0), not_executed("Overtaken"));
    assert_eq!(s.result(batch, 1), "+OK\\r\\n");
    assert_eq!(s.written(A), b"");
    s.assert_empty();
}

#[test]
fn an_overtaken_command_is_sent_again_where_the_caller_prefers_that() {
    let mut s = with(Order::PerKey, Overtaken::Retry);
    let [a, b, _] = keys();
    let batch = s.batch();
    s.submit(batch, &mset(&a, &b));
    s.submit(batch, &set(&a, "3"));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("{TRYAGAIN}+OK\r\n"));
    s.tick(50);
    assert_eq!(s.written(A), mset_wire(&a, &b));
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn a_read_is_not_overtaken_by_a_read() {
    let mut s = Script::start();
    let [a, b, _] = keys();
    let batch = s.batch();
    s.submit(batch, &cmd("EXISTS").key(&a).key(&b));
    s.submit(batch, &get(&a));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("{TRYAGAIN}$1\r\n1\r\n"));
    s.tick(50);
    assert_eq!(s.written(A), wire(&["EXISTS", &a, &b]));
    s.reply(A, ":2\r\n");
    assert_eq!(s.result(batch, 0), ":2\\r\\n");
    s.assert_empty();
}

#[test]
fn a_read_is_overtaken_by_a_write_that_it_would_see_too_early() {
    let mut s = Script::start();
    let [a, b, _] = keys();
    let batch = s.batch();
    s.submit(batch, &cmd("EXISTS").key(&a).key(&b));
    s.submit(batch, &set(&a, "1"));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("{TRYAGAIN}+OK\r\n"));
    assert_eq!(s.result(batch, 0), not_executed("Overtaken"));
}

#[test]
fn a_command_whose_answer_was_lost_may_have_overtaken() {
    let mut s = Script::start();
    let [a, b, _] = keys();
    let batch = s.batch();
    s.submit(batch, &mset(&a, &b));
    s.submit(batch, &set(&a, "3"));
    s.flush(batch);
    s.written(A);
    s.reply(A, TRYAGAIN);
    s.reset(A);
    assert_eq!(s.result(batch, 0), not_executed("Overtaken"));
    assert_eq!(s.result(batch, 1), "ConnectionLost Unknown");
    s.assert_empty();
}

#[test]
fn a_command_that_nobody_waits_for_overtakes_all_the_same() {
    let mut s = Script::start();
    let [a, b, _] = keys();
    s.stream(&mset(&a, &b), 1, 5_000);
    let second = s.stream(&set(&a, "3"), 2, 5_000);
    s.engine.flush();
    s.written(A);
    assert!(s.engine.cancel(second));
    s.reply(A, format!("{TRYAGAIN}+OK\r\n"));
    let mut done = s.completions();
    done.sort();
    assert_eq!(done, [(1, not_executed("Overtaken")), (2, "Cancelled Unknown".to_owned())]);
    s.assert_empty();
}

#[test]
fn tryagain_holds_up_those_alone_that_share_a_key() {
    let mut s = Script::start();
    let [a, b, c] = keys();
    let refused = s.send(&mset(&a, &b));
    s.written(A);
    s.reply(A, TRYAGAIN);
    let other = s.send(&set(&c, "1"));
    let sharing = s.send(&get(&b));
    s.tick(0);
    assert_eq!(s.written(A), wire(&["SET", &c, "1"]));
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(other, 0), "+OK\\r\\n");
    s.tick(50);
    assert_eq!(s.written(A), mset_wire(&a, &b), "alone: what shares a key with it could pass it once more");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.written(A), wire(&["GET", &b]));
    s.reply(A, "$1\r\n2\r\n");
    assert_eq!([s.result(refused, 0), s.result(sharing, 0)], ["+OK\\r\\n", "$1\\r\\n2\\r\\n"]);
    s.assert_empty();
}

#[test]
fn per_slot_everything_of_the_slot_waits() {
    let mut s = with(Order::PerSlot, Overtaken::Fail);
    let [a, b, c] = keys();
    s.send(&mset(&a, &b));
    s.written(A);
    s.reply(A, TRYAGAIN);
    s.send(&set(&c, "1"));
    s.tick(0);
    assert_eq!(s.written(A), b"");
    s.tick(50);
    assert_eq!(s.written(A), mset_wire(&a, &b));
}

#[test]
fn per_slot_a_command_is_overtaken_by_one_of_another_key() {
    let mut s = with(Order::PerSlot, Overtaken::Fail);
    let [a, b, c] = keys();
    let batch = s.batch();
    s.submit(batch, &mset(&a, &b));
    s.submit(batch, &get(&c));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("{TRYAGAIN}$-1\r\n"));
    assert_eq!(s.result(batch, 0), not_executed("Overtaken"));
}

#[test]
fn results_of_others_do_not_renew_the_patience_with_tryagain() {
    let mut s = Script::start_with(Config { tryagain_wait_ms: 300, ..config() });
    let [a, b, c] = keys();
    let refused = s.send(&mset(&a, &b));
    s.written(A);
    s.reply(A, TRYAGAIN);
    let mut tries = 1;
    for _ in 0..400 {
        let other = s.send(&set(&c, "1"));
        s.tick(1);
        let bytes = s.written(A);
        let expected = wire(&["SET", &c, "1"]);
        if bytes.starts_with(&mset_wire(&a, &b)) || bytes.ends_with(&mset_wire(&a, &b)) {
            tries += 1;
            s.reply(
                A,
                if bytes.starts_with(&expected) {
                    format!("+OK\r\n{TRYAGAIN}")
                } else {
                    format!("{TRYAGAIN}+OK\r\n")
                },
            );
        } else {
            assert_eq!(bytes, expected);
            s.reply(A, "+OK\r\n");
        }
        s.tick(0);
        if s.written(A) == expected {
            s.reply(A, "+OK\r\n");
        }
        assert_eq!(s.result(other, 0), "+OK\\r\\n", "others go on");
        if s.result(refused, 0) != "pending" {
            break;
        }
    }
    assert_eq!(s.result(refused, 0), format!("{} NotExecuted", &TRYAGAIN[1..TRYAGAIN.len() - 2]));
    assert!((5..12).contains(&tries), "{tries} tries, ever further apart");
    s.assert_empty();
}

#[test]
fn in_a_round_a_command_over_two_keys_is_not_followed_by_one_that_shares_a_key() {
    let mut s = Script::start();
    let [a, b, c] = keys();
    let first = s.send(&set(&a, "0"));
    s.written(A);
    s.reply(A, ask(&a, B));
    let batch = s.batch();
    s.submit(batch, &mset(&a, &b));
    s.submit(batch, &get(&b));
    s.submit(batch, &set(&c, "1"));
    s.flush(batch);
    s.accept(B);
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &a, "0"]]));
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!(s.result(first, 0), "+OK\\r\\n");
    let source = [mset_wire(&a, &b), wire(&["SET", &c, "1"])].concat();
    assert_eq!(s.written(A), source, "GET waits until MSET has run");
    s.reply(A, format!("{TRYAGAIN}+OK\r\n"));
    s.tick(50);
    assert_eq!(s.written(A), mset_wire(&a, &b));
    s.reply(A, ask(&a, B));
    assert_eq!(s.written(B), [wire(&["ASKING"]), mset_wire(&a, &b)].concat());
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!(s.written(A), wire(&["GET", &b]));
    s.reply(A, ask(&b, B));
    s.written(B);
    s.reply(B, "+OK\r\n$1\r\n2\r\n");
    assert_eq!(s.result(batch, 1), "$1\\r\\n2\\r\\n");
    s.assert_empty();
}

#[test]
fn without_order_a_redirected_command_goes_on_at_once() {
    let mut s = with(Order::Relaxed, Overtaken::Fail);
    let [a, ..] = keys();
    let batch = s.batch();
    s.submit(batch, &set(&a, "1"));
    s.submit(batch, &set(&a, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&a, B));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &a, "1"]), "the other is still at A");
    let third = s.send(&set(&a, "3"));
    assert_eq!(s.written(B), wire(&["SET", &a, "3"]), "and nobody waits for it");
    s.reply(A, moved(&a, B));
    assert_eq!(s.written(B), wire(&["SET", &a, "2"]));
    s.reply(B, "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1), s.result(third, 0)], ["+OK\\r\\n"; 3]);
    s.assert_empty();
}

#[test]
fn without_order_tryagain_still_ends() {
    let mut s = Script::start_with(Config { order: Order::Relaxed, tryagain_wait_ms: 300, ..config() });
    let [a, b, _] = keys();
    let refused = s.send(&mset(&a, &b));
    let mut tries = 0;
    while s.result(refused, 0) == "pending" {
        if !s.written(A).is_empty() {
            tries += 1;
            s.reply(A, TRYAGAIN);
            let next = s.send(&set(&a, "1"));
            assert_eq!(s.written(A), wire(&["SET", &a, "1"]), "nobody waits for it");
            s.reply(A, "+OK\r\n");
            assert_eq!(s.result(next, 0), "+OK\\r\\n");
        }
        s.tick(1);
    }
    assert!(s.result(refused, 0).starts_with("TRYAGAIN"), "{}", s.result(refused, 0));
    assert!((5..12).contains(&tries), "{tries} tries, ever further apart");
    s.assert_empty();
}
