//! Cluster URLs: one text that names the seeds, the credentials and a few settings.
//!
//! ```text
//! redis://user:password@host:7000,host:7001,[::1]:7002/0?timeout_ms=2000&client_name=loader
//! ```
//!
//! Such a URL names several hosts, so it is not a URL of RFC 3986 and no general parser reads it; the parts
//! follow the scheme registered for Redis (<https://www.iana.org/assignments/uri-schemes/prov/redis>).
//! This module knows the grammar and the names of the parameters. It refuses to know what the settings do.
//!
//! Invariant: **a message repeats nothing of the text but the names of known parameters, and the name of an
//! unknown one**. What stands where no password should be may be one all the same: `redis://user:hunter2`
//! forgot its host, and a `/` that is not written `%2F` cuts a password in two. So problems are told by
//! position ("seed 2"), and a `@` behind the hosts is refused before anything behind it is looked at.

use super::parameters::PARAMETERS;
use super::{Config, Endpoint, Secret};
use crate::error::{Error, Result};

const EXAMPLE: &str = "redis://10.0.0.1:7000,10.0.0.2:7000?timeout_ms=2000";
const EXAMPLE_LOGIN: &str = "redis://ada:p%40ss@10.0.0.1:7000";

/// Reads all URLs into one configuration; see [`Config::from_url`] and [`Config::from_urls`].
pub(super) fn parse(texts: &mut dyn Iterator<Item = &str>) -> Result<Config> {
    let mut reader = Reader::default();
    for text in texts {
        for url in split_urls(text) {
            reader.read(url)?;
        }
    }
    if reader.config.seeds.is_empty() {
        return Err(wrong("no address", EXAMPLE));
    }
    Ok(reader.config)
}

fn wrong(what: impl AsRef<str>, example: &str) -> Error {
    Error::config(format!("cluster URL: {}; a right one: {example}", what.as_ref()))
}

/// Cuts a list of whole URLs apart. Only a scheme behind a comma or a space begins a new one.
fn split_urls(text: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut rest = text;
    let is_separator = |c: char| c == ',' || c.is_whitespace();
    for (at, _) in text.rmatch_indices("://") {
        let scheme_at = text[..at].rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |before| before + 1);
        let separated = scheme_at == 0 || text[..scheme_at].ends_with(is_separator);
        if separated && check_scheme(&text[scheme_at..at]) != Scheme::Foreign {
            urls.push(rest[scheme_at..].trim_matches(is_separator));
            rest = &rest[..scheme_at];
        }
    }
    let rest = rest.trim_matches(is_separator);
    if !rest.is_empty() {
        urls.push(rest);
    }
    urls.reverse();
    urls
}

#[derive(PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
    Unix,
    Foreign,
}

fn check_scheme(text: &str) -> Scheme {
    match text.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => Scheme::Plain,
        "rediss" | "valkeys" => Scheme::Tls,
        "unix" => Scheme::Unix,
        _ => Scheme::Foreign,
    }
}

/// What has been read so far, from one URL or from several.
#[derive(Default)]
struct Reader<'a> {
    config: Config,
    /// User and password as written, where one URL had them.
    login: Option<(&'a str, &'a str)>,
    /// Name and value of the parameters seen, to find contradictions.
    seen: Vec<(&'static str, &'a str)>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, url: &'a str) -> Result<()> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it must begin with redis:// or valkey://", EXAMPLE))?;
        match check_scheme(scheme) {
            Scheme::Plain => {}
            Scheme::Tls => {
                let what = "TLS (rediss://, valkeys://) is not supported yet by this build";
                return Err(wrong(what, EXAMPLE));
            }
            Scheme::Unix => {
                let what = "unix sockets (unix://) cannot reach the nodes of a cluster; name hosts and ports";
                return Err(wrong(what, EXAMPLE));
            }
            Scheme::Foreign => return Err(wrong("it must begin with redis:// or valkey://", EXAMPLE)),
        }
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if tail.contains('@') {
            let what = "a '@' behind the hosts; a user or password with one of /?#@ must write it as \
                        %2F %3F %23 %40, and so must a parameter with a '@'";
            return Err(wrong(what, EXAMPLE_LOGIN));
        }
        if tail.contains('#') {
            return Err(wrong("a '#' (write it as %23)", EXAMPLE));
        }
        let (login, seeds) = match authority.rsplit_once('@') {
            Some((login, seeds)) => (Some(login), seeds),
            None => (None, authority),
        };
        if let Some(login) = login.filter(|login| !login.is_empty()) {
            self.read_login(login)?;
        }
        self.read_seeds(seeds)?;
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        if !matches!(path, "" | "/" | "/0") {
            return Err(wrong(
                "only database 0 exists in a cluster; leave the path out or write /0",
                EXAMPLE,
            ));
        }
        query.split('&').filter(|pair| !pair.is_empty()).try_for_each(|pair| self.read_parameter(pair))
    }

    fn read_login(&mut self, text: &'a str) -> Result<()> {
        let Some((user, password)) = text.split_once(':') else {
            let what =
                "a '@' with no ':' before it; write user:password@, or :password@ for the default user";
            return Err(wrong(what, EXAMPLE_LOGIN));
        };
        match self.login {
            Some(login) if login != (user, password) => {
                return Err(wrong("two users or passwords; one client has one", EXAMPLE_LOGIN));
            }
            _ => self.login = Some((user, password)),
        }
        let user = percent_decode(user).map_err(|what| wrong(format!("the user: {what}"), EXAMPLE_LOGIN))?;
        let password =
            percent_decode(password).map_err(|what| wrong(format!("the password: {what}"), EXAMPLE_LOGIN))?;
        if user.is_empty() && password.is_empty() {
            return Ok(());
        }
        // `user:@` is a user without a password (ACL `nopass`), who still has to be named.
        self.config.username = (!user.is_empty()).then_some(user);
        self.config.password = Some(Secret::new(password));
        Ok(())
    }

    fn read_seeds(&mut self, text: &str) -> Result<()> {
        for (position, seed) in text.split(',').enumerate() {
            let seed = Endpoint::parse_text(seed.trim())
                .map_err(|what| wrong(format!("seed {}: {what}", position + 1), EXAMPLE))?;
            if !self.config.seeds.contains(&seed) {
                self.config.seeds.push(seed);
            }
        }
        Ok(())
    }

    fn read_parameter(&mut self, pair: &'a str) -> Result<()> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<_> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
            let shown = if is_word(name) { format!(" {name}") } else { String::new() };
            return Err(wrong(format!("unknown parameter{shown}; known are {}", known.join(", ")), EXAMPLE));
        };
        if self.seen.iter().any(|&(seen, before)| seen == parameter.name && before != value) {
            return Err(wrong(format!("{} has two different values", parameter.name), EXAMPLE));
        }
        self.seen.push((parameter.name, value));
        (parameter.set)(&mut self.config, value)
            .ok_or_else(|| wrong(format!("{} takes {}", parameter.name, parameter.takes), EXAMPLE))
    }
}

/// Whether a text looks like a parameter's name, so that a message may repeat it.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn percent_decode(text: &str) -> std::result::Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut hex = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (hex(), hex()) else {
            return Err("a '%' must be followed by two hexadecimal digits (write a plain '%' as %25)");
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 when decoded")
}

#[cfg(test)]
mod tests;
