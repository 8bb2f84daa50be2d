//! Servers that answer at once: a thread per connection, which reads, answers everything it got with one write, and reads again.
//!
//! They keep nothing and check nothing: what a client measures against them is the client. With a delay, a second thread per connection
//! writes each answer so much later than its command came, however many are under way.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::sink_replies::{Commands, Replies, Session};

const INBOX_BYTES: usize = 256 << 10;

/// Starts this many nodes on free ports of the loopback interface: a cluster, or one that belongs to none.
pub(super) fn start(
    nodes: usize,
    cluster: bool,
    delay: Duration,
    value_bytes: usize,
) -> std::io::Result<Vec<SocketAddr>> {
    let listeners: Vec<TcpListener> =
        (0..nodes).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let replies = Arc::new(Replies::new(&addresses, cluster, value_bytes));
    for (node, listener) in listeners.into_iter().enumerate() {
        let replies = Arc::clone(&replies);
        spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming().flatten()) {
                let replies = Arc::clone(&replies);
                let served = spawn(move || {
                    // A client that goes away is no failure of the sink.
                    let _gone = serve(node, stream, (&replies, Session::new(number)), delay);
                });
                // Without a thread the connection is closed, which its client reports.
                drop(served);
            }
        })?;
    }
    Ok(addresses)
}

/// Small stacks: there may be hundreds.
fn spawn(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().stack_size(128 << 10).spawn(work).map(drop)
}

fn serve(
    node: usize,
    mut stream: TcpStream,
    (replies, mut session): (&Replies, Session),
    delay: Duration,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let late = if delay.is_zero() { None } else { Some(answer_late(stream.try_clone()?)?) };
    let mut inbox = vec![0; INBOX_BYTES];
    let mut outbox = Vec::with_capacity(INBOX_BYTES);
    let mut held = 0;
    loop {
        if held == inbox.len() {
            inbox.resize(2 * held, 0);
        }
        let n = stream.read(&mut inbox[held..])?;
        if n == 0 {
            return Ok(());
        }
        held += n;
        let mut commands = Commands::new(&inbox[..held]);
        while let Some(command) = commands.next() {
            replies.answer(node, &command, &mut session, &mut outbox);
        }
        let consumed = commands.consumed();
        inbox.copy_within(consumed..held, 0);
        held -= consumed;
        if outbox.is_empty() {
            continue;
        }
        match &late {
            None => {
                stream.write_all(&outbox)?;
                outbox.clear();
            }
            Some(late) => {
                let answer = (Instant::now() + delay, std::mem::take(&mut outbox));
                if late.send(answer).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// A thread that writes answers when they are due.
fn answer_late(mut stream: TcpStream) -> std::io::Result<mpsc::Sender<(Instant, Vec<u8>)>> {
    let (sender, answers) = mpsc::channel::<(Instant, Vec<u8>)>();
    spawn(move || {
        // The kernel may lengthen a sleep by this thread's slack, 50 us unless it is told otherwise.
        let _kept = nix::sys::prctl::set_timerslack(1);
        for (due, answer) in answers {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    })?;
    Ok(sender)
}
