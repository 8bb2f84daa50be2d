//! What has to happen before a client without a client library can send: who owns which slot, and a connection to each.
//!
//! Nothing here runs while a clock does; so the cluster is asked with the library itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};

use anyhow::{Context as _, Result, bail};
use panpipe::config::{Config, Endpoint, Secret};
use panpipe::slot::SLOT_COUNT;

use crate::contender::Setup;

/// The node of each slot, as an index into the setup's nodes.
pub(in crate::contender) type Routes = Box<[u16; SLOT_COUNT as usize]>;

/// Asks the cluster who owns what.
///
/// # Errors
/// Where it does not answer, has a hole, or names a node that the setup does not have.
pub(in crate::contender) fn routes(setup: &Setup) -> Result<Routes> {
    let mut routes: Routes = Box::new([0; SLOT_COUNT as usize]);
    if !setup.cluster {
        return Ok(routes);
    }
    let seeds = setup.nodes.iter().map(|node| Endpoint::new(node.ip().to_string(), node.port()));
    let mut config = Config::from_seeds(seeds);
    if let Some((user, password)) = &setup.credentials {
        config.username.clone_from(user);
        config.password = Some(Secret::new(password.clone()));
    }
    let client = panpipe::Client::connect_with(config).context("the cluster does not say who owns what")?;
    let mut owned = 0;
    for info in client.nodes().iter().filter(|info| !info.slots.is_empty()) {
        let Some(endpoint) = &info.endpoint else { bail!("a node that owns slots has no address") };
        let addresses: Vec<SocketAddr> = (endpoint.host.as_str(), endpoint.port).to_socket_addrs()?.collect();
        let Some(node) = setup.nodes.iter().position(|node| addresses.contains(node)) else {
            bail!("{}:{} owns slots and is none of the target's nodes", endpoint.host, endpoint.port);
        };
        for &(first, last) in &info.slots {
            routes[usize::from(first)..=usize::from(last)].fill(u16::try_from(node)?);
            owned += usize::from(last - first) + 1;
        }
    }
    if owned != usize::from(SLOT_COUNT) {
        bail!("only {owned} slots have an owner");
    }
    Ok(routes)
}

/// A blocking connection to each node, authenticated where that is asked for.
///
/// # Errors
/// Where a node refuses.
pub(in crate::contender) fn connect(setup: &Setup) -> Result<Vec<TcpStream>> {
    setup.nodes.iter().map(|&node| open(node, setup)).collect()
}

fn open(node: SocketAddr, setup: &Setup) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(node).with_context(|| format!("cannot connect to {node}"))?;
    stream.set_nodelay(true)?;
    let Some((user, password)) = &setup.credentials else { return Ok(stream) };
    let words: Vec<&str> = ["AUTH"].into_iter().chain(user.as_deref()).chain([password.as_str()]).collect();
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())?;
    // Nothing else is under way: no reply can be lost in this buffer.
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    if answer != "+OK\r\n" {
        bail!("{node} refuses the password: {}", answer.trim());
    }
    Ok(stream)
}
