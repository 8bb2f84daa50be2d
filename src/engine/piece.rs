//! A command on its way into a queue: whose it is, and where its bytes come from.
//!
//! Knows how long the bytes are and how to write them; refuses to know where they go. Invariant: what is written is as long as announced.

use bytes::Bytes;

use crate::command::Request;
use crate::engine::in_flight::InFlight;
use crate::resp::encode::WireBuf;

/// A whole command in its wire form, as a caller brought it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded<'a> {
    /// For messages.
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    /// The same bytes, where they may be kept instead of copied.
    pub(crate) shared: Option<&'a Bytes>,
    /// The bits of `retry`.
    pub(crate) flags: u8,
}

/// Where a command's bytes come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// They are written from the request's arguments.
    Whole(&'a Request<'a>),
    /// As `Whole`, with these argument groups alone: a part of a split command.
    Part(&'a Request<'a>, &'a [u32]),
    /// They exist.
    Encoded(Encoded<'a>),
}

/// A command on its way into a queue.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: u32,
    pub(crate) index: u32,
    pub(crate) sequence: u64,
    pub(crate) source: Source<'a>,
    /// The caller chose the node.
    pub(crate) pinned: bool,
}

impl Piece<'_> {
    pub(crate) fn name(&self) -> &str {
        match &self.source {
            Source::Whole(request) | Source::Part(request, _) => request.name(),
            Source::Encoded(encoded) => encoded.name,
        }
    }

    pub(crate) fn wire_len(&self) -> usize {
        match self.source {
            Source::Whole(request) => request.wire_len(),
            Source::Part(request, groups) => request.part_wire_len(groups),
            Source::Encoded(encoded) => encoded.bytes.len(),
        }
    }

    pub(crate) fn write(&self, out: &mut impl WireBuf) {
        match self.source {
            Source::Whole(request) => request.write(out),
            Source::Part(request, groups) => request.write_part(groups, out),
            Source::Encoded(Encoded { shared: Some(bytes), .. }) => out.put_shared(bytes),
            Source::Encoded(encoded) => out.put(encoded.bytes),
        }
    }

    pub(crate) fn entry(&self, len: usize, slot: u16) -> InFlight {
        let mut flags = match self.source {
            Source::Whole(request) | Source::Part(request, _) => request.flags,
            Source::Encoded(encoded) => encoded.flags,
        };
        if self.pinned {
            flags |= InFlight::PINNED;
        }
        InFlight { len: len as u32, batch: self.batch, index: self.index, slot, hops: 0, flags }
    }
}
