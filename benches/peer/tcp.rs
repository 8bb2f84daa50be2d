//! The peer behind real sockets: one blocking thread per node, which reads, answers everything it got with one write, and reads again.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::Answers;

/// Room for the commands of a large flush.
const INBOX_BYTES: usize = 256 << 10;

/// A running peer; its threads end with the process.
pub(crate) struct Servers {
    ports: Vec<u16>,
}

impl Servers {
    /// Starts this many nodes on free ports of the loopback interface.
    pub(crate) fn start(nodes: usize) -> std::io::Result<Servers> {
        Servers::start_delayed(nodes, &[])
    }

    /// As `start`; each node answers so many microseconds later, in the order given and over again.
    pub(crate) fn start_delayed(nodes: usize, delays_us: &[u64]) -> std::io::Result<Servers> {
        let listeners: Vec<TcpListener> =
            (0..nodes).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().map(|address| address.port()))
            .collect::<Result<_, _>>()?;
        let answers = Answers::new(&ports);
        for (node, listener) in listeners.into_iter().enumerate() {
            let answers = answers.clone();
            let delay =
                delays_us.iter().cycle().nth(node).map_or(Duration::ZERO, |&us| Duration::from_micros(us));
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that goes away is no failure of the peer.
                    let _gone = serve(node, stream, &answers, delay);
                }
            });
        }
        Ok(Servers { ports })
    }

    /// The ports of all nodes.
    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The address of all nodes.
    pub(crate) fn url(&self) -> String {
        let seeds: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis://{}?refresh_interval_ms=0", seeds.join(","))
    }
}

fn serve(node: usize, mut stream: TcpStream, answers: &Answers, delay: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = vec![0; INBOX_BYTES];
    let mut held = 0;
    let mut outbox = Vec::with_capacity(INBOX_BYTES);
    loop {
        let n = stream.read(&mut inbox[held..])?;
        if n == 0 {
            return Ok(());
        }
        held += n;
        let answered = answers.answer(node, &inbox[..held], &mut outbox);
        if answered.hang_up {
            return Ok(());
        }
        inbox.copy_within(answered.consumed..held, 0);
        held -= answered.consumed;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        stream.write_all(&outbox)?;
        outbox.clear();
    }
}
