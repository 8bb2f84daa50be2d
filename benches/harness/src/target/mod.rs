//! What the contenders talk to.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use panpipe::testkit::EmbeddedCluster;
use serde::{Deserialize, Serialize};

use crate::contender::Setup;

mod servers;
mod sink;
mod sink_replies;

/// The kinds of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Threads of this program that answer at once: the client is the bottleneck.
    Sink,
    /// The library's model of a cluster: real replies, one thread.
    Model,
    /// A cluster of Redis 7.0, started here.
    #[value(name = "redis-7.0")]
    #[serde(rename = "redis-7.0")]
    Redis70,
    /// A cluster of Redis 8.2, started here.
    #[value(name = "redis-8.2")]
    #[serde(rename = "redis-8.2")]
    Redis82,
    /// A cluster of Valkey 9.1, started here.
    #[value(name = "valkey-9.1")]
    #[serde(rename = "valkey-9.1")]
    Valkey91,
}

/// A target, described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    /// Another cluster instead, which runs already.
    pub(crate) url: Option<String>,
    pub(crate) nodes: usize,
    /// Between a command and its reply, on the sink and the model.
    pub(crate) delay_us: u64,
    /// One server without a cluster.
    pub(crate) standalone: bool,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = &self.url {
            return write!(f, "{}", without_password(url));
        }
        let kind =
            self.kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        match self.standalone {
            true => write!(f, "{kind}, standalone")?,
            false => write!(f, "{kind}, {} nodes", self.nodes)?,
        }
        match self.delay_us {
            0 => Ok(()),
            delay_us => write!(f, ", {delay_us} us away"),
        }
    }
}

/// A URL as it may be shown.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((_secret, address)) => format!("{scheme}://{address}"),
        None => url.to_owned(),
    }
}

/// A target that runs; it ends when this is dropped.
pub(crate) struct Target {
    nodes: Vec<SocketAddr>,
    credentials: Option<(Option<String>, String)>,
    cluster: bool,
    /// Whether it keeps what is written.
    pub(crate) keeps_values: bool,
    _running: Running,
}

enum Running {
    /// Its threads end with the process.
    Sink,
    Model {
        _cluster: EmbeddedCluster,
    },
    Servers {
        _servers: servers::Servers,
    },
    Elsewhere,
}

impl Target {
    /// Starts it. `value_bytes` is the size of the values that the sink answers with.
    ///
    /// # Errors
    /// Where it cannot be started, with what to do about it.
    pub(crate) fn start(spec: &Spec, value_bytes: usize) -> Result<Target> {
        if let Some(url) = &spec.url {
            return elsewhere(url);
        }
        if spec.nodes == 0 {
            bail!("a target has one node at least");
        }
        let cluster = !spec.standalone;
        let (nodes, keeps_values, running) = match spec.kind {
            Kind::Sink => {
                let delay = Duration::from_micros(spec.delay_us);
                let nodes =
                    sink::start(spec.nodes, cluster, delay, value_bytes).context("the sink cannot start")?;
                (nodes, false, Running::Sink)
            }
            Kind::Model => {
                let builder = EmbeddedCluster::builder().primaries(spec.nodes).delay_ms(spec.delay_us / 1000);
                let cluster = builder.start().context("the model cannot start")?;
                (cluster.addresses(), true, Running::Model { _cluster: cluster })
            }
            Kind::Redis70 | Kind::Redis82 | Kind::Valkey91 => {
                if spec.delay_us > 0 {
                    bail!("servers have no delay; the sink and the model have");
                }
                let servers = servers::Servers::start(spec.kind, spec.nodes, spec.standalone)?;
                (servers.addresses(), true, Running::Servers { _servers: servers })
            }
        };
        Ok(Target { nodes, credentials: None, cluster, keeps_values, _running: running })
    }

    /// What contenders are told of it.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            nodes: self.nodes.clone(),
            credentials: self.credentials.clone(),
            cluster: self.cluster,
            spin_us: 0,
            flush_policy: crate::contender::Flush::Explicit,
        }
    }
}

/// A cluster that runs already: its primaries are asked for, because some contenders do not ask.
fn elsewhere(url: &str) -> Result<Target> {
    let config = panpipe::Config::from_url(url)?;
    let credentials =
        config.password.as_ref().map(|password| (config.username.clone(), password.expose().to_owned()));
    let client = panpipe::Client::connect_with(config)?;
    let mut nodes = Vec::new();
    for node in client.nodes() {
        if let Some(endpoint) = node.endpoint.filter(|_| !node.slots.is_empty()) {
            let (host, port) = (endpoint.host.as_str(), endpoint.port);
            let mut found =
                (host, port).to_socket_addrs().with_context(|| format!("cannot resolve {host}"))?;
            nodes.extend(found.next());
        }
    }
    Ok(Target { nodes, credentials, cluster: true, keeps_values: true, _running: Running::Elsewhere })
}
