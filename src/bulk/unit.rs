//! Units: MULTI, commands and EXEC, as one record of a load.
//!
//! Knows what may stand between MULTI and EXEC; refuses to know how a unit is sent. Invariant: what is accepted is answered by a server with one
//! reply for each of its commands, and touches the keys of one slot alone.

use std::ops::Range;

use crate::bulk::push::RawKeys;
use crate::bulk::ring::Place;
use crate::bulk::{Loader, PushError, frame, known};
use crate::command::{Plan, Route};
use crate::engine::{Encoded, NO_SLOT};
use crate::error::{Error, ErrorKind, Result};
use crate::slot::slot_of;
use crate::transport::Transport;

impl<T: Transport> Loader<'_, T> {
    /// Takes a transaction that is encoded already: MULTI, commands and EXEC behind each other, all of their keys in one slot. It is one
    /// command of the load in every respect: its bytes leave without a gap, it is redirected, refused and sent again as a whole, and it has one
    /// outcome. `Executed` with a server's error says that EXEC ran and one of the commands failed; the others were run, as servers do it.
    /// `UnitBroken` says that the server refused MULTI, and how many of the commands ran by themselves.
    ///
    /// Where the reply to EXEC is lost nobody knows whether it ran: it is sent again only with `RetryUnknown::Always`.
    ///
    /// # Errors
    /// As [`Loader::push_raw`]; `Refused` also where `frames` is anything but one whole transaction of one slot. With [`RawKeys::At`] the key
    /// decides about the slot, and commands that the table does not know are taken at the caller's word.
    pub fn push_unit(
        &mut self,
        frames: &[u8],
        keys: RawKeys,
        tag: u64,
    ) -> std::result::Result<(), PushError> {
        let slot = slot_of_unit(frames, keys).map_err(PushError::Refused)?;
        let len = frames.len();
        self.admit(len)?;
        let unit = Encoded { name: "MULTI", bytes: frames, shared: None, flags: 0 };
        let (batch, window, now) = (self.ring.open.batch, self.window, self.now);
        if let Err(no_room) = self.client.engine.submit_unit(batch, unit, slot, window, now) {
            return Err(self.no_room(no_room, len));
        }
        self.ring.note(Place { tag, len: len.min(u32::MAX as usize) as u32, slot, is_part: false });
        self.took(len);
        Ok(())
    }
}

/// The slot of a unit, where it is one.
fn slot_of_unit(frames: &[u8], keys: RawKeys) -> Result<u16> {
    let mut slot = match keys {
        RawKeys::Find => NO_SLOT,
        RawKeys::At(range) => slot_of(frames.get(range).ok_or_else(malformed)?),
    };
    let is_marked = slot != NO_SLOT;
    let mut commands = Vec::new();
    let mut rest = 0;
    while rest < frames.len() {
        let at = frame::next(frames, rest).ok_or_else(malformed)?;
        rest = at.end;
        commands.push(at);
    }
    let named = |at: Option<&Range<usize>>, name: &str| {
        let words = at.and_then(|at| frames.get(at.clone())).map(frame::words).unwrap_or_default();
        words.len() == 1 && words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    if commands.len() < 2 || !named(commands.first(), "MULTI") || !named(commands.last(), "EXEC") {
        return Err(malformed());
    }
    for at in commands.get(1..commands.len() - 1).unwrap_or_default() {
        let bytes = frames.get(at.clone()).unwrap_or_default();
        match slot_of_command(bytes) {
            Ok(None) => {}
            Ok(Some(found)) if slot == NO_SLOT || slot == found => slot = found,
            Ok(Some(found)) => {
                let command = "MULTI".to_owned();
                return Err(Error::not_executed(ErrorKind::CrossSlot { command, slots: vec![slot, found] }));
            }
            Err(error) if is_marked && matches!(error.kind(), ErrorKind::UnknownCommand { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if slot == NO_SLOT { Err(keyless()) } else { Ok(slot) }
}

/// The slot of a command within a unit; `None` where it has no key.
fn slot_of_command(bytes: &[u8]) -> Result<Option<u16>> {
    let frame = frame::parse(bytes).ok_or_else(malformed)?;
    let command = known::rebuild(bytes, &frame, None)?;
    let request = command.request()?;
    match request.plan()? {
        Plan::Slot(slot) => Ok(Some(slot)),
        Plan::Split(parts) => {
            let slots: Vec<u16> = parts.iter().map(|part| part.slot).collect();
            let command = request.name().to_owned();
            Err(Error::not_executed(ErrorKind::CrossSlot { command, slots }))
        }
        Plan::Route(Route::AnyPrimary) => Ok(None),
        Plan::Route(_) => {
            let command = request.name().to_owned();
            let why = "it concerns other nodes than the one that has the unit's keys";
            Err(Error::not_executed(ErrorKind::NotAllowed { command, why }))
        }
    }
}

#[cold]
fn malformed() -> Error {
    Error::config(
        "a unit is MULTI, commands and EXEC, each one array of bulk strings, and nothing before, between and behind them",
    )
}

#[cold]
fn keyless() -> Error {
    Error::config(
        "a unit without a key has no node to go to: MULTI .. EXEC of a load needs one command with a key",
    )
}
