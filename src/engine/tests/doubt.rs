//! A connection breaks while replies are owed: what is sent again, by policy, by order, and by the caller's word.

use super::*;
use crate::config::{Order, RetryUnknown};

const LOST: &str = "ConnectionLost Unknown";

fn with_policy(policy: RetryUnknown) -> Config {
    Config { retry_unknown: policy, ..config() }
}

/// Sends these to A, which takes them all and breaks; answers what leaves on the next connection and the results so far.
fn break_after(config: Config, commands: &[Cmd]) -> (Script, BatchId, Vec<u8>, Vec<String>) {
    let mut s = Script::start_with(config);
    let batch = s.batch();
    for command in commands {
        s.submit(batch, command);
    }
    s.flush(batch);
    s.written(A);
    s.reset(A);
    let results = (0..commands.len() as u32).map(|n| s.result(batch, n)).collect();
    s.tick(100);
    let again = if s.dials.contains(&A) {
        s.accept(A);
        s.written(A)
    } else {
        Vec::new()
    };
    (s, batch, again, results)
}

#[test]
fn each_policy_sends_again_what_it_says_and_nothing_else() {
    let keys: Vec<String> = (1..=4).map(|n| key_of(A, n)).collect();
    let commands = [
        get(&keys[0]),
        set(&keys[1], "v"),
        cmd("INCR").key(&keys[2]),
        cmd("SET").key(&keys[3]).arg("v").arg("NX"),
    ];
    let wire_of = |n: usize| match n {
        0 => wire(&["GET", &keys[0]]),
        1 => wire(&["SET", &keys[1], "v"]),
        2 => wire(&["INCR", &keys[2]]),
        _ => wire(&["SET", &keys[3], "v", "NX"]),
    };
    for (policy, again) in [
        (RetryUnknown::Never, &[][..]),
        (RetryUnknown::ReadOnly, &[0]),
        (RetryUnknown::Idempotent, &[0, 1]),
        (RetryUnknown::Always, &[0, 1, 2, 3]),
    ] {
        let (s, _, written, results) = break_after(with_policy(policy), &commands);
        assert_eq!(written, again.iter().flat_map(|&n| wire_of(n)).collect::<Vec<u8>>(), "{policy:?}");
        for (n, result) in results.iter().enumerate() {
            let expected = if again.contains(&n) { "pending" } else { LOST };
            assert_eq!(result, expected, "{policy:?} {n}");
        }
        assert_eq!(s.engine.stats().total.resent, again.len() as u64);
    }
}

#[test]
fn a_command_s_own_policy_counts_for_more_than_the_client_s() {
    let keys: Vec<String> = (1..=2).map(|n| key_of(A, n)).collect();
    let commands = [
        get(&keys[0]).retry_unknown(RetryUnknown::Never),
        cmd("INCR").key(&keys[1]).retry_unknown(RetryUnknown::Always),
    ];
    let (_, _, written, results) = break_after(config(), &commands);
    assert_eq!(written, wire(&["INCR", &keys[1]]));
    assert_eq!(results, [LOST, "pending"]);
}

#[test]
fn a_write_is_sent_again_only_together_with_the_later_ones_of_its_key() {
    let key = key_of(A, 1);
    let commands = [set(&key, "1"), cmd("INCR").key(&key), set(&key, "3"), get(&key)];
    let (_, _, written, results) = break_after(with_policy(RetryUnknown::Idempotent), &commands);
    assert_eq!(
        written,
        wires(&[&["SET", &key, "3"], &["GET", &key]]),
        "the first would undo the increment, which may have run"
    );
    assert_eq!(results, [LOST, LOST, "pending", "pending"]);
    let (_, _, written, _) = break_after(with_policy(RetryUnknown::Always), &commands);
    let all: [&[&str]; 4] = [&["SET", &key, "1"], &["INCR", &key], &["SET", &key, "3"], &["GET", &key]];
    assert_eq!(written, wires(&all));
}

#[test]
fn keys_of_one_slot_do_not_stand_in_each_other_s_way_unless_the_slot_is_the_order() {
    let tag = key_of(A, 1);
    let (first, second) = (format!("{tag}a"), format!("{tag}b"));
    let commands = [get(&first), set(&second, "v")];
    let (_, _, written, results) = break_after(config(), &commands);
    assert_eq!((written, &results[0][..]), (wire(&["GET", &first]), "pending"));
    let (_, _, written, results) = break_after(Config { order: Order::PerSlot, ..config() }, &commands);
    assert_eq!((written, &results[0][..]), (Vec::new(), LOST));
}

#[test]
fn a_write_whose_reply_had_begun_ran_and_is_not_sent_again() {
    let mut s = Script::start_with(with_policy(RetryUnknown::Always));
    let batch = s.send(&cmd("INCR").key(key_of(A, 1)));
    s.written(A);
    s.reply(A, ":1");
    s.reset(A);
    assert_eq!(s.result(batch, 0), "ConnectionLost ExecutedReplyLost");
}

#[test]
fn a_command_that_was_in_doubt_once_stays_in_doubt_where_its_second_attempt_comes_to_nothing() {
    let key = key_of(A, 1);
    let incr = cmd("INCR").key(&key);
    let (mut s, batch, written, _) = break_after(with_policy(RetryUnknown::Always), &[incr]);
    assert_eq!(written, wire(&["INCR", &key]));
    s.reply(A, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    let error = s.engine.batch(batch).expect("open").reply(0).expect_err("refused").clone();
    assert_eq!(error.outcome(), Outcome::Unknown, "the first attempt may have run");
    assert_eq!(error.attempts(), 2);

    let mut s = Script::start_with(with_policy(RetryUnknown::Always));
    let token = s.stream(&cmd("INCR").key(&key), 7, 1_000);
    s.engine.flush();
    s.written(A);
    s.reset(A);
    assert!(s.engine.cancel(token));
    assert_eq!(s.completions(), [(7, "Cancelled Unknown".to_owned())]);
    let late = s.send(&cmd("INCR").key(&key));
    s.tick(100);
    s.accept(A);
    s.written(A);
    s.reset(A);
    for _ in 0..60 {
        s.tick(100);
        if s.dials.contains(&A) {
            s.refuse(A);
        }
    }
    assert!(s.result(late, 0).ends_with("Unknown"), "{}", s.result(late, 0));
    s.assert_empty();
}

#[test]
fn what_was_in_doubt_once_stays_so_however_its_second_attempt_is_given_up() {
    let key = key_of(A, 1);
    let incr = cmd("INCR").key(&key);
    for refusal in ["-CLUSTERDOWN The cluster is down\r\n", "-MOVED {slot} h:2\r\n", "-TRYAGAIN x\r\n"] {
        let refusal = refusal.replace("{slot}", &slot_of(key.as_bytes()).to_string());
        for cancels in [false, true] {
            let mut s = Script::start_with(with_policy(RetryUnknown::Always));
            let token = s.stream(&incr, 7, 1_000);
            s.engine.flush();
            s.written(A);
            s.reset(A);
            while !s.dials.contains(&A) {
                s.tick(1);
            }
            s.accept(A);
            s.written(A);
            s.reply(A, &refusal);
            assert_eq!(s.completions(), []);
            if cancels {
                assert!(s.engine.cancel(token));
            } else {
                s.tick(2_000);
            }
            let results = s.completions();
            assert!(results.len() == 1 && results[0].1.ends_with(" Unknown"), "{refusal:?} {results:?}");
        }
    }
}

#[test]
fn what_was_in_doubt_once_stays_so_while_its_result_is_held_back() {
    let mut config = with_policy(RetryUnknown::Always);
    config.high_integrity = true;
    let mut s = Script::start_with(config);
    let batch = s.send(&cmd("INCR").key(key_of(A, 1)));
    s.written(A);
    s.reset(A);
    while !s.dials.contains(&A) {
        s.tick(1);
    }
    s.accept(A);
    let written = String::from_utf8(s.written(A)).expect("text");
    let nonce = written.split("ECHO\r\n").nth(1).expect("a sentinel")[..23].to_owned();
    s.reply(A, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    assert_eq!(s.result(batch, 0), "pending", "until the sentinel is back");
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reset(B);
    s.reply(A, nonce);
    assert!(s.result(batch, 0).ends_with(" Unknown"), "{}", s.result(batch, 0));
}

#[test]
fn what_is_known_of_earlier_attempts_is_forgotten_with_the_command() {
    let mut s = Script::start_with(with_policy(RetryUnknown::Always));
    for _ in 0..20 {
        let batch = s.send(&cmd("INCR").key(key_of(A, 1)));
        s.written(A);
        s.reset(A);
        while !s.dials.contains(&A) {
            s.tick(1);
        }
        s.accept(A);
        s.written(A);
        s.reply(A, ":1\r\n");
        assert_eq!(s.result(batch, 0), ":1\\r\\n");
        s.engine.abandon(batch);
        for port in [A, B, C] {
            if s.written(port) == wire(&["CLUSTER", "SLOTS"]) {
                s.reply(port, slots_reply(&THIRDS));
            }
        }
    }
    assert!(s.engine.resent.len() <= 1, "{:?}", s.engine.resent);
}

/// A read is refused while a later write of its key is on the wire, which may have run when the connection breaks.
#[test]
fn a_write_that_is_sent_again_may_have_overtaken_what_is_held_before_it() {
    let key = key_of(A, 1);
    let mut s = Script::start_with(with_policy(RetryUnknown::Idempotent));
    let batch = s.batch();
    s.submit(batch, &get(&key));
    s.submit(batch, &set(&key, "v"));
    s.submit(batch, &set(&key, "w"));
    s.flush(batch);
    s.written(A);
    s.reply(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    s.reset(A);
    assert_eq!(s.result(batch, 0), "Overtaken NotExecuted");
    s.tick(100);
    s.accept(A);
    let both = [wire(&["SET", &key, "v"]), wire(&["SET", &key, "w"])].concat();
    assert_eq!(s.written(A), both, "they have not overtaken each other, nor themselves");
    s.reply(A, "+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 1), s.result(batch, 2)], ["+OK\\r\\n", "+OK\\r\\n"]);
}

#[test]
fn a_node_that_answers_out_of_step_every_time_is_dialled_less_and_less_often() {
    let mut s = Script::start_with(Config { reconnect_min_ms: 10, reconnect_max_ms: 10_000, ..config() });
    let mut waited = Vec::new();
    for _ in 0..8 {
        let batch = s.send(&get(&key_of(A, 1)));
        s.written(A);
        s.reply(A, "$1\r\nv\r\n:1\r\n");
        assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
        assert!(!s.is_open(A), "a reply too many");
        s.send(&get(&key_of(A, 1)));
        let mut ms = 0;
        while !s.dials.contains(&A) {
            s.tick(1);
            ms += 1;
        }
        waited.push(ms);
        s.accept(A);
        s.written(A);
        s.reply(A, "$1\r\nv\r\n");
    }
    assert!(waited.iter().max() > Some(&200), "{waited:?}");
}
