//! What the demonstration found, for a script.

use std::time::Duration;

use panpipe::engine::{NodeTimeline, Timeline};
use serde_json::{Value, json};

use super::measure::{Measured, own_time, ratio};
use super::{Cleaned, Findings, PREFIX, chart};
use crate::output::as_ms;

pub(super) fn findings(findings: &Findings<'_>) -> Value {
    let (sequential, parallel) = (&findings.sequential, &findings.parallel);
    let options = findings.options;
    let (deleted, problem) = match &findings.cleaned {
        Cleaned::Deleted { deleted, problem } => (Some(*deleted), problem.clone()),
        Cleaned::Gone | Cleaned::Kept => (None, None),
    };
    json!({
        "ok": true,
        "panpipe": env!("CARGO_PKG_VERSION"),
        "cluster": {
            "embedded": findings.cluster.is_embedded(),
            "delay_ms": findings.cluster.is_embedded().then_some(options.delay_ms),
            "primaries": findings.primaries,
            "replicas": findings.replicas,
        },
        "input": {
            "origin": findings.records.origin,
            "records": findings.records.rows.len(),
            "bytes": findings.records.value_bytes(),
        },
        "transport": findings.transport.name(),
        "batch": options.batch,
        "rounds": findings.rounds,
        "values_checked": findings.checked,
        "sequential": measured_json(sequential),
        "parallel": measured_json(parallel),
        "ratio": {
            "commands_per_s": rounded(parallel.commands_per_s() / sequential.commands_per_s()),
            "average": rounded(ratio(sequential.average(), parallel.average())),
            "p50": rounded(ratio(sequential.percentile(50), parallel.percentile(50))),
            "p95": rounded(ratio(sequential.percentile(95), parallel.percentile(95))),
            "p99": rounded(ratio(sequential.percentile(99), parallel.percentile(99))),
        },
        "keys": { "prefix": PREFIX, "kept": options.keep, "deleted": deleted, "problem": problem },
    })
}

fn measured_json(measured: &Measured) -> Value {
    let per_flush = |calls: u64| rounded(calls as f64 / measured.flushes().max(1) as f64);
    json!({
        "batches": measured.flushes(),
        "commands": measured.commands,
        "commands_per_s": rounded(measured.commands_per_s()),
        "flush_ms": {
            "average": ms_json(measured.average()),
            "p50": ms_json(measured.percentile(50)),
            "p95": ms_json(measured.percentile(95)),
            "p99": ms_json(measured.percentile(99)),
        },
        "nodes_ms": {
            "sum": ms_json(measured.nodes_sum()),
            "slowest": ms_json(measured.nodes_slowest()),
        },
        "system_calls_per_flush": {
            "writes": per_flush(measured.syscalls.writes),
            "reads": per_flush(measured.syscalls.reads),
            "waits": per_flush(measured.syscalls.waits),
            "enters": per_flush(measured.syscalls.enters),
        },
        "typical_flush": measured.typical().map(timeline_json),
    })
}

fn timeline_json(timeline: &Timeline) -> Value {
    let nodes: Vec<Value> = timeline.nodes.iter().map(node_json).collect();
    json!({
        "total_ms": ms_json(timeline.total),
        "slowest": chart::slowest(timeline).map(|node| node.node.as_str()),
        "nodes": nodes,
    })
}

fn node_json(node: &NodeTimeline) -> Value {
    json!({
        "node": node.node,
        "commands": node.commands,
        "bytes": node.bytes,
        "first_out_ms": node.first_out.map(ms_json),
        "last_out_ms": node.last_out.map(ms_json),
        "first_back_ms": node.first_back.map(ms_json),
        "last_back_ms": node.last_back.map(ms_json),
        "own_ms": ms_json(own_time(node)),
        "redirects": node.redirects,
    })
}

fn ms_json(duration: Duration) -> Value {
    rounded(as_ms(duration))
}

fn rounded(number: f64) -> Value {
    json!((number * 1e3).round() / 1e3)
}
