//! Why nothing could be said. A workload that costs more is no failure of this kind.

use std::path::PathBuf;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "valgrind is not installed: `apt-get install valgrind` (Debian, Ubuntu), `dnf install valgrind` (Fedora), \
         `pacman -S valgrind` (Arch). It must be on PATH."
    )]
    NoValgrind,
    #[error("`{command}` cannot be started: {source}")]
    Start { command: String, source: std::io::Error },
    #[error("`{command}` failed, {status}\n{said}")]
    Command { command: String, status: std::process::ExitStatus, said: String },
    #[error("cargo built no program of the bench `count`")]
    NoProgram,
    #[error("there is no workload `{name}`; there are: {known}")]
    UnknownWorkload { name: String, known: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {what}")]
    Malformed { path: PathBuf, what: String },
    #[error("{workload}: {what}")]
    Uncountable { workload: String, what: String },
    #[error(
        "the baseline was counted on {theirs} and this is {ours}: their instructions do not compare. `show` counts without \
         comparing"
    )]
    OtherTarget { theirs: String, ours: String },
}

impl Failure {
    /// For `map_err` where a file is read or written.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Failure {
        let path = path.into();
        move |source| Failure::File { path, source }
    }

    pub(crate) fn malformed(path: impl Into<PathBuf>, what: impl ToString) -> Failure {
        Failure::Malformed { path: path.into(), what: what.to_string() }
    }
}
