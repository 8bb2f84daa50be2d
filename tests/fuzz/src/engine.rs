//! A program for a caller, a network and servers, run against the engine. Whatever happens: no panic, one result per command, and nothing
//! left behind once all is over.
//!
//! ```text
//! settings (5 bytes)   then operations: a byte says which, the bytes behind it how
//! ```
//!
//! The network and the servers do what they like, also what no server would: replies that answer something else, damaged bytes, bytes that
//! nobody asked for. The caller and the transport keep their side of the engine's interface. A program in which the servers stayed honest
//! is held to more: every reply reaches the command that it answers.

mod program;
mod server;
mod world;

use panpipe::config::{Broken, Config, Endpoint, Order, Overtaken, Protocol, RetryUnknown, Secret};

use crate::input::Input;
use world::World;

/// Longer programs are cut: they find nothing that shorter ones do not.
const OPERATIONS_MAX: usize = 400;
/// The longest that a command may take, by the settings below.
pub(crate) const TIMEOUT_MS_MAX: u64 = 3_000;

pub(crate) use program::seeds;

/// Takes one input.
pub fn run(input: &[u8]) {
    run_broken(input, Broken::default());
}

/// Takes one input with an engine that breaks rules: what a corpus notices of that is what it is worth.
pub fn run_broken(input: &[u8], broken: Broken) {
    let mut input = Input::new(input);
    let (config, end_well) = settings(&mut input);
    let config = Config { broken, ..config };
    let mut world = World::new(config);
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    if end_well {
        world.heal();
    }
    world.end();
}

fn settings(input: &mut Input<'_>) -> (Config, bool) {
    let mut config = Config::from_seeds([Endpoint::new("h", 1), Endpoint::new("h", 2)]);
    let (policies, limits, times, hops, flags) =
        (input.byte(), input.byte(), input.byte(), input.byte(), input.byte());
    config.order = [Order::PerKey, Order::PerSlot, Order::Relaxed, Order::PerKey][usize::from(policies & 3)];
    config.overtaken = if policies & 4 == 0 { Overtaken::Fail } else { Overtaken::Retry };
    config.retry_unknown = match policies >> 3 & 3 {
        0 => RetryUnknown::ReadOnly,
        1 => RetryUnknown::Never,
        2 => RetryUnknown::Idempotent,
        _ => RetryUnknown::Always,
    };
    config.protocol = if policies & 32 == 0 { Protocol::Resp3 } else { Protocol::Resp2 };
    config.password = (policies & 64 != 0).then(|| Secret::new("secret"));
    config.require_full_coverage = policies & 128 != 0;
    if limits & 1 != 0 {
        config.limits.commands_per_node_max = 1 + usize::from(limits >> 4);
        config.limits.bytes_total_max = 700;
    }
    if limits & 2 != 0 {
        config.limits.frame.bulk_bytes_max = 100;
        config.limits.frame.depth_max = 3;
    }
    if limits & 4 != 0 {
        config.limits.untaken_reply_bytes_max = 200;
    }
    config.command_timeout_ms = [500, 100, 2_500, 1][usize::from(times & 3)];
    config.connect_timeout_ms = 200;
    config.handshake_timeout_ms = 200;
    config.node_silent_ms = [300, 2_000, 50, 1_000][usize::from(times >> 2 & 3)];
    config.reconnect_min_ms = 20;
    config.reconnect_max_ms = 200;
    config.refresh_interval_ms = if times & 16 == 0 { 0 } else { 300 };
    config.refresh_min_interval_ms = if times & 32 == 0 { 100 } else { 1 };
    config.tryagain_wait_ms = if times & 64 == 0 { 1_000 } else { 20 };
    config.hops_max = if hops & 128 == 0 { 32 } else { hops & 7 };
    config.jitter_seed = u64::from(hops);
    config.fail_fast_uncovered = flags & 2 != 0;
    config.fenced_reconnect = flags & 4 != 0;
    config.high_integrity = flags & 8 != 0;
    config.sentinel_replies = [65_536, 1, 5, 0][usize::from(flags >> 4 & 3)];
    config.sentinel_ms = if flags & 64 == 0 { 5_000 } else { 0 };
    (config, flags & 1 != 0)
}
