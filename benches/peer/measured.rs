//! The client's share of a round, function by function: an instruction counter collects inside these and nowhere else, so that the
//! peer costs nothing. None of them calls another one, which would switch collecting off, and none of them ends in a jump to what it
//! measures, which would take it off the stack by which copies are told apart: hence `return_here`.

use std::hint::black_box;
use std::io::IoSlice;

use bytes::BytesMut;
use crc16::{State, XMODEM};
use panpipe::command::{Arg, Keys, Request, cmd};
use panpipe::engine::{BatchId, ConnId, Engine, RecvBuf, Timestamp};
use panpipe::resp::scan::{Scan, Scanner};
use panpipe::slot::slot_of;
use smallvec::SmallVec;

use super::rig::Kind;
use super::{KEY_BYTES, VALUE};

/// Queues one command per key, as a typed command would: the arguments lie on the stack.
#[inline(never)]
pub(crate) fn submit(engine: &mut Engine, kind: Kind, keys: &[[u8; KEY_BYTES]], now: Timestamp) -> BatchId {
    let batch = engine.open_batch();
    for key in keys {
        let both = [Arg::Bytes(key), Arg::Bytes(VALUE)];
        let request = match kind {
            Kind::Set => Request::new("SET", Keys::FIRST, &both),
            Kind::Get => Request::new("GET", Keys::FIRST, &both[..1]).read_only(),
        };
        engine.submit(batch, &request, now);
    }
    engine.start_deadline(batch, now);
    batch
}

/// The same for the event-driven use.
#[inline(never)]
pub(crate) fn submit_stream(engine: &mut Engine, kind: Kind, keys: &[[u8; KEY_BYTES]], now: Timestamp) {
    for key in keys {
        let both = [Arg::Bytes(key), Arg::Bytes(VALUE)];
        let request = match kind {
            Kind::Set => Request::new("SET", Keys::FIRST, &both),
            Kind::Get => Request::new("GET", Keys::FIRST, &both[..1]).read_only(),
        };
        if engine.submit_stream(&request, 7, 5_000, now).is_err() {
            return;
        }
    }
}

/// Something to do after the last call of a function, so that the compiler cannot turn that call into a jump; no instruction.
#[inline(always)]
fn return_here() {
    black_box(());
}

#[inline(never)]
pub(crate) fn flush(engine: &mut Engine) {
    engine.flush();
    return_here();
}

#[inline(never)]
pub(crate) fn next_to_send(engine: &mut Engine) -> Option<ConnId> {
    while engine.poll_action().is_some() {}
    let conn = engine.poll_transmit();
    return_here();
    conn
}

#[inline(never)]
pub(crate) fn unsent<'a>(engine: &'a Engine, conn: ConnId, slices: &mut SmallVec<[IoSlice<'a>; 16]>) {
    engine.unsent(conn, slices);
    return_here();
}

#[inline(never)]
pub(crate) fn sent(engine: &mut Engine, conn: ConnId, n: usize, now: Timestamp) {
    engine.handle_sent(conn, n, now);
    return_here();
}

#[inline(never)]
pub(crate) fn lend(engine: &mut Engine, conn: ConnId) -> Option<RecvBuf> {
    let recv = engine.lend_recv(conn);
    return_here();
    recv
}

#[inline(never)]
pub(crate) fn received(engine: &mut Engine, conn: ConnId, recv: RecvBuf, n: usize, now: Timestamp) {
    engine.handle_received(conn, recv, n, now);
    return_here();
}

/// What a client asks once per turn.
#[inline(never)]
pub(crate) fn turn_ends(engine: &Engine, batch: BatchId) -> (bool, Option<Timestamp>) {
    (engine.is_complete(batch), engine.poll_timeout())
}

#[inline(never)]
pub(crate) fn abandon(engine: &mut Engine, batch: BatchId) {
    engine.abandon(batch);
    return_here();
}

/// Takes all results; answers how many there were.
#[inline(never)]
pub(crate) fn take_completions(engine: &mut Engine) -> u64 {
    let mut taken = 0;
    while let Some(completion) = engine.next_completion() {
        taken += u64::from(completion.result.is_ok());
    }
    taken
}

#[inline(never)]
pub(crate) fn slots(keys: &[Vec<u8>]) -> u64 {
    let mut sum = 0;
    for key in keys {
        sum += u64::from(slot_of(black_box(key.as_slice())));
    }
    sum
}

#[inline(never)]
pub(crate) fn crc16(keys: &[Vec<u8>]) -> u64 {
    let mut sum = 0;
    for key in keys {
        sum += u64::from(State::<XMODEM>::calculate(black_box(key.as_slice())));
    }
    sum
}

/// SET where there is a value, else GET.
#[inline(never)]
pub(crate) fn encode_requests(keys: &[Vec<u8>], value: Option<&[u8]>, out: &mut BytesMut) -> u64 {
    out.clear();
    for key in keys {
        let both = [Arg::Bytes(key), Arg::Bytes(value.unwrap_or_default())];
        let request = match value {
            Some(_) => Request::new("SET", Keys::FIRST, &both),
            None => Request::new("GET", Keys::FIRST, &both[..1]),
        };
        black_box(&request).write(out);
    }
    out.len() as u64
}

#[inline(never)]
pub(crate) fn encode_cmds(keys: &[Vec<u8>], value: Option<&[u8]>, out: &mut BytesMut) -> u64 {
    out.clear();
    for key in keys {
        let command = match value {
            Some(value) => cmd("SET").key(key).arg(value),
            None => cmd("GET").key(key),
        };
        if let Ok(request) = command.request() {
            black_box(&request).write(out);
        }
    }
    out.len() as u64
}

/// Finds the end of every reply.
#[inline(never)]
pub(crate) fn scan(scanner: &mut Scanner, mut bytes: &[u8]) -> u64 {
    let mut replies = 0;
    while let Ok(Scan::Complete(frame)) = scanner.scan(black_box(bytes)) {
        replies += 1;
        bytes = &bytes[frame.len..];
        if bytes.is_empty() {
            break;
        }
    }
    replies
}

/// The same where `chunk` bytes more are there at each look.
#[inline(never)]
pub(crate) fn scan_chunked(scanner: &mut Scanner, bytes: &[u8], chunk: usize) -> u64 {
    let mut replies = 0;
    let (mut start, mut end) = (0, 0);
    while start < bytes.len() {
        match scanner.scan(black_box(&bytes[start..end])) {
            Ok(Scan::Complete(frame)) => {
                replies += 1;
                start += frame.len;
            }
            Ok(Scan::Incomplete { .. }) => end = bytes.len().min(end + chunk),
            Err(_) => break,
        }
    }
    replies
}
