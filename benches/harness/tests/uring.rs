//! The library over io_uring as a contender: the same commands, no errors, its system calls counted as the kernel counts them. Left out
//! where the system refuses io_uring.

#![cfg(target_os = "linux")]

use std::process::Command;

use panpipe::testkit::EmbeddedCluster;
use serde_json::{Value, json};

mod worker;

use worker::Worker;

fn workload(mix: &Value, batch: usize) -> Value {
    json!({
        "name": "test", "mix": mix, "batch": batch, "value_bytes": 64, "keys": 500, "distribution": "uniform", "window": null,
    })
}

fn setup(model: &EmbeddedCluster) -> Value {
    json!({
        "nodes": model.addresses(), "credentials": null, "cluster": true, "spin_us": 0, "flush_policy": "explicit",
    })
}

/// `None` where the system refuses io_uring.
fn start(model: &EmbeddedCluster, workload: &Value) -> Option<Worker> {
    match Worker::try_start("panpipe-uring", &setup(model), workload) {
        Ok(worker) => Some(worker),
        Err(reason) => {
            assert!(reason.contains("io_uring"), "{reason}");
            eprintln!("left out: {reason}");
            None
        }
    }
}

#[test]
fn every_kind_of_load_runs_without_errors() {
    let model = EmbeddedCluster::builder().primaries(3).start().unwrap();
    for (mix, batch) in [("set", 100), ("set", 1), ("get", 100), ("rate_limiter", 20)] {
        let Some(mut worker) = start(&model, &workload(&json!(mix), batch)) else { return };
        let loads = [
            json!({ "batches": { "batches": 20 } }),
            json!({ "stream": { "commands": 2000, "window": 100 } }),
            json!({ "stress": { "lanes": 20, "time_ms": 30 } }),
        ];
        for load in loads {
            let figures = worker.round(&load);
            assert_eq!(figures["errors"], 0, "{mix}, {load}: {figures}");
            assert!(figures["commands"].as_u64().unwrap() >= 20, "{mix}, {load}: {figures}");
        }
    }
}

#[test]
fn its_system_calls_are_enters() {
    let model = EmbeddedCluster::builder().primaries(12).start().unwrap();
    let count = |worker: &mut Worker| {
        let figures = worker.round(&json!({ "batches": { "batches": 50 } }));
        let counted = |name: &str| figures["counters"][name].as_u64().unwrap();
        (counted("writes") + counted("reads"), counted("waits"), counted("sleeps"))
    };
    let Some(mut uring) = start(&model, &workload(&json!("set"), 200)) else { return };
    let (moves, enters, sleeps) = count(&mut uring);
    assert_eq!(moves, 0, "what it writes and reads are requests");
    // One for a flush, and another where replies are late; there are twelve nodes.
    assert!((50..50 * 12).contains(&enters), "{enters}");
    assert!((1..=enters).contains(&sleeps), "{sleeps} of {enters}");

    let mut mio = Worker::start("panpipe", &setup(&model), &workload(&json!("set"), 200));
    let (moves, waits, sleeps) = count(&mut mio);
    assert!(moves >= 50 * 24, "a write and a read for each node: {moves}");
    assert!(sleeps <= waits, "{sleeps} of {waits}");
}

#[test]
fn a_timeline_is_of_either_transport_and_of_nothing_else() {
    let timeline = |contender: &str| {
        let args = ["timeline", "--text-only", "--flushes", "5", "--warm-up", "2", "--contender", contender];
        let output = Command::new(env!("CARGO_BIN_EXE_panpipe-bench")).args(args).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.success(), said)
    };
    let (is_fine, [shown, said]) = timeline("panpipe-uring");
    if is_fine {
        assert!(shown.contains("panpipe-uring: W2 on sink"), "{shown}");
    } else {
        assert!(said.contains("io_uring"), "{said}");
    }
    let (is_fine, [_, said]) = timeline("floor");
    assert!(!is_fine && said.contains("panpipe and panpipe-uring"), "{said}");
}
