//! Bursts whose first command was refused, and replies that are cut into pieces anywhere.

use super::*;
use crate::engine::rng::Rng;

#[test]
fn a_command_behind_a_refused_one_is_not_given_up_early() {
    let mut config = config();
    config.limits.untaken_reply_bytes_max = 0;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    s.stream(&get(&key), 1, 5_000);
    s.engine.flush();
    s.written(A);
    s.reply(A, "$1\r\nx\r\n");
    // As `Client::submit` does it.
    s.engine.begin_burst(s.now);
    let command = get(&key);
    let request = command.request().expect("a good command");
    let began = s.now;
    s.engine.submit_stream(&request, 2, 100, began).expect_err("results wait to be taken");
    s.completions();
    s.now = s.now.after_ms(10_000);
    s.engine.submit_stream(&request, 3, 100, began).expect("room");
    // As `Client::end_burst` does it.
    let now = if s.engine.burst_commands() > 1 { s.now } else { began };
    s.engine.end_burst(now);
    s.engine.flush();
    s.tick(0);
    assert_eq!(s.completions(), [], "given up at once for the age of its burst");
}

#[test]
fn a_deadline_that_a_burst_has_moved_is_not_more_than_two_steps_late() {
    let mut s = Script::start();
    s.now = Timestamp::from_nanos(s.now.as_nanos() + 1);
    s.engine.begin_burst(s.now);
    let began = s.now;
    s.now = Timestamp::from_nanos(s.now.after_ms(4).as_nanos() + 1);
    let command = set(&key_of(A, 1), "v");
    let request = command.request().expect("a good command");
    s.engine.submit_stream(&request, 1, 100, began).expect("room");
    let submitted = s.now;
    s.engine.end_burst(s.now);
    s.engine.flush();
    s.written(A);
    while !s.engine.has_completions() {
        s.now = Timestamp::from_nanos(s.now.as_nanos() + 10_000);
        s.engine.handle_timeout(s.now);
    }
    let late = s.now.since(submitted).as_micros() as u64 - 100_000;
    assert!(late <= 8_000, "{late} us late");
}

/// Everything that can stand between plain replies.
fn replies(moved_key: &str) -> Vec<String> {
    let large = "L".repeat(16 << 10);
    vec![
        "+OK\r\n".into(),
        ">2\r\n+invalidate\r\n+x\r\n$3\r\nabc\r\n".into(),
        "|1\r\n+a\r\n:1\r\n:7\r\n".into(),
        "-ERR x\r\n".into(),
        "*2\r\n:1\r\n$1\r\nz\r\n".into(),
        "!5\r\nERR y\r\n".into(),
        moved(moved_key, B),
        "_\r\n".into(),
        format!("${}\r\n{large}\r\n", large.len()),
        "|1\r\n+a\r\n:1\r\n-ERR z\r\n".into(),
        "+PONG\r\n".into(),
        "#t\r\n".into(),
        "$-1\r\n".into(),
        "*0\r\n".into(),
    ]
}

fn cut(cuts: &[usize], lose: bool) -> (Vec<String>, Vec<(u64, String)>) {
    let mut s = Script::start();
    let batch = s.batch();
    let keys: Vec<String> = (0..16).map(|n| key_of(A, n)).collect();
    let list = replies(&keys[6]);
    for (n, key) in keys.iter().take(list.len()).enumerate() {
        // Owners change within what is received.
        if n % 5 < 3 {
            s.submit(batch, &set(key, "v"));
        } else {
            s.stream(&set(key, "v"), n as u64, 5_000);
        }
    }
    let other = s.send(&set(&key_of(B, 1), "v"));
    s.accept(B);
    s.flush(batch);
    s.written(A);
    s.written(B);
    let bytes = list.concat().into_bytes();
    let mut at = 0;
    for (n, &end) in cuts.iter().enumerate() {
        s.reply(A, &bytes[at..end]);
        at = end;
        // Another connection reads in between.
        if n == 0 {
            s.reply(B, "+O");
        }
    }
    s.reply(B, if cuts.is_empty() { "+OK\r\n" } else { "K\r\n" });
    assert_eq!(s.result(other, 0), "+OK\\r\\n");
    if lose {
        s.reset(A);
    } else {
        s.reply(A, &bytes[at..]);
        assert!(s.is_open(A));
    }
    let rows = s.engine.batch(batch).expect("open").slots.len() as u32;
    let held: u64 = s.engine.links.iter().map(|link| link.queue.held_bytes()).sum();
    assert_eq!(s.engine.queued_bytes, held);
    ((0..rows).map(|n| s.result(batch, n)).collect(), s.completions())
}

#[test]
fn replies_cut_anywhere_give_the_same_results() {
    let whole = cut(&[], false);
    let keys: Vec<String> = (0..16).map(|n| key_of(A, n)).collect();
    let list = replies(&keys[6]);
    let total = list.concat().len();
    let mut ends: Vec<usize> = (0..=140).collect();
    ends.extend(total - 70..=total);
    for &end in &ends {
        assert_eq!(cut(&[end], false), whole, "{end}");
    }
    let mut rng = Rng::new(7);
    for _ in 0..300 {
        let mut cuts: Vec<usize> =
            (0..1 + rng.below(6)).map(|_| ends[rng.below(ends.len() as u64) as usize]).collect();
        cuts.sort_unstable();
        assert_eq!(cut(&cuts, false), whole, "{cuts:?}");
    }
    assert_eq!(cut(&ends, false), whole);
}

#[test]
fn what_is_lost_at_any_cut_has_its_outcome() {
    let keys: Vec<String> = (0..16).map(|n| key_of(A, n)).collect();
    let list = replies(&keys[6]);
    let mut start = 0;
    for (n, text) in list.iter().enumerate() {
        for end in start..=start + text.len().min(60) {
            let (rows, done) = cut(&[start, end], true);
            let begun = end - start;
            let all: Vec<String> = rows.into_iter().chain(done.into_iter().map(|done| done.1)).collect();
            let begins = all.iter().filter(|text| text.contains("ExecutedReplyLost")).count();
            let whole = begun == text.len();
            let first = text.as_bytes()[0];
            // A push that is over leaves the beginning of the reply behind it.
            let expected = if first == b'>' {
                usize::from(begun > 21 && !whole)
            } else {
                usize::from(begun > 0 && !whole && !matches!(first, b'-' | b'!' | b'|'))
            };
            assert_eq!(begins, expected, "{n} {begun} {all:?}");
        }
        start += text.len();
    }
}

/// What a server may say in a bad hour.
const TOKENS: [&str; 26] = [
    "+OK\r\n",
    "+OK\r\n",
    "+OK\r\n",
    "+OK\r\n",
    "$1\r\nx\r\n",
    ":1\r\n",
    "_\r\n",
    "*2\r\n",
    "*0\r\n",
    "%1\r\n",
    "|1\r\n+a\r\n+b\r\n",
    ">2\r\n+a\r\n+b\r\n",
    "-ERR x\r\n",
    "-MOVED 1 h:2\r\n",
    "-MOVED 1 h:1\r\n",
    "-ASK 5 h:3\r\n",
    "-TRYAGAIN x\r\n",
    "-LOADING x\r\n",
    "!3\r\nERR\r\n",
    "-NOAUTH x\r\n",
    "$5\r\nab",
    "\r\n",
    "+",
    "$99999999999\r\n",
    "(1\r\n",
    "-CLUSTERDOWN x\r\n",
];

#[test]
fn no_bytes_of_a_server_panic() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut s = Script::start();
        for step in 0..40 {
            match rng.below(8) {
                0 | 1 => {
                    let port = 1 + rng.below(3) as u16;
                    let command = set(&key_of(port, rng.below(4) as u32), "v");
                    let request = command.request().expect("a good command");
                    let _refused = s.engine.submit_stream(&request, step, 50, s.now);
                    s.act();
                }
                2 => {
                    let batch = s.batch();
                    for _ in 0..rng.below(6) {
                        s.submit(batch, &get(&key_of(1 + rng.below(3) as u16, rng.below(4) as u32)));
                    }
                    s.flush(batch);
                    if rng.below(2) == 0 {
                        s.engine.abandon(batch);
                    }
                }
                3 => s.engine.flush(),
                4 => {
                    for port in s.dials.clone() {
                        s.accept_quietly(port);
                    }
                }
                5 => s.tick(rng.below(60)),
                _ => {
                    for port in [A, B, C] {
                        s.written_at_most(port, if rng.below(3) == 0 { 7 } else { usize::MAX });
                        let bytes: String = (0..rng.below(6))
                            .map(|_| TOKENS[rng.below(TOKENS.len() as u64) as usize])
                            .collect();
                        if s.is_open(port) {
                            s.reply(port, bytes);
                        }
                    }
                }
            }
            check_books(&s, seed);
        }
    }
}

/// What is counted is what is held.
fn check_books(s: &Script, seed: u64) {
    let held: u64 = s.engine.links.iter().map(|link| link.queue.held_bytes()).sum();
    assert_eq!(s.engine.queued_bytes, held, "seed {seed}");
    for link in &s.engine.links {
        let sum: u64 = link.in_flight.iter().map(|entry| u64::from(entry.len)).sum();
        assert_eq!(sum, link.queue.held_bytes(), "seed {seed}");
    }
    assert!(s.engine.recv_spare.len() <= 8);
}

#[test]
fn a_connection_that_has_told_the_topology_holds_no_buffer() {
    let s = Script::start();
    assert!(s.engine.links.iter().all(|link| link.recv.is_unmade()), "an idle connection holds a buffer");
}
