//! The paths that a source text names: in `use` trees and inline, from `crate::`, `super::`, `std::`.

use super::lex::{Token, starts_with};

/// A path without its generic arguments; one per leaf of a `use` tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
}

impl NamedPath {
    pub(crate) fn starts_with(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(own, word)| own == word)
    }
}

/// The paths that begin with `root`, without it.
pub(crate) fn below(root: &str, tokens: &[Token<'_>]) -> Vec<NamedPath> {
    let mut paths = Vec::new();
    for at in 0..tokens.len() {
        if starts_with(&tokens[at..], &[root, ":", ":"]) && is_first(tokens, at) {
            leaves(tokens, at + 3, &[], &mut paths);
        }
    }
    paths
}

/// The paths within the crate, from its root: those that say `crate::`, and those that climb with `super::` from
/// `module`, the place of the file.
pub(crate) fn within_crate(module: &[&str], tokens: &[Token<'_>]) -> Vec<NamedPath> {
    let mut paths = below("crate", tokens);
    for climbed in below("super", tokens) {
        let more = climbed.words.iter().take_while(|word| *word == "super").count();
        let base = &module[..module.len().saturating_sub(more + 1)];
        let base = base.iter().map(|word| (*word).to_owned());
        let words = base.chain(climbed.words.into_iter().skip(more)).collect();
        paths.push(NamedPath { words, line: climbed.line });
    }
    paths
}

/// Where a file is in the module tree: `src/engine/redirect.rs` is `[engine, redirect]`.
pub(crate) fn module_of(path: &str) -> Vec<&str> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut words: Vec<&str> = path.split('/').collect();
    if matches!(words.last(), Some(&("mod" | "lib"))) {
        words.pop();
    }
    words
}

/// Whether no path goes on to here: `a::crate` cannot be, but `$crate` and `x.std` should not confuse us either.
fn is_first(tokens: &[Token<'_>], at: usize) -> bool {
    at == 0 || tokens[at - 1].text != ":" || at < 2 || tokens[at - 2].text != ":"
}

/// Reads a tree: `a::b`, `a::{b, c::d}`, `*`. Returns where it ends.
fn leaves(tokens: &[Token<'_>], mut at: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
    let mut words = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            return group(tokens, at + 1, &words, paths);
        }
        if !token.text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '*') {
            break;
        }
        words.push(token.text.to_owned());
        at += 1;
        if !starts_with(&tokens[at..], &[":", ":"]) {
            break;
        }
        at += 2;
    }
    let line = tokens[at - 1].line;
    paths.push(NamedPath { words, line });
    at
}

fn group(tokens: &[Token<'_>], mut at: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text {
            "}" => return at + 1,
            "," => at + 1,
            "as" => at + 2,
            _ => leaves(tokens, at, prefix, paths).max(at + 1),
        };
    }
    at
}

#[cfg(test)]
fn read(module: &[&str], source: &str) -> Vec<(usize, String)> {
    let paths = within_crate(module, &super::lex::tokens(source));
    paths.into_iter().map(|path| (path.line, path.words.join("."))).collect()
}

#[test]
fn use_trees_and_inline_paths_are_followed() {
    let source = "use crate::a::{b, c::{self, d as e},\n f::*};\nlet x = crate::g::H::new(1); // crate::no\nuse std::crate_x;";
    let expected = [(1, "a.b"), (1, "a.c.self"), (1, "a.c.d"), (2, "a.f.*"), (3, "g.H.new")];
    assert_eq!(read(&[], source), expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn climbing_paths_are_resolved() {
    let module = module_of("src/engine/redirect.rs");
    assert_eq!(module, ["engine", "redirect"]);
    assert_eq!(read(&module, "use super::fence::F;"), [(1, "engine.fence.F".to_owned())]);
    assert_eq!(read(&module, "super::super::client::C"), [(1, "client.C".to_owned())]);
    assert_eq!(read(&module_of("src/resp/mod.rs"), "use super::slot;"), [(1, "slot".to_owned())]);
}
