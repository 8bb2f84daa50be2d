//! Wires between the client and servers that do not know of them: one proxy per node, whose wire can be held, cut, slowed and mangled.
//!
//! It stands where network namespaces and packet filters would: the client maps each announced address to a proxy's. What differs: the proxy's
//! own kernel acknowledges bytes and accepts connections, so that a cut wire never shows in `TCP_USER_TIMEOUT` or a refused SYN, only in
//! silence; bytes of a held wire are delivered when it is let go, also those of a connection that the client has given up since (as a
//! kernel sends again what was not acknowledged, after its program has closed the socket); and a server is not told that a client has gone
//! (no reset comes through), so that it works off all that it had been sent.
//!
//! Two threads per connection, one per direction, which look at the mode before every read.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use panpipe::{Config, Endpoint};
use socket2::SockRef;

use crate::servers::{Cluster, Value};

const NAP: Duration = Duration::from_millis(2);
const CHUNK: usize = 64 << 10;

/// What a wire does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Nothing reaches the server.
    HoldUp,
    /// Nothing reaches the client.
    HoldDown,
    HoldBoth,
    /// Connections are reset, new ones too.
    Reset,
    /// Every piece comes later.
    Delay(Duration),
    /// A few bytes at a time.
    Drip,
}

/// What happens to one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mangle {
    Drop,
    /// It comes twice.
    Inject,
    /// Its first byte is none that a reply begins with.
    Corrupt,
}

struct Shared {
    mode: Mutex<Mode>,
    /// After so many more replies, this.
    mangle: Mutex<Option<(u64, Mangle)>>,
    /// Replies that were mangled.
    mangled: AtomicU64,
    stopping: AtomicBool,
}

/// The proxy of one node.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// One proxy per node of a cluster.
pub(crate) struct Proxies {
    pub(crate) proxies: Vec<Proxy>,
    ports: Vec<u16>,
}

impl Proxies {
    pub(crate) fn start(cluster: &Cluster) -> Proxies {
        let start = |server: SocketAddr| Proxy::start(server).expect("loopback has free ports");
        let nodes = cluster.nodes();
        println!("RC5, RC14: user-space proxies stand between the client and {} nodes", nodes.len());
        Proxies {
            proxies: nodes.iter().map(|node| start(node.server.address())).collect(),
            ports: nodes.iter().map(|node| node.server.port()).collect(),
        }
    }

    /// The server's port of a node, and the proxy's.
    pub(crate) fn ports_of(&self, node: usize) -> [u16; 2] {
        [self.ports[node], self.proxies[node].port]
    }

    /// The client reaches every node, seeds too, through its proxy.
    pub(crate) fn apply(&self, config: &mut Config) {
        let ports: Vec<(u16, u16)> =
            self.ports.iter().copied().zip(self.proxies.iter().map(|proxy| proxy.port)).collect();
        config.seeds = ports.iter().map(|(_, proxy)| Endpoint::new("127.0.0.1", *proxy)).collect();
        config.address_map = Some(Arc::new(move |announced: &Endpoint| {
            let proxy = ports.iter().find(|(server, _)| *server == announced.port);
            proxy.map_or_else(|| announced.clone(), |(_, proxy)| Endpoint::new("127.0.0.1", *proxy))
        }));
    }
}

impl Proxy {
    fn start(server: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Pass),
            mangle: Mutex::new(None),
            mangled: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&shared, &listener, server))
        };
        Ok(Proxy { port, shared, thread: Some(thread) })
    }

    pub(crate) fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
    }

    /// Mangles one reply, after `skipped` more.
    pub(crate) fn mangle(&self, mangle: Mangle, skipped: u64) {
        *lock(&self.shared.mangle) = Some((skipped, mangle));
    }

    pub(crate) fn mangled(&self) -> u64 {
        self.shared.mangled.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    fn ends(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener, server: SocketAddr) {
    while !shared.ends() {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(NAP);
            continue;
        };
        // A server that is down is a connection that ends.
        let Ok(server) = TcpStream::connect(server) else { continue };
        let Ok(wires) = wires(&client, &server) else { continue };
        for (up, (from, to)) in [true, false].into_iter().zip(wires) {
            let shared = Arc::clone(shared);
            thread::spawn(move || {
                // However it ends: the connection ends with it.
                let _ended = carry(&shared, up, &from, &to);
                if shared.mode() != Mode::Reset {
                    let _closed = to.shutdown(Shutdown::Write);
                    let _closed = from.shutdown(Shutdown::Read);
                }
            });
        }
    }
}

/// Both directions: from, to.
fn wires(client: &TcpStream, server: &TcpStream) -> io::Result<[(TcpStream, TcpStream); 2]> {
    for socket in [client, server] {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    }
    Ok([(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)])
}

fn carry(shared: &Shared, up: bool, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut frames = Frames::default();
    loop {
        if shared.ends() {
            return Ok(());
        }
        match shared.mode() {
            Mode::HoldUp if up => thread::sleep(NAP),
            Mode::HoldDown if !up => thread::sleep(NAP),
            Mode::HoldBoth => thread::sleep(NAP),
            Mode::Reset => {
                SockRef::from(if up { from } else { to }).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
            mode => {
                let bytes = match from.read(&mut chunk) {
                    Ok(0) => return Ok(()),
                    Ok(n) => &chunk[..n],
                    Err(error) if is_no_news(&error) => continue,
                    Err(error) => return Err(error),
                };
                let bytes = if up { bytes.to_vec() } else { frames.pass(shared, bytes) };
                let written = write(mode, &bytes, &mut to);
                if written.is_err() && !up {
                    return drain(shared, from);
                }
                written?;
            }
        }
    }
}

/// Takes the replies that nobody waits for any more, until the server has no more of them.
fn drain(shared: &Shared, mut server: &TcpStream) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    while !shared.ends() && shared.mode() != Mode::Reset {
        match server.read(&mut chunk) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if is_no_news(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_no_news(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn write(mode: Mode, bytes: &[u8], to: &mut &TcpStream) -> io::Result<()> {
    match mode {
        Mode::Delay(delay) => thread::sleep(delay),
        Mode::Drip => {
            for few in bytes.chunks(101) {
                to.write_all(few)?;
                thread::sleep(Duration::from_micros(200));
            }
            return Ok(());
        }
        _ => {}
    }
    to.write_all(bytes)
}

/// The replies in a stream of bytes.
#[derive(Default)]
struct Frames {
    begun: Vec<u8>,
}

impl Frames {
    /// The whole replies that there are now, as they go on to the client.
    fn pass(&mut self, shared: &Shared, bytes: &[u8]) -> Vec<u8> {
        self.begun.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut rest: &[u8] = &self.begun;
        while let Ok((_, after)) = Value::parse(rest) {
            let frame = &rest[..rest.len() - after.len()];
            match shared.turn() {
                None => out.extend_from_slice(frame),
                Some(Mangle::Drop) => {}
                Some(Mangle::Inject) => out.extend([frame, frame].concat()),
                Some(Mangle::Corrupt) => {
                    out.push(b'?');
                    out.extend_from_slice(&frame[1..]);
                }
            }
            rest = after;
        }
        self.begun = rest.to_vec();
        out
    }
}

impl Shared {
    /// What happens to this reply.
    fn turn(&self) -> Option<Mangle> {
        let mut mangle = lock(&self.mangle);
        let (left, what) = (*mangle)?;
        *mangle = left.checked_sub(1).map(|left| (left, what));
        if mangle.is_some() {
            return None;
        }
        self.mangled.fetch_add(1, Ordering::SeqCst);
        Some(what)
    }
}
