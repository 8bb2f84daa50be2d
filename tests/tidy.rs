//! What the compiler does not check: the direction of imports, sizes, words that must not be there.
//!
//! Every rule is a pure function from a path and a text to breaches, and has a test that plants one. The tests
//! here apply the rules to the files that git tracks.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/words.rs"]
mod words;

use std::fmt;
use std::path::Path;
use std::process::Command;

/// A rule that is broken at a place.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    path: String,
    line: usize,
    rule: String,
}

impl Breach {
    fn new(path: &str, line: usize, rule: impl Into<String>) -> Breach {
        Breach { path: path.into(), line, rule: rule.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

#[test]
fn imports_point_downwards() {
    check("src/", layers::breaches);
}

#[test]
fn files_and_functions_stay_small() {
    check("", size::breaches);
}

#[test]
fn code_has_no_unsafe_and_no_unfinished_marks() {
    check("", words::breaches);
}

#[test]
fn text_is_clean() {
    check("", text::breaches);
}

/// Applies a rule to every tracked text file below a folder.
fn check(below: &str, rule: fn(&str, &str) -> Vec<Breach>) {
    let files = tracked_files();
    let breaches: Vec<Breach> = files
        .iter()
        .filter(|(path, _)| path.starts_with(below))
        .flat_map(|(path, source)| rule(path, source))
        .collect();
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "\n\n{}\n", lines.join("\n"));
}

/// Path and text of every file that git tracks, is there, and is text.
fn tracked_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git starts");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let paths = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root.join(path)).ok()?));
    let files: Vec<_> = paths.split_terminator('\0').filter_map(read).collect();
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "git tracks no src/lib.rs");
    files
}

/// For the rules' own tests: the lines at which a rule is broken.
#[cfg(test)]
fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|breach| breach.line).collect()
}
