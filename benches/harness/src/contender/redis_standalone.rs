//! redis-rs, blocking, without a cluster: one connection to the first node, its plain pipeline.
//!
//! What it costs beside `redis-rs` is what that pays for the cluster. It can talk to a standalone server, and to a node that takes every
//! key: the sink, or a cluster of one.

use anyhow::{Context as _, Result, bail};
use redis::{
    Client, Connection, ConnectionAddr, IntoConnectionInfo as _, Pipeline, RedisConnectionInfo, Value,
};

use super::redis_sync::{VERSION, batch, command, single};
use super::{Contender, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Plan, Verb};

/// Keys that are asked for before the first round: one that another node owns is among them unless there is no other.
const PROBES: usize = 200;

struct Redis {
    connection: Connection,
    /// Cleared and filled again: it keeps its buffers.
    pipeline: Pipeline,
}

/// Connects, and finds out whether the node takes every key.
pub(crate) fn start(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    let Some(node) = setup.nodes.first() else { bail!("the target has no node") };
    let mut login = RedisConnectionInfo::default();
    if let Some((user, password)) = &setup.credentials {
        login = login.set_password(password);
        if let Some(user) = user {
            login = login.set_username(user);
        }
    }
    let address = ConnectionAddr::Tcp(node.ip().to_string(), node.port());
    let info = address.into_connection_info()?.set_redis_settings(login);
    let mut connection = Client::open(info)?.get_connection().context("redis-rs cannot connect")?;
    if setup.cluster {
        probe(&mut connection, plan)?;
    }
    Ok(Box::new(Redis { connection, pipeline: redis::pipe() }))
}

fn probe(connection: &mut Connection, plan: &Plan) -> Result<()> {
    for key in plan.keys.iter().take(PROBES) {
        let Err(error) = redis::cmd("GET").arg(key.as_slice()).query::<Value>(connection) else { continue };
        if error.code() == Some("MOVED") {
            bail!(
                "redis-rs-standalone has one connection, and this is a cluster of several nodes: take \
                 --standalone, --nodes 1 or the sink"
            );
        }
        return Err(error.into());
    }
    Ok(())
}

impl Contender for Redis {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), VERSION.into()),
            ("threads".into(), "1".into()),
            ("connections".into(), "1, to the first node".into()),
            ("protocol".into(), "RESP2, its default".into()),
            ("batch".into(), "Pipeline, reused; replies as Value".into()),
            ("timeouts".into(), "none, its default".into()),
        ]
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        let ops = plan.flushes[at].as_slice();
        if let [op] = ops {
            return single(*op, command(plan, *op).query(&mut self.connection));
        }
        self.pipeline.clear();
        for &op in ops {
            let pipeline = self.pipeline.cmd(op.verb.name()).arg(plan.key(op).as_slice());
            match op.verb {
                Verb::Set => pipeline.arg(plan.value.as_slice()),
                Verb::Get => pipeline,
                Verb::IncrBy => pipeline.arg(INCREMENT),
                Verb::Expire => pipeline.arg(EXPIRE_S),
            };
        }
        batch(ops, self.pipeline.query(&mut self.connection))
    }
}
