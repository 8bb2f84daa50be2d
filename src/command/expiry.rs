//! When a key expires, and the options of SET.

use smallvec::SmallVec;

use crate::command::arg::Arg;

/// What becomes of a key's time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expiry {
    /// It lives until it is deleted; a time to live that it had is removed.
    #[default]
    Never,
    /// It stays as it was.
    Keep,
    /// It ends after so many seconds.
    AfterSeconds(u64),
    /// It ends after so many milliseconds.
    AfterMs(u64),
    /// It ends at this Unix time in seconds.
    AtSeconds(u64),
    /// It ends at this Unix time in milliseconds.
    AtMs(u64),
}

impl Expiry {
    /// The option's word and its value, where the option has one.
    fn timed(self) -> Option<(&'static str, u64)> {
        match self {
            Expiry::Never | Expiry::Keep => None,
            Expiry::AfterSeconds(seconds) => Some(("EX", seconds)),
            Expiry::AfterMs(ms) => Some(("PX", ms)),
            Expiry::AtSeconds(seconds) => Some(("EXAT", seconds)),
            Expiry::AtMs(ms) => Some(("PXAT", ms)),
        }
    }

    /// Appends the option as SET has it: it removes the time to live unless told otherwise.
    fn push_for_set(self, args: &mut OptionArgs<'_>) {
        match self {
            Expiry::Keep => args.push(Arg::Bytes(b"KEEPTTL")),
            _ => self.push_timed(args),
        }
    }

    /// Appends the option as GETEX has it: it keeps the time to live unless told otherwise.
    pub(crate) fn push_for_getex(self, args: &mut OptionArgs<'_>) {
        match self {
            Expiry::Never => args.push(Arg::Bytes(b"PERSIST")),
            _ => self.push_timed(args),
        }
    }

    fn push_timed(self, args: &mut OptionArgs<'_>) {
        if let Some((word, value)) = self.timed() {
            args.push(Arg::Bytes(word.as_bytes()));
            args.push(Arg::Unsigned(value));
        }
    }
}

/// The arguments of a command with a few options: key, value, condition, word and number.
pub(crate) type OptionArgs<'a> = SmallVec<[Arg<'a>; 6]>;

/// The options of SET, for [`Strings::set_with`](crate::command::Strings::set_with).
///
/// ```
/// use panpipe::command::{Expiry, SetOptions};
///
/// let lock = SetOptions::new().if_absent().expiry(Expiry::AfterMs(30_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetOptions {
    expiry: Expiry,
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Condition {
    #[default]
    Always,
    Absent,
    Present,
}

impl SetOptions {
    /// Sets always, for ever: a plain SET.
    pub fn new() -> Self {
        SetOptions::default()
    }

    /// When the key expires.
    #[must_use]
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Only if the key does not exist (NX).
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.condition = Condition::Absent;
        self
    }

    /// Only if the key exists (XX).
    #[must_use]
    pub fn if_present(mut self) -> Self {
        self.condition = Condition::Present;
        self
    }

    pub(crate) fn push(self, args: &mut OptionArgs<'_>) {
        match self.condition {
            Condition::Always => {}
            Condition::Absent => args.push(Arg::Bytes(b"NX")),
            Condition::Present => args.push(Arg::Bytes(b"XX")),
        }
        self.expiry.push_for_set(args);
    }
}
