//! What commands leave behind at their keys, as far as that can be told from each command alone.

use panpipe::command::keys_of;

use super::check::{Check, Expected, Life};
use crate::import::routes;

/// Commands of which it is known what they leave behind.
pub(super) fn told(name: &str, args: &[&[u8]]) -> Option<Vec<Check>> {
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
        "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" => Some(vec![expire(name, key, rest)?]),
        "PERSIST" => one(Expected::LifeUntold),
        "DEL" | "UNLINK" => Some(args.iter().map(|key| Check::new(key, Expected::Nothing)).collect()),
        // With these they may do nothing.
        "GEOADD" | "JSON.SET" if has(rest, &["XX"]) => one(Expected::Untold),
        "XADD" if has(rest, &["NOMKSTREAM"]) => one(Expected::Untold),
        "SETRANGE" if rest.get(1).is_none_or(|value| value.is_empty()) => one(Expected::Untold),
        "RPUSH" | "LPUSH" | "APPEND" | "INCR" | "INCRBY" | "INCRBYFLOAT" | "DECR" | "DECRBY" | "SETRANGE"
        | "SETBIT" | "SETNX" | "HSETNX" | "HINCRBY" | "HINCRBYFLOAT" | "ZINCRBY" | "PFADD" | "GEOADD"
        | "XADD" | "RESTORE" | "JSON.SET" => one(Expected::Something),
        _ => None,
    }
}

fn has(words: &[&[u8]], names: &[&str]) -> bool {
    words.iter().any(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
}

fn set(key: &[u8], rest: &[&[u8]]) -> Option<Vec<Check>> {
    let (value, options) = rest.split_first()?;
    let is_conditional = has(options, &["NX", "XX", "IFEQ", "IFNE", "IFDEQ", "IFDNE"]);
    let expected = if is_conditional { Expected::Untold } else { Expected::Value(value.to_vec()) };
    let life = options.windows(2).find_map(|pair| Life::of(pair[0], pair[1]));
    Some(vec![Check { life, keeps_life: has(options, &["KEEPTTL"]), ..Check::new(key, expected) }])
}

/// With a condition, it may have done nothing.
fn expire(name: &str, key: &[u8], rest: &[&[u8]]) -> Option<Check> {
    let unit: &[u8] = match name {
        "EXPIRE" => b"EX",
        "PEXPIRE" => b"PX",
        "EXPIREAT" => b"EXAT",
        _ => b"PXAT",
    };
    let life = Life::of(unit, rest.first()?)?;
    let expected = if rest.len() == 1 { Expected::Mortal(life) } else { Expected::LifeUntold };
    Some(Check { life: Some(life), keeps_life: true, ..Check::new(key, expected) })
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
pub(super) fn untold(words: &[&[u8]]) -> Vec<Check> {
    let keys = routes::command_of(words).and_then(|command| keys_of(&command).ok()).unwrap_or_default();
    keys.iter().map(|key| Check::new(key, Expected::Untold)).collect()
}

/// Whether nothing that was said about any key before counts any more; a script that names no key can have written any.
pub(super) fn is_about_all_keys(name: &str, has_keys: bool) -> bool {
    ["FLUSHALL", "FLUSHDB", "SWAPDB"].contains(&name)
        || !has_keys && ["EVAL", "EVALSHA", "FCALL"].contains(&name)
}

/// Whether a command can give its keys a life that ends, in a way that is not read here.
pub(super) fn may_give_life(name: &str) -> bool {
    let known = ["GETEX", "RESTORE", "RENAME", "RENAMENX", "COPY", "EVAL", "EVALSHA", "FCALL", "MSETEX"];
    let of_fields = ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"];
    known.contains(&name) || of_fields.contains(&name) || name.contains('.')
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
        assert_eq!(expected("XADD s nomkstream * a 1"), Expected::Untold);
        assert_eq!(expected("GEOADD g XX 1 1 m"), Expected::Untold);
        assert_eq!(expected("EXPIRE a 5"), Expected::Mortal(Life::Span(5000)));
        assert_eq!(expected("PEXPIREAT a -5"), Expected::Mortal(Life::Until(0)));
        assert_eq!(expected("EXPIRE a 5 GT"), Expected::LifeUntold);
        assert_eq!(expected("EXPIRE a many"), Expected::Untold);
        assert!(checks("SET a 1 KEEPTTL")[0].keeps_life && !checks("SET a 1")[0].keeps_life);
        assert_eq!(checks("MSET a 1 b 2 a 3").len(), 2);
        assert_eq!(checks("DEL a b").iter().filter(|check| check.expected == Expected::Nothing).count(), 2);
        assert_eq!(checks("RENAME {a}1 {a}2").len(), 2, "both keys are out of date");
        assert_eq!(checks("PING"), []);
    }
}
