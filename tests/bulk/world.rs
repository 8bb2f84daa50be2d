//! The model in memory under virtual time, and what all these tests do with a loader.

use std::time::Duration;

use panpipe::bulk::{Full, LoadOptions, Loader, OnError, Problem, PushError, RawKeys, Until};
use panpipe::slot::slot_of;
use panpipe::testkit::{Memory, ModelCluster, ModelConfig};
use panpipe::transport::Transport;
use panpipe::{Client, Config, FlushPolicy};

pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Problems are handed out and stop nothing.
pub(crate) fn skip() -> LoadOptions {
    let on_error = OnError::Skip { count_max: None, percent_max: None };
    LoadOptions { on_error, ..LoadOptions::default() }
}

/// A command in its wire form.
pub(crate) fn resp(words: &[&str]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", words.len());
    for word in words {
        frame += &format!("${}\r\n{word}\r\n", word.len());
    }
    frame.into_bytes()
}

/// A transaction in its wire form.
pub(crate) fn unit(commands: &[&[&str]]) -> Vec<u8> {
    let commands: Vec<u8> = commands.iter().flat_map(|words| resp(words)).collect();
    [resp(&["MULTI"]), commands, resp(&["EXEC"])].concat()
}

pub(crate) fn client_with(model: ModelConfig, configure: impl FnOnce(&mut Config)) -> Client<Memory> {
    let memory = Memory::new(model);
    let mut config = memory.client_config();
    config.refresh_interval_ms = 0;
    // Time can pass without a flush of the client's own.
    config.flush_policy = FlushPolicy::Explicit;
    configure(&mut config);
    Client::with_transport(config, memory).expect("the model serves")
}

pub(crate) fn client() -> Client<Memory> {
    client_with(ModelConfig { records_executions: true, ..ModelConfig::default() }, |_| {})
}

/// The `n`-th key of this primary's slots.
pub(crate) fn key_of(client: &Client<Memory>, node: usize, n: usize) -> String {
    let owner = |key: &str| client.transport().cluster().owner(slot_of(key.as_bytes()));
    (0..)
        .map(|n| format!("key:{n}"))
        .filter(|key| owner(key) == Some(node))
        .nth(n)
        .expect("a key of every node")
}

pub(crate) fn model<'l>(loader: &'l mut Loader<'_, Memory>) -> &'l mut ModelCluster {
    loader.client_mut().transport_mut().cluster_mut()
}

/// Lets time pass.
pub(crate) fn pass(loader: &mut Loader<'_, Memory>, ms: u64) {
    let until = loader.client().transport().now().after_ms(ms);
    while loader.client().transport().now() < until {
        let left = until.since(loader.client().transport().now());
        loader.client_mut().wait(Some(left)).expect("time passes");
        loader.turn().expect("turn");
    }
}

/// Pushes, waiting for room as often as it takes; problems are taken meanwhile.
pub(crate) fn push<T: Transport>(
    loader: &mut Loader<'_, T>,
    words: &[&str],
    tag: u64,
    problems: &mut Vec<Problem>,
) -> Result<(), PushError> {
    let frame = resp(words);
    loop {
        match loader.push_raw(&frame, RawKeys::Find, tag) {
            Err(PushError::Full(full)) => {
                if full == Full::Problems {
                    problems.extend(std::iter::from_fn(|| loader.next_problem()));
                }
                assert!(loader.run_until(Until::Room, Some(LONG)).expect("wait"), "{full:?}");
            }
            other => return other,
        }
    }
}

pub(crate) fn all_problems<T: Transport>(loader: &mut Loader<'_, T>) -> Vec<Problem> {
    std::iter::from_fn(|| loader.next_problem()).collect()
}

pub(crate) fn value(loader: &mut Loader<'_, Memory>, key: &str) -> Option<String> {
    let owner = model(loader).owner(slot_of(key.as_bytes()))?;
    model(loader).stored(owner, key.as_bytes()).map(|value| String::from_utf8(value).expect("text"))
}
