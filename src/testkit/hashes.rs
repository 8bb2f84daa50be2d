//! Hashes: HSET, HGETALL and their kin.
//!
//! Fields come in the order of their names; a real server keeps another order and promises none.
//! <https://redis.io/docs/latest/commands/?group=hash>

use super::counters::OVERFLOW;
use super::extended::{self, Extended};
use super::keyspace::Keyspace;
use super::number::parse_integer;
use super::reply::{CommandError, Done, NOT_A_FLOAT, Reply};
use super::request::integer;
use super::table::{Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE;
const GROW: Flags = Flags::GROW;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("hset", -4, GROW, ONE_KEY, hset),
    Command::keys("hmset", -4, GROW, ONE_KEY, hmset),
    Command::keys("hsetnx", 4, GROW, ONE_KEY, hsetnx),
    Command::keys("hget", 3, READ, ONE_KEY, hget),
    Command::keys("hmget", -3, READ, ONE_KEY, hmget),
    Command::keys("hgetall", 2, READ, ONE_KEY, hgetall),
    Command::keys("hkeys", 2, READ, ONE_KEY, hkeys),
    Command::keys("hvals", 2, READ, ONE_KEY, hvals),
    Command::keys("hdel", -3, WRITE, ONE_KEY, hdel),
    Command::keys("hexists", 3, READ, ONE_KEY, hexists),
    Command::keys("hlen", 2, READ, ONE_KEY, hlen),
    Command::keys("hstrlen", 3, READ, ONE_KEY, hstrlen),
    Command::keys("hincrby", 4, GROW, ONE_KEY, hincrby),
    Command::keys("hincrbyfloat", 4, GROW, ONE_KEY, hincrbyfloat),
];

/// Stores fields and says how many are new.
fn set_fields(keys: &mut Keyspace, args: &[&[u8]], name: &str) -> Result<usize, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let hash = keys.hash_or_new(args[1])?;
    let before = hash.len();
    hash.extend(args[2..].chunks(2).map(|pair| (pair[0].to_vec(), pair[1].to_vec())));
    let added = hash.len() - before;
    keys.changed(args[1]);
    Ok(added)
}

fn hset(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.count(set_fields(keys, args, "hset")?);
    Ok(())
}

fn hmset(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    set_fields(keys, args, "hmset")?;
    reply.ok();
    Ok(())
}

fn hsetnx(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let is_new = keys.hash(args[1])?.is_none_or(|hash| !hash.contains_key(args[2]));
    if is_new {
        set_fields(keys, args, "hsetnx")?;
    }
    reply.flag(is_new);
    Ok(())
}

fn hget(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let value = keys.hash(args[1])?.and_then(|hash| hash.get(args[2]));
    reply.bulk_or_null(value.map(Vec::as_slice));
    Ok(())
}

fn hmget(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let hash = keys.hash(args[1])?;
    reply.array(args.len() - 2);
    for field in &args[2..] {
        let value = hash.as_ref().and_then(|hash| hash.get(*field));
        reply.bulk_or_null(value.map(Vec::as_slice));
    }
    Ok(())
}

fn hgetall(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let hash = keys.hash(args[1])?;
    reply.map(hash.as_ref().map_or(0, |hash| hash.len()));
    for (field, value) in hash.into_iter().flatten() {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

fn hkeys(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let hash = keys.hash(args[1])?;
    reply.array(hash.as_ref().map_or(0, |hash| hash.len()));
    hash.into_iter().flatten().for_each(|(field, _)| reply.bulk(field));
    Ok(())
}

fn hvals(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let hash = keys.hash(args[1])?;
    reply.array(hash.as_ref().map_or(0, |hash| hash.len()));
    hash.into_iter().flatten().for_each(|(_, value)| reply.bulk(value));
    Ok(())
}

fn hdel(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let hash = keys.hash(args[1])?;
    let removed =
        hash.map_or(0, |hash| args[2..].iter().filter(|field| hash.remove(**field).is_some()).count());
    reply.count(removed);
    if removed > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}

fn hexists(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let exists = keys.hash(args[1])?.is_some_and(|hash| hash.contains_key(args[2]));
    reply.flag(exists);
    Ok(())
}

fn hlen(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.hash(args[1])?.map_or(0, |hash| hash.len());
    reply.count(length);
    Ok(())
}

fn hstrlen(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.hash(args[1])?.and_then(|hash| hash.get(args[2])).map_or(0, Vec::len);
    reply.count(length);
    Ok(())
}

fn hincrby(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let amount = parse_integer(args[3])?;
    let current = match keys.hash(args[1])?.and_then(|hash| hash.get(args[2])) {
        Some(text) => integer(text).ok_or(CommandError::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = current.checked_add(amount).ok_or(OVERFLOW)?;
    keys.hash_or_new(args[1])?.insert(args[2].to_vec(), sum.to_string().into_bytes());
    keys.changed(args[1]);
    reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let amount = Extended::parse(args[3]).ok_or(NOT_A_FLOAT)?;
    if amount.is_infinite() {
        return Err(CommandError::new("ERR value is NaN or Infinity"));
    }
    let current = match keys.hash(args[1])?.and_then(|hash| hash.get(args[2])) {
        Some(text) => Extended::parse(text).ok_or(CommandError::new("ERR hash value is not a float"))?,
        None => Extended::ZERO,
    };
    let text = extended::sum_text(current, amount)?;
    keys.hash_or_new(args[1])?.insert(args[2].to_vec(), text.clone());
    keys.changed(args[1]);
    reply.bulk(&text);
    Ok(())
}
