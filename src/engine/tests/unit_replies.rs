//! What servers, and whoever stands between, may say to the commands of a unit.

use super::units::{QUEUED, pair, sent_pair, unit};
use super::*;
use crate::engine::reply_slab::BatchOptions;

#[test]
fn what_is_left_of_a_skipped_reply_is_data() {
    for tail in ["MOVED", "NOAUTH"] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let batch = s.engine.open_batch_with(BatchOptions::new(100));
        s.submit_unit(batch, &key, &unit(&[&["GET", &key]]));
        s.flush(batch);
        s.written(A);
        s.reply(A, "+OK\r\n+QUEUED\r\n");
        s.tick(200);
        assert_eq!(s.result(batch, 0), "Timeout Unknown");
        // One value of 20000 bytes; what comes behind the first 15000 of them is the value's own text.
        s.reply(A, format!("*1\r\n$20000\r\n{}", "x".repeat(15_000)));
        let text = if tail == "MOVED" { moved(&key, 9) } else { "-NOAUTH x\r\n".to_owned() };
        let rest = 5_000 - text.len();
        s.reply(A, format!("{text}{}\r\n", "y".repeat(rest)));
        assert!(s.is_open(A), "{tail} closed");
        let dials = s.dials.clone();
        let later = s.send(&set(&key, "1"));
        assert_eq!(
            (dials, String::from_utf8(s.written(A)).unwrap()),
            (vec![], String::from_utf8(wire(&["SET", &key, "1"])).unwrap()),
            "{tail}"
        );
        s.reply(A, "+OK\r\n");
        assert_eq!(s.result(later, 0), "+OK\\r\\n");
    }
}

#[test]
fn bytes_that_come_before_a_command_has_left_prove_nothing_of_it() {
    for sent in [0, 5] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let batch = s.send(&set(&key, "1"));
        s.written_at_most(A, sent);
        s.reply(A, "$5\r\nhe");
        s.reset(A);
        assert_eq!(s.result(batch, 0), "pending", "{sent}");
    }
}

#[test]
fn a_stray_error_in_front_of_a_unit_is_not_taken_for_the_refusal_of_multi() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    let later = s.send(&get(&key));
    s.written(A);
    s.reply(A, format!("-ERR stray\r\n{QUEUED}*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n"));
    let results = (s.result(batch, 0), s.result(later, 0), s.is_open(A));
    assert!(!results.2 && results.0.ends_with("Unknown") && results.1 == "pending", "{results:?}");
}

#[test]
fn a_transaction_that_exec_has_not_ended_ends_the_connection() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    let later = s.send(&set(&key, "2"));
    s.written(A);
    s.reply(A, format!("{QUEUED}-ERR unknown command 'EXEC', with args beginning with: \r\n+QUEUED\r\n"));
    let results = (s.result(batch, 0), s.result(later, 0));
    assert!(!s.is_open(A), "{results:?}");
}

#[test]
fn a_desync_in_place_of_multis_reply_allows_nothing() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    let sent = wire(&["MULTI"]).len() + wire(&["SET", &key, "1"]).len();
    s.written_at_most(A, sent);
    s.reply(A, ":1\r\n");
    assert!(!s.is_open(A));
    let result = s.result(batch, 0);
    assert!(result.ends_with("Unknown"), "{result}");
}

#[test]
fn a_refused_multi_takes_the_leave_back() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send_unit(&key, &pair(&key));
    s.written(A);
    s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    // The right to MULTI is taken away.
    s.send_unit(&key, &pair(&key));
    s.written(A);
    s.reply(A, "-NOPERM no\r\n+OK\r\n:2\r\n-NOPERM no\r\n");
    let batch = s.send_unit(&key, &pair(&key));
    s.written_at_most(A, wire(&["MULTI"]).len() + wire(&["SET", &key, "1"]).len());
    s.reset(A);
    let result = s.result(batch, 0);
    assert!(result.ends_with("Unknown"), "{result}");
}

#[test]
fn a_skipped_large_reply_in_front_of_exec_is_no_reply_within_multi() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.engine.open_batch_with(BatchOptions::new(100));
    s.submit_unit(batch, &key, &pair(&key));
    s.flush(batch);
    s.written(A);
    s.tick(200);
    s.reply(A, format!("+OK\r\n$20000\r\n{}", "x".repeat(15_000)));
    s.reply(A, format!("{}\r\n", "y".repeat(5_000)));
    assert!(!s.is_open(A), "a large reply to a command that is to be +QUEUED");
}

#[test]
fn attributes_and_blob_errors_change_nothing() {
    let (mut s, _, batch) = sent_pair();
    let a = "|1\r\n+k\r\n+v\r\n";
    s.reply(
        A,
        format!(
            "{a}+OK\r\n{a}+QUEUED\r\n{a}+QUEUED\r\n{a}*2\r\n{a}+OK\r\n{a}!22\r\nMOVED 1 h:9 is a value\r\n"
        ),
    );
    let result = s.result(batch, 0);
    assert!(s.is_open(A), "{result}");
    assert!(result.ends_with("Executed"), "{result}");
    s.assert_empty();
}

#[test]
fn a_redirect_within_the_reply_to_exec_is_data() {
    let (mut s, key, batch) = sent_pair();
    s.reply(A, format!("{QUEUED}*2\r\n{}:2\r\n", moved(&key, 9)));
    let result = s.result(batch, 0);
    assert!(s.dials.is_empty() && result.ends_with("Executed"), "{result} {:?}", s.dials);
    s.assert_empty();
}

#[test]
fn a_unit_is_held_back_until_its_sentinel_has_come_back() {
    let mut config = config();
    config.high_integrity = true;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    let bytes = String::from_utf8(s.written(A)).unwrap();
    let nonce = bytes.rsplit("$16\r\n").next().unwrap().trim_end().to_owned();
    s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "pending");
    s.reply(A, format!("$16\r\n{nonce}\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}
