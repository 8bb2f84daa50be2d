//! How long files and functions may be.

use super::Breach;
use super::lex::{Token, body_or_end, closing, tokens};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Files in `src`, functions everywhere.
pub(crate) fn breaches(path: &str, source: &str) -> Vec<Breach> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    let file_lines = source.lines().count();
    if path.starts_with("src/") && file_lines > FILE_LINES_MAX {
        let rule = format!("{file_lines} lines: a file ends at {FILE_LINES_MAX}");
        breaches.push(Breach::new(path, file_lines, rule));
    }
    for (name, first, last) in functions(&tokens(source)) {
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let rule = format!("`{name}` has {lines} lines: a function ends at {FUNCTION_LINES_MAX}");
            breaches.push(Breach::new(path, first, rule));
        }
    }
    breaches
}

/// Name, first and last line of every function that has a body.
fn functions<'a>(tokens: &[Token<'a>]) -> Vec<(&'a str, usize, usize)> {
    let mut functions = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        let name = tokens[at + 1].text;
        let is_function =
            tokens[at].text == "fn" && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let body = if is_function { body_or_end(tokens, at) } else { tokens.len() };
        if tokens.get(body).is_some_and(|token| token.text == "{") {
            let last = closing(tokens, body).min(tokens.len() - 1);
            functions.push((name, tokens[at].line, tokens[last].line));
        }
    }
    functions
}

#[test]
fn functions_are_measured_from_their_first_line_to_their_last() {
    let source =
        "trait T { fn declared(&self, x: [u8; 4]); }\npub fn long(\n  f: fn(u8) -> [u8; 2],\n) {\n  { }\n}\n";
    assert_eq!(functions(&tokens(source)), [("long", 2, 6)]);
}

#[test]
fn a_long_function_is_a_breach_wherever_it_is() {
    let function = |lines: usize| format!("\nfn f() {{\n{}}}\n", "// more\n".repeat(lines - 2));
    assert_eq!(breaches("tests/x.rs", &function(70)), []);
    assert_eq!(super::lines(&breaches("tests/x.rs", &function(71))), [2]);
}

#[test]
fn a_long_file_is_a_breach_in_src() {
    let file = "// more\n".repeat(501);
    assert_eq!(super::lines(&breaches("src/x.rs", &file)), [501]);
    assert_eq!(breaches("src/x.rs", &file[8..]), []);
    assert_eq!(breaches("tests/x.rs", &file), []);
}
