//! Sorted sets: what ZADD writes. Ranges are in `sorted_set_ranges.rs`.
//!
//! <https://redis.io/docs/latest/commands/?group=sorted-set>

use super::keyspace::Keyspace;
use super::number::parse_double;
use super::reply::{CommandError, Done, Reply, SYNTAX};
use super::table::{Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;
const GROW: Flags = Flags::GROW;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("zadd", -4, GROW, ONE_KEY, zadd),
    Command::keys("zincrby", 4, GROW, ONE_KEY, zincrby),
    Command::keys("zrem", -3, Flags::WRITE, ONE_KEY, zrem),
    Command::keys("zscore", 3, READ, ONE_KEY, zscore),
    Command::keys("zmscore", -3, READ, ONE_KEY, zmscore),
    Command::keys("zcard", 2, READ, ONE_KEY, zcard),
    Command::keys("zrank", 3, READ, ONE_KEY, |keys, args, reply| rank(keys, args, reply, false)),
    Command::keys("zrevrank", 3, READ, ONE_KEY, |keys, args, reply| rank(keys, args, reply, true)),
];

const NOT_A_NUMBER: CommandError = CommandError::new("ERR resulting score is not a number (NaN)");

/// The options of ZADD.
#[derive(Debug, Default, Clone, Copy)]
struct AddOptions {
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
    counts_changes: bool,
    increments: bool,
}

impl AddOptions {
    /// The options, and the words behind them.
    fn parse<'a>(mut words: &'a [&'a [u8]]) -> (Self, &'a [&'a [u8]]) {
        let mut options = AddOptions::default();
        while let [word, rest @ ..] = words {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => options.only_new = true,
                b"XX" => options.only_existing = true,
                b"GT" => options.only_greater = true,
                b"LT" => options.only_less = true,
                b"CH" => options.counts_changes = true,
                b"INCR" => options.increments = true,
                _ => break,
            }
            words = rest;
        }
        (options, words)
    }

    fn check(&self, words: usize) -> Done {
        if words == 0 || !words.is_multiple_of(2) {
            return Err(SYNTAX);
        }
        if self.only_new && self.only_existing {
            return Err(CommandError::new("ERR XX and NX options at the same time are not compatible"));
        }
        let (greater, less) = (self.only_greater, self.only_less);
        if (greater || less) && self.only_new || greater && less {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(CommandError::new(text));
        }
        if self.increments && words > 2 {
            return Err(CommandError::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score a member gets; none when it stays as it is.
    fn score(&self, current: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(current) = current else { return Ok((!self.only_existing).then_some(score)) };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increments { current + score } else { score };
        if score.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let refused = self.only_less && score >= current || self.only_greater && score <= current;
        Ok((!refused).then_some(score))
    }
}

fn zadd(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (options, pairs) = AddOptions::parse(&args[2..]);
    options.check(pairs.len())?;
    add(keys, args[1], options, pairs, reply)
}

fn zincrby(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let options = AddOptions { increments: true, ..AddOptions::default() };
    add(keys, args[1], options, &args[2..], reply)
}

fn add(keys: &mut Keyspace, key: &[u8], options: AddOptions, pairs: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let scores: Vec<f64> =
        pairs.iter().step_by(2).map(|text| parse_double(text)).collect::<Result<_, _>>()?;
    let members = pairs.iter().skip(1).step_by(2);
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (member, score) in members.zip(scores) {
        let current = keys.sorted_set(key)?.and_then(|set| set.score(member));
        last = options.score(current, score)?;
        let Some(score) = last else { continue };
        if current != Some(score) {
            keys.sorted_set_or_new(key)?.insert(member, score);
            keys.changed(key);
        }
        added += usize::from(current.is_none());
        updated += usize::from(current.is_some_and(|current| current != score));
    }
    match (options.increments, last) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) if options.counts_changes => reply.count(added + updated),
        (false, _) => reply.count(added),
    }
    Ok(())
}

fn zrem(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.sorted_set(args[1])?;
    let removed = set.map_or(0, |set| args[2..].iter().filter(|member| set.remove(member)).count());
    reply.count(removed);
    if removed > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}

fn zscore(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    match keys.sorted_set(args[1])?.and_then(|set| set.score(args[2])) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

fn zmscore(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.sorted_set(args[1])?;
    reply.array(args.len() - 2);
    for member in &args[2..] {
        match set.as_ref().and_then(|set| set.score(member)) {
            Some(score) => reply.double(score),
            None => reply.null(),
        }
    }
    Ok(())
}

fn zcard(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.sorted_set(args[1])?.map_or(0, |set| set.len());
    reply.count(length);
    Ok(())
}

fn rank(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, from_end: bool) -> Done {
    let set = keys.sorted_set(args[1])?;
    match set.and_then(|set| Some((set.rank(args[2])?, set.len()))) {
        Some((rank, length)) if from_end => reply.count(length - 1 - rank),
        Some((rank, _)) => reply.count(rank),
        None => reply.null(),
    }
    Ok(())
}
