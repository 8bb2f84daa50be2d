//! The formats behind one door.

use crate::input::commands::CommandLines;
use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::found::{Found, Made};
use crate::input::key_rule::KeyRules;
use crate::input::kv::KeyValue;
use crate::input::options::{Format, InputOptions};
use crate::input::resp::Resp;
use crate::input::window::Window;

/// One of them.
pub(crate) enum Parser {
    Resp(Resp),
    Commands(CommandLines),
    KeyValue(KeyValue),
}

impl Parser {
    /// Reads what stands in front of the first record, and checks the options against it.
    pub(crate) fn open(
        format: Format,
        _plain: &mut Plain,
        _window: &mut Window,
        options: &InputOptions,
    ) -> Result<Parser, InputError> {
        Ok(match format {
            Format::Resp => Parser::Resp(Resp::new(options.record_bytes_max)),
            Format::Commands => Parser::Commands(CommandLines::new(options.record_bytes_max)),
            Format::Kv => Parser::KeyValue(KeyValue::default()),
            _ => return Err(InputError::usage(format!("the format {format} cannot be read yet"))),
        })
    }

    /// What is at the front of the window. Called again with the same bytes and more behind them after `Found::More`.
    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        match self {
            Parser::Resp(resp) => resp.find(bytes, at_end, keys, made),
            Parser::KeyValue(kv) => kv.find(bytes, at_end, made),
            Parser::Commands(commands) => commands.find(bytes, at_end, keys, made),
        }
    }

    /// Whether a record has begun whose end is not found.
    pub(crate) fn is_within(&self) -> bool {
        match self {
            Parser::Resp(resp) => resp.is_within(),
            Parser::Commands(commands) => commands.is_within(),
            _ => false,
        }
    }

    /// Gives up the line at the front of the window, with what is still to come of it; false where the records are no lines.
    pub(crate) fn skip_line(&mut self) -> bool {
        match self {
            Parser::KeyValue(kv) => kv.lines.skip(),
            Parser::Commands(commands) => commands.lines.skip(),
            _ => return false,
        }
        true
    }

    /// The next bytes are another part of the input, where a record begins.
    pub(crate) fn resume(&mut self) {}
}
