//! Units: MULTI, commands and EXEC in one entry, which is one command to fences, to retry and in its outcome.
//!
//! ```text
//!   [ASKING] MULTI c₁ … cₙ EXEC        on the wire, without a gap
//!   [+OK]    +OK   +QUEUED …  *n       what comes back; a refusal of any cᵢ makes EXEC answer EXECABORT, and nothing runs
//! ```
//!
//! A reply to one of the commands in front decides nothing: the bytes stay, and the entry waits for the reply to EXEC. What that and the
//! refusals before it come to is then told like any command's reply (multi.c and `processCommand` in server.c; one ASKING covers the whole,
//! since the server keeps its flag until EXEC). This module knows the replies of the unit at the front of a connection; it refuses to know
//! what follows from a refusal, which is `redirect`'s.

use crate::engine::conflict::commands_of;
use crate::engine::in_flight::InFlight;
use crate::engine::lifecycle::LostBecause;
use crate::engine::proof::{kept_text, may_be_of_script, proves_no_run, runs_script};
use crate::engine::recv_buf::RecvBuf;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{ErrorKind, Outcome, ServerError};
use crate::resp::reply::{ReplyKind, ReplyRef};
use crate::resp::scan::Frame;
use crate::resp::server_error::{Code, ServerReply, classify};

/// How a server tells that nothing of a transaction ran.
const ABORTED: &[u8] = b"EXECABORT ";
/// How it goes on where it was EXEC that was refused; what follows is the refusal.
const ABORTED_BECAUSE: &[u8] = b"EXECABORT Transaction discarded because of: ";

/// How far the unit at the front of a connection has been answered.
#[derive(Debug, Default)]
pub(crate) struct UnitReplies {
    /// Where each of its commands ends, counted from MULTI; EXEC is the last.
    ends: Vec<u32>,
    answered: usize,
    /// The first refusal of one of its commands, and which of those behind MULTI that was.
    refusal: Option<Vec<u8>>,
    refused_at: Option<usize>,
    /// MULTI was refused, so its commands ran by themselves: how many of them did, as far as has been told.
    ran_alone: Option<usize>,
    /// Which of its commands are scripts, and so may answer in a server's words; with the names that run them.
    scripts: Vec<(usize, Vec<u8>)>,
    /// Such a script may not have run after all.
    is_vague: bool,
}

impl UnitReplies {
    /// Whether all but the reply to EXEC have come.
    pub(crate) fn awaits_exec(&self) -> bool {
        self.answered + 1 >= self.ends.len()
    }

    /// Whether its commands run one by one.
    pub(crate) fn is_broken(&self) -> bool {
        self.ran_alone.is_some()
    }

    /// A reply to one of the commands in front of EXEC.
    fn take_early(&mut self, reply: ReplyRef<'_>) -> Result<(), &'static str> {
        let expected: &[u8] = if self.answered == 0 { b"OK" } else { b"QUEUED" };
        let is_expected = reply.kind() == ReplyKind::Status && reply.as_bytes() == Some(expected);
        match (&mut self.ran_alone, reply.error()) {
            (None, None) if is_expected => {}
            (None, None) => return Err("a reply within MULTI is neither +OK nor +QUEUED"),
            (None, Some(text)) => {
                self.ran_alone = (self.answered == 0).then_some(0);
                if self.refusal.is_none() {
                    self.refusal = Some(kept_text(text).to_vec());
                    self.refused_at = self.answered.checked_sub(1);
                }
            }
            (Some(ran), Some(text)) if proves_no_run(text) => {
                let answered = self.answered;
                let script = self.scripts.iter().find(|(at, _)| *at == answered);
                if script.is_some_and(|(_, name)| may_be_of_script(name, text)) {
                    self.is_vague = true;
                    *ran += 1;
                }
            }
            (Some(_), None) if reply.kind() == ReplyKind::Status && reply.as_bytes() == Some(b"QUEUED") => {
                return Err("a command was queued, and MULTI had been refused");
            }
            (Some(ran), _) => *ran += 1,
        }
        Ok(())
    }

    /// The reply to EXEC has come.
    fn end(&mut self, reply: ReplyRef<'_>, checks_shape: bool) -> Result<UnitEnd, &'static str> {
        let (commands, refusal) = (self.ends.len().saturating_sub(2), self.refusal.take());
        if let Some(ran) = self.ran_alone {
            if checks_shape && reply.error().is_none() {
                return Err("EXEC was answered, and MULTI had been refused");
            }
            let refusal = refusal.unwrap_or_default();
            if ran == 0 {
                return Ok(UnitEnd::Refused(refusal));
            }
            let is_certain = ran == commands && !self.is_vague;
            let outcome = if is_certain { Outcome::Executed } else { Outcome::Unknown };
            let refusal = ServerError::from_bytes(&refusal);
            return Ok(UnitEnd::Failed(ErrorKind::UnitBroken { refusal, ran, commands }, outcome, false));
        }
        if let Some(text) = reply.error() {
            let text = kept_text(text);
            return Ok(match refusal {
                Some(refusal) => UnitEnd::Refused(refusal),
                None if text.starts_with(ABORTED) || proves_no_run(text) => {
                    UnitEnd::Refused(text.strip_prefix(ABORTED_BECAUSE).unwrap_or(text).to_vec())
                }
                None => {
                    UnitEnd::Failed(ErrorKind::Server(ServerError::from_bytes(text)), Outcome::Unknown, false)
                }
            });
        }
        let is_whole = reply.kind() == ReplyKind::Array && reply.len() == commands && refusal.is_none();
        if checks_shape && !is_whole {
            return Err("the reply to EXEC is not one for each command");
        }
        let failed = reply.elements().find_map(|element| element.error());
        Ok(failed.map_or(UnitEnd::Ran, |text| {
            let error = ServerError::from_bytes(kept_text(text));
            UnitEnd::Failed(ErrorKind::Server(error), Outcome::Executed, true)
        }))
    }
}

/// What the replies to a unit come to.
enum UnitEnd {
    /// EXEC has run all of it: its reply is the unit's.
    Ran,
    /// Nothing of it ran; these are the words for it.
    Refused(Vec<u8>),
    /// Some of it ran, or all: what there is to say of it, and whether the node serves its slot.
    Failed(ErrorKind, Outcome, bool),
}

impl Engine {
    /// Bytes of the unit at the front, with its ASKING, that must have been sent before its next reply can come.
    pub(crate) fn unit_sent_len(&mut self, row: u16, entry: &InFlight) -> u32 {
        if self.links.get(usize::from(row)).is_some_and(|link| link.unit.is_none()) {
            let mut at = 0;
            let bytes = self.front_bytes(row, entry);
            let mut replies = UnitReplies::default();
            for (number, (words, len)) in commands_of(&bytes).enumerate() {
                at += len as u32;
                replies.ends.push(at);
                if let Some(name) = words.first().filter(|name| runs_script(name)) {
                    replies.scripts.push((number, name.to_vec()));
                }
            }
            if let Some(link) = self.links.get_mut(usize::from(row)) {
                link.unit = Some(Box::new(replies));
            }
        }
        let unit = self.links.get(usize::from(row)).and_then(|link| link.unit.as_ref());
        let end = unit.and_then(|unit| unit.ends.get(unit.answered).copied());
        entry.asking_len() + end.unwrap_or(entry.len - entry.asking_len())
    }

    /// One reply to the unit at the front. Where its beginning was `skipped`, nobody waits for the result.
    pub(crate) fn on_unit_frame(
        &mut self,
        row: u16,
        recv: &mut RecvBuf,
        frame: &Frame,
        skipped: bool,
        now: Timestamp,
    ) -> Result<(), LostBecause> {
        let checks_shape = keeps!(self.config, ShapeCheck);
        if skipped {
            recv.consume(frame.len);
            return self.on_skipped_unit_frame(row);
        }
        let reply = ReplyRef::new(recv.unread().get(..frame.len).unwrap_or_default());
        let Some(entry) = self.links.get(usize::from(row)).and_then(|link| link.in_flight.first().copied())
        else {
            return Ok(());
        };
        if let Some(text) = reply.error() {
            // Now, while it is news. What follows waits until EXEC has been answered: the unit holds its place at the front.
            let reply = classify(text);
            if let ServerReply::Moved(redirect) = reply {
                self.note_moved(row, &entry, redirect, now);
            }
            if keeps!(self.config, UnitFence) {
                let is_moved = matches!(reply, ServerReply::Moved(_));
                self.fence_refused_unit(row, entry.slot, is_moved);
            }
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        // Its fence may wait for it by now.
        let (Some(entry), Some(unit)) = (link.in_flight.first().copied(), &mut link.unit) else {
            return Ok(());
        };
        if !unit.awaits_exec() && (reply.error().is_none() || keeps!(self.config, UnitWaits)) {
            let taken = unit.take_early(reply);
            unit.answered += 1;
            if unit.answered == 1 {
                link.allows_multi = taken.is_ok() && !unit.is_broken();
            }
            recv.consume(frame.len);
            return taken.or_else(|what| if checks_shape { Err(LostBecause::Desync(what)) } else { Ok(()) });
        }
        let is_over = unit.is_broken() || reply.error().is_none_or(ends_transaction);
        let end = unit.end(reply, checks_shape).map_err(LostBecause::Desync)?;
        if entry.has(InFlight::GIVEN_UP) {
            link.tombstones = link.tombstones.saturating_sub(1);
            self.suspicious = true;
        }
        match end {
            UnitEnd::Ran => {
                link.attempts = 0;
                self.on_result(row, recv, frame, &entry, now);
                return Ok(());
            }
            UnitEnd::Refused(text) => {
                recv.consume(frame.len);
                self.on_error_reply(row, entry, &text, now)?;
                return if is_over { Ok(()) } else { Err(STILL_OPEN) };
            }
            UnitEnd::Failed(kind, outcome, serves) => {
                link.attempts = 0;
                self.end_with_failure(row, &entry, kind, outcome, serves);
            }
        }
        recv.consume(frame.len);
        if is_over { Ok(()) } else { Err(STILL_OPEN) }
    }

    /// Which of the commands of the unit at the front was refused first.
    pub(crate) fn refused_part(&self, row: u16) -> Option<usize> {
        self.links.get(usize::from(row))?.unit.as_ref()?.refused_at
    }

    /// The end of a reply to the unit at the front whose beginning was dropped: what is left of it may look like anything.
    fn on_skipped_unit_frame(&mut self, row: u16) -> Result<(), LostBecause> {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        let (Some(entry), Some(unit)) = (link.in_flight.first().copied(), &mut link.unit) else {
            return Ok(());
        };
        if unit.awaits_exec() {
            link.tombstones = link.tombstones.saturating_sub(1);
            self.suspicious = true;
            self.end_skipped(row, &entry);
            return Ok(());
        }
        unit.answered += 1;
        match &mut unit.ran_alone {
            Some(ran) => *ran += 1,
            None => return Err(LostBecause::Desync("a reply within MULTI is neither +OK nor +QUEUED")),
        }
        Ok(())
    }
}

const STILL_OPEN: LostBecause =
    LostBecause::Desync("EXEC was refused, and its transaction may still be open");

/// Whether the connection is certainly out of MULTI after this reply to EXEC.
fn ends_transaction(text: &[u8]) -> bool {
    let by_slot = match classify(text) {
        ServerReply::Moved(_) | ServerReply::Ask(_) => true,
        ServerReply::Code(code) => matches!(code, Code::TryAgain | Code::ClusterDown | Code::CrossSlot),
    };
    by_slot || text.starts_with(ABORTED) || text.starts_with(b"ERR EXEC without MULTI")
}
