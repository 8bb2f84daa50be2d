//! The formats behind one door.

use crate::input::commands::CommandLines;
use crate::input::csv::Delimited;
use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::found::{Found, Made, Remake};
use crate::input::json::Json;
use crate::input::key_rule::KeyRules;
use crate::input::kv::KeyValue;
use crate::input::options::{Format, InputOptions};
use crate::input::resp::Resp;
use crate::input::window::Window;

/// One of them.
pub(crate) enum Parser {
    Resp(Box<Resp>),
    Commands(CommandLines),
    KeyValue(KeyValue),
    Delimited(Box<Delimited>),
    Json(Box<Json>),
}

impl Parser {
    /// Reads what stands in front of the first record, and checks the options against it.
    pub(crate) fn open(
        format: Format,
        plain: &mut Plain,
        window: &mut Window,
        options: &InputOptions,
    ) -> Result<Parser, InputError> {
        check(format, options)?;
        Ok(match format {
            Format::Resp => Parser::Resp(Box::new(Resp::new(options.record_bytes_max))),
            Format::Commands => Parser::Commands(CommandLines::new(options.record_bytes_max)),
            Format::Kv => Parser::KeyValue(KeyValue::open(options)?),
            Format::Csv | Format::Tsv | Format::Psv => {
                Parser::Delimited(Box::new(Delimited::open(format, plain, window, options)?))
            }
            Format::Jsonl | Format::Json => {
                Parser::Json(Box::new(Json::open(format, plain, window, options)?))
            }
        })
    }

    /// What is at the front of the window. Called again with the same bytes and more behind them after `Found::More`.
    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        match self {
            Parser::Resp(resp) => resp.find(bytes, at_end, keys, made),
            Parser::KeyValue(kv) => kv.find(bytes, at_end, keys, made),
            Parser::Delimited(delimited) => delimited.find(bytes, at_end, keys, made),
            Parser::Json(json) => json.find(bytes, at_end, keys, made),
            Parser::Commands(commands) => commands.find(bytes, at_end, keys, made),
        }
    }

    /// What makes the command of a record from its bytes alone.
    pub(crate) fn remake(&self) -> Option<Remake> {
        match self {
            Parser::KeyValue(kv) => kv.remake(),
            Parser::Resp(_) | Parser::Commands(_) | Parser::Delimited(_) | Parser::Json(_) => None,
        }
    }

    /// Whether a record has begun whose end is not found.
    pub(crate) fn is_within(&self) -> bool {
        match self {
            Parser::Resp(resp) => resp.is_within(),
            Parser::Commands(commands) => commands.is_within(),
            Parser::Json(json) => json.is_within(),
            Parser::KeyValue(_) | Parser::Delimited(_) => false,
        }
    }

    /// Gives up the line at the front of the window, with what is still to come of it; false where the records are no lines.
    pub(crate) fn skip_line(&mut self) -> bool {
        match self {
            Parser::KeyValue(kv) => kv.lines.skip(),
            Parser::Commands(commands) => commands.lines.skip(),
            Parser::Json(json) => return json.skip_line(),
            Parser::Resp(_) | Parser::Delimited(_) => return false,
        }
        true
    }

    /// Whether the end of a line that was given up is still to come.
    pub(crate) fn is_skipping(&self) -> bool {
        match self {
            Parser::KeyValue(kv) => kv.lines.skipping,
            Parser::Commands(commands) => commands.lines.skipping,
            Parser::Json(json) => json.is_skipping(),
            Parser::Resp(_) | Parser::Delimited(_) => false,
        }
    }

    /// The next bytes are another part of the input, where a record begins.
    pub(crate) fn resume(&mut self) {
        match self {
            Parser::Delimited(delimited) => delimited.resume(),
            Parser::Json(json) => json.resume(),
            // Between two records these remember nothing.
            Parser::Resp(_) | Parser::Commands(_) | Parser::KeyValue(_) => {}
        }
    }
}

/// Whether the options are about this format.
fn check(format: Format, options: &InputOptions) -> Result<(), InputError> {
    let is_delimited = matches!(format, Format::Csv | Format::Tsv | Format::Psv);
    let for_delimited = [
        ("--header", options.header),
        ("--fields", !options.fields.is_empty()),
        ("--delimiter", options.delimiter.is_some()),
        ("--quote", options.quote.is_some()),
        ("--skip-lines", options.skip_lines > 0),
    ];
    if let Some((flag, _)) = for_delimited.iter().find(|(_, given)| *given && !is_delimited) {
        return Err(InputError::usage(format!("{flag} is for csv, tsv and psv, and this is {format}")));
    }
    let is_commands = matches!(format, Format::Resp | Format::Commands);
    if is_commands && !(options.templates.is_empty() && options.words.is_empty()) {
        let what = format!("the records of {format} are commands; a template has nothing to do there");
        return Err(InputError::usage(what)
            .hint("Leave --cmd or the words behind the file out, or name another --format"));
    }
    Ok(())
}
