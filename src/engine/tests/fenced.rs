//! `fenced_reconnect`: the old connection is dead on the server before anything is sent on the new one.

use super::*;
use crate::config::{Broken, Rule};
use crate::engine::Event;

fn fenced() -> Config {
    Config { fenced_reconnect: true, ..config() }
}

/// A is connected under this number; its node answers to `node`.
fn accept_as(s: &mut Script, number: u64, node: u16) {
    let info = format!("txt:id={number} addr=10.0.0.9:{} laddr=10.0.0.1:6379 fd=8 name=\n", 40_000 + number);
    accept_with(s, number, node, &format!("={}\r\n{info}\r\n", info.len()));
}

/// As `accept_as`, with this reply to CLIENT INFO where it is asked for.
fn accept_with(s: &mut Script, number: u64, node: u16, info: &str) {
    s.act();
    s.dials.retain(|dialled| *dialled != A);
    let conn = s.dialled.remove(&A).expect("dialled");
    s.conns.insert(A, conn);
    s.engine.handle_connected(conn, s.now);
    s.written(A);
    s.reply(A, format!("%3\r\n+proto\r\n:3\r\n+id\r\n:{number}\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n"));
    if s.engine.config().fenced_reconnect {
        s.reply(A, info);
    }
    if s.is_open(A) {
        assert_eq!(s.written(A), b"", "nothing before the node has told who it is");
        s.reply(A, format!("$40\r\n{node:040}\r\n"));
    }
}

/// Connected to A as number 17, with a command in doubt; then the connection breaks, and A is dialled again with another command waiting.
fn doubt(config: Config) -> (Script, BatchId) {
    doubt_of(config, "$25\r\nid=17 addr=10.0.0.9:40017\r\n")
}

fn doubt_of(config: Config, info: &str) -> (Script, BatchId) {
    let now = Timestamp::from_nanos(1_000_000_000);
    let engine = Engine::new(config, now).expect("seeds");
    let mut s = Script { engine, now, conns: BTreeMap::new(), dials: Vec::new(), dialled: BTreeMap::new() };
    s.tick(0);
    accept_with(&mut s, 17, A, info);
    s.tick(0);
    s.written(A);
    s.reply(A, slots_reply(&THIRDS));
    let old = s.send(&set(&key_of(A, 1), "old"));
    s.written(A);
    s.reset(A);
    assert_eq!(s.result(old, 0), "ConnectionLost Unknown");
    let new = s.send(&set(&key_of(A, 1), "new"));
    s.tick(100);
    assert!(s.dials.contains(&A));
    (s, new)
}

fn refusals(s: &mut Script) -> usize {
    let mut count = 0;
    while let Some(event) = s.engine.poll_event() {
        count += usize::from(matches!(event, Event::FenceRefused { .. }));
    }
    count
}

/// The number alone could be somebody else's by now.
const KILL: [&str; 6] = ["CLIENT", "KILL", "ID", "17", "ADDR", "10.0.0.9:40017"];

#[test]
fn the_old_connection_is_ended_before_anything_is_sent() {
    for reply in [":1\r\n", ":0\r\n", "+OK\r\n", "-ERR No such client\r\n"] {
        let (mut s, new) = doubt(fenced());
        accept_as(&mut s, 21, A);
        assert_eq!(s.written(A), wire(&KILL));
        s.tick(100);
        assert_eq!(s.written(A), b"", "not before it is dead");
        s.reply(A, reply);
        assert!(s.written(A).ends_with(&wire(&["SET", &key_of(A, 1), "new"])));
        s.reply(A, "+OK\r\n");
        assert_eq!(s.result(new, 0), "+OK\\r\\n");
        assert_eq!(refusals(&mut s), 0);
        assert_eq!(s.engine.stats().total.fenced_reconnects, 1);
    }
}

#[test]
fn a_server_that_does_not_allow_it_is_used_all_the_same_and_that_is_told() {
    let (mut s, new) = doubt(fenced());
    accept_as(&mut s, 21, A);
    s.written(A);
    s.reply(A, "-NOPERM this user has no permissions to run the 'client|kill' command\r\n");
    s.written(A);
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(new, 0), "+OK\\r\\n");
    assert_eq!(refusals(&mut s), 1);
}

#[test]
fn a_connection_that_its_server_does_not_describe_is_ended_by_its_number() {
    let (mut s, _) = doubt_of(fenced(), "-ERR unknown subcommand 'INFO'. Try CLIENT HELP.\r\n");
    accept_as(&mut s, 21, A);
    assert_eq!(s.written(A), wire(&["CLIENT", "KILL", "ID", "17"]));
}

#[test]
fn a_connection_that_breaks_before_the_old_one_is_dead_leaves_that_to_the_next() {
    let (mut s, _) = doubt(fenced());
    accept_as(&mut s, 21, A);
    assert_eq!(s.written(A), wire(&KILL));
    s.reset(A);
    for _ in 0..300 {
        s.tick(1);
    }
    accept_as(&mut s, 30, A);
    assert_eq!(s.written(A), wire(&KILL), "21 had been used for nothing");
}

#[test]
fn nobody_else_is_ended() {
    // The process was started anew: it counts from one again.
    let (mut s, new) = doubt(fenced());
    accept_as(&mut s, 3, A);
    assert!(s.written(A).ends_with(&wire(&["SET", &key_of(A, 1), "new"])));
    assert_eq!(s.result(new, 0), "pending");
    // The address is another node's.
    let (mut s, _) = doubt(fenced());
    accept_as(&mut s, 21, B);
    assert!(!s.is_open(A), "known by another id");
    // Nothing was in doubt.
    let (mut s, _) = doubt(fenced());
    accept_as(&mut s, 21, A);
    s.written(A);
    s.reply(A, ":1\r\n");
    s.written(A);
    s.reply(A, "+OK\r\n");
    while s.engine.stats().in_flight > 0 {
        s.reply(A, slots_reply(&THIRDS));
    }
    s.reset(A);
    s.send(&set(&key_of(A, 1), "next"));
    s.tick(100);
    accept_as(&mut s, 25, A);
    assert!(s.written(A).ends_with(&wire(&["SET", &key_of(A, 1), "next"])));
}

#[test]
fn without_the_setting_nothing_is_ended() {
    for config in [config(), Config { broken: Broken::only(Rule::FencedReconnect), ..fenced() }] {
        let (mut s, _) = doubt(config);
        accept_as(&mut s, 21, A);
        assert!(s.written(A).ends_with(&wire(&["SET", &key_of(A, 1), "new"])), "at once");
    }
}
