//! fred on tokio: a future per command, all of a batch at once; its router writes what is queued and flushes when the queue is empty.
//!
//! Its own `Pipeline` works across the nodes of a cluster too, but the router then sees an empty queue behind each command and flushes
//! the socket each time: about three times the processor time, so that it is not what is measured.

use anyhow::{Context as _, Result};
use fred::bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, KeysInterface as _};
use fred::types::config::{ClusterDiscoveryPolicy, Config, Server, ServerConfig};
use fred::types::{Builder, Value};

use super::on_tokio::{OnTokio, Peer, Reply, runtime};
use super::{Contender, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// Connects.
pub(crate) fn start(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    let mut hosts: Vec<Server> =
        setup.nodes.iter().map(|node| Server::new(node.ip().to_string(), node.port())).collect();
    let server = match setup.cluster {
        true => ServerConfig::Clustered { hosts, policy: ClusterDiscoveryPolicy::default() },
        false => ServerConfig::Centralized { server: hosts.pop().context("the target has no node")? },
    };
    let (username, password) = match &setup.credentials {
        Some((username, password)) => (username.clone(), Some(password.clone())),
        None => (None, None),
    };
    let config = Config { server, username, password, ..Config::default() };
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        let client = Builder::from_config(config).build()?;
        client.init().await?;
        Ok::<_, Error>(client)
    });
    let client = client.context("fred cannot connect")?;
    let value = Bytes::copy_from_slice(&plan.value);
    Ok(Box::new(OnTokio { peer: Fred { client, value }, runtime }))
}

struct Fred {
    client: Client,
    /// Shared by all commands: it takes reference-counted bytes.
    value: Bytes,
}

impl Peer for Fred {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), env!("VERSION_OF_FRED").into()),
            ("connections per node".into(), "1".into()),
            ("protocol".into(), "RESP2, its default".into()),
            (
                "batch".into(),
                "a future per command, FuturesUnordered: a third of what its Pipeline costs".into(),
            ),
            ("frames fed before a flush, at most".into(), "200, its default".into()),
            ("timeouts".into(), "none for commands, its default".into()),
        ]
    }

    async fn single(&self, plan: &Plan, op: Op) -> Result<Reply> {
        let key = plan.key(op).as_slice();
        let reply: Result<Value, Error> = match op.verb {
            Verb::Set => self.client.set(key, self.value.clone(), None, None, false).await,
            Verb::Get => self.client.get(key).await,
            Verb::IncrBy => self.client.incr_by(key, INCREMENT).await,
            Verb::Expire => self.client.expire(key, EXPIRE_S, None).await,
        };
        judged(op.verb, reply)
    }
}

fn judged(verb: Verb, reply: Result<Value, Error>) -> Result<Reply> {
    match reply {
        Ok(reply) => Ok(Reply::expected(match verb {
            Verb::Set => reply.is_ok(),
            Verb::Get => matches!(reply, Value::String(_) | Value::Bytes(_) | Value::Null),
            Verb::IncrBy | Verb::Expire => matches!(reply, Value::Integer(_)),
        })),
        Err(error) => match error.kind() {
            // Its kinds are the client's; what the server says comes under these.
            ErrorKind::InvalidCommand | ErrorKind::InvalidArgument | ErrorKind::Unknown => Ok(Reply::Wrong),
            _ => Err(error.into()),
        },
    }
}
