//! Which cluster, and over what: the options `--url` and `--transport`, and the connection to what they name.

use std::io::Write;

use clap::ValueEnum;
use panpipe::config::Transport;
use panpipe::transport::Net;
use panpipe::{Client, Config};

use crate::failure::Failure;

/// The name under which servers list our connections.
pub(crate) const CLIENT_NAME: &str = "panpipe-cli";

/// How `--url` is described.
pub(crate) const URL_HELP: &str = "\
Cluster URL: redis://[user:password@]host:port[,host:port...][?timeout_ms=...]; any one node is enough. \
`@FILE` reads it from a file, which keeps a password out of the process list";

/// What `--transport` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportChoice {
    /// Nonblocking sockets and epoll or its like: everywhere, always
    Mio,
    /// io_uring: less processor time for pipelines over several nodes; Linux 6.1 or later, and an error where the system refuses it
    Uring,
    /// io_uring where the system allows it, else mio; which one it became is said on standard error
    Auto,
}

impl From<TransportChoice> for Transport {
    fn from(choice: TransportChoice) -> Self {
        match choice {
            TransportChoice::Mio => Transport::Mio,
            TransportChoice::Uring => Transport::Uring,
            TransportChoice::Auto => Transport::Auto,
        }
    }
}

/// Reads the options' values. A transport that is given goes before the one that the URL names.
pub(crate) fn configuration(text: &str, transport: Option<TransportChoice>) -> Result<Config, Failure> {
    let from_file = match text.strip_prefix('@') {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("--url: cannot read the address from the file {path}: {error}"))
        })?),
        None => None,
    };
    let url = from_file.as_deref().unwrap_or(text).trim();
    let mut config = Config::from_url(url).map_err(|error| Failure::usage(format!("--url: {error}")))?;
    config.client_name.get_or_insert_with(|| CLIENT_NAME.to_owned());
    config.transport = transport.map_or(config.transport, Transport::from);
    Ok(config)
}

/// Connects, and learns the topology.
pub(crate) fn connect(config: Config) -> Result<Client, Failure> {
    let asked = config.transport;
    let net = Net::open(&config).map_err(|error| match asked {
        Transport::Uring => Failure::usage(format!("--transport uring: {error}"))
            .hint("--transport auto takes io_uring where the system allows it, and mio elsewhere"),
        _ => Failure::no_cluster(&error),
    })?;
    if asked == Transport::Auto {
        let why = net.refusal().map_or_else(String::new, |refusal| format!(", not uring: {refusal}"));
        // A closed standard error loses a remark, no more.
        let _ = writeln!(std::io::stderr(), "panpipe: the transport is {}{why}", net.kind());
    }
    Client::with_transport(config, net).map_err(|error| Failure::no_cluster(&error))
}
