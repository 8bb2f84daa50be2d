//! What a command leaves behind, as far as that can be told from the command alone, and how to ask for it.
//!
//! Refuses to know other commands of the same key: the last one counts, and who that is the caller finds out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use panpipe::command::{Cmd, cmd, keys_of};
use panpipe::resp::reply::ReplyRef;

use crate::import::routes;
use crate::output::excerpt;

/// What should be at a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    Value(Vec<u8>),
    /// Fields of a hash, each with its value.
    Fields(Vec<(Vec<u8>, Vec<u8>)>),
    FieldsGone(Vec<Vec<u8>>),
    Members(Vec<Vec<u8>>),
    MembersGone(Vec<Vec<u8>>),
    Scores(Vec<(Vec<u8>, f64)>),
    /// Something; what, depends on what was there before.
    Something,
    Nothing,
    /// Anything, or nothing.
    Untold,
}

/// What is asked of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    pub(super) key: Vec<u8>,
    pub(super) expected: Expected,
    /// It does not live for ever.
    pub(super) life: Option<Life>,
}

/// When a key expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// So many milliseconds after it was written.
    Span(u64),
    /// At a time, in milliseconds since 1970.
    Until(u64),
}

impl Life {
    /// `EX 10`, as far as it can be read.
    fn of(option: &[u8], time: &[u8]) -> Option<Life> {
        let time: u64 = std::str::from_utf8(time).ok()?.parse().ok()?;
        let seconds = time.saturating_mul(1000);
        match option.to_ascii_uppercase().as_slice() {
            b"EX" => Some(Life::Span(seconds)),
            b"PX" => Some(Life::Span(time)),
            b"EXAT" => Some(Life::Until(seconds)),
            b"PXAT" => Some(Life::Until(time)),
            _ => None,
        }
    }

    /// Whether it can be over for what was written at most `age` ago; without an age nobody knows when that was.
    pub(super) fn may_be_over(self, age: Option<Duration>) -> bool {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Clocks differ.
        let slack = Duration::from_secs(2);
        match self {
            Life::Span(ms) => age.is_none_or(|age| age + slack >= Duration::from_millis(ms)),
            Life::Until(ms) => now() + slack >= Duration::from_millis(ms),
        }
    }
}

/// Something is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The field or member, where it is about one.
    pub(super) part: Option<Vec<u8>>,
    pub(super) what: String,
}

impl Check {
    fn new(key: &[u8], expected: Expected) -> Check {
        Check { key: key.to_vec(), expected, life: None }
    }

    /// What a command leaves behind at each of its keys; with `keys_only`, whether they should be there at all.
    pub(super) fn of(words: &[&[u8]], keys_only: bool) -> Vec<Check> {
        let Some((name, args)) = words.split_first() else { return Vec::new() };
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        let mut checks = told(&name, args).unwrap_or_else(|| untold(words));
        if keys_only {
            for check in &mut checks {
                check.expected = match check.expected {
                    Expected::Nothing => Expected::Nothing,
                    // The last field may have been the last of its key.
                    Expected::Untold | Expected::FieldsGone(_) | Expected::MembersGone(_) => Expected::Untold,
                    _ => Expected::Something,
                };
            }
        }
        checks
    }

    /// What it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let pairs = |pairs: &[(Vec<u8>, Vec<u8>)]| pairs.iter().map(|(one, two)| one.len() + two.len()).sum();
        match &self.expected {
            Expected::Value(value) => value.len(),
            Expected::Fields(fields) => pairs(fields),
            Expected::FieldsGone(parts) | Expected::Members(parts) | Expected::MembersGone(parts) => {
                parts.iter().map(Vec::len).sum()
            }
            Expected::Scores(scores) => scores.iter().map(|(member, _)| member.len() + 8).sum(),
            Expected::Something | Expected::Nothing | Expected::Untold => 0,
        }
    }

    /// The command that asks.
    pub(super) fn question(&self) -> Option<Cmd> {
        let ask = |name: &str| cmd(name).arg(&self.key);
        Some(match &self.expected {
            Expected::Value(_) => ask("GET"),
            Expected::Fields(fields) => ask("HMGET").args(fields.iter().map(|(field, _)| field)),
            Expected::FieldsGone(fields) => ask("HMGET").args(fields),
            Expected::Members(members) | Expected::MembersGone(members) => ask("SMISMEMBER").args(members),
            Expected::Scores(scores) => ask("ZMSCORE").args(scores.iter().map(|(member, _)| member)),
            Expected::Something | Expected::Nothing => ask("EXISTS"),
            Expected::Untold => return None,
        })
    }

    /// Whether all that is said about the key before this is out of date.
    pub(super) fn is_whole(&self) -> bool {
        matches!(
            self.expected,
            Expected::Value(_) | Expected::Something | Expected::Nothing | Expected::Untold
        )
    }

    /// Whether it is about this field or member.
    pub(super) fn is_about(&self, part: &[u8]) -> bool {
        match &self.expected {
            Expected::Fields(fields) => fields.iter().any(|(field, _)| field == part),
            Expected::Scores(scores) => scores.iter().any(|(member, _)| member == part),
            Expected::FieldsGone(parts) | Expected::Members(parts) | Expected::MembersGone(parts) => {
                parts.iter().any(|own| own == part)
            }
            _ => true,
        }
    }

    /// Holds the answer against what was expected.
    pub(super) fn compare(&self, reply: ReplyRef<'_>) -> Vec<Difference> {
        let whole = |what: String| vec![Difference { part: None, what }];
        match &self.expected {
            Expected::Value(value) if reply.as_bytes() == Some(value) => Vec::new(),
            Expected::Value(value) => whole(unlike(Some(value), reply.as_bytes())),
            Expected::Something if reply.as_i64() == Some(1) => Vec::new(),
            Expected::Something => whole("the key is not there".to_owned()),
            Expected::Nothing if reply.as_i64() == Some(0) => Vec::new(),
            Expected::Nothing => whole("the key is there, and was deleted".to_owned()),
            Expected::Untold => Vec::new(),
            Expected::Fields(fields) => {
                let parts = fields.iter().map(|(field, value)| (field.as_slice(), Some(value.as_slice())));
                bytes_unlike(parts, reply)
            }
            Expected::FieldsGone(fields) => {
                bytes_unlike(fields.iter().map(|field| (field.as_slice(), None)), reply)
            }
            Expected::Members(members) => members_unlike(members, true, reply),
            Expected::MembersGone(members) => members_unlike(members, false, reply),
            Expected::Scores(scores) => {
                let answers = reply.elements().map(Some).chain(std::iter::repeat(None));
                let unlike = scores.iter().zip(answers).filter_map(|((member, score), answer)| {
                    let found = answer.filter(|answer| !answer.is_null()).and_then(|answer| answer.as_f64());
                    let what = format!("expected the score {score}, found {found:?}");
                    (found != Some(*score)).then(|| Difference { part: Some(member.clone()), what })
                });
                unlike.collect()
            }
        }
    }

    /// Whether nothing at all was found: what an expired key answers.
    pub(super) fn finds_nothing(&self, reply: ReplyRef<'_>) -> bool {
        match &self.expected {
            Expected::Value(_) => reply.is_null(),
            Expected::Something => reply.as_i64() == Some(0),
            _ => false,
        }
    }
}

fn unlike(expected: Option<&[u8]>, found: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map_or_else(|| "nothing".to_owned(), excerpt);
    format!("expected {}, found {}", text(expected), text(found))
}

fn bytes_unlike<'a>(
    parts: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    reply: ReplyRef<'_>,
) -> Vec<Difference> {
    let answers = reply.elements().map(Some).chain(std::iter::repeat(None));
    let unlike = parts.zip(answers).filter_map(|((part, expected), answer)| {
        let found = answer.and_then(|answer| answer.as_bytes());
        (found != expected).then(|| Difference { part: Some(part.to_vec()), what: unlike(expected, found) })
    });
    unlike.collect()
}

fn members_unlike(members: &[Vec<u8>], is_there: bool, reply: ReplyRef<'_>) -> Vec<Difference> {
    let answers = reply.elements().map(Some).chain(std::iter::repeat(None));
    let what = if is_there { "the member is not there" } else { "the member is there, and was removed" };
    let unlike = members.iter().zip(answers).filter_map(|(member, answer)| {
        let found = answer.and_then(|answer| answer.as_bool());
        (found != Some(is_there)).then(|| Difference { part: Some(member.clone()), what: what.to_owned() })
    });
    unlike.collect()
}

/// Commands of which it is known what they leave behind.
fn told(name: &str, args: &[&[u8]]) -> Option<Vec<Check>> {
    let key = args.first()?;
    let rest = &args[1..];
    let one = |expected: Expected| Some(vec![Check::new(key, expected)]);
    let owned = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>();
    match name {
        "SET" => set(key, rest),
        "SETEX" | "PSETEX" => {
            let value = rest.get(1)?.to_vec();
            let option: &[u8] = if name == "SETEX" { b"EX" } else { b"PX" };
            let life = Life::of(option, rest[0]);
            Some(vec![Check { life, ..Check::new(key, Expected::Value(value)) }])
        }
        "GETSET" => one(Expected::Value(rest.first()?.to_vec())),
        "MSET" => Some(
            last_of_each(args)?
                .into_iter()
                .map(|(key, value)| Check::new(&key, Expected::Value(value)))
                .collect(),
        ),
        "HSET" | "HMSET" => one(Expected::Fields(last_of_each(rest)?)),
        "HDEL" => one(Expected::FieldsGone(owned(rest))),
        "SADD" => one(Expected::Members(owned(rest))),
        "SREM" => one(Expected::MembersGone(owned(rest))),
        "ZADD" => one(zadd(rest)?),
        "DEL" | "UNLINK" => Some(args.iter().map(|key| Check::new(key, Expected::Nothing)).collect()),
        "RPUSH" | "LPUSH" | "APPEND" | "INCR" | "INCRBY" | "INCRBYFLOAT" | "DECR" | "DECRBY" | "SETRANGE"
        | "SETBIT" | "SETNX" | "HSETNX" | "HINCRBY" | "HINCRBYFLOAT" | "ZINCRBY" | "PFADD" | "GEOADD"
        | "XADD" | "RESTORE" | "JSON.SET" => one(Expected::Something),
        _ => None,
    }
}

fn set(key: &[u8], rest: &[&[u8]]) -> Option<Vec<Check>> {
    let (value, options) = rest.split_first()?;
    let has = |names: &[&str]| {
        options.iter().any(|option| names.iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes())))
    };
    let is_conditional = has(&["NX", "XX", "IFEQ", "IFNE", "IFDEQ", "IFDNE"]);
    let expected = if is_conditional { Expected::Untold } else { Expected::Value(value.to_vec()) };
    let life = options.windows(2).find_map(|pair| Life::of(pair[0], pair[1]));
    Some(vec![Check { life, ..Check::new(key, expected) }])
}

fn zadd(rest: &[&[u8]]) -> Option<Expected> {
    let is_option = |word: &&[u8]| {
        ["NX", "XX", "GT", "LT", "CH", "INCR"].iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let options = rest.iter().take_while(|word| is_option(word)).count();
    if rest[..options].iter().any(|option| !option.eq_ignore_ascii_case(b"CH")) {
        return Some(Expected::Untold);
    }
    let mut scores: Vec<(Vec<u8>, f64)> = Vec::new();
    for pair in rest[options..].chunks(2) {
        let [score, member] = pair else { return None };
        let score = std::str::from_utf8(score).ok()?.parse().ok()?;
        scores.retain(|(known, _)| known != member);
        scores.push((member.to_vec(), score));
    }
    Some(Expected::Scores(scores))
}

/// Pairs, the last one of those with the same first half.
fn last_of_each(words: &[&[u8]]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        pairs.retain(|(known, _)| known != name);
        pairs.push((name.to_vec(), value.to_vec()));
    }
    Some(pairs)
}

/// Other commands may have done anything to their keys.
fn untold(words: &[&[u8]]) -> Vec<Check> {
    let keys = routes::command_of(words).and_then(|command| keys_of(&command).ok()).unwrap_or_default();
    keys.iter().map(|key| Check::new(key, Expected::Untold)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(line: &str) -> Vec<Check> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Check::of(&words, false)
    }

    fn expected(line: &str) -> Expected {
        let mut checks = checks(line);
        assert_eq!(checks.len(), 1, "{line}");
        checks.remove(0).expected
    }

    #[test]
    fn commands_leave_behind_what_they_say() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        assert_eq!(expected("SET a 1"), Expected::Value(bytes("1")));
        assert_eq!(expected("set a 1 NX"), Expected::Untold);
        assert_eq!(checks("SET a 1 EX 5")[0].life, Some(Life::Span(5000)));
        assert_eq!(checks("SET a 1 GET pxat 5")[0].life, Some(Life::Until(5)));
        assert_eq!(checks("PSETEX a 7 x")[0].life, Some(Life::Span(7)));
        assert_eq!(expected("HSET h f 1 f 2"), Expected::Fields(vec![(bytes("f"), bytes("2"))]));
        assert_eq!(expected("ZADD z CH 1.5 m"), Expected::Scores(vec![(bytes("m"), 1.5)]));
        assert_eq!(expected("ZADD z GT 1.5 m"), Expected::Untold);
        assert_eq!(expected("RPUSH l x"), Expected::Something);
        assert_eq!(expected("EXPIRE a 5"), Expected::Untold);
        assert_eq!(checks("MSET a 1 b 2 a 3").len(), 2);
        assert_eq!(checks("DEL a b").iter().filter(|check| check.expected == Expected::Nothing).count(), 2);
        assert_eq!(checks("RENAME {a}1 {a}2").len(), 2, "both keys are out of date");
        assert_eq!(checks("PING"), []);
    }

    #[test]
    fn what_cannot_have_expired_has_not() {
        let minute = Some(Duration::from_secs(60));
        assert!(Life::Span(61_000).may_be_over(minute) && !Life::Span(70_000).may_be_over(minute));
        assert!(Life::Span(u64::MAX).may_be_over(None), "nobody knows when it was written");
        assert!(Life::Until(1).may_be_over(minute) && !Life::Until(u64::MAX).may_be_over(None));
    }

    #[test]
    fn answers_are_held_against_it() {
        let check = &checks("HSET h f 1 g 2")[0];
        let reply = ReplyRef::new(b"*2\r\n$1\r\n1\r\n$-1\r\n");
        let differences = check.compare(reply);
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].part.as_deref(), Some(b"g".as_slice()));
        assert_eq!(differences[0].what, "expected \"2\", found nothing");
        let check = &checks("ZADD z 1 m 2 n")[0];
        assert_eq!(check.compare(ReplyRef::new(b"*2\r\n,1\r\n$1\r\n2\r\n")), []);
        let check = &checks("SADD s m")[0];
        assert_eq!(check.compare(ReplyRef::new(b"*1\r\n:1\r\n")), []);
        assert_eq!(check.compare(ReplyRef::new(b"*1\r\n:0\r\n")).len(), 1);
        assert_eq!(checks("SET a 1")[0].compare(ReplyRef::new(b"$1\r\n1\r\n")), []);
    }
}
