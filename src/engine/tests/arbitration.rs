//! Nodes that contradict each other: who is heard, who is believed, and what happens to commands meanwhile.

use super::*;

/// A says that the slot of its key is B's; B runs the command. The refresh that follows goes to B, and this is what B answers.
fn start_with_dispute(view: &[(u16, u16, u16)]) -> (Script, String) {
    let mut s = Script::start();
    let key = key_of(A, 1);
    let batch = s.send(&get(&key));
    s.written(A);
    s.reply(A, moved(&key, B));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["GET", &key]), "no command waits for a refresh");
    s.reply(B, "_\r\n");
    assert_eq!(s.result(batch, 0), "_\\r\\n");
    while s.written(B).is_empty() {
        s.tick(1);
    }
    s.reply(B, slots_reply(view));
    (s, key)
}

fn questions() -> Vec<u8> {
    wires(&[&["CLUSTER", "INFO"], &["CLUSTER", "NODES"]])
}

fn testimony(state: &str, ranges: &[(u16, u16, u16)], epochs: [u64; 3]) -> String {
    let info = format!("cluster_state:{state}\r\ncluster_slots_assigned:16384\r\n");
    format!("${}\r\n{info}\r\n", info.len()) + &nodes_reply(ranges, |port| epochs[usize::from(port - A)])
}

/// The owner of the key's slot, by where a command goes.
fn owner(s: &mut Script, key: &str) -> u16 {
    s.engine.slot_owner(slot_of(key.as_bytes())).expect("an owner").port
}

fn with_slot(key: &str, port: u16) -> Vec<(u16, u16, u16)> {
    let slot = slot_of(key.as_bytes());
    let mut view = vec![(0, slot - 1, A), (slot, slot, port), (slot + 1, 5460, A)];
    view.extend(&THIRDS[1..]);
    view
}

#[test]
fn a_view_that_contradicts_a_fresh_redirect_is_held_against_others() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    assert_eq!(owner(&mut s, &key), B, "until others have been heard the redirect stands");
    assert_eq!(s.written(A), questions());
    assert_eq!(s.written(B), questions());
    s.reply(A, testimony("ok", &with_slot(&key, B), [1, 9, 3]));
    s.reply(B, testimony("ok", &THIRDS, [1, 2, 3]));
    assert_eq!(s.dials, [C], "the third one too");
    s.refuse(C);
    s.tick(0);
    assert_eq!(owner(&mut s, &key), B, "the highest epoch");
    assert_eq!((s.engine.stats().refreshes, s.engine.stats().refreshes_arbitrated), (2, 1));
}

#[test]
fn the_highest_epoch_takes_the_slot_back_from_a_redirect() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    s.written(A);
    s.written(B);
    s.reply(A, testimony("ok", &THIRDS, [7, 2, 3]));
    s.reply(B, testimony("ok", &with_slot(&key, B), [1, 2, 3]));
    s.accept(C);
    assert_eq!(s.written(C), questions());
    s.reply(C, testimony("ok", &THIRDS, [7, 2, 3]));
    assert_eq!(owner(&mut s, &key), A);
}

#[test]
fn a_node_that_says_fail_is_not_believed_whatever_its_epoch() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    s.written(A);
    s.written(B);
    s.refuse(C);
    s.reply(A, testimony("fail", &THIRDS, [90, 2, 3]));
    s.reply(B, testimony("ok", &with_slot(&key, B), [1, 2, 3]));
    s.tick(0);
    assert_eq!(owner(&mut s, &key), B);
}

#[test]
fn witnesses_that_say_nothing_are_waited_for_one_second() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    s.written(A);
    s.written(B);
    s.reply(A, testimony("ok", &THIRDS, [7, 2, 3]));
    s.tick(999);
    assert_eq!(owner(&mut s, &key), B);
    s.tick(1);
    assert_eq!(owner(&mut s, &key), A, "what has been heard decides");
}

#[test]
fn without_any_witness_the_redirect_stands_until_it_is_no_longer_fresh() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    let no = "-NOPERM no permissions\r\n".repeat(2);
    let mut taken_back = 0;
    for ms in 0..5_000 {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            s.refuse(port);
        }
        for port in [A, B].into_iter().filter(|&port| s.is_open(port)).collect::<Vec<_>>() {
            match s.written(port) {
                bytes if bytes == questions() => s.reply(port, &no),
                bytes if bytes.is_empty() => {}
                // The author of the redirect might take it back.
                _ if port == A => s.reply(A, "-NOPERM no permissions\r\n"),
                _ => s.reply(port, slots_reply(&THIRDS)),
            }
        }
        if owner(&mut s, &key) == A && taken_back == 0 {
            taken_back = ms;
        }
    }
    assert!((1_500..4_500).contains(&taken_back), "{taken_back}");
}

#[test]
fn a_redirect_that_comes_after_the_questions_is_newer_than_the_ruling() {
    let (mut s, key) = start_with_dispute(&THIRDS);
    s.written(A);
    s.written(B);
    s.refuse(C);
    s.tick(1);
    s.send(&get(&key));
    s.written(B);
    s.reply(A, testimony("ok", &with_slot(&key, B), [1, 9, 3]));
    s.reply(B, testimony("ok", &THIRDS, [1, 2, 3]) + &moved(&key, C));
    s.tick(0);
    assert_eq!(owner(&mut s, &key), C);
}

#[test]
fn the_author_of_a_redirect_may_take_it_back() {
    let mut s = Script::start();
    let key = key_of(A, 1);
    s.send(&get(&key));
    s.written(A);
    s.reply(A, moved(&key, B));
    s.refuse(B);
    while s.written(A).is_empty() {
        s.tick(1);
    }
    s.reply(A, slots_reply(&THIRDS));
    assert_eq!((owner(&mut s, &key), s.engine.stats().refreshes_arbitrated), (A, 0));
}

#[test]
fn s85_nodes_that_disagree_within_a_moment_are_heard_together() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    s.send(&get(&key));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    let lagging = slots_reply(&THIRDS);
    let ahead = [(0, 10922, A), (10923, 16383, C)];
    let mut owners = Vec::new();
    s.engine.refresh_topology(s.now);
    for _ in 0..3_000 {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            s.refuse(port);
        }
        for port in [A, B].into_iter().filter(|&port| s.is_open(port)).collect::<Vec<_>>() {
            let (slots, nodes) = if port == A {
                (slots_reply(&ahead), testimony("ok", &ahead, [8, 2, 3]))
            } else {
                (lagging.clone(), testimony("ok", &THIRDS, [1, 2, 3]))
            };
            match s.written(port) {
                bytes if bytes == questions() => s.reply(port, nodes),
                bytes if bytes == wire(&["CLUSTER", "SLOTS"]) => s.reply(port, slots),
                _ => {}
            }
        }
        s.engine.refresh_topology(s.now);
        let now = owner(&mut s, &key);
        if owners.last() != Some(&now) {
            owners.push(now);
        }
    }
    assert!(owners == [A] || owners == [B, A], "no flapping: {owners:?}");
}

#[test]
fn what_one_view_leaves_out_keeps_its_owner_and_others_are_asked() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let holes = [(0, 5460, A), (10923, 16383, C)];
    s.engine.refresh_topology(s.now);
    while s.written(A).is_empty() {
        s.tick(1);
    }
    s.reply(A, slots_reply(&holes));
    assert_eq!(owner(&mut s, &key), B, "it is worth a try");
    assert_eq!(s.written(A), questions());
    s.reply(A, testimony("ok", &holes, [1, 2, 3]));
    for port in s.dials.clone() {
        s.refuse(port);
    }
    s.tick(0);
    assert_eq!(owner(&mut s, &key), B, "the same node twice is no second one");
    assert!(s.engine.uncovered_slots().is_empty());
}

#[test]
fn what_two_nodes_leave_out_has_no_owner_and_its_commands_wait_in_order() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let first = s.send(&set(&key, "1"));
    s.accept(B);
    s.written(B);
    let holes = [(0, 5460, A), (10923, 16383, C)];
    s.engine.refresh_topology(s.now);
    loop {
        s.tick(1);
        if s.written(A) == wire(&["CLUSTER", "SLOTS"]) {
            break;
        }
        assert!(s.written(B).is_empty() || s.is_open(B), "B may be asked first and is slow");
    }
    s.reply(A, slots_reply(&holes));
    s.accept(C);
    assert_eq!(s.written(C), questions());
    s.written(A);
    s.reply(A, testimony("fail", &holes, [1, 2, 3]));
    s.reply(C, testimony("fail", &holes, [1, 2, 3]));
    s.tick(1_001);
    assert_eq!(s.engine.uncovered_slots(), [(5461, 10922)]);
    let second = s.send(&set(&key, "2"));
    s.tick(1);
    assert_eq!(s.result(first, 0), "pending");
    let waiting = s.engine.stats().parked;
    assert_eq!(waiting, 1, "the second waits");
    assert_eq!(s.result(second, 0), "pending");
}
