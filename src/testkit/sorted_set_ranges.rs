//! Ranges of sorted sets: ZRANGE by index and by score, ZRANGEBYSCORE, ZCOUNT. Ranges by name are not part of the
//! model.
//!
//! <https://redis.io/docs/latest/commands/zrange/>

use super::keyspace::Keyspace;
use super::lists::clamp_range;
use super::number::{double, parse_integer};
use super::reply::{CommandError, Done, Reply, Resp, SYNTAX};
use super::sorted_set::SortedSet;
use super::table::{Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("zrange", -4, READ, ONE_KEY, zrange),
    Command::keys("zrangebyscore", -4, READ, ONE_KEY, zrangebyscore),
    Command::keys("zcount", 4, READ, ONE_KEY, zcount),
];

#[derive(Debug, Default)]
struct RangeOptions {
    by_score: bool,
    reversed: bool,
    with_scores: bool,
    /// How many to skip, and how many to take at most: negative takes all.
    limit: Option<(i64, i64)>,
}

impl RangeOptions {
    /// ZRANGE takes them all; ZRANGEBYSCORE is by score already.
    fn parse(mut words: &[&[u8]], for_zrange: bool) -> Result<Self, CommandError> {
        let mut options = RangeOptions { by_score: !for_zrange, ..RangeOptions::default() };
        while let [word, rest @ ..] = words {
            words = rest;
            match (word.to_ascii_uppercase().as_slice(), rest) {
                (b"WITHSCORES", _) => options.with_scores = true,
                (b"REV", _) if for_zrange && !options.reversed => options.reversed = true,
                (b"BYSCORE", _) if for_zrange && !options.by_score => options.by_score = true,
                (b"LIMIT", [offset, count, rest @ ..]) => {
                    options.limit = Some((parse_integer(offset)?, parse_integer(count)?));
                    words = rest;
                }
                _ => return Err(SYNTAX),
            }
        }
        if options.limit.is_some_and(|limit| limit.1 != -1) && !options.by_score {
            return Err(CommandError::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        Ok(options)
    }
}

/// One end of a range of scores.
#[derive(Debug, Clone, Copy)]
struct Bound {
    score: f64,
    is_excluded: bool,
}

impl Bound {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let (text, is_excluded) = text.strip_prefix(b"(").map_or((text, false), |rest| (rest, true));
        // C's `strtod` skips blanks in front and takes nothing at all for zero.
        let text = text.trim_ascii_start();
        let score = if text.is_empty() { Some(0.0) } else { double(text) };
        let score = score.ok_or(CommandError::new("ERR min or max is not a float"))?;
        Ok(Bound { score, is_excluded })
    }

    fn is_at_most(&self, score: f64) -> bool {
        if self.is_excluded { self.score < score } else { self.score <= score }
    }

    fn is_at_least(&self, score: f64) -> bool {
        if self.is_excluded { self.score > score } else { self.score >= score }
    }
}

fn zrange(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    range(keys, args, &RangeOptions::parse(&args[4..], true)?, reply)
}

fn zrangebyscore(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    range(keys, args, &RangeOptions::parse(&args[4..], false)?, reply)
}

fn range(keys: &mut Keyspace, args: &[&[u8]], options: &RangeOptions, reply: &mut Reply<'_>) -> Done {
    let empty = SortedSet::default();
    let (start, stop) = (args[2], args[3]);
    let found: Vec<(&[u8], f64)> = if options.by_score {
        let (low, high) = if options.reversed { (stop, start) } else { (start, stop) };
        let (low, high) = (Bound::parse(low)?, Bound::parse(high)?);
        let set = keys.sorted_set(args[1])?.map_or(&empty, |set| &*set);
        let fits = |entry: &(&[u8], f64)| low.is_at_most(entry.1) && high.is_at_least(entry.1);
        let mut found: Vec<_> = set.iter().filter(fits).collect();
        if options.reversed {
            found.reverse();
        }
        let (skip, take) = options.limit.unwrap_or((0, -1));
        // A negative offset skips for ever.
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let take = usize::try_from(take).unwrap_or(usize::MAX);
        found.into_iter().skip(skip).take(take).collect()
    } else {
        let (start, stop) = (parse_integer(start)?, parse_integer(stop)?);
        let set = keys.sorted_set(args[1])?.map_or(&empty, |set| &*set);
        let range = clamp_range(start, stop, set.len());
        if options.reversed {
            set.iter().rev().skip(range.start).take(range.len()).collect()
        } else {
            set.iter().skip(range.start).take(range.len()).collect()
        }
    };
    write_range(&found, options.with_scores, reply);
    Ok(())
}

/// With scores: pairs in RESP3, a flat list in RESP2.
fn write_range(found: &[(&[u8], f64)], with_scores: bool, reply: &mut Reply<'_>) {
    let nested = with_scores && reply.resp() == Resp::Three;
    reply.array(if with_scores && !nested { found.len() * 2 } else { found.len() });
    for (member, score) in found {
        if nested {
            reply.array(2);
        }
        reply.bulk(member);
        if with_scores {
            reply.double(*score);
        }
    }
}

fn zcount(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (low, high) = (Bound::parse(args[2])?, Bound::parse(args[3])?);
    let fits = |entry: &(&[u8], f64)| low.is_at_most(entry.1) && high.is_at_least(entry.1);
    let count = keys.sorted_set(args[1])?.map_or(0, |set| set.iter().filter(fits).count());
    reply.count(count);
    Ok(())
}
