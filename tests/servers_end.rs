//! No server outlives the test that started it, whatever becomes of that test.

mod servers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use servers::{PATIENCE, Server, Version, wait_until};

/// Set for a process of this very test binary that plays the part of a test which is killed.
const VICTIM: &str = "PANPIPE_TEST_VICTIM";

#[test]
fn a_test_that_panics_ends_its_servers() {
    let pid = std::sync::OnceLock::new();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let server = Server::start(Version::Redis70, &[]);
        server.stop();
        pid.set(server.pid().unwrap()).unwrap();
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert!(!is_alive(*pid.get().unwrap()));
}

#[test]
fn a_test_process_that_is_killed_leaves_no_server_and_no_file() {
    let _alone = alone();
    let mut victim = Victim::start();
    victim.process.kill();
    wait_until("the watcher to reap", PATIENCE, || {
        let left = (is_alive(victim.server), victim.run_dir.exists());
        if left == (false, false) { Ok(()) } else { Err(format!("(alive, directory): {left:?}")) }
    });
}

#[test]
fn the_next_run_sweeps_what_an_earlier_one_left() {
    let _alone = alone();
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // A process that never was (ids end below 4194304), so no watcher looks after its directory.
    let run_dir = tmp.join("servers/4194305.1");
    reap(&run_dir);
    let staging = tmp.join("staging");
    fs::create_dir_all(staging.join("0-leftover")).unwrap();
    let mut leftover = Command::new(Version::Redis62.binary());
    leftover.args(["--port", "0", "--unixsocket", "socket", "--save", ""]);
    leftover.current_dir(staging.join("0-leftover")).stdout(Stdio::null());
    let mut leftover = Process(leftover.spawn().unwrap());
    // It comes into being complete, because other test processes sweep too.
    fs::create_dir_all(tmp.join("servers")).unwrap();
    fs::rename(&staging, &run_dir).unwrap();

    let next_run = Victim::start();
    let ended = wait_until("the leftover to end", PATIENCE, || {
        leftover.0.try_wait().unwrap().ok_or_else(|| "it still runs".to_owned())
    });
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
    assert!(!run_dir.exists());
    assert!(is_alive(next_run.server), "a run that goes on is left alone");
}

#[test]
fn reaping_refuses_a_directory_that_is_not_a_run_directory() {
    let precious = Path::new(env!("CARGO_TARGET_TMPDIR")).join("precious");
    fs::create_dir_all(&precious).unwrap();
    for dir in [Path::new(""), Path::new("/"), Path::new("servers/1.1"), &precious] {
        assert_eq!(reap(dir), Some(2), "{dir:?}");
    }
    assert!(precious.exists());
}

#[test]
fn servers_that_start_together_get_ports_of_their_own() {
    let start = || Server::start(Version::Valkey91, &["--cluster-enabled", "yes"]);
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut ports: Vec<u16> = servers.iter().map(Server::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let start = || Server::start(Version::Redis70, &["--no-such-flag", "yes"]);
    let panic = catch_unwind(start).expect_err("a bad flag");
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("no-such-flag"), "{text}");
}

/// Not a test of its own: what the killed process does.
#[test]
fn victim() {
    if std::env::var_os(VICTIM).is_some() {
        let server = Server::start(Version::Redis70, &[]);
        let directory = fs::read_link(format!("/proc/{}/cwd", server.pid().unwrap())).unwrap();
        println!("\nvictim {} {}", server.pid().unwrap(), directory.display());
        std::thread::sleep(PATIENCE);
    }
}

struct Victim {
    process: Process,
    server: u32,
    run_dir: PathBuf,
}

impl Victim {
    fn start() -> Victim {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "victim", "--nocapture"]).env(VICTIM, "1");
        let mut process = Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("victim ")).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let run_dir = Path::new(words[2]).parent().unwrap().to_owned();
        Victim { process, server: words[1].parse().unwrap(), run_dir }
    }
}

/// A process that ends with the test, also where the test fails.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One victim at a time: each one's start sweeps, and would do the work that the other test waits for.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap(dir: &Path) -> Option<i32> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/reap");
    Command::new("sh").arg(script).arg(dir).stderr(Stdio::null()).status().unwrap().code()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
