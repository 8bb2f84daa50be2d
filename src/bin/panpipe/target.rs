//! Which cluster: the `--url` option, and the connection to what it names.

use panpipe::{Client, Config};

use crate::failure::Failure;

/// The name under which servers list our connections.
const CLIENT_NAME: &str = "panpipe-cli";

/// How `--url` is described.
pub(crate) const URL_HELP: &str = "\
Cluster URL: redis://[user:password@]host:port[,host:port...][?timeout_ms=...]; any one node is enough. \
`@FILE` reads it from a file, which keeps a password out of the process list";

/// Reads the option's value.
pub(crate) fn configuration(text: &str) -> Result<Config, Failure> {
    let from_file = match text.strip_prefix('@') {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("--url: cannot read the address from the file {path}: {error}"))
        })?),
        None => None,
    };
    let url = from_file.as_deref().unwrap_or(text).trim();
    let mut config = Config::from_url(url).map_err(|error| Failure::usage(format!("--url: {error}")))?;
    config.client_name.get_or_insert_with(|| CLIENT_NAME.to_owned());
    Ok(config)
}

/// Connects, and learns the topology.
pub(crate) fn connect(config: Config) -> Result<Client, Failure> {
    Client::connect_with(config).map_err(|error| Failure::no_cluster(&error))
}
