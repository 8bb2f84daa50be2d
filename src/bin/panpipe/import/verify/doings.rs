//! What a command of the input has done, by what became of it.

use super::check::{Check, Expected};
use super::rejected::Fate;
use super::told;
use crate::import::frame;
use crate::input::Command;

/// One command; of a unit, one of those between MULTI and EXEC.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) name: String,
    /// What it leaves behind, if it has run.
    pub(super) checks: Vec<Check>,
    /// It has run.
    pub(super) is_sure: bool,
    /// Nothing that was written before may be left.
    pub(super) is_about_all_keys: bool,
}

impl Doing {
    /// What it leaves behind; anything at all, where nobody knows whether it has run.
    pub(super) fn what_is_sure(self) -> impl Iterator<Item = Check> {
        let is_sure = self.is_sure;
        self.checks.into_iter().map(move |check| if is_sure { check } else { check.untold() })
    }
}

pub(super) fn of(command: &Command<'_>, fate: Fate, keys_only: bool) -> Vec<Doing> {
    let mut doings = Vec::new();
    for words in frame::commands(command.frame) {
        let name =
            words.first().map_or(String::new(), |name| String::from_utf8_lossy(name).to_ascii_uppercase());
        if command.is_unit && ["MULTI", "EXEC"].contains(&name.as_str()) {
            continue;
        }
        let checks = Check::of(&words, keys_only);
        let is_about_all_keys = told::is_about_all_keys(&name, !checks.is_empty());
        // What is refused as a whole has done nothing. Of several keys, of a unit, of a script, some may have been written before that.
        let is_one = checks.len() == 1 && checks[0].expected != Expected::Untold && !command.is_unit;
        if fate == Fate::NotWritten && is_one {
            continue;
        }
        doings.push(Doing { name, checks, is_sure: fate == Fate::Written, is_about_all_keys });
    }
    doings
}
