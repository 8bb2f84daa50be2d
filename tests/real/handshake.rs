//! Who is let in, in which protocol, and what is said to those who are not.

use std::time::Instant;

use panpipe::command::cmd;
use panpipe::config::{Endpoint, Protocol, Secret};
use panpipe::{Client, Config, ErrorKind, Outcome};

use crate::servers::{Cluster, ClusterOptions, Server, Version};
use crate::transport;

const PASSWORD: &str = "correct horse";

fn seeds(cluster: &Cluster) -> Config {
    let seeds =
        cluster.addresses().into_iter().map(|address| address.parse::<Endpoint>().expect("an address"));
    Config::from_seeds(seeds)
}

fn guarded(version: Version) -> Cluster {
    let options = ClusterOptions { password: Some(PASSWORD.to_owned()), ..ClusterOptions::default() };
    Cluster::start_with(version, 3, 0, options)
}

/// Writes and reads across all nodes.
fn check_in_use(client: &mut Client) {
    let mut pipe = client.pipeline();
    let tickets: Vec<_> = (0..300)
        .map(|n| {
            pipe.call::<()>(cmd("SET").key(format!("key:{n}")).arg(n));
            (n, pipe.call::<Option<i64>>(cmd("GET").key(format!("key:{n}"))))
        })
        .collect();
    let hash = pipe.call::<i64>(cmd("HSET").key("a hash").arg("f").arg("v"));
    let fields = pipe.call::<std::collections::BTreeMap<String, String>>(cmd("HGETALL").key("a hash"));
    let replies = pipe.flush().expect("flush");
    for (n, ticket) in tickets {
        assert_eq!(replies.get(ticket).expect("GET"), Some(n));
    }
    assert_eq!(replies.get(hash).expect("HSET"), 1);
    assert_eq!(replies.get(fields).expect("HGETALL").get("f").map(String::as_str), Some("v"));
}

pub(crate) fn a_wrong_password_is_told_at_once(version: Version) {
    let cluster = guarded(version);
    let began = Instant::now();
    let mut config = seeds(&cluster);
    config.password = Some(Secret::new("wrong"));
    let error = transport::connect_with(config).expect_err("the password is wrong");
    assert!(matches!(error.kind(), ErrorKind::Auth(server) if server.code() == "WRONGPASS"), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    assert!(!error.to_string().contains("wrong\""), "no password in the message: {error}");
    let error = transport::connect_with(seeds(&cluster)).expect_err("the password is missing");
    assert!(matches!(error.kind(), ErrorKind::Auth(server) if server.code() == "NOAUTH"), "{error:?}");
    assert!(began.elapsed().as_secs() < 5, "a refusal needs no deadline to be noticed");
}

pub(crate) fn the_right_password_lets_in(version: Version) {
    let cluster = guarded(version);
    for protocol in [Protocol::Resp3, Protocol::Resp2] {
        for username in [None, Some("default".to_owned())] {
            let mut config = seeds(&cluster);
            config.password = Some(Secret::new(PASSWORD));
            config.username = username;
            config.protocol = protocol;
            config.client_name = Some("panpipe-test".to_owned());
            let mut client = transport::connect_with(config).expect("connect");
            let name: String = client
                .call(cmd("CLIENT").arg("GETNAME").route(panpipe::command::Route::AnyPrimary))
                .expect("GETNAME");
            assert_eq!(name, "panpipe-test");
        }
    }
}

pub(crate) fn resp2_alone_is_enough(version: Version) {
    let cluster = Cluster::start(version, 3, 0);
    let mut config = seeds(&cluster);
    config.protocol = Protocol::Resp2;
    check_in_use(&mut transport::connect_with(config).expect("connect"));
}

pub(crate) fn a_server_without_hello_is_spoken_to_in_resp2(version: Version) {
    let args = ["--rename-command", "HELLO", "NOT-HELLO"].map(str::to_owned).to_vec();
    let cluster = Cluster::start_with(
        version,
        3,
        0,
        ClusterOptions { args, password: Some(PASSWORD.to_owned()), ..ClusterOptions::default() },
    );
    let mut config = seeds(&cluster);
    config.password = Some(Secret::new(PASSWORD));
    check_in_use(&mut transport::connect_with(config).expect("connect"));
}

pub(crate) fn a_plain_server_is_refused_as_a_seed(version: Version) {
    let server = Server::start(version, &[]);
    for protocol in ["3", "2"] {
        let error =
            transport::connect(&format!("{}?protocol={protocol}", server.url())).expect_err("no cluster");
        assert!(matches!(error.kind(), ErrorKind::NotCluster { .. }), "protocol {protocol}: {error:?}");
        assert!(error.to_string().contains(&server.address().to_string()), "{error}");
    }
}

pub(crate) fn one_reachable_seed_is_enough(version: Version) {
    let cluster = Cluster::start(version, 3, 0);
    // Port 1 refuses; the name resolves to loopback.
    let live = cluster.addresses()[1].replace("127.0.0.1", "localhost");
    let began = Instant::now();
    let mut client =
        transport::connect(&format!("redis://127.0.0.1:1,{live}")).expect("one seed is reachable");
    assert!(began.elapsed().as_secs() < 2);
    check_in_use(&mut client);
    assert_eq!(client.nodes().len(), 3, "the seed by name and the node by address are one");
    assert_eq!(client.stats().total.connects, 4, "the dead seed, and each node once");
}
