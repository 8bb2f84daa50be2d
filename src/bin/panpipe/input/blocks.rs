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

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros, noise and text: blocks of all kinds.
    fn sample(bytes: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut sample = Vec::new();
        while sample.len() < bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let len = (state >> 33) as usize % 200_000;
            match state >> 62 {
                0 => sample.resize(sample.len() + len, 0),
                1 => sample.extend((0..len as u64).map(|at| (at.wrapping_mul(state | 1) >> 29) as u8)),
                _ => sample.extend((0..len / 8).flat_map(|at| format!("{:07}\n", at % 977).into_bytes())),
            }
        }
        sample.truncate(bytes);
        sample
    }

    /// Decodes one frame behind the other, in steps of these sizes.
    fn decode(bytes: &[u8], input_bytes: usize, room_bytes: usize) -> Vec<u8> {
        let mut blocks = Blocks::new().expect("a decoder");
        let (mut at, mut made, mut idle) = (0, Vec::new(), 0);
        let mut room = vec![0; room_bytes];
        let mut finished = false;
        while at < bytes.len() || !finished {
            let input = &bytes[at..bytes.len().min(at + input_bytes)];
            let stepped = blocks.step(input, &mut room).expect("it is whole");
            (at, finished) = (at + stepped.used, stepped.finished);
            made.extend_from_slice(&room[..stepped.made]);
            idle = if stepped.used + stepped.made == 0 { idle + 1 } else { 0 };
            assert!(idle < 3, "it goes on");
        }
        made
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        for (seed, bytes, level) in
            [(1, 0, 1), (2, 1, 1), (3, 700_000, 1), (4, 900_000, 19), (5, 400_000, -50)]
        {
            let plain = sample(bytes, seed);
            let frame = zstd::bulk::compress(&plain, level).expect("memory takes everything");
            let skippable = b"\x5f\x2a\x4d\x18\x05\0\0\0abcde".as_slice();
            let frames = [&frame, skippable, &frame].concat();
            let twice = [plain.as_slice(), &plain].concat();
            for (input, room) in
                [(1 << 20, 1 << 18), (65_536, 1 << 18), (65_536, 1000), (7, 131_072), (4096, 131_071)]
            {
                assert!(decode(&frames, input, room) == twice, "{bytes} bytes by {input} into {room}");
            }
        }
    }
}
