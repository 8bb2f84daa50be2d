//! Sentinels: a server or a proxy that loses or adds a reply is found out, before anybody is harmed where `high_integrity` asks for it.

use super::*;

const ECHO: &[u8] = b"*2\r\n$4\r\nECHO\r\n";

/// Splits what was written into the commands of callers and the replies that its sentinels are owed, by place.
fn split(written: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut rest, mut plain, mut owed) = (written, Vec::new(), Vec::new());
    while let Some(at) = rest.windows(ECHO.len()).position(|window| window == ECHO) {
        plain.extend_from_slice(&rest[..at]);
        let bulk = &rest[at + ECHO.len()..];
        owed.push(bulk[..23].to_vec());
        rest = &bulk[23..];
    }
    plain.extend_from_slice(rest);
    (plain, owed)
}

fn checking(replies: u64, ms: u64) -> Config {
    Config { sentinel_replies: replies, sentinel_ms: ms, ..config() }
}

fn strict() -> Config {
    Config { high_integrity: true, ..config() }
}

#[test]
fn the_flush_after_so_many_replies_carries_a_sentinel() {
    let mut s = Script::start_with(checking(10, 0));
    let key = key_of(A, 1);
    let mut seen = Vec::new();
    for n in 0..40 {
        let batch = s.send(&set(&key, "v"));
        let (plain, owed) = split(&s.written(A));
        assert_eq!(plain, wire(&["SET", &key, "v"]));
        s.reply(A, "+OK\r\n");
        owed.iter().for_each(|reply| {
            seen.push((n, reply.clone()));
            s.reply(A, reply);
        });
        assert_eq!(s.result(batch, 0), "+OK\\r\\n");
        s.engine.abandon(batch);
    }
    assert!((3..=4).contains(&seen.len()), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].1 != pair[1].1), "each text is used once");
    assert_eq!(s.engine.stats().total.sentinels, seen.len() as u64);
    s.assert_empty();
}

#[test]
fn so_does_the_flush_after_so_much_time_with_traffic() {
    let mut s = Script::start_with(checking(0, 2_000));
    let key = key_of(A, 1);
    let mut sentinels = 0;
    for _ in 0..60 {
        s.send(&set(&key, "v"));
        let (_, owed) = split(&s.written(A));
        s.tick(100);
        s.reply(A, "+OK\r\n");
        owed.iter().for_each(|reply| s.reply(A, reply));
        sentinels += owed.len();
    }
    assert!((2..=3).contains(&sentinels), "{sentinels} in six seconds");
}

#[test]
fn a_reply_too_few_is_found_out_by_the_next_sentinel() {
    let mut s = Script::start_with(checking(1, 0));
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &get(&key));
    s.submit(batch, &get(&key));
    s.flush(batch);
    assert_eq!(split(&s.written(A)).1.len(), 1, "the view of the topology was a reply");
    // The server forgets the first reply.
    s.reply(A, "$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n");
    assert!(!s.is_open(A));
    assert_eq!(s.engine.stats().total.desyncs, 1);
}

#[test]
fn the_reply_to_a_command_that_was_given_up_is_followed_by_a_check_at_once() {
    let mut s = Script::start_with(checking(65_536, 5_000));
    let key = key_of(A, 1);
    let late = s.send(&get(&key));
    s.written(A);
    s.tick(5_001);
    assert_eq!(s.result(late, 0), "Timeout Unknown");
    assert_eq!(s.written(A), b"");
    s.reply(A, "$4\r\nlate\r\n");
    let (plain, owed) = split(&s.written(A));
    assert_eq!((plain.len(), owed.len()), (0, 1));
    s.reply(A, &owed[0]);
    assert!(s.is_open(A));
    s.engine.abandon(late);
    s.assert_empty();
}

#[test]
fn a_server_that_refuses_echo_is_told_of_once_and_one_that_is_busy_is_asked_again() {
    let mut s = Script::start_with(checking(1, 0));
    let refusals = |s: &mut Script| {
        let mut count = 0;
        while let Some(event) = s.engine.poll_event() {
            count += usize::from(matches!(event, crate::engine::Event::SentinelRefused { .. }));
        }
        count
    };
    for (refusal, told, again) in [
        ("-BUSY Redis is busy running a script.\r\n", 0, 1),
        ("-NOPERM this user has no permissions to run the 'echo' command\r\n", 1, 0),
    ] {
        s.send(&get(&key_of(A, 1)));
        assert_eq!(split(&s.written(A)).1.len(), 1);
        s.reply(A, format!("_\r\n{refusal}"));
        assert!(s.is_open(A));
        assert_eq!(refusals(&mut s), told);
        s.send(&get(&key_of(A, 1)));
        let (_, owed) = split(&s.written(A));
        assert_eq!(owed.len(), again, "{refusal}");
        s.reply(A, "_\r\n");
        owed.iter().for_each(|reply| s.reply(A, reply));
    }
    s.assert_empty();
}

#[test]
fn a_redirected_sentinel_is_somebody_else_s_reply() {
    let mut s = Script::start_with(checking(1, 0));
    s.send(&get(&key_of(A, 1)));
    s.written(A);
    s.reply(A, format!("_\r\n{}", moved(&key_of(A, 1), B)));
    assert!(!s.is_open(A));
}

#[test]
fn with_high_integrity_nobody_hears_before_the_flush_has_been_checked() {
    let mut s = Script::start_with(strict());
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "v"));
    s.submit(batch, &get(&key));
    s.flush(batch);
    s.stream(&get(&key), 7, 1_000);
    s.engine.flush();
    let (plain, owed) = split(&s.written(A));
    assert_eq!(plain, wires(&[&["SET", &key, "v"], &["GET", &key], &["GET", &key]]));
    assert_eq!(owed.len(), 2, "one for each flush");
    s.reply(A, "+OK\r\n-ERR broken\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["pending", "pending"]);
    assert!(!s.engine.is_complete(batch));
    s.reply(A, &owed[0]);
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n", "ERR broken Executed"]);
    s.reply(A, "$1\r\nv\r\n");
    assert_eq!(s.completions(), []);
    assert_eq!(s.engine.stats().in_flight, 2, "one held, and its sentinel");
    s.reply(A, &owed[1]);
    assert_eq!(s.completions(), [(7, "$1\\r\\nv\\r\\n".to_owned())]);
    s.assert_empty();
}

#[test]
fn with_high_integrity_a_shifted_reply_reaches_nobody() {
    let mut s = Script::start_with(strict());
    let (first, second) = (key_of(A, 1), key_of(A, 2));
    let batch = s.batch();
    s.submit(batch, &set(&first, "1"));
    s.submit(batch, &set(&second, "2"));
    s.flush(batch);
    s.written(A);
    // A reply too many in front: those of the batch are all somebody else's.
    s.reply(A, ":17\r\n+OK\r\n+OK\r\n");
    assert!(!s.is_open(A));
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["Desync Unknown", "Desync Unknown"]);
    s.assert_empty();
}

#[test]
fn with_high_integrity_results_that_were_not_checked_are_in_doubt() {
    let mut s = Script::start_with(strict());
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "+OK\r\n");
    s.reset(A);
    assert_eq!(s.result(batch, 0), "ConnectionLost Unknown");
    let late = s.send(&set(&key_of(B, 1), "v"));
    s.accept(B);
    let (_, owed) = split(&s.written(B));
    s.reply(B, "+OK\r\n");
    s.tick(5_001);
    assert_eq!(s.result(late, 0), "Timeout Unknown");
    s.reply(B, &owed[0]);
    assert!(s.engine.links.iter().all(|link| link.guard.held_count() == 0));
    s.engine.abandon(batch);
    s.engine.abandon(late);
    assert_eq!(s.engine.batches.len(), 0);
}

#[test]
fn with_high_integrity_redirected_commands_are_checked_where_they_run() {
    let mut s = Script::start_with(strict());
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "v"));
    let (_, owed) = split(&s.written(A));
    s.reply(A, moved(&key, B));
    s.reply(A, &owed[0]);
    s.accept(B);
    let (plain, owed) = split(&s.written(B));
    assert_eq!((plain, owed.len()), (wire(&["SET", &key, "v"]), 1));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "pending");
    s.reply(B, &owed[0]);
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
}

#[test]
fn a_redirect_for_another_slot_answers_another_command() {
    let (key, other) = (key_of(A, 1), key_of(A, 2));
    let moved = format!("-MOVED {} 127.0.0.1:{B}\r\n", slot_of(other.as_bytes()));
    let mut s = Script::start_with(strict());
    let batch = s.send(&set(&key, "v"));
    s.written(A);
    s.reply(A, &moved);
    assert!(!s.is_open(A));
    assert_eq!(s.result(batch, 0), "Desync Unknown", "it may have run");
    // Without the setting it is followed, since a caller may have marked another key than the server looks at; but a check is made at once.
    let mut s = Script::start_with(checking(1_000, 0));
    s.send(&set(&key, "v"));
    s.written(A);
    s.reply(A, &moved);
    assert!(s.is_open(A));
    assert!(s.written(A).windows(4).any(|word| word == b"ECHO"));
}
