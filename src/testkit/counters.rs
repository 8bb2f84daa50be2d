//! Strings as numbers: INCR and its kin.
//!
//! <https://redis.io/docs/latest/commands/incr/>

use super::extended::{self, Extended};
use super::keyspace::{Keyspace, Value};
use super::number::parse_integer;
use super::reply::{CommandError, Done, NOT_A_FLOAT, Reply};
use super::table::{Command, Flags, ONE_KEY};

pub(crate) const OVERFLOW: CommandError = CommandError::new("ERR increment or decrement would overflow");

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("incr", 2, Flags::GROW, ONE_KEY, incr),
    Command::keys("decr", 2, Flags::GROW, ONE_KEY, decr),
    Command::keys("incrby", 3, Flags::GROW, ONE_KEY, incrby),
    Command::keys("decrby", 3, Flags::GROW, ONE_KEY, decrby),
    Command::keys("incrbyfloat", 3, Flags::GROW, ONE_KEY, incrbyfloat),
];

fn incr(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    add(keys, args[1], 1, reply)
}

fn decr(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    add(keys, args[1], -1, reply)
}

fn incrby(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    add(keys, args[1], parse_integer(args[2])?, reply)
}

fn decrby(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let amount = parse_integer(args[2])?.checked_neg();
    add(keys, args[1], amount.ok_or(CommandError::new("ERR decrement would overflow"))?, reply)
}

fn add(keys: &mut Keyspace, key: &[u8], amount: i64, reply: &mut Reply<'_>) -> Done {
    let current = keys.string(key)?.map_or(Ok(0), |value| parse_integer(value))?;
    let sum = current.checked_add(amount).ok_or(OVERFLOW)?;
    replace(keys, key, sum.to_string().into_bytes());
    reply.integer(sum);
    Ok(())
}

fn incrbyfloat(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let current = keys.string(args[1])?.map_or(Some(Extended::ZERO), |value| Extended::parse(value));
    let current = current.ok_or(NOT_A_FLOAT)?;
    let amount = Extended::parse(args[2]).ok_or(NOT_A_FLOAT)?;
    let text = extended::sum_text(current, amount)?;
    reply.bulk(&text);
    replace(keys, args[1], text);
    Ok(())
}

/// Stores a new text under the key and leaves its expiry as it is.
fn replace(keys: &mut Keyspace, key: &[u8], text: Vec<u8>) {
    match keys.entry(key) {
        Some(entry) => entry.value = Value::String(text),
        None => keys.insert(key, Value::String(text), None),
    }
    keys.changed(key);
}
