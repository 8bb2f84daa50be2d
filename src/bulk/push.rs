//! Taking commands.

use std::ops::Range;

use bytes::Bytes;

use crate::bulk::known::Kind;
use crate::bulk::ring::{CHUNK_COMMANDS, PLACE_BYTES, Place};
use crate::bulk::{Blocked, Flush, Full, Loader, PushError, Stop, frame, known};
use crate::command::{Plan, Request, ToRequest};
use crate::engine::{Encoded, NO_SLOT, NoRoom, Refusal};
use crate::error::{Error, ErrorKind};
use crate::slot::slot_of;
use crate::transport::Transport;

/// Where the keys of a command are that is encoded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawKeys {
    /// The table of commands knows. One that it does not know is refused.
    Find,
    /// The first one is these bytes of the frame, and decides where the command goes; the server says so where others do not belong there.
    At(Range<usize>),
}

/// A chunk is full at this part of the window between the watermark and the newest command.
const CHUNKS_MIN: usize = 16;

impl<T: Transport> Loader<'_, T> {
    /// Takes a command: typed ones by their [`Request`], raw ones by [`cmd`](fn@crate::cmd). Tags never decrease; several commands may have
    /// the same.
    ///
    /// Keys of several slots are split as everywhere in this library (MSET, DEL, …), with one outcome for the whole.
    ///
    /// # Errors
    /// [`PushError`]; nothing was queued.
    pub fn push(&mut self, command: &impl ToRequest, tag: u64) -> Result<(), PushError> {
        let request = command.to_request().map_err(PushError::Refused)?;
        self.push_request(&request, tag)
    }

    /// Takes a command that is encoded already: one array of bulk strings, the bytes of which go to the server as they are. They are copied
    /// once, into the queue of their node.
    ///
    /// # Errors
    /// As [`Loader::push`]; `Refused` also where `frame` is anything but one whole command.
    #[inline]
    pub fn push_raw(&mut self, frame: &[u8], keys: RawKeys, tag: u64) -> Result<(), PushError> {
        self.push_frame(frame, None, keys, tag)
    }

    /// As [`Loader::push_raw`]; from 16 KiB on the bytes are shared instead of copied.
    ///
    /// # Errors
    /// As [`Loader::push_raw`].
    pub fn push_shared(&mut self, frame: &Bytes, keys: RawKeys, tag: u64) -> Result<(), PushError> {
        self.push_frame(frame, Some(frame), keys, tag)
    }

    #[inline(always)]
    fn push_frame(
        &mut self,
        bytes: &[u8],
        shared: Option<&Bytes>,
        keys: RawKeys,
        tag: u64,
    ) -> Result<(), PushError> {
        match self.known.behind_head(bytes) {
            Some((kind, first)) => self.push_keyed(Encoded::of(kind, bytes, shared), first, keys, tag),
            None => self.push_read(bytes, shared, keys, tag),
        }
    }

    /// A command that has to be looked at more closely.
    #[inline(never)]
    fn push_read(
        &mut self,
        bytes: &[u8],
        shared: Option<&Bytes>,
        keys: RawKeys,
        tag: u64,
    ) -> Result<(), PushError> {
        let Some(frame) = frame::parse(bytes) else { return Err(malformed()) };
        match (self.known.one_key(bytes, &frame), &frame.first) {
            (Some(kind), Some(first)) => {
                self.push_keyed(Encoded::of(kind, bytes, shared), first.clone(), keys, tag)
            }
            _ => self.push_unusual(bytes, shared, &frame, keys, tag),
        }
    }

    /// A command that was read: its first argument is its only key.
    #[inline(always)]
    fn push_keyed(
        &mut self,
        command: Encoded<'_>,
        first: Range<usize>,
        keys: RawKeys,
        tag: u64,
    ) -> Result<(), PushError> {
        let key = match keys {
            RawKeys::Find => first,
            RawKeys::At(range) => range,
        };
        let Some(key) = command.bytes.get(key) else { return Err(malformed()) };
        self.push_encoded(command, slot_of(key), tag)
    }

    #[inline(always)]
    fn push_encoded(&mut self, encoded: Encoded<'_>, slot: u16, tag: u64) -> Result<(), PushError> {
        let len = encoded.bytes.len();
        self.admit(len)?;
        let (batch, window, now) = (self.ring.open.batch, self.window, self.now);
        if let Err(no_room) = self.client.engine.submit_encoded(batch, encoded, slot, window, now) {
            return Err(self.no_room(no_room, len));
        }
        self.ring.note(Place { tag, len: len as u32, slot, is_part: false });
        self.took(len);
        Ok(())
    }

    /// Whether anything is taken now, as far as its node does not matter.
    #[inline(always)]
    pub(super) fn admit(&mut self, len: usize) -> Result<(), PushError> {
        let beyond = self.ring.bytes + len + PLACE_BYTES > self.options.window_total_bytes;
        if self.halted || beyond || self.commands.is_spent() || self.bytes.is_spent() {
            return self.admit_slowly(beyond, len);
        }
        Ok(())
    }

    #[cold]
    fn admit_slowly(&mut self, beyond: bool, len: usize) -> Result<(), PushError> {
        let blocked = |this: &mut Self, blocked, full| {
            this.blocked = Some(blocked);
            this.blocked_bytes = len;
            Err(PushError::Full(full))
        };
        if let Some(stop) = &self.stopped {
            return Err(PushError::Stopped(stop.clone()));
        }
        if self.paused.is_some() {
            return blocked(self, Blocked::Halted, Full::Paused);
        }
        if self.halted {
            return blocked(self, Blocked::Problems, Full::Problems);
        }
        if beyond && self.ring.bytes > 0 {
            // Once its commands have ended, the watermark passes it.
            self.ring.seal(&mut self.client.engine, self.batch_options);
            let full = self.flush_for_room(Full::Uncommitted);
            return blocked(self, Blocked::Uncommitted, full);
        }
        let now = self.client.transport.now();
        let wait = self.commands.grow(now).max(self.bytes.grow(now));
        if wait.is_zero() { Ok(()) } else { blocked(self, Blocked::Rate, Full::Rate { wait }) }
    }

    /// Counts a command that was queued, and does what its number or size calls for.
    #[inline(always)]
    pub(super) fn took(&mut self, len: usize) {
        self.pushed += 1;
        self.pushed_bytes += len as u64;
        self.commands.spend(1);
        self.bytes.spend(len);
        self.unflushed_commands += 1;
        self.unflushed_bytes += len;
        let full = self.ring.open.places.len() >= CHUNK_COMMANDS
            || self.ring.open.bytes >= self.options.window_total_bytes / CHUNKS_MIN;
        if full || self.unflushed_commands >= self.flush_commands || self.unflushed_bytes >= self.flush_bytes
        {
            self.round_off(full);
        }
    }

    #[cold]
    fn round_off(&mut self, full: bool) {
        if self.unflushed_commands >= self.flush_commands || self.unflushed_bytes >= self.flush_bytes {
            self.flush();
        }
        if full {
            self.ring.seal(&mut self.client.engine, self.batch_options);
        }
    }

    #[cold]
    pub(super) fn no_room(&mut self, no_room: NoRoom, len: usize) -> PushError {
        self.blocked = Some(Blocked::Window(no_room));
        self.blocked_bytes = len;
        PushError::Full(match no_room {
            NoRoom::Node { unflushed: true, .. } => self.flush_for_room(Full::InFlight),
            NoRoom::Node { .. } => Full::InFlight,
            NoRoom::Held => Full::Held,
            NoRoom::Client => self.flush_for_room(Full::InFlight),
        })
    }

    /// What is not flushed takes room: it is flushed, where that is for the loader to do, and named as the reason otherwise.
    fn flush_for_room(&mut self, full: Full) -> Full {
        match self.options.flush {
            _ if self.unflushed_commands == 0 => full,
            Flush::Explicit => Full::Unflushed,
            Flush::Every { .. } => {
                self.flush();
                full
            }
        }
    }

    /// Raw commands whose keys are not simply their first argument.
    #[cold]
    fn push_unusual(
        &mut self,
        bytes: &[u8],
        shared: Option<&Bytes>,
        frame: &frame::Frame,
        keys: RawKeys,
        tag: u64,
    ) -> Result<(), PushError> {
        let key = match keys {
            RawKeys::Find => None,
            RawKeys::At(range) => Some(bytes.get(range).ok_or_else(malformed)?),
        };
        let command = known::rebuild(bytes, frame, key).map_err(PushError::Refused)?;
        let request = command.request().map_err(PushError::Refused)?;
        match request.plan().map_err(PushError::Refused)? {
            Plan::Slot(slot) => {
                let name = request.name();
                self.push_encoded(Encoded { name, bytes, shared, flags: request.flags }, slot, tag)
            }
            _ => self.push_request(&request, tag),
        }
    }

    fn push_request(&mut self, request: &Request<'_>, tag: u64) -> Result<(), PushError> {
        let len = request.wire_len();
        self.admit(len)?;
        let slot = match self.client.engine.room_for_request(request, self.window) {
            Ok(slot) => slot,
            Err(Refusal::NoRoom(no_room)) => return Err(self.no_room(no_room, len)),
            Err(Refusal::Error(error)) => return Err(PushError::Refused(error)),
        };
        let batch = self.ring.open.batch;
        self.client.engine.submit(batch, request, self.now);
        self.ring.note(Place { tag, len: len.min(u32::MAX as usize) as u32, slot, is_part: false });
        while self.ring.open.places.len() < self.client.engine.places(batch) {
            self.ring.note(Place { tag, len: 0, slot: NO_SLOT, is_part: true });
        }
        self.took(len);
        Ok(())
    }

    /// Stops the load, once.
    pub(super) fn stop(&mut self, stop: Stop) {
        self.stopped.get_or_insert(stop);
        self.update_halted();
    }
}

impl<'a> Encoded<'a> {
    #[inline(always)]
    fn of(Kind { name, flags }: Kind, bytes: &'a [u8], shared: Option<&'a Bytes>) -> Self {
        Encoded { name, bytes, shared, flags }
    }
}

#[cold]
fn malformed() -> PushError {
    let what =
        "a raw command is one array of bulk strings, whole, and nothing behind it; a key lies within it";
    PushError::Refused(Error::not_executed(ErrorKind::Config { what: what.to_owned() }))
}
