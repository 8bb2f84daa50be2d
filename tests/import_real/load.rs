//! Loads on a cluster at peace, and ends that the user makes.

use crate::bench::{Bench, key, lines};
use crate::tool::{Tool, wait_until};

pub(crate) fn everything(bench: &Bench, tool: &Tool) {
    let records = bench.either(40_000, 3_000_000);
    tool.write("data.kv", lines(records));
    let run = tool.run(&["data.kv", "--verify", "full"]).expect(0);
    bench.check(&run, records, records);
}

/// Every thousandth key is a list already: HSET is refused.
pub(crate) fn wrong_types(bench: &Bench, tool: &Tool) {
    let records = bench.either(20_000, 1_000_000);
    let spoiled: String =
        (1000..=records).step_by(1000).map(|number| format!("RPUSH {} x\n", key(number))).collect();
    tool.write("spoil.txt", spoiled);
    tool.run(&["spoil.txt", "--format", "commands"]).expect(0);
    let commands: String =
        (1..=records).map(|number| format!("HSET {} f \"{number} of it\"\n", key(number))).collect();
    tool.write("data.txt", commands);
    let args =
        ["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "bad", "--verify", "full"];
    let run = tool.run(&args).expect(1);
    let rejected = records / 1000;
    run.records(records, records - rejected, rejected);
    bench.check_sums(&run);
    assert_eq!(run.number("/verify/mismatches"), 0, "{}", run.stdout);
    assert_eq!(run.number("/verify/commands_compared"), records - rejected);
    let lines = tool.lines("bad.rejects.jsonl");
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["record"].as_u64()).collect();
    assert!(numbers.iter().copied().eq((1000..=records).step_by(1000)), "{numbers:?}");
    assert!(lines.iter().all(|line| line["class"] == "WRONGTYPE" && line["outcome"] == "refused"));
    // With the lists out of the way, what was rejected can be loaded.
    let away: String =
        (1000..=records).step_by(1000).map(|number| format!("DEL {}\n", key(number))).collect();
    tool.write("away.txt", away);
    tool.run(&["away.txt", "--format", "commands"]).expect(0);
    tool.run(&["bad.rejects.resp", "--verify", "full"]).expect(0).records(rejected, rejected, 0);
    assert_eq!(bench.keys(), records);
}

pub(crate) fn interrupted(bench: &Bench, tool: &Tool) {
    let records = bench.either(30_000, 600_000);
    tool.write("data.kv", lines(records));
    let mut running = tool.start(&["data.kv", "--checkpoint", "c.json", "--rate", "15000"]);
    tool.wait_for_checkpoint();
    running.signal("INT");
    let run = running.end(tool).expect(130);
    let done = run.number("/records/done");
    assert!(done < records, "it came too late");
    run.records(done, done, 0);
    bench.check_sums(&run);
    assert_eq!(bench.keys(), done, "what was under way had the time to end");
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume", "--verify", "full"]).expect(0);
    bench.check(&run, records, records);
    assert_eq!(run.number("/timing/records_of_this_run"), records - done, "nothing twice");
}

pub(crate) fn killed(bench: &Bench, tool: &Tool) {
    let records = bench.either(30_000, 600_000);
    tool.write("data.kv", lines(records));
    let args = ["data.kv", "--checkpoint", "c.json", "--resume", "--verify", "full"];
    for _ in 0..2 {
        let before = tool.has("c.json").then(|| tool.read("c.json"));
        let running = tool.start(&[&args[..], &["--rate", "12000"]].concat());
        wait_until("a new checkpoint", || {
            tool.has("c.json") && before.as_deref() != Some(&tool.read("c.json")[..])
        });
        std::thread::sleep(std::time::Duration::from_millis(200));
        running.kill();
    }
    let run = tool.run(&args).expect(0);
    bench.check(&run, records, records);
    assert!(run.number("/records/in_earlier_runs") > 0);
}

/// What stands before the damage is loaded, and nothing else.
pub(crate) fn damaged(bench: &Bench, tool: &Tool) {
    let records = bench.either(5_000, 500_000);
    let frame = |number: u64| {
        let (key, value) = (key(number), format!("value {number}"));
        format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
    };
    let whole: String = (1..=records).map(frame).collect();
    tool.write("cut.resp", &whole[..whole.len() - 5]);
    let run = tool.run(&["cut.resp", "--checkpoint", "c.json"]).expect(5);
    run.records(records - 1, records - 1, 0);
    bench.check_sums(&run);
    assert_eq!(bench.keys(), records - 1);
    let garbage: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    tool.write("garbage.resp", garbage);
    tool.run(&["garbage.resp", "--format", "resp"]).expect(5);
    assert_eq!(bench.keys(), records - 1, "nothing was made of it");
}

/// The load stops where a refusal cannot be written down, and goes on from there.
pub(crate) fn no_room_for_rejects(bench: &Bench, tool: &Tool) {
    let records = bench.either(5_000, 100_000);
    tool.write("spoil.txt", format!("RPUSH {} x\n", key(1000)));
    tool.run(&["spoil.txt", "--format", "commands"]).expect(0);
    let appends: String = (1..=records).map(|number| format!("APPEND {} v\n", key(number))).collect();
    tool.write("data.txt", appends);
    let link = tool.path("full.rejects.jsonl");
    std::os::unix::fs::symlink("/dev/full", &link).expect("a link");
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "full"];
    let args = [&args[..], &["--checkpoint", "c.json"]].concat();
    let run = tool.run(&args).expect(3).says("cannot write the reject file");
    run.records(999, 999, 0);
    std::fs::remove_file(&link).expect("a link");
    let run = tool.run(&[&args[..], &["--resume"]].concat()).expect(1);
    run.records(records, records - 1, 1);
    assert_eq!(tool.lines("full.rejects.jsonl").len(), 1);
    assert_eq!(bench.keys(), records, "the list among them");
}
