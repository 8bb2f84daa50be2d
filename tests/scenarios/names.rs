//! How scripts name nodes, slots and keys.
//!
//! `A`, `B`, `C` are the first three primaries; with one replica each, `A2`, `B2`, `C2` are theirs. `a`, `a2`, `b` … are slots which such a
//! primary owns in the beginning, of two primaries as of three, and `a.x` is a key of slot `a`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use panpipe::config::Resolver;
use panpipe::slot::slot_of;
use panpipe::testkit::ModelCluster;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const C: usize = 2;
/// Replicas, where there are three primaries.
pub(crate) const A2: usize = 3;
pub(crate) const B2: usize = 4;

/// The hash tag of a slot's name.
pub(crate) fn tag(name: &str) -> String {
    let (letter, number) = name.split_at(1);
    let share = match letter {
        "a" => 0..5_461,
        "b" => 8_192..10_923,
        "c" => 10_923..16_384,
        _ => panic!("{name} is no slot: a, b or c, and a number"),
    };
    let skipped: usize = if number.is_empty() { 0 } else { number.parse().expect("a number") };
    let mut tags =
        (0..).map(|n: usize| format!("t{n}")).filter(|tag| share.contains(&slot_of(tag.as_bytes())));
    tags.nth(skipped).expect("tags without end")
}

/// The slot of that name.
pub(crate) fn slot(name: &str) -> u16 {
    slot_of(tag(name).as_bytes())
}

/// The key of that name: `a.x` is `{tag of a}x`. Other words stay what they are.
pub(crate) fn key(name: &str) -> String {
    let is_slot =
        |text: &str| text.starts_with(['a', 'b', 'c']) && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    match name.split_once('.') {
        Some((of, rest)) if is_slot(of) => format!("{{{}}}{rest}", tag(of)),
        _ => name.to_owned(),
    }
}

/// The words of a command: names are spelt out, and `#1000` is a thousand bytes.
pub(crate) fn words(text: &str) -> Vec<String> {
    let spell = |word: &str| match word.strip_prefix('#') {
        Some(length) => "x".repeat(length.parse().expect("a length")),
        None => key(word),
    };
    text.split(' ').map(spell).collect()
}

/// A redirect to a node, as a server writes it.
pub(crate) fn redirect(model: &ModelCluster, word: &str, of: &str, to: usize) -> Vec<u8> {
    let node = model.node(to);
    format!("-{word} {} {}:{}\r\n", slot(of), node.host(), node.port()).into_bytes()
}

/// What the names of all scenarios resolve to. They run side by side: each has names of its own.
static ADDRESSES: Mutex<BTreeMap<String, u16>> = Mutex::new(BTreeMap::new());

/// From now on the name stands for this port of this machine.
pub(crate) fn resolve_to(name: &str, port: u16) {
    ADDRESSES.lock().expect("no holder panics").insert(name.to_owned(), port);
}

/// From now on nobody can say what the name stands for.
pub(crate) fn forget(name: &str) {
    ADDRESSES.lock().expect("no holder panics").remove(name);
}

/// A resolver that knows those names.
pub(crate) fn resolver() -> Resolver {
    Arc::new(|host, _| {
        let port = ADDRESSES.lock().expect("no holder panics").get(host).copied();
        let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    })
}
