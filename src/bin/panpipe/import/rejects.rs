//! The reject files: what was refused, importable as it stands, and why.
//!
//! Knows files and lines. Refuses to know when a record is rejected; it is told in the order of the input. Entries are collected, since a
//! write for each is slow where there are many; they are in the files when `write` has succeeded.
//! Invariant: a file's first `lengths()` bytes are whole entries, also where writing failed (a full disk): what was begun is cut off again.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use panpipe::Outcome;
use panpipe::slot::slot_of;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, STOPPED};

/// Longer sources are cut in the explanation; the importable file has every byte.
const SOURCE_BYTES_MAX: usize = 64 * 1024;

/// Entries are written when there are so many bytes of them, at the latest.
const COLLECTED_BYTES: usize = 64 * 1024;

/// Why a command, or a record that is no command, was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// The error's first word, or our name for it.
    pub(super) class: String,
    pub(super) text: String,
    /// `None` for what was never a command.
    pub(super) outcome: Option<Outcome>,
    pub(super) node: Option<String>,
    pub(super) slot: Option<u16>,
    pub(super) attempts: u32,
}

/// One rejected command, or a record that could not be read.
#[derive(Debug)]
pub(super) struct Reject<'a> {
    pub(super) record: u64,
    /// Its place among the commands of its record.
    pub(super) command: usize,
    pub(super) offset: u64,
    pub(super) source: &'a [u8],
    /// Nothing for a record that could not be read.
    pub(super) frame: Option<&'a [u8]>,
    pub(super) name: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
    pub(super) cause: &'a Cause,
}

/// How long the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Lengths {
    pub(super) resp: u64,
    pub(super) jsonl: u64,
}

/// What is there at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Files of an earlier run are not ours.
    Nothing,
    /// They are to be overwritten.
    Whatever,
    /// They go on behind this.
    Ours(Lengths),
}

/// Both files. They are made when the first record is rejected.
#[derive(Debug)]
pub(super) struct Rejects {
    /// `None`: nobody wants them.
    base: Option<String>,
    resp: Sink,
    jsonl: Sink,
}

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    /// Bytes that are in the file, and are whole.
    len: u64,
    unsynced: bool,
}

impl Rejects {
    pub(super) fn open(base: Option<String>, before: Before) -> Result<Rejects, Failure> {
        let name = base.as_deref().unwrap_or_default();
        let lengths = if let Before::Ours(lengths) = before { lengths } else { Lengths::default() };
        let mut rejects = Rejects {
            resp: Sink::new(format!("{name}.rejects.resp"), lengths.resp),
            jsonl: Sink::new(format!("{name}.rejects.jsonl"), lengths.jsonl),
            base,
        };
        if rejects.base.is_some() {
            rejects.resp.prepare(before)?;
            rejects.jsonl.prepare(before)?;
        }
        Ok(rejects)
    }

    /// Whether all entries are in the files.
    pub(super) fn is_written(&self) -> bool {
        self.resp.buffer.is_empty() && self.jsonl.buffer.is_empty()
    }

    /// Whether enough is collected for a write.
    pub(super) fn is_full(&self) -> bool {
        self.resp.buffer.len() + self.jsonl.buffer.len() >= COLLECTED_BYTES
    }

    /// Notes an entry; it is in the files when `write` has succeeded.
    pub(super) fn add(&mut self, reject: &Reject<'_>) {
        if self.base.is_none() {
            return;
        }
        self.resp.buffer.extend_from_slice(reject.frame.unwrap_or_default());
        let line = serde_json::to_vec(&Line::of(reject)).unwrap_or_default();
        self.jsonl.buffer.extend_from_slice(&line);
        self.jsonl.buffer.push(b'\n');
    }

    /// Writes what was added: all of it, or nothing.
    pub(super) fn write(&mut self) -> Result<(), Failure> {
        let before = self.lengths();
        let written = self.resp.write().and_then(|()| self.jsonl.write());
        written.inspect_err(|_| {
            self.resp.cut(before.resp);
            self.jsonl.cut(before.jsonl);
        })
    }

    /// Sees to it that what was written survives a crash of the machine.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        debug_assert!(self.is_written());
        self.resp.sync().and_then(|()| self.jsonl.sync())
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths { resp: self.resp.len, jsonl: self.jsonl.len }
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn replace_file(&mut self, file: File) {
        self.jsonl.file = Some(file);
    }

    /// What the files are called, where somebody wants them.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The files that have something in them: to import again, which what cannot be read is not, and to read.
    pub(super) fn files(&self) -> Option<(Option<String>, String)> {
        let path = |sink: &Sink| (sink.len > 0).then(|| sink.path.display().to_string());
        self.base.as_ref().and_then(|_| Some((path(&self.resp), path(&self.jsonl)?)))
    }
}

impl Sink {
    fn new(path: String, len: u64) -> Sink {
        Sink { path: path.into(), file: None, buffer: Vec::new(), len, unsynced: false }
    }

    fn prepare(&mut self, before: Before) -> Result<(), Failure> {
        let there = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(self.failed("look at", &error)),
        };
        match before {
            Before::Nothing if there > 0 => {
                let what = format!("{} holds what an earlier run rejected", self.path.display());
                Err(Failure::usage(what).hint(
                    "import it and remove it, give another name with --rejects, or overwrite it with --restart",
                ))
            }
            Before::Nothing => Ok(()),
            Before::Whatever if there > 0 => self.shorten(0),
            Before::Whatever => Ok(()),
            Before::Ours(_) if there < self.len => {
                let what = format!(
                    "{} is shorter than at the checkpoint: {there} bytes instead of {}",
                    self.path.display(),
                    self.len
                );
                Err(Failure::input(what).hint("put it back, or begin anew with --restart"))
            }
            // What was written behind the checkpoint is rejected again by the records that are written again.
            Before::Ours(_) if there > self.len => self.shorten(self.len),
            Before::Ours(_) => Ok(()),
        }
    }

    /// Cuts an existing file.
    fn shorten(&mut self, len: u64) -> Result<(), Failure> {
        let cut = self.file().and_then(|file| file.set_len(len));
        cut.map_err(|error| self.failed("cut", &error))?;
        self.len = len;
        self.unsynced = true;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let open = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
            self.file = Some(open);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (len, buffer) = (self.len, std::mem::take(&mut self.buffer));
        let written = self.file().and_then(|file| {
            file.seek(SeekFrom::Start(len))?;
            file.write_all(&buffer)
        });
        written.map_err(|error| self.failed("write", &error))?;
        self.len += buffer.len() as u64;
        self.unsynced = true;
        // One large record must not be paid for until the end.
        if buffer.capacity() <= 4 * COLLECTED_BYTES {
            self.buffer = buffer;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Takes back what was begun.
    fn cut(&mut self, len: u64) {
        self.buffer.clear();
        if let Some(file) = &self.file {
            // Where even that fails, the checkpoint still says where the whole entries end.
            let _ = file.set_len(len);
        }
        self.len = len;
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let Some(file) = self.file.as_ref().filter(|_| self.unsynced) else { return Ok(()) };
        file.sync_data().map_err(|error| self.failed("write", &error))?;
        self.unsynced = false;
        Ok(())
    }

    fn failed(&self, verb: &str, error: &io::Error) -> Failure {
        Failure::new(STOPPED, format!("cannot {verb} the reject file {}: {error}", self.path.display()))
            .hint("nothing is counted as rejected that is not in the file; --rejects names another place")
    }
}

/// The name of an outcome in the files.
pub(super) fn outcome_name(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "unreadable",
        // The server ran it as far as its error.
        Some(Outcome::Executed) => "refused",
        Some(Outcome::NotExecuted) => "not executed",
        Some(Outcome::Unknown) => "unknown",
        Some(Outcome::ExecutedReplyLost) => "executed, reply lost",
    }
}

/// One line of the explanation.
#[derive(Debug, Serialize)]
struct Line<'a> {
    record: u64,
    command: usize,
    offset: u64,
    name: Cow<'a, str>,
    key: Option<Cow<'a, str>>,
    slot: Option<u16>,
    node: Option<&'a str>,
    class: &'a str,
    error: &'a str,
    attempts: u32,
    outcome: &'static str,
    source: Cow<'a, str>,
    /// Where the source is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_hex: Option<String>,
    /// Where the source is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<usize>,
}

impl<'a> Line<'a> {
    fn of(reject: &Reject<'a>) -> Line<'a> {
        let cause = reject.cause;
        // Lines are told without their ends.
        let whole = reject.source.strip_suffix(b"\n").unwrap_or(reject.source);
        let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
        let source = whole.get(..SOURCE_BYTES_MAX).unwrap_or(whole);
        let hex = || source.iter().map(|byte| format!("{byte:02x}")).collect();
        Line {
            record: reject.record,
            command: reject.command,
            offset: reject.offset,
            name: String::from_utf8_lossy(reject.name),
            key: reject.key.map(String::from_utf8_lossy),
            slot: cause.slot.or_else(|| reject.key.map(slot_of)),
            node: cause.node.as_deref(),
            class: &cause.class,
            error: &cause.text,
            attempts: cause.attempts,
            outcome: outcome_name(cause.outcome),
            source: String::from_utf8_lossy(source),
            source_hex: std::str::from_utf8(source).is_err().then(hex),
            source_bytes: (source.len() < whole.len()).then_some(whole.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause() -> Cause {
        Cause {
            class: "WRONGTYPE".into(),
            text: "WRONGTYPE Operation".into(),
            outcome: Some(Outcome::Executed),
            node: Some("n:1".into()),
            slot: Some(7),
            attempts: 1,
        }
    }

    fn reject(cause: &Cause) -> Reject<'_> {
        let (source, frame) = (b"k\tv\xff".as_slice(), Some(b"*1\r\n$4\r\nPING\r\n".as_slice()));
        Reject { record: 5, command: 1, offset: 80, source, frame, name: b"SET", key: Some(b"k"), cause }
    }

    fn base(name: &str) -> String {
        let folder = std::env::temp_dir().join(format!("panpipe-rejects-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join("x").to_str().expect("text").to_owned()
    }

    fn remove(base: &str) {
        let folder = std::path::Path::new(base).parent().expect("a folder").to_owned();
        std::fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn entries_are_written_and_cut_back_on_resume() {
        let base = base("resume");
        let cause = cause();
        let mut rejects = Rejects::open(Some(base.clone()), Before::Nothing).expect("opens");
        assert!(!std::path::Path::new(&format!("{base}.rejects.resp")).exists(), "made when needed");
        rejects.add(&reject(&cause));
        rejects.write().expect("writes");
        let first = rejects.lengths();
        rejects.add(&reject(&cause));
        rejects.write().expect("writes");
        rejects.sync().expect("syncs");
        drop(rejects);
        assert!(Rejects::open(Some(base.clone()), Before::Nothing).is_err(), "somebody else's");
        let rejects = Rejects::open(Some(base.clone()), Before::Ours(first)).expect("opens");
        let text = std::fs::read_to_string(format!("{base}.rejects.jsonl")).expect("a file");
        assert_eq!((text.len() as u64, text.lines().count()), (first.jsonl, 1));
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&line["record"], &line["slot"], &line["outcome"]),
            (&5.into(), &7.into(), &"refused".into())
        );
        assert_eq!(line["source_hex"], "6b0976ff");
        drop(rejects);
        let longer = Lengths { resp: first.resp + 1, ..first };
        assert!(Rejects::open(Some(base.clone()), Before::Ours(longer)).is_err(), "something is missing");
        Rejects::open(Some(base.clone()), Before::Whatever).expect("overwrites");
        assert_eq!(std::fs::read(format!("{base}.rejects.resp")).expect("a file"), b"");
        remove(&base);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_nothing_half_written() {
        let base = base("full");
        std::os::unix::fs::symlink("/dev/full", format!("{base}.rejects.jsonl")).expect("a link");
        let cause = cause();
        let mut rejects = Rejects::open(Some(base.clone()), Before::Nothing).expect("opens");
        rejects.add(&reject(&cause));
        let failure = rejects.write().expect_err("the disk is full");
        assert_eq!(failure.code, STOPPED);
        assert!(format!("{failure:?}").contains("No space left"), "{failure:?}");
        assert_eq!(rejects.lengths(), Lengths::default());
        assert_eq!(std::fs::read(format!("{base}.rejects.resp")).expect("a file"), b"", "cut off again");
        remove(&base);
    }
}
