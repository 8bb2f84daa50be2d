//! Real servers, started for a race and ended after it: those that the library's tests run against, installed the same way.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Kind;

#[path = "../../../../tests/servers/mod.rs"]
#[allow(unreachable_pub, reason = "it belongs to the tests")]
mod support;

use support::{Cluster, ClusterOptions, Server, Version};

/// Persistence off: a fork or an fsync in the middle of a round says nothing about a client.
const ARGS: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// Running servers.
pub(super) enum Servers {
    Cluster(Cluster),
    Standalone(Server),
}

impl Servers {
    /// Starts primaries without replicas, or a single server.
    pub(super) fn start(kind: Kind, nodes: usize, standalone: bool) -> Result<Servers> {
        install()?;
        let version = match kind {
            Kind::Redis70 => Version::Redis70,
            Kind::Redis82 => Version::Redis82,
            Kind::Valkey91 => Version::Valkey91,
            Kind::Sink | Kind::Model => bail!("{kind:?} is no real server"),
        };
        if standalone {
            return Ok(Servers::Standalone(Server::start(version, &ARGS)));
        }
        let args = ARGS.iter().map(|&arg| arg.to_owned()).collect();
        let options = ClusterOptions { args, ..ClusterOptions::default() };
        Ok(Servers::Cluster(Cluster::start_with(version, nodes, 0, options)))
    }

    /// Where they listen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Servers::Cluster(cluster) => cluster.nodes().iter().map(|node| node.server.address()).collect(),
            Servers::Standalone(server) => vec![server.address()],
        }
    }
}

/// Gets the servers, unless they are there.
fn install() -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/install");
    let output = Command::new("python3")
        .arg(&script)
        .output()
        .with_context(|| format!("cannot run {} with python3", script.display()))?;
    if !output.status.success() {
        bail!("the servers cannot be installed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
