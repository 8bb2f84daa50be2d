//! The model behind real sockets: what a client on the wire sees.

#![cfg(feature = "testkit")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use panpipe::testkit::{EmbeddedCluster, Quirk};

/// A connection that sends words and reads a known number of bytes.
struct Wire(TcpStream);

impl Wire {
    fn open(cluster: &EmbeddedCluster, node: usize) -> Wire {
        let stream = TcpStream::connect(cluster.addresses()[node]).expect("the node listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        stream.set_nodelay(true).expect("the option exists");
        Wire(stream)
    }

    fn send(&mut self, lines: &[&str]) {
        let mut bytes = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
            words.iter().for_each(|word| bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes()));
        }
        self.0.write_all(&bytes).expect("the server reads");
    }

    #[track_caller]
    fn expect(&mut self, answer: &str) {
        let mut read = vec![0; answer.len()];
        self.0.read_exact(&mut read).expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&read), answer);
    }

    fn is_silent(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let read = self.0.read(&mut [0]);
        self.0.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    fn is_ended(&mut self) -> bool {
        !matches!(self.0.read(&mut [0]), Ok(1..))
    }
}

#[test]
fn a_slot_moves_under_a_client() {
    let cluster = EmbeddedCluster::builder().primaries(2).start().expect("sockets");
    let mut first = Wire::open(&cluster, 0);
    let port = cluster.addresses()[1].port();
    first.send(&["SET bar 1", "GET bar", "GET foo"]);
    first.expect(&format!("+OK\r\n$1\r\n1\r\n-MOVED 12182 127.0.0.1:{port}\r\n"));
    cluster.with(|model| model.move_slot(5061, 1));
    first.send(&["GET bar"]);
    first.expect(&format!("-MOVED 5061 127.0.0.1:{port}\r\n"));
    let mut second = Wire::open(&cluster, 1);
    second.send(&["GET bar"]);
    second.expect("$1\r\n1\r\n");
}

#[test]
fn a_dead_node_refuses_and_comes_back_on_its_port() {
    let cluster = EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    let mut wire = Wire::open(&cluster, 0);
    wire.send(&["SET k v"]);
    wire.expect("+OK\r\n");
    let address = cluster.addresses()[0];
    cluster.kill(0);
    assert!(wire.is_ended());
    assert!(TcpStream::connect(address).is_err());
    cluster.restart(0);
    assert_eq!(cluster.addresses()[0], address);
    let mut wire = Wire::open(&cluster, 0);
    wire.send(&["GET k"]);
    wire.expect("$1\r\nv\r\n");
}

#[test]
fn a_frozen_node_accepts_and_answers_later() {
    let cluster = EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    let mut before = Wire::open(&cluster, 0);
    before.send(&["PING"]);
    before.expect("+PONG\r\n");
    cluster.freeze(0);
    let mut during = Wire::open(&cluster, 0);
    before.send(&["ECHO a"]);
    during.send(&["ECHO b"]);
    assert!(before.is_silent());
    assert!(during.is_silent());
    cluster.thaw(0);
    before.expect("$1\r\na\r\n");
    during.expect("$1\r\nb\r\n");
}

#[test]
fn a_delay_is_paid_once_by_what_arrives_together_and_by_all_connections_at_once() {
    let cluster = EmbeddedCluster::builder().primaries(1).delay_ms(150).start().expect("sockets");
    let mut wires: Vec<Wire> = (0..8).map(|_| Wire::open(&cluster, 0)).collect();
    let start = Instant::now();
    for wire in &mut wires {
        wire.send(&["PING", "PING"]);
    }
    // A second chunk in the middle of the delay of the first is late by its own delay only.
    std::thread::sleep(Duration::from_millis(75));
    wires[0].send(&["ECHO x"]);
    for wire in &mut wires {
        wire.expect("+PONG\r\n+PONG\r\n");
    }
    let first = start.elapsed();
    wires[0].expect("$1\r\nx\r\n");
    let second = start.elapsed();
    assert!(first >= Duration::from_millis(150), "{first:?}");
    assert!(first < Duration::from_millis(290), "{first:?}");
    assert!(second >= Duration::from_millis(225), "{second:?}");
    assert!(second < Duration::from_millis(299), "{second:?}");
    cluster.set_delay_ms(0, 0);
    wires[1].send(&["PING"]);
    wires[1].expect("+PONG\r\n");
}

#[test]
fn late_answers_arrive_before_the_end_of_the_connection() {
    let cluster = EmbeddedCluster::builder().primaries(1).delay_ms(60).start().expect("sockets");
    let mut wire = Wire::open(&cluster, 0);
    wire.send(&["PING", "QUIT"]);
    wire.expect("+PONG\r\n+OK\r\n");
    assert!(wire.is_ended());
}

#[test]
fn a_node_has_quirks_at_the_commands_they_were_planned_for() {
    let cluster = EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    cluster.with(|model| {
        model.quirk(0, "get k", 2, Quirk::Say(b"+no\r\n".to_vec()));
        model.quirk(0, "INCR", 1, Quirk::Mute);
        model.quirk(0, "INCR", 1, Quirk::Before(b">1\r\n+x\r\n".to_vec()));
        model.quirk(0, "ECHO", 1, Quirk::Behind(b"+extra\r\n".to_vec()));
        model.quirk(0, "PING", 1, Quirk::First(|model| model.refusals_mut(0).loading = true));
        model.quirk(0, "STRLEN", 1, Quirk::Cut(1));
    });
    let mut wire = Wire::open(&cluster, 0);
    wire.send(&["GET k", "SET k 1", "GET k", "GET k", "GET other", "INCR k", "INCR k", "ECHO a"]);
    wire.expect("+no\r\n+OK\r\n+no\r\n$1\r\n1\r\n$-1\r\n>1\r\n+x\r\n:3\r\n$1\r\na\r\n+extra\r\n");
    wire.send(&["PING", "GET k"]);
    wire.expect(&"-LOADING Redis is loading the dataset in memory\r\n".repeat(2));
    cluster.with(|model| model.set_loading(0, false));
    cluster.set_piece_bytes(0, 1);
    wire.send(&["GET k", "STRLEN k", "GET k"]);
    wire.expect("$1\r\n3\r\n:");
    assert!(wire.is_ended());
    let mut wire = Wire::open(&cluster, 0);
    cluster.with(|model| model.hang_up_within_command(0, 5));
    wire.send(&["SET k 4"]);
    wire.expect("+OK\r\n");
    wire.0.write_all(b"*2\r\n$3\r\nGET").expect("the server reads");
    assert!(wire.is_ended());
}

#[test]
fn a_node_that_joins_listens() {
    let cluster = EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    let node = cluster.add_node();
    cluster.with(|model| model.move_slot(12182, node));
    let mut wire = Wire::open(&cluster, node);
    wire.send(&["SET foo v"]);
    wire.expect("+OK\r\n");
    cluster.with(|model| model.remove_node(node));
    assert!(wire.is_ended());
    assert_eq!(cluster.addresses().len(), 1);
}

#[test]
fn a_full_node_says_so_and_closes() {
    let builder = EmbeddedCluster::builder().primaries(1).configure(|config| config.clients_max = 1);
    let cluster = builder.start().expect("sockets");
    let mut first = Wire::open(&cluster, 0);
    first.send(&["PING"]);
    first.expect("+PONG\r\n");
    let mut second = Wire::open(&cluster, 0);
    second.expect("-ERR max number of clients reached\r\n");
    assert!(second.is_ended());
    first.send(&["QUIT"]);
    first.expect("+OK\r\n");
    assert!(first.is_ended());
}

#[test]
fn another_session_kills_a_connection() {
    let cluster = EmbeddedCluster::builder().primaries(1).start().expect("sockets");
    let (mut first, mut second) = (Wire::open(&cluster, 0), Wire::open(&cluster, 0));
    first.send(&["CLIENT ID"]);
    first.expect(":1\r\n");
    second.send(&["CLIENT KILL ID 1", "CLIENT KILL ID 1"]);
    second.expect(":1\r\n:0\r\n");
    assert!(first.is_ended());
}

#[test]
fn dropping_the_cluster_ends_everything_quickly() {
    let cluster =
        EmbeddedCluster::builder().primaries(3).replicas(1).delay_ms(60_000).start().expect("sockets");
    let mut wires: Vec<Wire> = (0..6).map(|node| Wire::open(&cluster, node)).collect();
    wires.iter_mut().for_each(|wire| wire.send(&["PING"]));
    cluster.freeze(1);
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    drop(cluster);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(wires.iter_mut().all(Wire::is_ended));
}
