//! Servers that do not let the client in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use panpipe::command::cmd;
use panpipe::engine::Event;
use panpipe::{Client, Config, Error, ErrorKind};

use super::plan::{Bench, config, set_everywhere};
use super::tally::Tally;
use crate::servers::{Cluster, PATIENCE};
use crate::transport;

const NAME: &str = "refused";

/// **RC9**: no room for clients, another password, a user that is no more. Errors say so, the node is not hammered, and the end of it is noticed.
pub(crate) fn refused(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 3);
    let seconds = if bench.is_long() { 10 } else { 2 };
    let cluster = Cluster::start(bench.version, 3, 0);
    let named = Config { client_name: Some(NAME.to_owned()), command_timeout_ms: 1_500, ..config(&cluster) };
    for _ in 0..cycles {
        let mut client = transport::connect_with(named.clone()).expect("connect");
        let mut siege = Siege { cluster: &cluster, client: &mut client, seconds, tally };
        siege.lay("no room", "max number of clients", |cluster| set_everywhere(cluster, "maxclients", "1"));
        siege.lift("no room", |cluster| set_everywhere(cluster, "maxclients", "10000"));
        siege.lay("another password", "NOAUTH", |cluster| set_everywhere(cluster, "requirepass", "new"));
        siege.lift("another password", |cluster| set_everywhere(cluster, "requirepass", ""));
        let user = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all"];
        everywhere(&cluster, &user);
        let mut as_user = named.clone();
        as_user.username = Some("app".to_owned());
        as_user.password = Some(panpipe::config::Secret::new("secret"));
        let mut client = transport::connect_with(as_user).expect("connect");
        let mut siege = Siege { cluster: &cluster, client: &mut client, seconds, tally };
        siege.lay("no such user", "WRONGPASS", |cluster| everywhere(cluster, &["ACL", "DELUSER", "app"]));
        siege.lift("no such user", |cluster| everywhere(cluster, &user));
        tally.cycles += 1;
    }
}

fn everywhere(cluster: &Cluster, command: &[&str]) {
    for node in cluster.responsive() {
        cluster.call(node, command).expect(&command);
    }
}

struct Siege<'a> {
    cluster: &'a Cluster,
    client: &'a mut Client,
    seconds: u64,
    tally: &'a mut Tally,
}

impl Siege<'_> {
    /// Refuses, cuts the connections that exist, and asks all the time.
    fn lay(&mut self, what: &str, told: &str, refuse: impl FnOnce(&Cluster)) {
        self.ask_until_answered(what);
        while self.client.next_event().is_some() {}
        refuse(self.cluster);
        everywhere_kill(self.cluster);
        let before = attempts(self.cluster);
        let began = Instant::now();
        let mut texts = BTreeSet::new();
        let (mut failed, mut answered) = (0u64, 0u64);
        while began.elapsed() < Duration::from_secs(self.seconds) {
            match self.ask() {
                Ok(()) => answered += 1,
                Err(error) => {
                    failed += 1;
                    texts.insert(without_address(&error));
                    self.tally.count_error(&error);
                }
            }
        }
        let elapsed = began.elapsed();
        self.tally.commands += failed + answered;
        self.tally.executed += answered;
        while let Some(event) = self.client.next_event() {
            if let Event::NodeDown { reason, .. } = event {
                texts.insert(reason);
            }
        }
        self.tally.check(failed > 0, || format!("{what}: {answered} commands were answered"));
        self.tally.check(texts.iter().any(|text| text.contains(told)), || {
            format!("{what}: nobody says \"{told}\", but {texts:?}")
        });
        // One for each connection that was cut, at once; then one a second at most.
        let most = elapsed.as_secs() + 2;
        for (node, (before, after)) in before.into_iter().zip(attempts(self.cluster)).enumerate() {
            let made = after - before;
            self.tally.check(made <= most, || {
                format!("{what}: {made} connections to node {node} in {elapsed:.1?}")
            });
            let name = format!("{what}, connections to a node in {} s", self.seconds);
            self.tally.peak(name, made as f64);
        }
    }

    fn lift(&mut self, what: &str, allow: impl FnOnce(&Cluster)) {
        allow(self.cluster);
        self.ask_until_answered(what);
    }

    fn ask_until_answered(&mut self, what: &str) {
        let began = Instant::now();
        loop {
            match self.ask() {
                Ok(()) => return,
                Err(error) if began.elapsed() > PATIENCE => {
                    return self.tally.violation(format!("{what} is over, and still: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// A command for every node.
    fn ask(&mut self) -> Result<(), Error> {
        for key in ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"] {
            self.client.call::<()>(cmd("SET").key(key).arg(1)).inspect_err(|error| {
                // Answered at once: no reason to ask as fast as that.
                if !matches!(error.kind(), ErrorKind::Timeout { .. }) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            })?;
        }
        Ok(())
    }
}

/// Texts that differ only by the node are one.
fn without_address(error: &Error) -> String {
    error.to_string().split_once(": ").map_or_else(|| error.to_string(), |(_, rest)| rest.to_owned())
}

/// Ends the connections of the client, where they have not ended by themselves.
fn everywhere_kill(cluster: &Cluster) {
    let name = format!(" name={NAME} ");
    for node in cluster.responsive() {
        let list = cluster.call(node, &["CLIENT", "LIST"]);
        for line in list.text().unwrap_or_default().lines().filter(|line| line.contains(&name)) {
            let id = line.split(' ').find_map(|word| word.strip_prefix("id=")).unwrap_or_default();
            cluster.call(node, &["CLIENT", "KILL", "ID", id]);
        }
    }
}

/// Connections that each node has seen, refused ones too.
fn attempts(cluster: &Cluster) -> Vec<u64> {
    let of = |node: usize| {
        let info = cluster.call(node, &["INFO", "stats"]);
        let text = info.text().unwrap_or_default().to_owned();
        let field = |name: &str| {
            let value =
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
            value.unwrap_or(0u64)
        };
        field("total_connections_received") + field("rejected_connections")
    };
    (0..cluster.nodes().len()).map(of).collect()
}
