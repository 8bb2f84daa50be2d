//! The CLUSTER command: what clients ask and what a resharding tool orders.
//!
//! <https://redis.io/docs/latest/commands/?group=cluster>

use super::dispatch::Exec;
use super::number::parse_integer;
use super::reply::{CommandError, Done, Reply};
use super::table::{Command, Flags};
use super::{SLOT_COUNT, cluster_report as report, migrate, slot_of};

const STALE: Flags = Flags::STALE;

pub(crate) const COMMANDS: &[Command] = &[
    Command::container("cluster", CLUSTER),
    Command::node_keys("migrate", -6, Flags::WRITE, (3, 3, 1), migrate::migrate),
];

const CLUSTER: &[Command] = &[
    Command::node("cluster|slots", 2, STALE, |exec, _, reply| {
        exec.needs_cluster()?;
        report::slots(exec.cluster, exec.session.node, reply);
        Ok(())
    }),
    Command::node("cluster|shards", 2, STALE, |exec, _, reply| {
        exec.needs_cluster()?;
        report::shards(exec.cluster, exec.session.node, reply);
        Ok(())
    }),
    Command::node("cluster|nodes", 2, STALE, |exec, _, reply| {
        exec.needs_cluster()?;
        let text = report::nodes(exec.cluster, exec.session.node, exec.now_ms);
        reply.text(&text);
        Ok(())
    }),
    Command::node("cluster|info", 2, STALE, |exec, _, reply| {
        exec.needs_cluster()?;
        reply.text(&report::info(exec.cluster, exec.session.node));
        Ok(())
    }),
    Command::node("cluster|myid", 2, STALE, myid),
    Command::node("cluster|keyslot", 3, STALE, keyslot),
    Command::node("cluster|countkeysinslot", 3, STALE, countkeysinslot),
    Command::node("cluster|getkeysinslot", 4, STALE, getkeysinslot),
    Command::node("cluster|setslot", -4, STALE, setslot),
];

impl Exec<'_> {
    /// What every cluster command answers on a server outside of cluster mode.
    pub(crate) fn needs_cluster(&self) -> Done {
        if self.cluster.config().cluster_enabled {
            return Ok(());
        }
        Err(CommandError::new("ERR This instance has cluster support disabled"))
    }
}

fn myid(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    reply.bulk(exec.node().id.as_bytes());
    Ok(())
}

fn keyslot(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    reply.integer(i64::from(slot_of(args[2])));
    Ok(())
}

fn slot_number(value: i64) -> Option<u16> {
    u16::try_from(value).ok().filter(|slot| *slot < SLOT_COUNT)
}

fn countkeysinslot(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    let slot = slot_number(parse_integer(args[2])?).ok_or(CommandError::new("ERR Invalid slot"))?;
    reply.count(exec.node().keyspace.count_in_slot(slot));
    Ok(())
}

fn getkeysinslot(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    let (slot, count) = (parse_integer(args[2])?, parse_integer(args[3])?);
    let invalid = CommandError::new("ERR Invalid slot or number of keys");
    let (Some(slot), Ok(count)) = (slot_number(slot), usize::try_from(count)) else { return Err(invalid) };
    let keyspace = &exec.node().keyspace;
    reply.array(keyspace.count_in_slot(slot).min(count));
    keyspace.keys_in_slot(slot).take(count).for_each(|key| reply.bulk(key));
    Ok(())
}

fn setslot(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    if exec.is_replica() {
        return Err(CommandError::new("ERR Please use SETSLOT only with masters."));
    }
    let slot = parse_integer(args[2]).ok().and_then(slot_number);
    let slot = slot.ok_or(CommandError::new("ERR Invalid or out of range slot"))?;
    match (args[3].to_ascii_lowercase().as_slice(), args.get(4), args.len()) {
        (b"migrating", Some(id), 5) => set_migrating(exec, slot, id)?,
        (b"importing", Some(id), 5) => set_importing(exec, slot, id)?,
        (b"node", Some(id), 5) => set_node(exec, slot, id)?,
        (b"stable", None, _) => {
            exec.node().migrating.remove(&slot);
            exec.node().importing.remove(&slot);
        }
        _ => {
            let text = "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP";
            return Err(CommandError::new(text));
        }
    }
    reply.ok();
    Ok(())
}

/// The node with this id as far as the executing node knows it; it has to be a primary.
fn known_primary(exec: &mut Exec<'_>, id: &[u8], unknown: &str) -> Result<usize, CommandError> {
    let me = exec.session.node;
    let mut nodes = exec.cluster.nodes.iter();
    let found = nodes.position(|node| node.id.as_bytes() == id);
    let view = &exec.cluster.nodes[me].view;
    match found.filter(|node| view.is_known(*node)) {
        None => Err(CommandError::quoting(&format!("ERR {unknown} "), id, "")),
        Some(node) if view.primary_of(node).is_some() => {
            Err(CommandError::new("ERR Target node is not a master"))
        }
        Some(node) => Ok(node),
    }
}

fn set_migrating(exec: &mut Exec<'_>, slot: u16, id: &[u8]) -> Done {
    let me = exec.session.node;
    if exec.node().view.owner(slot) != Some(me) {
        return Err(format!("ERR I'm not the owner of hash slot {slot}").into());
    }
    let target = known_primary(exec, id, "I don't know about node")?;
    exec.node().migrating.insert(slot, target);
    Ok(())
}

fn set_importing(exec: &mut Exec<'_>, slot: u16, id: &[u8]) -> Done {
    let me = exec.session.node;
    if exec.node().view.owner(slot) == Some(me) {
        return Err(format!("ERR I'm already the owner of hash slot {slot}").into());
    }
    let source = known_primary(exec, id, "I don't know about node")?;
    exec.node().importing.insert(slot, source);
    Ok(())
}

/// The executing node changes its own view. Only when a slot's new owner says so itself does the news spread.
fn set_node(exec: &mut Exec<'_>, slot: u16, id: &[u8]) -> Done {
    let me = exec.session.node;
    let owner = known_primary(exec, id, "Unknown node")?;
    let holds_keys = exec.node().keyspace.count_in_slot(slot) != 0;
    if exec.node().view.owner(slot) == Some(me) && owner != me && holds_keys {
        return Err(format!(
            "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
        )
        .into());
    }
    if !holds_keys {
        exec.node().migrating.remove(&slot);
    }
    exec.node().view.set_owner(slot, Some(owner));
    if owner == me {
        if exec.node().importing.remove(&slot).is_some() {
            exec.cluster.bump_epoch(me);
        }
        exec.cluster.publish_owner(slot, Some(me));
    }
    Ok(())
}
