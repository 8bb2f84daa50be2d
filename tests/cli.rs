//! The command line as a person or a script meets it: what it prints, where, and the exit code.
#![cfg(feature = "cli")]

#[path = "support/transport.rs"]
mod transport;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const RECORDS: u64 = 3322;
const FIRST_KEY: &str = "panpipe:demo:N10156";

/// Over the transport that is tested, where the test does not ask for one.
fn command(args: &[&str]) -> Command {
    let mut command = as_typed(args);
    if !args.is_empty() && !args.iter().any(|arg| arg.contains("transport")) {
        command.args(["--transport", transport::chosen().name()]);
    }
    command
}

/// With these arguments and no others.
fn as_typed(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panpipe"));
    command.args(args).env("COLUMNS", "100").stdin(Stdio::null());
    command
}

fn panpipe(args: &[&str]) -> Output {
    command(args).output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Runs to this exit code, and answers what was said on standard error.
fn refused(code: i32, args: &[&str]) -> String {
    let output = panpipe(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(stdout(&output).is_empty(), "{args:?} printed {}", stdout(&output));
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    said
}

fn json(args: &[&str]) -> Value {
    let output = panpipe(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else")
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {value}"))
}

fn embedded() -> EmbeddedCluster {
    EmbeddedCluster::builder().primaries(3).replicas(1).start().expect("an embedded cluster")
}

/// A file of our own that goes away at the end of the test.
struct Input(PathBuf);

impl Input {
    fn new(name: &str, text: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("panpipe-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        Input(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn demo_writes_reads_checks_and_says_ok() {
    let output = panpipe(&["demo", "--rounds", "1", "--delay-ms", "1"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "3,322 records",
        "3 primaries and 3 replicas",
        "sequential",
        "parallel",
        "ratio",
        "Slowest: 127.0.0.1:",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(
        text.trim_end().ends_with("OK: 9,966 values were read back, and every one is what was written."),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100), "too wide:\n{text}");
    assert!(text.is_ascii(), "plain text for every terminal:\n{text}");
    assert_eq!(stderr(&output), "", "nothing to complain about");
}

#[test]
fn node_after_node_adds_up_and_all_at_once_waits_for_the_slowest() {
    let found = json(&["demo", "--json", "--nodes", "3", "--delay-ms", "5", "--rounds", "2"]);
    let sequential = number(&found, "/sequential/flush_ms/p50");
    let parallel = number(&found, "/parallel/flush_ms/p50");
    assert!(parallel < 0.6 * sequential, "{parallel} ms against {sequential} ms");
    // Three nodes that wait 5 ms each.
    assert!(sequential >= 15.0, "{sequential} ms");
    assert!(number(&found, "/parallel/nodes_ms/slowest") >= 5.0);

    let sum = number(&found, "/sequential/nodes_ms/sum");
    let average = number(&found, "/sequential/flush_ms/average");
    assert!((0.7..1.6).contains(&(average / sum)), "took {average} ms, the nodes together {sum} ms");
    let slowest = number(&found, "/parallel/nodes_ms/slowest");
    let average = number(&found, "/parallel/flush_ms/average");
    assert!((0.7..1.6).contains(&(average / slowest)), "took {average} ms, the slowest node {slowest} ms");
    assert!((number(&found, "/ratio/p50") - sequential / parallel).abs() < 0.01, "rounded, no more");
}

#[test]
fn demo_checks_every_value_each_time_it_reads() {
    let found =
        json(&["demo", "--json", "--delay-ms", "0", "--rounds", "2", "--batch", "1000", "--nodes", "2"]);
    assert_eq!(found["ok"], true);
    assert_eq!(found["input"]["records"], RECORDS);
    assert_eq!(found["values_checked"], RECORDS * 5, "the first load, and two rounds both ways");
    assert_eq!(found["cluster"]["primaries"], 2);
    for way in ["sequential", "parallel"] {
        assert_eq!(found[way]["batches"], 16, "four batches written and read, twice");
        assert_eq!(found[way]["commands"], RECORDS * 4);
        let nodes = found[way]["typical_flush"]["nodes"].as_array().expect("a timeline");
        let commands: u64 = nodes.iter().filter_map(|node| node["commands"].as_u64()).sum();
        assert_eq!(commands, 1000, "a typical flush is a whole batch");
    }
}

#[test]
fn demo_takes_the_users_records() {
    let text = b"name,what\none,first\none,the name again\n,no name\n\"quoted, name\",last \xff\n";
    let input = Input::new("records.csv", text);
    let found = json(&["demo", "--json", "--delay-ms", "0", "--rounds", "1", "--input", input.path()]);
    assert_eq!(found["input"]["records"], 4);
    assert_eq!(found["values_checked"], 12);
    let found = json(&[
        "demo",
        "--json",
        "--delay-ms",
        "0",
        "--rounds",
        "1",
        "--no-header",
        "--limit",
        "3",
        "--input",
        input.path(),
    ]);
    assert_eq!(found["input"]["records"], 3);
}

#[test]
fn demo_leaves_nothing_behind_on_the_users_cluster() {
    let cluster = embedded();
    let mut client = transport::connect(&cluster.url()).expect("connects");
    let first = |client: &mut Client| client.get(FIRST_KEY).expect("an answer");

    let found = json(&["demo", "--json", "--rounds", "1", "--url", &cluster.url()]);
    assert_eq!(found["keys"]["deleted"], RECORDS);
    assert_eq!(first(&mut client), None);

    let found = json(&["demo", "--json", "--rounds", "1", "--url", &cluster.url(), "--keep"]);
    assert_eq!(found["keys"]["kept"], true);
    let line = b"N10156,2004,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55,Turbo-fan";
    assert_eq!(first(&mut client).as_deref(), Some(line.as_slice()));
    assert_eq!(client.ttl(FIRST_KEY), Ok(Ttl::NoExpiry), "kept means kept");
}

#[test]
fn a_value_that_came_back_different_is_named_and_exits_with_1() {
    let cluster = embedded();
    let demo = command(&["demo", "--url", &cluster.url(), "--rounds", "200"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut demo = Ended(demo);
    // Somebody else writes the same keys.
    let mut client = transport::connect(&cluster.url()).expect("connects");
    while demo.0.try_wait().expect("a child").is_none() {
        client.set(FIRST_KEY, "meddled with").expect("an answer");
    }
    let mut said = String::new();
    demo.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(demo.0.wait().expect("a child").code(), Some(1), "{said}");
    for part in ["line 2", FIRST_KEY, "came back different", "Turbo-fan", "meddled with"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

/// A child that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn input_that_cannot_be_read_or_is_empty_exits_with_5() {
    let said = refused(5, &["demo", "--input", "/nonexistent/records.csv"]);
    assert!(said.contains("/nonexistent/records.csv") && said.contains("No such file"), "{said}");
    let empty = Input::new("empty.csv", b"");
    assert!(refused(5, &["demo", "--input", empty.path()]).contains("has no records"));
    let header = Input::new("header.csv", b"name,what\n");
    assert!(refused(5, &["demo", "--input", header.path()]).contains("--no-header"));
    let folder = std::env::temp_dir();
    assert!(refused(5, &["demo", "--input", folder.to_str().expect("text")]).contains("directory"));
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let said = refused(2, &["topology"]);
    assert!(said.contains("--url redis://"), "{said}");
    let said = refused(2, &["topology", "--url", "http://127.0.0.1:7000"]);
    assert!(said.contains("redis://10.0.0.1:7000"), "shows a right one: {said}");
    assert!(refused(2, &["demo", "--batch", "0"]).contains("--batch"));
    assert!(
        refused(2, &["demo", "--url", "redis://127.0.0.1:7000", "--delay-ms", "1"]).contains("--delay-ms")
    );
    assert!(refused(2, &["topology", "--url", "@/nonexistent/url"]).contains("/nonexistent/url"));
    refused(2, &["sing"]);
}

#[test]
fn a_password_is_never_repeated() {
    let cluster =
        EmbeddedCluster::builder().primaries(1).password("sesame").start().expect("an embedded cluster");
    let url = cluster.url();
    let address = url.strip_prefix("redis://").expect("an address without the password");
    let said = refused(4, &["topology", "--url", &format!("redis://:hunter2@{address}")]);
    assert!(said.contains("WRONGPASS"), "{said}");
    let without = refused(4, &["demo", "--url", &format!("redis://{address}")]);
    assert!(without.contains("wants a password"), "{without}");
    let misplaced = refused(2, &["topology", &format!("redis://:hunter2@{address}")]);
    let unfinished = refused(2, &["demo", "--url", "redis://ada:hunter2"]);
    for said in [said, without, misplaced, unfinished] {
        assert!(!said.contains("hunter2") && !said.contains("sesame"), "{said}");
    }

    let file = Input::new("url.txt", transport::url(&format!("redis://:sesame@{address}")).as_bytes());
    let found = json(&["topology", "--json", "--url", &format!("@{}", file.path())]);
    assert_eq!(found["ok"], true);
}

#[test]
fn a_dead_port_exits_with_4() {
    // Bound and never listening: nobody else gets the port, and nobody answers there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    for verb in ["topology", "demo"] {
        let said = refused(4, &[verb, "--url", &format!("redis://{address}")]);
        assert!(said.contains(&address.to_string()) && said.contains("refused"), "{said}");
    }
}

#[test]
fn a_server_without_cluster_mode_exits_with_4() {
    let server = EmbeddedCluster::builder().primaries(1).standalone().start().expect("a server");
    for verb in ["topology", "demo"] {
        let said = refused(4, &[verb, "--url", &server.url()]);
        assert!(said.contains("cluster mode is off") && said.contains("cluster-enabled yes"), "{said}");
    }
}

#[test]
fn topology_lists_every_node_and_all_slots() {
    let cluster = embedded();
    let found = json(&["topology", "--json", "--url", &cluster.url()]);
    assert_eq!(found["ok"], true);
    assert_eq!(found["slots_served"], 16384);
    let nodes = found["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 6);
    assert_eq!(nodes.iter().filter(|node| node["primary"] == true).count(), 3);
    let mut slots: Vec<u64> = nodes
        .iter()
        .flat_map(|node| node["slots"].as_array().expect("ranges"))
        .flat_map(|range| range[0].as_u64().expect("a slot")..=range[1].as_u64().expect("a slot"))
        .collect();
    slots.sort_unstable();
    assert!(slots.into_iter().eq(0..16384), "every slot once");
    for node in nodes {
        assert_eq!(node["answers"], true, "{node}");
        assert!(node["ping_ms"].is_f64(), "{node}");
        assert_eq!(node["replicates"].is_string(), node["primary"] == false, "{node}");
    }

    let output = panpipe(&["topology", "--url", &cluster.url()]);
    let text = stdout(&output);
    assert_eq!(text.lines().filter(|line| line.contains("127.0.0.1:")).count(), 6, "{text}");
    assert!(
        text.contains("3 primaries, 3 replicas; 16384 of 16384 slots served; 6 of 6 nodes answer"),
        "{text}"
    );
}

#[test]
fn help_shows_examples_and_exit_codes() {
    for args in [&["--help"][..], &["demo", "--help"], &["topology", "--help"], &["demo", "-h"]] {
        let output = panpipe(args);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0));
        for part in [
            "Exit codes:",
            "\n  0 ",
            "\n  1 ",
            "\n  2 ",
            "\n  4 ",
            "\n  5 ",
            "Examples:",
            "panpipe topology --url|panpipe demo --url",
        ] {
            assert!(part.split('|').any(|part| text.contains(part)), "no {part} in {args:?}:\n{text}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for args in [&["demo", "--rounds", "1", "--delay-ms", "0"][..], &["--help"]] {
        let child =
            command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut child = Ended(child);
        drop(child.0.stdout.take());
        let mut said = String::new();
        child.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(child.0.wait().expect("a child").code(), Some(0), "{said}");
        assert_eq!(said, "");
    }
}

#[test]
fn generate_writes_records_to_files_and_pipes() {
    let kv = as_typed(&["generate", "--records", "3", "--value-bytes", "4", "--format", "kv"]).output();
    let kv = kv.expect("the binary runs");
    let keys: Vec<String> =
        stdout(&kv).lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect();
    assert_eq!(keys, ["key:000000000001", "key:000000000002", "key:000000000003"]);
    let path = std::env::temp_dir().join(format!("panpipe-generate-{}.resp", std::process::id()));
    let file = path.to_str().expect("a path of ASCII");
    let said = stdout(&panpipe(&["generate", file, "--records", "1e3"]));
    let bytes = std::fs::metadata(&path).expect("the file is there").len();
    std::fs::remove_file(&path).expect("the file is there");
    assert_eq!(bytes, 107_000, "{said}");
    assert!(said.contains("1,000 records, 107,000 bytes"), "{said}");
    for (args, why) in [
        (&["generate", "x.resp.gz"][..], "nothing is compressed here"),
        (&["generate", "--key-bytes", "3"], "do not fit"),
        (&["generate", "--format", "json"], "cannot write json"),
        (&["generate", "--records", "many"], "1e6"),
    ] {
        let said = refused(2, args);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn failures_are_json_too_where_json_is_asked_for() {
    let output = panpipe(&["demo", "--json", "--input", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(5));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["ok"], false);
    assert_eq!(said["exit_code"], 5);
    assert!(said["error"].as_str().is_some_and(|error| error.contains("/nonexistent")), "{said}");
}

/// Whether the system lets us have io_uring, and why not.
#[cfg(target_os = "linux")]
fn uring_refusal() -> Option<String> {
    let config = Config { transport: panpipe::config::Transport::Uring, ..Config::default() };
    panpipe::transport::Net::open(&config).err().map(|error| error.to_string())
}

#[test]
fn the_transport_is_mio_unless_something_else_is_asked_for() {
    let cluster = embedded();
    let (plain, named) = (cluster.url(), format!("{}?transport=auto", cluster.url()));
    for args in [&["--url", &plain][..], &["--url", &named, "--transport", "mio"]] {
        let output = as_typed(&[&["demo", "--json", "--rounds", "1"], args].concat()).output();
        let output = output.expect("the binary runs");
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["transport"], "mio", "{args:?}");
        let calls = &found["parallel"]["system_calls_per_flush"];
        assert!(number(calls, "/waits") >= 1.0 && number(calls, "/enters") == 0.0, "{calls}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn everything_works_over_io_uring() {
    if let Some(refusal) = uring_refusal() {
        let said = refused(2, &["demo", "--rounds", "1", "--transport", "uring"]);
        assert!(said.contains("--transport uring") && said.contains("--transport auto"), "{said}");
        eprintln!("left out, because this system refuses it: {refusal}");
        return;
    }
    let found = json(&["--transport", "uring", "demo", "--json", "--delay-ms", "0", "--rounds", "2"]);
    assert_eq!(found["transport"], "uring");
    assert_eq!(found["values_checked"], RECORDS * 5);
    let calls = &found["parallel"]["system_calls_per_flush"];
    assert_eq!(number(calls, "/writes") + number(calls, "/reads") + number(calls, "/waits"), 0.0, "{calls}");
    // One for a flush, and another one where replies are late.
    assert!((1.0..4.0).contains(&number(calls, "/enters")), "{calls}");

    let cluster = embedded();
    let url = format!("{}?transport=uring", cluster.url());
    assert_eq!(json(&["demo", "--json", "--rounds", "1", "--url", &url])["transport"], "uring");
    let output = panpipe(&["topology", "--transport", "uring", "--url", &cluster.url()]);
    assert!(stdout(&output).contains("6 of 6 nodes answer"), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "nobody asked which it is");
}

#[cfg(target_os = "linux")]
#[test]
fn auto_says_what_it_became() {
    let cluster = embedded();
    let named = format!("{}?transport=auto", cluster.url());
    for args in [&["--url", &cluster.url(), "--transport", "auto"][..], &["--url", &named]] {
        let output = panpipe(&[&["topology"], args].concat());
        assert_eq!(output.status.code(), Some(0));
        let said = stderr(&output);
        match uring_refusal() {
            None => assert_eq!(said, "panpipe: the transport is uring\n"),
            Some(_) => assert!(said.starts_with("panpipe: the transport is mio, not uring: "), "{said}"),
        }
    }
}

#[test]
fn a_transport_that_there_is_not_is_a_wrong_command_line() {
    let said = refused(2, &["topology", "--transport", "epoll", "--url", "redis://127.0.0.1:7000"]);
    for part in ["'epoll'", "--transport", "mio", "uring", "auto"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let said = refused(2, &["topology", "--url", "redis://127.0.0.1:7000?transport=epoll"]);
    assert!(said.contains("--url") && said.contains("transport"), "{said}");
}

/// The client starts no thread, whatever the number of nodes.
#[cfg(target_os = "linux")]
#[test]
fn the_whole_program_is_one_thread() {
    let cluster = embedded();
    let demo = command(&["demo", "--url", &cluster.url(), "--rounds", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let demo = Ended(demo);
    let path = format!("/proc/{}/task", demo.0.id());
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        let threads = std::fs::read_dir(&path).expect("it still runs").count();
        assert_eq!(threads, 1);
    }
}
