//! Inputs as text: one a line, with every byte that is no printable letter escaped, so that a corpus is one file that can be read and
//! compared.

/// An input as one line.
pub fn line(input: &[u8]) -> String {
    let mut line = String::new();
    for &byte in input {
        match byte {
            // A blank at the end of a line is not seen.
            b' ' => line.push_str("\\x20"),
            b'\'' | b'"' => line.push(char::from(byte)),
            _ => line.extend(byte.escape_ascii().map(char::from)),
        }
    }
    if line.is_empty() { "\\empty".to_owned() } else { line }
}

/// The inputs of a corpus.
///
/// # Panics
/// Where a line is not one that [`line()`] writes.
pub fn parse(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(input).collect()
}

fn input(line: &str) -> Vec<u8> {
    let line = line.strip_prefix("\\empty").unwrap_or(line);
    let mut bytes = line.bytes();
    let mut input = Vec::new();
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                    let (high, low) = (digit().expect("a digit"), digit().expect("a digit"));
                    (high << 4 | low) as u8
                }
                other => panic!("an escape that is none: {other:?} in {line}"),
            },
            _ => byte,
        });
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back() {
        let all: Vec<u8> = (0..=255).collect();
        let inputs = [&all[..], b"", b"# no comment", b" ", b"\\x41"];
        let lines: Vec<String> = inputs.iter().map(|input| line(input)).collect();
        assert!(lines.iter().all(|line| !line.ends_with(' ') && line.is_ascii()));
        assert_eq!(parse(&format!("# a comment\n{}\n", lines.join("\n"))), inputs);
    }
}
