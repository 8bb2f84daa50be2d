//! Every format, every way in.

use std::io::Write;
use std::process::Stdio;

use panpipe::prelude::*;

use super::tool::{Tool, check_values, client, embedded, keys, kv, sets, wait_until};

#[test]
fn key_value_lines() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(5000));
    let run = tool.run(&["data.kv", "--verify", "full"]).expect(0);
    run.records(5000, 5000, 0);
    assert_eq!(run.number("/verify/commands_compared"), 5000);
    assert_eq!(run.number("/verify/mismatches"), 0);
    assert_eq!(run.number("/loader/written"), 5000);
    let mut client = client(&cluster.url());
    assert_eq!(keys(&mut client), 5000);
    check_values(&mut client, 1..=5000);
    assert!(!tool.has("data.kv.rejects.resp"), "made only when needed");
}

#[test]
fn what_finds_no_room_is_pushed_again() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(3000));
    tool.write("data.resp", sets(3000));
    for name in ["data.kv", "data.resp"] {
        let run = tool.run(&[name, "--window", "20", "--verify", "full"]).expect(0);
        run.records(3000, 3000, 0);
        check_values(&mut client(&cluster.url()), 1..=3000);
        let bytes = ["--max-inflight-bytes", "4kb"];
        tool.run(&[&[name, "--verify", "full"][..], &bytes].concat()).expect(0).records(3000, 3000, 0);
    }
}

#[test]
fn resp_as_redis_cli_pipe_takes_it() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.resp", sets(3000));
    tool.run(&["data.resp", "--verify", "full"]).expect(0).records(3000, 3000, 0);
    check_values(&mut client(&cluster.url()), 1..=3000);
}

#[test]
fn commands_as_one_types_them() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut text = String::from(
        "RPUSH list a b\nHSET hash 'field one' \"x\\ty\"\nSADD set m\nZADD zset 1.5 n\nINCR n\n",
    );
    text.push_str("# not a command\n\nMSET {t}a 1 {t}b 2\n");
    tool.write("data.txt", text);
    let run = tool.run(&["data.txt", "--format", "commands", "--verify", "full"]).expect(0);
    assert_eq!(run.number("/commands/done"), 6);
    assert_eq!(run.value("/verify/commands_not_comparable").to_string(), "{\"INCR\":1,\"RPUSH\":1}");
    let mut client = client(&cluster.url());
    assert_eq!(keys(&mut client), 7);
    let value: String = client.call(panpipe::cmd("HGET").key("hash").arg("field one")).expect("an answer");
    assert_eq!(value, "x\ty");
}

#[test]
fn a_pipe_and_a_slow_one() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let run = tool.run_with(&["-", "--format", "kv"], kv(4000).as_bytes()).expect(0);
    run.records(4000, 4000, 0);
    assert!(run.stdout.contains("standard input: 4,000 records"), "{}", run.stdout);
    let mut client = client(&cluster.url());
    check_values(&mut client, 1..=4000);
    // What is enough to see what it is, is not held back until more comes.
    client.call::<()>(panpipe::cmd("FLUSHALL")).expect("an answer");
    let mut child =
        tool.command(&["-", "--format", "kv"]).stdin(Stdio::piped()).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("piped");
    for number in 1..=5 {
        let key = format!("a key of some length:{number}");
        stdin.write_all(format!("{key}\tvalue {number}\n").as_bytes()).expect("writes");
        wait_until("the record", || client.get(&key).expect("an answer").is_some());
    }
    drop(stdin);
    assert!(child.wait().expect("a child").success());
    assert_eq!(keys(&mut client), 5);
}

const PLANES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/planes.csv");
const PLANE: &str = "HSET plane:#{tailnum} model #{model} seats #{seats}";

#[test]
fn csv_by_templates() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let sets = "SADD {planes}:#{manufacturer} #{tailnum}";
    let run = tool.run(&[PLANES, "--header", "--cmd", PLANE, "--cmd", sets, "--verify", "full"]).expect(0);
    run.records(3322, 3322, 0);
    assert_eq!(run.number("/commands/done"), 6644);
    assert_eq!(run.number("/verify/commands_compared"), 6644);
    let mut client = client(&cluster.url());
    let model: String =
        client.call(panpipe::cmd("HGET").key("plane:N10156").arg("model")).expect("an answer");
    assert_eq!(model, "EMB-145XR");
    // The words of riot, behind all flags.
    let run = tool
        .run(&["--verify", "full", "--header", PLANES, "hset", "--keyspace", "p", "--key", "tailnum"])
        .expect(0);
    run.records(3322, 3322, 0);
    let model: String = client.call(panpipe::cmd("HGET").key("p:N10156").arg("model")).expect("an answer");
    assert_eq!(model, "EMB-145XR");
}

#[test]
fn the_relatives_of_csv() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    for (name, separator) in [("data.tsv", '\t'), ("data.psv", '|'), ("data.csv", ';')] {
        let text: String =
            (1..=500).map(|number| format!("key:{number}{separator}value {number}\n")).collect();
        tool.write(name, text);
        let delimiter = separator.to_string();
        let mut args =
            vec![name, "--fields", "key,value", "--cmd", "SET #{key} #{value}", "--verify", "full"];
        if name == "data.csv" {
            args.extend(["--delimiter", &delimiter]);
        }
        tool.run(&args).expect(0).records(500, 500, 0);
        check_values(&mut client(&cluster.url()), 1..=500);
    }
}

#[test]
fn json_in_lines_and_in_one_piece() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let objects: Vec<String> = (1..=400)
        .map(|number| format!("{{\"id\":{number},\"nested\":{{\"list\":[\"a\",\"value {number}\"]}}}}"))
        .collect();
    tool.write("data.jsonl", objects.join("\n"));
    tool.write("data.json", format!("[\n  {}\n]\n", objects.join(",\n  ")));
    for name in ["data.jsonl", "data.json"] {
        let mut client = client(&cluster.url());
        client.call::<()>(panpipe::cmd("FLUSHALL")).expect("an answer");
        let run = tool.run(&[name, "--cmd", "SET key:#{id} #{nested.list[1]}", "--verify", "full"]).expect(0);
        run.records(400, 400, 0);
        check_values(&mut client, 1..=400);
    }
}

#[test]
fn compressed_by_its_first_bytes() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("plain.kv", kv(2000));
    let Some(gzip) = compressed(&tool, "gzip") else { return };
    tool.write("data.kv", &gzip);
    tool.run(&["data.kv", "--verify", "full"]).expect(0).records(2000, 2000, 0);
    tool.run_with(&["-", "--format", "kv"], &gzip).expect(0).records(2000, 2000, 0);
    check_values(&mut client(&cluster.url()), 1..=2000);
    if let Some(zstd) = compressed(&tool, "zstd") {
        tool.write("data.kv", zstd);
        tool.run(&["data.kv", "--verify", "full"]).expect(0).records(2000, 2000, 0);
    }
    tool.write("cut.kv", &gzip[..gzip.len() / 2]);
    let run = tool.run(&["cut.kv", "--format", "kv"]).expect(5);
    let written = run.number("/records/written");
    assert!(written < 2000, "{written}");
}

/// The plain file through a program that not every machine has.
fn compressed(tool: &Tool, program: &str) -> Option<Vec<u8>> {
    let output = std::process::Command::new(program).args(["-c"]).arg(tool.path("plain.kv")).output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[test]
fn parts_of_an_input() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(1000));
    let run = tool.run(&["data.kv", "--skip", "100", "--max", "200"]).expect(0);
    run.records(200, 200, 0);
    let mut client = client(&cluster.url());
    assert_eq!(keys(&mut client), 200);
    check_values(&mut client, 101..=300);
    let written: u64 = (1..=4)
        .map(|share| {
            let share = format!("{share}/4");
            tool.run(&["data.kv", "--shard", &share, "--verify", "full"]).expect(0).number("/records/written")
        })
        .sum();
    assert_eq!(written, 1000, "the shares are the whole");
    check_values(&mut client, 1..=1000);
}
