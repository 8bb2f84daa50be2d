//! What happens when a command runs twice.
//!
//! It matters where a command was sent and its reply is lost. The classes are those of commands, and where options make a difference,
//! those of a command with its options. In doubt a command is not idempotent: an option that is not known here may do anything.

use crate::command::request::WordList;
use crate::command::spec::{self, Spec};

/// What happens when a command runs twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// It changes nothing.
    ReadOnly,
    /// It leaves the same behind as when it runs once, if nobody else writes in between (SET, DEL, SADD). The reply may differ: DEL
    /// answers 0 the second time.
    Idempotent,
    /// It changes something each time (INCR, LPUSH, LPOP), or says with its reply whether it took effect (SET with NX), and the
    /// second time says another thing.
    NotIdempotent,
    /// It changes the connection (AUTH, SELECT, WATCH, SUBSCRIBE).
    ConnectionEffect,
}

/// When a command is of the class that its row says; it is `NotIdempotent` otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Always.
    None,
    /// No other options than these from argument `from` on, each with so many values.
    OptionsFrom { from: usize, allowed: Options },
    /// No other options than these between argument `from` and the first number.
    OptionsBeforeNumber { from: usize, allowed: Options },
    /// The first key, the destination, is none of the others.
    DistinctDestination,
    /// BITOP with any operation that gives the same when its result is an operand, or a destination that is none.
    BitOperation,
    /// XADD with an identifier of the caller's.
    EntryId,
}

/// Options, and how many values follow each.
pub(crate) type Options = &'static [(&'static str, usize)];

/// The class of a command by its name, with these arguments; one that is not known may do anything.
pub(crate) fn idempotency_of<'a>(name: &[u8], args: impl WordList<'a>) -> Idempotency {
    let spec = spec::lookup_bytes(name, args.get(0));
    spec.map_or(Idempotency::NotIdempotent, |spec| classify(spec, args))
}

/// The class of a command with these arguments.
pub(crate) fn classify<'a>(spec: &Spec, args: impl WordList<'a>) -> Idempotency {
    if holds(spec.condition, args) { spec.idempotency } else { Idempotency::NotIdempotent }
}

fn holds<'a>(condition: Condition, args: impl WordList<'a>) -> bool {
    match condition {
        Condition::None => true,
        Condition::OptionsFrom { from, allowed } => only_options(args, from, allowed, |_| false),
        Condition::OptionsBeforeNumber { from, allowed } => only_options(args, from, allowed, is_number),
        Condition::DistinctDestination => is_distinct(args, 0),
        Condition::BitOperation => {
            let operation = args.get(0).unwrap_or_default();
            let repeatable =
                [b"AND".as_slice(), b"OR"].iter().any(|name| operation.eq_ignore_ascii_case(name));
            repeatable || is_distinct(args, 1)
        }
        Condition::EntryId => has_entry_id(args),
    }
}

/// Whether there are only the options that are `allowed`, up to the end or to the first word that is the `end`.
fn only_options<'a>(
    args: impl WordList<'a>,
    from: usize,
    allowed: Options,
    end: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut at = from;
    while let Some(word) = args.get(at) {
        if end(word) {
            return true;
        }
        let Some(values) = values_of(word, allowed) else { return false };
        at += 1 + values;
    }
    true
}

/// How many values follow an option.
fn values_of(word: &[u8], options: Options) -> Option<usize> {
    let found = options.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, values)| *values)
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// Whether the destination stands nowhere behind itself. An option or a count that looks like it makes the answer no, which is safe.
fn is_distinct<'a>(args: impl WordList<'a>, destination: usize) -> bool {
    let Some(name) = args.get(destination) else { return false };
    (destination + 1..args.len()).all(|at| args.get(at) != Some(name))
}

/// Whether an entry is added under a full identifier: the second time it is there already, and the server refuses it.
fn has_entry_id<'a>(args: impl WordList<'a>) -> bool {
    const OPTIONS: Options = &[("NOMKSTREAM", 0), ("LIMIT", 1), ("KEEPREF", 0), ("DELREF", 0), ("ACKED", 0)];
    let mut at = 1;
    while let Some(word) = args.get(at) {
        at += 1;
        if word.eq_ignore_ascii_case(b"MAXLEN") || word.eq_ignore_ascii_case(b"MINID") {
            let is_mark = args.get(at).is_some_and(|mark| matches!(mark, b"=" | b"~"));
            at += if is_mark { 2 } else { 1 };
        } else if let Some(values) = values_of(word, OPTIONS) {
            at += values;
        } else {
            return is_entry_id(word);
        }
    }
    false
}

fn is_entry_id(word: &[u8]) -> bool {
    let is_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let dash = word.iter().position(|&byte| byte == b'-');
    dash.is_some_and(|dash| is_digits(&word[..dash]) && is_digits(&word[dash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::inspect;
    use Idempotency::{Idempotent, NotIdempotent, ReadOnly};

    fn class(line: &str) -> Idempotency {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        inspect(&words).idempotency
    }

    fn all_are(class_of_all: Idempotency, lines: &[&str]) {
        for line in lines {
            assert_eq!(class(line), class_of_all, "{line}");
        }
    }

    #[test]
    fn names_decide_where_there_are_no_options() {
        all_are(
            ReadOnly,
            &["GET a", "MGET a b", "HGETALL a", "EVAL_RO s 1 a", "FCALL_RO f 1 a", "XREAD STREAMS a 0"],
        );
        all_are(Idempotent, &["DEL a", "UNLINK a b", "HSET a f v", "SADD a m", "PERSIST a", "MSET a 1 b 2"]);
        all_are(
            NotIdempotent,
            &[
                "INCR a",
                "APPEND a b",
                "LPUSH a 1",
                "RPOP a",
                "LMOVE a b LEFT LEFT",
                "SPOP a",
                "SETNX a 1",
                "GETSET a 1",
                "GETDEL a",
                "GETEX a",
                "EVAL s 1 a",
                "FCALL f 1 a",
                "PUBLISH c m",
                "SPUBLISH c m",
                "EXPIRE a 5",
                "NO.SUCH a",
            ],
        );
    }

    #[test]
    fn options_of_set_decide() {
        all_are(Idempotent, &["SET a 1", "set a NX", "SET a 1 EXAT 17", "SET a 1 pxat 17"]);
        all_are(
            NotIdempotent,
            &[
                "SET a 1 NX",
                "SET a 1 xx",
                "SET a 1 GET",
                "SET a 1 KEEPTTL",
                "SET a 1 EX 5",
                "SET a 1 PX 5",
                "SET a 1 EXAT 17 NX",
                "SET a 1 IFEQ 2",
                "SET a 1 NEWER",
            ],
        );
        all_are(Idempotent, &["EXPIREAT a 17"]);
        all_are(NotIdempotent, &["EXPIREAT a 17 NX", "PEXPIREAT a 17 GT"]);
    }

    #[test]
    fn options_in_front_of_scores_decide() {
        all_are(Idempotent, &["ZADD a 1 m", "ZADD a CH -1.5e3 m 2 NX", "ZADD a +inf m", "GEOADD a 1 2 m"]);
        all_are(
            NotIdempotent,
            &[
                "ZADD a INCR 1 m",
                "ZADD a NX 1 m",
                "ZADD a ch gt 1 m",
                "ZADD a LT 1 m",
                "ZADD a NEWER 1 m",
                "GEOADD a XX 1 2 m",
            ],
        );
    }

    #[test]
    fn an_entry_with_a_full_identifier_is_there_once() {
        all_are(
            Idempotent,
            &["XADD a 1-1 f v", "XADD a NOMKSTREAM MAXLEN ~ 5 LIMIT 9 1-1 f v", "XADD a minid 5 1-1 f v"],
        );
        all_are(
            NotIdempotent,
            &[
                "XADD a * f v",
                "XADD a 1-* f v",
                "XADD a 1 f v",
                "XADD a MAXLEN 5 * f 1-1",
                "XADD a",
                "XADD a NEWER 1-1 f v",
            ],
        );
    }

    #[test]
    fn a_destination_that_is_a_source_changes_each_time() {
        all_are(
            Idempotent,
            &["SUNIONSTORE d a b", "ZUNIONSTORE d 2 a b", "BITOP XOR d a b", "BITOP and d d b"],
        );
        all_are(
            NotIdempotent,
            &["SDIFFSTORE d a d", "ZUNIONSTORE a 2 a b", "BITOP XOR d a d", "BITOP NOT d d"],
        );
    }
}
