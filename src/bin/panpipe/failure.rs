//! Why a command ends with an exit code other than 0, and what to do about it.

use std::io::Write;

use serde_json::json;

use panpipe::{Error, ErrorKind};

/// A check failed.
pub(crate) const CHECK: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// The cluster cannot be reached or does not serve.
pub(crate) const CLUSTER: u8 = 4;
/// The input cannot be used.
pub(crate) const INPUT: u8 = 5;
/// Stopped before the end, by policy or because something could not be written.
pub(crate) const STOPPED: u8 = 3;
/// What was read back is not what was written.
pub(crate) const MISMATCH: u8 = 6;
/// Ended by a signal, in good order.
pub(crate) const INTERRUPTED: u8 = 130;

/// Error codes of a server that takes no commands now, whatever they are.
const NOT_SERVING: [&str; 4] = ["CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN"];

/// What went wrong, for a person.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Failure { code, what: what.into(), hint: None }
    }

    pub(crate) fn check(what: impl Into<String>) -> Self {
        Failure::new(CHECK, what)
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Failure::new(USAGE, what)
    }

    pub(crate) fn input(what: impl Into<String>) -> Self {
        Failure::new(INPUT, what)
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The library's error, with its blame as the exit code: a cluster that is not there or does not serve is one thing, a server that
    /// answers "no" is another.
    pub(crate) fn from_library(what: &str, error: &Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Server(reply) if NOT_SERVING.contains(&reply.code()) => CLUSTER,
            ErrorKind::Server(_)
            | ErrorKind::UnitRefused { .. }
            | ErrorKind::Decode { .. }
            | ErrorKind::Full { .. } => CHECK,
            ErrorKind::TooLarge { .. } => INPUT,
            _ => CLUSTER,
        };
        let failure = Failure::new(code, format!("{what}: {error}"));
        match advice(error) {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }

    /// What kept us from connecting.
    pub(crate) fn no_cluster(error: &Error) -> Self {
        Failure { code: CLUSTER, ..Failure::from_library("no cluster", error) }
    }

    /// Another failure of the same cause, told below this one.
    pub(crate) fn join(mut self, other: Failure) -> Self {
        self.what = format!("{}\n  {}", self.what, other.what);
        self
    }

    /// Adds a line.
    pub(crate) fn also(mut self, line: &str) -> Self {
        self.what = format!("{}\n  {line}", self.what);
        self
    }

    /// Says it on standard error; answers the exit code.
    pub(crate) fn print(&self) -> u8 {
        let mut text = format!("panpipe: {}\n", self.what);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  {hint}\n"));
        }
        // A closed standard error leaves the exit code to speak.
        let _ = std::io::stderr().write_all(without_passwords(&text).as_bytes());
        self.code
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let what = without_passwords(&self.what);
        let hint = self.hint.as_deref().map(without_passwords);
        json!({ "ok": false, "exit_code": self.code, "error": what, "hint": hint })
    }
}

/// A URL in the place of a file, a host or a command is repeated by those who do not find such a thing; its password is not.
fn without_passwords(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = behind.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(behind.len());
        rest = behind;
        if let Some(at) = behind[..end].rfind('@') {
            clean.push_str("***");
            rest = &behind[at..];
        }
    }
    clean + rest
}

/// What a person can do about it.
fn advice(error: &Error) -> Option<String> {
    let text = match error.kind() {
        ErrorKind::Connect { .. } => {
            "Is a server running there, and may this machine reach it? Any one node of the cluster will do: \
             --url redis://host:port"
        }
        ErrorKind::Auth(reply) if reply.code() == "NOAUTH" => {
            "The server wants a password: --url redis://:password@host:port, or user:password@ (--url @FILE reads the \
             address from a file)"
        }
        ErrorKind::Auth(_) => {
            "Check the user and the password; characters such as @ : / % must be written as %40 %3A %2F %25"
        }
        ErrorKind::NotCluster { .. } => {
            "Start the server with `cluster-enabled yes` and give it slots, or run `panpipe demo` without --url"
        }
        ErrorKind::Server(reply) if reply.code() == "NOPERM" => {
            "Give this user the command, and the keys panpipe:demo:*"
        }
        ErrorKind::Server(reply) if reply.code() == "OOM" => {
            "The server is at its maxmemory: load less with --limit, or give it more"
        }
        ErrorKind::Server(reply) if reply.code() == "CLUSTERDOWN" => {
            "`panpipe topology` with the same --url shows which slots or nodes are missing"
        }
        ErrorKind::NoTopology { .. } => {
            "Is the cluster complete? `redis-cli --cluster check host:port` tells what is missing"
        }
        ErrorKind::Timeout { .. } => "A longer deadline: add ?timeout_ms=20000 to the URL",
        ErrorKind::Full { .. } => "Use a smaller --batch",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_their_passwords() {
        for (text, clean) in [
            ("cannot read redis://:s3@am/e@n:1: no such file", "cannot read redis://***@n:1: no such file"),
            (
                "\"redis://ada:sesame@n:1,m:2\" and valkey://:x@m",
                "\"redis://***@n:1,m:2\" and valkey://***@m",
            ),
            ("--url redis://10.0.0.1:7000 and a@b", "--url redis://10.0.0.1:7000 and a@b"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), clean);
        }
        let failure =
            Failure::input("redis://:sesame@n").hint("not redis://:sesame@n").join(Failure::check("x://y@z"));
        assert!(!failure.to_json().to_string().contains("sesame"));
    }
}
