//! Where the records go: a cluster of three nodes, and one node that owns all slots for those that know no clusters.
//!
//! Invariant: what is said to have arrived was counted by the servers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, bail};

use super::entrants::Place;
use crate::contender::Setup;
use crate::target::{Kind, Spec, Target};

/// The targets of one race.
pub(super) struct Ends {
    cluster: Target,
    cluster_nodes: Vec<SocketAddr>,
    _single: Target,
    single_nodes: Vec<SocketAddr>,
    /// Whether they keep what is written.
    pub(super) keeps: bool,
}

/// Of the replies that nobody asks for.
const VALUE_BYTES: usize = 64;

impl Ends {
    /// Starts both.
    pub(super) fn start(kind: Kind, nodes: usize) -> Result<Ends> {
        let spec = |nodes| Spec { kind, url: None, nodes, delay_us: 0, standalone: false };
        let cluster = Target::start(&spec(nodes), VALUE_BYTES)?;
        let single = Target::start(&spec(1), VALUE_BYTES)?;
        Ok(Ends {
            cluster_nodes: cluster.setup().nodes,
            single_nodes: single.setup().nodes,
            keeps: cluster.keeps_values,
            cluster,
            _single: single,
        })
    }

    /// What contenders of the harness are told of the cluster.
    pub(super) fn setup(&self) -> Setup {
        self.cluster.setup()
    }

    /// Who gets the records: the first is the one that is named to a program.
    pub(super) fn of(&self, place: Place) -> &[SocketAddr] {
        match place {
            Place::Three | Place::OneOfThree | Place::Nowhere => &self.cluster_nodes,
            Place::One => &self.single_nodes,
        }
    }
}

/// Forgets what earlier rounds have written: each loads into empty servers.
pub(super) fn empty(nodes: &[SocketAddr], keeps: bool) -> Result<()> {
    for &node in nodes.iter().filter(|_| keeps) {
        let answer = ask(node, "FLUSHALL SYNC")?;
        if answer != "+OK" {
            bail!("{node} does not forget: {answer}");
        }
    }
    Ok(())
}

/// How many keys there are now, where anything is kept.
pub(super) fn stored(nodes: &[SocketAddr], keeps: bool) -> Result<Option<u64>> {
    if !keeps {
        return Ok(None);
    }
    let mut keys = 0;
    for &node in nodes {
        let answer = ask(node, "DBSIZE")?;
        let Some(count) = answer.strip_prefix(':').and_then(|count| count.parse::<u64>().ok()) else {
            bail!("{node} does not count: {answer}");
        };
        keys += count;
    }
    Ok(Some(keys))
}

fn ask(node: SocketAddr, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(node)?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
