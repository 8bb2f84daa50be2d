//! Which views are believed, who is asked and when, and what becomes of slots without an owner.

use super::*;
use crate::engine::Event;

pub(super) fn slots() -> Vec<u8> {
    wire(&["CLUSTER", "SLOTS"])
}

/// Connected to A and B.
pub(super) fn start_with_two(config: Config) -> Script {
    let mut s = Script::start_with(config);
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    s
}

/// Lets time pass until one of these nodes is asked for its view.
fn asked(s: &mut Script, ports: &[u16]) -> (u16, u64) {
    for ms in 0..3_000 {
        for &port in ports {
            if s.is_open(port) && s.written(port) == slots() {
                return (port, ms);
            }
        }
        s.tick(1);
    }
    panic!("nobody was asked");
}

/// Asks for a view, answers the question, and tells whether the view was applied.
fn told(s: &mut Script, view: &str) -> bool {
    let before = s.engine.stats();
    s.engine.refresh_topology(s.now);
    let (port, _) = asked(s, &[A, B]);
    s.reply(port, view);
    let after = s.engine.stats();
    assert_eq!(after.refreshes_asked, before.refreshes_asked + 1);
    assert_eq!(after.refreshes + after.refreshes_rejected, before.refreshes + before.refreshes_rejected + 1);
    after.refreshes > before.refreshes
}

#[test]
fn views_that_make_no_sense_are_counted_and_another_node_is_asked() {
    let twice = [(0, 5460, A), (5000, 10922, B), (10923, 16383, C)];
    for view in ["*0\r\n".to_owned(), slots_reply(&twice), "+OK\r\n".to_owned(), "-ERR no\r\n".to_owned()] {
        let mut s = start_with_two(config());
        while s.engine.poll_event().is_some() {}
        s.engine.refresh_topology(s.now);
        let (first, _) = asked(&mut s, &[A, B]);
        s.reply(first, &view);
        assert!(matches!(s.engine.poll_event(), Some(Event::RefreshFailed { .. })), "{view:?}");
        let (second, _) = asked(&mut s, &[A, B]);
        assert_ne!(first, second, "{view:?}");
        assert_eq!(s.engine.stats().refreshes_rejected, 1);
        assert!(s.engine.uncovered_slots().is_empty());
    }
}

#[test]
fn views_beyond_the_limits_are_rejected_and_counted() {
    let view = slots_reply(&THIRDS);
    for (nodes_max, bytes_max, believed) in
        [(3, view.len(), true), (2, view.len(), false), (3, view.len() - 1, false)]
    {
        let mut s = Script::start();
        s.engine.config.limits.view_nodes_max = nodes_max;
        s.engine.config.limits.view_bytes_max = bytes_max;
        assert_eq!(told(&mut s, &view), believed, "{nodes_max} nodes, {bytes_max} bytes");
        assert_eq!(s.engine.stats().refreshes_too_large, u64::from(!believed));
    }
}

#[test]
fn s99_a_view_without_any_known_node_is_another_clusters() {
    let mut s = start_with_two(config());
    assert!(!told(&mut s, &slots_reply(&[(0, 16383, 9)])));
    s.tick(2_100);
    let (port, _) = asked(&mut s, &[A, B]);
    s.reply(port, slots_reply(&[(0, 5460, A), (5461, 16383, 9)]));
    assert_eq!(s.engine.stats().refreshes, 2, "one in common is ours");
}

#[test]
fn s90_when_all_nodes_have_been_replaced_the_seeds_lead_to_their_successors() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    s.send(&get(&key));
    s.refuse(B);
    s.tick(2_100);
    s.reset(A);
    // At the seed's address another cluster answers now.
    let stranger = "f".repeat(40);
    let mut answered = Vec::new();
    for _ in 0..10_000 {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            let conn = s.dialled.remove(&port).expect("dialled");
            if port == A {
                s.conns.insert(A, conn);
                s.engine.handle_connected(conn, s.now);
                s.written(A);
                s.reply(A, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n");
                s.reply(A, format!("$40\r\n{stranger}\r\n"));
            } else {
                s.engine.handle_closed(conn, "refused", s.now);
            }
        }
        if s.is_open(A) && s.written(A) == slots() {
            let view = slots_reply(&[(0, 16383, A)]).replace(&format!("{A:040}"), &stranger);
            answered.push(s.engine.stats().refreshes);
            s.reply(A, &view);
        }
        if s.engine.stats().refreshes > 1 {
            break;
        }
    }
    assert_eq!(answered.len(), 1);
    let nodes: Vec<String> = s.engine.nodes().into_iter().map(|node| node.id).collect();
    assert_eq!(nodes, [stranger]);
    let batch = s.send(&get(&key));
    for _ in 0..2 {
        assert_eq!(s.written(A), wire(&["GET", &key]), "one after the other");
        s.reply(A, "_\r\n");
    }
    assert_eq!(s.result(batch, 0), "_\\r\\n");
}

#[test]
fn while_nobody_answers_the_rounds_become_rarer_and_never_end() {
    let mut s = Script::start();
    s.reset(A);
    let mut dialled = Vec::new();
    for ms in 0..120_000u64 {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            dialled.push(ms);
            s.refuse(port);
        }
    }
    let in_first = dialled.iter().filter(|&&ms| ms < 10_000).count();
    let in_last = dialled.iter().filter(|&&ms| ms >= 60_000).count();
    assert!((6..60).contains(&in_first), "{in_first} in the first ten seconds");
    assert!((9..70).contains(&in_last), "{in_last} in the last minute");
    // Whoever comes back is asked soon.
    while s.dials.is_empty() {
        s.tick(1);
    }
    let port = s.dials[0];
    s.accept(port);
    let (_, ms) = asked(&mut s, &[port]);
    assert!(ms <= 50, "{ms}");
}

#[test]
fn a_demoted_primary_is_asked_at_once_and_others_after_a_jitter() {
    let mut urgent = Vec::new();
    let mut others = Vec::new();
    for seed in 1..30 {
        for (text, waits) in [
            ("-READONLY You can't write against a read only replica.\r\n", &mut urgent),
            ("-CLUSTERDOWN Hash slot not served\r\n", &mut others),
        ] {
            let mut config = config();
            config.jitter_seed = seed;
            let mut s = start_with_two(config);
            s.tick(200);
            s.send(&set(&key_of(A, 1), "v"));
            s.written(A);
            s.reply(A, text);
            s.engine.handle_timeout(s.now);
            waits.push(asked(&mut s, &[A, B]));
        }
    }
    // Not the node itself: it is known by a name, which may lead to another server now, and is dialled again first.
    assert!(urgent.iter().all(|&asked| asked == (B, 0)), "{urgent:?}");
    assert!(others.iter().any(|&(_, ms)| ms > 10) && others.iter().all(|&(_, ms)| ms <= 51), "{others:?}");
}

#[test]
fn the_jitter_of_a_large_cluster_is_a_second() {
    let mut view: Vec<(u16, u16, u16)> = (0..205).map(|n| (n * 79, n * 79 + 78, n + 1)).collect();
    view.push((205 * 79, 16383, 206));
    let mut waits = Vec::new();
    for seed in 1..30 {
        let mut config = config();
        config.jitter_seed = seed;
        let mut s = Script::start_with_view(config, &view);
        s.tick(2_000);
        s.engine.refresh_topology(s.now);
        waits.push(asked(&mut s, &[A]).1);
    }
    assert!(waits.iter().any(|&ms| ms > 300) && waits.iter().all(|&ms| ms <= 1_001), "{waits:?}");
}

#[test]
fn a_node_that_is_cut_off_is_asked_only_where_nobody_else_is() {
    let cut_off = "-CLUSTERDOWN The cluster is down\r\n";
    let cut_off_now = |seed: u64| {
        let mut config = config();
        config.jitter_seed = seed;
        let mut s = start_with_two(config);
        s.tick(200);
        s.send(&set(&key_of(A, 1), "v"));
        s.written(A);
        s.reply(A, cut_off);
        s
    };
    for seed in 1..20 {
        let mut s = cut_off_now(seed);
        asked(&mut s, &[B]);
    }
    let mut s = cut_off_now(1);
    s.reset(B);
    let mut written = Vec::new();
    for _ in 0..3_000 {
        s.tick(1);
        written.extend(s.written(A));
    }
    let text = String::from_utf8(written).expect("text");
    assert!(text.contains("SLOTS"), "better than nobody");
}

#[test]
fn the_target_of_a_redirect_is_asked_before_others() {
    for seed in 1..10 {
        let mut config = config();
        config.jitter_seed = seed;
        let mut s = start_with_two(config);
        s.tick(200);
        let key = key_of(A, 1);
        s.send(&get(&key));
        s.written(A);
        s.reply(A, moved(&key, B));
        assert_eq!(s.written(B), wire(&["GET", &key]));
        s.reply(B, "_\r\n");
        assert_eq!(asked(&mut s, &[A, B]).0, B);
    }
}

#[test]
fn s78_an_address_that_one_view_does_not_tell_is_asked_of_others() {
    let view = slots_reply(&THIRDS);
    let unknown = view.replace(&format!("$1\r\nh\r\n:{C}\r\n"), &format!("$1\r\n?\r\n:{C}\r\n"));
    let mut s = Script::start_with_reply(config(), &unknown);
    assert_eq!(s.engine.uncovered_slots(), [(10923, 16383)]);
    s.tick(300);
    s.accept(B);
    asked(&mut s, &[B]);
    s.reply(B, &view);
    assert!(s.engine.uncovered_slots().is_empty());
}

#[test]
fn an_address_that_nobody_tells_is_not_asked_for_without_end() {
    let view = slots_reply(&THIRDS).replace(&format!("$1\r\nh\r\n:{C}\r\n"), &format!("$1\r\n?\r\n:{C}\r\n"));
    let mut s = Script::start_with_reply(config(), &view);
    let mut questions = 0;
    for _ in 0..20_000 {
        s.tick(1);
        for port in s.dials.clone() {
            s.accept(port);
        }
        for port in [A, B] {
            if s.is_open(port) && s.written(port) == slots() {
                questions += 1;
                s.reply(port, &view);
            }
        }
    }
    assert!((1..=4).contains(&questions), "{questions}");
}

#[test]
fn s91_a_server_by_name_and_by_address_gets_one_connection() {
    let named = |port: u16| {
        format!("*4\r\n$1\r\nh\r\n:{port}\r\n$40\r\n{port:040}\r\n*2\r\n$8\r\nhostname\r\n$2\r\nh{port}\r\n")
    };
    let mut view = "*3\r\n".to_owned();
    for (start, end, port) in THIRDS {
        view += &format!("*3\r\n:{start}\r\n:{end}\r\n{}", named(port));
    }
    let mut s = Script::start_with_reply(config(), &view);
    s.send(&get(&key_of(B, 1)));
    s.accept(B);
    s.written(B);
    s.reply(B, "_\r\n");
    let key = key_of(A, 1);
    let batch = s.send(&get(&key));
    s.written(A);
    s.reply(A, format!("-MOVED {} h{B}:{B}\r\n", slot_of(key.as_bytes())));
    assert_eq!(s.dials, [], "it is B");
    assert_eq!(s.written(B), wire(&["GET", &key]));
    s.reply(B, "_\r\n");
    assert_eq!(s.result(batch, 0), "_\\r\\n");
    assert_eq!(s.engine.stats().total.connects, 2);
}

#[test]
fn a_command_to_an_uncovered_slot_fails_at_once_where_that_is_wished() {
    let holes = [(0, 5460, A), (10923, 16383, C)];
    let mut config = config();
    config.fail_fast_uncovered = true;
    let mut s = Script::start_with_view(config, &holes);
    let batch = s.batch();
    s.submit(batch, &get(&key_of(B, 1)));
    s.submit(batch, &get(&key_of(A, 1)));
    assert_eq!(s.result(batch, 0), not_executed("SlotNotServed"));
    s.flush(batch);
    let lone = get(&key_of(B, 2));
    let refused =
        s.engine.submit_stream(&lone.request().expect("good"), 7, 5_000, s.now).expect_err("no owner");
    assert_eq!(
        (kind_name(refused.kind()), refused.outcome()),
        ("SlotNotServed".to_owned(), Outcome::NotExecuted)
    );
    assert_eq!(s.written(A), wire(&["GET", &key_of(A, 1)]));
    s.reply(A, "_\r\n");
    assert_eq!(s.result(batch, 1), "_\\r\\n");
    s.assert_empty();
    asked(&mut s, &[A]);
    s.reply(A, slots_reply(&THIRDS));
    s.send(&get(&key_of(B, 1)));
    assert_eq!(s.dials, [B], "and goes where the slot is served again");
}

#[test]
fn what_waits_for_an_owner_fails_when_the_first_view_names_none() {
    let mut config = config();
    config.fail_fast_uncovered = true;
    let now = Timestamp::from_nanos(1_000_000_000);
    let mut s = Script::start_with(config.clone());
    s.engine = Engine::new(config, now).expect("seeds");
    s.now = now;
    s.conns.clear();
    s.tick(0);
    let early = s.send(&get(&key_of(B, 1)));
    assert_eq!(s.result(early, 0), "pending", "nothing is known yet");
    s.accept(A);
    s.written(A);
    s.reply(A, slots_reply(&[(0, 5460, A), (10923, 16383, C)]));
    assert_eq!(s.result(early, 0), not_executed("SlotNotServed"));
    s.assert_empty();
}

#[test]
fn triggers_that_go_on_are_answered_at_most_once_a_second() {
    let mut s = Script::start();
    let mut times = Vec::new();
    for ms in 0..20_000 {
        s.engine.refresh_topology(s.now);
        s.tick(1);
        if s.written(A) == slots() {
            times.push(ms);
            s.reply(A, slots_reply(&THIRDS));
        }
    }
    let pauses: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|&ms| ms >= 100), "{pauses:?}");
    assert!(pauses.iter().skip(4).all(|&ms| (1_000..1_060).contains(&ms)), "{pauses:?}");
    assert!(pauses.is_sorted_by(|a, b| a / 2 <= *b), "{pauses:?}");
}
