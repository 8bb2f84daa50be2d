//! When keys end: EXPIRE, TTL, PERSIST.
//!
//! Knows the options and the arithmetic; the keyspace itself drops what has expired.
//! <https://redis.io/docs/latest/commands/expire/>

use super::keyspace::Keyspace;
use super::number::parse_integer;
use super::reply::{CommandError, Done, Reply};
use super::table::{Command, Flags, ONE_KEY};

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("expire", -3, Flags::WRITE, ONE_KEY, |keys, args, reply| {
        expire(keys, args, reply, Unit::Seconds, Base::Now, "expire")
    }),
    Command::keys("pexpire", -3, Flags::WRITE, ONE_KEY, |keys, args, reply| {
        expire(keys, args, reply, Unit::Milliseconds, Base::Now, "pexpire")
    }),
    Command::keys("expireat", -3, Flags::WRITE, ONE_KEY, |keys, args, reply| {
        expire(keys, args, reply, Unit::Seconds, Base::Epoch, "expireat")
    }),
    Command::keys("pexpireat", -3, Flags::WRITE, ONE_KEY, |keys, args, reply| {
        expire(keys, args, reply, Unit::Milliseconds, Base::Epoch, "pexpireat")
    }),
    Command::keys("ttl", 2, Flags::READ, ONE_KEY, |keys, args, reply| {
        remaining(keys, args, reply, Unit::Seconds, Base::Now)
    }),
    Command::keys("pttl", 2, Flags::READ, ONE_KEY, |keys, args, reply| {
        remaining(keys, args, reply, Unit::Milliseconds, Base::Now)
    }),
    Command::keys("expiretime", 2, Flags::READ, ONE_KEY, |keys, args, reply| {
        remaining(keys, args, reply, Unit::Seconds, Base::Epoch)
    }),
    Command::keys("pexpiretime", 2, Flags::READ, ONE_KEY, |keys, args, reply| {
        remaining(keys, args, reply, Unit::Milliseconds, Base::Epoch)
    }),
    Command::keys("persist", 2, Flags::WRITE, ONE_KEY, persist),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What a time counts from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Now,
    Epoch,
}

/// On which present expiry a new one is accepted.
#[derive(Default)]
struct Condition {
    none: bool,
    some: bool,
    later: bool,
    earlier: bool,
}

impl Condition {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut condition = Condition::default();
        for word in words {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => condition.none = true,
                b"XX" => condition.some = true,
                b"GT" => condition.later = true,
                b"LT" => condition.earlier = true,
                _ => return Err(CommandError::quoting("ERR Unsupported option ", word, "")),
            }
        }
        if condition.none && (condition.some || condition.later || condition.earlier) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(CommandError::new(text));
        }
        if condition.later && condition.earlier {
            return Err(CommandError::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// A key without expiry lives for ever: nothing is later than that, everything is earlier.
    fn accepts(&self, current: Option<i64>, wanted: i64) -> bool {
        !(self.none && current.is_some()
            || self.some && current.is_none()
            || self.later && current.is_none_or(|current| wanted <= current)
            || self.earlier && current.is_some_and(|current| wanted >= current))
    }
}

fn expire(
    keys: &mut Keyspace,
    args: &[&[u8]],
    reply: &mut Reply<'_>,
    unit: Unit,
    base: Base,
    name: &str,
) -> Done {
    let condition = Condition::parse(&args[3..])?;
    let amount = parse_integer(args[2])?;
    let amount_ms = if unit == Unit::Seconds { amount.checked_mul(1000) } else { Some(amount) };
    let start_ms = if base == Base::Now { keys.now_ms() } else { 0 };
    let at_ms = amount_ms.and_then(|ms| ms.checked_add(start_ms));
    let at_ms =
        at_ms.ok_or_else(|| CommandError::from(format!("ERR invalid expire time in '{name}' command")))?;
    let now_ms = keys.now_ms();
    let accepted = match keys.entry(args[1]) {
        Some(entry) if condition.accepts(entry.expires_at_ms, at_ms) => {
            entry.expires_at_ms = Some(at_ms);
            true
        }
        _ => false,
    };
    if accepted && at_ms <= now_ms {
        keys.contains(args[1]);
    }
    if accepted {
        keys.changed(args[1]);
    }
    reply.flag(accepted);
    Ok(())
}

fn remaining(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, unit: Unit, base: Base) -> Done {
    let start_ms = if base == Base::Now { keys.now_ms() } else { 0 };
    // The farthest expiry is the largest integer: rounding must not carry it over.
    let answer = match keys.entry(args[1]).map(|entry| entry.expires_at_ms) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) if unit == Unit::Seconds => {
            let rounded = (i128::from(at_ms) - i128::from(start_ms) + 500) / 1000;
            i64::try_from(rounded).unwrap_or(i64::MAX)
        }
        Some(Some(at_ms)) => at_ms.saturating_sub(start_ms),
    };
    reply.integer(answer);
    Ok(())
}

fn persist(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let had_expiry = keys.entry(args[1]).is_some_and(|entry| entry.expires_at_ms.take().is_some());
    if had_expiry {
        keys.changed(args[1]);
    }
    reply.flag(had_expiry);
    Ok(())
}
