//! The test support against itself: on each of the four releases a cluster starts, can be read, resharded, broken
//! and mended by hand. What becomes of the processes is in `servers_end.rs`.

mod servers;

use servers::{Cluster, ClusterOptions, Permits, Server, Value, Version, View};

#[test]
fn redis_6_2_starts_reshards_fails_over_and_recovers() {
    live_through_everything(Version::Redis62);
}

#[test]
fn redis_7_0_starts_reshards_fails_over_and_recovers() {
    live_through_everything(Version::Redis70);
}

#[test]
fn redis_8_2_starts_reshards_fails_over_and_recovers() {
    live_through_everything(Version::Redis82);
}

#[test]
fn valkey_9_1_starts_reshards_fails_over_and_recovers() {
    live_through_everything(Version::Valkey91);
}

fn live_through_everything(version: Version) {
    let cluster = Cluster::start(version, 3, 3);
    let pids: Vec<u32> = cluster.nodes().iter().filter_map(|node| node.server.pid()).collect();
    assert_eq!(pids.len(), 6);

    starts_as_asked(&cluster);
    serves_each_key_at_its_owner_only(&cluster);
    moves_a_slot_by_hand(&cluster, version);
    promotes_a_replica(&cluster);
    survives_a_kill(&cluster);
    stands_still_while_stopped(&cluster);

    drop(cluster);
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    }
}

fn starts_as_asked(cluster: &Cluster) {
    for node in 0..6 {
        let view = cluster.view(node);
        assert_eq!((view.nodes.len(), view.covered()), (6, 16_384));
    }
    assert_eq!(cluster.primaries(), [0, 1, 2]);
    assert_eq!([3, 4, 5].map(|replica| cluster.primary_of(replica)), [Some(0), Some(1), Some(2)]);
    assert_eq!(cluster.replicas_of(1), [4]);
    assert_eq!([0, 5461, 16_383].map(|slot| cluster.owner_of(slot)), [0, 1, 2]);
}

fn serves_each_key_at_its_owner_only(cluster: &Cluster) {
    for number in 0..30 {
        let key = format!("key:{number}");
        let slot = slot_of(cluster, &key);
        let owner = cluster.owner_of(slot);
        assert_eq!(cluster.call(owner, &["SET", &key, "v"]), ok());
        assert_eq!(cluster.call(owner, &["GET", &key]).bytes(), Some(&b"v"[..]));
        let moved = cluster.call((owner + 1) % 3, &["GET", &key]);
        assert_eq!(moved.error(), Some(&*redirect(cluster, "MOVED", slot, owner)));
    }
}

fn moves_a_slot_by_hand(cluster: &Cluster, version: Version) {
    let slot = slot_of(cluster, "{moving}");
    let from = cluster.owner_of(slot);
    let to = (from + 1) % 3;
    let keys: Vec<String> = (0..10).map(|number| format!("{{moving}}{number}")).collect();
    for key in &keys {
        assert_eq!(cluster.call(from, &["SET", key, key]), ok());
    }

    cluster.set_migrating(slot, from, to);
    assert_eq!(cluster.migrate_keys(slot, 4), 4);
    let (here, gone): (Vec<_>, Vec<_>) =
        keys.iter().partition(|key| cluster.call(from, &["GET", key]).error().is_none());
    assert_eq!((here.len(), gone.len()), (6, 4));
    let ask = redirect(cluster, "ASK", slot, to);
    assert_eq!(cluster.call(from, &["GET", gone[0]]).error(), Some(&*ask));
    // 6.2 sends a command on torn keys away, where it meets TRYAGAIN; later releases say so themselves.
    let split = cluster.call(from, &["MGET", here[0], gone[0]]);
    let tryagain = if version == Version::Redis62 { &ask } else { "TRYAGAIN" };
    assert!(split.error().is_some_and(|text| text.starts_with(tryagain)), "{split:?}");
    let mut asking = cluster.connect(to).unwrap();
    assert_eq!(asking.call(&["ASKING"]).unwrap(), ok());
    assert_eq!(asking.call(&["GET", gone[0]]).unwrap().text(), Some(gone[0].as_str()));
    assert_eq!(cluster.owner_of(slot), from);

    cluster.finish(slot);
    assert_eq!(cluster.owner_of(slot), to);
    for key in &keys {
        assert_eq!(cluster.call(to, &["GET", key]).text(), Some(key.as_str()));
    }
    let moved = cluster.call(from, &["GET", &keys[0]]);
    assert_eq!(moved.error(), Some(&*redirect(cluster, "MOVED", slot, to)));
    cluster.wait_agreed();
    cluster.move_slot(slot, to, from);
    cluster.wait_agreed();
    assert_eq!(cluster.owner_of(slot), from);
}

fn promotes_a_replica(cluster: &Cluster) {
    cluster.failover(3);
    assert_eq!(cluster.owner_of(0), 3);
    assert_eq!(cluster.view(5).owners()[0].2, cluster.nodes()[3].id, "everybody knows");
    cluster.wait_healthy();
    assert_eq!(cluster.primary_of(0), Some(3));
    cluster.failover(0);
    cluster.wait_healthy();
    assert_eq!(cluster.primaries(), [0, 1, 2]);
}

fn survives_a_kill(cluster: &Cluster) {
    let key = (0..).map(|number| format!("kept:{number}"));
    let key = key.into_iter().find(|key| cluster.owner_of(slot_of(cluster, key)) == 2).unwrap();
    cluster.call(2, &["SET", &key, "v"]).expect(&"SET");
    assert_eq!(cluster.call(2, &["WAIT", "1", "5000"]).integer(), Some(1));

    cluster.kill(2);
    assert_eq!(cluster.responsive(), [0, 1, 3, 4, 5]);
    assert!(cluster.try_call(2, &["PING"]).is_err());
    cluster.wait_promoted(5);
    assert_eq!(cluster.call(5, &["GET", &key]).text(), Some("v"));

    let port = cluster.nodes()[2].server.port();
    cluster.restart(2);
    cluster.wait_healthy();
    assert_eq!((cluster.primary_of(2), cluster.nodes()[2].server.port()), (Some(5), port));
}

fn stands_still_while_stopped(cluster: &Cluster) {
    let mut connection = cluster.connect(1).unwrap();
    cluster.stop(1);
    assert_eq!(cluster.responsive(), [0, 2, 3, 4, 5]);
    connection.set_timeout(std::time::Duration::from_millis(100)).unwrap();
    assert!(connection.call(&["PING"]).is_err());
    cluster.cont(1);
    cluster.wait_healthy();
    assert_eq!(cluster.call(1, &["PING"]), Value::Status("PONG".into()));
}

#[test]
fn a_password_is_in_the_url_and_does_not_hinder_resharding() {
    let options = ClusterOptions { password: Some("secret".into()), ..Default::default() };
    let cluster = Cluster::start_with(Version::Redis70, 2, 0, options);
    assert!(cluster.url().starts_with("redis://:secret@127.0.0.1:"), "{}", cluster.url());
    assert_eq!(cluster.url().matches("127.0.0.1").count(), 2);
    let mut stranger =
        servers::Connection::open(cluster.nodes()[0].server.address(), servers::PATIENCE).unwrap();
    let refused = stranger.call(&["PING"]).unwrap();
    assert!(refused.error().is_some_and(|text| text.starts_with("NOAUTH")), "{refused:?}");

    let slot = slot_of(&cluster, "k");
    let from = cluster.owner_of(slot);
    cluster.call(from, &["SET", "k", "v"]).expect(&"SET");
    cluster.move_slot(slot, from, 1 - from);
    assert_eq!(cluster.call(1 - from, &["GET", "k"]).text(), Some("v"));
}

#[test]
fn without_full_coverage_a_dead_primary_takes_its_own_slots_only() {
    let options = ClusterOptions { require_full_coverage: false, node_timeout_ms: 500, ..Default::default() };
    let cluster = Cluster::start_with(Version::Valkey91, 3, 0, options);
    let key = (0..).map(|number| number.to_string());
    let key = key.into_iter().find(|key| cluster.owner_of(slot_of(&cluster, key)) == 0).unwrap();
    cluster.kill(1);
    let dead = cluster.nodes()[1].id.clone();
    servers::wait_until("the others to notice", servers::PATIENCE, || {
        let view = cluster.view(0);
        let seen = view.node(&dead).unwrap();
        if seen.has_flag("fail") { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    cluster.wait_agreed();
    assert_eq!(cluster.call(0, &["SET", &key, "v"]), ok());
}

#[test]
fn valkey_moves_slots_by_itself_and_nodes_come_and_go() {
    let mut cluster = Cluster::start(Version::Valkey91, 2, 0);
    assert_eq!(cluster.add_node(), 2);
    cluster.call(1, &["SET", "foo", "v"]).expect(&"SET"); // slot 12182
    cluster.move_slots_atomically(12_000, 12_999, 1, 2);
    cluster.wait_healthy();
    assert_eq!(cluster.call(2, &["GET", "foo"]).text(), Some("v"));
    cluster.move_slots_atomically(12_000, 12_999, 2, 0);
    cluster.wait_healthy();
    cluster.forget(2);
    cluster.wait_healthy();
    assert_eq!(cluster.view(0).nodes.len(), 2);
}

#[test]
fn resp3_replies_and_pushes_are_told_apart() {
    let server = Server::start(Version::Redis82, &[]);
    let mut connection = server.connect().unwrap();
    assert!(matches!(connection.call(&["HELLO", "3"]).unwrap(), Value::Map(_)));
    assert_eq!(connection.call(&["GET", "absent"]).unwrap(), Value::Null);
    connection.send(&["SUBSCRIBE", "news"]).unwrap();
    assert!(matches!(connection.read().unwrap(), Value::Push(_)));
    assert_eq!(server.call(&["PUBLISH", "news", "x"]), Value::Integer(1));
    assert_eq!(connection.call(&["PING"]).unwrap(), Value::Status("PONG".into()));
    assert_eq!(connection.pushes.pop_front().unwrap().items()[2].text(), Some("x"));
}

#[test]
fn every_kind_of_reply_is_read() {
    let read = |wire: &str| match Value::parse(wire.as_bytes()) {
        Ok((value, b"")) => value,
        other => panic!("{wire:?} gives {other:?}"),
    };
    assert_eq!(read("$3\r\na\r\n\r\n").bytes(), Some(&b"a\r\n"[..]));
    assert_eq!(read("*2\r\n:-1\r\n$-1\r\n"), Value::Array(vec![Value::Integer(-1), Value::Null]));
    assert_eq!(read("%1\r\n+k\r\n_\r\n"), Value::Map(vec![(Value::Status("k".into()), Value::Null)]));
    assert_eq!(read("~1\r\n#t\r\n").items(), [Value::Boolean(true)]);
    assert_eq!(read("=5\r\ntxt:x\r\n"), Value::Verbatim("x".into()));
    assert_eq!(read("!5\r\nERR x\r\n").error(), Some("ERR x"));
    assert_eq!(read("|1\r\n+ttl\r\n:3\r\n,1.5\r\n"), Value::Double(1.5));
    assert_eq!(read(">1\r\n(12\r\n"), Value::Push(vec![Value::BigNumber("12".into())]));
    for wire in ["", "\r\n", "?\r\n", ":x\r\n", "+no end", "$3\r\nab"] {
        assert!(Value::parse(wire.as_bytes()).is_err(), "{wire:?}");
    }
}

#[test]
fn views_are_read_with_everything_that_may_stand_in_them() {
    let view = View::parse(
        "aa 127.0.0.1:7000@17000,host myself,master - 0 0 3 connected 0-5 7 [7->-bb] [9-<-bb]\n\
         bb :7001@17001 slave,fail? aa 1 2 3 disconnected\n",
    );
    let (primary, replica) = (view.myself(), view.node("bb").unwrap());
    assert_eq!((primary.port, primary.config_epoch, &primary.slots[..]), (7000, 3, &[(0, 5), (7, 7)][..]));
    assert!(primary.is_primary() && primary.is_well() && primary.owns(7) && !primary.owns(9));
    assert!(!replica.is_well() && replica.primary_id.as_deref() == Some("aa"));
    assert_eq!((view.covered(), view.owners()), (7, vec![(0, 5, "aa"), (7, 7, "aa")]));
}

#[test]
fn no_more_clusters_run_than_there_are_permits() {
    let permits = Permits::new(2);
    let (first, _second) = (permits.take(), permits.take());
    assert!(permits.try_take().is_none());
    std::thread::scope(|scope| {
        let third = scope.spawn(|| drop(permits.take()));
        drop(first);
        third.join().unwrap();
    });
    assert!(permits.try_take().is_some());
}

fn ok() -> Value {
    Value::Status("OK".into())
}

fn slot_of(cluster: &Cluster, key: &str) -> u16 {
    let slot = cluster.call(0, &["CLUSTER", "KEYSLOT", key]).integer();
    slot.and_then(|slot| slot.try_into().ok()).expect("a slot")
}

fn redirect(cluster: &Cluster, kind: &str, slot: u16, to: usize) -> String {
    format!("{kind} {slot} {}", cluster.nodes()[to].server.address())
}
