//! How connections are made again: not too many, not too often, not at all where the server says so, and never with a word of the password.

use super::*;
use crate::config::{Rule, Secret};
use crate::engine::Event;

/// A script that has dialled its only seed and nothing else.
fn fresh(config: Config) -> Script {
    let now = Timestamp::from_nanos(1_000_000_000);
    let engine = Engine::new(config, now).expect("seeds");
    let mut s = Script { engine, now, conns: BTreeMap::new(), dials: Vec::new(), dialled: BTreeMap::new() };
    s.tick(0);
    s
}

/// The node accepts the connection and answers the handshake's first command with this.
fn answer_hello(s: &mut Script, port: u16, reply: &str) {
    s.dials.retain(|dialled| *dialled != port);
    let conn = s.dialled.remove(&port).expect("dialled");
    s.conns.insert(port, conn);
    s.engine.handle_connected(conn, s.now);
    s.written(port);
    s.reply(port, reply);
}

/// A view in which every node owns some slots.
fn many(nodes: u16) -> Vec<(u16, u16, u16)> {
    let share = 16_384 / nodes;
    (0..nodes)
        .map(|n| (n * share, if n == nodes - 1 { 16_383 } else { n * share + share - 1 }, n + 1))
        .collect()
}

fn send_to_all(s: &mut Script, nodes: u16) {
    let batch = s.batch();
    for n in 0..20 * u32::from(nodes) {
        s.submit(batch, &get(&format!("key{n}")));
    }
    s.flush(batch);
}

#[test]
fn connections_are_made_a_few_at_a_time() {
    let mut config = config();
    config.limits.connects_at_once_max = 4;
    let mut s = Script::start_with_view(config, &many(30));
    send_to_all(&mut s, 30);
    let mut accepted = Vec::new();
    while !s.dials.is_empty() {
        assert!(s.dials.len() <= 4, "{:?}", s.dials);
        let port = s.dials[0];
        s.accept(port);
        accepted.push(port);
    }
    accepted.sort_unstable();
    assert_eq!(
        accepted,
        (2..=30).collect::<Vec<u16>>(),
        "all get their turn, at once where nothing is in the way"
    );
    assert_eq!(s.engine.stats().total.connects_delayed, 29 - 4);
}

#[test]
fn a_client_has_no_more_connections_than_it_may() {
    let mut config = config();
    config.limits.connections_max = 3;
    let mut s = Script::start_with_view(config, &many(6));
    send_to_all(&mut s, 6);
    while let Some(&port) = s.dials.first() {
        s.accept(port);
    }
    assert_eq!(s.conns.len(), 3);
    let closed = *s.conns.keys().next().expect("open");
    s.reset(closed);
    assert_eq!(s.dials.len(), 1, "there is room for one more");
}

#[test]
fn nodes_that_come_and_go_are_dialled_at_a_pace() {
    let mut config = config();
    config.reconnect_min_ms = 1;
    config.reconnect_max_ms = 1;
    config.command_timeout_ms = 600_000;
    let attempts = |config: Config| {
        let mut s = Script::start_with_view(config, &many(40));
        send_to_all(&mut s, 40);
        let mut dials = 0;
        for _ in 0..2_000 {
            for port in std::mem::take(&mut s.dials) {
                dials += 1;
                s.refuse(port);
            }
            s.tick(1);
        }
        dials
    };
    let paced = attempts(config.clone());
    assert!((130..=200).contains(&paced), "{paced}: 40 first attempts, 50 more, and 50 a second");
    config.broken = crate::config::Broken::only(Rule::ConnectLimiter);
    assert!(attempts(config) > 10_000);
}

#[test]
fn delays_grow_until_a_command_has_succeeded() {
    let mut s = Script::start();
    s.send(&get(&key_of(B, 1)));
    for _ in 0..5 {
        s.accept(B);
        // It answers, and yet serves nothing.
        s.written(B);
        s.reply(B, "-LOADING Redis is loading the dataset in memory\r\n");
        s.reset(B);
        for _ in 0..6_000 {
            if s.dials.contains(&B) {
                break;
            }
            s.tick(1);
        }
        if !s.dials.contains(&B) {
            break;
        }
    }
    let row = s.engine.links.iter().position(|link| link.name() == "h:2").expect("known");
    assert!(s.engine.links[row].attempts >= 4, "{}", s.engine.links[row].attempts);
}

#[test]
fn a_seed_that_is_full_or_loading_is_tried_again() {
    for refusal in [
        "-ERR max number of clients reached\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-DENIED Redis is running in protected mode\r\n",
    ] {
        let mut s = fresh(config());
        answer_hello(&mut s, A, refusal);
        assert!(!s.is_open(A));
        assert!(s.engine.start_failure().is_none(), "{refusal}");
        let told = s.engine.last_start_failure().expect("known").to_string();
        assert!(told.contains(refusal.trim_end().trim_start_matches('-')), "{told}");
        let mut waited = 0;
        while !s.dials.contains(&A) {
            s.tick(50);
            waited += 50;
            assert!(waited < 4_000, "{refusal}: never again");
        }
        let patient = !refusal.contains("LOADING");
        assert!(!patient || waited >= 1_000, "{refusal}: after {waited} ms");
        s.accept(A);
        s.written(A);
        s.reply(A, slots_reply(&THIRDS));
        assert!(s.engine.has_topology());
    }
}

#[test]
fn a_seed_that_loads_while_it_answers_the_handshake_is_asked_again() {
    let mut s = fresh(config());
    s.accept(A);
    s.written(A);
    s.reply(A, "-LOADING Redis is loading the dataset in memory\r\n");
    assert!(s.engine.start_failure().is_none());
    let mut waited = 0;
    while s.written(A).is_empty() {
        s.tick(50);
        waited += 50;
        assert!(waited < 2_000);
    }
    s.reply(A, slots_reply(&THIRDS));
    assert!(s.engine.has_topology());
}

#[test]
fn s74_refused_credentials_fail_every_command_and_are_tried_once_a_second_at_most() {
    let mut s = Script::start();
    let first = s.send(&set(&key_of(B, 1), "v"));
    answer_hello(&mut s, B, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_eq!(s.result(first, 0), "Auth NotExecuted");
    let second = s.send(&set(&key_of(B, 1), "v"));
    assert_eq!(s.result(second, 0), "Auth NotExecuted", "at once");
    let mut attempts = 0;
    for _ in 0..60_000 {
        s.tick(1);
        let batch = s.send(&set(&key_of(B, 1), "v"));
        s.engine.abandon(batch);
        if s.dials.contains(&B) {
            attempts += 1;
            answer_hello(&mut s, B, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        }
    }
    assert!((3..=12).contains(&attempts), "{attempts} in a minute");
    assert_eq!(s.engine.stats().total.auth_failures, 1 + attempts);
}

#[test]
fn nothing_that_is_shown_holds_the_password() {
    const PASSWORD: &str = "hunter2-%41-secret";
    for reply in [
        format!("-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'ada' '{PASSWORD}'\r\n"),
        format!("-ERR you said {PASSWORD} and that is wrong\r\n"),
        format!("-WRONGPASS {PASSWORD}\r\n"),
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n".to_owned(),
    ] {
        let mut config = config();
        config.username = Some("ada".to_owned());
        config.password = Some(Secret::new(PASSWORD));
        let mut s = fresh(config);
        let conn = s.dialled.remove(&A).expect("dialled");
        s.conns.insert(A, conn);
        s.engine.handle_connected(conn, s.now);
        let mut shown = format!("{:?}", s.engine);
        let decimal = format!("{:?}", PASSWORD.as_bytes());
        assert!(!shown.contains(decimal.trim_matches(['[', ']'])), "its bytes are shown");
        s.written(A);
        s.reply(A, &reply);
        // Where RESP2 is tried, AUTH fares no better.
        if s.is_open(A) {
            shown += &format!("{:?}", s.engine);
            s.written(A);
            s.reply(A, "+OK\r\n+OK\r\n+OK\r\n");
            s.reply(A, reply.replace("HELLO", "AUTH"));
        }
        assert!(!s.is_open(A), "{reply}");
        shown += &format!("{:?}", s.engine);
        while let Some(event) = s.engine.poll_event() {
            shown += &format!("{event:?}");
            if let Event::NodeDown { reason, .. } = event {
                shown += &reason;
            }
        }
        let failure = s.engine.last_start_failure().expect("refused");
        shown += &format!("{failure} {failure:?} {:?}", failure.server());
        assert!(!shown.contains(PASSWORD) && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_demoted_node_that_is_known_by_name_is_resolved_afresh() {
    let mut s = Script::start();
    s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "-READONLY You can't write against a read only replica.\r\n");
    assert!(!s.is_open(A), "h may lead to another machine by now");
    assert_eq!(s.dials, [A]);

    let mut config = config();
    config.seeds = vec![Endpoint::new("10.0.0.1", A)];
    let mut s = fresh(config);
    s.accept(A);
    s.written(A);
    s.reply(A, slots_reply(&THIRDS).replace("$1\r\nh\r\n", "$8\r\n10.0.0.1\r\n"));
    s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "-READONLY You can't write against a read only replica.\r\n");
    assert!(s.is_open(A), "an address is an address");
}
