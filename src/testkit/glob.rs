//! Patterns of KEYS, SCAN and CONFIG GET: `*`, `?`, `[a-c]`, `[^x]`, `\` before a literal.
//!
//! Cost is bounded by pattern length times text length: of several `*` only the last is ever retried.

/// Whether the whole text fits the pattern.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to go on when the rest does not fit: behind the last `*`, with one more byte of text under it.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at_pattern) == Some(&b'*') {
            retry = Some((at_pattern + 1, at_text));
            at_pattern += 1;
            continue;
        }
        let step = match text.get(at_text) {
            Some(&byte) => one(&pattern[at_pattern..], byte),
            None if at_pattern == pattern.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                at_pattern += length;
                at_text += 1;
            }
            (None, Some((behind_star, under_star))) if under_star < text.len() => {
                retry = Some((behind_star, under_star + 1));
                (at_pattern, at_text) = (behind_star, under_star + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How many bytes of the pattern stand for this one byte of text, where they fit it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ref class @ ..] => class_of(class, byte).map(|length| length + 1),
        [b'\\', literal, ..] => (literal == byte).then_some(2),
        [literal, ..] => (literal == byte).then_some(1),
    }
}

/// The length of a class without its opening bracket, where the byte is in it. An unclosed class ends with the
/// pattern.
fn class_of(class: &[u8], byte: u8) -> Option<usize> {
    let negated = class.first() == Some(&b'^');
    let (mut at, mut found) = (usize::from(negated), false);
    loop {
        match class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= literal == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_what_the_server_fits() {
        let yes = [
            ("*", ""),
            ("a*c", "abbc"),
            ("a*b*c", "aXbXbXc"),
            ("h?llo", "hallo"),
            ("h[ae]llo", "hello"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("a\\*", "a*"),
            ("**", "x"),
            ("x*", "x"),
        ];
        let no = [("", "a"), ("a", ""), ("h[^e]llo", "hello"), ("a\\*", "ab"), ("a*c", "abcd"), ("?", "")];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
