//! Strings: GET, SET and their kin.
//!
//! <https://redis.io/docs/latest/commands/?group=string>

use super::keyspace::{Entry, Keyspace, Value};
use super::number::parse_integer;
use super::reply::{CommandError, Done, Reply, SYNTAX, WRONG_TYPE};
use super::table::{ALL_KEYS, Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE;
const GROW: Flags = Flags::GROW;

/// The longest string (`proto-max-bulk-len`).
const STRING_BYTES_MAX: i64 = 512 * 1024 * 1024;
const TOO_LONG: CommandError =
    CommandError::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("get", 2, READ, ONE_KEY, get),
    Command::keys("set", -3, GROW, ONE_KEY, set),
    Command::keys("getset", 3, GROW, ONE_KEY, getset),
    Command::keys("getdel", 2, WRITE, ONE_KEY, getdel),
    Command::keys("getex", -2, WRITE, ONE_KEY, getex),
    Command::keys("setnx", 3, GROW, ONE_KEY, setnx),
    Command::keys("setex", 4, GROW, ONE_KEY, setex),
    Command::keys("psetex", 4, GROW, ONE_KEY, psetex),
    Command::keys("append", 3, GROW, ONE_KEY, append),
    Command::keys("strlen", 2, READ, ONE_KEY, strlen),
    Command::keys("getrange", 4, READ, ONE_KEY, getrange),
    Command::keys("substr", 4, READ, ONE_KEY, getrange),
    Command::keys("setrange", 4, GROW, ONE_KEY, setrange),
    Command::keys("mget", -2, READ, ALL_KEYS, mget),
    Command::keys("mset", -3, GROW, (1, -1, 2), mset),
    Command::keys("msetnx", -3, GROW, (1, -1, 2), msetnx),
];

fn get(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let value = keys.string(args[1])?;
    reply.bulk_or_null(value.map(|value| value.as_slice()));
    Ok(())
}

/// The options of SET and GETEX.
#[derive(Default)]
struct SetOptions<'a> {
    only_new: bool,
    only_existing: bool,
    with_get: bool,
    keep_expiry: bool,
    persist: bool,
    expiry: Option<Expiry<'a>>,
}

/// An expiry as it was written: not looked at before the key's type has been.
struct Expiry<'a> {
    amount: &'a [u8],
    in_seconds: bool,
    is_absolute: bool,
}

impl<'a> SetOptions<'a> {
    fn parse(words: &[&'a [u8]], for_getex: bool) -> Result<Self, CommandError> {
        let mut options = SetOptions::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let word = word.to_ascii_uppercase();
            let expiry_free = options.expiry.is_none() && !options.keep_expiry && !options.persist;
            match word.as_slice() {
                b"NX" if !for_getex && !options.only_existing => options.only_new = true,
                b"XX" if !for_getex && !options.only_new => options.only_existing = true,
                b"GET" if !for_getex => options.with_get = true,
                b"KEEPTTL" if !for_getex && options.expiry.is_none() => options.keep_expiry = true,
                b"PERSIST" if for_getex && options.expiry.is_none() => options.persist = true,
                b"EX" | b"PX" | b"EXAT" | b"PXAT" if expiry_free => {
                    let amount = words.next().ok_or(SYNTAX)?;
                    let (in_seconds, is_absolute) = (word[0] == b'E', word.len() == 4);
                    options.expiry = Some(Expiry { amount, in_seconds, is_absolute });
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }
}

impl Expiry<'_> {
    /// The time at which the key ceases to exist.
    fn at_ms(&self, now_ms: i64, command: &str) -> Result<i64, CommandError> {
        let amount = parse_integer(self.amount)?;
        let amount_ms = if self.in_seconds { amount.checked_mul(1000) } else { Some(amount) };
        let at_ms = match amount_ms {
            Some(ms) if ms > 0 && self.is_absolute => Some(ms),
            Some(ms) if ms > 0 => ms.checked_add(now_ms),
            _ => None,
        };
        at_ms.ok_or_else(|| format!("ERR invalid expire time in '{command}' command").into())
    }
}

fn set(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let options = SetOptions::parse(&args[3..], false)?;
    let now_ms = keys.now_ms();
    let expires_at_ms = options.expiry.map(|expiry| expiry.at_ms(now_ms, "set")).transpose()?;
    if options.with_get {
        get(keys, args, reply)?;
    }
    let previous = keys.entry(args[1]);
    let refused = if previous.is_some() { options.only_new } else { options.only_existing };
    let kept_expiry = previous.filter(|_| options.keep_expiry).and_then(|entry| entry.expires_at_ms);
    if !refused {
        keys.insert(args[1], Value::String(args[2].to_vec()), expires_at_ms.or(kept_expiry));
        keys.changed(args[1]);
    }
    match (options.with_get, refused) {
        (true, _) => {}
        (false, true) => reply.null(),
        (false, false) => reply.ok(),
    }
    Ok(())
}

fn getset(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    get(keys, args, reply)?;
    store(keys, args[1], args[2]);
    Ok(())
}

fn getdel(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    get(keys, args, reply)?;
    if keys.remove(args[1]).is_some() {
        keys.changed(args[1]);
    }
    Ok(())
}

fn getex(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let options = SetOptions::parse(&args[2..], true)?;
    let now_ms = keys.now_ms();
    let Some(entry) = keys.entry(args[1]) else {
        reply.null();
        return Ok(());
    };
    let Value::String(value) = &entry.value else { return Err(WRONG_TYPE) };
    let expires_at_ms = options.expiry.map(|expiry| expiry.at_ms(now_ms, "getex")).transpose()?;
    reply.bulk(value);
    if expires_at_ms.is_some() || (options.persist && entry.expires_at_ms.is_some()) {
        entry.expires_at_ms = expires_at_ms;
        keys.changed(args[1]);
    }
    Ok(())
}

/// Stores a string without expiry.
fn store(keys: &mut Keyspace, key: &[u8], value: &[u8]) {
    keys.insert(key, Value::String(value.to_vec()), None);
    keys.changed(key);
}

fn setnx(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let is_new = !keys.contains(args[1]);
    if is_new {
        store(keys, args[1], args[2]);
    }
    reply.flag(is_new);
    Ok(())
}

fn setex(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    set_with_expiry(keys, args, reply, "setex")
}

fn psetex(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    set_with_expiry(keys, args, reply, "psetex")
}

fn set_with_expiry(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>, name: &str) -> Done {
    let expiry = Expiry { amount: args[2], in_seconds: name == "setex", is_absolute: false };
    let at_ms = expiry.at_ms(keys.now_ms(), name)?;
    keys.insert(args[1], Value::String(args[3].to_vec()), Some(at_ms));
    keys.changed(args[1]);
    reply.ok();
    Ok(())
}

fn append(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let value = keys.string_or_new(args[1])?;
    value.extend_from_slice(args[2]);
    reply.count(value.len());
    keys.changed(args[1]);
    Ok(())
}

fn strlen(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.string(args[1])?.map_or(0, |value| value.len());
    reply.count(length);
    Ok(())
}

fn getrange(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (start, end) = (parse_integer(args[2])?, parse_integer(args[3])?);
    let value = keys.string(args[1])?.map(|value| value.as_slice()).unwrap_or_default();
    let length = value.len() as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let backwards = start < 0 && end < 0 && start > end;
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if backwards || start > end || length == 0 {
        reply.bulk(b"");
    } else {
        reply.bulk(&value[start as usize..=end as usize]);
    }
    Ok(())
}

fn setrange(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let offset = parse_integer(args[2])?;
    if offset < 0 {
        return Err(CommandError::new("ERR offset is out of range"));
    }
    let part = args[3];
    if part.is_empty() {
        return strlen(keys, args, reply);
    }
    keys.string(args[1])?;
    let end = offset.saturating_add(part.len() as i64);
    if end > STRING_BYTES_MAX {
        return Err(TOO_LONG);
    }
    let value = keys.string_or_new(args[1])?;
    let (offset, end) = (offset as usize, end as usize);
    if value.len() < end {
        value.resize(end, 0);
    }
    value[offset..end].copy_from_slice(part);
    reply.count(value.len());
    keys.changed(args[1]);
    Ok(())
}

fn mget(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.array(args.len() - 1);
    for key in &args[1..] {
        match keys.entry(key) {
            Some(Entry { value: Value::String(value), .. }) => reply.bulk(value),
            _ => reply.null(),
        }
    }
    Ok(())
}

fn mset(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    pairs(args, "mset")?.for_each(|pair| store(keys, pair[0], pair[1]));
    reply.ok();
    Ok(())
}

fn msetnx(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let all_new = pairs(args, "msetnx")?.all(|pair| !keys.contains(pair[0]));
    if all_new {
        pairs(args, "msetnx")?.for_each(|pair| store(keys, pair[0], pair[1]));
    }
    reply.flag(all_new);
    Ok(())
}

fn pairs<'a>(args: &'a [&'a [u8]], name: &str) -> Result<std::slice::Chunks<'a, &'a [u8]>, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    Ok(args[1..].chunks(2))
}
