//! Building this harness once more: with frame pointers for `flame`, with another revision of the library for `ab`.
//!
//! It knows cargo's command line and how its failures look, and nothing of what the build is for.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::contender;

/// Lines of cargo's output that a failure shows.
const TAIL_LINES: usize = 30;
const PACKAGE: &str = "panpipe-bench";

/// One build.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// The harness's `Cargo.toml`.
    pub(crate) manifest: &'a Path,
    pub(crate) target_dir: &'a Path,
    /// Whether the other clients are needed: they take minutes.
    pub(crate) peers: bool,
    /// Added to `RUSTFLAGS`.
    pub(crate) flags: &'a str,
    /// What to say it is.
    pub(crate) what: &'a str,
}

impl Build<'_> {
    /// Builds and answers where the program is.
    ///
    /// # Errors
    /// Where cargo is missing, or the build fails: then with the end of what cargo said.
    pub(crate) fn run(&self) -> Result<PathBuf> {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {elapsed} {prefix}: {wide_msg}");
        bar.set_style(style.expect("the template is a constant"));
        bar.set_prefix(format!("building {}", self.what));
        let mut child =
            self.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(missing)?;
        let mut tail = VecDeque::new();
        for line in BufReader::new(child.stderr.take().context("cargo has no output")?).lines() {
            let line = line?;
            bar.set_message(line.trim().to_owned());
            bar.tick();
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        let status = child.wait()?;
        bar.finish_and_clear();
        if !status.success() {
            let said: Vec<String> = tail.into();
            bail!(
                "{} cannot be built ({status}); the end of what cargo said:\n{}",
                self.what,
                said.join("\n")
            );
        }
        let program = self.target_dir.join("release").join(PACKAGE);
        if !program.is_file() {
            bail!("cargo built {}, but there is no {}", self.what, program.display());
        }
        Ok(program)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--package", PACKAGE, "--bin", PACKAGE, "--manifest-path"]);
        command.arg(self.manifest).arg("--target-dir").arg(self.target_dir);
        if !self.peers {
            command.arg("--no-default-features");
        }
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{flags} {}", self.flags).trim());
        // Of the build that runs now, if cargo started it: they are not meant for this one.
        command.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        command
    }
}

fn missing(error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow!(
            "cargo is not on the PATH, and this command builds the harness again; Rust comes from https://rustup.rs"
        );
    }
    anyhow!(error).context("cargo cannot be started")
}

/// The clients of the feature `peers`, by the beginnings of their names.
const PEERS: [&str; 3] = ["redis-rs", "fred", "rustis"];

/// Whether a contender is another project's client: those are built only where they are needed.
pub(crate) fn needs_peers(contender: &str) -> bool {
    PEERS.iter().any(|peer| contender.starts_with(peer))
}

/// Refuses a name that no build would have, before a build takes its minutes.
///
/// # Errors
/// Where there is no such contender.
pub(crate) fn check_contender(name: &str) -> Result<()> {
    if cfg!(feature = "peers") || !needs_peers(name) {
        contender::check(name)?;
    }
    Ok(())
}

/// Where the project's sources are.
///
/// # Errors
/// Where they are no more: this program was moved to another machine.
pub(crate) fn project() -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.canonicalize()
        .with_context(|| format!("the project's sources are not where they were: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_built_for_peers_only() {
        assert!(["redis-rs", "redis-rs-async", "fred", "rustis"].iter().all(|name| needs_peers(name)));
        assert!(
            !["panpipe", "panpipe-uring", "floor", "floor-full", "redis-benchmark"]
                .iter()
                .any(|name| needs_peers(name))
        );
    }

    #[test]
    fn names_that_no_build_knows_are_refused() {
        assert!(check_contender("panpipe").is_ok());
        assert!(check_contender("nonsense").unwrap_err().to_string().contains("there is no contender"));
    }

    #[test]
    fn a_failure_shows_what_cargo_said() {
        let directory = std::env::temp_dir().join(format!("panpipe-bench-cargo-{}", std::process::id()));
        let manifest = directory.join("Cargo.toml");
        let build =
            Build { manifest: &manifest, target_dir: &directory, peers: false, flags: "", what: "nothing" };
        let said = format!("{:#}", build.run().unwrap_err());
        assert!(said.contains("nothing cannot be built") && said.contains("Cargo.toml"), "{said}");
    }
}
