//! Which cases run, how long, and on which servers.
//!
//! Each server's cases run one after the other on one cluster, which the next case gets as the last one left it: healthy. A case that fails
//! takes the cluster with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use panpipe::Config;
use panpipe::slot::slot_of;

use super::book::Book;
use super::load::Load;
use super::tally::{Row, Tally, markdown};
use crate::servers::{Cluster, ClusterOptions, Version, allow_one_more};
use crate::transport;

/// Servers that are tested: 6.2 lacks what some cases ask for.
const VERSIONS: [Version; 3] = [Version::Redis70, Version::Redis82, Version::Valkey91];

/// Tags of a load that is spread over the whole cluster.
const TAGS: usize = 24;

const NODE_TIMEOUT_MS: u32 = 5_000;
/// A node timeout with which nobody is taken for dead.
pub(crate) const NO_FAILOVER_MS: u32 = 60_000;

/// One case: its name, and what it does.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Bench, &mut Tally),
    pub(crate) servers: fn(Version) -> bool,
    /// Makes clusters of its own.
    pub(crate) alone: bool,
}

/// What the command line and the environment ask for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    filters: Vec<String>,
    skips: Vec<String>,
    /// `PANPIPE_LONG`: the share of the long form's cycles; none is the short form.
    long: Option<f64>,
    list: bool,
}

impl Plan {
    /// Takes what a test program is called with; a filter is a part of `RC1 redis-7.0`.
    pub(crate) fn from_environment() -> Plan {
        let long = std::env::var("PANPIPE_LONG").ok().map(|share| {
            share.parse().unwrap_or_else(|_| panic!("PANPIPE_LONG is a number, as 1 or 0.25, not {share:?}"))
        });
        let mut plan = Plan { filters: Vec::new(), skips: Vec::new(), long, list: false };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--skip" => plan.skips.extend(args.next()),
                "--list" => plan.list = true,
                "--test-threads" | "--color" | "--format" | "-Z" => drop(args.next()),
                _ if arg.starts_with('-') => {}
                _ => plan.filters.push(arg),
            }
        }
        plan
    }

    fn wants(&self, case: &Case, version: Version) -> bool {
        let name = format!("{} {}", case.name, version.name());
        (case.servers)(version)
            && (self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str())))
            && !self.skips.iter().any(|skip| name.contains(skip.as_str()))
    }
}

/// Runs the cases, prints what came of them, and answers whether all is well.
pub(crate) fn run(plan: &Plan, cases: &[Case]) -> bool {
    if plan.list {
        for case in cases {
            println!("{}: test", case.name);
        }
        return true;
    }
    if plan.long.is_some() {
        // A lane that waits for the end of another has given up before that comes.
        allow_one_more();
    }
    let lanes: Vec<Vec<Row>> = thread::scope(|scope| {
        let lane = |version: Version| scope.spawn(move || run_on(plan, cases, version));
        let lanes = VERSIONS.map(lane);
        lanes.into_iter().map(|lane| lane.join().expect("cases catch their panics")).collect()
    });
    let rows: Vec<Row> = lanes.into_iter().flatten().collect();
    let form = plan.long.map_or("the short form".to_owned(), |share| format!("{share} of the long form"));
    println!("\n{form}, clients over {}\n\n{}", transport::chosen(), markdown(&rows));
    rows.iter().all(Row::is_good)
}

fn run_on(plan: &Plan, cases: &[Case], version: Version) -> Vec<Row> {
    let mut bench = Bench { version, long: plan.long, cluster: None };
    let mut rows = Vec::new();
    for case in cases.iter().filter(|case| plan.wants(case, version)) {
        let mut tally = Tally::default();
        let mut began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            if case.alone {
                bench.cluster = None;
            } else {
                bench.cluster(NODE_TIMEOUT_MS);
            }
            began = Instant::now();
            (case.run)(&mut bench, &mut tally);
            bench.clean(&mut tally);
        }));
        let panicked = ended.err().map(|panic| text_of(panic.as_ref()));
        if panicked.is_some() || tally.violations > 0 {
            bench.cluster = None;
        }
        let seconds = began.elapsed().as_secs();
        let row = Row { case: case.name.to_owned(), server: version.name(), tally, seconds, panicked };
        let verdict = if row.is_good() { "ok" } else { "FAILED" };
        println!("{} {}: {verdict}, {} cycles, {seconds} s", row.case, row.server, row.tally.cycles);
        for told in row.tally.told.iter().chain(&row.panicked) {
            println!("    {told}");
        }
        if plan.long.is_some() {
            // An hour may pass until the table is whole.
            println!("{}\n    {}", row.line(), row.remarks());
        }
        rows.push(row);
    }
    rows
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// What a case works with.
pub(crate) struct Bench {
    pub(crate) version: Version,
    long: Option<f64>,
    cluster: Option<Cluster>,
}

impl Bench {
    pub(crate) fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// How often: in the short form, and in the whole long one.
    pub(crate) fn cycles(&self, short: usize, long: usize) -> usize {
        self.long.map_or(short, |share| (share * long as f64).ceil() as usize).max(1)
    }

    /// The next case begins with nothing.
    fn clean(&self, tally: &mut Tally) {
        let left = self.cluster.as_ref().map_or(0, remove_keys);
        if left > 0 {
            tally.note(format!("{left} keys were left"));
        }
    }

    /// Like `cluster`, of servers that have not voted yet.
    pub(crate) fn new_cluster(&mut self, node_timeout_ms: u32) -> &Cluster {
        self.cluster = None;
        self.cluster(node_timeout_ms)
    }

    /// The cluster that cases share: three primaries and a replica of each, healthy.
    pub(crate) fn cluster(&mut self, node_timeout_ms: u32) -> &Cluster {
        let version = self.version;
        let cluster = self.cluster.get_or_insert_with(|| {
            let options = ClusterOptions { require_full_coverage: false, ..ClusterOptions::default() };
            Cluster::start_with(version, 3, 3, options)
        });
        set_everywhere(cluster, "cluster-node-timeout", &node_timeout_ms.to_string());
        cluster.wait_healthy();
        cluster
    }
}

/// Removes all keys; how many there were.
pub(crate) fn remove_keys(cluster: &Cluster) -> i64 {
    let mut removed = 0;
    for primary in cluster.primaries() {
        removed += cluster.call(primary, &["DBSIZE"]).expect(&"DBSIZE").integer().unwrap_or(0);
        cluster.call(primary, &["FLUSHALL"]).expect(&"FLUSHALL");
    }
    removed
}

pub(crate) fn set_everywhere(cluster: &Cluster, name: &str, value: &str) {
    for node in cluster.responsive() {
        cluster.call(node, &["CONFIG", "SET", name, value]).expect(&name);
    }
}

/// Patient: nothing here is a matter of speed.
pub(crate) fn config(cluster: &Cluster) -> Config {
    let mut config = Config::from_url(&cluster.url()).expect("url");
    config.command_timeout_ms = 120_000;
    config.tryagain_wait_ms = 120_000;
    // A busy machine is no dead node.
    config.connect_timeout_ms = 10_000;
    config.handshake_timeout_ms = 10_000;
    config.node_silent_ms = 60_000;
    config.tcp.user_timeout_ms = 0;
    config
}

/// A load over the whole cluster, every shard among it.
pub(crate) fn load(config: Config) -> Load {
    let client = transport::connect_with(config).expect("connect");
    Load::new(client, Book::new((0..TAGS).map(|tag| format!("t{tag}"))))
}

/// Tags whose slots lie in a range.
pub(crate) fn tags_in(first: u16, last: u16, count: usize) -> Vec<String> {
    let names = (0u64..).map(|n| format!("m{n}"));
    names.filter(|name| (first..=last).contains(&slot_of(name.as_bytes()))).take(count).collect()
}

/// What a load counted becomes the case's.
pub(crate) fn close(mut load: Load, tally: &mut Tally) {
    load.take_alarms();
    let total = load.client.stats().total;
    let (moved, asks, retries) = (total.moved, total.asks, total.retries);
    let (connects, disconnects) = (total.connects, total.disconnects);
    tally.add(load.book.tally);
    tally.note(format!(
        "{moved} MOVED, {asks} ASK, {retries} retries, {connects} connects, {disconnects} disconnects"
    ));
    let alarms = load.alarms;
    tally.check(alarms.is_empty(), || format!("{alarms:?}"));
    tally.check(total.desyncs == 0, || format!("{} desyncs", total.desyncs));
}

/// Until a moment that is `after` from now; what the fault is given to take hold.
pub(crate) fn pass(after: Duration) {
    thread::sleep(after);
}
