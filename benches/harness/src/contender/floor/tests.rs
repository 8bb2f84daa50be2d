//! All contenders without a client library, against the library's model of a cluster: real replies behind real sockets.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use panpipe::command::{Lists as _, Strings as _};
use panpipe::testkit::EmbeddedCluster;

use crate::contender::{self, Contender, Counters, Flush, Setup};
use crate::keys::Distribution;
use crate::plan::Plan;
use crate::workload::{Mix, Workload};

const NAMES: [&str; 7] = [
    "floor",
    "floor-full",
    "floor-ring",
    "floor-full-ring",
    "blocking-sequential",
    "blocking-threads",
    "blocking-multiplexed",
];
const PATIENCE: Duration = Duration::from_secs(60);

fn workload(mix: Mix, batch: usize, value_bytes: usize) -> Workload {
    let (name, distribution) = ("test".to_owned(), Distribution::Uniform);
    Workload { name, mix, batch, value_bytes: 64, keys: 2000, distribution, window: None }
        .with_value_bytes(value_bytes)
}

/// Runs `work` with each contender, connected to a fresh cluster, in a thread that may hang.
fn with_each(
    names: &[&'static str],
    workload: &Workload,
    work: fn(&mut dyn Contender, &Plan, &mut panpipe::Client),
) {
    for &name in names {
        let workload = workload.clone();
        let (done, ended) = channel();
        let thread = std::thread::spawn(move || {
            let cluster = EmbeddedCluster::builder().primaries(3).start().unwrap();
            let setup = Setup {
                nodes: cluster.addresses(),
                credentials: None,
                cluster: true,
                spin_us: 20,
                flush_policy: Flush::Explicit,
            };
            let plan = Plan::new(&workload, 1);
            let mut contender = (contender::named(name).unwrap().start)(&setup, &plan).unwrap();
            let mut client = panpipe::Client::connect(&cluster.url()).unwrap();
            work(contender.as_mut(), &plan, &mut client);
            let _nobody_waits = done.send(());
        });
        match ended.recv_timeout(PATIENCE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                assert!(thread.join().is_ok(), "{name} failed");
            }
            Err(RecvTimeoutError::Timeout) => panic!("{name} hangs"),
        }
    }
}

fn counters(contender: &dyn Contender) -> Counters {
    contender.counters().unwrap()
}

fn read_back(client: &mut panpipe::Client, plan: &Plan, at: usize) {
    for &op in &plan.flushes[at] {
        let value = client.get(plan.key(op)).unwrap();
        assert_eq!(value.as_deref(), Some(plan.value.as_slice()));
    }
}

#[test]
fn what_a_flush_sets_can_be_read_back() {
    for batch in [1, 100] {
        with_each(&NAMES, &workload(Mix::Set, batch, 64), |contender, plan, client| {
            for at in 0..3 {
                let before = counters(contender);
                assert_eq!(contender.flush(plan, at).unwrap(), 0);
                read_back(client, plan, at);
                let did = counters(contender).since(before);
                let commands = plan.flushes[at].len() as u64;
                assert_eq!(did.bytes_read, commands * 5, "{did:?}");
                assert_eq!(did.bytes_written, commands * (13 + 5 + 16 + 2 + 5 + 64 + 2), "{did:?}");
                assert!(did.writes + did.reads + did.waits >= 1, "{did:?}");
            }
        });
    }
}

#[test]
fn values_are_gotten_without_errors() {
    with_each(&NAMES, &workload(Mix::Get, 50, 64), |contender, plan, client| {
        set_all(client, plan);
        for at in 0..20 {
            let before = counters(contender);
            assert_eq!(contender.flush(plan, at).unwrap(), 0);
            assert_eq!(counters(contender).since(before).bytes_read, 50 * (5 + 64 + 2));
        }
    });
}

fn set_all(client: &mut panpipe::Client, plan: &Plan) {
    for key in &plan.keys {
        client.set(key, &plan.value).unwrap();
    }
}

#[test]
fn counters_and_expiries_are_integers() {
    with_each(&NAMES, &workload(Mix::RateLimiter, 20, 64), |contender, plan, client| {
        assert_eq!(contender.flush(plan, 0).unwrap(), 0);
        let key = plan.key(plan.flushes[0][0]);
        let count = client.get(key).unwrap().expect("it was counted up");
        assert!(std::str::from_utf8(&count).unwrap().parse::<i64>().unwrap() >= 1);
    });
}

#[test]
fn error_replies_are_counted() {
    with_each(&NAMES, &workload(Mix::RateLimiter, 20, 64), |contender, plan, client| {
        set_all(client, plan);
        // INCRBY of a text is an error, EXPIRE of it is none.
        assert_eq!(contender.flush(plan, 0).unwrap(), 10);
        assert_eq!(contender.flush(plan, 1).unwrap(), 10);
    });
}

#[test]
fn an_error_instead_of_a_value_is_counted_or_a_failure() {
    with_each(&NAMES, &workload(Mix::Get, 20, 64), |contender, plan, client| {
        for key in &plan.keys {
            client.lpush(key, ["element"]).unwrap();
        }
        match contender.flush(plan, 0) {
            Ok(errors) => assert_eq!(errors, 20),
            Err(error) => assert!(error.to_string().contains("WRONGTYPE"), "{error}"),
        }
    });
}

#[test]
fn large_values_do_not_hang() {
    with_each(&NAMES, &workload(Mix::Set, 10, 1 << 20), |contender, plan, client| {
        for at in 0..3 {
            assert_eq!(contender.flush(plan, at).unwrap(), 0);
        }
        read_back(client, plan, 2);
    });
    with_each(&NAMES, &workload(Mix::Get, 10, 1 << 20), |contender, plan, client| {
        set_all(client, plan);
        for at in 0..3 {
            assert_eq!(contender.flush(plan, at).unwrap(), 0);
        }
    });
}

#[test]
fn large_reads_and_writes_together_do_not_hang() {
    let mix = Mix::Ycsb { read_percent: 50, read_modify_write: false };
    with_each(&NAMES, &workload(mix, 100, 1 << 19), |contender, plan, client| {
        set_all(client, plan);
        let blocking = contender.settings().iter().any(|(name, _)| name == "refused");
        match contender.flush(plan, 0) {
            Ok(errors) => assert_eq!(errors, 0),
            Err(error) => assert!(blocking && error.to_string().contains("too large"), "{error}"),
        }
    });
}

#[test]
fn streams_answer_everything_and_end() {
    with_each(&NAMES, &workload(Mix::Set, 100, 64), |contender, plan, client| {
        for window in [1, 2, 7, 700] {
            let before = counters(contender);
            let done = contender.stream(plan, 1000, window).unwrap();
            assert!(done.commands >= 1000 && done.errors == 0, "{done:?}");
            assert_eq!(counters(contender).since(before).bytes_read, done.commands * 5);
            assert_eq!(contender.flush(plan, 0).unwrap(), 0, "a flush can follow");
        }
        read_back(client, plan, 0);
    });
}
