//! The directory of one test process, and what happens to its servers when the process is gone.
//!
//! `<target>/tmp/servers/<process id>.<its start time>/` holds one working directory per server. That is also how
//! leftovers are known: a server whose working directory belongs to a process that is no more. Process ids are
//! used again, hence the start time; server processes are found by their directory, not by a written-down id.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The script itself, so that a program of another package finds it too.
const REAP: &str = include_str!("reap");

struct RunDir {
    path: PathBuf,
    /// Waits for the end of this process, which closes its standard input, and then reaps.
    _watcher: Child,
}

/// A new directory for one server.
pub(super) fn new_server_dir(name: &str) -> PathBuf {
    static RUN_DIR: OnceLock<RunDir> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let run_dir = RUN_DIR.get_or_init(RunDir::new);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = run_dir.path.join(format!("{count}-{name}"));
    fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

impl RunDir {
    fn new() -> RunDir {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers");
        sweep(&all);
        let pid = std::process::id();
        let start = start_time(pid).expect("this process is in /proc");
        let path = all.join(format!("{pid}.{start}"));
        fs::create_dir_all(&path).expect("the target directory can be written");
        RunDir { _watcher: watch(&path), path }
    }
}

/// Starts the watcher: in a process group of its own, so that Ctrl-C leaves it to do its work.
fn watch(path: &Path) -> Child {
    Command::new("sh")
        .args(["-c", &format!("cat >/dev/null\n{REAP}"), "reap"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh starts")
}

/// Reaps what processes left behind that are no more.
fn sweep(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        if !owner_lives(&entry.file_name().to_string_lossy()) {
            let _ = Command::new("sh").args(["-c", REAP, "reap"]).arg(entry.path()).status();
        }
    }
}

fn owner_lives(name: &str) -> bool {
    let Some((pid, start)) = name.split_once('.') else { return false };
    let Ok(pid) = pid.parse() else { return false };
    start_time(pid).is_some_and(|now| now == start)
}

fn start_time(pid: u32) -> Option<String> {
    process_stat(pid)?.get(19).cloned()
}

/// The fields of `/proc/<pid>/stat` from the third on, which is the process state (so field 22, the start time, is at
/// index 19). The second, the program's name, may contain spaces and ends at the last `)`.
pub(super) fn process_stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    Some(after_name.split_whitespace().map(str::to_owned).collect())
}
