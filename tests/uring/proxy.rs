//! Wires that misbehave: what stands between the client and a server that is honest.
//!
//! Each connection has a fate that the seed decides: bytes come in pieces, late, or not at all; the connection ends at a random place, by a
//! reset, an end or half an end; the window is small and read slowly. One thread per connection, so that closing its socket closes it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::rng::Rng;

/// How long a thread sleeps when it has nothing to do.
const NAP: Duration = Duration::from_micros(100);

/// One wire per server.
pub(crate) struct Wires {
    shared: Arc<Shared>,
    pub(crate) ports: Vec<u16>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    rng: Mutex<Rng>,
    /// Connections behave.
    healed: AtomicBool,
    /// Connections are refused.
    refusing: AtomicBool,
    stopping: AtomicBool,
    /// Connections older than this end.
    era: AtomicU64,
    alive: AtomicUsize,
    /// What freed memory is filled with, and whether it was sent.
    poison: u8,
    poisoned: AtomicBool,
}

/// What becomes of one direction of a connection.
#[derive(Debug, Clone, Copy)]
struct Fate {
    chunk_bytes: usize,
    pause: Duration,
    /// After so many bytes comes the end.
    left: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Reset,
    Close,
    /// No more bytes in this direction, and the receiver is told so.
    HalfClose,
    /// No more bytes in this direction, and nobody is told.
    Silence,
}

impl Wires {
    /// Wires to these servers.
    pub(crate) fn start(servers: &[SocketAddr], seed: u64, poison: u8) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            rng: Mutex::new(Rng::new(seed)),
            healed: AtomicBool::new(true),
            refusing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            era: AtomicU64::new(0),
            alive: AtomicUsize::new(0),
            poison,
            poisoned: AtomicBool::new(false),
        });
        let mut wires = Wires { shared, ports: Vec::new(), threads: Vec::new() };
        for server in servers {
            let small = wires.shared.roll(|rng| rng.chance(40));
            let listener = listen(0, small)?;
            wires.ports.push(listener.local_addr()?.port());
            let (shared, server) = (Arc::clone(&wires.shared), *server);
            wires.threads.push(thread::spawn(move || accept(&shared, listener, small, server)));
        }
        Ok(wires)
    }

    /// From now on connections behave, or do not.
    pub(crate) fn heal(&self, healed: bool) {
        self.shared.healed.store(healed, Ordering::SeqCst);
    }

    /// From now on connections are refused, or are not.
    pub(crate) fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Ends every connection, and waits until none is left.
    pub(crate) fn cut(&self) {
        loop {
            // Again and again: one that was waiting to be accepted belongs to the era in which it is.
            self.shared.era.fetch_add(1, Ordering::SeqCst);
            thread::sleep(NAP);
            if self.shared.alive.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }

    /// Whether freed memory was sent.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.shared.poisoned.load(Ordering::SeqCst)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.cut();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
        self.cut();
    }
}

impl Shared {
    fn roll<T>(&self, from: impl FnOnce(&mut Rng) -> T) -> T {
        from(&mut self.rng.lock().expect("no panic while rolling"))
    }

    fn fate(&self) -> Fate {
        if self.healed.load(Ordering::SeqCst) {
            return Fate { chunk_bytes: 64 << 10, pause: Duration::ZERO, left: u64::MAX, end: End::Close };
        }
        self.roll(|rng| Fate {
            chunk_bytes: rng.pick(&[1, 7, 100, 1500, 4096, 65536, 65536]),
            pause: Duration::from_micros(rng.pick(&[0, 0, 0, 50, 1000])),
            left: if rng.chance(60) {
                u64::MAX
            } else {
                rng.pick(&[0, 1, 200, 900, 5000, 100_000, 1_000_000])
            },
            end: rng.pick(&[End::Reset, End::Reset, End::Close, End::HalfClose, End::Silence]),
        })
    }
}

fn listen(port: u16, small: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if small {
        // Inherited by what is accepted.
        socket.set_recv_buffer_size(2 << 10)?;
        socket.set_send_buffer_size(2 << 10)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(64)?;
    Ok(socket.into())
}

fn accept(shared: &Arc<Shared>, listener: TcpListener, small: bool, server: SocketAddr) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let mut listener = Some(listener);
    while !shared.stopping.load(Ordering::SeqCst) {
        if shared.refusing.load(Ordering::SeqCst) {
            listener = None;
        } else if listener.is_none() {
            listener = listen(port, small).ok();
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => {
                shared.alive.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(shared);
                thread::spawn(move || {
                    // However it ends: both sockets are closed then.
                    let _ended = Wire::new(&shared, client, server).and_then(|wire| wire.carry(&shared));
                    shared.alive.fetch_sub(1, Ordering::SeqCst);
                });
            }
            _ => thread::sleep(NAP),
        }
    }
}

/// One connection.
struct Wire {
    client: TcpStream,
    server: TcpStream,
    up: Flow,
    down: Flow,
    era: u64,
}

/// One direction of it.
struct Flow {
    fate: Fate,
    pending: Vec<u8>,
    has_ended: bool,
}

impl Wire {
    fn new(shared: &Shared, client: TcpStream, server: SocketAddr) -> io::Result<Self> {
        let era = shared.era.load(Ordering::SeqCst);
        let server = TcpStream::connect(server)?;
        for socket in [&client, &server] {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
        }
        let flow = || Flow { fate: shared.fate(), pending: Vec::new(), has_ended: false };
        Ok(Wire { client, server, up: flow(), down: flow(), era })
    }

    fn carry(mut self, shared: &Shared) -> io::Result<()> {
        while self.era == shared.era.load(Ordering::SeqCst) {
            let up = self.up.step(&mut self.client, &mut self.server, shared)?;
            let down = self.down.step(&mut self.server, &mut self.client, shared)?;
            for flow in [&mut self.up, &mut self.down] {
                if flow.has_ended || flow.fate.left > 0 || !flow.pending.is_empty() {
                    continue;
                }
                flow.has_ended = true;
                match flow.fate.end {
                    End::Reset => return SockRef::from(&self.client).set_linger(Some(Duration::ZERO)),
                    End::Close => return Ok(()),
                    End::HalfClose => self.client.shutdown(Shutdown::Write)?,
                    End::Silence => {}
                }
            }
            if up + down == 0 {
                thread::sleep(NAP);
            }
        }
        Ok(())
    }
}

impl Flow {
    /// Carries at most a chunk. An error is the end of the connection.
    fn step(&mut self, from: &mut TcpStream, to: &mut TcpStream, shared: &Shared) -> io::Result<usize> {
        if self.has_ended {
            return Ok(0);
        }
        if self.pending.is_empty() {
            let room = self.fate.chunk_bytes.min(usize::try_from(self.fate.left).unwrap_or(usize::MAX));
            self.pending.resize(room, 0);
            let n = if room == 0 { 0 } else { ready(from.read(&mut self.pending))?.unwrap_or(0) };
            self.pending.truncate(n);
            self.fate.left -= n as u64;
            if self.pending.contains(&shared.poison) {
                shared.poisoned.store(true, Ordering::SeqCst);
            }
            if n > 0 && !self.fate.pause.is_zero() {
                thread::sleep(self.fate.pause);
            }
        }
        if self.pending.is_empty() {
            return Ok(0);
        }
        let n = ready(to.write(&self.pending))?.unwrap_or(0);
        self.pending.drain(..n);
        Ok(n)
    }
}

/// Nothing where the socket would block; an end is an error.
fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => Ok(Some(n)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
