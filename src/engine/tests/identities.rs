//! Who answers at an address: nothing leaves before the node has told its id, and addresses that changed hands lead to whoever is there now.

use super::views::slots;
use super::*;
use crate::config::Protocol;

const HELLO_REPLY: &str = "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n";

fn id(port: u16) -> String {
    format!("{port:040}")
}

/// The connection is made; the answer is what is written on it.
fn connect(s: &mut Script, port: u16) -> Vec<u8> {
    s.dials.retain(|dialled| *dialled != port);
    let conn = s.dialled.remove(&port).expect("dialled");
    s.conns.insert(port, conn);
    s.engine.handle_connected(conn, s.now);
    s.written(port)
}

/// The server there tells this id.
fn accept_as(s: &mut Script, port: u16, id: &str) {
    connect(s, port);
    s.reply(port, format!("{HELLO_REPLY}$40\r\n{id}\r\n"));
}

/// A script that has dialled its only seed and nothing else.
fn fresh(config: Config) -> Script {
    let now = Timestamp::from_nanos(1_000_000_000);
    let engine = Engine::new(config, now).expect("seeds");
    let mut s = Script { engine, now, conns: BTreeMap::new(), dials: Vec::new(), dialled: BTreeMap::new() };
    s.tick(0);
    s
}

/// As `slots_reply`: the thirds, and at which port the node of each is now.
fn thirds_at(ports: [u16; 3]) -> String {
    let mut reply = "*3\r\n".to_owned();
    for ((start, end, node), port) in THIRDS.into_iter().zip(ports) {
        reply += &format!("*3\r\n:{start}\r\n:{end}\r\n*3\r\n$1\r\nh\r\n:{port}\r\n$40\r\n{}\r\n", id(node));
    }
    reply
}

/// What a while of a cluster came to whose nodes have other addresses now.
#[derive(Default)]
struct Heard {
    dials: usize,
    /// What callers' commands each port was sent.
    commands: BTreeMap<u16, Vec<u8>>,
}

/// Time passes; the nodes are at these ports, and tell the view.
fn live(s: &mut Script, ms: u64, ports: [u16; 3], view: &str) -> Heard {
    let mut heard = Heard::default();
    for _ in 0..ms {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            heard.dials += 1;
            let node = ports.iter().zip([A, B, C]).find(|(at, _)| **at == port).expect("a node").1;
            accept_as(s, port, &id(node));
        }
        for port in s.conns.keys().copied().collect::<Vec<_>>() {
            match s.written(port) {
                bytes if bytes.is_empty() => {}
                bytes if bytes == slots() => s.reply(port, view),
                bytes => {
                    let replies = bytes.windows(4).filter(|window| window == b"SET\r").count();
                    heard.commands.entry(port).or_default().extend(&bytes);
                    s.reply(port, "+OK\r\n".repeat(replies));
                    if bytes.ends_with(&slots()) {
                        s.reply(port, view);
                    }
                }
            }
        }
    }
    heard
}

#[test]
fn nothing_leaves_before_the_node_has_told_its_id() {
    let mut s = Script::start();
    let key = key_of(B, 1);
    let first = s.send(&set(&key, "v"));
    accept_as(&mut s, B, &id(B));
    assert_eq!(s.written(B), wire(&["SET", &key, "v"]));
    s.reply(B, "+OK\r\n");
    s.reset(B);
    let second = s.send(&set(&key, "v"));
    while !s.dials.contains(&B) {
        s.tick(1);
    }
    connect(&mut s, B);
    s.reply(B, HELLO_REPLY);
    assert_eq!(s.written(B), b"", "it may be anybody");
    s.reply(B, format!("$40\r\n{}\r\n", "f".repeat(40)));
    assert!(!s.is_open(B));
    assert_eq!(
        [s.result(first, 0), s.result(second, 0)],
        ["+OK\\r\\n", "pending"],
        "it did not run anywhere"
    );
}

#[test]
fn a_node_that_does_not_tell_its_id_is_used_unless_it_is_about_to() {
    for (reply, used) in [
        ("-ERR unknown command 'CLUSTER'\r\n", true),
        ("-NOPERM this user has no permissions to run 'cluster|myid'\r\n", true),
        ("-LOADING Redis is loading the dataset in memory\r\n", false),
        (
            "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
            false,
        ),
    ] {
        let mut s = Script::start();
        let key = key_of(B, 1);
        let batch = s.send(&set(&key, "v"));
        connect(&mut s, B);
        s.reply(B, HELLO_REPLY);
        s.reply(B, reply);
        let expected = if used { wire(&["SET", &key, "v"]) } else { Vec::new() };
        assert_eq!((s.is_open(B), s.written(B)), (used, expected), "{reply}");
        assert_eq!(s.result(batch, 0), "pending");
    }
}

#[test]
fn in_resp2_the_id_is_asked_for_in_the_same_write_and_waited_for() {
    let mut config = config();
    config.protocol = Protocol::Resp2;
    let mut s = fresh(config);
    let asks_id = wires(&[&["CLIENT", "SETNAME", ""], &["CLUSTER", "MYID"]]);
    assert_eq!(connect(&mut s, A), asks_id);
    s.reply(A, "+OK\r\n");
    s.tick(10);
    assert_eq!(s.written(A), b"");
    s.reply(A, format!("$40\r\n{}\r\n", id(A)));
    s.tick(0);
    assert_eq!(s.written(A), slots());

    // A server without HELLO.
    let mut s = fresh(super::config());
    connect(&mut s, A);
    s.reply(A, "-ERR unknown command 'HELLO'\r\n+OK\r\n+OK\r\n");
    s.reply(A, format!("$40\r\n{}\r\n", id(A)));
    assert_eq!(s.written(A), asks_id);
    s.reply(A, "+OK\r\n");
    s.tick(10);
    assert_eq!(s.written(A), b"");
    s.reply(A, format!("$40\r\n{}\r\n", id(A)));
    s.tick(0);
    assert_eq!(s.written(A), slots());
}

#[test]
fn nodes_that_exchanged_all_their_addresses_are_found_again() {
    for seeds in [vec![A], vec![A, B, C], vec![B]] {
        let mut config = config();
        config.seeds = seeds.iter().map(|&port| Endpoint::new("h", port)).collect();
        let mut s = fresh(config);
        accept_as(&mut s, seeds[0], &id(seeds[0]));
        s.tick(0);
        s.written(seeds[0]);
        s.reply(seeds[0], slots_reply(&THIRDS));
        assert!(s.engine.has_topology());
        s.reset(seeds[0]);
        let keys = [A, B, C].map(|port| key_of(port, 1));
        let batch = s.batch();
        for key in &keys {
            s.submit(batch, &set(key, "v"));
        }
        s.flush(batch);
        let ports = [B, C, A];
        let heard = live(&mut s, 4_000, ports, &thirds_at(ports));
        for (n, (key, port)) in keys.iter().zip(ports).enumerate() {
            assert_eq!(s.result(batch, n as u32), "+OK\\r\\n", "{seeds:?}");
            let sent = String::from_utf8_lossy(&heard.commands[&port]).into_owned();
            assert!(sent.contains(key.as_str()), "{seeds:?}: {key} goes where its node is: {sent}");
            assert_eq!(sent.matches("SET\r").count(), 1, "{seeds:?}: and nothing else does: {sent}");
        }
        assert!(heard.dials <= 12, "{seeds:?}: {} attempts", heard.dials);
        s.assert_empty();
    }
}

#[test]
fn while_views_still_tell_the_old_addresses_nothing_goes_to_the_wrong_node() {
    let mut s = Script::start();
    let keys = [B, C].map(|port| key_of(port, 1));
    let batch = s.batch();
    for key in &keys {
        s.submit(batch, &set(key, "v"));
    }
    s.flush(batch);
    // B and C have come back with each other's addresses; A has not heard of it.
    let ports = [A, C, B];
    let heard = live(&mut s, 2_000, ports, &slots_reply(&THIRDS));
    assert!(heard.dials < 40, "{} attempts", heard.dials);
    let later = live(&mut s, 2_500, ports, &thirds_at(ports));
    for (n, (key, wrong)) in keys.iter().zip([B, C]).enumerate() {
        assert_eq!(s.result(batch, n as u32), "+OK\\r\\n");
        for heard in [&heard, &later] {
            let sent = heard.commands.get(&wrong).cloned().unwrap_or_default();
            assert!(!String::from_utf8_lossy(&sent).contains(key.as_str()));
        }
    }
}

#[test]
fn a_seed_may_answer_as_anybody() {
    for waits in [false, true] {
        let mut s = fresh(config());
        accept_as(&mut s, A, &"e".repeat(40));
        s.reset(A);
        let batch =
            waits.then(|| s.send(&cmd("PING").route(crate::command::Route::Node(Endpoint::new("h", A)))));
        while !s.dials.contains(&A) {
            s.tick(1);
        }
        let before = s.now;
        // It had another id before there was any view.
        for _ in 0..2_000 {
            if s.engine.has_topology() {
                break;
            }
            s.tick(1);
            if s.dials.contains(&A) {
                accept_as(&mut s, A, &id(A));
            }
            if s.is_open(A) && s.written(A) == slots() {
                s.reply(A, slots_reply(&THIRDS));
            }
        }
        assert!(s.engine.has_topology(), "waits: {waits}");
        assert!(s.now.since(before).as_millis() < 500, "waits: {waits}");
        if let Some(batch) = batch {
            assert_eq!(s.result(batch, 0), "pending", "it was meant for the node that was there");
        }
        let batch = s.send(&set(&key_of(A, 1), "v"));
        assert_eq!(s.written(A), wire(&["SET", &key_of(A, 1), "v"]));
        s.reply(A, "+OK\r\n");
        assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    }
}

#[test]
fn another_cluster_at_a_node_s_address_is_not_believed() {
    let mut config = config();
    config.command_timeout_ms = 60_000;
    let mut s = Script::start_with(config);
    s.send(&get(&key_of(B, 1)));
    s.reset(A);
    s.send(&set(&key_of(A, 1), "v"));
    let stranger = "f".repeat(40);
    let view = slots_reply(&[(0, 16383, B)]).replace(&id(B), &stranger);
    let mut asked = 0;
    for _ in 0..20_000 {
        s.tick(1);
        for port in std::mem::take(&mut s.dials) {
            match port {
                B => accept_as(&mut s, B, &stranger),
                other => {
                    s.dials.push(other);
                    s.refuse(other);
                }
            }
        }
        if s.is_open(B) {
            match s.written(B) {
                bytes if bytes.is_empty() => {}
                bytes => {
                    assert_eq!(bytes, slots(), "nothing of a caller's");
                    asked += 1;
                    s.reply(B, &view);
                }
            }
        }
    }
    assert_eq!(s.engine.stats().refreshes, 1, "asked {asked} times");
    assert!((1..60).contains(&asked), "{asked}");
    assert_eq!(s.engine.slot_owner(0).map(|at| at.port), Some(A));
}

#[test]
fn a_reply_that_belongs_to_nobody_is_not_taken_for_an_id() {
    let mut s = fresh(config());
    connect(&mut s, A);
    s.reply(A, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+STRAY\r\n+OK\r\n+OK\r\n");
    assert!(!s.is_open(A), "the third reply behind HELLO is that to SETINFO");
    while s.dials.is_empty() {
        s.tick(100);
    }
    accept_as(&mut s, A, &id(A));
    s.tick(0);
    assert_eq!(s.written(A), slots(), "and the node is known by its own id then");
}
