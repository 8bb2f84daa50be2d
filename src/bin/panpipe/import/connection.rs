//! From redis-cli's flags to a configuration of the client.

use panpipe::config::Secret;
use panpipe::{Config, Endpoint, Transport};

use super::arguments::ClusterArgs;
use crate::failure::Failure;
use crate::target::{self, TransportChoice};

/// Where redis-cli looks for a password, too.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";

/// While a slot is handed over, two servers can name each other for seconds. A service wants to hear of that; a load has time, and loses a
/// record by it: this is a quarter of a minute, with the pauses between.
const HOPS_MAX: u8 = u8::MAX;

/// Reads the flags. A password that is given goes before the one in the environment, and that before the URL's.
pub(super) fn configuration(
    args: &ClusterArgs,
    transport: Option<TransportChoice>,
) -> Result<Config, Failure> {
    refuse_tls(args)?;
    let mut config = match &args.url {
        Some(url) => target::configuration(url, transport)?,
        None => at_node(args, transport),
    };
    let from_environment = || std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty());
    if let Some(password) = args.password.clone().or_else(from_environment) {
        config.password = Some(Secret::new(password));
    }
    if let Some(user) = &args.user {
        config.username = Some(user.clone());
        // A user without a password (ACL `nopass`) still has to be named.
        config.password.get_or_insert_with(|| Secret::new(""));
    }
    if config.hops_max == Config::default().hops_max {
        config.hops_max = HOPS_MAX;
    }
    Ok(config)
}

fn at_node(args: &ClusterArgs, transport: Option<TransportChoice>) -> Config {
    let mut config = Config::from_seeds([Endpoint::new(args.host.clone(), args.port)]);
    config.client_name = Some(target::CLIENT_NAME.to_owned());
    config.transport = transport.map_or(config.transport, Transport::from);
    config
}

fn refuse_tls(args: &ClusterArgs) -> Result<(), Failure> {
    let given = [
        ("--tls", args.tls),
        ("--cacert", args.cacert.is_some()),
        ("--cert", args.cert.is_some()),
        ("--key", args.key.is_some()),
        ("--sni", args.sni.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => Err(Failure::usage(format!("{flag}: this build has no TLS yet"))
            .hint("connect to the servers' plain port, or through a TLS tunnel (stunnel) per node")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(words: &[&str]) -> ClusterArgs {
        let line = ["import", "file.resp"].iter().chain(words).copied();
        Line::try_parse_from(line).unwrap_or_else(|error| panic!("{words:?}: {error}")).options.cluster
    }

    #[test]
    fn spellings_are_those_of_redis_cli() {
        let config = configuration(&parse(&["-h", "node1", "-p", "7001", "-a", "-x", "--user", "ada"]), None);
        let config = config.expect("a configuration");
        assert_eq!(config.seeds, [Endpoint::new("node1", 7001)]);
        assert_eq!(config.password.as_ref().map(Secret::expose), Some("-x"));
        assert_eq!(config.username.as_deref(), Some("ada"));
        let config = configuration(&parse(&["-u", "redis://ada:pw@n:1", "--pass", "other"]), None);
        let config = config.expect("a configuration");
        assert_eq!(config.seeds, [Endpoint::new("n", 1)]);
        assert_eq!(config.password.as_ref().map(Secret::expose), Some("other"));
    }

    #[test]
    fn tls_is_refused_by_name() {
        for flags in [&["--tls"][..], &["--cacert", "x"], &["--key", "x"], &["--sni", "x"]] {
            let failure = configuration(&parse(flags), None).expect_err("refused");
            assert_eq!(failure.code, crate::failure::USAGE);
            assert!(format!("{failure:?}").contains(flags[0]), "{failure:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let args = parse(&["-a", "hunter2", "--user", "ada"]);
        assert!(!format!("{args:?}").contains("hunter2"));
        let args = parse(&["-u", "redis://:hunter2@n:1"]);
        assert!(!format!("{args:?}").contains("hunter2"));
    }
}
