//! Thousands of commands behind one fence: what each costs does not grow with how many there are. And what no fence holds up must still not be
//! left behind.

use super::*;
use crate::config::{Order, RetryUnknown};

const TRYAGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
const DOWN: &str = "-CLUSTERDOWN Hash slot not served\r\n";
const CROWD: usize = 10_000;

fn relaxed() -> Config {
    Config { order: Order::Relaxed, ..config() }
}

/// B has everything that was A's.
const TAKEN_OVER: [(u16, u16, u16); 2] = [(0, 10922, B), (10923, 16383, C)];

fn mset(one: &str, two: &str) -> Cmd {
    cmd("MSET").key(one).arg(1).key(two).arg(2)
}

#[test]
fn a_crowd_behind_a_command_that_waits_is_one_reason_to_look() {
    let mut s = Script::start();
    let tag = key_of(A, 1);
    let (a, b) = (format!("{tag}a"), format!("{tag}b"));
    s.send(&mset(&a, &b));
    s.written(A);
    s.reply(A, TRYAGAIN);
    let batch = s.batch();
    for _ in 0..CROWD {
        s.submit(batch, &set(&a, "3"));
    }
    s.flush(batch);
    assert_eq!(s.engine.fences.ready_len(), 1);
    s.tick(50);
    assert_eq!(s.written(A), wire(&["MSET", &a, "1", &b, "2"]));
    s.reply(A, "+OK\r\n");
    let bytes = s.written(A);
    assert_eq!(bytes.len(), CROWD * wire(&["SET", &a, "3"]).len());
    s.reply(A, "+OK\r\n".repeat(CROWD));
    assert!(s.engine.is_complete(batch));
    s.assert_empty();
}

/// What a command is answered with that begins like this.
fn answer(bytes: &[u8]) -> Option<String> {
    match bytes {
        b"$4\r\nMSET\r\n" => Some("+OK\r\n".to_owned()),
        b"$7\r\nCLUSTE" => Some(slots_reply(&THIRDS)),
        _ => None,
    }
}

/// Where every refusal is looked at by itself, or looks for itself among all others, this takes minutes.
#[test]
fn a_crowd_that_is_refused_together_is_dealt_with_together() {
    for order in [Order::PerKey, Order::Relaxed] {
        for refusal in [DOWN, TRYAGAIN] {
            let mut s = Script::start_with(Config { order, ..config() });
            let tag = key_of(A, 1);
            let batch = s.batch();
            for n in 0..CROWD {
                s.submit(batch, &mset(&format!("{tag}{n}a"), &format!("{tag}{n}b")));
            }
            s.flush(batch);
            s.written(A);
            s.reply(A, refusal.repeat(CROWD));
            assert_eq!(s.engine.stats().parked, CROWD as u64);
            for _ in 0..20 {
                s.tick(50);
                let written = s.written(A);
                let replies: String = written.windows(10).filter_map(answer).collect();
                s.reply(A, replies);
            }
            assert!(s.engine.is_complete(batch), "{order:?} {refusal}");
            s.assert_empty();
        }
    }
}

#[test]
fn a_probe_that_is_no_command_does_not_say_who_serves_the_slot() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &cmd("NOSUCH").key(&key));
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B).repeat(3));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["NOSUCH", &key]));
    s.reply(B, "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]), "B has not looked at the slot yet");
    s.reply(B, "+OK\r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
}

#[test]
fn without_order_too_what_waits_for_a_dead_node_goes_to_the_one_that_took_over() {
    let mut s = Script::start_with(relaxed());
    let key = key_of(A, 1);
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    // What A said is no longer fresh.
    s.tick(3_000);
    s.reset(A);
    s.send(&set(&key, "v"));
    let idle = s.idle(3_000, &TAKEN_OVER);
    assert_eq!(idle.written, [(B, wire(&["SET", &key, "v"]))]);
}

#[test]
fn without_order_too_a_dead_target_of_a_migration_keeps_nothing() {
    let mut s = Script::start_with(relaxed());
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "v"));
    s.written(A);
    s.reply(A, ask(&key, C));
    s.refuse(C);
    s.tick(0);
    assert_eq!(s.written(A), wire(&["SET", &key, "v"]), "the source says what is next");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    s.assert_empty();
}

#[test]
fn without_order_a_slot_that_loses_its_owner_still_counts_what_is_on_its_way() {
    let mut s = Script::start_with(relaxed());
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B).repeat(2));
    s.accept(B);
    s.written(B);
    let slot = slot_of(key.as_bytes());
    let owner = s.engine.slots.owner(slot).expect("B");
    s.engine.slots.disown(owner);
    s.reply(B, "+OK\r\n");
    let waits = s.send(&set(&key, "3"));
    s.reply(B, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    assert_eq!(s.result(waits, 0), "pending");
}

#[test]
fn a_doubt_is_not_forgotten_while_a_result_is_held() {
    let mut s =
        Script::start_with(Config { high_integrity: true, retry_unknown: RetryUnknown::Always, ..config() });
    let key = key_of(A, 1);
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    let batch = s.send(&set(&key, "v"));
    s.written(A);
    s.reset(A);
    s.tick(1_000);
    s.accept(A);
    let (bytes, again) = (s.written(A), wire(&["SET", &key, "v"]));
    assert!(bytes.starts_with(&again), "{}", bytes.escape_ascii());
    s.reply(A, "-OOM command not allowed\r\n");
    assert_eq!(s.result(batch, 0), "pending");
    // Another connection is lost meanwhile.
    s.reset(B);
    s.reply(A, &bytes[again.len() + "*2\r\n$4\r\nECHO\r\n".len()..]);
    assert_eq!(s.result(batch, 0), "OOM command not allowed Unknown", "the first attempt may have run");
}

#[test]
fn what_a_fence_lets_go_together_is_checked_together() {
    let mut s = Script::start_with(Config { high_integrity: true, ..config() });
    let key = key_of(A, 1);
    let batch = s.batch();
    for _ in 0..100 {
        s.submit(batch, &set(&key, "1"));
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B).repeat(100));
    s.accept(B);
    s.written(B);
    s.reply(B, "+OK\r\n");
    let written = s.written(B);
    let count = |word: &[u8]| written.windows(word.len()).filter(|window| *window == word).count();
    assert_eq!((count(b"SET"), count(b"ECHO")), (99, 1));
}
