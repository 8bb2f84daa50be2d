//! MOVED, ASK and the rejections that only need patience: the command keeps its place, its order and its slot.

use super::*;

#[test]
fn s1_a_moved_command_is_sent_on_and_the_next_goes_direct() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    let batch = s.send(&get(&key));
    assert_eq!(s.written(A), wire(&["GET", &key]));
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["GET", &key]), "the same bytes, on the same turn");
    s.reply(B, "$1\r\nv\r\n");
    assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
    let next = s.send(&get(&key));
    assert_eq!((s.written(A).len(), s.written(B)), (0, wire(&["GET", &key])));
    s.reply(B, "$1\r\nw\r\n");
    assert_eq!(s.result(next, 0), "$1\\r\\nw\\r\\n");
    s.assert_empty();
}

#[test]
fn a_later_command_of_the_slot_does_not_overtake_a_redirected_one() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    let first = s.batch();
    s.submit(first, &set(&key, "c"));
    s.submit(first, &set(&key, "d"));
    s.flush(first);
    s.written(A);
    // C's redirect arrives alone; E is submitted before D's.
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    let second = s.send(&set(&key, "e"));
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "c"]), "the first goes ahead alone");
    s.reply(B, "+OK\r\n");
    assert_eq!(
        s.written(B),
        wires(&[&["SET", &key, "d"], &["SET", &key, "e"]]),
        "then the rest, in the order of submission"
    );
    s.reply(B, "+OK\r\n+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(first, 1), s.result(second, 0)], ["+OK\\r\\n"; 3]);
    s.assert_empty();
}

#[test]
fn nodes_that_name_each_other_do_not_reorder_what_they_hand_over() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    let batch = s.batch();
    s.submit(batch, &set(&key, "c"));
    s.submit(batch, &set(&key, "d"));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n-MOVED {slot} h:{B}\r\n"));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "c"]));
    // B does not know yet that it owns the slot. D has not been sent, so it cannot run before C.
    s.reply(B, format!("-MOVED {slot} h:{A}\r\n"));
    assert_eq!(s.written(A), wire(&["SET", &key, "c"]));
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    s.tick(2);
    assert_eq!(s.written(B), wire(&["SET", &key, "c"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "d"]));
    s.reply(B, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn s5_redirects_without_end_end_with_the_last_one_in_the_error() {
    let mut config = config();
    config.refresh_min_interval_ms = 60_000;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    let batch = s.send(&get(&key));
    s.written(A);
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    s.accept(B);
    let mut at = B;
    let mut hops = 0;
    while s.result(batch, 0) == "pending" {
        s.tick(20);
        if s.written(at) == wire(&["GET", &key]) {
            hops += 1;
            let other = if at == A { B } else { A };
            s.reply(at, format!("-MOVED {slot} h:{other}\r\n"));
            at = other;
        }
        assert!(hops < 100, "hops are bounded");
    }
    assert!(s.result(batch, 0).starts_with("Redirects NotExecuted"), "{}", s.result(batch, 0));
    s.assert_empty();
}

#[test]
fn s6_s25_hosts_of_redirects_are_read_as_they_are_written() {
    for (text, expected) in
        [(format!(":{B}"), Endpoint::new("h", B)), ("::1:6380".to_owned(), Endpoint::new("::1", 6380))]
    {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let batch = s.send(&get(&key));
        s.written(A);
        s.reply(A, format!("-MOVED {} {text}\r\n", slot_of(key.as_bytes())));
        assert_eq!(s.engine.slot_owner(slot_of(key.as_bytes())), Some(&expected), "{text}");
        assert_eq!(s.result(batch, 0), "pending");
    }
}

#[test]
fn asking_stands_directly_before_its_command_and_the_map_stays() {
    let mut s = Script::start();
    let (key, other) = (key_of(A, 1), key_of(B, 2));
    let slot = slot_of(key.as_bytes());
    s.send(&get(&other));
    s.accept(B);
    s.written(B);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("-ASK {slot} h:{B}\r\n-ASK {slot} h:{B}\r\n"));
    let asked = wires(&[&["ASKING"], &["SET", &key, "1"], &["ASKING"], &["SET", &key, "2"]]);
    assert_eq!(s.written(B), asked);
    s.reply(B, "$1\r\nv\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.send(&get(&key));
    assert_eq!(s.written(A), wire(&["GET", &key]), "an ASK does not move the slot");
}

#[test]
fn s13_s17_keys_of_a_migrating_slot_are_served_where_they_are_in_their_order() {
    let mut s = Script::start();
    let tag = key_of(A, 1);
    let (here, gone) = (format!("{tag}here"), format!("{tag}gone"));
    let slot = slot_of(tag.as_bytes());
    let batch = s.batch();
    for command in [set(&here, "1"), set(&gone, "2"), get(&here), get(&gone)] {
        s.submit(batch, &command);
    }
    s.flush(batch);
    s.written(A);
    let ask = format!("-ASK {slot} h:{B}\r\n");
    s.reply(A, format!("+OK\r\n{ask}$1\r\n1\r\n{ask}"));
    s.accept(B);
    assert_eq!(s.written(B), wires(&[&["ASKING"], &["SET", &gone, "2"], &["ASKING"], &["GET", &gone]]));
    s.reply(B, "+OK\r\n+OK\r\n+OK\r\n$1\r\n2\r\n");
    let results: Vec<String> = (0..4).map(|n| s.result(batch, n)).collect();
    assert_eq!(results, ["+OK\\r\\n", "+OK\\r\\n", "$1\\r\\n1\\r\\n", "$1\\r\\n2\\r\\n"]);
    s.assert_empty();
}

#[test]
fn s15_tryagain_is_tried_again_and_then_given_to_the_caller() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&set(&key, "v"));
    let mut tries = 0;
    while s.result(batch, 0) == "pending" {
        if !s.written(A).is_empty() {
            tries += 1;
            s.reply(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
        }
        s.tick(20);
        assert!(tries < 500);
    }
    assert!(tries > 5, "{tries} tries");
    assert_eq!(s.result(batch, 0), not_executed("TRYAGAIN Multiple keys request during rehashing of slot"));
    s.assert_empty();
}

#[test]
fn s63_s66_clusterdown_loading_and_readonly_wait_and_succeed() {
    for rejection in [
        "CLUSTERDOWN Hash slot not served",
        "LOADING Redis is loading",
        "READONLY You can't write against a read only replica.",
    ] {
        let mut s = Script::start();
        let key = key_of(A, 1);
        let batch = s.send(&set(&key, "v"));
        assert_eq!(s.written(A), wire(&["SET", &key, "v"]));
        s.reply(A, format!("-{rejection}\r\n"));
        assert_eq!(s.written(A), b"", "{rejection}: not at once");
        let mut again = Vec::new();
        for _ in 0..200 {
            s.tick(10);
            if s.dials.contains(&A) {
                // After READONLY the name is resolved afresh.
                s.accept(A);
            }
            let written = s.written(A);
            if written == wire(&["CLUSTER", "SLOTS"]) {
                s.reply(A, slots_reply(&[(0, 5460, A), (5461, 10922, B), (10923, 16383, C)]));
            } else if !written.is_empty() {
                again = written;
                break;
            }
        }
        assert_eq!(again, wire(&["SET", &key, "v"]), "{rejection}");
        s.reply(A, "+OK\r\n");
        assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    }
}

#[test]
fn s28_redirect_texts_that_are_not_top_level_or_not_exact_are_data() {
    for text in ["MOVED 99999 h:2", "MOVED 1 h", "moved 1 h:2", "MOVED 1 h:2 script: abc"] {
        let mut s = Script::start();
        let batch = s.send(&get(&key_of(A, 1)));
        s.written(A);
        s.reply(A, format!("-{text}\r\n"));
        assert!(s.result(batch, 0).starts_with(text), "{}", s.result(batch, 0));
    }
    let mut s = Script::start();
    let batch = s.send(&get(&key_of(A, 1)));
    s.written(A);
    s.reply(A, "*1\r\n-MOVED 1 h:2\r\n");
    assert_eq!(s.result(batch, 0), "*1\\r\\n-MOVED 1 h:2\\r\\n");
}

#[test]
fn redirects_can_be_switched_off_for_a_batch() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    let batch = s.engine.open_batch_with(crate::engine::BatchOptions {
        follow_redirects: false,
        ..crate::engine::BatchOptions::new(1000)
    });
    s.submit(batch, &get(&key));
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    assert_eq!(s.result(batch, 0), not_executed(&format!("MOVED {slot} h:{B}")));
}

#[test]
fn s71_errors_of_one_command_are_its_own() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.batch();
    for value in ["1", "2", "3"] {
        s.submit(batch, &set(&key, value));
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, "+OK\r\n-OOM command not allowed\r\n-WRONGTYPE Operation against a key\r\n");
    let results: Vec<String> = (0..3).map(|n| s.result(batch, n)).collect();
    assert_eq!(
        results,
        ["+OK\\r\\n", "OOM command not allowed NotExecuted", "WRONGTYPE Operation against a key Executed"]
    );
}

#[test]
fn s27_a_command_without_a_slot_follows_its_redirect_too() {
    let mut s = Script::start();
    let named = s.send(&cmd("FOO").route(crate::command::Route::Node(Endpoint::new("h", A))));
    s.written(A);
    s.reply(A, format!("-MOVED 1 h:{B}\r\n"));
    assert_eq!(
        s.result(named, 0),
        not_executed(&format!("MOVED 1 h:{B}")),
        "this node was asked for, and no other"
    );
    let batch = s.send(&cmd("FOO").route(crate::command::Route::AnyPrimary));
    s.written(A);
    s.reply(A, format!("-MOVED 1 h:{B}\r\n"));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["FOO"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    s.assert_empty();
}

#[test]
fn unsent_commands_of_a_redirected_slot_go_to_the_new_owner_directly() {
    let mut s = Script::start();
    let (key, other) = (key_of(A, 1), key_of(A, 2));
    let slot = slot_of(key.as_bytes());
    let first = s.send(&set(&key, "1"));
    s.written(A);
    // Encoded for A and not yet taken by its socket when the redirect comes.
    let second = s.batch();
    s.submit(second, &set(&key, "2"));
    s.submit(second, &set(&other, "3"));
    s.flush(second);
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n"));
    assert_eq!(s.written(A), wire(&["SET", &other, "3"]), "the other slot's command stays");
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "1"]));
    s.reply(B, "+OK\r\n");
    assert_eq!(s.written(B), wire(&["SET", &key, "2"]));
    s.reply(B, "+OK\r\n");
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(first, 0), s.result(second, 0), s.result(second, 1)], ["+OK\\r\\n"; 3]);
    s.assert_empty();
}

#[test]
fn a_redirect_that_is_not_followed_does_not_let_later_commands_overtake_those_in_flight() {
    let mut config = config();
    config.hops_max = 0;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.written(A);
    s.reply(A, moved(&key, B));
    assert_eq!(s.result(batch, 0), "Redirects NotExecuted");
    let next = s.send(&set(&key, "3"));
    assert!(!s.dials.contains(&B), "the second is in flight on A");
    // The slot came back between the two.
    s.reply(A, "+OK\r\n");
    s.accept(B);
    assert_eq!(s.written(B), wire(&["SET", &key, "3"]));
    s.reply(B, "+OK\r\n");
    assert_eq!([s.result(batch, 1), s.result(next, 0)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn a_redirect_that_is_not_followed_calls_back_what_the_fence_has_sent_behind_it() {
    let mut config = config();
    config.hops_max = 1;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let batch = s.batch();
    for value in ["1", "2", "3"] {
        s.submit(batch, &set(&key, value));
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, ask(&key, B).repeat(3));
    s.refuse(B);
    // The node that ASK named is not to be had: the owner is asked again.
    let first = wire(&["SET", &key, "1"]);
    let mut taken = Vec::new();
    for _ in 0..200 {
        taken.extend(s.written_at_most(A, first.len()));
        if !taken.is_empty() {
            break;
        }
        s.tick(10);
    }
    assert_eq!(taken, first);
    s.reply(A, moved(&key, C));
    assert_eq!(s.result(batch, 0), "Redirects NotExecuted");
    assert_eq!(s.written(A), b"", "the slot is known to be elsewhere");
}

#[test]
fn nodes_that_send_a_command_round_with_ask_are_asked_with_pauses_that_grow() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&get(&key));
    s.written(A);
    s.reply(A, ask(&key, B));
    s.accept(B);
    let asked = [wire(&["ASKING"]), wire(&["GET", &key])].concat();
    let mut waited = Vec::new();
    for _ in 0..8 {
        let mut ms = 0;
        while s.written(B) != asked {
            s.tick(1);
            ms += 1;
            assert!(ms < 200, "it is sent on");
        }
        waited.push(ms);
        // It names itself: it has taken another node's address, and does not know yet.
        s.reply(B, format!("+OK\r\n{}", ask(&key, B)));
    }
    assert_eq!(waited[..2], [0, 0], "the first hops are free");
    assert!(waited[7] >= 16 && waited.iter().sum::<u64>() > 30, "{waited:?}");
    while s.written(B) != asked {
        s.tick(1);
    }
    s.reply(B, "+OK\r\n$1\r\nv\r\n");
    assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
    s.assert_empty();
}

#[test]
fn commands_of_a_slot_that_migrates_are_sent_on_without_a_pause_however_many_there_are() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let mut batch = s.send(&get(&key));
    let mut to_source = s.written(A);
    for n in 0..50 {
        assert!(to_source.ends_with(&wire(&["GET", &key])), "{n}: {}", to_source.escape_ascii());
        s.reply(A, ask(&key, B));
        if n == 0 {
            s.accept(B);
        }
        // The fence never lifts: the next one is there before this one is answered.
        let next = s.send(&get(&key));
        assert!(s.written(B).ends_with(&wire(&["GET", &key])), "{n}: at once");
        s.reply(B, "+OK\r\n$1\r\nv\r\n");
        assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
        to_source = s.written(A);
        batch = next;
    }
    s.reply(A, "$1\r\nv\r\n");
    assert_eq!(s.result(batch, 0), "$1\\r\\nv\\r\\n");
    s.assert_empty();
}

#[test]
fn a_command_that_is_sent_in_a_circle_does_not_hold_up_the_others_of_its_slot() {
    let mut s = Script::start();
    let (gone, there) = (key_of(A, 1), key_of(A, 1).replace('}', "}2"));
    let batch = s.send(&get(&gone));
    s.written(A);
    s.reply(A, ask(&gone, B));
    s.accept(B);
    for _ in 0..6 {
        while !s.written(B).ends_with(&wire(&["GET", &gone])) {
            s.tick(1);
        }
        s.reply(B, format!("+OK\r\n{}", ask(&gone, B)));
    }
    let other = s.send(&get(&there));
    s.tick(1);
    assert!(s.written(A).ends_with(&wire(&["GET", &there])), "while the first one waits");
    s.reply(A, "$1\r\nv\r\n");
    assert_eq!((s.result(other, 0), s.result(batch, 0)), ("$1\\r\\nv\\r\\n".into(), "pending".into()));
}
