//! The transport that a test's clients use: `PANPIPE_TEST_TRANSPORT` says which, and mio it is where it says nothing.
//!
//! Every test that makes a client over sockets makes it here, so that `tests/run` can run it once per transport; the tidy test sees to it.
#![allow(dead_code, reason = "each program that includes this module uses a part of it")]

use panpipe::{Client, Config, Result, Transport};

const VARIABLE: &str = "PANPIPE_TEST_TRANSPORT";

/// The transport that is tested.
pub(crate) fn chosen() -> Transport {
    match std::env::var_os(VARIABLE).as_ref().map(|name| name.to_str()) {
        None | Some(Some("mio")) => Transport::Mio,
        Some(Some("uring")) => Transport::Uring,
        Some(other) => panic!("{VARIABLE} is mio or uring, or not set, and not {other:?}"),
    }
}

/// The address with the transport as a parameter, for a program that is given nothing else.
pub(crate) fn url(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}transport={}", chosen())
}

/// `Client::connect` over the transport that is tested.
pub(crate) fn connect(url: &str) -> Result<Client> {
    connect_with(Config::from_url(url)?)
}

/// `Client::connect_with` over the transport that is tested.
pub(crate) fn connect_with(mut config: Config) -> Result<Client> {
    config.transport = chosen();
    let client = Client::connect_with(config)?;
    assert_eq!(client.transport().kind(), chosen(), "the client runs over what it was told");
    Ok(client)
}
