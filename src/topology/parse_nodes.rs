//! Reads the text of CLUSTER NODES.
//!
//! ```text
//! <id> <ip:port@cport[,hostname[,name=value]*]> <flags> <primary> <ping> <pong> <epoch> <link> <slot> …
//! 07c3… 10.0.0.1:7000@17000,a.example,shard-id=6f… myself,master - 0 0 1 connected 0-5460 9000 [93->-ab12…]
//! 9fd7… 10.0.0.4:7003@17003 slave 07c3… 0 1700000000000 1 connected
//! ```
//!
//! Knows the line format of <https://redis.io/docs/latest/commands/cluster-nodes/> and its older forms (no
//! `@cport` before 4.0, no host name before 7.0). A line or a slot that does not follow it is skipped: what is
//! left is still one node's honest view, and a view with holes takes nobody's slots away.
//!
//! Here the address is always the IP, whatever `cluster-preferred-endpoint-type` says; the host name is an alias.

use super::announced::{self, Host};
use super::build::{Builder, Mention};
use super::snapshot::{Snapshot, SnapshotError, VIEW_BYTES_MAX};
use crate::config::Endpoint;

/// Reads the text of a CLUSTER NODES reply that `asked` gave.
///
/// A slot that is being migrated belongs to its source until the migration ends, so `[93->-id]` and `[93-<-id]`
/// are no claims.
///
/// # Errors
///
/// A view without slots, one that gives a slot to two nodes, one that is too large.
pub fn parse_nodes(text: &[u8], asked: &Endpoint) -> Result<Snapshot, SnapshotError> {
    if text.len() > VIEW_BYTES_MAX {
        return Err(SnapshotError::Malformed("the view is too long"));
    }
    let lines: Vec<Line<'_>> =
        text.split(|&byte| byte == b'\n').filter_map(|line| Line::read(line.trim_ascii(), asked)).collect();
    let mut builder = Builder::default();
    let mut replicas = Vec::new();
    for line in lines {
        let Some(primary_id) = line.primary_id else {
            if let Some(at) = builder.primary(line.mention)? {
                for (start, end) in line.slots.split(' ').filter_map(slot_range) {
                    builder.range(start, end, at);
                }
            }
            continue;
        };
        replicas.push((line.mention, primary_id));
    }
    // A replica may be listed before its primary. One whose primary is not listed is of no use.
    for (mention, primary_id) in replicas {
        if let Some(primary) = builder.by_id(primary_id) {
            builder.replica(mention, primary)?;
        }
    }
    builder.finish()
}

struct Line<'a> {
    mention: Mention,
    /// Of a replica: the id of its primary, `-` where it has none yet.
    primary_id: Option<&'a str>,
    /// The words from the ninth on.
    slots: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8], asked: &Endpoint) -> Option<Line<'a>> {
        let mut words = str::from_utf8(line).ok()?.splitn(9, ' ');
        let id = announced::node_id(Some(words.next()?.as_bytes()));
        let address = words.next()?;
        let flags = Flags::read(words.next()?);
        let primary_id = words.next()?;
        let _ping = words.next()?;
        let _pong = words.next()?;
        let epoch = words.next()?;
        let _link = words.next()?;
        let slots = words.next().unwrap_or("");
        // A node in handshake has an id that it made up.
        if id.is_empty() || flags.handshake {
            return None;
        }
        let (endpoint, aliases) = read_address(address, &flags, asked)?;
        Some(Line {
            mention: Mention {
                id,
                endpoint,
                aliases,
                health_ok: !flags.failing,
                config_epoch: epoch.parse().ok(),
            },
            primary_id: match flags.is_primary? {
                true => None,
                false => Some(primary_id),
            },
            slots,
        })
    }
}

#[derive(Default)]
struct Flags {
    myself: bool,
    /// `None`: neither, a node that is not known well yet (`noflags`).
    is_primary: Option<bool>,
    failing: bool,
    handshake: bool,
    no_address: bool,
}

impl Flags {
    fn read(text: &str) -> Flags {
        let mut flags = Flags::default();
        for flag in text.split(',') {
            match flag {
                "myself" => flags.myself = true,
                "master" | "primary" => flags.is_primary = Some(true),
                "slave" | "replica" => flags.is_primary = Some(false),
                // `fail?`: the asked node alone does not reach it.
                "fail" | "fail?" => flags.failing = true,
                "handshake" => flags.handshake = true,
                "noaddr" => flags.no_address = true,
                // `noflags`, `nofailover`, and what servers will add.
                _ => {}
            }
        }
        flags
    }
}

/// `ip:port@cport,hostname,name=value…`; `None` where it is malformed.
fn read_address(text: &str, flags: &Flags, asked: &Endpoint) -> Option<(Option<Endpoint>, Vec<Endpoint>)> {
    let (address, more) = text.split_once(',').unwrap_or((text, ""));
    let (ip_port, _bus_port) = address.split_once('@').unwrap_or((address, ""));
    let (ip, port) = ip_port.rsplit_once(':')?;
    let port = announced::port(port.parse().ok()?, asked)?;
    let endpoint = match Host::read(ip.as_bytes()) {
        _ if flags.no_address => None,
        // Only the asked node itself may not know its IP; it is where we asked.
        Host::Asked if !flags.myself => None,
        host => host.endpoint(port, asked),
    };
    // A `name=value` in its place is no host.
    let alias = more.split(',').next().and_then(|name| Host::read(name.as_bytes()).alias(port));
    Some((endpoint, alias.into_iter().collect()))
}

/// `93` or `0-5460`; `None` for everything else, migrations too.
fn slot_range(word: &str) -> Option<(u16, u16)> {
    let (start, end) = word.split_once('-').unwrap_or((word, word));
    Some((start.parse().ok()?, end.parse().ok()?))
}

#[cfg(test)]
mod tests;
