//! A node's address: host and port.
//!
//! Knows how people write addresses. Refuses to know how they are resolved or reached.
//! Invariant of everything [`str::parse`] accepts: the host is not empty, holds only characters that a host
//! name or an IP literal can have, and the port is not 0.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::error::{Error, Result};

/// The port of an address that names none.
const PORT_DEFAULT: u16 = 6379;

/// The longest host name in bytes (RFC 1035 section 2.3.4, without the root label).
const HOST_BYTES_MAX: usize = 253;

/// A node's address as somebody wrote it: a host name or an IP literal, and a port.
///
/// Parsed from `host:port`, `host` (port 6379), `[::1]:6379` or `[::1]`; printed so that it can be parsed again.
///
/// ```
/// use panpipe::config::Endpoint;
///
/// let seed: Endpoint = "cache-1.example:7000".parse()?;
/// assert_eq!(seed, Endpoint::new("cache-1.example", 7000));
/// assert_eq!("[::1]".parse::<Endpoint>()?.to_string(), "[::1]:6379");
/// # Ok::<(), panpipe::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host name or IP literal, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from its two parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Endpoint { host: host.into(), port }
    }

    /// The socket address, where the host is an IP literal (which is never resolved).
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host.parse().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Whether this is that host and port. Host names know no case (RFC 4343).
    pub fn is_at(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host.eq_ignore_ascii_case(host)
    }

    /// What is wrong with the text, in words that repeat nothing of it: it may hold a misplaced password.
    pub(super) fn parse_text(text: &str) -> std::result::Result<Endpoint, &'static str> {
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or("a '[' without its ']'")?;
            let ip: Ipv6Addr =
                inside.parse().map_err(|_| "what stands in brackets is not an IPv6 address")?;
            return match after.strip_prefix(':') {
                Some(port) => Ok(Endpoint::new(ip.to_string(), parse_port(port)?)),
                None if after.is_empty() => Ok(Endpoint::new(ip.to_string(), PORT_DEFAULT)),
                None => Err("only a ':' and a port may follow the ']'"),
            };
        }
        let (host, port) = match text.split_once(':') {
            // `::1:7000` is an IPv6 address as a whole and an address with a port: nobody can tell.
            Some((_, rest)) if rest.contains(':') => {
                return Err("more than one ':'; write an IPv6 address in brackets, [::1]:7000");
            }
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, PORT_DEFAULT),
        };
        if host.is_empty() {
            return Err("the host is missing");
        }
        if !is_host(host) {
            return Err("the host has a character that no host name has, or is longer than 253 bytes");
        }
        Ok(Endpoint::new(host, port))
    }
}

fn parse_port(text: &str) -> std::result::Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port != 0).ok_or("the port is not a number from 1 to 65535")
}

/// Whether a text can be a host name or an IP literal (without brackets).
///
/// Names come from servers too, and go to the resolver and into messages: letters, digits and `-._` for names,
/// `:` and `%` for IPv6 literals, nothing else.
pub(crate) fn is_host(text: &str) -> bool {
    if text.is_empty() || text.len() > HOST_BYTES_MAX {
        return false;
    }
    let name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    // A scope such as %eth0 belongs to the address but not to what the standard library parses.
    let address = || {
        let (ip, scope) = text.split_once('%').unwrap_or((text, "0"));
        ip.parse::<IpAddr>().is_ok()
            && !scope.is_empty()
            && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    name || address()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Endpoint::parse_text(text.trim()).map_err(|what| {
            Error::config(format!(
                "a node's address: {what}; right ones: 10.0.0.1:7000, cache-1.example:7000, [::1]:7000"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<Endpoint>().unwrap_err().to_string()
    }

    #[test]
    fn accepts_the_usual_spellings() {
        for (text, host, port) in [
            ("10.0.0.1:7000", "10.0.0.1", 7000),
            ("cache-1.example:7000", "cache-1.example", 7000),
            ("under_score.svc", "under_score.svc", 6379),
            ("[::1]:7002", "::1", 7002),
            ("[::1]", "::1", 6379),
            (" localhost:1 ", "localhost", 1),
            ("localhost:65535", "localhost", 65535),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap(), Endpoint::new(host, port), "{text}");
        }
    }

    #[test]
    fn writes_ipv6_the_way_servers_do() {
        assert_eq!("[0:0:0::0001]:1".parse::<Endpoint>().unwrap().host, "::1");
    }

    #[test]
    fn prints_what_it_parses() {
        for text in ["10.0.0.1:7000", "[2001:db8::1]:7000", "a.example:1"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_the_text() {
        for (text, what) in [
            ("", "host is missing"),
            (":7000", "host is missing"),
            ("h:", "port is not a number"),
            ("h:0", "port is not a number"),
            ("h:65536", "port is not a number"),
            ("h:+7", "port is not a number"),
            ("user:hunter2", "port is not a number"),
            ("::1:7000", "IPv6 address in brackets"),
            ("[::1", "without its ']'"),
            ("[hunter2]:1", "not an IPv6 address"),
            ("[::1]7000", "only a ':' and a port"),
            ("hunter2@h:1", "character that no host name has"),
            ("ho st:1", "character that no host name has"),
            ("hö:1", "character that no host name has"),
        ] {
            let message = problem(text);
            assert!(message.contains(what), "{text}: {message}");
            assert!(message.contains("10.0.0.1:7000"), "no example: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(problem(&"a".repeat(254)).contains("longer than 253"));
    }

    #[test]
    fn hosts_from_servers_are_names_or_addresses() {
        for host in ["10.0.0.1", "::1", "fe80::1%eth0", "a-b_c.example"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "?", "a b", "a:b", "fe80::1%", "%eth0", "a\n", "a/b", "u@h"] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn host_names_know_no_case() {
        assert!(Endpoint::new("Cache.Example", 1).is_at("cache.example", 1));
        assert!(!Endpoint::new("cache.example", 1).is_at("cache.example", 2));
    }
}
