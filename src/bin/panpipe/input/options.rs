//! What the caller says about an input: the flags, and what they come to.

use std::fmt;
use std::ops::RangeInclusive;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::input::error::InputError;
use crate::input::{select, window};

/// As much as a server takes in one value.
const RECORD_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Commands as they go over the wire: what redis-cli --pipe takes, and append-only files
    Resp,
    /// One command a line, quoted as for redis-cli: SET "a key" 'a value'
    Commands,
    /// key<TAB>value, one a line: SET key value, the fastest text
    Kv,
    /// Fields parted by commas; needs --cmd or words behind the file that say what to do with a record
    Csv,
    /// Fields parted by tabs
    Tsv,
    /// Fields parted by vertical bars
    Psv,
    /// One JSON object a line
    Jsonl,
    /// JSON objects in one array, or one behind the other
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// The flags about the input, its records and what becomes of them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// The file to read; `-` is standard input. gzip and zstd are recognised by their first bytes
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    pub(crate) file: Option<String>,

    /// What each record of csv, tsv, psv, jsonl, json becomes, for every record:
    /// hset|sadd|zadd|lpush|rpush|set|geoadd|json.set|expire … with --keyspace and --key; several, one behind the other
    #[arg(
        value_name = "COMMAND",
        help_heading = "Arguments",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<String>,

    /// How the records are written [default: by the file's name, else by its first bytes]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// A command per record, with #{field} for the record's values: --cmd 'HSET beer:#{id} name #{name}'; may be given several times
    #[arg(long = "cmd", value_name = "TEMPLATE")]
    pub(crate) templates: Vec<String>,

    /// The first line of a csv, tsv or psv names the fields; taken so without this where it has all the names that the commands use
    #[arg(long)]
    pub(crate) header: bool,

    /// Names for the fields of a csv, tsv or psv, from left to right
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,

    /// What parts the fields of a csv [default: , or tab or | as the format says]
    #[arg(long, value_name = "CHAR", value_parser = parse_byte)]
    pub(crate) delimiter: Option<u8>,

    /// What stands around fields that hold delimiters; `none` where quotes are ordinary characters [default: "]
    #[arg(long, value_name = "CHAR", value_parser = parse_quote)]
    pub(crate) quote: Option<Quote>,

    /// Leave out so many lines at the start, before the header
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_lines: u64,

    /// Leave out the first N records
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: u64,

    /// Read at most N records (behind those that --skip leaves out)
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,

    /// Only commands whose key is in these slots: 0-8191
    #[arg(long, value_name = "A-B", value_parser = select::parse_slots, conflicts_with = "shard")]
    pub(crate) slots: Option<RangeInclusive<u16>>,

    /// Only the i-th of n shares of the slots, for n processes that read the same file: 1/4 .. 4/4
    #[arg(long, value_name = "I/N", value_parser = select::parse_shard)]
    pub(crate) shard: Option<RangeInclusive<u16>>,

    /// The largest record that is read, in bytes; memory is bounded by it
    #[arg(long, value_name = "BYTES", default_value_t = RECORD_BYTES_MAX, hide = true,
          value_parser = RangedU64ValueParser::<usize>::new().range(16..=(RECORD_BYTES_MAX as u64)))]
    pub(crate) max_record_bytes: usize,
}

/// What `--quote` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote(pub(crate) Option<u8>);

/// All that `Input::open` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputOptions {
    /// `-` is standard input.
    pub(crate) path: String,
    /// Nobody has named an input: it is standard input, if something comes in there.
    pub(crate) is_implied: bool,
    pub(crate) format: Option<Format>,
    pub(crate) header: bool,
    /// Empty: by the header, or numbers.
    pub(crate) fields: Vec<String>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) quote: Option<Quote>,
    pub(crate) skip_lines: u64,
    /// `--cmd`.
    pub(crate) templates: Vec<String>,
    /// The words behind the file.
    pub(crate) words: Vec<String>,
    pub(crate) skip: u64,
    pub(crate) max: Option<u64>,
    pub(crate) slots: Option<RangeInclusive<u16>>,
    pub(crate) record_bytes_max: usize,
    pub(crate) chunk_bytes: usize,
}

impl InputOptions {
    /// Everything as it is by default.
    pub(crate) fn of(path: &str) -> InputOptions {
        InputOptions {
            path: path.to_owned(),
            is_implied: false,
            format: None,
            header: false,
            fields: Vec::new(),
            delimiter: None,
            quote: None,
            skip_lines: 0,
            templates: Vec::new(),
            words: Vec::new(),
            skip: 0,
            max: None,
            slots: None,
            record_bytes_max: RECORD_BYTES_MAX,
            chunk_bytes: window::CHUNK_BYTES,
        }
    }
}

impl InputArgs {
    /// What the flags come to. No file means standard input, if something is sent there.
    pub(crate) fn options(&self) -> Result<InputOptions, InputError> {
        if !self.templates.is_empty() && !self.words.is_empty() {
            return Err(InputError::usage(format!(
                "--cmd and the command {:?} behind the file: give one or the other",
                self.words[0]
            )));
        }
        Ok(InputOptions {
            format: self.format,
            header: self.header,
            fields: self.fields.clone(),
            delimiter: self.delimiter,
            quote: self.quote,
            skip_lines: self.skip_lines,
            templates: self.templates.clone(),
            words: self.words.clone(),
            skip: self.skip,
            max: self.max,
            slots: self.slots.clone().or_else(|| self.shard.clone()),
            record_bytes_max: self.max_record_bytes,
            is_implied: self.file.is_none(),
            ..InputOptions::of(self.file.as_deref().unwrap_or("-"))
        })
    }
}

fn parse_byte(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        _ => Err("one ASCII character, or \\t for a tab".to_owned()),
    }
}

fn parse_quote(text: &str) -> Result<Quote, String> {
    if text == "none" { Ok(Quote(None)) } else { parse_byte(text).map(|byte| Quote(Some(byte))) }
}
