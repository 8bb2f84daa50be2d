//! Loaders as one would write them with redis-rs, blocking: lines are read, pipelines are filled, sent and waited for.
//!
//! Two of them. One splits the records by node itself, with the crate's own slot function, and has a pipeline per node: while one node
//! answers, the others have nothing to do. The other leaves the routing to the crate's cluster pipeline, which writes to all nodes before
//! it reads. Any error reply ends either.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use redis::cluster::{ClusterClient, ClusterPipeline};
use redis::cluster_routing::Slot;
use redis::{Client, Connection, Pipeline};

pub(super) const NODES: &str = "redis-rs-nodes";
pub(super) const CLUSTER: &str = "redis-rs-cluster";

/// Commands of a pipeline, per node.
const PIPELINE_COMMANDS: usize = 1000;
/// The cluster pipeline has those of three nodes in it.
const CLUSTER_PIPELINE_COMMANDS: usize = 3 * PIPELINE_COMMANDS;

/// One primary.
struct Node {
    connection: Connection,
    pipeline: Pipeline,
}

impl Node {
    fn send(&mut self) -> Result<()> {
        self.pipeline.query::<()>(&mut self.connection)?;
        self.pipeline.clear();
        Ok(())
    }
}

/// Splits the records by node.
pub(super) fn by_node(path: &Path, seed: &str) -> Result<u64> {
    let (mut nodes, owners) = connect(seed)?;
    let records = lines(path, |key, value| {
        let owner = owners.get(&Slot::for_key(key)).context("a slot has no owner")?;
        let node = &mut nodes[*owner];
        node.pipeline.set(key, value).ignore();
        if node.pipeline.len() >= PIPELINE_COMMANDS {
            node.send()?;
        }
        Ok(())
    })?;
    for node in nodes.iter_mut().filter(|node| !node.pipeline.is_empty()) {
        node.send()?;
    }
    Ok(records)
}

/// Leaves it to the crate.
pub(super) fn by_cluster(path: &Path, seed: &str) -> Result<u64> {
    let mut connection = ClusterClient::new([seed])?.get_connection()?;
    let (mut pipeline, mut queued) = (ClusterPipeline::new(), 0);
    let records = lines(path, |key, value| {
        pipeline.set(key, value).ignore();
        queued += 1;
        if queued == CLUSTER_PIPELINE_COMMANDS {
            pipeline.query::<()>(&mut connection)?;
            pipeline.clear();
            queued = 0;
        }
        Ok(())
    })?;
    if queued > 0 {
        pipeline.query::<()>(&mut connection)?;
    }
    Ok(records)
}

/// First and last slot, then the nodes that have them: address, port and more.
type SlotRange = (u16, u16, (String, u16));

/// Asks who owns what, and connects to each.
fn connect(seed: &str) -> Result<(Vec<Node>, HashMap<Slot, usize>)> {
    let mut first = Client::open(seed)?.get_connection().context("redis-rs cannot connect")?;
    let (mut nodes, mut addresses, mut owners) = (Vec::new(), Vec::new(), HashMap::new());
    for (from, to, (host, port)) in ranges(&mut first)? {
        let address = format!("redis://{host}:{port}");
        let at = match addresses.iter().position(|known| *known == address) {
            Some(at) => at,
            None => {
                let connection = Client::open(address.as_str())?.get_connection()?;
                nodes.push(Node { connection, pipeline: redis::pipe() });
                addresses.push(address);
                addresses.len() - 1
            }
        };
        owners.extend((from..=to).filter_map(Slot::new).map(|slot| (slot, at)));
    }
    Ok((nodes, owners))
}

fn ranges(connection: &mut Connection) -> Result<Vec<SlotRange>> {
    let rows: Vec<Vec<redis::Value>> = redis::cmd("CLUSTER").arg("SLOTS").query(connection)?;
    let range = |row: &Vec<redis::Value>| -> Result<SlotRange> {
        let [from, to, redis::Value::Array(primary), ..] = row.as_slice() else {
            bail!("CLUSTER SLOTS answers something else");
        };
        let [host, port, ..] = primary.as_slice() else { bail!("CLUSTER SLOTS names no primary") };
        let number = |value: &redis::Value| redis::from_redis_value_ref::<u16>(value);
        Ok((number(from)?, number(to)?, (redis::from_redis_value_ref(host)?, number(port)?)))
    };
    rows.iter().map(range).collect()
}

/// Keys and values of the lines.
fn lines(path: &Path, mut take: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<u64> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut line = Vec::new();
    let mut records = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let Some(tab) = text.iter().position(|&byte| byte == b'\t') else { bail!("a line has no tab") };
        take(&text[..tab], &text[tab + 1..])?;
        line.clear();
        records += 1;
    }
    Ok(records)
}
