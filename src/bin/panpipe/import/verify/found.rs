//! What came of looking.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::check::Place;
use super::past::Why;
use super::suspects::Suspect;
use crate::output::{Output, excerpt, plural};

const SHOWN_MAX: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(super) kind: String,
    pub(super) records: u64,
    pub(super) compared: u64,
    /// Commands that were looked at for their key alone, or not at all, by name.
    pub(super) not_comparable: BTreeMap<String, u64>,
    pub(super) expired: u64,
    pub(super) rejected: u64,
    /// Differences that were none, since a later record wrote the same place.
    pub(super) overwritten: u64,
    /// Differences that a command may have made on purpose, by its name.
    untold: BTreeMap<String, u64>,
    mismatches: u64,
    /// The first ones in the input, with their keys.
    first: Vec<(Vec<u8>, Suspect)>,
}

impl Verified {
    pub(super) fn of(kind: String) -> Verified {
        Verified { kind, ..Verified::default() }
    }

    pub(super) fn not_comparable(&mut self, command: &str) {
        *self.not_comparable.entry(command.to_owned()).or_default() += 1;
    }

    /// A difference has an explanation.
    pub(super) fn explained(&mut self, why: &Why) {
        match why {
            Why::Expired => self.expired += 1,
            Why::Untold(command) => *self.untold.entry(command.clone()).or_default() += 1,
        }
    }

    /// Nothing in the input explains these, which are behind all that were told before.
    pub(super) fn convict(&mut self, suspects: Vec<(Vec<u8>, Suspect)>) {
        self.mismatches += suspects.len() as u64;
        let room = SHOWN_MAX - self.first.len();
        self.first.extend(suspects.into_iter().take(room));
    }

    pub(in crate::import) fn mismatches(&self) -> u64 {
        self.mismatches
    }

    pub(in crate::import) fn print(&self, out: &mut Output) {
        let mut text = format!(
            "Verified ({}): {} compared with the input, {}",
            self.kind,
            plural(self.compared as usize, "command"),
            match self.mismatches() {
                0 => "all as written.".to_owned(),
                some => format!("{} NOT as written.", plural(some as usize, "place")),
            }
        );
        if self.expired > 0 {
            text.push_str(&format!(" {} expired meanwhile.", plural(self.expired as usize, "key")));
        }
        if self.overwritten > 0 {
            let places = plural(self.overwritten as usize, "value");
            text.push_str(&format!(" Of what records wrote, {places} had been replaced by later records."));
        }
        if !self.not_comparable.is_empty() {
            let kinds: Vec<String> =
                self.not_comparable.iter().map(|(name, number)| format!("{name} {number}")).collect();
            text.push_str(&format!(
                " What these leave behind cannot be told from the command alone: {}.",
                kinds.join(", ")
            ));
        }
        if !self.untold.is_empty() {
            let kinds: Vec<String> =
                self.untold.iter().map(|(name, number)| format!("{name} {number}")).collect();
            text.push_str(&format!(
                " Differences that these may have made on purpose, which is not counted: {}.",
                kinds.join(", ")
            ));
        }
        out.paragraph(&text);
        for (key, suspect) in &self.first {
            let (key, what) = (excerpt(key), &suspect.difference.what);
            let part = part(suspect).map_or(String::new(), |part| format!(" {}", excerpt(part)));
            let label = format!("  record {}: ", suspect.record);
            out.labelled(&label, &format!("{} {key}{part}: {what}", suspect.command));
        }
    }

    pub(in crate::import) fn to_json(&self) -> Value {
        let first = |(key, suspect): &(Vec<u8>, Suspect)| {
            json!({
                "record": suspect.record,
                "command": suspect.command,
                "key": String::from_utf8_lossy(key),
                "part": part(suspect).map(String::from_utf8_lossy),
                "what": suspect.difference.what,
            })
        };
        json!({
            "kind": self.kind,
            "records": self.records,
            "commands_compared": self.compared,
            "commands_not_comparable": self.not_comparable,
            "commands_rejected": self.rejected,
            "keys_expired": self.expired,
            "overwritten": self.overwritten,
            "differences_not_counted": self.untold,
            "mismatches": self.mismatches,
            "first": self.first.iter().map(first).collect::<Vec<_>>(),
        })
    }
}

/// The field or member that it is about.
fn part(suspect: &Suspect) -> Option<&[u8]> {
    match &suspect.difference.place {
        Place::Part(part) => Some(part),
        Place::Whole | Place::Life => None,
    }
}
