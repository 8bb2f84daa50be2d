//! perf, attached to one process and told when to count.
//!
//! It knows perf's command line, its control pipe and its refusals. Invariant: between [`Recorder::attach`] and [`Recorder::enable`], and
//! after [`Recorder::finish`], nothing is sampled.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// A perf that samples, or is about to.
pub(super) struct Recorder {
    process: Child,
    orders: File,
    answers: File,
    files: Files,
}

/// A directory of its own, removed in the end.
struct Files {
    directory: PathBuf,
}

const ANSWER_MAX: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(60);

impl Recorder {
    /// Attaches to a process and those it starts, without sampling yet.
    ///
    /// # Errors
    /// Where perf is missing or not allowed, with what to do about it.
    pub(super) fn attach(pid: u32, frequency: u32) -> Result<Recorder> {
        let files = Files::new()?;
        let (orders, answers) = (files.pipe("orders")?, files.pipe("answers")?);
        let control = format!("fifo:{},{}", files.path("orders").display(), files.path("answers").display());
        let process = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "--call-graph", "fp", "-D", "-1"])
            .args(["-F", &frequency.to_string(), "-p", &pid.to_string(), "--control", &control, "-o"])
            .arg(files.path("data"))
            .stdout(Stdio::null())
            .stderr(File::create(files.path("said"))?)
            .spawn()
            .map_err(missing)?;
        Ok(Recorder { process, orders, answers, files })
    }

    /// Samples from now on.
    ///
    /// # Errors
    /// Where perf has refused.
    pub(super) fn enable(&mut self) -> Result<()> {
        self.tell("enable")
    }

    /// Stops, and answers what was sampled, as `perf script` prints it.
    ///
    /// # Errors
    /// Where perf failed.
    pub(super) fn finish(mut self) -> Result<String> {
        self.tell("disable")?;
        kill(Pid::from_raw(i32::try_from(self.process.id())?), Signal::SIGINT)?;
        let began = Instant::now();
        while self.process.try_wait()?.is_none() {
            if began.elapsed() > END_MAX {
                bail!("perf does not end; it said: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        script(&self.files.path("data"))
    }

    fn tell(&mut self, order: &str) -> Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes())?;
        let began = Instant::now();
        let mut answer = [0; 64];
        loop {
            match self.answers.read(&mut answer) {
                // "ack\n", and a zero in some versions
                Ok(n) if answer[..n].windows(3).any(|word| word == b"ack") => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if self.process.try_wait()?.is_some() {
                bail!("{}", refusal(&self.said(), paranoid()));
            }
            if began.elapsed() > ANSWER_MAX {
                bail!("perf does not answer (it must be of Linux 5.10 or later); it said: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.files.path("said")).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Files {
    fn new() -> Result<Files> {
        let directory = std::env::temp_dir().join(format!("panpipe-bench-flame-{}", std::process::id()));
        let _stale = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        Ok(Files { directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A named pipe whose both ends are open, so that opening it waits for nobody.
    fn pipe(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
        options.open(&path).with_context(|| format!("cannot open {}", path.display()))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether perf is there at all.
///
/// # Errors
/// Where it is not, with where to get it.
pub(super) fn check() -> Result<()> {
    let mut version = Command::new("perf");
    let status =
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(missing)?;
    if !status.success() {
        bail!(
            "perf does not work here: `perf --version` ended with {status}; try `apt-get install linux-perf`"
        );
    }
    Ok(())
}

fn script(data: &Path) -> Result<String> {
    let output = Command::new("perf")
        .args(["script", "-F", "comm,pid,tid,time,event,ip,sym,dso", "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .map_err(missing)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`perf script` ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn missing(error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow!(
            "perf is not on the PATH: `apt-get install linux-perf` (Debian), or your system's package of it"
        );
    }
    anyhow!(error).context("perf cannot be started")
}

/// What the system lets others than root see: `None` where it does not say.
pub(super) fn paranoid() -> Option<i32> {
    std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?.trim().parse().ok()
}

/// What to say where perf has ended instead of sampling.
fn refusal(said: &str, paranoid: Option<i32>) -> String {
    let forbidden = ["paranoid", "ermission", "not permitted", "EPERM", "EACCES", "No permission"];
    if forbidden.iter().any(|word| said.contains(word)) {
        let now = paranoid.map_or_else(String::new, |paranoid| format!(", which is {paranoid} now"));
        return format!(
            "perf is not allowed to sample: run as root, or `sysctl kernel.perf_event_paranoid=1`{now} \
             (and `sysctl kernel.kptr_restrict=0` for the kernel's names)\nperf said: {said}"
        );
    }
    let said = if said.is_empty() { "nothing" } else { said };
    format!("perf ended before it sampled anything; it said: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_set() {
        let said = "Error:\nAccess to performance monitoring and observability operations is limited.\n\
            Consider adjusting /proc/sys/kernel/perf_event_paranoid setting";
        let refused = refusal(said, Some(4));
        assert!(refused.contains("kernel.perf_event_paranoid=1`, which is 4 now"), "{refused}");
        assert!(refused.contains("run as root"), "{refused}");
        assert!(refusal("", None).contains("it said: nothing"));
        assert!(!refusal("unknown option", None).contains("sysctl"));
    }

    #[test]
    fn perf_that_is_missing_has_a_package() {
        let error = missing(std::io::Error::from(ErrorKind::NotFound));
        assert!(error.to_string().contains("apt-get install linux-perf"));
    }
}
