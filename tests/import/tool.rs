//! The tool in a folder of its own, and what came of a run.
#![allow(dead_code, reason = "each program that includes this module uses a part of it")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;
use serde_json::Value;

use crate::transport;

/// A run that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn embedded() -> EmbeddedCluster {
    EmbeddedCluster::builder().primaries(3).start().expect("an embedded cluster")
}

pub(crate) fn client(url: &str) -> Client {
    transport::connect(url).expect("connects")
}

/// Keys of all primaries.
pub(crate) fn keys(client: &mut Client) -> u64 {
    let keys: i64 = client.call(cmd("DBSIZE")).expect("DBSIZE");
    keys.try_into().expect("a count")
}

/// A cluster's address, and a folder that goes away at the end of the test.
pub(crate) struct Tool {
    url: String,
    folder: PathBuf,
}

impl Tool {
    pub(crate) fn new(url: &str) -> Tool {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("panpipe-import-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Tool { url: transport::url(url), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Whether the file is there and has something in it.
    pub(crate) fn has_some(&self, name: &str) -> bool {
        fs::metadata(self.path(name)).is_ok_and(|metadata| metadata.len() > 0)
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Lines of JSON.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        self.text(name).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// `panpipe import` with these arguments, on the cluster, in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        // Words behind the file may be swallowed by a command of the caller's, so ours come first.
        let ours = ["import", "--url", &self.url, "--summary", "summary.json"];
        self.bare(&[&ours, args].concat())
    }

    /// The tool with these arguments alone.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panpipe"));
        command.args(args).current_dir(&self.folder).env("COLUMNS", "100").env_remove("REDISCLI_AUTH");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and leaves it to the test.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.forget_summary();
        Running(Some(self.command(args).spawn().expect("the tool starts")))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.start(args).end(self)
    }

    /// Runs it with this on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Run {
        self.forget_summary();
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("the tool starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A tool that has seen enough closes it.
            let _ = stdin.write_all(&input);
        });
        let run = Running(Some(child)).end(self);
        writer.join().expect("writes");
        run
    }

    fn forget_summary(&self) {
        let _ = fs::remove_file(self.path("summary.json"));
    }

    /// Waits until `c.json` says that something is done.
    pub(crate) fn wait_for_checkpoint(&self) {
        let records = || {
            let checkpoint: Value = serde_json::from_slice(&fs::read(self.path("c.json")).ok()?).ok()?;
            checkpoint["done"]["record"].as_u64()
        };
        wait_until("a checkpoint", || records().is_some_and(|records| records > 0));
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the files are left in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A tool at work; killed where the test forgets it.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it runs")
    }

    pub(crate) fn signal(&mut self, name: &str) {
        let pid = self.child().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill starts");
        assert!(sent.success(), "kill -{name} {pid}");
    }

    /// Threads of the process; 1 where the system does not tell.
    pub(crate) fn threads(&mut self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child().id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(1)
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        let mut child = self.0.take().expect("it runs");
        child.kill().expect("a child");
        child.wait().expect("a child");
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child().try_wait().expect("a child").is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, tool: &Tool) -> Run {
        let child = self.0.take().expect("it runs");
        let pid = child.id();
        let (ended, watch) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if watch.recv_timeout(PATIENCE).is_err() {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        });
        let Output { status, stdout, stderr } = child.wait_with_output().expect("a child");
        ended.send(()).expect("the watchdog waits");
        watchdog.join().expect("the watchdog ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let summary = fs::read(tool.path("summary.json")).ok();
        let summary = summary.map(|json| serde_json::from_slice(&json).expect("JSON"));
        Run { code: status.code(), stdout: text(stdout), stderr: text(stderr), summary }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None`: killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) summary: Option<Value>,
}

impl Run {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Run {
        assert!(self.stderr.contains(part), "no {part:?} in {}", self.stderr);
        self
    }

    /// A value of the summary: `/records/written`.
    #[track_caller]
    pub(crate) fn value(&self, pointer: &str) -> &Value {
        let summary = self.summary.as_ref().unwrap_or_else(|| panic!("no summary: {}", self.stderr));
        summary.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {summary:#}"))
    }

    #[track_caller]
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.value(pointer).as_u64().unwrap_or_else(|| panic!("{pointer} is no number"))
    }

    /// The counts of records: all, written, rejected; and they add up.
    #[track_caller]
    pub(crate) fn records(&self, all: u64, written: u64, rejected: u64) -> &Run {
        let found = ["done", "written", "rejected"].map(|name| self.number(&format!("/records/{name}")));
        assert_eq!(found, [all, written, rejected], "\n{}\n{}", self.stdout, self.stderr);
        assert_eq!(all, written + rejected + self.number("/records/empty"));
        self
    }
}

/// RESP of one command.
pub(crate) fn resp(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}

/// Lines `key:N<TAB>value N`.
pub(crate) fn kv(records: u64) -> String {
    (1..=records).map(|number| format!("key:{number}\tvalue {number}\n")).collect()
}

/// Commands `SET key:N value N`.
pub(crate) fn sets(records: u64) -> Vec<u8> {
    (1..=records)
        .flat_map(|number| resp(&["SET", &format!("key:{number}"), &format!("value {number}")]))
        .collect()
}

/// Holds what `kv` and `sets` write against the cluster.
#[track_caller]
pub(crate) fn check_values(client: &mut Client, numbers: impl IntoIterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    for chunk in numbers.chunks(1000) {
        let mut pipe = client.pipeline();
        let tickets: Vec<_> = chunk.iter().map(|number| pipe.get(format!("key:{number}"))).collect();
        let replies = pipe.flush().expect("answers");
        for (number, ticket) in chunk.iter().zip(tickets) {
            let value: Option<Bytes> = replies.get(ticket).expect("an answer");
            assert_eq!(value.as_deref(), Some(format!("value {number}").as_bytes()), "key:{number}");
        }
    }
}
