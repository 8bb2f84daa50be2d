//! Running a program under valgrind so that the same program counts the same everywhere.
//!
//! What differs from run to run or from machine to machine and could change a count is taken away: the environment (its size moves the
//! stack), the user's options for valgrind, and the choice that glibc makes among its copies of `memcpy` and friends by the processor's
//! features: all are told to be the plain x86-64 one.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::program::run;

/// Features that glibc's string functions are chosen by; unknown ones are ignored.
const PLAIN_PROCESSOR: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-SSE4_2,\
                               -SSE4_1,-SSSE3,-BMI2,-LZCNT,-MOVBE,-RTM";

/// A valgrind that starts.
#[derive(Debug)]
pub(crate) struct Valgrind {
    version: String,
}

/// One of its tools, with all its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Instructions inside `peer::measured`.
    Callgrind,
    /// Copied bytes, with the stacks that copied them.
    Dhat,
}

impl Tool {
    /// How its output is named.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Tool::Callgrind => "callgrind",
            Tool::Dhat => "dhat.json",
        }
    }

    fn options(self, out: &Path) -> Vec<OsString> {
        let (options, out_option): (&[&str], &str) = match self {
            Tool::Callgrind => (
                &["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*::measured::*"],
                "--callgrind-out-file=",
            ),
            // Deep enough for the stack to hold the function of `peer::measured`.
            Tool::Dhat => (&["--tool=dhat", "--mode=copy", "--num-callers=100"], "--dhat-out-file="),
        };
        let mut out_file = OsString::from(out_option);
        out_file.push(out);
        options.iter().map(OsString::from).chain([out_file]).collect()
    }
}

impl Valgrind {
    pub(crate) fn find() -> Result<Valgrind, Failure> {
        match run(Command::new("valgrind").arg("--version")) {
            Ok(said) => Ok(Valgrind { version: said.trim().trim_start_matches("valgrind-").to_owned() }),
            Err(Failure::Start { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(Failure::NoValgrind)
            }
            Err(other) => Err(other),
        }
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Runs rounds of a workload; answers what the program printed. What the tool has found is in `out`.
    pub(crate) fn run(
        &self,
        tool: Tool,
        program: &Path,
        workload: &str,
        rounds: u64,
        out: &Path,
    ) -> Result<String, Failure> {
        let mut command = Command::new("valgrind");
        command.arg("--command-line-only=yes").args(tool.options(out));
        command.arg(program).arg(workload).arg(rounds.to_string());
        command.env_clear().env("GLIBC_TUNABLES", PLAIN_PROCESSOR);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        run(&mut command)
    }
}
