//! Inputs to start from: the vectors of the RESP tests, replies that real servers gave, and short programs for the engine.

const VECTORS: &str = include_str!("../../resp_vectors.rs");
const REDIRECTS: &str = include_str!("../../resp_redirects.rs");
const SAMPLES: &str = include_str!("../../../src/topology/samples.rs");

/// Vectors with no flag set, and with all.
pub fn scanner() -> Vec<Vec<u8>> {
    let vectors = literals(VECTORS).into_iter().filter(|text| text.ends_with(b"\r\n"));
    vectors.flat_map(|text| [with_head(&[0, 7, 7, 7], &text), with_head(&[7, 7, 7, 7], &text)]).collect()
}

/// Texts that begin with an error's code.
pub fn error_line() -> Vec<Vec<u8>> {
    let texts = literals(VECTORS).into_iter().chain(literals(REDIRECTS));
    let is_code = |text: &Vec<u8>| text.first().is_some_and(u8::is_ascii_uppercase);
    texts.map(|text| text.strip_prefix(b"-").map(<[u8]>::to_vec).unwrap_or(text)).filter(is_code).collect()
}

/// Recorded replies as they are, and choices.
pub fn topology() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for text in literals(SAMPLES).iter().filter_map(|text| std::str::from_utf8(text).ok()) {
        if !text.contains("{A}") || !text.contains(' ') || text.contains("`") {
            continue;
        }
        let text = "ABCDEF".chars().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), &name.to_ascii_lowercase().to_string().repeat(40))
        });
        let (kind, bytes) = match text.strip_prefix('\n') {
            Some(words) if words.contains("'nodes") => (1, wire(words)),
            Some(words) => (0, wire(words)),
            None => (2, text.into_bytes()),
        };
        let len = (bytes.len() as u16).to_le_bytes();
        seeds.push(with_head(&[kind | 4, len[0], len[1]], &bytes));
    }
    for kind in 0..3 {
        seeds.extend((0..8).map(|first| with_head(&[kind], &numbers(first))));
    }
    seeds
}

/// Programs that take the engine into service and then do one thing after the other.
pub fn engine() -> Vec<Vec<u8>> {
    crate::engine::seeds()
}

fn with_head(head: &[u8], bytes: &[u8]) -> Vec<u8> {
    [head, bytes].concat()
}

/// Choices without a pattern.
pub(crate) fn numbers(first: u8) -> Vec<u8> {
    let next = |n: &u32| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(u32::from(first)), next).map(|n| (n >> 24) as u8).take(150).collect()
}

/// `'word` is a bulk string, every other word a line.
fn wire(words: &str) -> Vec<u8> {
    let word = |word: &str| match word.strip_prefix('\'') {
        Some(bulk) => format!("${}\r\n{bulk}\r\n", bulk.len()),
        None => format!("{word}\r\n"),
    };
    words.split_whitespace().map(word).collect::<String>().into_bytes()
}

/// The string literals of a source file, as the compiler reads them.
fn literals(source: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    // Comments can have an odd quote.
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                // A letter, or a lifetime: no quote that opens a string stands behind it.
                let rest = chars.as_str();
                if rest.starts_with("\"'") {
                    chars.nth(1);
                } else if rest.starts_with('\\') {
                    chars.nth(2);
                }
            }
            '"' => found.push(literal(&mut chars)),
            _ => {}
        }
    }
    found
}

/// Up to the closing quote.
fn literal(chars: &mut std::str::Chars<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => bytes.push(b'\n'),
                Some('r') => bytes.push(b'\r'),
                Some('0') => bytes.push(0),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(0));
                }
                // The end of a line, and the white space that begins the next.
                Some('\n') => {
                    let rest = chars.as_str();
                    let blanks = rest.len() - rest.trim_start().len();
                    *chars = rest[blanks..].chars();
                }
                Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                None => break,
            },
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_the_compiler_reads_them() {
        let source = r#"// it's "no literal"
            let a = ["+OK\r\n", b"\x00\\", '"', "a\
                      b"]; fn f<'a>(c: '\'') { "" }"#;
        assert_eq!(literals(source), [&b"+OK\r\n"[..], b"\0\\", b"ab", b""]);
    }

    #[test]
    fn there_are_seeds_of_every_kind() {
        assert!(scanner().len() > 200, "{}", scanner().len());
        assert!(error_line().len() > 30, "{}", error_line().len());
        assert_eq!(topology().len(), 10 + 24);
        assert!(engine().len() > 10);
    }
}
