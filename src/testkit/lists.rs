//! Lists: LPUSH, LRANGE and their kin.
//!
//! <https://redis.io/docs/latest/commands/?group=list>

use std::ops::Range;

use super::keyspace::Keyspace;
use super::number::parse_integer;
use super::reply::{CommandError, Done, NO_SUCH_KEY, NOT_POSITIVE, OUT_OF_RANGE, Reply};
use super::table::{Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE;
const GROW: Flags = Flags::GROW;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("lpush", -3, GROW, ONE_KEY, |keys, args, reply| push(keys, args, reply, End::Left)),
    Command::keys("rpush", -3, GROW, ONE_KEY, |keys, args, reply| push(keys, args, reply, End::Right)),
    Command::keys("lpushx", -3, GROW, ONE_KEY, |keys, args, reply| pushx(keys, args, reply, End::Left)),
    Command::keys("rpushx", -3, GROW, ONE_KEY, |keys, args, reply| pushx(keys, args, reply, End::Right)),
    Command::keys("lpop", -2, WRITE, ONE_KEY, |keys, args, reply| pop(keys, args, reply, End::Left)),
    Command::keys("rpop", -2, WRITE, ONE_KEY, |keys, args, reply| pop(keys, args, reply, End::Right)),
    Command::keys("llen", 2, READ, ONE_KEY, llen),
    Command::keys("lrange", 4, READ, ONE_KEY, lrange),
    Command::keys("lindex", 3, READ, ONE_KEY, lindex),
    Command::keys("lset", 4, GROW, ONE_KEY, lset),
    Command::keys("lrem", 4, WRITE, ONE_KEY, lrem),
    Command::keys("ltrim", 4, WRITE, ONE_KEY, ltrim),
];

#[derive(Clone, Copy)]
enum End {
    Left,
    Right,
}

fn push(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, end: End) -> Done {
    let list = keys.list_or_new(args[1])?;
    for element in &args[2..] {
        match end {
            End::Left => list.push_front(element.to_vec()),
            End::Right => list.push_back(element.to_vec()),
        }
    }
    reply.count(list.len());
    keys.changed(args[1]);
    Ok(())
}

fn pushx(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, end: End) -> Done {
    if keys.list(args[1])?.is_some() {
        return push(keys, args, reply, end);
    }
    reply.integer(0);
    Ok(())
}

fn pop(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, end: End) -> Done {
    if args.len() > 3 {
        let name = String::from_utf8_lossy(args[0]).to_lowercase();
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let count = args.get(2).map(|text| parse_count(text)).transpose()?;
    let Some(list) = keys.list(args[1])? else {
        match count {
            Some(_) => reply.null_array(),
            None => reply.null(),
        }
        return Ok(());
    };
    let wanted = count.unwrap_or(1).min(list.len());
    if count.is_some() {
        reply.array(wanted);
    }
    for _ in 0..wanted {
        let element = match end {
            End::Left => list.pop_front(),
            End::Right => list.pop_back(),
        };
        reply.bulk_or_null(element.as_deref());
    }
    if wanted > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}

/// A count that may be zero: everything else draws the same error.
pub(crate) fn parse_count(text: &[u8]) -> Result<usize, CommandError> {
    parse_integer(text).ok().and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)
}

fn llen(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.list(args[1])?.map_or(0, |list| list.len());
    reply.count(length);
    Ok(())
}

/// The positions from `start` to `stop` inclusive, negative ones counted from the end.
pub(crate) fn clamp_range(start: i64, stop: i64, length: usize) -> Range<usize> {
    let length = length as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, end) = (from_end(start).max(0), from_end(stop).min(length - 1) + 1);
    if start < end { start as usize..end as usize } else { 0..0 }
}

fn lrange(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (start, stop) = (parse_integer(args[2])?, parse_integer(args[3])?);
    let Some(list) = keys.list(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = clamp_range(start, stop, list.len());
    reply.array(range.len());
    list.range(range).for_each(|element| reply.bulk(element));
    Ok(())
}

/// A position of an element, where there is one.
fn position(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn lindex(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let Some(list) = keys.list(args[1])? else {
        reply.null();
        return Ok(());
    };
    let at = position(parse_integer(args[2])?, list.len());
    reply.bulk_or_null(at.and_then(|at| list.get(at)).map(Vec::as_slice));
    Ok(())
}

fn lset(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let list = keys.list(args[1])?.ok_or(NO_SUCH_KEY)?;
    let at = position(parse_integer(args[2])?, list.len()).ok_or(OUT_OF_RANGE)?;
    list[at] = args[3].to_vec();
    keys.changed(args[1]);
    reply.ok();
    Ok(())
}

fn lrem(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let count = parse_integer(args[2])?;
    let Some(list) = keys.list(args[1])? else {
        reply.integer(0);
        return Ok(());
    };
    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let mut removed = 0;
    let mut stays = |element: &Vec<u8>| {
        let goes = removed < limit && element == args[3];
        removed += usize::from(goes);
        !goes
    };
    if count < 0 {
        let mut kept: Vec<Vec<u8>> = list.drain(..).rev().filter(&mut stays).collect();
        kept.reverse();
        list.extend(kept);
    } else {
        list.retain(stays);
    }
    reply.count(removed);
    if removed > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}

fn ltrim(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (start, stop) = (parse_integer(args[2])?, parse_integer(args[3])?);
    if let Some(list) = keys.list(args[1])? {
        let range = clamp_range(start, stop, list.len());
        list.truncate(range.end);
        list.drain(..range.start);
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    reply.ok();
    Ok(())
}
