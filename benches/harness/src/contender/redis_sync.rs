//! redis-rs, blocking: a pipeline of its cluster connection, which writes to every node and then reads from one after the other.

use anyhow::{Context as _, Result, bail};
use redis::cluster::{ClusterClient, ClusterConnection, ClusterPipeline};
use redis::{Cmd, RedisError, RedisResult, Value};

use super::{Contender, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// The version that this program was built with.
pub(super) const VERSION: &str = env!("VERSION_OF_REDIS");

/// Connects.
pub(crate) fn start(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    let connection = client(setup)?.get_connection().context("redis-rs cannot connect")?;
    Ok(Box::new(Redis { connection, pipeline: ClusterPipeline::new() }))
}

/// Its client of clusters, with its own defaults.
pub(super) fn client(setup: &Setup) -> Result<ClusterClient> {
    if !setup.cluster {
        bail!("this is redis-rs's client of clusters; for a standalone server there is redis-rs-standalone");
    }
    let nodes = setup.nodes.iter().map(|node| format!("redis://{node}"));
    let mut builder = ClusterClient::builder(nodes);
    if let Some((user, password)) = &setup.credentials {
        builder = builder.password(password);
        if let Some(user) = user {
            builder = builder.username(user);
        }
    }
    Ok(builder.build()?)
}

struct Redis {
    connection: ClusterConnection,
    /// Cleared and filled again: it keeps its buffers.
    pipeline: ClusterPipeline,
}

/// The command by itself.
pub(super) fn command(plan: &Plan, op: Op) -> Cmd {
    let key = plan.key(op).as_slice();
    let mut command = redis::cmd(op.verb.name());
    command.arg(key);
    match op.verb {
        Verb::Set => command.arg(plan.value.as_slice()),
        Verb::Get => &mut command,
        Verb::IncrBy => command.arg(INCREMENT),
        Verb::Expire => command.arg(EXPIRE_S),
    };
    command
}

/// Whether the reply is of the kind that the command has.
pub(super) fn is_expected(verb: Verb, reply: &Value) -> bool {
    match verb {
        Verb::Set => matches!(reply, Value::Okay),
        Verb::Get => matches!(reply, Value::BulkString(_) | Value::Nil),
        Verb::IncrBy | Verb::Expire => matches!(reply, Value::Int(_)),
    }
}

/// How many errors are in the reply to a command of its own.
pub(super) fn single(op: Op, reply: RedisResult<Value>) -> Result<u64> {
    match reply {
        Ok(reply) => Ok(u64::from(!is_expected(op.verb, &reply))),
        Err(error) => of_server(error),
    }
}

/// How many errors are in the replies to a pipeline.
pub(super) fn batch(ops: &[Op], replies: RedisResult<Value>) -> Result<u64> {
    match replies {
        Ok(Value::Array(replies)) if replies.len() == ops.len() => {
            let wrong = ops.iter().zip(&replies).filter(|(op, reply)| !is_expected(op.verb, reply));
            Ok(wrong.count() as u64)
        }
        Ok(other) => bail!("a pipeline of {} commands was answered with {other:?}", ops.len()),
        Err(error) => of_server(error),
    }
}

/// Errors of the server are counted, one of the client ends the round.
pub(super) fn of_server(error: RedisError) -> Result<u64> {
    match error.clone().into_server_errors() {
        Some(errors) => Ok(errors.len().max(1) as u64),
        None => Err(error.into()),
    }
}

impl Contender for Redis {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), VERSION.into()),
            ("threads".into(), "1".into()),
            ("connections per node".into(), "1".into()),
            ("protocol".into(), "RESP2, its default".into()),
            ("batch".into(), "ClusterPipeline, reused; replies as Value".into()),
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
