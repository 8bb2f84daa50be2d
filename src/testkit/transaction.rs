//! MULTI, EXEC, DISCARD, WATCH.
//!
//! Queueing itself happens in the dispatcher. <https://redis.io/docs/latest/develop/interact/transactions/>

use super::dispatch::Exec;
use super::reply::{CommandError, Done, Reply};
use super::session::{SessionId, Transaction};
use super::table::{ALL_KEYS, Command, Flags};

const FLAGS: Flags = Flags::ANY_STATE.and(Flags::NOT_QUEUED);
const FLAGS_WHEN_BUSY: Flags = FLAGS.and(Flags::ALLOW_BUSY);

pub(crate) const COMMANDS: &[Command] = &[
    Command::node("multi", 1, FLAGS_WHEN_BUSY, multi),
    Command::node("exec", 1, FLAGS, exec),
    Command::node("discard", 1, FLAGS_WHEN_BUSY, discard),
    Command::node_keys("watch", -2, FLAGS_WHEN_BUSY, ALL_KEYS, watch),
    Command::node("unwatch", 1, Flags::ANY_STATE.and(Flags::ALLOW_BUSY), unwatch),
];

fn multi(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if exec.session.transaction.is_some() {
        return Err(CommandError::new("ERR MULTI calls can not be nested"));
    }
    exec.session.transaction = Some(Transaction::default());
    reply.ok();
    Ok(())
}

fn exec(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let watch_is_broken = watch_is_broken(exec);
    if exec.session.transaction.is_none() {
        return Err(CommandError::new("ERR EXEC without MULTI"));
    }
    let transaction = forget(exec).unwrap_or_default();
    if transaction.is_broken {
        return Err(CommandError::new("EXECABORT Transaction discarded because of previous errors."));
    }
    if watch_is_broken {
        reply.null_array();
        return Ok(());
    }
    reply.array(transaction.queue.len());
    for queued in transaction.queue {
        let words: Vec<&[u8]> = queued.words.iter().map(Vec::as_slice).collect();
        // HELLO inside a transaction changes the shape of what follows.
        let mut nested = Vec::new();
        let resp = exec.session.resp;
        exec.execute(queued.command, &words, &mut Reply::new(&mut nested, resp));
        reply.raw(&nested);
    }
    Ok(())
}

fn discard(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if exec.session.transaction.is_none() {
        return Err(CommandError::new("ERR DISCARD without MULTI"));
    }
    forget(exec);
    reply.ok();
    Ok(())
}

fn watch(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if exec.session.transaction.is_some() {
        return Err(CommandError::new("ERR WATCH inside MULTI is not allowed"));
    }
    let id = exec.session.id;
    for &key in &args[1..] {
        let existed = exec.keyspace().contains(key);
        if exec.node().watchers.entry(key.to_vec()).or_default().insert(id) {
            exec.session.watched.push((key.to_vec(), existed));
        }
    }
    reply.ok();
    Ok(())
}

fn unwatch(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    drop_watches(exec);
    reply.ok();
    Ok(())
}

/// Ends the transaction, where there is one, and the watches in any case. Hands over what was queued.
pub(crate) fn forget(exec: &mut Exec<'_>) -> Option<Transaction> {
    drop_watches(exec);
    exec.session.transaction.take()
}

/// Drops every watch of the session.
pub(crate) fn drop_watches(exec: &mut Exec<'_>) {
    exec.session.watch_is_broken = false;
    let (id, watched) = (exec.session.id, std::mem::take(&mut exec.session.watched));
    exec.node().forget_watches(id, &watched);
}

/// A watched key was written, or has expired since.
fn watch_is_broken(exec: &mut Exec<'_>) -> bool {
    let watched = std::mem::take(&mut exec.session.watched);
    let keyspace = exec.keyspace();
    let expired = watched.iter().any(|(key, existed)| *existed && !keyspace.contains(key));
    exec.session.watched = watched;
    expired || exec.session.watch_is_broken
}

/// A write has changed keys: whoever watches one of them will not execute its transaction.
pub(crate) fn break_watches(exec: &mut Exec<'_>) {
    let keys = exec.node().keyspace.take_changed_keys();
    let watchers = &exec.node().watchers;
    let hit: Vec<SessionId> = keys.iter().filter_map(|key| watchers.get(key)).flatten().copied().collect();
    for id in hit {
        if id == exec.session.id {
            exec.session.watch_is_broken = true;
        } else if let Some(session) = exec.cluster.sessions.get_mut(&id) {
            session.watch_is_broken = true;
        }
    }
}
