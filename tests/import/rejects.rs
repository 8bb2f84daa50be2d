//! What the cluster refuses: counted, written down, importable; and when that ends the load.

use panpipe::prelude::*;

use super::tool::{Tool, check_values, client, embedded, keys, kv, resp};

/// Makes every so many-th key a list, which SET overwrites and APPEND does not.
fn spoil(client: &mut Client, records: u64, every: u64) {
    for number in (every..=records).step_by(every as usize) {
        client.rpush(format!("key:{number}"), ["x"]).expect("an answer");
    }
}

fn appends(records: u64) -> String {
    (1..=records).map(|number| format!("APPEND key:{number} \"value {number}\"\n")).collect()
}

#[test]
fn rejects_are_exact_and_importable() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut client = client(&cluster.url());
    spoil(&mut client, 3000, 10);
    tool.write("data.txt", appends(3000));
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "bad"];
    let run = tool.run(&args).expect(1).says("300 records rejected");
    run.records(3000, 2700, 300);
    assert_eq!(run.number("/commands/failed"), 300);
    assert_eq!(run.value("/errors/0/class"), "WRONGTYPE");
    assert_eq!(run.number("/errors/0/count"), 300);
    let lines = tool.lines("bad.rejects.jsonl");
    let text = tool.text("data.txt");
    assert_eq!(lines.len(), 300);
    for (at, line) in lines.iter().enumerate() {
        let number = (at as u64 + 1) * 10;
        assert_eq!(line["record"], number);
        assert_eq!(line["name"], "APPEND");
        assert_eq!(line["key"], format!("key:{number}"));
        assert_eq!(line["slot"], panpipe::slot::slot_of(format!("key:{number}").as_bytes()));
        assert_eq!(line["outcome"], "refused");
        assert_eq!(line["attempts"], 1);
        assert!(line["node"].as_str().is_some_and(|node| node.starts_with("127.0.0.1:")), "{line}");
        assert!(line["error"].as_str().is_some_and(|error| error.contains("WRONGTYPE")), "{line}");
        let offset = line["offset"].as_u64().expect("an offset") as usize;
        let source = format!("APPEND key:{number} \"value {number}\"");
        assert_eq!(line["source"], source.as_str());
        assert!(text[offset..].starts_with(&source), "the offset is where the record begins");
    }
    for number in (10..=3000).step_by(10) {
        client.del([format!("key:{number}")]).expect("an answer");
    }
    tool.run(&["bad.rejects.resp"]).expect(0).records(300, 300, 0);
    check_values(&mut client, 1..=3000);
}

#[test]
fn the_first_error_stops_unless_told_otherwise() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut client = client(&cluster.url());
    spoil(&mut client, 2000, 1000);
    tool.write("data.txt", appends(200_000));
    let run = tool
        .run(&["data.txt", "--format", "commands"])
        .expect(3)
        .says("stopped at the first error: record 1000");
    let done = run.number("/records/done");
    assert!((1000..200_000).contains(&done), "{done}");
    let rejected = run.number("/records/rejected");
    run.records(done, done - rejected, rejected);
    assert_eq!(tool.lines("data.txt.rejects.jsonl").len() as u64, rejected);
    let bad_keys = 2;
    assert_eq!(keys(&mut client), done - rejected + bad_keys, "all of what is counted, and nothing else");
}

#[test]
fn more_errors_than_allowed_stop() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    spoil(&mut client(&cluster.url()), 50_000, 100);
    tool.write("data.txt", appends(50_000));
    let run = tool.run(&["data.txt", "--format", "commands", "--max-errors", "20"]).expect(3);
    run.says("--max-errors is 20");
    tool.remove("data.txt.rejects.resp");
    tool.remove("data.txt.rejects.jsonl");
    let run = tool.run(&["data.txt", "--format", "commands", "--max-errors", "0.5%"]).expect(3);
    run.says("--max-errors is 0.5 %");
    let args = ["data.txt", "--format", "commands", "--max-errors", "2%", "--restart"];
    tool.run(&args).expect(1).records(50_000, 49_500, 500);
}

#[test]
fn what_cannot_be_read_is_rejected_too() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", format!("{}no tab in here\n{}", kv(10), "key:11\tvalue 11\n"));
    let run = tool.run(&["data.kv", "--on-error", "skip"]).expect(1);
    run.records(12, 11, 1);
    assert_eq!(run.number("/records/unreadable"), 1);
    let lines = tool.lines("data.kv.rejects.jsonl");
    assert_eq!((&lines[0]["record"], &lines[0]["outcome"]), (&11.into(), &"unreadable".into()));
    assert_eq!(lines[0]["source"], "no tab in here");
    check_values(&mut client(&cluster.url()), 1..=11);
    let said = tool.run(&["data.kv"]).expect(2).stderr;
    assert!(said.contains("data.kv.rejects.") && said.contains("--restart"), "{said}");
    tool.run(&["data.kv", "--restart"]).expect(3);
    let run = tool.run(&["data.kv", "--on-error", "skip", "--rejects", "none"]).expect(1);
    run.records(12, 11, 1);
}

#[test]
fn shards_have_reject_files_of_their_own() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut client = client(&cluster.url());
    spoil(&mut client, 1000, 10);
    tool.write("data.txt", appends(1000));
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--shard"];
    let shards = [("1/2", "data.txt.0-8191"), ("2/2", "data.txt.8192-16383")];
    let mut records = Vec::new();
    for (shard, name) in shards {
        tool.run(&[&args[..], &[shard]].concat()).expect(1).says(&format!("{name}.rejects.jsonl says why"));
        let lines = tool.lines(&format!("{name}.rejects.jsonl"));
        records.extend(lines.iter().filter_map(|line| line["record"].as_u64()));
    }
    records.sort_unstable();
    assert!(records.iter().copied().eq((10..=1000).step_by(10)), "{records:?}");
}

#[test]
fn keys_in_several_slots_and_foreign_commands_are_rejected() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.txt", "SET a 1\nRENAME a b\nSUBSCRIBE x\nFROBNICATE y\nSET c 2\n");
    let run =
        tool.run(&["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "x"]).expect(1);
    run.records(5, 2, 3);
    let lines = tool.lines("x.rejects.jsonl");
    let classes: Vec<_> =
        lines.iter().map(|line| (line["record"].as_u64(), line["outcome"].as_str())).collect();
    assert_eq!(classes, [2, 3, 4].map(|record| (Some(record), Some("not executed"))));
    assert_eq!(lines[0]["class"], "CROSSSLOT");
}

#[test]
fn writes_that_were_refused_for_too_long_are_rejected_or_left_to_a_resume() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(300));
    let mut client = client(&cluster.url());
    let refuse = |is_so| cluster.with(|model| model.refusals_mut(0).out_of_memory = is_so);
    refuse(true);
    let args = ["data.kv", "--timeout", "1", "--on-error", "skip"];
    let run = tool.run(&args).expect(3).says("takes no writes");
    let (done, rejected) = (run.number("/records/done"), run.number("/records/rejected"));
    run.records(done, done - rejected, rejected);
    assert!(rejected > 0, "nobody resumes: what was refused is in the reject file");
    assert_eq!(keys(&mut client), done - rejected, "what is said to be written is");
    let lines = tool.lines("data.kv.rejects.jsonl");
    assert_eq!(lines.len() as u64, rejected);
    // Commands of key-value lines are not kept, but made again.
    let mut frames = Vec::new();
    for line in &lines {
        let (key, value) = (format!("key:{}", line["record"]), format!("value {}", line["record"]));
        assert_eq!(
            (line["source"].as_str(), line["key"].as_str()),
            (Some(&*format!("{key}\t{value}")), Some(&*key))
        );
        frames.extend(resp(&["SET", &key, &value]));
    }
    assert_eq!(tool.read("data.kv.rejects.resp"), frames);
    refuse(false);
    tool.run(&["data.kv.rejects.resp"]).expect(0).records(rejected, rejected, 0);
    tool.run(&["data.kv", "--restart", "--skip", &done.to_string()]).expect(0);
    check_values(&mut client, 1..=300);

    refuse(true);
    let args = [&args[..], &["--checkpoint", "c.json"]].concat();
    let run = tool.run(&args).expect(3).says("--resume goes on there");
    assert_eq!((run.number("/records/rejected"), tool.has_some("data.kv.rejects.jsonl")), (0, false));
    refuse(false);
    tool.run(&[&args[..], &["--resume", "--verify", "full"]].concat()).expect(0).records(300, 300, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_for_the_rejects_stops_the_load() {
    full_disk(1000);
    // So many that some are written on the way.
    full_disk(2);
}

#[cfg(target_os = "linux")]
fn full_disk(every: u64) {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut client = client(&cluster.url());
    spoil(&mut client, 5000, every);
    tool.write("data.txt", appends(5000));
    std::os::unix::fs::symlink("/dev/full", tool.path("full.rejects.jsonl")).expect("a link");
    let args = [
        "data.txt",
        "--format",
        "commands",
        "--on-error",
        "skip",
        "--rejects",
        "full",
        "--checkpoint",
        "c.json",
    ];
    let run = tool.run(&args).expect(3).says("cannot write the reject file full.rejects.jsonl");
    assert!(run.stderr.contains("No space left"), "{}", run.stderr);
    run.records(every - 1, every - 1, 0);
    assert_eq!(tool.read("full.rejects.resp"), b"", "half an entry is no entry");
    // Room again: the load goes on, and nothing is missing.
    tool.remove("full.rejects.jsonl");
    let run = tool.run(&[&args[..], &["--resume"]].concat()).expect(1);
    run.records(5000, 5000 - 5000 / every, 5000 / every);
    let lines = tool.lines("full.rejects.jsonl");
    let records = lines.iter().filter_map(|line| line["record"].as_u64());
    assert!(records.eq((every..=5000).step_by(every as usize)), "each once, in order");
}
