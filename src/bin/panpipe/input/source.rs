//! Where the bytes come from: a file, a pipe or standard input, and what is known of it.
//!
//! Refuses to know what the bytes mean. Invariant: a read of a stream that has nothing yet answers `Waiting` and does not block (where
//! the system can tell); `bytes_read` counts what was taken, compressed or not.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Seek, SeekFrom};
use std::time::{Duration, UNIX_EPOCH};

use crate::input::error::InputError;

/// How many bytes at each end of a file its identity is made of.
const ENDS_BYTES: u64 = 64 * 1024;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    Bytes(usize),
    /// Nothing there yet: somebody is still writing.
    Waiting,
    End,
}

/// What tells one file from another that has its name, as a checkpoint remembers it. Renaming and copying keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) bytes: u64,
    /// Seconds since 1970, where the system knows; for people: a copy is the same input.
    pub(crate) modified: Option<u64>,
    /// Of the first and of the last 64 KiB.
    pub(crate) first_hash: u64,
    pub(crate) last_hash: u64,
}

impl Identity {
    /// Whether the contents are the same, as far as an identity can tell.
    #[cfg(test)]
    pub(crate) fn is_same_input(&self, other: &Identity) -> bool {
        (self.bytes, self.first_hash, self.last_hash) == (other.bytes, other.first_hash, other.last_hash)
    }
}

enum Bytes {
    /// Can be sought in.
    File(File),
    /// A pipe, a terminal, a socket.
    #[cfg(unix)]
    Stream(File),
    /// Anything that reads; tests, and systems without descriptors.
    #[cfg(any(test, not(unix)))]
    Reader(Box<dyn Read>),
}

/// Bytes from one place, in order.
pub(crate) struct Source {
    bytes: Bytes,
    /// The path, or "standard input".
    pub(crate) name: String,
    /// The file's size; not known of a stream.
    pub(crate) bytes_total: Option<u64>,
    pub(crate) bytes_read: u64,
}

impl Source {
    /// Opens a path; `-` is standard input. Opening a named pipe waits for its writer.
    pub(crate) fn open(path: &str) -> Result<Source, InputError> {
        if path == "-" {
            return Ok(Source::stream(standard_input()?, "standard input"));
        }
        let cannot = |error: io::Error| InputError::input(format!("cannot read {path}: {error}"));
        let file = File::open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if metadata.is_dir() {
            return Err(InputError::input(format!("cannot read {path}: it is a directory")));
        }
        if !metadata.is_file() {
            return Ok(Source::stream(stream_of(file), path));
        }
        let bytes_total = Some(metadata.len());
        Ok(Source { bytes: Bytes::File(file), name: path.to_owned(), bytes_total, bytes_read: 0 })
    }

    /// Bytes of anything that reads.
    #[cfg(test)]
    pub(crate) fn reader(reader: impl Read + 'static, name: &str) -> Source {
        Source::stream(Bytes::Reader(Box::new(reader)), name)
    }

    /// A pipe, for a test.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn pipe(reader: std::io::PipeReader) -> Source {
        Source::stream(Bytes::Stream(File::from(std::os::fd::OwnedFd::from(reader))), "pipe")
    }

    fn stream(bytes: Bytes, name: &str) -> Source {
        Source { bytes, name: name.to_owned(), bytes_total: None, bytes_read: 0 }
    }

    /// Fills the front of `room` with what there is.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<Took, InputError> {
        loop {
            let read = match &mut self.bytes {
                Bytes::File(file) => file.read(room),
                #[cfg(unix)]
                Bytes::Stream(file) if !is_readable(file, Duration::ZERO) => return Ok(Took::Waiting),
                #[cfg(unix)]
                Bytes::Stream(file) => file.read(room),
                #[cfg(any(test, not(unix)))]
                Bytes::Reader(reader) => reader.read(room),
            };
            return match read {
                Ok(0) => Ok(Took::End),
                Ok(bytes) => {
                    self.bytes_read += bytes as u64;
                    Ok(Took::Bytes(bytes))
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Took::Waiting),
                Err(error) => {
                    let what = format!("cannot read {} behind byte {}: {error}", self.name, self.bytes_read);
                    Err(InputError::input(what))
                }
            };
        }
    }

    /// Waits until there is something to read, the writer has gone, a signal has come, or the time is over.
    pub(crate) fn wait(&self, time: Duration) {
        match &self.bytes {
            #[cfg(unix)]
            Bytes::Stream(file) => {
                is_readable(file, time);
            }
            // A file always has something, and a reader cannot be asked.
            _ => {}
        }
    }

    pub(crate) fn can_seek(&self) -> bool {
        matches!(self.bytes, Bytes::File(_))
    }

    /// Goes on from there; files only.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), InputError> {
        if let Bytes::File(file) = &mut self.bytes {
            file.seek(SeekFrom::Start(offset)).map_err(|error| {
                InputError::input(format!("cannot go to byte {offset} of {}: {error}", self.name))
            })?;
            self.bytes_read = offset;
        }
        Ok(())
    }

    /// What a checkpoint remembers of a file; streams have none. Leaves the place in the file as it is.
    pub(crate) fn identity(&mut self) -> Result<Option<Identity>, InputError> {
        let (Bytes::File(file), Some(bytes)) = (&mut self.bytes, self.bytes_total) else { return Ok(None) };
        let identity = identity_of(file, bytes, self.bytes_read);
        identity
            .map(Some)
            .map_err(|error| InputError::input(format!("cannot read both ends of {}: {error}", self.name)))
    }

    /// Whether what is here begins with an earlier, shorter input, as far as its length and the hash of its end can tell.
    pub(crate) fn begins_with(&mut self, bytes: u64, last_hash: u64) -> Result<bool, InputError> {
        let (Bytes::File(file), Some(total)) = (&mut self.bytes, self.bytes_total) else { return Ok(false) };
        if total < bytes {
            return Ok(false);
        }
        let hash = hash_of(file, bytes.saturating_sub(ENDS_BYTES), bytes.min(ENDS_BYTES), self.bytes_read);
        let hash = hash.map_err(|error| InputError::input(format!("cannot read {}: {error}", self.name)))?;
        Ok(hash == last_hash)
    }
}

fn identity_of(file: &mut File, bytes: u64, place: u64) -> io::Result<Identity> {
    let modified = file.metadata()?.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|time| time.as_secs());
    let mut hash_from = |start: u64| hash_of(file, start, ENDS_BYTES, place);
    let (first_hash, last_hash) = (hash_from(0)?, hash_from(bytes.saturating_sub(ENDS_BYTES))?);
    Ok(Identity { bytes, modified, first_hash, last_hash })
}

/// Of so many bytes from there on; leaves the file at `place`.
fn hash_of(file: &mut File, start: u64, bytes: u64, place: u64) -> io::Result<u64> {
    let mut ends = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    Read::take(&mut *file, bytes).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(place))?;
    Ok(fnv(&ends))
}

/// FNV-1a: the same on every machine and in every version of this program.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(unix)]
fn standard_input() -> Result<Bytes, InputError> {
    use std::os::fd::AsFd;

    if io::stdin().is_terminal() {
        return Err(InputError::usage("standard input is a terminal")
            .hint("Name a file, or send data in: zstdcat data.resp.zst | panpipe import -"));
    }
    let cannot = |error: io::Error| InputError::input(format!("cannot read standard input: {error}"));
    // A descriptor of our own: the standard library's reader keeps a buffer that polling does not see.
    let file = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?);
    Ok(Bytes::Stream(file))
}

#[cfg(not(unix))]
fn standard_input() -> Result<Bytes, InputError> {
    Ok(Bytes::Reader(Box::new(io::stdin())))
}

#[cfg(unix)]
fn stream_of(file: File) -> Bytes {
    Bytes::Stream(file)
}

#[cfg(not(unix))]
fn stream_of(file: File) -> Bytes {
    Bytes::Reader(Box::new(file))
}

/// Whether a read would not block. What cannot be told is tried.
#[cfg(target_os = "linux")]
fn is_readable(file: &File, time: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(file, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // A signal is a reason to look again, not to read.
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => ready > 0,
        Err(error) => error != rustix::io::Errno::INTR,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_readable(_: &File, _: Duration) -> bool {
    true
}
