//! Errors by their class, each with an example.

use panpipe::Outcome;
use serde_json::{Value, json};

use super::rejects::{Cause, outcome_name};

/// Classes that are told apart; what comes later is counted together.
const CLASSES_MAX: usize = 32;
const REST: &str = "others";

#[derive(Debug)]
struct Class {
    name: String,
    outcome: Option<Outcome>,
    count: u64,
    /// The first one's record and text.
    record: u64,
    text: String,
}

/// How many of each.
#[derive(Debug, Default)]
pub(super) struct Errors {
    classes: Vec<Class>,
}

impl Cause {
    /// May have run: nobody can tell.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Unknown))
    }
}

impl Errors {
    pub(super) fn add(&mut self, cause: &Cause, record: u64) {
        let known =
            self.classes.iter().position(|class| class.name == cause.class && class.outcome == cause.outcome);
        let rest = || self.classes.iter().position(|class| class.name == REST);
        let full = self.classes.len() >= CLASSES_MAX;
        match known.or_else(|| if full { rest() } else { None }) {
            Some(at) => self.classes[at].count += 1,
            None => self.classes.push(Class {
                name: if full { REST.to_owned() } else { cause.class.clone() },
                outcome: cause.outcome,
                count: 1,
                record,
                text: cause.text.clone(),
            }),
        }
    }

    /// The most frequent first: count, class, and the first one's record and text.
    pub(super) fn top(&self) -> Vec<(u64, &str, u64, &str)> {
        let mut top: Vec<_> = self
            .classes
            .iter()
            .map(|class| (class.count, class.name.as_str(), class.record, class.text.as_str()))
            .collect();
        top.sort_by(|a, b| b.0.cmp(&a.0).then(a.2.cmp(&b.2)));
        top
    }

    pub(super) fn to_json(&self) -> Vec<Value> {
        let mut classes: Vec<&Class> = self.classes.iter().collect();
        classes.sort_by(|a, b| b.count.cmp(&a.count).then(a.record.cmp(&b.record)));
        let class = |class: &&Class| {
            json!({
                "class": class.name,
                "outcome": outcome_name(class.outcome),
                "count": class.count,
                "example": { "record": class.record, "error": class.text },
            })
        };
        classes.iter().map(class).collect()
    }
}
