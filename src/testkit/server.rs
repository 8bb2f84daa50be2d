//! Commands about the server: INFO, CONFIG, COMMAND, TIME, WAIT.
//!
//! As much of them as a client asks for when it connects or waits. <https://redis.io/docs/latest/commands/?group=server>

use super::dispatch::Exec;
use super::glob;
use super::number::parse_integer;
use super::reply::{CommandError, Done, Reply};
use super::table::{self, Command, Flags};

const ANY: Flags = Flags::ANY_STATE;

pub(crate) const COMMANDS: &[Command] = &[
    Command::node("info", -1, ANY, info),
    Command::node("time", 1, ANY, time),
    Command::node("wait", 3, Flags::NONE, wait),
    // COMMAND alone is a request too: it is no plain container.
    Command::node("command", -1, ANY, command),
    Command::container("config", CONFIG),
];

const CONFIG: &[Command] = &[Command::node("config|get", -3, ANY, config_get)];

fn info(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let is_replica = exec.is_replica();
    let role = if is_replica { "slave" } else { "master" };
    let config = exec.cluster.config();
    let mode = if config.cluster_enabled { "cluster" } else { "standalone" };
    let (version, enabled) = (&config.version, u8::from(config.cluster_enabled));
    let node = &exec.cluster.nodes[exec.session.node];
    let (port, clients, keys) = (node.port, node.clients_now, node.keyspace.len());
    let (processed, replicas, loading) =
        (node.commands_processed, node.replicas.len(), u8::from(node.refusals.loading));
    reply.text(&format!(
        "# Server\r\nredis_version:{version}\r\nredis_mode:{mode}\r\ntcp_port:{port}\r\n\r\n\
         # Clients\r\nconnected_clients:{clients}\r\n\r\n\
         # Persistence\r\nloading:{loading}\r\n\r\n\
         # Stats\r\ntotal_commands_processed:{processed}\r\n\r\n\
         # Replication\r\nrole:{role}\r\nconnected_slaves:{replicas}\r\n\r\n\
         # Cluster\r\ncluster_enabled:{enabled}\r\n\r\n\
         # Keyspace\r\ndb0:keys={keys},expires=0,avg_ttl=0\r\n"
    ));
    Ok(())
}

/// The time the model was given, not a clock's.
fn time(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let (seconds, micros) = (exec.now_ms / 1000, exec.now_ms % 1000 * 1000);
    reply.array(2);
    reply.bulk(seconds.to_string().as_bytes());
    reply.bulk(micros.to_string().as_bytes());
    Ok(())
}

/// Replication is immediate here, so the answer is the number of replicas that are up.
fn wait(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if exec.is_replica() {
        return Err(CommandError::new(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a \
             replica is configured to be writable (which is not the default) writes to replicas are just local \
             and are not propagated.",
        ));
    }
    parse_integer(args[1])?;
    let not_integer = CommandError::new("ERR timeout is not an integer or out of range");
    if parse_integer(args[2]).map_err(|_| not_integer)? < 0 {
        return Err(CommandError::new("ERR timeout is negative"));
    }
    reply.count(exec.cluster.synced_replicas(exec.session.node).count());
    Ok(())
}

fn command(_: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    match args.get(1).map(|word| word.to_ascii_lowercase()).as_deref() {
        Some(b"count") if args.len() == 2 => reply.count(table::all().count()),
        Some(b"docs") => reply.map(0),
        None | Some(b"info" | b"list" | b"count") => reply.array(0),
        Some(_) => {
            let end = args[1].len().min(128);
            let word = &args[1][..end];
            return Err([b"ERR unknown subcommand '".as_slice(), word, b"'. Try COMMAND HELP."]
                .concat()
                .into());
        }
    }
    Ok(())
}

fn config_get(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let config = exec.cluster.config();
    let enabled = if config.cluster_enabled { "yes" } else { "no" };
    let known = [
        ("appendonly", "no".to_owned()),
        ("cluster-enabled", enabled.to_owned()),
        ("maxclients", config.clients_max.to_string()),
        ("maxmemory", "0".to_owned()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ];
    let wanted = |name: &str| {
        args[2..].iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let found: Vec<_> = known.iter().filter(|(name, _)| wanted(name)).collect();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(())
}
