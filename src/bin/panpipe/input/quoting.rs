//! A line of words as redis-cli reads it.
//!
//! Words are parted by white space. `"…"` knows `\n \r \t \b \a \xHH` and takes any other character behind a backslash as itself; `'…'` knows `\'`
//! alone; a quote that closes must end the word (`sdssplitargs` of the server's `sds.c`). Invariant: bytes need not be text.

/// The words of a line, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) bytes: Vec<u8>,
    /// Where each ends.
    pub(crate) ends: Vec<usize>,
}

impl Words {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Splits a line; the error says what is wrong and at which byte of it.
    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), String> {
        self.clear();
        let mut at = 0;
        loop {
            while line.get(at).is_some_and(|&byte| is_space(byte)) {
                at += 1;
            }
            if at == line.len() {
                return Ok(());
            }
            while let Some(&byte) = line.get(at).filter(|&&byte| !is_space(byte)) {
                at += 1;
                if byte == b'"' || byte == b'\'' {
                    at = quoted(line, at, byte, &mut |piece| self.bytes.push(piece))?;
                } else {
                    self.bytes.push(byte);
                }
            }
            self.ends.push(self.bytes.len());
        }
    }
}

/// What parts words, to the server's `isspace`.
pub(crate) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b' || byte == b'\0'
}

/// Reads from behind an opening quote to behind the closing one; gives each byte that it stands for.
pub(crate) fn quoted(line: &[u8], open: usize, quote: u8, put: &mut impl FnMut(u8)) -> Result<usize, String> {
    let mut at = open;
    loop {
        let Some((byte, next)) = unescaped(line, at, quote) else {
            return Err(format!("the quote at byte {} of the line is not closed", open - 1));
        };
        at = next;
        match byte {
            Some(byte) => put(byte),
            None if line.get(at).is_some_and(|&byte| !is_space(byte)) => {
                return Err(format!("a space must follow the closing quote at byte {} of the line", at - 1));
            }
            None => return Ok(at),
        }
    }
}

/// One byte within quotes, and where the next one is; no byte at the closing quote, nothing at the line's end.
pub(crate) fn unescaped(line: &[u8], at: usize, quote: u8) -> Option<(Option<u8>, usize)> {
    let byte = *line.get(at)?;
    if byte == quote {
        return Some((None, at + 1));
    }
    if byte != b'\\' {
        return Some((Some(byte), at + 1));
    }
    let Some(&escaped) = line.get(at + 1) else { return Some((Some(byte), at + 1)) };
    if quote == b'\'' {
        // Only the quote itself can be escaped.
        return Some(if escaped == b'\'' { (Some(b'\''), at + 2) } else { (Some(b'\\'), at + 1) });
    }
    if escaped == b'x' {
        let digit = |at: usize| line.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        if let (Some(high), Some(low)) = (digit(at + 2), digit(at + 3)) {
            return Some((Some((high * 16 + low) as u8), at + 4));
        }
    }
    let byte = match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    };
    Some((Some(byte), at + 2))
}
