//! Commands that a simulated caller submits, and how to recognise them wherever they turn up.
//!
//! Every command carries its number: a write in its value, a read in an argument that changes nothing (the end of a range that no value
//! reaches, or the order in which keys are repeated). So each execution that the model records, and each reply, can be told to be this
//! command's or another's.

use panpipe::command::{Cmd, Merge, Route, cmd};
use panpipe::config::{Config, RetryUnknown};
use panpipe::engine::{BatchId, Timestamp, Token};
use panpipe::{Endpoint, Outcome};
use smallvec::SmallVec;

/// Ranges end here, plus the command's number.
const FAR: u32 = 1_000_000;
/// Binary digits of a number that is written with two keys.
const DIGITS: u32 = 12;
/// No seed has more commands than this.
pub(crate) const NUMBERS_MAX: u32 = 1 << DIGITS;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// RPUSH
    Push,
    /// APPEND
    Append,
    /// SET
    Set,
    /// MSET of two keys of one slot
    MultiSet,
    /// MSET of two slots
    SplitSet,
    /// LRANGE
    ListRead,
    /// GETRANGE
    TextRead,
    /// EXISTS of two keys of one slot
    MultiRead,
    /// MGET of two slots
    SplitRead,
    /// ECHO, anywhere
    Echo,
    /// ECHO, on a node that the caller names
    PinnedEcho,
    /// GETRANGE, on a node that the caller names
    PinnedRead,
    /// ECHO, on every primary
    EveryEcho,
    /// MULTI, APPEND to two keys of one slot, EXEC
    Unit,
    /// LRANGE of a string
    WrongType,
    /// A command that no server knows
    Unheard,
}

impl Kind {
    pub(crate) fn is_write(self) -> bool {
        matches!(self, Kind::Push | Kind::Append | Kind::Set | Kind::MultiSet | Kind::SplitSet | Kind::Unit)
    }

    pub(crate) fn is_split(self) -> bool {
        matches!(self, Kind::SplitSet | Kind::SplitRead | Kind::EveryEcho)
    }

    /// Whether it goes to the primary of its slot, in order.
    pub(crate) fn is_ordered(self) -> bool {
        !matches!(self, Kind::Echo | Kind::PinnedEcho | Kind::PinnedRead | Kind::EveryEcho)
    }

    /// Whether an execution can be told to be this command's.
    pub(crate) fn is_recognised(self) -> bool {
        !matches!(self, Kind::SplitRead | Kind::Unheard)
    }

    pub(crate) fn keys(self) -> usize {
        match self {
            Kind::MultiSet | Kind::SplitSet | Kind::MultiRead | Kind::SplitRead | Kind::Unit => 2,
            Kind::Echo | Kind::PinnedEcho | Kind::EveryEcho => 0,
            _ => 1,
        }
    }

    /// Whether a policy allows it to run more than once.
    fn may_repeat(self, policy: RetryUnknown) -> bool {
        match policy {
            RetryUnknown::Never => false,
            RetryUnknown::ReadOnly => !self.is_write(),
            RetryUnknown::Idempotent => !matches!(self, Kind::Push | Kind::Append | Kind::Unit),
            RetryUnknown::Always => true,
        }
    }
}

/// A key: the place of its slot among those used, and its place within the slot. The first is a list, the others are strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) slot: usize,
    pub(crate) place: usize,
}

pub(crate) const KEYS_PER_SLOT: usize = 3;

impl Key {
    /// Numbers all keys.
    pub(crate) fn index(self) -> usize {
        self.slot * KEYS_PER_SLOT + self.place
    }

    pub(crate) fn name(self, tags: &[String]) -> String {
        format!("{{{}}}{}", tags[self.slot], self.place)
    }
}

/// How a command ended, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Pending,
    Done(Vec<u8>),
    Failed {
        outcome: Outcome,
        why: Why,
        text: String,
    },
    /// Nobody asked any more.
    Abandoned,
}

/// Kinds of failure that checks ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Overtaken,
    /// Its connection was lost, or could not be made.
    Connection,
    Other,
}

/// Who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Stream(Option<Token>),
    Batch(BatchId, u32),
}

#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// What its caller wants where its reply is lost, if that is not the client's rule.
    pub(crate) retry_unknown: Option<RetryUnknown>,
    pub(crate) keys: SmallVec<[Key; 2]>,
    pub(crate) padding: usize,
    pub(crate) node: Option<Endpoint>,
    pub(crate) waits: Waits,
    /// By then it has its result; never, while its batch has not been flushed.
    pub(crate) deadline: Timestamp,
    pub(crate) fate: Fate,
    /// As `deadline`, whatever pauses the client's machine made.
    pub(crate) due: Timestamp,
    pub(crate) submitted: Timestamp,
    pub(crate) done: Timestamp,
}

impl Op {
    fn token(&self, key: Key) -> String {
        format!("{}@{}{},", self.number, key.index(), "x".repeat(self.padding))
    }

    pub(crate) fn command(&self, tags: &[String]) -> Cmd {
        let command = self.plain_command(tags);
        match self.retry_unknown {
            Some(policy) => command.retry_unknown(policy),
            None => command,
        }
    }

    /// Whether it may run more than once, by its own policy or else by the client's.
    pub(crate) fn may_repeat(&self, config: &Config) -> bool {
        self.kind.may_repeat(self.retry_unknown.unwrap_or(config.retry_unknown))
    }

    fn plain_command(&self, tags: &[String]) -> Cmd {
        let name = |n: usize| self.keys[n].name(tags);
        let far = FAR + self.number;
        let node = || self.node.clone().map_or(Route::AnyPrimary, Route::Node);
        match self.kind {
            Kind::Push => cmd("RPUSH").key(name(0)).arg(self.token(self.keys[0])),
            Kind::Append => cmd("APPEND").key(name(0)).arg(self.token(self.keys[0])),
            Kind::Set => cmd("SET").key(name(0)).arg(self.token(self.keys[0])),
            Kind::MultiSet | Kind::SplitSet => cmd("MSET")
                .key(name(0))
                .arg(self.token(self.keys[0]))
                .key(name(1))
                .arg(self.token(self.keys[1])),
            Kind::ListRead | Kind::WrongType => cmd("LRANGE").key(name(0)).arg(0).arg(far),
            Kind::TextRead => cmd("GETRANGE").key(name(0)).arg(0).arg(far),
            Kind::PinnedRead => cmd("SUBSTR").key(name(0)).arg(0).arg(far).route(node()),
            Kind::MultiRead => {
                let digits = (0..DIGITS).map(|digit| name((self.number >> digit & 1) as usize));
                cmd("EXISTS").key(name(0)).key(name(1)).args(digits)
            }
            // What is sent is `unit`.
            Kind::Unit => cmd("MULTI"),
            Kind::SplitRead => cmd("MGET").key(name(0)).key(name(1)),
            Kind::Echo => cmd("ECHO").arg(self.number).route(Route::AnyPrimary),
            Kind::PinnedEcho => cmd("ECHO").arg(self.number).route(node()),
            Kind::EveryEcho => cmd("ECHO").arg(self.number).route(Route::AllPrimaries).merge(Merge::First),
            Kind::Unheard => cmd("UNHEARD").key(name(0)).arg(far),
        }
    }
}

impl Op {
    /// The bytes of a unit.
    pub(crate) fn unit(&self, tags: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |words: &[&str]| {
            out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
            }
        };
        put(&["MULTI"]);
        for &key in &self.keys {
            put(&["APPEND", &key.name(tags), &self.token(key)]);
        }
        put(&["EXEC"]);
        out
    }
}

/// The number of the command that these words are, if they are one of ours.
pub(crate) fn number_of<W: AsRef<[u8]>>(words: &[W]) -> Option<u32> {
    let text = |n: usize| words.get(n).and_then(|word| std::str::from_utf8(word.as_ref()).ok());
    match text(0)? {
        "RPUSH" | "APPEND" | "SET" | "MSET" => text(2)?.split('@').next()?.parse().ok(),
        "LRANGE" | "GETRANGE" | "SUBSTR" => text(3)?.parse::<u32>().ok()?.checked_sub(FAR),
        "UNHEARD" => text(2)?.parse::<u32>().ok()?.checked_sub(FAR),
        "ECHO" => text(1)?.parse().ok(),
        "EXISTS" if words.len() == 3 + DIGITS as usize => {
            let differs = |word: &W| u32::from(word.as_ref() != words[1].as_ref());
            Some(words[3..].iter().enumerate().map(|(digit, word)| differs(word) << digit).sum())
        }
        _ => None,
    }
}

/// The words of the command at the front, and its length; none where it is not whole.
pub(crate) fn first_words(bytes: &[u8]) -> Option<(SmallVec<[&[u8]; 16]>, usize)> {
    let mut at = 0;
    let count = header(bytes, b'*', &mut at)?;
    let mut words = SmallVec::new();
    for _ in 0..count {
        let length = header(bytes, b'$', &mut at)?;
        words.push(bytes.get(at..at + length)?);
        at += length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

fn header(bytes: &[u8], mark: u8, at: &mut usize) -> Option<usize> {
    let line = bytes.get(*at..)?;
    let end = line.iter().position(|&byte| byte == b'\r').filter(|end| end + 1 < line.len())?;
    assert_eq!(line[0], mark, "not a command: {}", line.escape_ascii());
    *at += end + 2;
    std::str::from_utf8(&line[1..end]).ok()?.parse().ok()
}

/// Whether a value consists of this key's tokens.
pub(crate) fn is_value_of(value: &[u8], key: Key) -> bool {
    let text = String::from_utf8_lossy(value);
    text.split_terminator(',').all(|token| {
        let mark = token.split('@').nth(1).map(|mark| mark.trim_end_matches('x'));
        mark == Some(key.index().to_string().as_str())
    })
}
