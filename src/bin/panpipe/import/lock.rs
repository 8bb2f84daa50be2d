//! One load at a time for one checkpoint and for one pair of reject files: two would overwrite what the other says.
//!
//! A lock is a file of its own beside what it protects, since a checkpoint is replaced by renaming and reject files are made late. The
//! system's lock on it ends with its process, however that ends; the file alone says nothing. Invariant: who holds the lock has the file that
//! the name stands for, not one that an earlier holder has removed. Where the system has no such locks (elsewhere than on Linux), nothing is
//! refused.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, STOPPED};

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// The lock is this descriptor's.
    file: Option<File>,
}

enum Took {
    Ours(File),
    Theirs,
    /// There is nothing to lock with; whether the files can be written shows when they are.
    Nothing,
}

impl Lock {
    /// Takes the lock of what goes by a name; `what` is how it is told, `hint` what to do where somebody else has it.
    pub(super) fn take(what: &str, name: &Path, hint: &str) -> Result<Lock, Failure> {
        let mut path = name.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let took = system::take(&path).map_err(|error| {
            Failure::new(STOPPED, format!("cannot lock {what}: {}: {error}", path.display()))
        });
        match took? {
            Took::Ours(file) => Ok(Lock { path, file: Some(file) }),
            Took::Nothing => Ok(Lock { path, file: None }),
            Took::Theirs => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim().parse::<u32>().map(|id| format!(" (process {id})"));
                let holder = holder.unwrap_or_default();
                let what = format!("{what} is in use by another import that runs now{holder}");
                Err(Failure::usage(what).hint(hint))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: who waits for the name finds another file behind it, or none.
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, ErrorKind, Write};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    use super::Took;

    pub(super) fn take(path: &Path) -> io::Result<Took> {
        loop {
            let mut file = match open(path) {
                Ok(file) => file,
                Err(error) => {
                    use ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
                    let cannot_write =
                        matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem);
                    return if cannot_write { Ok(Took::Nothing) } else { Err(error) };
                }
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(Took::Theirs),
                // A file system without locks.
                Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => return Ok(Took::Nothing),
                Err(error) => return Err(error.into()),
            }
            // The holder before may have removed it between our two calls.
            if is_at(&file, path)? {
                // For whoever is refused; where it cannot be written they are refused all the same.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                return Ok(Took::Ours(file));
            }
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        match opened {
            // Another user's, which can be locked all the same.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(path).map_err(|_| error),
            opened => opened,
        }
    }

    fn is_at(file: &File, path: &Path) -> io::Result<bool> {
        let ours = file.metadata()?;
        match fs::metadata(path) {
            Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::Path;

    use super::Took;

    pub(super) fn take(_: &Path) -> io::Result<Took> {
        Ok(Took::Nothing)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_holder_at_a_time_and_nothing_left() {
        let folder = std::env::temp_dir().join(format!("panpipe-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let name = folder.join("c.json");
        let take = || Lock::take("the checkpoint c.json", &name, "wait");
        let lock = take().expect("free");
        let failure = take().expect_err("taken");
        let said = format!("{failure:?}");
        assert_eq!(failure.code, crate::failure::USAGE);
        assert!(
            said.contains("c.json is in use") && said.contains(&std::process::id().to_string()),
            "{said}"
        );
        drop(lock);
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0, "nothing is left");
        // A file that a killed process has left is no lock.
        std::fs::write(folder.join("c.json.lock"), "1\n").expect("a file");
        drop(take().expect("free"));
        // Where nothing can be written, writing will say so.
        drop(Lock::take("x", &folder.join("no/such/folder"), "").expect("nothing to lock"));
        // Takers that remove the file between them never hold it twice.
        let holders = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(lock) = take() else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        std::fs::remove_dir_all(&folder).expect("ours");
    }
}
