//! All contenders without a client library, against the library's model of a cluster: real replies behind real sockets.

use std::io::Write as _;
use std::net::TcpListener;
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

/// The rings with each of their choices, and with some together.
fn ring_names() -> Vec<String> {
    let choices = contender::ring_choices().iter().map(|&(name, _)| name.to_owned());
    let together = [
        "min-wait=50+linked+multishot-bundle+zero-copy+no-defer+plain-files",
        "first+linked+skip-success+multishot+no-ring-fd",
    ];
    let some = if contender::ring_choices().is_empty() { [].as_slice() } else { together.as_slice() };
    let choices = choices.chain(some.iter().map(|&name| name.to_owned()));
    choices
        .flat_map(|choice| ["floor-ring", "floor-full-ring"].map(|name| format!("{name}:{choice}")))
        .collect()
}

fn all_names() -> Vec<String> {
    NAMES.iter().map(|&name| name.to_owned()).chain(ring_names()).collect()
}

fn workload(mix: Mix, batch: usize, value_bytes: usize) -> Workload {
    let (name, distribution) = ("test".to_owned(), Distribution::Uniform);
    Workload { name, mix, batch, value_bytes: 64, keys: 300, distribution, window: None }
        .with_value_bytes(value_bytes)
}

/// Runs `work` with each contender, connected to a fresh cluster, in a thread that may hang.
fn with_each(
    names: &[String],
    workload: &Workload,
    work: fn(&mut dyn Contender, &Plan, &mut panpipe::Client),
) {
    for name in names {
        let (of_thread, workload) = (name.clone(), workload.clone());
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
            let mut contender = contender::named(&of_thread).unwrap()(&setup, &plan).unwrap();
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
        with_each(&all_names(), &workload(Mix::Set, batch, 64), |contender, plan, client| {
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
    with_each(&all_names(), &workload(Mix::Get, 50, 64), |contender, plan, client| {
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
    with_each(&all_names(), &workload(Mix::RateLimiter, 20, 64), |contender, plan, client| {
        assert_eq!(contender.flush(plan, 0).unwrap(), 0);
        let key = plan.key(plan.flushes[0][0]);
        let count = client.get(key).unwrap().expect("it was counted up");
        assert!(std::str::from_utf8(&count).unwrap().parse::<i64>().unwrap() >= 1);
    });
}

#[test]
fn error_replies_are_counted() {
    with_each(&all_names(), &workload(Mix::RateLimiter, 20, 64), |contender, plan, client| {
        set_all(client, plan);
        // INCRBY of a text is an error, EXPIRE of it is none.
        assert_eq!(contender.flush(plan, 0).unwrap(), 10);
        assert_eq!(contender.flush(plan, 1).unwrap(), 10);
    });
}

#[test]
fn an_error_instead_of_a_value_is_counted_or_a_failure() {
    with_each(&all_names(), &workload(Mix::Get, 20, 64), |contender, plan, client| {
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
    with_each(&all_names(), &workload(Mix::Set, 10, 1 << 20), |contender, plan, client| {
        for at in 0..3 {
            assert_eq!(contender.flush(plan, at).unwrap(), 0);
        }
        read_back(client, plan, 2);
    });
    with_each(&all_names(), &workload(Mix::Get, 10, 1 << 20), |contender, plan, client| {
        set_all(client, plan);
        for at in 0..3 {
            assert_eq!(contender.flush(plan, at).unwrap(), 0);
        }
    });
}

#[test]
fn values_larger_than_a_buffer_arrive() {
    for batch in [1, 20] {
        with_each(&ring_names(), &workload(Mix::Set, batch, 100_000), |contender, plan, client| {
            for at in 0..3 {
                let before = counters(contender);
                assert_eq!(contender.flush(plan, at).unwrap(), 0);
                read_back(client, plan, at);
                let did = counters(contender).since(before);
                let commands = plan.flushes[at].len() as u64;
                assert_eq!(did.bytes_written, commands * (13 + 5 + 16 + 2 + 9 + 100_000 + 2), "{did:?}");
            }
        });
        with_each(&ring_names(), &workload(Mix::Get, batch, 100_000), |contender, plan, client| {
            set_all(client, plan);
            for at in 0..3 {
                let before = counters(contender);
                assert_eq!(contender.flush(plan, at).unwrap(), 0);
                let commands = plan.flushes[at].len() as u64;
                assert_eq!(counters(contender).since(before).bytes_read, commands * (9 + 100_000 + 2));
            }
        });
    }
}

/// What is under way then is taken back from the kernel, also where it tells nothing of it.
#[test]
fn a_contender_can_end_with_requests_under_way() {
    let workload = workload(Mix::Set, 10, 1 << 20);
    for name in ["floor-ring", "floor-full-ring"].map(str::to_owned).into_iter().chain(ring_names()) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let setup = Setup {
            nodes: vec![listener.local_addr().unwrap()],
            credentials: None,
            cluster: false,
            spin_us: 0,
            flush_policy: Flush::Explicit,
        };
        let plan = Plan::new(&workload, 1);
        let mut contender = contender::named(&name).unwrap()(&setup, &plan).unwrap();
        // An answer that is none, while the send is not over: nobody reads it.
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"hello\r\n+OK\r\n\n\n\n\n\n\n\n\n\n\n\n\n\n").unwrap();
        assert!(contender.flush(&plan, 0).is_err(), "{name}");
        drop(contender);
    }
}

#[test]
fn large_reads_and_writes_together_do_not_hang() {
    let mix = Mix::Ycsb { read_percent: 50, read_modify_write: false };
    with_each(&all_names(), &workload(mix, 100, 1 << 19), |contender, plan, client| {
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
    with_each(&all_names(), &workload(Mix::Set, 100, 64), |contender, plan, client| {
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

/// Two nodes, a byte for each. The first one's answer is refused.
#[cfg(target_os = "linux")]
struct Stub {
    unsent: [&'static [u8]; 2],
}

#[cfg(target_os = "linux")]
impl super::Wire for Stub {
    fn new(_plan: &Plan, _routes: super::sockets::Routes, _nodes: usize) -> Stub {
        Stub { unsent: [b"a", b"b"] }
    }
    fn stage_flush(&mut self, _plan: &Plan, _at: usize) {}
    fn stage_part(&mut self, _plan: &Plan, _number: u64, _commands: usize) -> usize {
        0
    }
    fn unsent(&mut self, node: usize) -> &[u8] {
        self.unsent[node]
    }
    fn unsent_is_all(&self, _node: usize) -> bool {
        true
    }
    fn sent(&mut self, node: usize, bytes: usize) {
        self.unsent[node] = &self.unsent[node][bytes..];
    }
    fn received(&mut self, node: usize, _bytes: &[u8]) -> anyhow::Result<u64> {
        anyhow::bail!("node {node} answered")
    }
    fn owes(&self, _node: usize) -> bool {
        true
    }
    fn in_flight(&self) -> u64 {
        2
    }
    fn settings() -> Vec<contender::Setting> {
        Vec::new()
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_wait_with_an_end_is_not_held_up_by_a_silent_node() {
    for choices in ["first", "min-wait=2000", "min-wait+no-defer", "min-wait+multishot+linked+skip-success"] {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let setup = Setup {
            nodes: listeners.iter().map(|listener| listener.local_addr().unwrap()).collect(),
            credentials: None,
            cluster: false,
            spin_us: 0,
            flush_policy: Flush::Explicit,
        };
        let (answered, may_end) = channel();
        let server = std::thread::spawn(move || {
            let mut sockets = listeners.map(|listener| listener.accept().unwrap().0);
            // Later than any wait's end: that one has to be no end of all waiting.
            std::thread::sleep(Duration::from_millis(20));
            sockets[0].write_all(b"x").unwrap();
            let _ended: Result<(), _> = may_end.recv_timeout(PATIENCE);
        });
        let plan = Plan::new(&workload(Mix::Set, 1, 64), 1);
        let variant = super::Variant::with_choices(choices).unwrap();
        let mut ring = <super::ring::Ring as super::Carrier>::new(&setup, &plan, variant).unwrap();
        let mut stub = Stub { unsent: [b"a", b"b"] };
        let began = std::time::Instant::now();
        let said = super::Carrier::pump(&mut ring, &mut stub, 0).unwrap_err().to_string();
        assert!(said == "node 0 answered" && began.elapsed() < PATIENCE / 2, "{choices}: {said}");
        drop(ring);
        answered.send(()).unwrap();
        server.join().unwrap();
    }
}
