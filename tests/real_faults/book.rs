//! The book of a load: which commands were submitted, in which order, and what the client said became of each.
//!
//! It knows the shape of the commands and of their replies. It refuses to know the client, the servers and the faults. Invariant: a command
//! has one number, numbers rise in submission order, and a command gets one result.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use panpipe::command::{Cmd, cmd};
use panpipe::resp::ReplyRef;
use panpipe::slot::slot_of;
use panpipe::{Error, Outcome};

use super::random::Random;
use super::tally::{Tally, is_overtaken, name_of};

/// What a command does. Every write carries its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RPUSH of the number to the tag's list.
    Push,
    /// INCR of the tag's counter.
    Increment,
    /// MSET of the tag's two twins to the number.
    Write,
    /// GET of one twin.
    Read,
    /// MGET of both.
    ReadBoth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Executed,
    /// It ran, and what it answered is not known.
    ReplyLost,
    NotExecuted,
    Unknown,
}

/// One command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) tag: u16,
    pub(crate) submitted_us: u32,
    pub(crate) done_us: u32,
    /// The integer of a push or an increment; the number that a read saw, 0 for none.
    pub(crate) reply: u64,
}

impl Op {
    /// It ran, as far as the client tells.
    pub(crate) fn ran(&self) -> bool {
        matches!(self.state, State::Executed | State::ReplyLost)
    }
}

/// The keys behind one hash tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) slot: u16,
    pub(crate) list: String,
    pub(crate) count: String,
    pub(crate) twins: [String; 2],
}

impl Tag {
    fn new(name: &str, book: u32) -> Tag {
        Tag { name: name.to_owned(), slot: slot_of(name.as_bytes()), ..Tag::of(name, book, 0) }
    }

    fn of(name: &str, book: u32, generation: u32) -> Tag {
        let key = |what: &str| format!("{{{name}}}:{what}:{book}.{generation}");
        Tag {
            name: String::new(),
            slot: 0,
            list: key("list"),
            count: key("count"),
            twins: [key("a"), key("b")],
        }
    }

    fn renew(&mut self, book: u32, generation: u32) {
        let Tag { list, count, twins, .. } = Tag::of(&self.name, book, generation);
        (self.list, self.count, self.twins) = (list, count, twins);
    }

    pub(crate) fn keys(&self) -> [&str; 4] {
        [&self.list, &self.count, &self.twins[0], &self.twins[1]]
    }
}

/// Which errors a case expects; everything else is a violation.
pub(crate) type Expected = fn(&Op, &Error) -> bool;

pub(crate) struct Book {
    pub(crate) tags: Vec<Tag>,
    pub(crate) ops: Vec<Op>,
    /// Number of the first of `ops`: numbers begin at 1.
    pub(crate) base: u64,
    pub(crate) tally: Tally,
    pub(crate) expected: Expected,
    pub(crate) began: Instant,
    /// Keys are a book's own: a failover may lose their removal, and the next case meets them again.
    own: u32,
    generation: u32,
    next_tag: usize,
    random: Random,
    /// The tag of the command that is being made, and the time.
    now_us: u32,
}

impl Book {
    pub(crate) fn new(tags: impl IntoIterator<Item = String>) -> Book {
        static BOOKS: AtomicU32 = AtomicU32::new(0);
        let own = BOOKS.fetch_add(1, Ordering::Relaxed);
        Book {
            tags: tags.into_iter().map(|name| Tag::new(&name, own)).collect(),
            ops: Vec::new(),
            base: 1,
            tally: Tally::default(),
            expected: none,
            began: Instant::now(),
            own,
            generation: 0,
            next_tag: 0,
            random: Random::from_environment(),
            now_us: 0,
        }
    }

    /// Looks at the clock for the commands that follow.
    pub(crate) fn look_at_clock(&mut self) {
        self.now_us = self.us(Instant::now());
    }

    pub(crate) fn us(&self, at: Instant) -> u32 {
        at.saturating_duration_since(self.began).as_micros() as u32
    }

    pub(crate) fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    /// The next command, and its number. Tags take turns, so that every batch of some size has all of them.
    pub(crate) fn next(&mut self) -> (u64, Cmd) {
        let at = self.next_tag % self.tags.len();
        self.next_tag += 1;
        let kind = match self.random.below(10) {
            0..4 => Kind::Push,
            4..6 => Kind::Increment,
            6..8 => Kind::Write,
            8 => Kind::Read,
            _ => Kind::ReadBoth,
        };
        let number = self.base + self.ops.len() as u64;
        let tag = &self.tags[at];
        let [a, b] = &tag.twins;
        let command = match kind {
            Kind::Push => cmd("RPUSH").key(&tag.list).arg(number),
            Kind::Increment => cmd("INCR").key(&tag.count),
            Kind::Write => {
                let value = format!("{}/{number}", tag.name);
                cmd("MSET").key(a).arg(&value).key(b).arg(&value)
            }
            Kind::Read => cmd("GET").key(&tag.twins[self.random.below(2) as usize]),
            Kind::ReadBoth => cmd("MGET").key(a).key(b),
        };
        self.ops.push(Op {
            kind,
            state: State::Pending,
            tag: at as u16,
            submitted_us: self.now_us,
            done_us: 0,
            reply: 0,
        });
        self.tally.commands += 1;
        (number, command)
    }

    /// The command was not taken: as if it had never been.
    pub(crate) fn take_back(&mut self, number: u64) {
        assert_eq!(number, self.base + self.ops.len() as u64 - 1, "only the last one");
        self.ops.pop();
        self.tally.commands -= 1;
    }

    /// What the client says about a command.
    pub(crate) fn finish(&mut self, number: u64, result: Result<ReplyRef<'_>, &Error>) {
        let Some(at) = number.checked_sub(self.base).filter(|at| *at < self.ops.len() as u64) else {
            return self.tally.violation(format!("a result for {number}, which was not submitted"));
        };
        let mut op = self.ops[at as usize];
        if op.state != State::Pending {
            return self.tally.violation(format!("a second result for {number}: {op:?}, {result:?}"));
        }
        op.done_us = self.now_us;
        match result {
            Ok(reply) => {
                self.tally.executed += 1;
                op.state = State::Executed;
                match value_of(op.kind, &self.tags[usize::from(op.tag)].name, reply) {
                    Ok(value) => op.reply = value,
                    Err(what) => self.tally.violation(format!("{:?} {number}: {what}", op.kind)),
                }
            }
            Err(error) => {
                self.tally.count_error(error);
                op.state = match error.outcome() {
                    Outcome::Executed => State::Executed,
                    Outcome::ExecutedReplyLost => State::ReplyLost,
                    Outcome::NotExecuted => State::NotExecuted,
                    Outcome::Unknown => State::Unknown,
                };
                if !(self.expected)(&op, error) {
                    self.tally.violation(format!("{:?} {number}: {error} ({})", op.kind, error.outcome()));
                }
            }
        }
        self.ops[at as usize] = op;
    }

    /// Everything was checked: new keys, and an empty book.
    pub(crate) fn renew(&mut self) {
        self.base += self.ops.len() as u64;
        self.ops.clear();
        self.generation += 1;
        for tag in &mut self.tags {
            tag.renew(self.own, self.generation);
        }
    }
}

/// What a reply says; an error where it is no answer to such a command.
fn value_of(kind: Kind, tag: &str, reply: ReplyRef<'_>) -> Result<u64, String> {
    let wrong = || format!("answered with {reply:?}");
    match kind {
        Kind::Push | Kind::Increment => {
            reply.as_i64().and_then(|value| u64::try_from(value).ok()).ok_or_else(wrong)
        }
        Kind::Write => (reply.frame() == b"+OK\r\n").then_some(0).ok_or_else(wrong),
        Kind::Read => number_in(tag, reply),
        Kind::ReadBoth => {
            let both: Vec<u64> =
                reply.elements().map(|element| number_in(tag, element)).collect::<Result<_, _>>()?;
            match both[..] {
                [a, b] if a == b => Ok(a),
                _ => Err(format!("the twins differ, or are not two: {reply:?}")),
            }
        }
    }
}

/// The number in `tag/number`, or 0 for no value.
pub(crate) fn number_in(tag: &str, reply: ReplyRef<'_>) -> Result<u64, String> {
    if reply.is_null() {
        return Ok(0);
    }
    let number = reply.as_str().and_then(|text| text.strip_prefix(tag)?.strip_prefix('/')?.parse().ok());
    number.ok_or_else(|| format!("not a value of {tag}: {reply:?}"))
}

/// No error is expected.
pub(crate) fn none(_: &Op, _: &Error) -> bool {
    false
}

/// A command of several keys can be overtaken while its slot moves (Theorem 2 of the order's proof: it alone).
pub(crate) fn overtaken_of_several_keys(op: &Op, error: &Error) -> bool {
    is_overtaken(error) && matches!(op.kind, Kind::Write | Kind::ReadBoth)
}

/// A node dies or is cut off: what was on the wire is in doubt, and what waits too long runs into its deadline.
pub(crate) fn outage(op: &Op, error: &Error) -> bool {
    let name = name_of(error);
    let in_doubt = matches!(error.outcome(), Outcome::Unknown | Outcome::ExecutedReplyLost);
    (name == "ConnectionLost" && in_doubt)
        || name == "Timeout"
        || (is_overtaken(error) && op.kind != Kind::Push)
}
