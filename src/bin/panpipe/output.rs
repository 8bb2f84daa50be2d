//! Standard output, its width, and how numbers look.
//!
//! Invariant: a reader that goes away early (`| head -1`) ends the printing and nothing else.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

use crate::failure::{CHECK, Failure};

/// Columns where the output is not a terminal.
const WIDTH_DEFAULT: usize = 100;
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 140;

/// Writes lines to standard output until it is closed or fails.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    failed: Option<io::Error>,
    /// Whether nothing has been written.
    pub(crate) empty: bool,
    pub(crate) width: usize,
}

impl Output {
    pub(crate) fn new() -> Self {
        Output { stdout: BufWriter::new(io::stdout()), failed: None, empty: true, width: width() }
    }

    /// Writes a line; shows it at once where a person watches.
    pub(crate) fn line(&mut self, text: &str) {
        self.empty = false;
        if self.failed.is_some() {
            return;
        }
        let written = writeln!(self.stdout, "{}", text.trim_end()).and_then(|()| self.stdout.flush());
        self.failed = written.err();
    }

    /// Writes a paragraph, broken to fit.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.labelled("", text);
    }

    /// Writes a paragraph with a label in front; where it is broken, it goes on under the text.
    pub(crate) fn labelled(&mut self, label: &str, text: &str) {
        let indent = label.chars().count();
        let mut line = label.to_owned();
        let mut len = indent;
        for word in text.split_whitespace() {
            let word_len = word.chars().count();
            if len > indent && len + 1 + word_len > self.width {
                self.line(&line);
                line = " ".repeat(indent);
                len = indent;
            }
            if len > indent {
                line.push(' ');
                len += 1;
            }
            line.push_str(word);
            len += word_len;
        }
        self.line(&line);
    }

    /// Writes rows under their heads, the first column to the left, each column as wide as what is in it; where the terminal is narrower, a
    /// paragraph for each row.
    pub(crate) fn table(&mut self, heads: &[&str], rows: &[Vec<String>]) {
        let width = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([heads[at].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        if widths.iter().sum::<usize>() + GAP * heads.len().saturating_sub(1) <= self.width {
            let heads = heads.iter().map(|head| (*head).to_owned()).collect();
            for row in [&heads].into_iter().chain(rows) {
                self.line(&columns(row, &widths));
            }
            return;
        }
        for row in rows {
            let mut cells = row.iter().zip(heads);
            let name = cells.next().map_or("", |(name, _)| name.as_str());
            let cells: Vec<String> = cells.map(|(cell, head)| format!("{head} {cell}")).collect();
            self.line(name);
            self.labelled("  ", &cells.join(", "));
        }
    }

    /// Whether everything was written that somebody wanted to read.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(CHECK, format!("cannot write the output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

/// Between two columns.
const GAP: usize = 2;

fn columns(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        line.push_str(&if at == 0 { format!("{cell:width$}") } else { format!("{:GAP$}{cell:>width$}", "") });
    }
    line
}

fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let asked: Option<usize> = columns().or_else(|| {
        io::stdout().is_terminal().then(terminal_size::terminal_size)?.map(|(width, _)| usize::from(width.0))
    });
    asked.filter(|&width| width > 0).unwrap_or(WIDTH_DEFAULT).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// 1234567 as 1,234,567.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 record", "2 records", "2 primaries".
pub(crate) fn plural(number: usize, noun: &str) -> String {
    let (stem, end) = match noun.strip_suffix("ry") {
        _ if number == 1 => (noun, ""),
        Some(stem) => (stem, "ries"),
        None => (noun, "s"),
    };
    format!("{} {stem}{end}", count(number as u64))
}

/// Milliseconds with two decimals.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2}", as_ms(duration))
}

pub(crate) fn as_ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Bytes of anybody's data as text for a message: escaped, and cut where it is long.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 120;
    let text = String::from_utf8_lossy(bytes.get(..BYTES_MAX).unwrap_or(bytes));
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Nobody takes it for the end.
            '\'' => clean.push(c),
            c => clean.extend(c.escape_debug()),
        }
    }
    let more = if bytes.len() > BYTES_MAX { " …" } else { "" };
    format!("\"{clean}\"{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(plural(1, "node"), "1 node");
        assert_eq!(plural(0, "key"), "0 keys");
        assert_eq!(plural(2, "primary"), "2 primaries");
        assert_eq!(plural(3322, "record"), "3,322 records");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let cells = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let widths = [5, 3, 4];
        assert_eq!(columns(&cells(&["a:1", "12", "x"]), &widths), "a:1     12     x");
        assert_eq!(columns(&cells(&["nodes", "num", "what"]), &widths), "nodes  num  what");
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt(b"a\x1b[31m\n"), "\"a\\u{1b}[31m\\n\"");
        assert_eq!(excerpt(b"unknown command 'X'"), "\"unknown command 'X'\"");
        assert!(excerpt(&[b'x'; 1000]).len() < 140);
    }
}
