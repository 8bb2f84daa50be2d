//! The parameters of a cluster URL: which there are, what values they take, which field they set.
//!
//! Refuses to know the grammar around them; that is [`url`](super::url)'s.

use super::url::percent_decode;
use super::{Config, Fanout, FlushPolicy, Order, Overtaken, Protocol, RetryUnknown};

/// A year: more is a mistake, and this much can still be counted in nanoseconds.
const TIME_MS_MAX: u64 = 366 * 24 * 3600 * 1000;

/// One parameter of the part behind the `?`.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// What values it takes, for the message.
    pub(super) takes: &'static str,
    /// Sets the value; `None` where it is not one.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
}

const TIME: &str = "a whole number of milliseconds, at least 1 and at most a year";
const TIME_OR_OFF: &str = "a whole number of milliseconds up to a year; 0 turns it off";

/// All of them; the documentation of [`Config::from_url`] lists the same.
pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter { name: "timeout_ms", takes: TIME, set: |c, v| put(&mut c.command_timeout_ms, time(v)) },
    Parameter {
        name: "connect_timeout_ms",
        takes: TIME,
        set: |c, v| put(&mut c.connect_timeout_ms, time(v)),
    },
    Parameter {
        name: "handshake_timeout_ms",
        takes: TIME,
        set: |c, v| put(&mut c.handshake_timeout_ms, time(v)),
    },
    Parameter { name: "node_silent_ms", takes: TIME, set: |c, v| put(&mut c.node_silent_ms, time(v)) },
    Parameter { name: "reconnect_min_ms", takes: TIME, set: |c, v| put(&mut c.reconnect_min_ms, time(v)) },
    Parameter { name: "reconnect_max_ms", takes: TIME, set: |c, v| put(&mut c.reconnect_max_ms, time(v)) },
    Parameter {
        name: "refresh_interval_ms",
        takes: TIME_OR_OFF,
        set: |c, v| put(&mut c.refresh_interval_ms, time_or_off(v)),
    },
    Parameter {
        name: "refresh_min_interval_ms",
        takes: TIME,
        set: |c, v| put(&mut c.refresh_min_interval_ms, time(v)),
    },
    Parameter {
        name: "tryagain_wait_ms",
        takes: TIME_OR_OFF,
        set: |c, v| put(&mut c.tryagain_wait_ms, time_or_off(v)),
    },
    Parameter {
        name: "require_full_coverage",
        takes: "true or false",
        set: |c, v| put(&mut c.require_full_coverage, truth(v)),
    },
    Parameter {
        name: "fail_fast_uncovered",
        takes: "true or false",
        set: |c, v| put(&mut c.fail_fast_uncovered, truth(v)),
    },
    Parameter {
        name: "hops_max",
        takes: "a whole number of redirects from 0 to 255",
        set: |c, v| put(&mut c.hops_max, number(v).and_then(|n| n.try_into().ok())),
    },
    Parameter {
        name: "transport",
        takes: "mio, uring or auto",
        set: |c, v| put(&mut c.transport, v.parse().ok()),
    },
    Parameter {
        name: "spin_us",
        takes: "a whole number of microseconds up to a second; 0 turns it off",
        set: |c, v| {
            put(&mut c.spin_us, number(v).filter(|&n| n <= 1_000_000).and_then(|n| n.try_into().ok()))
        },
    },
    Parameter { name: "protocol", takes: "2 or 3", set: |c, v| put(&mut c.protocol, protocol(v)) },
    Parameter {
        name: "client_name",
        takes: "printable ASCII characters without spaces (CLIENT SETNAME's rule)",
        set: client_name,
    },
    Parameter {
        name: "retry_unknown",
        takes: "never, readonly, idempotent or always",
        set: |c, v| put(&mut c.retry_unknown, retry_unknown(v)),
    },
    Parameter {
        name: "fenced_reconnect",
        takes: "true or false",
        set: |c, v| put(&mut c.fenced_reconnect, truth(v)),
    },
    Parameter {
        name: "sentinel_replies",
        takes: "a whole number of replies; 0 turns it off",
        set: |c, v| put(&mut c.sentinel_replies, number(v)),
    },
    Parameter {
        name: "sentinel_ms",
        takes: TIME_OR_OFF,
        set: |c, v| put(&mut c.sentinel_ms, time_or_off(v)),
    },
    Parameter {
        name: "high_integrity",
        takes: "true or false",
        set: |c, v| put(&mut c.high_integrity, truth(v)),
    },
    Parameter {
        name: "order",
        takes: "per_key, per_slot or relaxed",
        set: |c, v| put(&mut c.order, order(v)),
    },
    Parameter { name: "overtaken", takes: "fail or retry", set: |c, v| put(&mut c.overtaken, overtaken(v)) },
    Parameter { name: "fanout", takes: "parallel or sequential", set: |c, v| put(&mut c.fanout, fanout(v)) },
    Parameter {
        name: "flush_policy",
        takes: "explicit, each_turn or each_command",
        set: |c, v| put(&mut c.flush_policy, flush_policy(v)),
    },
];

fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn time_or_off(text: &str) -> Option<u64> {
    number(text).filter(|&ms| ms <= TIME_MS_MAX)
}

fn time(text: &str) -> Option<u64> {
    time_or_off(text).filter(|&ms| ms > 0)
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "2" | "resp2" => Some(Protocol::Resp2),
        "3" | "resp3" => Some(Protocol::Resp3),
        _ => None,
    }
}

fn retry_unknown(text: &str) -> Option<RetryUnknown> {
    match text {
        "never" => Some(RetryUnknown::Never),
        "readonly" => Some(RetryUnknown::ReadOnly),
        "idempotent" => Some(RetryUnknown::Idempotent),
        "always" => Some(RetryUnknown::Always),
        _ => None,
    }
}

fn order(text: &str) -> Option<Order> {
    match text {
        "per_key" => Some(Order::PerKey),
        "per_slot" => Some(Order::PerSlot),
        "relaxed" => Some(Order::Relaxed),
        _ => None,
    }
}

fn overtaken(text: &str) -> Option<Overtaken> {
    match text {
        "fail" => Some(Overtaken::Fail),
        "retry" => Some(Overtaken::Retry),
        _ => None,
    }
}

fn fanout(text: &str) -> Option<Fanout> {
    match text {
        "parallel" => Some(Fanout::Parallel),
        "sequential" => Some(Fanout::Sequential),
        _ => None,
    }
}

fn flush_policy(text: &str) -> Option<FlushPolicy> {
    match text {
        "explicit" => Some(FlushPolicy::Explicit),
        "each_turn" => Some(FlushPolicy::EachTurn),
        "each_command" => Some(FlushPolicy::EachCommand),
        _ => None,
    }
}

/// The server refuses other names (`validateClientName` in its networking.c).
fn client_name(config: &mut Config, text: &str) -> Option<()> {
    let name = percent_decode(text).ok()?;
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    put(&mut config.client_name, good.then_some(Some(name)))
}
