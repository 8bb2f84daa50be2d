//! Rust source as words and marks with their lines; comments, strings, characters and lifetimes are left out.
//!
//! No grammar, only enough to count braces and to follow paths.

/// A word (identifier, keyword, number) or a single punctuation character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// From 1.
    pub(crate) line: usize,
}

/// All tokens of a source text.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < source.len() {
        let (length, is_token) = next(&source[at..]);
        let text = &source[at..at + length];
        if is_token {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        at += length;
    }
    tokens
}

/// Without the items under `#[cfg(test)]`: their attribute, and all up to their end.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Whether these words and marks follow one another here.
pub(crate) fn starts_with(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// The index of the bracket that closes the one at `open`, or the end.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// The index of the item's `{` or `;`, whichever comes first outside of round and square brackets.
pub(crate) fn body_or_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text {
            "{" | ";" => return at,
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    tokens.len()
}

fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    if !starts_with(tokens, &["#", "[", "cfg", "("]) {
        return false;
    }
    let condition = &tokens[3..closing(tokens, 3)];
    let has = |word: &str| condition.iter().any(|token| token.text == word);
    has("test") && !has("not")
}

fn end_of_item(tokens: &[Token<'_>], attribute: usize) -> usize {
    let body = body_or_end(tokens, attribute);
    if body < tokens.len() && tokens[body].text == "{" { closing(tokens, body) + 1 } else { body + 1 }
}

/// How long the next piece is, and whether it is a token.
fn next(rest: &str) -> (usize, bool) {
    let first = rest.chars().next().expect("not at the end");
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), false)
    } else if rest.starts_with("/*") {
        (block_comment(rest), false)
    } else if let Some(length) = raw_string(rest) {
        (length, false)
    } else if let Some(quote) = ["\"", "b\"", "c\""].iter().find(|quote| rest.starts_with(**quote)) {
        (quoted(rest, quote.len()), false)
    } else if rest.starts_with('\'') || rest.starts_with("b'") {
        (character_or_lifetime(rest), false)
    } else if is_word(first) {
        (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true)
    } else {
        (first.len_utf8(), !first.is_whitespace())
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let step = &rest.as_bytes()[at..];
        match step {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// `r"…"`, `br#"…"#` and so on; `r#word` is not one.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.find('"')?;
    let end = format!("\"{}", &after[..hashes]);
    let open = prefix.len() + hashes + 1;
    Some(rest[open..].find(&end).map_or(rest.len(), |length| open + length + end.len()))
}

/// A string whose text begins at `open`.
fn quoted(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(open) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` and `'\''` are characters, `'a` is a lifetime.
fn character_or_lifetime(rest: &str) -> usize {
    let open = rest.find('\'').expect("there is a quote") + 1;
    let mut chars = rest[open..].chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), Some(escaped)) => {
            let after = open + 1 + escaped.len_utf8();
            rest[after..].find('\'').map_or(rest.len(), |length| after + length + 1)
        }
        (Some(inner), Some('\'')) => open + inner.len_utf8() + 1,
        _ => open + rest[open..].find(|c| !is_word(c)).unwrap_or(rest.len() - open),
    }
}

#[test]
fn what_is_not_code_is_left_out() {
    let source = "a // b\n/* c /* d */ e */ 'f' '\\'' '\\n' b'g' 'life r#\"h\" \"# \"i\\\"j\" br\"k\" b\"l\\\\\" r#type z";
    let texts: Vec<&str> = tokens(source).iter().map(|token| token.text).collect();
    assert_eq!(texts, ["a", "r", "#", "type", "z"]);
    assert_eq!(tokens(source).last().unwrap().line, 2);
    assert_eq!(tokens("\"two\nlines\" x")[0].line, 2);
}

#[test]
fn test_items_are_left_out_and_nothing_else() {
    let source = "a #[cfg(test)] mod tests { { b } } c #[cfg(all(test, unix))] use d; #[cfg(not(test))] e";
    let kept = without_tests(&tokens(source));
    let texts: String = kept.iter().map(|token| token.text).collect();
    assert_eq!(texts, "ac#[cfg(not(test))]e");
}
