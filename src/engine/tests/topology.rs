//! Views of the cluster: slots change hands, nodes come and go, one question at a time.

use super::*;

/// Answers the next CLUSTER SLOTS that any node is asked within a second.
fn answer_refresh(s: &mut Script, ranges: &[(u16, u16, u16)]) {
    for _ in 0..1_000 {
        for port in [A, B, C] {
            if s.is_open(port) {
                let written = s.written(port);
                if written == wire(&["CLUSTER", "SLOTS"]) {
                    return s.reply(port, slots_reply(ranges));
                }
                assert_eq!(written, b"", "only the question was expected");
            }
        }
        s.tick(1);
    }
    panic!("nobody was asked");
}

#[test]
fn s86_a_thousand_redirects_ask_for_the_topology_once_or_twice() {
    let mut s = Script::start();
    let batch = s.batch();
    let key = key_of(A, 1);
    let slot = slot_of(key.as_bytes());
    for _ in 0..1_000 {
        s.submit(batch, &get(&key));
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, format!("-MOVED {slot} h:{B}\r\n").repeat(1_000));
    s.accept(B);
    assert_eq!(s.written(B), wire(&["GET", &key]));
    s.reply(B, "_\r\n");
    s.written(B);
    s.reply(B, "_\r\n".repeat(999));
    assert!(s.engine.is_complete(batch));
    let mut asked = 0;
    for _ in 0..1_000 {
        for port in [A, B] {
            if !s.written(port).is_empty() {
                asked += 1;
                let mut view = vec![(0, slot - 1, A), (slot, slot, B), (slot + 1, 5460, A)];
                view.extend(&THIRDS[1..]);
                s.reply(port, slots_reply(&view));
            }
        }
        s.tick(1);
    }
    assert!((1..=2).contains(&asked), "{asked} questions");
}

#[test]
fn unsent_commands_follow_their_slot_to_its_new_owner_when_a_view_moves_it() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let batch = s.batch();
    s.submit(batch, &set(&key, "1"));
    s.submit(batch, &set(&key, "2"));
    s.flush(batch);
    s.refuse(B);
    answer_refresh(&mut s, &[(0, 10922, A), (10923, 16383, C)]);
    assert_eq!(s.written(A), wire(&["SET", &key, "1"]), "the first asks for the others");
    s.reply(A, "+OK\r\n");
    assert_eq!(s.written(A), wire(&["SET", &key, "2"]));
    s.reply(A, "+OK\r\n");
    assert_eq!([s.result(batch, 0), s.result(batch, 1)], ["+OK\\r\\n"; 2]);
    s.assert_empty();
}

#[test]
fn s82_a_command_to_an_uncovered_slot_waits_for_an_owner() {
    let mut s = Script::start();
    let mut config = config();
    config.seeds = vec![Endpoint::new("h", A)];
    s.engine = Engine::new(config, s.now).expect("seeds");
    s.conns.clear();
    s.tick(0);
    s.accept(A);
    assert_eq!(s.written(A), wire(&["CLUSTER", "SLOTS"]));
    s.reply(A, slots_reply(&[(0, 5460, A)]));
    assert_eq!(s.engine.uncovered_slots(), [(5461, 16383)]);
    let key = key_of(B, 1);
    let batch = s.send(&set(&key, "v"));
    answer_refresh(&mut s, &[(0, 10922, A)]);
    assert_eq!(s.written(A), wire(&["SET", &key, "v"]));
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    let lost = s.send(&set(&key_of(C, 1), "v"));
    for _ in 0..600 {
        s.tick(10);
        if !s.written(A).is_empty() {
            s.reply(A, slots_reply(&[(0, 10922, A)]));
        }
    }
    assert_eq!(s.result(lost, 0), "SlotNotServed NotExecuted");
    s.assert_empty();
}

#[test]
fn s80_an_empty_view_changes_nothing() {
    let mut s = Script::start();
    s.engine.refresh_topology(s.now);
    for _ in 0..200 {
        s.tick(1);
        if !s.written(A).is_empty() {
            s.reply(A, "*0\r\n");
            break;
        }
    }
    assert!(s.engine.uncovered_slots().is_empty());
    let key = key_of(A, 1);
    s.send(&get(&key));
    assert_eq!(s.written(A), wire(&["GET", &key]));
}

#[test]
fn s87_a_node_that_does_not_answer_the_question_is_not_asked_again_at_once() {
    let mut s = Script::start();
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    s.engine.refresh_topology(s.now);
    let mut asked = Vec::new();
    for _ in 0..2_500 {
        s.tick(1);
        for port in [A, B] {
            if s.is_open(port) && !s.written(port).is_empty() {
                asked.push(port);
            }
        }
    }
    assert!(asked.len() >= 2 && asked[0] != asked[1], "{asked:?}");
}

#[test]
fn s51_s94_a_node_that_leaves_the_view_is_closed_when_it_owes_nothing() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let batch = s.send(&get(&key));
    s.accept(B);
    s.written(B);
    s.engine.refresh_topology(s.now);
    let ranges = [(0, 10922, A), (10923, 16383, C)];
    for _ in 0..1_000 {
        s.tick(1);
        if let Some(port) = [A, B].into_iter().find(|&port| s.written(port) == wire(&["CLUSTER", "SLOTS"])) {
            // B may be asked itself: then its own command is answered first.
            if port == B {
                s.reply(B, "_\r\n");
            }
            s.reply(port, slots_reply(&ranges));
            break;
        }
    }
    if s.is_open(B) {
        assert_eq!(s.result(batch, 0), "pending");
        s.reply(B, "_\r\n");
    }
    assert_eq!(s.result(batch, 0), "_\\r\\n", "what was in flight completes");
    assert!(!s.is_open(B), "then the connection is closed");
    assert_eq!(s.engine.nodes().len(), 2);
}

#[test]
fn addresses_are_mapped_before_they_are_dialled() {
    let mut config = config();
    config.address_map = Some(std::sync::Arc::new(|endpoint| Endpoint::new("mapped", endpoint.port + 100)));
    let mut engine = Engine::new(config, Timestamp::ZERO).expect("seeds");
    engine.handle_timeout(Timestamp::ZERO);
    let Some(Action::Connect { endpoint, .. }) = engine.poll_action() else { panic!("dials the seed") };
    assert_eq!(endpoint, Endpoint::new("mapped", 101));
}

#[test]
fn s99_an_address_that_another_node_answers_at_is_not_used() {
    let mut s = Script::start();
    let batch = s.send(&get(&key_of(B, 1)));
    s.act();
    let conn = s.dialled.remove(&B).expect("dialled");
    s.conns.insert(B, conn);
    s.engine.handle_connected(conn, s.now);
    s.written(B);
    s.reply(B, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n");
    s.reply(B, "$40\r\nffffffffffffffffffffffffffffffffffffffff\r\n");
    assert!(!s.is_open(B));
    assert_eq!(s.result(batch, 0), "pending");
}

#[test]
fn the_same_calls_give_the_same_outputs() {
    let run = || {
        let mut s = Script::start();
        let mut log = Vec::new();
        for n in 0..50 {
            s.send(&get(&key_of(A + (n % 3) as u16, n)));
            for port in [A, B, C] {
                log.push(s.written(port));
            }
            s.tick(37);
            log.push(s.dials.iter().map(|&port| port as u8).collect());
            for port in s.dials.clone() {
                s.refuse(port);
            }
        }
        log
    };
    assert_eq!(run(), run());
}
