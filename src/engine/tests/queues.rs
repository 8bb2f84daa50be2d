//! Queues at their edges: writes that end between commands, bounds that hold for parked commands too, results nobody reads.

use super::*;
use crate::command::Route;

#[test]
fn a_write_that_ends_between_two_commands_lets_the_second_be_taken_back() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.stream(&get(&key), 1, 5_000);
    let second = s.stream(&get(&key), 2, 5_000);
    s.engine.flush();
    let one = wire(&["GET", &key]);
    assert_eq!(s.written_at_most(A, one.len()), one);
    assert!(s.engine.cancel(second));
    s.reply(A, "$1\r\nx\r\n");
    s.stream(&get(&key), 3, 5_000);
    s.engine.flush();
    assert_eq!(s.written(A), one);
    s.reply(A, "$1\r\ny\r\n");
    let done: Vec<u64> = s.completions().into_iter().map(|(user_data, _)| user_data).collect();
    assert_eq!(done, [2, 1, 3]);
    s.assert_empty();
}

#[test]
fn a_node_that_names_itself_is_dialled_again_although_a_command_is_half_written() {
    let mut s = Script::start();
    let (key, other) = (key_of(A, 1), key_of(A, 2));
    let first = s.send(&set(&key, "1"));
    s.written(A);
    let rest = s.batch();
    s.submit(rest, &set(&other, "2"));
    s.submit(rest, &set(&key, "3"));
    s.flush(rest);
    s.written_at_most(A, 10);
    s.reply(A, moved(&key, A));
    assert!(!s.is_open(A));
    s.accept(A);
    let again = wires(&[&["SET", &other, "2"], &["SET", &key, "1"]]);
    assert_eq!(s.written(A), again, "the half-written one from its first byte; of the slot one goes ahead");
    s.reply(A, "+OK\r\n+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "3"]));
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(rest, 0), s.result(rest, 1)], ["+OK\\r\\n"; 3]);
}

#[test]
fn a_half_written_command_does_not_overtake_a_rejected_one_when_its_connection_is_given_up() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let first = s.send(&set(&key, "1"));
    s.written(A);
    let second = s.send(&set(&key, "2"));
    s.written_at_most(A, 10);
    s.reply(A, moved(&key, A));
    s.tick(5);
    s.accept(A);
    let again = s.idle(20, &THIRDS).written;
    assert_eq!(again, [(A, wire(&["SET", &key, "1"]))]);
    s.reply(A, "+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]));
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(second, 0)], ["+OK\\r\\n"; 2]);
}

#[test]
fn a_read_that_timed_out_is_not_sent_again() {
    let mut config = config();
    config.node_silent_ms = 60_000;
    let mut s = Script::start_with(config);
    s.stream(&get(&key_of(A, 1)), 1, 1_000);
    s.engine.flush();
    s.written(A);
    s.tick(1_500);
    assert_eq!(s.completions(), [(1, "Timeout Unknown".to_owned())]);
    s.reset(A);
    while !s.dials.contains(&A) {
        s.tick(1);
    }
    s.accept(A);
    assert_eq!(s.idle(1_000, &THIRDS).written, []);
    s.assert_empty();
    assert_eq!(s.engine.stream.len(), 0);
}

#[test]
fn a_node_that_left_while_it_owed_a_reply_nobody_waits_for_is_not_dialled_any_more() {
    let mut config = config();
    config.node_silent_ms = 60_000;
    let mut s = Script::start_with(config);
    s.stream(&cmd("PEEK").route(Route::Node(Endpoint::new("h", B))), 1, 1_000);
    s.engine.flush();
    s.accept(B);
    s.written(B);
    s.tick(1_500);
    assert_eq!(s.completions().len(), 1);
    s.reset(B);
    let view = [(0, 10922, A), (10923, 16383, C)];
    s.idle(5_000, &view);
    let minute = s.idle(60_000, &view);
    assert_eq!((minute.dialled.len(), minute.asked.len()), (0, 0));
    s.assert_empty();
}

#[test]
fn the_beginning_of_a_handshake_reply_says_nothing_about_the_command_behind_it() {
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(B, 1), "v"));
    let conn = s.dialled.remove(&B).expect("dialled");
    s.conns.insert(B, conn);
    s.engine.handle_connected(conn, s.now);
    s.written(B);
    s.reply(B, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n$40\r\n000");
    assert_eq!(s.written(B), b"");
    s.reset(B);
    assert_eq!(s.result(batch, 0), "pending", "it was not sent");
}

#[test]
fn the_beginning_of_the_reply_to_asking_says_nothing_about_the_command_behind_it() {
    for (begun, expected) in [
        ("+O", "ConnectionLost Unknown"),
        ("+OK\r\n", "ConnectionLost Unknown"),
        ("+OK\r\n+", "ConnectionLost ExecutedReplyLost"),
    ] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let batch = s.send(&set(&key, "v"));
        s.written(A);
        s.reply(A, ask(&key, B));
        s.accept(B);
        s.written(B);
        s.reply(B, begun);
        s.reset(B);
        assert_eq!(s.result(batch, 0), expected, "{begun:?}");
    }
}

#[test]
fn results_that_are_taken_one_behind_never_fill_the_completion_queue() {
    let mut config = config();
    config.limits.untaken_reply_bytes_max = 200_000;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let reply = format!("$1000\r\n{}\r\n", "v".repeat(1_000));
    for n in 0..1_000 {
        s.stream(&get(&key), n, 5_000);
        s.engine.flush();
        s.written(A);
        s.reply(A, &reply);
        if n > 0 {
            assert_eq!(s.engine.next_completion().expect("one waits").user_data, n - 1);
        }
    }
}

#[test]
fn results_that_nobody_takes_are_bounded_failures_too() {
    let mut config = config();
    config.limits.untaken_results_max = 3;
    let mut s = Script::start_with(config);
    let far = cmd("MGET").key(key_of(A, 1)).key(key_of(B, 1));
    let submit = |s: &mut Script, n| {
        let request = far.request().expect("a good command");
        s.engine.submit_stream(&request.route(&Route::Node(Endpoint::new("h", 99))), n, 0, s.now)
    };
    let mut accepted = 0;
    for n in 0..20 {
        if submit(&mut s, n).is_ok() {
            accepted += 1;
        }
        s.tick(1_000);
    }
    assert_eq!((accepted, s.completions().len()), (3, 3));
    assert_eq!(s.engine.stats().windows_full, 17);
    assert!(submit(&mut s, 20).is_ok(), "they have been taken");
}

#[test]
fn a_parked_command_may_not_be_larger_than_any_other() {
    let mut config = config();
    config.limits.command_bytes_max = 1_000;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    s.send(&get(&key));
    s.written(A);
    s.reply(A, moved(&key, B));
    let batch = s.send(&set(&key, &"v".repeat(2_000)));
    assert_eq!(s.result(batch, 0), "TooLarge NotExecuted");
    assert_eq!(s.engine.stats().parked, 0);
}

#[test]
fn commands_for_any_primary_prefer_one_that_is_connected() {
    let mut s = Script::start();
    let batch = s.batch();
    for _ in 0..20 {
        s.submit(batch, &cmd("PING").route(Route::AnyPrimary));
    }
    s.flush(batch);
    assert_eq!(s.written(A), wire(&["PING"]).repeat(20));
    assert_eq!(s.dials, []);
}

#[test]
fn an_error_that_a_script_passed_on_is_its_result_and_it_is_not_run_again() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "v"));
    s.written(A);
    let text = "CLUSTERDOWN in the words of a script script: 5e2f, on @user_script:1.";
    s.reply(A, format!("-{text}\r\n"));
    assert_eq!(s.result(batch, 0), format!("{text} Executed"));
    assert_eq!(s.idle(1_000, &THIRDS).written, []);
    s.assert_empty();
}

#[test]
fn what_a_script_may_have_said_itself_is_its_result_and_proves_nothing() {
    for (name, text, outcome) in [
        ("EVAL", "TRYAGAIN in a while", "Unknown"),
        ("EVALSHA", "READONLY You can't write against a read only replica.", "Unknown"),
        ("fcall", "OOM command not allowed when used memory > 'maxmemory'.", "NotExecuted"),
        ("FCALL", "NOREPLICAS Not enough good replicas to write.", "NotExecuted"),
        (
            "EVAL",
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
            "NotExecuted",
        ),
        (
            "EVAL",
            "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
            "NotExecuted",
        ),
        ("EVAL", "CROSSSLOT Keys in request don't hash to the same slot", "NotExecuted"),
        ("FCALL", "ERR unknown command `FCALL`, with args beginning with: `f`", "NotExecuted"),
        ("EVAL", "ERR wrong number of arguments for 'eval' command", "NotExecuted"),
        (
            "EVAL",
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            "NotExecuted",
        ),
        ("EVAL", "NOPERM No permissions to access a key", "NotExecuted"),
        (
            "EVAL",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "NotExecuted",
        ),
        ("EVAL_RO", "CLUSTERDOWN of my own", "Unknown"),
        ("EVAL", "LOADING", "Unknown"),
        ("EVAL", "BUSY doing nothing", "Unknown"),
        ("EVAL", "NOAUTH nobody", "Unknown"),
        ("EVAL", "NOPERM ACL failure in script: no permissions", "Executed"),
        ("EVAL", "ERR unknown command", "Unknown"),
        ("EVAL", "NOPERM tenant is read-only", "Unknown"),
        ("EVAL", "MISCONF no", "Unknown"),
        ("EVAL", "OOM command not allowed when used memory > 'maxmemory'.", "Unknown"),
        ("FCALL_RO", "NOREPLICAS not enough", "Unknown"),
        ("EVAL", "WRONGTYPE Operation against a key holding the wrong kind of value", "Executed"),
        ("EVALSHA", "NOSCRIPT No matching script. Please use EVAL.", "NotExecuted"),
        ("EVAL", "BUSY Valkey is busy running a script. You can only call SCRIPT KILL.", "NotExecuted"),
        ("EVAL", "NOPERM User default has no permissions to run the 'eval' command", "NotExecuted"),
    ] {
        let mut s = Script::start();
        let batch = s.send(&cmd(name).arg("return").arg(1).key(key_of(A, 1)));
        s.written(A);
        s.reply(A, format!("-{text}\r\n"));
        assert_eq!(s.result(batch, 0), format!("{text} {outcome}"));
        assert_eq!(s.idle(1_000, &THIRDS).written, [], "{name}: {text}");
        assert!(s.is_open(A), "{name}: {text}");
        s.assert_empty();
    }
    // Of a command that is no script all of it is the server's.
    let mut s = Script::start();
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "-BUSY doing nothing\r\n");
    assert_eq!(s.result(batch, 0), "BUSY doing nothing NotExecuted");
}

#[test]
fn a_script_that_a_server_refuses_in_its_own_words_is_sent_again() {
    for text in [
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "LOADING Redis is loading the dataset in memory",
        "LOADING Valkey is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    ] {
        let mut s = Script::start();
        let batch = s.send(&cmd("EVAL").arg("return 7").arg(1).key(key_of(A, 1)));
        let sent = s.written(A);
        s.reply(A, format!("-{text}\r\n"));
        assert_eq!(s.result(batch, 0), "pending");
        let again = s.idle(200, &THIRDS).written;
        assert_eq!(again, [(A, sent)], "{text}");
        s.reply(A, ":7\r\n");
        assert_eq!(s.result(batch, 0), ":7\\r\\n");
        s.assert_empty();
    }
}

#[test]
fn when_credentials_are_withdrawn_nothing_is_sent_again_on_its_own() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &get(&key));
    s.flush(batch);
    s.written(A);
    s.reply(A, "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n");
    assert!(!s.is_open(A));
    assert_eq!(s.result(batch, 0), "NOAUTH Authentication required. NotExecuted");
    assert_eq!(s.result(batch, 1), "Auth Unknown");
    s.assert_empty();
}
