//! One record of delimited fields: read at once where it has no quotes, by csv-core a piece at a time where it may have.
//!
//! Knows quotes, delimiters and line ends; refuses to know names and commands. Invariant: which of the two ways reads a record shows in
//! nothing.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::{memchr_iter, memchr2, memchr3};

use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::options::{Format, InputOptions, Quote};
use crate::input::source::Took;
use crate::input::window::Window;

/// One record while it is read, and then its fields.
pub(crate) struct Record {
    reader: Reader,
    /// A reader's copy is not as good as the reader (csv-core 0.1.13 leaves tables out); another one is built.
    builder: ReaderBuilder,
    /// What parts fields, and what stands around them, where both are ordinary enough for records to be read without the reader.
    plain: Option<(u8, Option<u8>)>,
    /// Bytes of the window that were read.
    pub(crate) taken: usize,
    /// This record has no quotes: its fields lie in the window, one delimiter behind the other, and not in `text`.
    is_plain: bool,
    /// The fields' values, one behind the other.
    text: Vec<u8>,
    text_len: usize,
    /// Where each ends in `text`, or in the window.
    ends: Vec<usize>,
    pub(crate) fields: usize,
}

/// What came of reading.
pub(crate) enum Read {
    Whole,
    More,
    /// The quote that was opened is not closed.
    Open,
    End,
}

impl Record {
    pub(crate) fn new(format: Format, options: &InputOptions) -> Record {
        let delimiter = match format {
            Format::Tsv => b'\t',
            Format::Psv => b'|',
            _ => b',',
        };
        let delimiter = options.delimiter.unwrap_or(delimiter);
        let quote = options.quote.map_or(Some(b'"'), |Quote(quote)| quote);
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).quoting(quote.is_some());
        if let Some(quote) = quote {
            builder.quote(quote);
        }
        let is_usual = |byte: u8| !b"\r\n".contains(&byte);
        let is_plain = is_usual(delimiter) && quote.is_none_or(|quote| is_usual(quote) && quote != delimiter);
        Record {
            reader: reader(&builder),
            builder,
            plain: is_plain.then_some((delimiter, quote)),
            taken: 0,
            is_plain: false,
            text: vec![0; 1024],
            text_len: 0,
            ends: vec![0; 64],
            fields: 0,
        }
    }

    /// Ready for the record behind this one.
    pub(crate) fn reset(&mut self) {
        (self.taken, self.text_len, self.fields, self.is_plain) = (0, 0, 0, false);
    }

    /// Ready for a record anywhere.
    pub(crate) fn restart(&mut self) {
        self.reset();
        self.reader = reader(&self.builder);
    }

    /// Reads a record that lies in the window with its end and has no quotes, as the reader would: where there are none, a record ends at the
    /// first line end, and its fields at the delimiters.
    fn read_plain(&mut self, bytes: &[u8]) {
        let Some((delimiter, quote)) = self.plain else { return };
        let end = match quote {
            Some(quote) => memchr3(b'\n', b'\r', quote, bytes).filter(|&at| bytes[at] != quote),
            None => memchr2(b'\n', b'\r', bytes),
        };
        let Some(end) = end else { return };
        let mut fields = 0;
        for at in memchr_iter(delimiter, &bytes[..end]).chain(std::iter::once(end)) {
            if fields == self.ends.len() {
                self.ends.resize(2 * fields, 0);
            }
            self.ends[fields] = at;
            fields += 1;
        }
        (self.taken, self.fields, self.is_plain) = (end + 1, fields, true);
    }

    /// Goes on reading where it stopped, in the same bytes and those behind them.
    pub(crate) fn read(&mut self, bytes: &[u8], at_end: bool) -> Read {
        if self.taken == 0 {
            self.read_plain(bytes);
        }
        if self.is_plain { Read::Whole } else { self.read_quoted(bytes, at_end) }
    }

    fn read_quoted(&mut self, bytes: &[u8], at_end: bool) -> Read {
        loop {
            let rest = bytes.get(self.taken..).unwrap_or_default();
            if rest.is_empty() && !at_end {
                return Read::More;
            }
            if rest.is_empty() {
                return if self.taken == 0 { Read::End } else { self.read_end() };
            }
            let (text, ends) = (&mut self.text[self.text_len..], &mut self.ends[self.fields..]);
            let (result, taken, written, ended) = self.reader.read_record(rest, text, ends);
            self.taken += taken;
            self.text_len += written;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => return Read::Whole,
                ReadRecordResult::End => return Read::End,
            }
        }
    }

    /// The input ends within a record: as if a line end were there. Within quotes that would be one more character.
    fn read_end(&mut self) -> Read {
        loop {
            let (text, ends) = (&mut self.text[self.text_len..], &mut self.ends[self.fields..]);
            let (result, _, written, ended) = self.reader.read_record(b"\n", text, ends);
            self.text_len += written;
            self.fields += ended;
            match result {
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => return Read::Whole,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {
                    self.reader = reader(&self.builder);
                    return Read::Open;
                }
            }
        }
    }

    /// Reads the first record and leaves it in the window; answers where it ends.
    pub(crate) fn look_ahead(
        &mut self,
        plain: &mut Plain,
        window: &mut Window,
        bytes_max: usize,
    ) -> Result<Option<usize>, InputError> {
        loop {
            if self.taken == 0 {
                window.consume(blank(window.bytes()));
            }
            match self.read(window.bytes(), window.at_end) {
                Read::Whole => return Ok(Some(self.taken)),
                Read::End => return Ok(None),
                Read::More if window.bytes().len() < bytes_max => fill(plain, window)?,
                Read::Open | Read::More => {
                    return Err(InputError::input(
                        "the first line has a quote that is not closed, or no end",
                    )
                    .hint("Where quotes are ordinary characters, add --quote none"));
                }
            }
        }
    }

    /// A field; `source` is the record in the window.
    #[inline]
    pub(crate) fn value<'a>(&'a self, column: usize, source: &'a [u8]) -> Option<&'a [u8]> {
        let (text, delimiter_len) = if self.is_plain { (source, 1) } else { (self.text.as_slice(), 0) };
        let ends = self.ends.get(..self.fields)?;
        let start = if column == 0 { 0 } else { *ends.get(column - 1)? + delimiter_len };
        text.get(start..*ends.get(column)?)
    }

    pub(crate) fn values<'a>(&'a self, source: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        (0..self.fields).filter_map(|column| self.value(column, source))
    }
}

/// A reader in front of a record that is not the first: it would take a byte order mark off that one, which the window has done.
fn reader(builder: &ReaderBuilder) -> Reader {
    let mut reader = builder.build();
    let _ = reader.read_record(b"x\n", &mut [0; 4], &mut [0; 4]);
    reader
}

/// Line ends at the front.
pub(crate) fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count()
}

pub(crate) fn fill(plain: &mut Plain, window: &mut Window) -> Result<(), InputError> {
    if window.fill(plain)? == Took::Waiting {
        plain.source.wait(crate::input::LONG_WAIT);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as they come: where they begin and end, and their fields; no fields where a quote is left open.
    type Records = Vec<(usize, usize, Vec<Vec<u8>>)>;

    /// Reads a text of which `arrived` says how much is there at each step.
    fn records(record: &mut Record, text: &[u8], arrived: &[usize]) -> Records {
        let mut records = Vec::new();
        let (mut at, mut step) = (0, 0);
        loop {
            let end = arrived.get(step).copied().unwrap_or(text.len()).max(at);
            let bytes = &text[at..end];
            if record.taken == 0 && blank(bytes) > 0 {
                at += blank(bytes);
                continue;
            }
            match record.read(bytes, step >= arrived.len()) {
                Read::More => {
                    step += 1;
                    continue;
                }
                Read::End => return records,
                Read::Open => records.push((at, at + record.taken, Vec::new())),
                Read::Whole => {
                    let fields = record.values(bytes).map(<[u8]>::to_vec).collect();
                    records.push((at, at + record.taken, fields));
                }
            }
            at += record.taken;
            record.reset();
        }
    }

    #[test]
    fn both_ways_of_reading_find_the_same_records() {
        const LETTERS: &[u8] = b"ab,,,;\"\n\n\r'\xff";
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let kinds: [(u8, Option<u8>); 6] = [
            (b',', Some(b'"')),
            (b',', None),
            (b';', Some(b'\'')),
            (b',', Some(b',')),
            (b'\n', Some(b'"')),
            (b'\r', None),
        ];
        let mut plain = 0;
        for round in 0..20_000 {
            let (delimiter, quote) = kinds[round % kinds.len()];
            let options = InputOptions {
                delimiter: Some(delimiter),
                quote: Some(Quote(quote)),
                ..InputOptions::of("any.csv")
            };
            let text: Vec<u8> = (0..random(60)).map(|_| LETTERS[random(LETTERS.len())]).collect();
            let mut arrived: Vec<usize> = (0..random(4)).map(|_| random(text.len() + 1)).collect();
            arrived.sort_unstable();
            let mut both = Record::new(Format::Csv, &options);
            plain += usize::from(both.plain.is_some());
            let mut one = Record::new(Format::Csv, &options);
            one.plain = None;
            let (both, one) = (records(&mut both, &text, &arrived), records(&mut one, &text, &arrived));
            assert_eq!(both, one, "{:?} {:?} {}", delimiter as char, quote, text.escape_ascii());
        }
        assert!(plain >= 10_000);
    }

    #[test]
    fn a_record_may_have_any_number_of_fields() {
        let mut record = Record::new(Format::Csv, &InputOptions::of("any.csv"));
        let text = [vec![b','; 1000], b"\n".to_vec()].concat();
        assert_eq!(records(&mut record, &text, &[])[0].2.len(), 1001);
    }
}
