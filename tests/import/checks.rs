//! Looking before (`--dry-run`) and after (`--verify`).

use panpipe::prelude::*;

use super::tool::{Tool, client, embedded, keys, kv};

#[test]
fn a_dry_run_routes_everything_and_writes_nothing() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut text: String = (1..=3000).map(|number| format!("SET key:{number} x\n")).collect();
    text.push_str(&"INCR hot\n".repeat(500));
    text.push_str("RENAME a b\nPUBLISH c d\n");
    tool.write("data.txt", text);
    let run =
        tool.run(&["data.txt", "--format", "commands", "--dry-run"]).expect(1).says("would be rejected");
    assert!(run.stdout.contains("slot"), "{}", run.stdout);
    assert_eq!(run.number("/records"), 3502);
    assert_eq!(run.number("/cross_slot"), 1);
    let nodes = run.value("/nodes").as_array().expect("nodes").clone();
    assert_eq!(nodes.len(), 3);
    let commands: u64 = nodes.iter().filter_map(|node| node["commands"].as_u64()).sum();
    assert_eq!(commands, 3500);
    assert_eq!(run.value("/hottest/0/slot"), panpipe::slot::slot_of(b"hot"));
    assert_eq!(run.number("/hottest/0/commands"), 500);
    let rows = run.value("/slots/rows").as_array().expect("rows").clone();
    let commands: u64 = rows.iter().filter_map(|row| row[1].as_u64()).sum();
    assert_eq!(commands, 3500);
    assert_eq!(keys(&mut client(&cluster.url())), 0);
    tool.write("data.kv", kv(10));
    tool.run(&["data.kv", "--dry-run"]).expect(0);
}

#[test]
fn a_dry_run_refuses_what_the_load_does() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write(
        "data.txt",
        "MSET a 1 b 2 c 3\nDEL d e f\nMULTI\nSET {x}1 a\nSET {x}2 b\nEXEC\nMSETNX a 1 b 2\n",
    );
    let args = ["data.txt", "--format", "commands"];
    let dry = tool.run(&[&args[..], &["--dry-run"]].concat());
    assert_eq!((dry.number("/split"), dry.number("/cross_slot")), (2, 1));
    let load = tool.run(&[&args[..], &["--on-error", "skip"]].concat());
    let refused = dry.number("/cross_slot") + dry.number("/not_allowed") + dry.number("/unreadable");
    assert_eq!((dry.code, refused), (load.code, load.number("/records/rejected")));
    // What was seen in front of a place that cannot be read is told.
    tool.write("cut.resp", b"*2\r\n$3\r\nDEL\r\n$1\r\nd\r\n*2\r\n$3");
    let dry = tool.run(&["cut.resp", "--dry-run"]).expect(5).says("cut off");
    assert_eq!(dry.number("/records"), 1);
    assert!(dry.stdout.contains("1 record, 1 command"), "{}", dry.stdout);
}

#[cfg(unix)]
#[test]
fn a_dry_run_of_a_quiet_pipe_can_be_interrupted() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut command = tool.command(&["-", "--format", "kv", "--dry-run", "--progress", "none"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, b"a key that is long enough\t1\n").expect("it reads");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-INT", &pid]).status().is_ok_and(|sent| sent.success())
    );
    let began = std::time::Instant::now();
    let status = child.wait().expect("a child");
    assert_eq!(status.code(), Some(130));
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "it does not wait for more input");
}

/// Loads slowly while somebody else writes one of the keys again and again, and stops before the end.
fn meddled(verify: &str, meddle: impl Fn(&mut Client)) -> super::tool::Run {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(3000));
    let mut running = tool.start(&["data.kv", "--rate", "2000", "--verify", verify]);
    let mut client = client(&cluster.url());
    super::tool::wait_until("the first key", || client.get("key:1").expect("an answer").is_some());
    meddle(&mut client);
    assert!(!running.is_over(), "in time");
    running.end(&tool)
}

#[test]
fn what_is_not_as_written_is_found() {
    let run = meddled("full", |client| client.set("key:1", "meddled with").expect("an answer")).expect(6);
    assert_eq!(run.number("/verify/mismatches"), 1);
    assert_eq!(run.value("/verify/first/0/key"), "key:1");
    assert!(run.stdout.contains("expected \"value 1\", found \"meddled with\""), "{}", run.stdout);
    let run = meddled("count", |client| assert_eq!(client.del(["key:1"]), Ok(1))).expect(6);
    assert_eq!(run.number("/verify/mismatches"), 1);
    let run = meddled("count", |client| client.set("key:1", "meddled with").expect("an answer")).expect(0);
    assert_eq!(run.number("/verify/commands_compared"), 3000);
}

#[test]
fn what_is_gone_before_its_time_has_not_expired() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let text: String = (1..=3000).map(|number| format!("SET key:{number} x EX 1000\n")).collect();
    tool.write("data.txt", text);
    let args = ["data.txt", "--format", "commands", "--rate", "2000", "--verify", "full"];
    let mut running = tool.start(&args);
    let mut client = client(&cluster.url());
    super::tool::wait_until("the first key", || client.get("key:1").expect("an answer").is_some());
    assert_eq!(client.del(["key:1"]), Ok(1));
    assert!(!running.is_over(), "in time");
    let run = running.end(&tool).expect(6);
    assert_eq!((run.number("/verify/mismatches"), run.number("/verify/keys_expired")), (1, 0));
}

#[test]
fn the_last_record_of_a_key_counts() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut text = String::new();
    for round in 0..20 {
        for key in 0..100 {
            text.push_str(&format!(
                "SET key:{key} {round}\nHSET hash:{key} f {round} g:{round} 1\nSADD set:{key} {round}\n"
            ));
        }
        text.push_str("DEL key:1 hash:2\nSREM set:3 0\nINCR key:4\nHDEL hash:5 f\n");
    }
    text.push_str("EXPIRE key:6 1\nSET key:7 x EX 100\n");
    tool.write("data.txt", text);
    for verify in ["full", "count", "sample:50", "sample:1"] {
        let run = tool.run(&["data.txt", "--format", "commands", "--verify", verify]).expect(0);
        assert_eq!(run.number("/verify/mismatches"), 0, "{verify}");
    }
}

#[test]
fn rejected_records_are_not_expected_in_the_cluster() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let mut client = client(&cluster.url());
    for number in (10..=1000).step_by(10) {
        client.rpush(format!("key:{number}"), ["x"]).expect("an answer");
    }
    let text: String = (1..=1000).map(|number| format!("HSET key:{number} f {number}\n")).collect();
    tool.write("data.txt", text);
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--verify", "full"];
    let run = tool.run(&args).expect(1);
    run.records(1000, 900, 100);
    assert_eq!(run.number("/verify/commands_compared"), 900);
    assert_eq!(run.number("/verify/commands_rejected"), 100);
    let run = tool.run_with(&["-", "--format", "kv", "--verify", "full"], b"a\t1\n").expect(2);
    run.says("twice");
    // Another name for standard input, that can be opened twice, and read once.
    let args = ["/dev/stdin", "--format", "kv", "--verify", "full"];
    tool.run_with(&args, b"a\t1\n").expect(2).says("twice");
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--rejects", "none"];
    tool.run(&[&args[..], &["--verify", "full"]].concat()).expect(2).says("--rejects none");
}
