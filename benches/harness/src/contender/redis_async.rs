//! redis-rs on tokio: a future per command, all of a batch at once. A pipeline of its asynchronous cluster connection is refused when its
//! keys belong to different slots.

use anyhow::{Context as _, Result};
use redis::Value;
use redis::cluster_async::ClusterConnection;

use super::on_tokio::{OnTokio, Peer, Reply, runtime};
use super::redis_sync::{VERSION, client, command, is_expected, of_server};
use super::{Contender, Setting, Setup};
use crate::plan::{Op, Plan};

/// Connects.
pub(crate) fn start(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    let (client, runtime) = (client(setup)?, runtime()?);
    let connection = runtime.block_on(client.get_async_connection()).context("redis-rs cannot connect")?;
    Ok(Box::new(OnTokio { peer: Redis { connection }, runtime }))
}

struct Redis {
    connection: ClusterConnection,
}

impl Peer for Redis {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), VERSION.into()),
            ("connections per node".into(), "1".into()),
            ("protocol".into(), "RESP2, its default".into()),
            ("batch".into(), "a future per command, FuturesUnordered".into()),
            ("timeouts".into(), "none, its default for clusters".into()),
        ]
    }

    async fn single(&self, plan: &Plan, op: Op) -> Result<Reply> {
        // A handle is meant to be cloned: a request takes it mutably.
        let mut connection = self.connection.clone();
        match command(plan, op).query_async::<Value>(&mut connection).await {
            Ok(reply) => Ok(Reply::expected(is_expected(op.verb, &reply))),
            Err(error) => of_server(error).map(|_| Reply::Wrong),
        }
    }
}
