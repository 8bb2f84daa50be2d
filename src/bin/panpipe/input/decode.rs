//! Takes gzip and zstd off the bytes of a source.
//!
//! Knows members and frames, of which there may be several, and nothing of what is inside. Invariant: memory is one piece of input and
//! what the formats need (a window); what was decoded before a fault is handed out before the fault is told.

use flate2::{Decompress, FlushDecompress, Status};

use crate::input::blocks::{Blocks, Stepped};
use crate::input::error::InputError;
use crate::input::source::{Source, Took};

const PIECE_BYTES: usize = 64 * 1024;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
/// The first of sixteen kinds of frames that decoders skip.
const ZSTD_SKIPPABLE_MAGIC: &[u8] = b"\x2a\x4d\x18";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the first bytes, whatever the file is called.
    pub(crate) fn of(bytes: &[u8]) -> Compression {
        let skippable = bytes.get(1..4) == Some(ZSTD_SKIPPABLE_MAGIC) && bytes[0] & 0xf0 == 0x50;
        if bytes.starts_with(GZIP_MAGIC) {
            Compression::Gzip
        } else if bytes.starts_with(ZSTD_MAGIC) || skippable {
            Compression::Zstd
        } else {
            Compression::None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Compression::None => "data",
            Compression::Gzip => "gzip data",
            Compression::Zstd => "zstd data",
        }
    }
}

enum Coder {
    None,
    Gzip(Decompress),
    Zstd(Box<Blocks>),
}

/// A source without its compression.
pub(crate) struct Plain {
    pub(crate) source: Source,
    pub(crate) compression: Compression,
    coder: Coder,
    piece: Vec<u8>,
    /// What of `piece` is not decoded yet.
    start: usize,
    end: usize,
    /// The source has no more.
    ended: bool,
    /// Between two members or frames, where an end is an end.
    between: bool,
    fault: Option<InputError>,
}

impl Plain {
    /// Looks at the first bytes. Waits for them, where the source is a stream.
    pub(crate) fn open(mut source: Source) -> Result<Plain, InputError> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut end = 0;
        let mut ended = false;
        // Compressed or not shows in the first four bytes.
        while end < ZSTD_MAGIC.len() && !ended {
            match source.read(&mut piece[end..])? {
                Took::Bytes(bytes) => end += bytes,
                Took::Waiting => source.wait(super::LONG_WAIT),
                Took::End => ended = true,
            }
        }
        let compression = Compression::of(&piece[..end]);
        let coder = coder(compression)?;
        let between = compression == Compression::None;
        Ok(Plain { source, compression, coder, piece, start: 0, end, ended, between, fault: None })
    }

    /// Fills the front of `room`.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<Took, InputError> {
        if matches!(self.coder, Coder::None) {
            return self.read_as_it_is(room);
        }
        let mut filled = 0;
        while filled < room.len() {
            if let Some(fault) = self.fault.take() {
                if filled > 0 {
                    self.fault = Some(fault);
                    break;
                }
                return Err(fault);
            }
            if self.start == self.end && !self.ended {
                match self.take_piece()? {
                    Took::Waiting if filled == 0 => return Ok(Took::Waiting),
                    Took::Waiting => break,
                    _ => {}
                }
            }
            if self.start == self.end && self.between {
                break;
            }
            match self.decode(&mut room[filled..]) {
                Ok(bytes) => filled += bytes,
                Err(fault) => self.fault = Some(fault),
            }
        }
        Ok(if filled == 0 { Took::End } else { Took::Bytes(filled) })
    }

    fn read_as_it_is(&mut self, room: &mut [u8]) -> Result<Took, InputError> {
        if self.start == self.end {
            return if self.ended { Ok(Took::End) } else { self.source.read(room) };
        }
        let bytes = room.len().min(self.end - self.start);
        room[..bytes].copy_from_slice(&self.piece[self.start..self.start + bytes]);
        self.start += bytes;
        Ok(Took::Bytes(bytes))
    }

    /// Whether `seek` can go anywhere.
    pub(crate) fn can_seek(&self) -> bool {
        self.compression == Compression::None && self.source.can_seek()
    }

    /// Goes on from there; where `can_seek`.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), InputError> {
        (self.start, self.end, self.ended) = (0, 0, false);
        self.source.seek(offset)
    }

    /// Bytes of the source that were made use of.
    pub(crate) fn bytes_used(&self) -> u64 {
        self.source.bytes_read - (self.end - self.start) as u64
    }

    fn take_piece(&mut self) -> Result<Took, InputError> {
        let took = self.source.read(&mut self.piece)?;
        match took {
            Took::Bytes(bytes) => (self.start, self.end) = (0, bytes),
            Took::End => self.ended = true,
            Took::Waiting => {}
        }
        Ok(took)
    }

    /// One step of the decoder.
    fn decode(&mut self, room: &mut [u8]) -> Result<usize, InputError> {
        if self.between && !self.begin()? {
            return Ok(0);
        }
        let input = &self.piece[self.start..self.end];
        let (used, made, finished) = match &mut self.coder {
            Coder::None => (0, 0, true),
            Coder::Gzip(gzip) => {
                let before = (gzip.total_in(), gzip.total_out());
                let status = gzip.decompress(input, room, FlushDecompress::None);
                let used = (gzip.total_in() - before.0) as usize;
                let made = (gzip.total_out() - before.1) as usize;
                match status {
                    Ok(status) => (used, made, status == Status::StreamEnd),
                    Err(error) => {
                        self.start += used;
                        self.fault = Some(self.damaged(&error.to_string()));
                        return Ok(made);
                    }
                }
            }
            Coder::Zstd(zstd) => {
                let stepped = zstd.step(input, room);
                let Stepped { used, made, finished } =
                    stepped.map_err(|error| self.damaged(&error.to_string()))?;
                (used, made, finished)
            }
        };
        self.start += used;
        self.between = finished;
        if used == 0 && made == 0 && !finished {
            if self.ended {
                return Err(self.cut_off());
            }
            if self.start < self.end {
                return Err(self.damaged("it cannot go on"));
            }
        }
        Ok(made)
    }

    /// At the first byte behind a member or frame: another one begins there, or nothing does.
    fn begin(&mut self) -> Result<bool, InputError> {
        if let Coder::Gzip(gzip) = &mut self.coder {
            // Zeros behind the last member are padding, to a block of a tape.
            let zeros = self.piece[self.start..self.end].iter().take_while(|&&byte| byte == 0).count();
            self.start += zeros;
            if self.start == self.end {
                return Ok(false);
            }
            *gzip = Decompress::new_gzip(15);
        }
        self.between = false;
        Ok(true)
    }

    fn cut_off(&self) -> InputError {
        let what = format!(
            "the {} of {} is cut off at byte {}: more was announced",
            self.compression.name(),
            self.source.name,
            self.bytes_used()
        );
        InputError::input(what).hint("Fetch the file again; the records before that place are good")
    }

    fn damaged(&self, error: &str) -> InputError {
        let what = format!(
            "the {} of {} is damaged near byte {}: {error}",
            self.compression.name(),
            self.source.name,
            self.bytes_used()
        );
        InputError::input(what).hint(
            "Damage is found late, and records shortly before that place may be wrong: fetch the file again, and load it from its beginning",
        )
    }
}

fn coder(compression: Compression) -> Result<Coder, InputError> {
    Ok(match compression {
        Compression::None => Coder::None,
        Compression::Gzip => Coder::Gzip(Decompress::new_gzip(15)),
        Compression::Zstd => {
            let blocks = Blocks::new().map_err(|error| InputError::input(format!("zstd: {error}")))?;
            Coder::Zstd(Box::new(blocks))
        }
    })
}
