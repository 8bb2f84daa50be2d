//! The counted program: `cargo bench --bench count`, built with the release profile and run without its environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::baseline::Toolchain;
use crate::failure::Failure;
use crate::valgrind::Valgrind;

/// The folder of the root package.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The program and who compiled it.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    rustc: String,
    target: String,
}

impl Program {
    /// Builds it, or finds that it is built.
    pub(crate) fn build() -> Result<Program, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["bench", "--no-run", "--bench", "count", "--message-format=json-render-diagnostics"]);
        // What the compiler has to say is for the user, as ever.
        build.current_dir(ROOT).stderr(Stdio::inherit());
        let path = executable(&run(&mut build)?).ok_or(Failure::NoProgram)?;
        let version = run(Command::new("rustc").arg("-vV").current_dir(ROOT))?;
        let field = |name: &str| {
            let value = version.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or("unknown").to_owned()
        };
        Ok(Program { path, rustc: field("release: "), target: field("host: ") })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Cargo's, which the program lies in as `release/deps/count-…`.
    pub(crate) fn target_dir(&self) -> &Path {
        self.path.ancestors().nth(3).unwrap_or(Path::new("target"))
    }

    /// Everything but the source that decides about the counts.
    pub(crate) fn toolchain(&self, valgrind: &Valgrind) -> Toolchain {
        let libc = run(Command::new("getconf").arg("GNU_LIBC_VERSION"));
        Toolchain {
            target: self.target.clone(),
            rustc: self.rustc.clone(),
            libc: libc.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            valgrind: valgrind.version().to_owned(),
        }
    }

    /// All workloads, or those that are named.
    pub(crate) fn workloads(&self, names: &[String]) -> Result<Vec<String>, Failure> {
        let listed = run(Command::new(&self.path).arg("list"))?;
        let known: Vec<String> = listed.lines().map(str::to_owned).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(Failure::UnknownWorkload { name: name.clone(), known: known.join(" ") });
        }
        let wanted = |name: &String| names.is_empty() || names.contains(name);
        Ok(known.into_iter().filter(wanted).collect())
    }
}

/// Runs a command to its end; answers its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Failure> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.output().map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::Command { command: shown, status: output.status, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The bench in what cargo tells about a build: a message per line.
fn executable(messages: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let count = artifacts.filter(|message| message["target"]["name"] == "count");
    count.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"panpipe"},"executable":null}"#,
            "\nnot a message\n",
            r#"{"reason":"compiler-artifact","target":{"name":"count"},"executable":"t/release/deps/count-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some("t/release/deps/count-1".into()));
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn a_command_that_fails_says_so() {
        assert!(matches!(run(&mut Command::new("false")), Err(Failure::Command { .. })));
        assert!(matches!(run(&mut Command::new("no-such-program-here")), Err(Failure::Start { .. })));
    }
}
