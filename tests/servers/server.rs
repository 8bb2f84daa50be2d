//! One server process.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ports::PortClaim;
use super::resp::{Connection, Value};
use super::run_dir::{new_server_dir, process_stat};
use super::version::Version;
use super::wait::{PATIENCE, wait_until};

/// A command of the test itself that takes longer has met a server that does not answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often another port is tried when somebody who knows nothing of our claims was faster.
const START_ATTEMPTS: usize = 20;

/// What a server says in its log when its port, or its bus port, is taken.
const PORT_TAKEN: [&str; 2] = ["Address already in use", "Failed listening on port"];

/// A server on a loopback port of its own. Dropping it ends the process and removes its files.
#[derive(Debug)]
pub(crate) struct Server {
    version: Version,
    claim: PortClaim,
    dir: PathBuf,
    args: Vec<String>,
    process: Mutex<Process>,
    /// The connection behind `call`; empty where the last one failed or the process has changed.
    control: Mutex<Option<Connection>>,
}

#[derive(Debug, Default)]
struct Process {
    child: Option<Child>,
    stopped: bool,
}

impl Server {
    /// Starts a server and waits until it answers. `args` are its command-line flags, and win over ours.
    pub(crate) fn start(version: Version, args: &[&str]) -> Server {
        for _ in 0..START_ATTEMPTS {
            let server = Server::new(version, args);
            match server.launch() {
                Ok(()) => return server,
                Err(log) if PORT_TAKEN.iter().any(|words| log.contains(words)) => {}
                Err(log) => panic!("{} {args:?} does not start:\n{log}", version.name()),
            }
        }
        panic!("{} found no free port in {START_ATTEMPTS} attempts", version.name());
    }

    fn new(version: Version, args: &[&str]) -> Server {
        let claim = PortClaim::take();
        let dir = new_server_dir(&format!("{}-{}", version.name(), claim.port()));
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Server { version, claim, dir, args, process: Mutex::default(), control: Mutex::default() }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn port(&self) -> u16 {
        self.claim.port()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.claim.address()
    }

    /// `redis://` with the password, where it has one.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}{}", self.url_credentials(), self.address())
    }

    pub(super) fn url_credentials(&self) -> String {
        self.password().map_or(String::new(), |password| format!(":{password}@"))
    }

    /// What `--requirepass` among the flags says.
    pub(crate) fn password(&self) -> Option<&str> {
        let at = self.args.iter().position(|arg| arg == "--requirepass")?;
        self.args.get(at + 1).map(String::as_str)
    }

    /// The process id, where there is a process (which may be stopped).
    pub(crate) fn pid(&self) -> Option<u32> {
        lock(&self.process).child.as_ref().map(Child::id)
    }

    /// Whether an answer can be expected: running, and not stopped.
    pub(crate) fn is_responsive(&self) -> bool {
        let process = lock(&self.process);
        process.child.is_some() && !process.stopped
    }

    /// A new connection, authenticated where there is a password.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.address(), CALL_TIMEOUT)?;
        if let Some(password) = self.password() {
            connection.call(&["AUTH", password])?.expect(&"AUTH");
        }
        Ok(connection)
    }

    /// Sends a command on a connection that is kept, and made anew where it was lost (so the command may be sent
    /// twice: what must happen exactly once, or belongs together, goes over `connect`).
    pub(crate) fn try_call<A: AsRef<[u8]>>(&self, args: &[A]) -> io::Result<Value> {
        let mut control = lock(&self.control);
        if let Some(mut kept) = control.take()
            && let Ok(reply) = kept.call(args)
        {
            *control = Some(kept);
            return Ok(reply);
        }
        let mut fresh = self.connect()?;
        let reply = fresh.call(args)?;
        *control = Some(fresh);
        Ok(reply)
    }

    /// Like `try_call`; no answer ends the test. An error reply is an answer.
    #[track_caller]
    pub(crate) fn call<A: AsRef<[u8]>>(&self, args: &[A]) -> Value {
        match self.try_call(args) {
            Ok(reply) => reply,
            Err(error) => {
                let name = String::from_utf8_lossy(args[0].as_ref()).into_owned();
                panic!("no answer to {name} from port {}: {error}", self.port());
            }
        }
    }

    /// Ends the process at once, as `kill -9` does. The port stays ours.
    pub(crate) fn kill(&self) {
        let mut process = lock(&self.process);
        if let Some(mut child) = process.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        process.stopped = false;
        drop(process);
        *lock(&self.control) = None;
    }

    /// Starts the process again, on the same port and in the same directory; ends it first where it runs.
    pub(crate) fn restart(&self) {
        self.kill();
        self.launch().unwrap_or_else(|log| panic!("the restart at port {} failed:\n{log}", self.port()));
    }

    /// Starts the process again at another port, in the same directory.
    pub(crate) fn restart_elsewhere(&mut self) {
        self.kill();
        for _ in 0..START_ATTEMPTS {
            self.claim = PortClaim::take();
            match self.launch() {
                Ok(()) => return,
                Err(log) if PORT_TAKEN.iter().any(|words| log.contains(words)) => {}
                Err(log) => panic!("the restart at port {} failed:\n{log}", self.port()),
            }
        }
        panic!("no free port in {START_ATTEMPTS} attempts");
    }

    /// SIGSTOP: the process keeps its sockets and does nothing.
    pub(crate) fn stop(&self) {
        self.signal("STOP", true);
        let pid = self.pid().expect("a process to stop");
        wait_until("SIGSTOP to arrive", PATIENCE, || {
            let state = process_stat(pid).and_then(|fields| fields.first().cloned()).unwrap_or_default();
            if state == "T" { Ok(()) } else { Err(format!("the process is in state {state:?}")) }
        });
    }

    /// SIGCONT: the process goes on.
    pub(crate) fn cont(&self) {
        self.signal("CONT", false);
    }

    fn signal(&self, signal: &str, stopped: bool) {
        let mut process = lock(&self.process);
        let pid = process.child.as_ref().expect("a process to signal").id();
        let script = format!("kill -{signal} {pid}");
        let status = Command::new("sh").args(["-c", &script]).status().expect("sh starts");
        assert!(status.success(), "{script} failed");
        process.stopped = stopped;
    }

    /// Starts the process and waits for its answer; the log is the error.
    fn launch(&self) -> Result<(), String> {
        let log = File::create(self.dir.join("log")).expect("the target directory can be written");
        let child = Command::new(self.version.binary())
            .args(self.base_args())
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle of the log"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.version.binary().display()));
        lock(&self.process).child = Some(child);
        wait_until("a server to start", PATIENCE, || {
            if self.has_exited() { Ok(Err(self.log())) } else { self.answers().map(Ok) }
        })
    }

    fn base_args(&self) -> Vec<String> {
        let dir = self.dir.to_string_lossy();
        let flags = ["--bind 127.0.0.1", "--protected-mode no", "--daemonize no", "--appendonly no"];
        let mut args: Vec<String> =
            flags.iter().flat_map(|flag| flag.split(' ')).map(str::to_owned).collect();
        args.extend(["--save", "", "--dir", &dir, "--port"].map(str::to_owned));
        args.push(self.port().to_string());
        if self.version.has_debug_flag() {
            args.extend(["--enable-debug-command", "yes"].map(str::to_owned));
        }
        args
    }

    fn has_exited(&self) -> bool {
        let mut process = lock(&self.process);
        let Some(child) = &mut process.child else { return true };
        let exited = child.try_wait().expect("a child can be asked").is_some();
        if exited {
            process.child = None;
        }
        exited
    }

    /// Whether the one that answers is our process, and not somebody else's server on the same port.
    fn answers(&self) -> Result<(), String> {
        let info = self.try_call(&["INFO", "server"]).map_err(|error| error.to_string())?;
        let ours = format!("process_id:{}\r\n", self.pid().unwrap_or_default());
        if info.text().is_some_and(|text| text.contains(&ours)) { Ok(()) } else { Err(format!("{info:?}")) }
    }

    /// What the process has printed since it was last started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

/// A test that panicked elsewhere must still be able to end its servers.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(12).collect();
            eprintln!("-- the log of {} at port {} ends so:", self.version.name(), self.port());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
