//! Keys whatever they hold: DEL, EXISTS, RENAME, SCAN.
//!
//! <https://redis.io/docs/latest/commands/?group=generic>

use super::glob;
use super::keyspace::{Keyspace, Value};
use super::number::parse_integer;
use super::reply::{CommandError, Done, NO_SUCH_KEY, Reply, SYNTAX};
use super::table::{ALL_KEYS, Command, Flags, NO_KEYS, ONE_KEY};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("del", -2, WRITE, ALL_KEYS, del),
    Command::keys("unlink", -2, WRITE, ALL_KEYS, del),
    Command::keys("exists", -2, READ, ALL_KEYS, exists),
    Command::keys("touch", -2, READ, ALL_KEYS, exists),
    Command::keys("type", 2, READ, ONE_KEY, type_of),
    Command::keys("rename", 3, WRITE, (1, 2, 1), rename),
    Command::keys("renamenx", 3, WRITE, (1, 2, 1), renamenx),
    Command::keys("keys", 2, READ, NO_KEYS, keys_matching),
    Command::keys("scan", -2, READ, NO_KEYS, scan),
    Command::keys("dbsize", 1, READ, NO_KEYS, dbsize),
    Command::keys("randomkey", 1, READ, NO_KEYS, randomkey),
    Command::keys("flushall", -1, WRITE, NO_KEYS, flush),
    Command::keys("flushdb", -1, WRITE, NO_KEYS, flush),
];

fn del(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let mut removed = 0;
    for key in &args[1..] {
        if keys.remove(key).is_some() {
            keys.changed(key);
            removed += 1;
        }
    }
    reply.count(removed);
    Ok(())
}

fn exists(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.count(args[1..].iter().filter(|key| keys.contains(key)).count());
    Ok(())
}

fn type_of(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.status(keys.entry(args[1]).map_or("none", |entry| entry.value.type_name()));
    Ok(())
}

fn rename(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if !keys.contains(args[1]) {
        return Err(NO_SUCH_KEY);
    }
    move_key(keys, args[1], args[2]);
    reply.ok();
    Ok(())
}

fn renamenx(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if !keys.contains(args[1]) {
        return Err(NO_SUCH_KEY);
    }
    let is_new = !keys.contains(args[2]);
    if is_new {
        move_key(keys, args[1], args[2]);
    }
    reply.flag(is_new);
    Ok(())
}

fn move_key(keys: &mut Keyspace, from: &[u8], to: &[u8]) {
    if from == to {
        return;
    }
    if let Some(entry) = keys.remove(from) {
        keys.insert(to, entry.value, entry.expires_at_ms);
        keys.changed(from);
        keys.changed(to);
    }
}

fn keys_matching(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let live = (0..super::SLOT_COUNT).flat_map(|slot| keys.live_in_slot(slot));
    let found: Vec<&[u8]> = live.map(|(key, _)| key).filter(|key| glob::matches(args[1], key)).collect();
    reply.array(found.len());
    found.into_iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// The cursor is the slot to go on with, so a key that stays is returned exactly once.
fn scan(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let cursor = parse_cursor(args[1]).ok_or(CommandError::new("ERR invalid cursor"))?;
    let (mut pattern, mut wanted, mut kind) = (b"*".as_slice(), 10, None);
    for option in args[2..].chunks(2) {
        let [name, value] = option else { return Err(SYNTAX) };
        match name.to_ascii_uppercase().as_slice() {
            b"MATCH" => pattern = value,
            b"COUNT" => wanted = parse_integer(value)?,
            b"TYPE" => kind = Some(value.to_ascii_lowercase()),
            _ => return Err(SYNTAX),
        }
        if wanted < 1 {
            return Err(SYNTAX);
        }
    }
    let fits = |key: &[u8], value: &Value| {
        let kind_fits = kind.as_ref().is_none_or(|kind| kind == value.type_name().as_bytes());
        kind_fits && glob::matches(pattern, key)
    };
    let (mut seen, mut found, mut next) = (0, Vec::new(), 0);
    for slot in u16::try_from(cursor).unwrap_or(super::SLOT_COUNT)..super::SLOT_COUNT {
        if seen >= wanted {
            next = slot;
            break;
        }
        seen += keys.count_in_slot(slot) as i64;
        let live = keys.live_in_slot(slot);
        found.extend(live.filter(|(key, entry)| fits(key, &entry.value)).map(|(key, _)| key));
    }
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(found.len());
    found.into_iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// What C's `strtoul` takes: no text is zero, a negative number wraps.
fn parse_cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let (is_negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let cursor: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if is_negative { cursor.wrapping_neg() } else { cursor })
}

fn dbsize(keys: &mut Keyspace, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.count(keys.len());
    Ok(())
}

/// Not random at all: the first live key, so that a run can be repeated.
fn randomkey(keys: &mut Keyspace, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let key = (0..super::SLOT_COUNT).find_map(|slot| keys.live_in_slot(slot).next().map(|(key, _)| key));
    reply.bulk_or_null(key);
    Ok(())
}

fn flush(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let known = |word: &&[u8]| word.eq_ignore_ascii_case(b"ASYNC") || word.eq_ignore_ascii_case(b"SYNC");
    if args.len() > 2 || !args[1..].iter().all(known) {
        return Err(SYNTAX);
    }
    keys.clear();
    reply.ok();
    Ok(())
}
