//! Runs of plain replies: what nearly all received bytes are.
//!
//! A reply is plain when it is no error and small, and when the command that it answers belongs to the same owner as the one before, is no
//! fence's and stands behind no ASKING. A run of them is matched with the connection and the owner looked up once, and the queues are moved
//! once at its end. This module knows nothing of any other reply: it hands over the first, scanned, with everything before it settled.

use crate::engine::Engine;
use crate::engine::connection::Link;
use crate::engine::in_flight::{InFlight, RESERVED_MIN, STREAM};
use crate::engine::lifecycle::LostBecause;
use crate::engine::recv_buf::RecvBuf;
use crate::engine::reply_slab::LARGE_REPLY_BYTES_MIN;
use crate::error::ProtocolError;
use crate::resp::scan::{Frame, FrameKind, Scan, Scanner};

/// What a run came to.
struct Run {
    commands: usize,
    /// Bytes of the commands.
    sent_bytes: u64,
    /// Bytes of their replies.
    received_bytes: usize,
    /// What stands behind.
    next: Result<Scan, ProtocolError>,
}

impl Engine {
    /// Deals with the plain replies at the front of what was received; the answer is what stands behind them.
    pub(crate) fn take_run(&mut self, row: u16, recv: &mut RecvBuf) -> Result<Scan, LostBecause> {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(Scan::NOTHING) };
        let unread = recv.unread();
        let owner = link.in_flight.first().map(|entry| entry.batch);
        let owner = owner.filter(|_| link.handshake.is_done() && !self.config.high_integrity);
        let mut ended = None;
        let run = match owner {
            Some(STREAM) => link.match_run(unread, STREAM, |index, frame| self.stream.answer(index, frame)),
            Some(id) if id < RESERVED_MIN => {
                let Some(batch) = self.batches.row_mut(id) else { return scan(&mut link.scanner, unread) };
                let run = link.match_run(unread, id, |index, frame| batch.fill(index, frame));
                batch.referenced -= run.commands as u32;
                ended = Some(id).filter(|_| batch.unanswered == 0 || batch.abandoned);
                run
            }
            _ => return scan(&mut link.scanner, unread),
        };
        self.queued_bytes -= run.sent_bytes;
        recv.consume(run.received_bytes);
        if let Some(id) = ended {
            self.after_batch(id);
        }
        run.next.map_err(LostBecause::Protocol)
    }
}

fn scan(scanner: &mut Scanner, unread: &[u8]) -> Result<Scan, LostBecause> {
    if unread.is_empty() { Ok(Scan::NOTHING) } else { scanner.scan(unread).map_err(LostBecause::Protocol) }
}

impl Link {
    /// Matches plain replies with the commands of `owner` at the front of the queue and drops those. `file` answers whether it took a reply.
    #[inline(always)]
    fn match_run(&mut self, unread: &[u8], owner: u32, mut file: impl FnMut(u32, &[u8]) -> bool) -> Run {
        let awaited_bytes = self.queue.sent() - self.queue.acked();
        let mut run = Run { commands: 0, sent_bytes: 0, received_bytes: 0, next: Ok(Scan::NOTHING) };
        let mut entries = self.in_flight.iter();
        let mut rest = unread;
        while let Some(&first) = rest.first() {
            let len = match self.scanner.scan_scalar(rest) {
                Some(len) => len,
                None => match self.scanner.scan(rest) {
                    Ok(Scan::Complete(Frame { len, attribute_len: 0, kind: FrameKind::Reply })) => len,
                    other => {
                        run.next = other;
                        break;
                    }
                },
            };
            let is_plain = |entry: &&InFlight| {
                entry.batch == owner
                    && !entry.has(InFlight::FENCED | InFlight::ASKED | InFlight::GIVEN_UP)
                    && run.sent_bytes + u64::from(entry.len) <= awaited_bytes
            };
            let entry = entries.next().filter(is_plain);
            let frame = rest.split_at_checked(len);
            if let (Some(entry), Some((frame, behind))) = (entry, frame)
                && !matches!(first, b'-' | b'!')
                && len < LARGE_REPLY_BYTES_MIN
                && file(entry.index, frame)
            {
                run.commands += 1;
                run.sent_bytes += u64::from(entry.len);
                rest = behind;
            } else {
                run.next = Ok(Scan::Complete(Frame { len, attribute_len: 0, kind: FrameKind::Reply }));
                break;
            }
        }
        run.received_bytes = unread.len() - rest.len();
        if run.commands > 0 {
            self.in_flight.drop_front(run.commands);
            self.queue.ack(run.sent_bytes);
            self.attempts = 0;
            self.stats.replies += run.commands as u64;
        }
        run
    }
}
