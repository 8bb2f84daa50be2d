//! Many clients at once.

use std::time::{Duration, Instant};

use panpipe::command::cmd;
use panpipe::{Budget, Client};

use super::plan::{Bench, config, pass};
use super::tally::Tally;
use crate::servers::Cluster;
use crate::transport;

const CLIENTS: usize = 64;
/// Commands that a client has under way.
const OPEN: usize = 3;

/// **RC12**: 64 clients live through a failover. However many commands meet it, a client asks for the topology once a second at most, as the
/// servers count it.
pub(crate) fn herd(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 10);
    let cluster = bench.cluster(2_500);
    let connect =
        |_| Member { client: transport::connect_with(config(cluster)).expect("connect"), open: 0, next: 0 };
    let mut members: Vec<Member> = (0..CLIENTS).map(connect).collect();
    for cycle in 0..cycles {
        for _ in 0..20 {
            members.iter_mut().for_each(|member| member.step(tally));
        }
        for node in cluster.responsive() {
            cluster.call(node, &["CONFIG", "RESETSTAT"]).expect(&"RESETSTAT");
        }
        let began = Instant::now();
        let victim = cluster.primaries()[cycle % 3];
        let replica = cluster.replicas_of(victim)[0];
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                cluster.kill(victim);
                cluster.wait_promoted(replica);
                pass(Duration::from_secs(2));
                cluster.restart(victim);
                cluster.wait_healthy();
                pass(Duration::from_secs(1));
            });
            while !worker.is_finished() {
                members.iter_mut().for_each(|member| member.step(tally));
                pass(Duration::from_millis(5));
            }
        });
        let elapsed = began.elapsed();
        let (calls, topology) = calls(cluster);
        let each = calls as f64 / CLIENTS as f64;
        // One a second, and the one that is due at once.
        let most = elapsed.as_secs_f64() + 2.0;
        tally.check(each <= most, || format!("{each:.1} per client in {elapsed:.1?}: {topology}"));
        tally.peak("CLUSTER SLOTS per client and second", each / elapsed.as_secs_f64());
        tally.cycles += 1;
    }
}

struct Member {
    client: Client,
    open: usize,
    next: u64,
}

impl Member {
    fn step(&mut self, tally: &mut Tally) {
        while self.open < OPEN {
            self.next += 1;
            self.client.submit(cmd("INCR").key(format!("t{}", self.next % 24)), 0).expect("room for three");
            self.open += 1;
            tally.commands += 1;
        }
        self.client.turn(Budget::default()).expect("the system lets the client look");
        while let Some(done) = self.client.next_completion() {
            self.open -= 1;
            match done.result {
                Ok(_) => tally.executed += 1,
                Err(error) => tally.count_error(&error),
            }
        }
    }
}

/// Questions for the topology that the nodes have answered, and their words for it.
fn calls(cluster: &Cluster) -> (u64, String) {
    let mut sum = 0;
    let mut lines = Vec::new();
    for node in cluster.responsive() {
        let info = cluster.call(node, &["INFO", "commandstats"]);
        for line in info.text().unwrap_or_default().lines().filter(|line| is_topology(line)) {
            let calls = line.split_once("calls=").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
            sum += calls.unwrap_or(0);
            lines.push(format!("node {node}: {line}"));
        }
    }
    (sum, lines.join("; "))
}

fn is_topology(line: &str) -> bool {
    line.starts_with("cmdstat_cluster|slots:") || line.starts_with("cmdstat_cluster|shards:")
}
