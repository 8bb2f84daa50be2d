//! Loads on a cluster that changes, stops, fills up and dies meanwhile.

use std::time::Duration;

use panpipe::slot::slot_of;

use crate::bench::{Bench, HOT, key, lines};
use crate::tool::{Running, Tool, wait_until};

pub(crate) fn slots_move(bench: &Bench, tool: &Tool) {
    let records = bench.either(30_000, 600_000);
    tool.write("data.kv", lines(records));
    let mut running = tool.start(&["data.kv", "--rate", "12000", "--verify", "full"]);
    wait_until("the load", || bench.keys() > 1000);
    let moves = to_and_fro(bench, &mut running);
    let run = running.end(tool).expect(0);
    bench.check(&run, records, records);
    let redirects = run.number("/client/moved") + run.number("/client/asks");
    assert!(redirects > 0, "slots moved {moves} times, and nobody noticed");
}

/// Servers tell each other of a move at once, and each to somebody every second.
const EPOCHS_KNOWN_AFTER: Duration = Duration::from_millis(1200);

/// Moves the slots of the hot tags away and back, at least once, as long as the load takes. How often they moved is the answer.
fn to_and_fro(bench: &Bench, running: &mut Running) -> u32 {
    let slots = HOT.map(|tag| slot_of(tag.as_bytes()));
    let homes = slots.map(|slot| bench.cluster.owner_of(slot));
    let (mut away, mut moves) = (false, 0);
    while moves < 2 || away || !running.is_over() {
        let mut owners = Vec::new();
        for (&slot, &home) in slots.iter().zip(&homes) {
            let other = (home + 1) % 3;
            let (from, to) = if away { (other, home) } else { (home, other) };
            bench.cluster.move_slot(slot, from, to);
            owners.push((slot, to));
        }
        bench.cluster.wait_agreed_on(&owners);
        // A server gives itself the next epoch that it knows of: one that has not heard of the last moves takes a number that is gone, loses
        // the slot again, and drops its keys.
        std::thread::sleep(EPOCHS_KNOWN_AFTER);
        away = !away;
        moves += 1;
    }
    moves
}

/// Each record is a transaction over two keys of a slot that moves: a list and the number of its elements.
pub(crate) fn units_move(bench: &Bench, tool: &Tool) {
    let records = bench.either(8_000, 100_000);
    let unit = |number: u64| {
        let tag = HOT[(number % 4) as usize];
        format!("MULTI\nRPUSH {tag}list {number}\nINCR {tag}count\nEXEC\n")
    };
    tool.write("data.txt", (1..=records).map(unit).collect::<String>());
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "bad"];
    let mut running = tool.start(&[&args[..], &["--rate", "2000"]].concat());
    wait_until("the load", || bench.keys() == 8);
    let moves = to_and_fro(bench, &mut running);
    let run = running.end(tool);
    let rejected = run.number("/records/rejected");
    run.records(records, records - rejected, rejected);
    bench.check_sums(&run);
    // What has lost its place did not run, nor did what two servers sent to each other for too long; nothing else failed.
    let lines = if rejected > 0 { tool.lines("bad.rejects.jsonl") } else { Vec::new() };
    for line in &lines {
        let error = line["error"].as_str().expect("a text");
        assert!(error.contains("overtaken") || error.contains("gave up after"), "{line}");
        assert_eq!(line["outcome"], "not executed", "{line}");
    }
    let redirects = run.number("/client/moved") + run.number("/client/asks");
    assert!(redirects > 0, "slots moved {moves} times, and nobody noticed");
    eprintln!("{records} transactions, {redirects} redirects, {rejected} rejected");
    check_units(bench, records - rejected, true);
    if rejected > 0 {
        tool.run(&["bad.rejects.resp"]).expect(0).records(rejected, rejected, 0);
    }
    check_units(bench, records, rejected == 0);
}

/// Each transaction ran whole and once, those of a list in their order.
fn check_units(bench: &Bench, records: u64, in_order: bool) {
    let mut seen = 0;
    for tag in HOT {
        let node = bench.cluster.owner_of(slot_of(tag.as_bytes()));
        let list = bench.cluster.call(node, &["LRANGE", &format!("{tag}list"), "0", "-1"]);
        let numbers: Vec<u64> = list
            .items()
            .iter()
            .map(|value| value.text().and_then(|text| text.parse().ok()).expect("a number"))
            .collect();
        let count = bench.cluster.call(node, &["GET", &format!("{tag}count")]);
        assert_eq!(count.text(), Some(numbers.len().to_string().as_str()), "both or none of {tag}");
        assert!(!in_order || numbers.is_sorted_by(|one, other| one < other), "{tag} is out of order");
        seen += numbers.len() as u64;
    }
    assert_eq!(seen, records);
}

pub(crate) fn stopped(bench: &Bench, tool: &Tool) {
    let records = bench.either(30_000, 300_000);
    tool.write("data.kv", lines(records));
    let running = tool.start(&["data.kv", "--rate", "15000", "--progress", "log", "--verify", "full"]);
    wait_until("the load", || bench.keys() > 1000);
    let victim = bench.cluster.primaries()[1];
    bench.cluster.stop(victim);
    std::thread::sleep(Duration::from_secs(bench.either(6, 10)));
    bench.cluster.cont(victim);
    let run = running.end(tool).expect(0);
    bench.check(&run, records, records);
    assert_eq!(run.number("/client/disconnects"), 0, "a node that stops for a while keeps its connection");
    let address = bench.cluster.nodes()[victim].server.address().to_string();
    let nodes = run.value("/nodes").as_array().expect("nodes").clone();
    let node = nodes.iter().find(|node| node["node"] == address.as_str()).expect("the victim");
    assert!(node["stalls"].as_u64().is_some_and(|stalls| stalls > 0), "{node}");
    assert!(run.stderr.contains(&format!("stalled={address},")), "{}", run.stderr);
}

pub(crate) fn out_of_memory(bench: &Bench, tool: &Tool) {
    let records = bench.either(30_000, 300_000);
    tool.write("data.kv", lines(records));
    let victim = bench.cluster.primaries()[2];
    let limit = |bytes: &str| {
        bench.cluster.call(victim, &["CONFIG", "SET", "maxmemory", bytes]).expect(&"CONFIG SET maxmemory");
    };
    bench.cluster.call(victim, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]).expect(&"CONFIG SET");
    // For a moment: the load waits, and nothing is rejected.
    let running = tool.start(&["data.kv", "--rate", "20000", "--verify", "full"]);
    wait_until("the load", || bench.keys() > 1000);
    limit("1mb");
    std::thread::sleep(Duration::from_secs(2));
    limit("0");
    let run = running.end(tool).expect(0);
    bench.check(&run, records, records);
    assert!(run.value("/timing/paused_seconds").as_f64().is_some_and(|seconds| seconds > 0.5), "{run:?}");
    // For too long: it stops, nothing is rejected either, and a resume goes on.
    bench.flush_all();
    let args = ["data.kv", "--checkpoint", "c.json"];
    let running = tool.start(&[&args[..], &["--rate", "20000", "--timeout", "2"]].concat());
    wait_until("the load", || bench.keys() > 1000);
    limit("1mb");
    let run = running.end(tool).expect(3).says("OOM");
    let done = run.number("/records/done");
    run.records(done, done, 0);
    bench.check_sums(&run);
    assert!(done < records);
    assert!(!tool.has("data.kv.rejects.resp"), "a million rejects would help nobody");
    limit("0");
    let run = tool.run(&[&args[..], &["--resume", "--verify", "full"]].concat()).expect(0);
    bench.check(&run, records, records);
}

/// What a server acknowledges and loses with its death, before its replica has it, nobody can know: on one machine that is next to nothing,
/// and it can only be keys of that server.
pub(crate) fn primary_dies(bench: &Bench, tool: &Tool) {
    for node in 0..bench.cluster.nodes().len() {
        bench.cluster.call(node, &["CONFIG", "SET", "cluster-node-timeout", "2000"]).expect(&"CONFIG SET");
    }
    let records = bench.either(30_000, 300_000);
    tool.write("data.kv", lines(records));
    let args = ["data.kv", "--on-error", "skip", "--rejects", "bad", "--verify", "full"];
    let running = tool.start(&[&args[..], &["--rate", "15000"]].concat());
    wait_until("the load", || bench.keys() > 1000);
    let victim = bench.cluster.primaries()[0];
    let replica = bench.cluster.replicas_of(victim)[0];
    let view = bench.cluster.view(victim);
    bench.cluster.kill(victim);
    bench.cluster.wait_promoted(replica);
    let run = running.end(tool);
    let rejected = run.number("/records/rejected");
    run.records(records, records - rejected, rejected);
    bench.check_sums(&run);
    let lost = run.number("/verify/mismatches");
    let was_of_victim = |key: &str| view.myself().owns(slot_of(key.as_bytes()));
    assert_eq!(run.code, Some(if lost > 0 { 6 } else { i32::from(rejected > 0) }), "{}", run.stderr);
    assert!(lost < 100, "{}", run.stdout);
    for mismatch in run.value("/verify/first").as_array().expect("mismatches") {
        assert!(mismatch["key"].as_str().is_some_and(was_of_victim), "{mismatch}");
    }
    // Only what was on its way to the victim can be in doubt.
    let doubtful = if rejected > 0 { tool.lines("bad.rejects.jsonl") } else { Vec::new() };
    assert_eq!(doubtful.len() as u64, rejected);
    for line in &doubtful {
        assert_eq!(line["outcome"], "unknown", "{line}");
        let record = line["record"].as_u64().expect("a number");
        assert!(was_of_victim(&key(record)), "{line}");
    }
    eprintln!("the death of a primary: {rejected} records in doubt, {lost} lost by the servers");
    if rejected > 0 {
        tool.run(&["bad.rejects.resp", "--verify", "full"]).expect(0).records(rejected, rejected, 0);
    }
    assert_eq!(bench.keys(), records - lost);
}
