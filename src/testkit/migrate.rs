//! MIGRATE: moves keys to another node of the same cluster in one step.
//!
//! <https://redis.io/docs/latest/commands/migrate/>

use super::dispatch::Exec;
use super::number::parse_integer;
use super::redirect;
use super::reply::{CommandError, Done, Reply, SYNTAX};
use super::table;

pub(crate) fn migrate(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let options = Options::parse(args)?;
    parse_integer(args[5])?;
    parse_integer(args[4])?;
    let keys = table::find(b"migrate").map(|command| command.keys_of(args)).unwrap_or_default();
    let present: Vec<&[u8]> = keys.into_iter().filter(|key| exec.keyspace().contains(key)).collect();
    if present.is_empty() {
        reply.status("NOKEY");
        return Ok(());
    }
    let target = target(exec, args[1], args[2])?;
    let me = exec.session.node;
    let mut refused = None;
    // Each key stands for itself: those that the target takes are gone here, whatever happens to the others.
    for key in present {
        if let Err(error) = accept_at_target(exec, target, key, options.replaces) {
            refused.get_or_insert(error);
            continue;
        }
        let Some(entry) = exec.keyspace().entry(key).cloned() else { continue };
        exec.cluster.transfer_key(key, me, target);
        exec.keyspace().changed(key);
        if options.copies {
            exec.keyspace().insert(key, entry.value, entry.expires_at_ms);
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    reply.ok();
    Ok(())
}

#[derive(Default)]
struct Options {
    copies: bool,
    replaces: bool,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut words = args[6..].iter();
        while let Some(word) = words.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"COPY" => options.copies = true,
                b"REPLACE" => options.replaces = true,
                b"AUTH" if words.len() >= 1 => drop(words.next()),
                b"AUTH2" if words.len() >= 2 => drop(words.nth(1)),
                b"KEYS" if args[3].is_empty() => break,
                b"KEYS" => {
                    return Err(CommandError::new(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }
}

/// The node behind an address. Everything else is out of reach.
fn target(exec: &Exec<'_>, host: &[u8], port: &[u8]) -> Result<usize, CommandError> {
    let mut nodes = exec.cluster.nodes.iter();
    let found = nodes.position(|node| {
        let names_host =
            node.host.as_bytes() == host || node.hostname.as_deref().map(str::as_bytes) == Some(host);
        names_host && node.port.to_string().as_bytes() == port && node.runs()
    });
    found.ok_or(CommandError::new("IOERR error or timeout connecting to the client"))
}

/// What the target says to the RESTORE-ASKING that a real source sends.
fn accept_at_target(exec: &mut Exec<'_>, target: usize, key: &[u8], replaces: bool) -> Done {
    let keys = [key];
    let query = redirect::Query {
        keys: &keys,
        is_write: true,
        is_migrate: false,
        asking: true,
        reads_replica: false,
    };
    let refused = |error: CommandError| -> CommandError {
        [b"ERR Target instance replied with error: ".as_slice(), &error.text()].concat().into()
    };
    redirect::check(exec.cluster, target, &query, exec.now_ms).map_err(refused)?;
    if !replaces && exec.cluster.nodes[target].keyspace.contains(key) {
        return Err(refused(CommandError::new("BUSYKEY Target key name already exists.")));
    }
    Ok(())
}
