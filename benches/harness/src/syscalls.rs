//! System calls as the kernel saw them: strace, attached to a worker for a round of its own.
//!
//! Tracing slows the worker down, so that replies may be there before it sleeps; counts of waits are therefore those of a slow client.
//! What a contender counts itself (`counters`) is exact and undisturbed, where it counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What a round called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) flushes: u64,
    pub(crate) commands: u64,
    /// By name: how often, and the sum of what they returned where that was positive (for reads and writes: bytes).
    pub(crate) by_name: BTreeMap<String, Call>,
}

/// One kind of call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) count: u64,
    pub(crate) returned: u64,
}

/// A running strace.
pub(crate) struct Tracer {
    process: Child,
    log: PathBuf,
}

const ATTACH_MAX: Duration = Duration::from_secs(5);

impl Tracer {
    /// Attaches to a process and its threads. `None` where strace is missing or not allowed.
    pub(crate) fn attach(pid: u32) -> Option<Tracer> {
        let log = std::env::temp_dir().join(format!("panpipe-bench-{}-{pid}.strace", std::process::id()));
        let process = Command::new("strace")
            .args(["-f", "-qq", "-s", "0", "-e", "signal=none", "-p"])
            .arg(pid.to_string())
            .arg("-o")
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut tracer = Tracer { process, log };
        let began = Instant::now();
        while began.elapsed() < ATTACH_MAX {
            if !matches!(tracer.process.try_wait(), Ok(None)) {
                return None;
            }
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let traced =
                status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|by| by.trim() != "0"));
            if traced {
                // Its other threads follow within a moment.
                std::thread::sleep(Duration::from_millis(50));
                return Some(tracer);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Detaches and counts.
    pub(crate) fn finish(mut self, flushes: u64, commands: u64) -> Option<Calls> {
        kill(Pid::from_raw(i32::try_from(self.process.id()).ok()?), Signal::SIGINT).ok()?;
        self.process.wait().ok()?;
        let log = std::fs::read_to_string(&self.log).ok()?;
        Some(Calls { flushes, commands, by_name: parse(&log) })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
        let _removed = std::fs::remove_file(&self.log);
    }
}

/// Counts the lines of a log: `pid name(arguments) = result`. A call that was interrupted by another thread's line has two; the
/// second one, `<... name resumed>`, has the result.
fn parse(log: &str) -> BTreeMap<String, Call> {
    let mut calls: BTreeMap<String, Call> = BTreeMap::new();
    for line in log.lines() {
        let text = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let (name, begins) = match text.strip_prefix("<... ") {
            Some(rest) => (rest.split(' ').next().unwrap_or_default(), false),
            None => (text.split('(').next().unwrap_or_default(), true),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let call = calls.entry(name.to_owned()).or_default();
        call.count += u64::from(begins);
        let result = text.rsplit_once(" = ").map(|(_, result)| result.split(' ').next().unwrap_or_default());
        call.returned += result.and_then(|result| result.parse::<u64>().ok()).unwrap_or(0);
    }
    // The worker's own orders and answers come with pipes.
    calls.retain(|_, call| call.count > 0);
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_name_with_what_they_returned() {
        let log = "12 sendto(5, \"\"..., 120, MSG_NOSIGNAL, NULL, 0) = 120\n\
                   12 recvfrom(5, \"\"..., 65536, 0, NULL, NULL) = 35\n\
                   12 epoll_wait(3,  <unfinished ...>\n\
                   13 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 1\n\
                   12 <... epoll_wait resumed>[{events=EPOLLIN}], 64, -1) = 1\n\
                   12 recvfrom(5, 0x7f, 65536, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n\
                   12 +++ exited with 0 +++\n";
        let calls = parse(log);
        let names: Vec<&str> = calls.keys().map(String::as_str).collect();
        assert_eq!(names, ["epoll_wait", "futex", "recvfrom", "sendto"]);
        assert_eq!(calls["recvfrom"], Call { count: 2, returned: 35 });
        assert_eq!(calls["epoll_wait"], Call { count: 1, returned: 1 });
    }
}
