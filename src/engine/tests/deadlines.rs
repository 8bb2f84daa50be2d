//! Deadlines and cancelling: the caller is told in time, and a late reply never reaches another command.

use super::*;

#[test]
fn a_late_reply_is_discarded_and_the_next_command_gets_its_own() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let late = s.send(&get(&key));
    s.written(A);
    s.tick(5_001);
    assert_eq!(s.result(late, 0), "Timeout Unknown");
    s.engine.abandon(late);
    let next = s.send(&get(&key));
    s.written(A);
    s.reply(A, "$4\r\nlate\r\n");
    assert_eq!(s.result(next, 0), "pending", "the late reply belongs to nobody");
    s.reply(A, "$4\r\nnext\r\n");
    assert_eq!(s.result(next, 0), "$4\\r\\nnext\\r\\n");
    s.engine.abandon(next);
    s.assert_empty();
    assert_eq!(s.engine.batches.len(), 0, "rows are given back");
}

#[test]
fn a_batch_that_is_filled_slowly_takes_no_time_from_its_dials() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let batch = s.batch();
    let opened = s.now;
    s.engine.submit(batch, &set(&key, "slow").request().expect("a good command"), opened);
    s.now = opened.after_ms(3_000);
    s.flush(batch);
    s.tick(999);
    assert_eq!(s.dials, [B], "the attempt is as old as the flush that handed it out");
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "slow"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    s.assert_empty();
}

#[test]
fn an_unsent_command_that_times_out_never_runs() {
    let mut s = Script::start();
    let (key, kept) = (key_of(A, 1), key_of(A, 2));
    let batch = s.send(&set(&key, "late"));
    s.tick(4_000);
    let second = s.send(&set(&kept, "kept"));
    s.tick(1_001);
    assert_eq!(s.result(batch, 0), "Timeout NotExecuted");
    assert_eq!(s.written(A), wire(&["SET", &kept, "kept"]), "taken out of the queue");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(second, 0), "+OK\\r\\n");
    s.assert_empty();
}

#[test]
fn s39_a_half_written_command_that_times_out_is_completed_and_its_reply_discarded() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "value"));
    let begun = s.written_at_most(A, 10);
    s.tick(5_001);
    assert_eq!(s.result(batch, 0), "Timeout Unknown");
    let next = s.send(&get(&key));
    let rest = s.written(A);
    assert_eq!(
        [begun, rest].concat(),
        wires(&[&["SET", &key, "value"], &["GET", &key]]),
        "the stream stays valid"
    );
    s.reply(A, "+OK\r\n$5\r\nvalue\r\n");
    assert_eq!(s.result(next, 0), "$5\\r\\nvalue\\r\\n");
    s.assert_empty();
}

#[test]
fn finished_results_of_a_batch_survive_its_deadline() {
    let mut s = Script::start();
    let batch = s.batch();
    s.submit(batch, &get(&key_of(A, 1)));
    s.submit(batch, &get(&key_of(A, 2)));
    s.flush(batch);
    s.written(A);
    s.reply(A, "$1\r\nv\r\n");
    s.tick(5_001);
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["$1\\r\\nv\\r\\n", "Timeout Unknown"]);
    assert!(s.engine.is_complete(batch));
}

#[test]
fn each_streamed_command_has_its_own_deadline() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.stream(&get(&key), 1, 1_000);
    s.stream(&get(&key), 2, 100);
    s.engine.flush();
    s.written(A);
    s.tick(101);
    assert_eq!(s.completions(), [(2, "Timeout Unknown".to_owned())]);
    s.reply(A, "$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(s.completions(), [(1, "$1\\r\\na\\r\\n".to_owned())], "b was for the command that gave up");
    s.assert_empty();
    assert_eq!(s.engine.stream.len(), 0);
}

#[test]
fn s119_cancelled_commands_leave_nothing_behind() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    for n in 0..1_000 {
        let token = s.stream(&get(&key), n, 1_000);
        assert!(s.engine.cancel(token));
        assert!(!s.engine.cancel(token), "once is enough");
        assert_eq!(s.completions(), [(n, "Cancelled NotExecuted".to_owned())]);
    }
    assert_eq!(s.engine.stream.len(), 0);
    s.assert_empty();
    let token = s.stream(&get(&key), 7, 1_000);
    s.engine.flush();
    s.written(A);
    assert!(s.engine.cancel(token));
    assert_eq!(s.completions(), [(7, "Cancelled Unknown".to_owned())]);
    s.reply(A, "$1\r\nv\r\n");
    assert_eq!(s.completions(), []);
    assert_eq!(s.engine.stream.len(), 0);
    s.assert_empty();
}

#[test]
fn a_batch_that_is_dropped_before_its_flush_sends_nothing() {
    let mut s = Script::start();
    let batch = s.batch();
    s.submit(batch, &set(&key_of(A, 1), "never"));
    s.engine.abandon(batch);
    s.engine.flush();
    assert_eq!(s.written(A), b"");
    s.assert_empty();
    assert_eq!(s.engine.batches.len(), 0);
}

#[test]
fn a_silent_node_is_given_up_and_the_others_are_not() {
    let mut config = config();
    config.command_timeout_ms = 60_000;
    let mut s = Script::start_with(config);
    let batch = s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.tick(11_000);
    assert!(s.is_open(B));
    s.tick(1_600);
    assert!(!s.is_open(B), "twelve seconds without a byte");
    assert!(s.is_open(A), "nothing is owed by A");
    assert_eq!(s.result(batch, 0), "pending", "a read is sent again on the next connection");
}

/// Submits with the time of the open burst.
fn burst_of(s: &mut Script, command: &Cmd, user_data: u64, timeout_ms: u64) -> Token {
    let now = s.engine.burst_began().expect("a burst is open");
    let request = command.request().expect("a good command");
    s.engine.submit_stream(&request, user_data, timeout_ms, now).expect("room")
}

/// When each result comes, milliseconds after `from`.
fn ends(s: &mut Script, from: Timestamp, ms: u64) -> Vec<(u64, u64)> {
    let mut ends = Vec::new();
    for _ in 0..ms {
        s.tick(1);
        let at = s.now.since(from).as_millis() as u64;
        ends.extend(s.completions().into_iter().map(|(user_data, _)| (user_data, at)));
    }
    ends
}

#[test]
fn no_deadline_of_a_burst_passes_early_however_long_it_was_submitted_for() {
    let keys = [key_of(A, 1), key_of(A, 2)];
    for pause_ms in [0, 1, 3, 4, 5, 50, 5_000] {
        let mut s = Script::start();
        s.engine.begin_burst(s.now);
        let began = s.now;
        burst_of(&mut s, &set(&keys[0], "first"), 1, 100);
        // The host is busy elsewhere, and comes back with another command.
        s.now = s.now.after_ms(pause_ms);
        let paused = s.now;
        burst_of(&mut s, &set(&keys[1], "second"), 2, 100);
        s.engine.end_burst(s.now);
        s.engine.flush();
        let ends = ends(&mut s, began, pause_ms + 300);
        let of = |user_data| ends.iter().find(|end| end.0 == user_data).map(|end| end.1);
        let second = of(2).expect("it runs out of time") - paused.since(began).as_millis() as u64;
        assert!((100..=109).contains(&second), "{pause_ms}: {second}");
        let first = of(1).expect("it runs out of time");
        assert!((100..=109 + pause_ms).contains(&first), "{pause_ms}: {first}");
    }
}

#[test]
fn a_look_at_deadlines_ends_the_burst_first() {
    let mut s = Script::start();
    s.engine.begin_burst(s.now);
    s.now = s.now.after_ms(1_000);
    burst_of(&mut s, &set(&key_of(A, 1), "v"), 1, 100);
    let submitted = s.now;
    s.engine.handle_timeout(s.now);
    assert_eq!(s.completions(), [], "given up at once for the age of its burst");
    assert_eq!(s.engine.burst_began(), None);
    let end = ends(&mut s, submitted, 200);
    assert!(matches!(end[..], [(1, 100..=109)]), "{end:?}");
}

#[test]
fn commands_before_the_burst_keep_their_deadlines_and_split_ones_move_theirs() {
    let mut s = Script::start();
    s.stream(&set(&key_of(A, 1), "before"), 1, 100);
    s.engine.begin_burst(s.now);
    let began = s.now;
    let both = cmd("MSET").arg(key_of(A, 2)).arg(1).arg(key_of(A, 3)).arg(2);
    burst_of(&mut s, &both, 2, 100);
    s.now = s.now.after_ms(50);
    s.engine.end_burst(s.now);
    let ends = ends(&mut s, began, 300);
    let of = |user_data| ends.iter().find(|end| end.0 == user_data).map_or(0, |end| end.1);
    assert!((100..=105).contains(&of(1)) && (150..=159).contains(&of(2)), "{ends:?}");
}
