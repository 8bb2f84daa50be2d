//! rustis on tokio: a pipeline per flush, which it splits over the nodes.

use std::fmt;

use anyhow::{Context as _, Result, bail};
use rustis::client::{BatchPreparedCommand as _, Client, ClusterConfig, Config, ServerConfig};
use rustis::commands::{GenericCommands as _, StringCommands as _};
use rustis::resp::RefBulkString;
use rustis::{Error, ErrorKind};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::on_tokio::{OnTokio, Peer, Reply, runtime};
use super::{Contender, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// How many commands of a stream it takes from its channel before it writes. By its documentation anything from 32 to 128 does; at 128
/// its streams cost it a sixth less than at the default of 48, above that nothing changes. Pipelines are no matter of this.
const WAVE: usize = 128;

/// Connects.
pub(crate) fn start(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    let mut nodes: Vec<(String, u16)> =
        setup.nodes.iter().map(|node| (node.ip().to_string(), node.port())).collect();
    let mut config = Config::default();
    config.max_messages_per_wave = WAVE;
    config.server = match setup.cluster {
        true => {
            let mut cluster = ClusterConfig::default();
            cluster.nodes = nodes;
            ServerConfig::Cluster(cluster)
        }
        false => {
            let (host, port) = nodes.pop().context("the target has no node")?;
            ServerConfig::Standalone { host, port }
        }
    };
    if let Some((user, password)) = &setup.credentials {
        config.username.clone_from(user);
        config.password = Some(password.clone());
    }
    let runtime = runtime()?;
    let client = runtime.block_on(Client::connect(config)).context("rustis cannot connect")?;
    Ok(Box::new(OnTokio { peer: Rustis { client }, runtime }))
}

struct Rustis {
    client: Client,
}

impl Peer for Rustis {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), env!("VERSION_OF_RUSTIS").into()),
            ("connections per node".into(), "1".into()),
            ("protocol".into(), "RESP3, its only one".into()),
            ("batch".into(), "Pipeline; replies looked at in place, not copied".into()),
            ("commands per wave of a stream, at most".into(), format!("{WAVE}; its default is 48")),
            ("timeouts".into(), "none for commands, its default".into()),
        ]
    }

    async fn single(&self, plan: &Plan, op: Op) -> Result<Reply> {
        let (client, key) = (&self.client, RefBulkString::new(plan.key(op)));
        let reply: Result<Seen, Error> = match op.verb {
            Verb::Set => client.set(key, RefBulkString::new(&plan.value)).await.map(|()| Seen::Text),
            Verb::Get => client.get(key).await,
            Verb::IncrBy => client.incrby(key, INCREMENT).await.map(|_| Seen::Integer),
            Verb::Expire => client.expire(key, EXPIRE_S as u64, None).await.map(|_| Seen::Integer),
        };
        match reply {
            Ok(seen) => Ok(Reply::expected(seen.is_expected(op.verb))),
            Err(error) => of_server(error).map(|()| Reply::Wrong),
        }
    }

    async fn batch(&self, plan: &Plan, ops: &[Op]) -> Result<u64> {
        let mut pipeline = self.client.create_pipeline();
        pipeline.reserve(ops.len());
        for &op in ops {
            let key = RefBulkString::new(plan.key(op));
            match op.verb {
                Verb::Set => pipeline.set(key, RefBulkString::new(&plan.value)).queue(),
                Verb::Get => pipeline.get::<()>(key).queue(),
                Verb::IncrBy => pipeline.incrby(key, INCREMENT).queue(),
                Verb::Expire => pipeline.expire(key, EXPIRE_S as u64, None).queue(),
            }
        }
        match pipeline.execute::<Vec<Seen>>().await {
            Ok(replies) if replies.len() == ops.len() => {
                let wrong = ops.iter().zip(&replies).filter(|(op, seen)| !seen.is_expected(op.verb));
                Ok(wrong.count() as u64)
            }
            Ok(replies) => bail!("{} commands have {} replies", ops.len(), replies.len()),
            // It gives up at the first error among the replies: there is one at least.
            Err(error) => of_server(error).map(|()| 1),
        }
    }
}

/// An error of the client ends the round, one of the server is counted.
fn of_server(error: Error) -> Result<()> {
    match error.kind() {
        ErrorKind::Redis(_) => Ok(()),
        _ => Err(error.into()),
    }
}

/// The kind of a reply. Its value is looked at where it lies: the type decides how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Text,
    Bytes,
    Integer,
    Null,
}

impl Seen {
    fn is_expected(self, verb: Verb) -> bool {
        match verb {
            Verb::Set => self == Seen::Text,
            Verb::Get => matches!(self, Seen::Bytes | Seen::Null),
            Verb::IncrBy | Verb::Expire => self == Seen::Integer,
        }
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl Visitor<'_> for Look {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status, a value, an integer or null")
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Text)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Seen, E> {
        Ok(Seen::Bytes)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Integer)
    }

    fn visit_none<E>(self) -> Result<Seen, E> {
        Ok(Seen::Null)
    }
}
