//! The four servers, by release.

use std::path::{Path, PathBuf};

/// A server that `tests/servers/install` provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Redis62,
    Redis70,
    Redis82,
    Valkey91,
}

impl Version {
    /// Oldest first.
    pub(crate) const ALL: [Version; 4] =
        [Version::Redis62, Version::Redis70, Version::Redis82, Version::Valkey91];

    /// The name of its directory, and what a test prints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Version::Redis62 => "redis-6.2",
            Version::Redis70 => "redis-7.0",
            Version::Redis82 => "redis-8.2",
            Version::Valkey91 => "valkey-9.1",
        }
    }

    /// Whether a slot can be moved by the servers themselves, with nothing to see in between.
    pub(crate) fn moves_slots_atomically(self) -> bool {
        self == Version::Valkey91
    }

    /// DEBUG must be allowed by a flag from 7.0 on; before that the flag is unknown.
    pub(super) fn has_debug_flag(self) -> bool {
        self != Version::Redis62
    }

    /// The server's binary. Panics where it is not installed, with the command that installs it.
    pub(crate) fn binary(self) -> PathBuf {
        let program = if self == Version::Valkey91 { "valkey-server" } else { "redis-server" };
        let path = self.home().join(program);
        assert!(
            path.is_file(),
            "\n\n{} is not installed: there is no {}\nRun this once, then the test again:\n\n    tests/servers/install\n",
            self.name(),
            path.display(),
        );
        path
    }

    /// A tool that came with the server (`redis-cli`, `redis-benchmark`), where one did.
    pub(crate) fn tool(self, program: &str) -> Option<PathBuf> {
        Some(self.home().join(program)).filter(|path| path.is_file())
    }

    fn home(self) -> PathBuf {
        target_dir().join("servers").join(self.name())
    }
}

/// cargo's target directory: the parent of the scratch directory that it gives to integration tests.
fn target_dir() -> &'static Path {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().expect("cargo's scratch directory lies in its target directory")
}
