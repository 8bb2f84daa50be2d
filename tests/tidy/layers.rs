//! Who may import whom, and what the engine must not know.

use super::Breach;
use super::lex::{Token, starts_with, tokens, without_tests};
use super::paths::{NamedPath, below, module_of, within_crate};

/// Each layer, and the others that it may import.
const LAYERS: [(&str, &[&str]); 8] = [
    ("error", &["config"]),
    ("config", &["error"]),
    ("slot", &["error", "config"]),
    ("resp", &["slot", "error", "config"]), // how many slots a MOVED line can name
    ("command", &["resp", "slot", "error", "config"]),
    ("topology", &["resp", "slot", "error", "config"]),
    ("engine", &["command", "topology", "resp", "slot", "error", "config"]),
    ("transport", &["engine", "error", "config"]),
];

/// What users call: imports every layer, and is imported by no layer.
const FACADE: [&str; 3] = ["client", "pipeline", "bulk"];

/// May import everything; imported by nobody but each other.
const ON_TOP: [&str; 3] = ["lib", "bin", "testkit"];

/// Within `transport`; the rest of it is shared between them.
const TRANSPORTS: [&str; 2] = ["mio", "uring"];

/// Names that betray a socket, a clock, a thread or an order of iteration that changes from run to run.
const ENGINE_NEVER: [&str; 12] = [
    "mio",
    "socket2",
    "io_uring",
    "rustix",
    "libc",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "HashMap",
    "HashSet",
];

pub(crate) fn breaches(path: &str, source: &str) -> Vec<Breach> {
    let Some(layer) = layer_of(path) else { return Vec::new() };
    if ON_TOP.contains(&layer) || is_test_file(path) {
        return Vec::new();
    }
    let Some(allowed) = allowed(layer) else {
        let rule = format!("`{layer}` is in no layer: give it a place in tests/tidy/layers.rs");
        return vec![Breach::new(path, 1, rule)];
    };
    let tokens = without_tests(&tokens(source));
    let mut breaches = wrong_arrows(path, layer, &allowed, &tokens);
    if layer == "engine" {
        breaches.extend(impurities(path, &tokens));
    }
    breaches
}

/// The module below the crate's root: `engine` for `src/engine/mod.rs`, `client` for `src/client.rs`.
fn layer_of(path: &str) -> Option<&str> {
    let below_src = path.strip_prefix("src/")?;
    let first = below_src.split('/').next()?;
    let is_file = first == below_src;
    if is_file { first.strip_suffix(".rs") } else { below_src.ends_with(".rs").then_some(first) }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn allowed(layer: &str) -> Option<Vec<&'static str>> {
    if FACADE.contains(&layer) {
        return Some(LAYERS.iter().map(|(name, _)| *name).chain(FACADE).collect());
    }
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, others)| others.to_vec())
}

fn wrong_arrows(path: &str, layer: &str, allowed: &[&str], tokens: &[Token<'_>]) -> Vec<Breach> {
    let module = module_of(path);
    let mut breaches = Vec::new();
    for named in within_crate(&module, tokens) {
        let target = named.words.first().map_or("", String::as_str);
        if target != layer && !allowed.contains(&target) {
            let rule = format!("`{layer}` must not import `crate::{target}`");
            breaches.push(Breach::new(path, named.line, rule));
        } else if let Some(other) = other_transport(&module, &named) {
            let rule = format!("a transport must not import another one, and this imports `{other}`");
            breaches.push(Breach::new(path, named.line, rule));
        }
    }
    breaches
}

fn other_transport(module: &[&str], named: &NamedPath) -> Option<&'static str> {
    let [first, own, ..] = module else { return None };
    let own_is_one = *first == "transport" && TRANSPORTS.contains(own);
    let other = |name: &&str| own != name && named.starts_with(&["transport", name]);
    TRANSPORTS.into_iter().find(|name| own_is_one && other(name))
}

fn impurities(path: &str, tokens: &[Token<'_>]) -> Vec<Breach> {
    let breach = |line: usize, name: &str| {
        Breach::new(
            path,
            line,
            format!("the engine must not know `{name}`: no sockets, clocks, threads, random order"),
        )
    };
    let mut breaches = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if ENGINE_NEVER.contains(&token.text) {
            breaches.push(breach(token.line, token.text));
        }
        if starts_with(&tokens[at..], &["Instant", ":", ":", "now"]) {
            breaches.push(breach(token.line, "Instant::now"));
        }
    }
    let threads = below("std", tokens).into_iter().filter(|named| named.starts_with(&["thread"]));
    breaches.extend(threads.map(|named| breach(named.line, "std::thread")));
    breaches
}

#[cfg(test)]
fn rules(path: &str, source: &str) -> Vec<String> {
    breaches(path, source).into_iter().map(|breach| breach.to_string()).collect()
}

#[test]
fn an_arrow_upwards_is_a_breach_and_names_its_place() {
    let found = rules("src/resp/scan.rs", "use crate::error::Error;\nuse crate::{engine::Engine, config};\n");
    assert_eq!(found, ["src/resp/scan.rs:2: `resp` must not import `crate::engine`"]);
    for (path, source) in [
        ("src/slot.rs", "use crate::resp::ReplyRef;"),
        ("src/resp/mod.rs", "use crate::command::Cmd;"),
        ("src/error.rs", "use crate::slot::Slot;"),
        ("src/topology/mod.rs", "use crate::command::Cmd;"),
        ("src/engine/mod.rs", "fn f() { crate::transport::alarm::ring() }"),
        ("src/engine/fence.rs", "use super::super::client::Client;"),
        ("src/transport/mio.rs", "use crate::topology::SlotTable;"),
        ("src/engine/mod.rs", "use crate::Client;"),
        ("src/client.rs", "use crate::testkit::Sim;"),
        ("src/novelty.rs", ""),
    ] {
        assert_eq!(rules(path, source).len(), 1, "{path}: {source}");
    }
}

#[test]
fn arrows_downwards_sideways_and_from_the_top_are_none() {
    for (path, source) in [
        (
            "src/engine/mod.rs",
            "use crate::{command::Cmd, topology::*, resp, slot, error::Error, config::Config};",
        ),
        ("src/engine/fence.rs", "use super::retry::Retry; use crate::engine::stats::Stats;"),
        ("src/client.rs", "use crate::pipeline::Pipeline; use crate::transport::mio::Mio;"),
        ("src/lib.rs", "pub use crate::client::Client;"),
        ("src/testkit/sim.rs", "use crate::client::Client;"),
        ("src/bin/panpipe/main.rs", "use panpipe::Client; use crate::anything::at_all;"),
        (
            "src/resp/mod.rs",
            "/// See [`crate::client::Client`].\n#[cfg(test)] mod tests { use crate::client::Client; }",
        ),
        ("src/resp/scan/tests.rs", "use crate::testkit::Sim;"),
        ("tests/x.rs", "use crate::client::Client;"),
    ] {
        assert_eq!(rules(path, source), [""; 0], "{path}");
    }
}

#[test]
fn transports_do_not_know_each_other() {
    assert_eq!(rules("src/transport/uring/mod.rs", "use crate::transport::mio::Poll;").len(), 1);
    assert_eq!(rules("src/transport/mio.rs", "use super::uring::Ring;").len(), 1);
    assert_eq!(
        rules("src/transport/mio.rs", "use super::alarm::Alarm; use crate::transport::mio::X;").len(),
        0
    );
    assert_eq!(rules("src/transport/mod.rs", "pub use crate::transport::{mio::Mio, uring::Uring};").len(), 0);
}

#[test]
fn the_engine_knows_no_socket_clock_thread_or_random_order() {
    for source in [
        "use mio::Token;",
        "use std::net::{SocketAddr, TcpStream};",
        "let now = Instant::now();",
        "let now = std::time::Instant::now();",
        "use std::{fmt, thread};",
        "std::thread::sleep(wait);",
        "let wall = SystemTime::UNIX_EPOCH;",
        "use std::collections::{BTreeMap, HashMap};",
    ] {
        assert_eq!(rules("src/engine/timer.rs", source).len(), 1, "{source}");
        assert_eq!(rules("src/client.rs", source).len(), 0, "{source}");
    }
    let pure = "use std::time::{Duration, Instant}; use std::net::SocketAddr; // HashMap\nfn thread(now: Instant) {}";
    assert_eq!(rules("src/engine/timer.rs", pure), [""; 0]);
}
