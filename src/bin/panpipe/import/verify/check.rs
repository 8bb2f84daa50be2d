//! What should be at a key, how to ask for it, and whether the answer says so.
//!
//! Refuses to know other commands of the same key: the last one counts, and who that is the caller finds out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use panpipe::command::{Cmd, cmd};
use panpipe::resp::reply::ReplyRef;

use super::told::{told, untold};
use crate::output::excerpt;

/// A time to live may be longer than it was said by so much, since asking takes time too.
const SLACK_MS: u64 = 1000;

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
    /// It does not live for ever; what it is, is not said.
    Mortal(Life),
    /// What it is, is not said, and how long it lives cannot be told.
    LifeUntold,
    /// Anything, or nothing.
    Untold,
}

/// What of a key a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Whole,
    Parts,
    /// How long it lives.
    Life,
}

/// What a difference is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    /// A field or a member.
    Part(Vec<u8>),
    Life,
}

/// What is asked of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    pub(super) key: Vec<u8>,
    pub(super) expected: Expected,
    /// It is written with an end to its life.
    pub(super) life: Option<Life>,
    /// The life that it had goes on.
    pub(super) keeps_life: bool,
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
    pub(super) fn of(option: &[u8], time: &[u8]) -> Option<Life> {
        // A time that is over ends the life at once.
        let time = std::str::from_utf8(time).ok()?.parse::<i64>().ok()?.max(0).unsigned_abs();
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
    pub(super) place: Place,
    pub(super) what: String,
    /// What should be there is not: its life may have ended.
    pub(super) is_absence: bool,
}

impl Difference {
    fn whole(what: impl Into<String>, is_absence: bool) -> Vec<Difference> {
        vec![Difference { place: Place::Whole, what: what.into(), is_absence }]
    }

    fn part(part: &[u8], what: String, is_absence: bool) -> Difference {
        Difference { place: Place::Part(part.to_vec()), what, is_absence }
    }
}

impl Check {
    pub(super) fn new(key: &[u8], expected: Expected) -> Check {
        Check { key: key.to_vec(), expected, life: None, keeps_life: false }
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
                    Expected::Mortal(_) | Expected::LifeUntold => Expected::LifeUntold,
                    _ => Expected::Something,
                };
            }
        }
        checks
    }

    /// Of a command that may have run or not.
    pub(super) fn untold(&self) -> Check {
        Check::new(&self.key, Expected::Untold)
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
            _ => 0,
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
            Expected::Mortal(_) => ask("PTTL"),
            Expected::Untold | Expected::LifeUntold => return None,
        })
    }

    /// What of the key is written.
    pub(super) fn reach(&self) -> Reach {
        match self.expected {
            Expected::Value(_) | Expected::Something | Expected::Nothing | Expected::Untold => Reach::Whole,
            Expected::Mortal(_) | Expected::LifeUntold => Reach::Life,
            _ => Reach::Parts,
        }
    }

    /// Whether what was said before about a place of this key is out of date.
    pub(super) fn supersedes(&self, place: &Place) -> bool {
        match (place, self.reach()) {
            (Place::Whole, reach) => reach != Reach::Life,
            (Place::Part(part), Reach::Parts) => self.is_about(part),
            (Place::Part(_), reach) => reach == Reach::Whole,
            (Place::Life, reach) => reach != Reach::Parts,
        }
    }

    /// Whether it is about this field or member.
    fn is_about(&self, part: &[u8]) -> bool {
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
        match &self.expected {
            Expected::Value(value) if reply.as_bytes() == Some(value) => Vec::new(),
            Expected::Value(value) => {
                Difference::whole(unlike(Some(value), reply.as_bytes()), reply.as_bytes().is_none())
            }
            Expected::Something if reply.as_i64() == Some(1) => Vec::new(),
            Expected::Something => Difference::whole("the key is not there", true),
            Expected::Nothing if reply.as_i64() == Some(0) => Vec::new(),
            Expected::Nothing => Difference::whole("the key is there, and was deleted", false),
            Expected::Untold | Expected::LifeUntold => Vec::new(),
            Expected::Mortal(life) => life_unlike(*life, reply),
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
                    let what = match found {
                        Some(found) => format!("expected the score {score}, found {found}"),
                        None => format!("expected the score {score}, found nothing"),
                    };
                    (found != Some(*score)).then(|| Difference::part(member, what, found.is_none()))
                });
                unlike.collect()
            }
        }
    }

    /// Whether the answer is that there is no such key.
    pub(super) fn finds_no_key(&self, reply: ReplyRef<'_>) -> bool {
        match &self.expected {
            Expected::Value(_) => reply.is_null(),
            Expected::Something => reply.as_i64() == Some(0),
            Expected::Mortal(_) => reply.as_i64() == Some(NO_KEY),
            _ => false,
        }
    }
}

/// What PTTL answers of a key that is not there, and of one that lives for ever.
const NO_KEY: i64 = -2;
const NO_END: i64 = -1;

/// A key that is not there is not the concern of what says how long it lives.
fn life_unlike(life: Life, reply: ReplyRef<'_>) -> Vec<Difference> {
    let differs = |what: String| vec![Difference { place: Place::Life, what, is_absence: false }];
    match (reply.as_i64().unwrap_or(NO_KEY), life) {
        (NO_END, _) => differs("the key should expire, and never does".to_owned()),
        // How clocks differ nobody knows: of a time of day, no more can be said.
        (ms, Life::Span(max)) if ms.unsigned_abs() > max.saturating_add(SLACK_MS) && ms > 0 => {
            differs(format!("the key should expire in {max} ms at most, and does in {ms} ms"))
        }
        _ => Vec::new(),
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
        let is_absence = found.is_none() && expected.is_some();
        (found != expected).then(|| Difference::part(part, unlike(expected, found), is_absence))
    });
    unlike.collect()
}

fn members_unlike(members: &[Vec<u8>], is_there: bool, reply: ReplyRef<'_>) -> Vec<Difference> {
    let answers = reply.elements().map(Some).chain(std::iter::repeat(None));
    let what = if is_there { "the member is not there" } else { "the member is there, and was removed" };
    let unlike = members.iter().zip(answers).filter_map(|(member, answer)| {
        let found = answer.and_then(|answer| answer.as_bool());
        (found != Some(is_there)).then(|| Difference::part(member, what.to_owned(), is_there))
    });
    unlike.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(line: &str) -> Vec<Check> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Check::of(&words, false)
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
        assert_eq!(differences[0].place, Place::Part(b"g".to_vec()));
        assert_eq!(differences[0].what, "expected \"2\", found nothing");
        let check = &checks("ZADD z 1 m 2 n")[0];
        assert_eq!(check.compare(ReplyRef::new(b"*2\r\n,1\r\n$1\r\n2\r\n")), []);
        let check = &checks("SADD s m")[0];
        assert_eq!(check.compare(ReplyRef::new(b"*1\r\n:1\r\n")), []);
        assert_eq!(check.compare(ReplyRef::new(b"*1\r\n:0\r\n")).len(), 1);
        assert_eq!(checks("SET a 1")[0].compare(ReplyRef::new(b"$1\r\n1\r\n")), []);
        let expire = &checks("EXPIRE a 10")[0];
        for (reply, differences) in [(":9000", 0), (":-1", 1), (":-2", 0), (":10500", 0), (":12000", 1)] {
            let reply = format!("{reply}\r\n");
            assert_eq!(expire.compare(ReplyRef::new(reply.as_bytes())).len(), differences, "{reply}");
        }
    }

    #[test]
    fn the_last_command_that_writes_a_place_counts() {
        let (value, part, life) = (Place::Whole, Place::Part(b"f".to_vec()), Place::Life);
        for (line, supersedes) in [
            ("SET k 1", [true, true, true]),
            ("HSET k f 1", [true, true, false]),
            ("HSET k g 1", [true, false, false]),
            ("EXPIRE k 1", [false, false, true]),
            ("PERSIST k", [false, false, true]),
            ("RENAME {k} k", [true, true, true]),
        ] {
            let check = checks(line).pop().expect("a check");
            assert_eq!([&value, &part, &life].map(|place| check.supersedes(place)), supersedes, "{line}");
        }
    }
}
