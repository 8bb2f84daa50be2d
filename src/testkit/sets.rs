//! Sets: SADD, SMEMBERS and their kin.
//!
//! Members come in the order of their names; a real server keeps another order and promises none.
//! <https://redis.io/docs/latest/commands/?group=set>

use super::keyspace::Keyspace;
use super::lists::parse_count;
use super::reply::{Done, Reply, SYNTAX};
use super::table::{Command, Flags, ONE_KEY};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE;

pub(crate) const COMMANDS: &[Command] = &[
    Command::keys("sadd", -3, Flags::GROW, ONE_KEY, sadd),
    Command::keys("srem", -3, WRITE, ONE_KEY, srem),
    Command::keys("smembers", 2, READ, ONE_KEY, smembers),
    Command::keys("sismember", 3, READ, ONE_KEY, sismember),
    Command::keys("smismember", -3, READ, ONE_KEY, smismember),
    Command::keys("scard", 2, READ, ONE_KEY, scard),
    Command::keys("spop", -2, WRITE, ONE_KEY, spop),
];

fn sadd(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.members_or_new(args[1])?;
    let added = args[2..].iter().filter(|member| set.insert(member.to_vec())).count();
    reply.count(added);
    if added > 0 {
        keys.changed(args[1]);
    }
    Ok(())
}

fn srem(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.members(args[1])?;
    let removed = set.map_or(0, |set| args[2..].iter().filter(|member| set.remove(**member)).count());
    reply.count(removed);
    if removed > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}

fn smembers(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.members(args[1])?.map(|set| &*set);
    reply.set(set.as_ref().map_or(0, |set| set.len()));
    set.into_iter().flatten().for_each(|member| reply.bulk(member));
    Ok(())
}

fn sismember(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let contains = keys.members(args[1])?.is_some_and(|set| set.contains(args[2]));
    reply.flag(contains);
    Ok(())
}

fn smismember(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let set = keys.members(args[1])?;
    reply.array(args.len() - 2);
    for member in &args[2..] {
        reply.flag(set.as_ref().is_some_and(|set| set.contains(*member)));
    }
    Ok(())
}

fn scard(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let length = keys.members(args[1])?.map_or(0, |set| set.len());
    reply.count(length);
    Ok(())
}

/// Pops the first members: any are as good, and replicas have to pop the same.
fn spop(keys: &mut Keyspace, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if args.len() > 3 {
        return Err(SYNTAX);
    }
    let count = args.get(2).map(|text| parse_count(text)).transpose()?;
    let Some(set) = keys.members(args[1])? else {
        match count {
            Some(_) => reply.set(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let wanted = count.unwrap_or(1).min(set.len());
    if count.is_some() {
        reply.set(wanted);
    }
    for _ in 0..wanted {
        reply.bulk_or_null(set.pop_first().as_deref());
    }
    if wanted > 0 {
        keys.remove_if_empty(args[1]);
        keys.changed(args[1]);
    }
    Ok(())
}
