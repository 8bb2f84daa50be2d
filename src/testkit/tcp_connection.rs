//! The threads of an embedded cluster: accepting, serving, answering late.
//!
//! A connection's thread reads a chunk, lets the model answer all of it, and writes the answers at once. With a delay
//! the writing moves to a second thread, so that chunks overlap on their way as they do on a long wire.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::session::SessionId;
use super::tcp::{Shared, now_ms};

/// What one read takes at most.
const CHUNK_BYTES: usize = 256 * 1024;
/// Stack of a connection's thread: the model does not recurse.
const STACK_BYTES: usize = 512 * 1024;
/// Longest sleep before a thread looks whether it should stop.
const NAP: Duration = Duration::from_millis(20);

/// Accepts connections of a node until it is told to stop.
pub(crate) fn accept(shared: &Arc<Shared>, node: usize, socket: &TcpListener, is_stopping: &AtomicBool) {
    loop {
        let accepted = socket.accept();
        if is_stopping.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((stream, _)) => welcome(shared, node, stream),
            // Out of descriptors, most likely: do not spin.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn welcome(shared: &Arc<Shared>, node: usize, mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut state = shared.lock();
    let Some(session) = state.model.open(node, now_ms()) else { return };
    let (mut greeting, refused) = (Vec::new(), state.model.session_closed_by_server(session));
    state.model.take_output(session, &mut greeting);
    let handle = stream.try_clone();
    state.shut_closed(Some(session));
    match handle {
        Ok(handle) if !refused => state.streams.insert(session, handle),
        _ => {
            state.model.close(session);
            drop(state);
            let _ = stream.write_all(&greeting);
            return;
        }
    };
    state.threads_alive += 1;
    drop(state);
    let for_thread = Arc::clone(shared);
    let serve = move || {
        Connection { shared: &for_thread, node, session, stream, late: None }.serve();
        end(&for_thread, session);
    };
    let spawned = thread::Builder::new().name("model-session".into()).stack_size(STACK_BYTES).spawn(serve);
    if spawned.is_err() {
        end(shared, session);
    }
}

/// The connection's thread is over.
fn end(shared: &Shared, session: SessionId) {
    let mut state = shared.lock();
    if let Some(stream) = state.streams.remove(&session) {
        let _ = stream.shutdown(Shutdown::Both);
    }
    state.model.close(session);
    state.threads_alive -= 1;
    shared.changed.notify_all();
}

/// How an answer leaves.
struct Said {
    delay: Duration,
    piece_bytes: usize,
    is_last: bool,
}

/// Answers with the time at which they are due.
type Late = (Instant, Vec<u8>);

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    node: usize,
    session: SessionId,
    stream: TcpStream,
    /// The thread that writes late answers, from the first one on.
    late: Option<(Sender<Late>, JoinHandle<()>)>,
}

impl Connection<'_> {
    fn serve(mut self) {
        self.answer_until_end();
        // What is late is still said: the connection ends behind the last answer.
        if let Some((sender, thread)) = self.late {
            drop(sender);
            let _ = thread.join();
        }
    }

    fn answer_until_end(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut answer = Vec::new();
        loop {
            let length = match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            };
            let arrived = Instant::now();
            let Said { delay, piece_bytes, is_last } = self.ask_model(&chunk[..length], &mut answer);
            if !self.send(arrived, delay, piece_bytes, &mut answer) || is_last {
                return;
            }
        }
    }

    /// Lets the model answer. A frozen node's bytes stay here until it thaws: nobody reads on behind them.
    fn ask_model(&self, bytes: &[u8], answer: &mut Vec<u8>) -> Said {
        let waits = |state: &mut super::tcp::State| {
            state.model.node(self.node).is_frozen()
                && !state.model.session_closed_by_server(self.session)
                && !self.shared.is_stopping()
        };
        let state = self.shared.lock();
        let state = self.shared.changed.wait_while(state, waits);
        let mut state = state.unwrap_or_else(std::sync::PoisonError::into_inner);
        state.model.feed(self.session, bytes, now_ms());
        state.model.take_output(self.session, answer);
        state.shut_closed(Some(self.session));
        let delay = Duration::from_millis(state.delays_ms[self.node]);
        let is_last = state.model.session_closed_by_server(self.session);
        Said { delay, piece_bytes: state.pieces_bytes[self.node], is_last }
    }

    /// Writes the answer now or hands it to the late thread. False when the connection is broken.
    fn send(&mut self, arrived: Instant, delay: Duration, piece_bytes: usize, answer: &mut Vec<u8>) -> bool {
        if answer.is_empty() {
            return true;
        }
        if self.late.is_none() && delay.is_zero() {
            let written = answer.chunks(piece_bytes).all(|piece| self.stream.write_all(piece).is_ok());
            answer.clear();
            return written;
        }
        if self.late.is_none() {
            self.late = self.start_late_thread();
        }
        let late = (arrived + delay, std::mem::take(answer));
        self.late.as_ref().is_some_and(|(sender, _)| sender.send(late).is_ok())
    }

    fn start_late_thread(&self) -> Option<(Sender<Late>, JoinHandle<()>)> {
        let stream = self.stream.try_clone().ok()?;
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(self.shared);
        shared.lock().threads_alive += 1;
        let for_thread = Arc::clone(&shared);
        let write = move || {
            write_late(&for_thread, stream, &receiver);
            for_thread.lock().threads_alive -= 1;
            for_thread.changed.notify_all();
        };
        let builder = thread::Builder::new().name("model-late".into()).stack_size(STACK_BYTES);
        match builder.spawn(write) {
            Ok(thread) => Some((sender, thread)),
            Err(_) => {
                shared.lock().threads_alive -= 1;
                None
            }
        }
    }
}

/// Writes answers when they are due. What is due together leaves together.
fn write_late(shared: &Shared, mut stream: TcpStream, receiver: &Receiver<Late>) {
    let mut next = receiver.recv().ok();
    while let Some((due, mut answer)) = next.take() {
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if shared.is_stopping() {
                return;
            }
            thread::sleep(left.min(NAP));
        }
        next = receiver.try_recv().ok();
        while let Some((_, more)) = next.take_if(|(due, _)| *due <= Instant::now()) {
            answer.extend_from_slice(&more);
            next = receiver.try_recv().ok();
        }
        if stream.write_all(&answer).is_err() {
            return;
        }
        if next.is_none() {
            next = receiver.recv().ok();
        }
    }
}
