//! The file that says how far a load is.
//!
//! Written aside, synced, and renamed over the old one, the directory synced too: a crash leaves the old one or the new one. It counts
//! nothing that is not done, so what it promises is *at least once*: records behind it may have been written, and are written again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ledger::{Counts, Position};
use super::rejects::Lengths;
use crate::failure::{Failure, STOPPED};

/// Changes when an older program could misread a newer file.
const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) panpipe_checkpoint: u32,
    /// The whole input is done.
    pub(super) finished: bool,
    /// What the input was, as the input itself tells it.
    pub(super) input: Value,
    /// How it was read: another template makes other records.
    pub(super) reading: Value,
    pub(super) done: Position,
    pub(super) counts: Counts,
    /// What the reject files are called, and how long they were.
    pub(super) rejects: Option<String>,
    pub(super) rejects_bytes: Lengths,
    /// For whoever reads the file.
    pub(super) note: String,
}

impl Checkpoint {
    pub(super) const VERSION: u32 = VERSION;
    pub(super) const NOTE: &str = "at least once: records behind this one may have been written already, and are written again on --resume";

    /// Reads a file; `None` where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Checkpoint>, Failure> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("cannot read the checkpoint {}: {error}", path.display());
                return Err(Failure::input(what));
            }
        };
        let foreign = |why: String| {
            Failure::input(format!("{} is no checkpoint of this program: {why}", path.display()))
                .hint("give another --checkpoint, or begin anew with --restart")
        };
        let value: Value = serde_json::from_slice(&text).map_err(|error| foreign(error.to_string()))?;
        match value.get("panpipe_checkpoint").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(foreign(format!("its version is {version}, and {VERSION} is known")));
            }
            None => return Err(foreign("it has no version".to_owned())),
        }
        serde_json::from_value(value).map(Some).map_err(|error| foreign(error.to_string()))
    }

    /// Writes it in place of the one before.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        self.replace(path).map_err(|error| {
            Failure::new(STOPPED, format!("cannot write the checkpoint {}: {error}", path.display()))
                .hint("the one before it is as it was; --checkpoint names another place")
        })
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        let aside = aside(path);
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        if let Err(error) = written.and_then(|()| fs::rename(&aside, path)) {
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// In the same directory, so that it can be renamed.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            panpipe_checkpoint: VERSION,
            finished: false,
            input: json!({ "bytes": 9 }),
            reading: json!({}),
            done: Position { record: 7, offset: 70 },
            counts: Counts { records: 7, written: 6, rejected: 1, ..Counts::default() },
            rejects: Some("x".to_owned()),
            rejects_bytes: Lengths { resp: 1, jsonl: 2 },
            note: Checkpoint::NOTE.to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = std::env::temp_dir().join(format!("panpipe-checkpoint-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("c.json");
        assert_eq!(Checkpoint::read(&path).expect("no file is no failure"), None);
        for record in 1..3 {
            let mut checkpoint = checkpoint();
            checkpoint.done.record = record;
            checkpoint.write(&path).expect("writes");
            assert_eq!(Checkpoint::read(&path).expect("reads"), Some(checkpoint));
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left aside");
        for (text, part) in
            [("", "EOF"), ("{}", "no version"), ("{\"panpipe_checkpoint\":2}", "version is 2")]
        {
            fs::write(&path, text).expect("writes");
            let failure = Checkpoint::read(&path).expect_err("refused");
            assert_eq!(failure.code, crate::failure::INPUT);
            assert!(format!("{failure:?}").contains(part), "{failure:?}");
        }
        let nowhere = folder.join("no/such/folder");
        assert_eq!(checkpoint().write(&nowhere).expect_err("refused").code, STOPPED);
        fs::remove_dir_all(&folder).expect("ours");
    }
}
