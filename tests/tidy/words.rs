//! Words that code must not have.

use super::Breach;
use super::lex::{starts_with, tokens};

/// The only place of the library where `unsafe` may stand: the kernel holds our buffers there.
const UNSAFE_BELOW: &str = "src/transport/uring";

/// No part of the library: who counts allocations must be the allocator, and a ring without a client talks to the kernel itself.
const UNSAFE_OUTSIDE: [&str; 5] = [
    "benches/peer/alloc.rs",
    "benches/harness/src/measure/alloc.rs",
    "benches/harness/src/contender/floor/ring/mod.rs",
    "benches/harness/src/contender/floor/ring/buffers.rs",
    "benches/harness/src/contender/floor/ring/handle.rs",
];

/// Where the tests make their clients over sockets, so that each of them can run once per transport.
const CLIENTS_OF_TESTS: &str = "tests/support/transport.rs";
/// Those that test one transport and no other.
const TESTS_OF_ONE_TRANSPORT: &str = "tests/uring";

/// Marks of something unfinished.
const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

pub(crate) fn breaches(path: &str, source: &str) -> Vec<Breach> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let tokens = tokens(source);
    let mut breaches = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "unsafe" && !path.starts_with(UNSAFE_BELOW) && !UNSAFE_OUTSIDE.contains(&path) {
            breaches.push(Breach::new(path, token.line, format!("`unsafe` outside of {UNSAFE_BELOW}")));
        }
        let is_client = ["connect", "connect_with"]
            .iter()
            .any(|name| starts_with(&tokens[at..], &["Client", ":", ":", name]));
        let is_bound = path.starts_with("tests/") && !path.starts_with(TESTS_OF_ONE_TRANSPORT);
        if is_client && is_bound && path != CLIENTS_OF_TESTS {
            breaches.push(Breach::new(
                path,
                token.line,
                format!("a client that {CLIENTS_OF_TESTS} does not make"),
            ));
        }
        if MACROS.contains(&token.text) && starts_with(&tokens[at + 1..], &["!"]) {
            breaches.push(Breach::new(path, token.line, format!("`{}!` is left over", token.text)));
        }
    }
    breaches
}

#[test]
fn unsafe_stands_in_one_place_only() {
    let source = "#![deny(unsafe_code)] // unsafe\nunsafe { f() }";
    assert_eq!(super::lines(&breaches("src/engine/mod.rs", source)), [2]);
    assert_eq!(super::lines(&breaches("tests/x.rs", source)), [2]);
    assert_eq!(super::lines(&breaches("benches/x.rs", source)), [2]);
    assert_eq!(breaches(UNSAFE_OUTSIDE[0], source), []);
    assert_eq!(breaches("src/transport/uring.rs", source), []);
    assert_eq!(breaches("src/transport/uring/ring.rs", source), []);
}

#[test]
fn tests_make_their_clients_in_one_place() {
    let source = "use panpipe::Client;\nlet a = Client::connect(url);\nlet b = panpipe::Client::connect_with(config); // Client::connect\n\
                  let c = Client::with_transport(config, memory);";
    assert_eq!(super::lines(&breaches("tests/real/x.rs", source)), [2, 3]);
    assert_eq!(breaches(CLIENTS_OF_TESTS, source), []);
    assert_eq!(breaches("tests/uring_x.rs", source), []);
    assert_eq!(breaches("examples/x.rs", source), []);
}

#[test]
fn what_is_left_over_is_found() {
    let source =
        "fn f() {\n  todo!();\n  unimplemented!();\n  dbg!(x);\n  let todo = \"todo!()\"; // todo!()\n}";
    assert_eq!(super::lines(&breaches("examples/x.rs", source)), [2, 3, 4]);
}
