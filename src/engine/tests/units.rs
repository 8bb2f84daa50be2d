//! MULTI .. EXEC in one entry: one place in the order, one outcome, several replies.

use super::*;
use crate::config::RetryUnknown;
use crate::engine::reply_slab::BatchOptions;
use crate::engine::{Encoded, Window};

const ROOM: Window = Window { commands: 1000, bytes: 1 << 20 };

/// A unit in its wire form.
pub(super) fn unit(commands: &[&[&str]]) -> Vec<u8> {
    [wire(&["MULTI"]), wires(commands), wire(&["EXEC"])].concat()
}

impl Script {
    pub(super) fn submit_unit(&mut self, batch: BatchId, key: &str, frames: &[u8]) {
        let encoded = Encoded { name: "MULTI", bytes: frames, shared: None, flags: 0 };
        self.engine
            .submit_unit(batch, encoded, slot_of(key.as_bytes()), ROOM, self.now)
            .expect("there is room");
        self.act();
    }

    pub(super) fn send_unit(&mut self, key: &str, frames: &[u8]) -> BatchId {
        let batch = self.batch();
        self.submit_unit(batch, key, frames);
        self.flush(batch);
        batch
    }
}

/// Two commands of one key of A's.
pub(super) fn pair(key: &str) -> Vec<u8> {
    unit(&[&["SET", key, "1"], &["INCR", key]])
}

/// Such a unit, sent to A whole.
pub(super) fn sent_pair() -> (Script, String, BatchId) {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    s.written(A);
    (s, key, batch)
}

pub(super) const QUEUED: &str = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";

#[test]
fn a_unit_has_one_result_between_those_of_its_neighbours() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "0"));
    s.submit_unit(batch, &key, &pair(&key));
    s.submit(batch, &get(&key));
    s.flush(batch);
    assert_eq!(
        s.written(A),
        [wire(&["SET", &key, "0"]), pair(&key), wire(&["GET", &key])].concat(),
        "without a gap"
    );
    let replies = format!("+OK\r\n{QUEUED}*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
    for byte in replies.as_bytes().chunks(1) {
        s.reply(A, byte);
    }
    assert_eq!(
        [s.result(batch, 0), s.result(batch, 1), s.result(batch, 2)],
        ["+OK\\r\\n", "*2\\r\\n+OK\\r\\n:2\\r\\n", "$1\\r\\n2\\r\\n"]
    );
    s.assert_empty();
}

#[test]
fn s100_a_unit_at_the_former_owner_runs_once_and_whole_at_the_new_one() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    let later = s.send(&get(&key));
    s.written(A);
    let refusal = moved(&key, B);
    s.reply(A, format!("+OK\r\n{refusal}{refusal}"));
    // The slot is known to be B's. What is submitted now waits for the unit, and that for the end of its replies.
    let last = s.send(&set(&key, "3"));
    assert_eq!(s.dials, Vec::<u16>::new());
    s.reply(A, format!("-EXECABORT Transaction discarded because of previous errors.\r\n{refusal}"));
    s.accept(B);
    assert_eq!(s.written(B), pair(&key), "ahead, and alone");
    s.reply(B, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.written(B), wires(&[&["GET", &key], &["SET", &key, "3"]]));
    s.reply(B, "$1\r\n2\r\n+OK\r\n");
    assert_eq!(s.result(last, 0), "+OK\\r\\n");
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    assert_eq!(s.result(later, 0), "$1\\r\\n2\\r\\n");
    s.assert_empty();
}

#[test]
fn s102_one_asking_stands_before_a_unit() {
    let (mut s, key, batch) = sent_pair();
    let refusal = ask(&key, B);
    s.reply(
        A,
        format!("+OK\r\n{refusal}{refusal}-EXECABORT Transaction discarded because of previous errors.\r\n"),
    );
    s.accept(B);
    assert_eq!(s.written(B), [wire(&["ASKING"]), pair(&key)].concat());
    s.reply(B, format!("+OK\r\n{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}

#[test]
fn nor_behind_asking_is_a_reply_believed_whose_command_has_not_been_sent() {
    let (mut s, key, _) = sent_pair();
    let refusal = ask(&key, B);
    s.reply(A, format!("+OK\r\n{refusal}{refusal}-EXECABORT x\r\n"));
    s.accept(B);
    let until_set = [wire(&["ASKING"]), wire(&["MULTI"]), wire(&["SET", &key, "1"])].concat().len();
    s.written_at_most(B, until_set - 1);
    s.reply(B, "+OK\r\n+OK\r\n");
    assert!(s.is_open(B), "these had been sent");
    s.reply(B, "+QUEUED\r\n");
    assert!(!s.is_open(B));
}

#[test]
fn exec_itself_may_be_redirected() {
    let (mut s, key, batch) = sent_pair();
    s.reply(A, format!("{QUEUED}{}", moved(&key, B)));
    s.accept(B);
    assert_eq!(s.written(B), pair(&key));
    s.reply(B, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}

#[test]
fn what_exec_was_refused_for_decides() {
    let (mut s, key, batch) = sent_pair();
    s.reply(A, format!("{QUEUED}-EXECABORT Transaction discarded because of: TRYAGAIN Multiple keys request during rehashing of slot\r\n"));
    assert_eq!(s.result(batch, 0), "pending");
    s.tick(20);
    assert_eq!(s.written(A), pair(&key));
    s.reply(A, format!("{QUEUED}-EXECABORT Transaction discarded because of: OOM command not allowed\r\n"));
    assert_eq!(s.result(batch, 0), "OOM command not allowed NotExecuted");
    s.assert_empty();
}

#[test]
fn s105_the_command_for_which_a_unit_was_refused_is_told_with_its_place() {
    const NOT_HERE: &str = "-ERR Command not allowed inside a transaction\r\n";
    for (replies, place) in [
        (format!("+OK\r\n{NOT_HERE}+QUEUED\r\n"), 1),
        (format!("+OK\r\n+QUEUED\r\n{NOT_HERE}"), 2),
        (format!("+OK\r\n{NOT_HERE}-ERR unknown command 'INCR'\r\n"), 1),
    ] {
        let (mut s, _, batch) = sent_pair();
        s.reply(A, format!("{replies}-EXECABORT Transaction discarded because of previous errors.\r\n"));
        assert_eq!(s.result(batch, 0), "UnitRefused NotExecuted");
        let rows = s.engine.batch(batch).expect("an open batch");
        let error = rows.reply(0).expect_err("refused").to_string();
        let told = format!(
            "command {place} of the transaction was refused: ERR Command not allowed inside a transaction"
        );
        assert!(error.contains(&told), "{error}");
        s.assert_empty();
    }
}

#[test]
fn scripts_that_ran_outside_of_a_refused_multi_may_say_what_they_like() {
    for (replies, ran, expected) in [
        ("+OK\r\n-OOM in the script's words\r\n", 2, "UnitBroken Unknown"),
        ("+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n", 1, "UnitBroken Unknown"),
        ("+OK\r\n:2\r\n", 2, "UnitBroken Executed"),
        // Of a command that is no script it is the server's.
        ("-OOM command not allowed\r\n:2\r\n", 1, "UnitBroken Unknown"),
    ] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let frames = unit(&[&["SET", &key, "1"], &["EVAL", "return 2", "1", &key]]);
        let batch = s.send_unit(&key, &frames);
        s.written(A);
        s.reply(A, format!("-NOPERM no\r\n{replies}-ERR EXEC without MULTI\r\n"));
        assert_eq!(s.result(batch, 0), expected, "{replies:?}");
        let rows = s.engine.batch(batch).expect("an open batch");
        let told = rows.reply(0).expect_err("broken").to_string();
        assert!(told.contains(&format!("{ran} of 2 commands ran")), "{told}");
        s.assert_empty();
    }
}

#[test]
fn a_command_that_fails_within_exec_is_the_result_and_the_rest_has_run() {
    let (mut s, _, batch) = sent_pair();
    s.reply(A, format!("{QUEUED}*2\r\n-WRONGTYPE Operation against a key\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "WRONGTYPE Operation against a key Executed");
    s.assert_empty();
}

#[test]
fn where_multi_is_refused_the_rest_runs_by_itself_and_is_told_so() {
    let refused = "-NOPERM this user has no permissions to run the 'multi' command\r\n";
    for (replies, expected) in [
        ("+OK\r\n:2\r\n", "UnitBroken Executed"),
        ("-MOVED 1 h:2\r\n:2\r\n", "UnitBroken Unknown"),
        (
            "-NOPERM no\r\n-NOPERM no\r\n",
            "NOPERM this user has no permissions to run the 'multi' command NotExecuted",
        ),
    ] {
        let (mut s, _, batch) = sent_pair();
        s.reply(A, format!("{refused}{replies}-ERR EXEC without MULTI\r\n"));
        assert_eq!(s.result(batch, 0), expected);
        assert!(s.is_open(A));
        s.assert_empty();
    }
}

#[test]
fn s113_pushes_between_the_replies_of_a_unit_change_nothing() {
    let (mut s, _, batch) = sent_pair();
    let push = ">2\r\n+invalidate\r\n_\r\n";
    s.reply(A, format!("{push}+OK\r\n{push}+QUEUED\r\n{push}+QUEUED\r\n{push}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}

#[test]
fn replies_of_a_shape_that_no_unit_has_end_the_connection() {
    for replies in [
        "+QUEUED\r\n",
        "+OK\r\n+OK\r\n",
        "+OK\r\n+QUEUED\r\n:1\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*1\r\n+OK\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+OK\r\n",
        "+OK\r\n-ERR x\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n",
    ] {
        let (mut s, _, batch) = sent_pair();
        s.reply(A, replies);
        assert!(!s.is_open(A), "{replies:?}");
        assert!(s.result(batch, 0).ends_with("Unknown"), "{}", s.result(batch, 0));
        s.assert_empty();
    }
}

#[test]
fn no_reply_is_believed_whose_command_has_not_been_sent() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send_unit(&key, &pair(&key));
    let until_incr = [wire(&["MULTI"]), wire(&["SET", &key, "1"])].concat().len();
    s.written_at_most(A, until_incr);
    s.reply(A, "+OK\r\n+QUEUED\r\n");
    assert!(s.is_open(A), "these had been sent");
    s.reply(A, "+QUEUED\r\n");
    assert!(!s.is_open(A));
}

#[test]
fn s104_a_unit_that_had_not_been_sent_whole_did_not_run_and_is_sent_again() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send_unit(&key, &pair(&key));
    s.written_at_most(A, pair(&key).len() - 1);
    s.reply(A, QUEUED);
    s.reset(A);
    s.tick(100);
    s.accept(A);
    assert_eq!(s.written(A), pair(&key));
    s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}

#[test]
fn a_part_of_a_unit_is_in_doubt_where_multi_may_be_forbidden() {
    let multi = wire(&["MULTI"]).len();
    for (is_known, sent, expected) in
        [(false, multi, "pending"), (false, multi + 1, "Unknown"), (true, multi + 1, "pending")]
    {
        let mut s = Script::start();
        let key = key_of(A, 1);
        if is_known {
            s.send_unit(&key, &pair(&key));
            s.written(A);
            s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
        }
        let batch = s.send_unit(&key, &pair(&key));
        s.written_at_most(A, sent);
        s.reset(A);
        let result = s.result(batch, 0);
        assert!(result.ends_with(expected), "{is_known} {sent}: {result}");
    }
}

#[test]
fn s103_a_lost_reply_to_exec_leaves_a_unit_in_doubt_whatever_came_before() {
    for (replies, policy, expected) in [
        ("", RetryUnknown::Idempotent, "Unknown"),
        (QUEUED, RetryUnknown::Idempotent, "Unknown"),
        ("+OK\r\n+QUEUED\r\n+QUEU", RetryUnknown::Never, "Unknown"),
        ("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+O", RetryUnknown::Always, "ExecutedReplyLost"),
    ] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let options = BatchOptions { retry_unknown: Some(policy), ..BatchOptions::new(5_000) };
        let batch = s.engine.open_batch_with(options);
        let both_set = unit(&[&["SET", &key, "1"], &["SET", &key, "2"]]);
        s.submit_unit(batch, &key, &both_set);
        s.flush(batch);
        s.written(A);
        s.reply(A, replies);
        s.reset(A);
        assert!(s.result(batch, 0).ends_with(expected), "{replies:?}: {}", s.result(batch, 0));
        s.assert_empty();
    }
}

#[test]
fn a_unit_is_sent_again_where_the_caller_always_wants_that() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let options = BatchOptions { retry_unknown: Some(RetryUnknown::Always), ..BatchOptions::new(5_000) };
    let batch = s.engine.open_batch_with(options);
    s.submit_unit(batch, &key, &pair(&key));
    s.flush(batch);
    s.written(A);
    s.reply(A, "+OK\r\n+QUEUED\r\n");
    s.reset(A);
    s.tick(100);
    s.accept(A);
    assert_eq!(s.written(A), pair(&key), "from MULTI on");
    s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
    assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
    s.assert_empty();
}

#[test]
fn a_connection_that_is_lost_after_multi_was_refused_leaves_doubt_even_of_a_part() {
    for unsent in [1, 0] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let options = BatchOptions { retry_unknown: Some(RetryUnknown::Always), ..BatchOptions::new(5_000) };
        let batch = s.engine.open_batch_with(options);
        s.submit_unit(batch, &key, &pair(&key));
        s.flush(batch);
        s.written_at_most(A, pair(&key).len() - unsent);
        s.reply(A, "-NOPERM no\r\n+OK\r\n");
        s.reset(A);
        assert!(s.result(batch, 0).ends_with("Unknown"), "{}", s.result(batch, 0));
        s.assert_empty();
    }
}

#[test]
fn a_unit_that_was_given_up_keeps_its_place_until_all_its_replies_have_come() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let options = BatchOptions::new(100);
    let batch = s.engine.open_batch_with(options);
    s.submit_unit(batch, &key, &pair(&key));
    s.flush(batch);
    let later = s.send(&get(&key));
    s.written(A);
    s.reply(A, "+OK\r\n+QUEUED\r\n");
    s.tick(200);
    assert_eq!(s.result(batch, 0), "Timeout Unknown");
    s.reply(A, "+QUEUED\r\n*2\r\n+OK\r\n");
    assert_eq!(s.result(later, 0), "pending");
    let large = "x".repeat(1 << 20);
    s.reply(A, format!("${}\r\n{large}\r\n$1\r\nv\r\n", large.len()));
    assert_eq!(s.result(later, 0), "$1\\r\\nv\\r\\n");
    s.assert_empty();
}

#[test]
fn a_unit_conflicts_with_commands_on_each_of_its_keys() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let (one, other) = (format!("{key}one"), format!("{key}other"));
    let both = unit(&[&["SET", &one, "1"], &["SET", &other, "1"]]);
    let batch = s.batch();
    s.submit_unit(batch, &one, &both);
    s.submit(batch, &get(&other));
    s.flush(batch);
    s.written(A);
    // The unit is refused, and a later command of its second key runs: sent on, the unit would run out of order.
    let refusal = ask(&one, B);
    s.reply(A, format!("+OK\r\n{refusal}+QUEUED\r\n-EXECABORT x\r\n$1\r\nv\r\n"));
    assert_eq!(s.result(batch, 0), "Overtaken NotExecuted");
    assert_eq!(s.result(batch, 1), "$1\\r\\nv\\r\\n");
    s.assert_empty();
}

#[test]
fn what_is_submitted_once_a_part_of_a_unit_was_refused_waits_behind_it() {
    for refusal in [ask(&key_of(A, 1), B), "-TRYAGAIN Multiple keys request\r\n".to_owned()] {
        let (mut s, key, batch) = sent_pair();
        s.reply(A, format!("+OK\r\n{refusal}"));
        let later = s.send(&get(&key));
        assert_eq!(s.written(A), b"", "{refusal}");
        s.reply(A, "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
        if refusal.starts_with("-ASK") {
            s.accept(B);
            assert!(s.written(B).ends_with(&pair(&key)));
            s.reply(B, format!("+OK\r\n{QUEUED}*2\r\n+OK\r\n:2\r\n"));
            // What comes behind it asks the source first: a round.
            assert!(s.written(A).ends_with(&wire(&["GET", &key])));
        } else {
            s.tick(50);
            assert_eq!(s.written(A), [pair(&key), wire(&["GET", &key])].concat());
            s.reply(A, format!("{QUEUED}*2\r\n+OK\r\n:2\r\n"));
        }
        assert_eq!(s.result(batch, 0), "*2\\r\\n+OK\\r\\n:2\\r\\n");
        s.reply(A, "$1\r\n2\r\n");
        assert_eq!(s.result(later, 0), "$1\\r\\n2\\r\\n");
        s.assert_empty();
    }
}
