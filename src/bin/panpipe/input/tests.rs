//! Formats by example: the same records, however the bytes arrive.

use std::io::{self, Read};

use super::*;

/// Gives so many bytes at a time.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.step.min(room.len()).min(self.bytes.len() - self.at);
        room[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// What `read` saw of a step, in words that a test can spell.
pub(crate) fn read_by(bytes: &[u8], step: usize, options: &InputOptions) -> Vec<String> {
    let source = Source::reader(Trickle { bytes: bytes.to_vec(), at: 0, step }, "test");
    let mut input = match Input::from_source(source, options) {
        Ok(input) => input,
        Err(error) => return vec![format!("refused: {error}")],
    };
    let mut seen = Vec::new();
    loop {
        match input.next() {
            Ok(Step::Record(record)) => seen.push(told(&record)),
            Ok(Step::Bad(bad)) => {
                seen.push(format!("{}@{}..{} bad: {}", bad.number, bad.offset, bad.end, bad.reason));
            }
            Ok(Step::Pending | Step::Waiting) => {}
            Ok(Step::End) => return seen,
            Err(error) => {
                seen.push(format!("error: {error}"));
                return seen;
            }
        }
    }
}

fn told(record: &Record<'_>) -> String {
    let mut text = format!("{}@{}..{}", record.number, record.offset, record.end);
    for command in record.commands.clone() {
        let mut words = Vec::new();
        for word in statement::words_of(command.frame) {
            words.push(word.escape_ascii().to_string());
        }
        if command.is_unit {
            words = vec![format!("unit of {} bytes", command.frame.len())];
        }
        let key = command.key_bytes().map_or("-".to_owned(), |key| key.escape_ascii().to_string());
        text.push_str(&format!(" | {} [{key}]", words.join(" ")));
    }
    text
}

/// Reads whole and in pieces, which must be the same.
pub(crate) fn read(bytes: &[u8], options: &InputOptions) -> Vec<String> {
    let whole = read_by(bytes, usize::MAX, options);
    for step in [1, 2, 3, 7] {
        assert_eq!(read_by(bytes, step, options), whole, "{step} bytes at a time");
    }
    whole
}

pub(crate) fn format(format: Format) -> InputOptions {
    InputOptions { format: Some(format), ..InputOptions::of("-") }
}

#[test]
fn kv_is_set() {
    let seen = read(b"a\t1\n\nb b\t\xff\t2\r\nno tab\n\tx\nlast\t", &format(Format::Kv));
    assert_eq!(
        seen,
        [
            "1@0..4 | SET a 1 [a]",
            "2@5..14 | SET b b \\xff\\t2 [b b]",
            "3@14..21 bad: no tab between key and value",
            "4@21..24 bad: the key is empty: the line begins with the tab",
            "5@24..29 | SET last  [last]",
        ]
    );
}

#[test]
fn resp_is_forwarded() {
    let input = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n#TS:1700000000\r\n\r\nset b \"2 \\x41\"\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*0\r\n*-1\r\n\
        *2\r\n$4\r\nMGET\r\n$1\r\na\r\nPING";
    assert_eq!(
        read(input, &format(Format::Resp)),
        [
            "1@0..27 | SET a 1 [a]",
            "2@45..60 | set b 2 A [b]",
            "3@92..113 | MGET a [-]",
            "4@113..117 | PING [-]",
        ]
    );
}
