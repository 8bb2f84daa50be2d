//! Why an input cannot be used, or not any further.
//!
//! A record that is wrong is no such error: it is a `Step::Bad`, and the next one follows. This is for what has no next one.

use std::fmt;

use crate::failure::Failure;

/// Whom it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The command line: a format, a field or a template that cannot be.
    Usage,
    /// The input: not there, cut off, damaged.
    Input,
}

/// The end of an input that is not its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputError {
    pub(crate) blame: Blame,
    what: String,
    hint: Option<String>,
}

impl InputError {
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        InputError { blame: Blame::Usage, what: what.into(), hint: None }
    }

    pub(crate) fn input(what: impl Into<String>) -> Self {
        InputError { blame: Blame::Input, what: what.into(), hint: None }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says in front where it happened.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for InputError {}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Failure {
        let failure = match error.blame {
            Blame::Usage => Failure::usage(error.what),
            Blame::Input => Failure::input(error.what),
        };
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
