//! zstd, block by block.
//!
//! A call of the decoder that finds damage does not say what it has made before: bytes of whole blocks would be lost. So no call is given
//! more than the decoder's own next step, a header or a block, and none a block while there are still bytes of the one before it to hand out.
//! Invariant: what was made before a fault has been handed out when the fault is told.

use std::io;

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The decoder looks at so many bytes first.
const START_BYTES: usize = 5;
/// The decoder asks for a block and the header behind it, which are two steps.
const BLOCK_HEADER_BYTES: usize = 3;

pub(crate) struct Blocks {
    decoder: Decoder<'static>,
    /// Bytes of the next step.
    wanted: usize,
    /// There was no room for more: some may be left inside.
    holds: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stepped {
    pub(crate) used: usize,
    pub(crate) made: usize,
    /// A frame ends here.
    pub(crate) finished: bool,
}

impl Blocks {
    pub(crate) fn new() -> io::Result<Blocks> {
        Ok(Blocks { decoder: Decoder::new()?, wanted: START_BYTES, holds: false })
    }

    /// Goes one step on.
    pub(crate) fn step(&mut self, input: &[u8], room: &mut [u8]) -> io::Result<Stepped> {
        if self.holds {
            let stepped = self.run(&[], room)?;
            if stepped.made > 0 || stepped.finished {
                return Ok(stepped);
            }
        }
        self.run(input.get(..self.wanted).unwrap_or(input), room)
    }

    fn run(&mut self, input: &[u8], room: &mut [u8]) -> io::Result<Stepped> {
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(room));
        let hint = self.decoder.run(&mut from, &mut to)?;
        let (used, made) = (from.pos(), to.pos());
        self.holds = made > 0 && made == room.len();
        self.wanted = match hint {
            0 => START_BYTES,
            // Of a checksum too, which makes two steps of one.
            hint if hint > BLOCK_HEADER_BYTES => hint - BLOCK_HEADER_BYTES,
            hint => hint,
        };
        Ok(Stepped { used, made, finished: hint == 0 })
    }
}
