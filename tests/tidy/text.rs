//! What no text file may have: white space that cannot be seen, and words that belong to somebody's machine.

use std::sync::LazyLock;

use super::Breach;

/// cargo writes it, and names its registry on every second line.
const LOCK_FILE: &str = "Cargo.lock";

/// Data that others read by their tabs.
const TABS_ALLOWED: [&str; 2] = [".tsv", ".svg"];

/// In parts, so that this file does not break its own rule.
static FORBIDDEN: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
    let folder = |name: &str| format!("/{name}/");
    let host = |parts: &[&str]| parts.join(".");
    let machine = "a path of one machine";
    let registry = "the name of a registry's host";
    vec![
        (folder("work"), machine),
        (folder("root"), machine),
        (folder("home"), machine),
        (host(&["crates", "io"]), registry),
        (host(&["pypi", "org"]), registry),
        (host(&["pythonhosted", "org"]), registry),
        (host(&["debian", "org"]), registry),
        (host(&["npmjs", "org"]), registry),
    ]
});

pub(crate) fn breaches(path: &str, source: &str) -> Vec<Breach> {
    if path == LOCK_FILE {
        return Vec::new();
    }
    let tabs_allowed = TABS_ALLOWED.iter().any(|ending| path.ends_with(ending));
    let mut breaches = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        if line.contains('\t') && !tabs_allowed {
            breaches.push(Breach::new(path, number, "a tab"));
        }
        if line.ends_with([' ', '\t']) {
            breaches.push(Breach::new(path, number, "white space at the end of the line"));
        }
        for (word, what) in FORBIDDEN.iter().filter(|(word, _)| stands_alone(line, word)) {
            breaches.push(Breach::new(path, number, format!("{what}, `{word}`")));
        }
    }
    if !source.is_empty() && !source.ends_with('\n') {
        breaches.push(Breach::new(path, source.lines().count(), "no line end at the end of the file"));
    }
    breaches
}

/// Whether the word is there, and not as the rest of a longer one (`network/work/` is no machine's path).
fn stands_alone(line: &str, word: &str) -> bool {
    let joins = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !joins(&line[..at]))
}

#[test]
fn white_space_that_cannot_be_seen_is_found() {
    assert_eq!(super::lines(&breaches("a.md", "a\n\tb\nc \nd")), [2, 3, 4]);
    assert_eq!(breaches("a.tsv", "a\tb\n"), []);
    assert_eq!(breaches("a.md", "a b\n\n  c\n"), []);
    assert_eq!(breaches("empty", ""), []);
}

#[test]
fn machine_paths_and_registry_hosts_are_found() {
    for (word, _) in FORBIDDEN.iter() {
        let planted = format!("fine\nsee {word} there\n");
        assert_eq!(super::lines(&breaches("README.md", &planted)), [2], "{word}");
        assert_eq!(breaches(LOCK_FILE, &planted), []);
    }
    assert_eq!(breaches("README.md", "the network/work/day, src/root/mod.rs\n"), []);
}
