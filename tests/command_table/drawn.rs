//! The keys of drawn invocations, as the client and as the servers find them.

use panpipe::command::Spec;

use crate::random::Random;
use crate::servers::{Server, Version};
use crate::{arguments, ask, equal, routed_without_keys, row};

/// What the server says of an invocation's keys; nothing where it finds fault with the invocation.
fn keys_or_fault(server: &Server, words: &[&str]) -> Option<Vec<Vec<u8>>> {
    let reply = server.call(&[&["COMMAND", "GETKEYS"], words].concat());
    match reply.error() {
        Some(error) if error.contains("no key arguments") => Some(Vec::new()),
        Some(_) => None,
        None => Some(reply.items().iter().map(|key| key.bytes().expect("a key").to_vec()).collect()),
    }
}

/// Compares one invocation; whether the server accepted it.
fn compare_drawn(server: &Server, spec: &Spec, words: &[&str]) -> Result<bool, String> {
    let Some(mut theirs) = keys_or_fault(server, words) else { return Ok(false) };
    let args: Vec<&[u8]> = words[1..].iter().map(|word| word.as_bytes()).collect();
    let line = words.join(" ");
    let positions = spec.key_positions(&args).ok_or_else(|| format!("{line}: ours finds no keys"))?;
    let mut ours: Vec<Vec<u8>> = positions.iter().map(|at| args[*at].to_vec()).collect();
    ours.sort();
    theirs.sort();
    let texts =
        |keys: Vec<Vec<u8>>| keys.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>();
    equal(&line, texts(ours), texts(theirs)).map(|()| true)
}

/// Only the last destination counts, and 7.0 names the first one too.
fn has_two_destinations(name: &str, words: &[&str]) -> bool {
    name.starts_with("GEORADIUS") && words.contains(&"STORE") && words.contains(&"STOREDIST")
}

#[test]
fn keys_of_documented_invocations_are_those_that_the_server_finds() {
    const DRAWN_PER_COMMAND: usize = 40;
    /// Of each server, with keys in them; about half of all.
    const COMPARED_MIN: usize = 5_000;
    let mut random = Random::new(1);
    let mut wrong = Vec::new();
    for version in ask::ASKED {
        let server = Server::start(version, &[]);
        let mut compared = 0;
        for (name, documented) in arguments::documented(&server) {
            let Some(spec) = row(&name).filter(|_| !routed_without_keys(&name)) else { continue };
            let mut accepted = 0;
            for _ in 0..DRAWN_PER_COMMAND {
                let drawn = arguments::draw(&documented, &mut random);
                let words: Vec<&str> = name.split(' ').chain(drawn.iter().map(String::as_str)).collect();
                if version == Version::Redis70 && has_two_destinations(&name, &words) {
                    continue;
                }
                match compare_drawn(&server, spec, &words) {
                    Ok(is_accepted) => accepted += usize::from(is_accepted),
                    Err(what) => wrong.push(format!("{}: {what}", version.name())),
                }
            }
            compared += if spec.has_keys() { accepted } else { 0 };
            // 7.0 answers no COMMAND GETKEYS of a name alone, and 8.2 describes no arguments of vector sets: `sample` makes those.
            if accepted == 0 && spec.has_keys() && !documented.is_empty() {
                wrong.push(format!("{}: {name}: the server accepts no invocation", version.name()));
            }
        }
        assert!(compared > COMPARED_MIN, "{}: only {compared} invocations with keys", version.name());
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
