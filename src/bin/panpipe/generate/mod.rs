//! `panpipe generate`: any number of records, to have something to import.
//!
//! Knows options and where the bytes go; what a record is, `records` knows. Invariant: the same options give the same bytes.

mod records;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::failure::{CHECK, Failure};
use crate::input::{Format, format_by_name};
use crate::output::{Output, count, plural};
use crate::progress::Progress;
use records::{Records, Shape, Size};

/// More than a person can read.
const TERMINAL_RECORDS_MAX: u64 = 1000;
/// Written in one call.
const PIECE_BYTES: usize = 256 * 1024;

const EXAMPLES: &str = "\
Examples:
  panpipe generate --records 10000000 records.resp        ten million SET commands, as the wire has them
  panpipe generate --records 1e6 --value-bytes 10-2000 | zstd > records.resp.zst
  panpipe generate --format csv --records 5               key,value with a header line, to look at
  panpipe generate records.kv --hot-percent 50            half of all keys in one slot
  panpipe generate r.resp --wrong-type-every 1000         every thousandth record meets a wrong type

The same --seed gives the same keys and values in every format and on every machine.";

#[derive(Debug, Clone, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", crate::EXIT_CODES))]
pub(crate) struct Options {
    /// The file to write; it is replaced. `-` is standard output.
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,

    /// How many; 1e6 and 1_000_000 are a million.
    #[arg(long, value_name = "N", default_value = "1e6", value_parser = parse_count)]
    records: u64,

    /// resp, commands, kv, csv or jsonl [default: by the file's name, else resp].
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// How long each key is: the prefix, then the record's number behind zeros.
    #[arg(long, value_name = "N", default_value = "16", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    key_bytes: usize,

    /// What keys begin with.
    #[arg(long, value_name = "TEXT", default_value = "key:", value_parser = parse_prefix)]
    prefix: String,

    /// How long each value is: N, or from A to B.
    #[arg(long, value_name = "N|A-B", default_value = "64", value_parser = parse_size)]
    value_bytes: Size,

    /// What the values are drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// So many keys in a hundred begin with {hot}: and are in one slot; the others are spread over all.
    #[arg(long, value_name = "P", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    hot_percent: u8,

    /// Every Nth record is LPUSH on the key before it, which is no list (resp and commands).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    wrong_type_every: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Output) -> Result<(), Failure> {
    let records = options.records()?;
    if options.file == "-" {
        if io::stdout().is_terminal() && options.records > TERMINAL_RECORDS_MAX {
            let what = format!("{} on a terminal?", plural(options.records as usize, "record"));
            return Err(Failure::usage(what)
                .hint("Name a file, send the output on (| zstd > file), or give a smaller --records"));
        }
        let written = write(options, records, &mut io::stdout().lock());
        return match written {
            // Who reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map(|_| ()).map_err(|error| failed("standard output", &error)),
        };
    }
    if is_compressed(&options.file) {
        return Err(Failure::usage(format!("{}: nothing is compressed here", options.file)).hint(format!(
            "Send it through a program that does: panpipe generate … | zstd > {}",
            options.file
        )));
    }
    let mut file = File::create(&options.file).map_err(|error| failed(&options.file, &error))?;
    let bytes = write(options, records, &mut file).map_err(|error| failed(&options.file, &error))?;
    out.line(&format!("{}: {} records, {} bytes", options.file, count(options.records), count(bytes)));
    Ok(())
}

fn failed(name: &str, error: &io::Error) -> Failure {
    Failure::new(CHECK, format!("cannot write {name}: {error}"))
}

fn is_compressed(path: &str) -> bool {
    [".gz", ".gzip", ".zst", ".zstd"].iter().any(|end| path.to_ascii_lowercase().ends_with(end))
}

/// Writes everything; answers the bytes.
fn write(options: &Options, mut records: Records, to: &mut impl Write) -> io::Result<u64> {
    let mut progress = Progress::of(options.records, "records");
    let mut piece = Vec::with_capacity(2 * PIECE_BYTES);
    let mut bytes = 0;
    records.begin(&mut piece);
    let mut done = 0;
    for number in 1..=options.records {
        records.put(number, &mut piece);
        if piece.len() >= PIECE_BYTES {
            to.write_all(&piece)?;
            bytes += piece.len() as u64;
            piece.clear();
            progress.advance(number - done, "writing");
            done = number;
        }
    }
    to.write_all(&piece)?;
    to.flush()?;
    Ok(bytes + piece.len() as u64)
}

impl Options {
    fn records(&self) -> Result<Records, Failure> {
        let format = self.format.or_else(|| format_by_name(&self.file)).unwrap_or(Format::Resp);
        let shape = match format {
            Format::Resp => Shape::Resp,
            Format::Commands => Shape::Commands,
            Format::Kv => Shape::Kv,
            Format::Csv => Shape::Csv,
            Format::Jsonl => Shape::Jsonl,
            Format::Tsv | Format::Psv | Format::Json => {
                return Err(Failure::usage(format!("cannot write {format}"))
                    .hint("There are --format resp, commands, kv, csv and jsonl"));
            }
        };
        if self.wrong_type_every.is_some() && !matches!(shape, Shape::Resp | Shape::Commands) {
            return Err(Failure::usage(format!(
                "--wrong-type-every: a record of {format} cannot be another command"
            ))
            .hint("Use --format resp or --format commands"));
        }
        let prefix = self.prefix.len().max(if self.hot_percent > 0 { records::HOT_PREFIX.len() } else { 0 });
        let digits = self.records.to_string().len();
        if prefix + digits > self.key_bytes {
            return Err(Failure::usage(format!(
                "--key-bytes {}: a prefix of {prefix} bytes and {digits} digits do not fit",
                self.key_bytes
            ))
            .hint(format!("At least --key-bytes {}", prefix + digits)));
        }
        Ok(Records {
            shape,
            prefix: self.prefix.clone(),
            key_bytes: self.key_bytes,
            value_bytes: self.value_bytes,
            seed: self.seed,
            hot_percent: self.hot_percent,
            wrong_type_every: self.wrong_type_every,
            key: Vec::new(),
            value: Vec::new(),
        })
    }
}

fn parse_count(text: &str) -> Result<u64, String> {
    const FORM: &str = "a number: 1000000, 1_000_000 or 1e6";
    let text = text.replace('_', "");
    let (digits, zeros) = match text.split_once('e') {
        Some((digits, zeros)) => (digits, zeros.parse::<u32>().map_err(|_| FORM)?),
        None => (text.as_str(), 0),
    };
    let digits: u64 = digits.parse().map_err(|_| FORM)?;
    10u64.checked_pow(zeros).and_then(|factor| digits.checked_mul(factor)).ok_or_else(|| FORM.to_owned())
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\,".contains(byte);
    if text.as_bytes().iter().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits and signs that need no quotes in any format".to_owned())
    }
}

fn parse_size(text: &str) -> Result<Size, String> {
    const BYTES_MAX: usize = 64 * 1024 * 1024;
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().ok().filter(|&bytes: &usize| bytes <= BYTES_MAX);
    match (number(min), number(max)) {
        (Some(min), Some(max)) if min <= max => Ok(Size { min, max }),
        _ => Err(format!("N or A-B, at most {BYTES_MAX}")),
    }
}
