//! The words of commands that are RESP already.
//!
//! The input has checked them; here nothing is trusted all the same, and what cannot be read ends the words.

/// The words of the first command in `bytes`, and what stands behind it.
pub(super) fn split(bytes: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let (count, mut rest) = number(bytes.strip_prefix(b"*")?)?;
    let mut words = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let (len, body) = number(rest.strip_prefix(b"$")?)?;
        words.push(body.get(..len)?);
        rest = body.get(len..)?.strip_prefix(b"\r\n")?;
    }
    Some((words, rest))
}

/// The words of one command; none where it cannot be read.
pub(super) fn words(frame: &[u8]) -> Vec<&[u8]> {
    split(frame).map_or_else(Vec::new, |(words, _)| words)
}

/// All commands of a unit, MULTI and EXEC among them.
pub(super) fn commands(mut bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut commands = Vec::new();
    while let Some((words, rest)) = split(bytes) {
        commands.push(words);
        bytes = rest;
    }
    commands
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\r')?;
    let number = std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()?;
    Some((number, bytes.get(end..)?.strip_prefix(b"\r\n")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_off_a_frame() {
        assert_eq!(words(b"*2\r\n$3\r\nGET\r\n$2\r\na\n\r\n"), [b"GET".as_slice(), b"a\n"]);
        assert_eq!(
            commands(b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"),
            [[b"MULTI".as_slice()], [b"EXEC".as_slice()]]
        );
        for broken in
            [&b""[..], b"*1\r\n", b"*1\r\n$9\r\nGET\r\n", b"PING\r\n", b"*-1\r\n", b"*1\r\n$3\r\nGETxx"]
        {
            assert!(words(broken).is_empty(), "{broken:?}");
        }
    }
}
