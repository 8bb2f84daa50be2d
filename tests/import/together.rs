//! Two loads at once that would write the same files.
#![cfg(target_os = "linux")]

use super::tool::{Tool, check_values, client, embedded, kv, wait_until};

const RECORDS: u64 = 60_000;

#[test]
fn one_load_at_a_time_for_a_checkpoint() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(RECORDS));
    let args = ["data.kv", "--checkpoint", "c.json", "--rate", "20000"];
    let mut first = tool.start(&args);
    let pid = first.child().id();
    tool.wait_for_checkpoint();
    let second = ["data.kv", "--checkpoint", "./c.json", "--rejects", "other"];
    for how in [&["--resume"][..], &["--restart"], &[]] {
        let run = tool.run(&[&second[..], how].concat()).expect(2).says("the checkpoint ./c.json is in use");
        run.says(&format!("process {pid}")).says("another --checkpoint");
    }
    assert!(!first.is_over(), "in time");
    // What its death leaves behind keeps nobody out.
    first.kill();
    assert!(tool.has("c.json.lock"));
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume"]).expect(0);
    run.records(RECORDS, RECORDS, 0);
    assert!(!tool.has("c.json.lock") && !tool.has("data.kv.rejects.lock"), "nothing is left");
    check_values(&mut client(&cluster.url()), 1..=RECORDS);
}

#[test]
fn one_load_at_a_time_for_a_reject_file() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(RECORDS).replace("00\tvalue", "00 value"));
    let mut first = tool.start(&["data.kv", "--on-error", "skip", "--rate", "20000"]);
    wait_until("the first reject", || tool.has_some("data.kv.rejects.jsonl"));
    let second = ["data.kv", "--max", "10"];
    for how in [&["--restart"][..], &["--checkpoint", "c.json"], &["--rejects", "./data.kv"]] {
        let run = tool.run(&[&second[..], how].concat()).expect(2).says("data.kv.rejects.resp is in use");
        run.says("another --rejects");
    }
    assert!(!tool.has("c.json"), "refused before anything is written");
    tool.run(&[&second[..], &["--rejects", "other"]].concat()).expect(0);
    tool.run(&[&second[..], &["--rejects", "none"]].concat()).expect(0);
    tool.run(&[&second[..], &["--dry-run"]].concat()).expect(0);
    assert!(!first.is_over(), "in time");
    let run = first.end(&tool).expect(1);
    assert!(run.stdout.contains("600 rejected"), "{}", run.stdout);
    assert_eq!(tool.lines("data.kv.rejects.jsonl").len(), 600);
}
