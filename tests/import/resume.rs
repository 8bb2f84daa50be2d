//! Interrupted, killed, changed, complete: what a checkpoint is for.

use panpipe::prelude::*;
use serde_json::Value;

use super::tool::{Tool, check_values, client, embedded, keys, kv};

const RECORDS: u64 = 60_000;
/// At this rate there is time to be interrupted in.
const SLOWLY: [&str; 2] = ["--rate", "20000"];

fn checkpoint(tool: &Tool) -> Value {
    serde_json::from_slice(&tool.read("c.json")).expect("JSON")
}

#[test]
fn an_interrupt_ends_in_good_order_and_a_resume_goes_on() {
    for signal in ["INT", "TERM"] {
        let cluster = embedded();
        let tool = Tool::new(&cluster.url());
        tool.write("data.kv", kv(RECORDS));
        let mut running = tool.start(&[&["data.kv", "--checkpoint", "c.json"], &SLOWLY[..]].concat());
        tool.wait_for_checkpoint();
        assert_eq!(running.threads(), 1, "one thread does all of it");
        running.signal(signal);
        let run = running.end(&tool).expect(130).says("--resume goes on there");
        let done = run.number("/records/done");
        assert!(done > 0 && done < RECORDS, "{done}");
        run.records(done, done, 0);
        assert_eq!(checkpoint(&tool)["done"]["record"], done);
        assert_eq!(checkpoint(&tool)["finished"], false);
        let mut client = client(&cluster.url());
        assert_eq!(keys(&mut client), done, "what was under way had the time to end");
        let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume", "--verify", "full"]).expect(0);
        run.records(RECORDS, RECORDS, 0);
        assert_eq!(run.number("/records/in_earlier_runs"), done);
        assert_eq!(run.number("/timing/records_of_this_run"), RECORDS - done, "nothing twice");
        assert_eq!(checkpoint(&tool)["finished"], true);
        check_values(&mut client, 1..=RECORDS);
    }
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(RECORDS));
    let mut running = tool.start(&[&["data.kv", "--checkpoint", "c.json"], &SLOWLY[..]].concat());
    tool.wait_for_checkpoint();
    // From now on replies are owed: without a second signal they are waited for.
    cluster.freeze(0);
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!running.is_over(), "it waits for what is under way");
    running.signal("INT");
    let run = running.end(&tool);
    assert_eq!(run.code, Some(130));
    assert_eq!(run.summary, None);
}

#[test]
fn a_killed_load_goes_on_and_rejects_nothing_twice() {
    killed_on_the_way(100);
    // More than are written at once.
    killed_on_the_way(2);
}

/// Loads what has an unreadable record at every so many-th place, and is killed again and again.
fn killed_on_the_way(every: u64) {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let line = |number: u64| {
        let gap = if number.is_multiple_of(every) { ' ' } else { '\t' };
        format!("key:{number}{gap}value {number}\n")
    };
    tool.write("data.kv", (1..=RECORDS).map(line).collect::<String>());
    let args = ["data.kv", "--checkpoint", "c.json", "--on-error", "skip", "--resume"];
    let mut kills = 0;
    let run = loop {
        let slowly = [&args[..], &SLOWLY].concat();
        let mut running = tool.start(&slowly);
        let before = tool.has("c.json").then(|| tool.read("c.json"));
        super::tool::wait_until("a new checkpoint", || {
            running.is_over() || tool.has("c.json") && before.as_deref() != Some(&tool.read("c.json")[..])
        });
        if running.is_over() || kills == 3 {
            break running.end(&tool);
        }
        std::thread::sleep(std::time::Duration::from_millis(150));
        running.kill();
        kills += 1;
    };
    assert!(kills >= 1, "it was killed on the way");
    let rejected = RECORDS / every;
    run.expect(1).records(RECORDS, RECORDS - rejected, rejected);
    let lines = tool.lines("data.kv.rejects.jsonl");
    let records: Vec<u64> = lines.iter().filter_map(|line| line["record"].as_u64()).collect();
    assert!(records.iter().copied().eq((every..=RECORDS).step_by(every as usize)), "each once, in order");
    let mut client = client(&cluster.url());
    assert_eq!(keys(&mut client), RECORDS - rejected);
    check_values(&mut client, (1..=RECORDS).filter(|number| !number.is_multiple_of(every)));
}

#[test]
fn another_input_is_refused() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(100).replace("key:50\t", "key:50 "));
    tool.run(&["data.kv", "--checkpoint", "c.json"]).expect(3);
    tool.write("data.kv", kv(101));
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume"]).expect(5);
    run.says("is not what it was");
    tool.write("data.kv", kv(100).replace("key:50\t", "key:50 "));
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume", "--format", "commands"]).expect(5);
    run.says("read otherwise");
    let run = tool.run(&["data.kv", "--checkpoint", "c.json"]).expect(2);
    run.says("--resume goes on");
    tool.write("c.json", "{}");
    tool.run(&["data.kv", "--checkpoint", "c.json", "--resume"]).expect(5).says("no checkpoint");
    tool.run(&["data.kv", "--checkpoint", "c.json", "--restart", "--on-error", "skip"]).expect(1);
}

#[test]
fn a_complete_load_says_so() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(100));
    tool.run(&["data.kv", "--checkpoint", "c.json", "--resume"]).expect(0).records(100, 100, 0);
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume"]).expect(0);
    assert!(
        run.stdout.contains("Nothing left to do") && run.stdout.contains("100 records"),
        "{}",
        run.stdout
    );
    let run = tool.run(&["data.kv", "--checkpoint", "c.json", "--resume", "--verify", "full"]).expect(0);
    assert_eq!(run.number("/verify/commands_compared"), 100, "what is asked for is done all the same");
    assert_eq!(run.number("/timing/records_of_this_run"), 0);
    tool.run(&["data.kv", "--checkpoint", "c.json"]).expect(2).says("complete");
    tool.run(&["data.kv", "--checkpoint", "c.json", "--restart"]).expect(0).records(100, 100, 0);
}

/// Stops at a record in the middle, and goes on behind it.
fn stop_and_go_on(name: &str, text: &str, gzip: bool) {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    client(&cluster.url()).rpush("hash:700", ["x"]).expect("an answer");
    tool.write(name, text);
    let file = if gzip { format!("{name}.gz") } else { name.to_owned() };
    if gzip
        && !std::process::Command::new("gzip")
            .arg(tool.path(name))
            .status()
            .is_ok_and(|status| status.success())
    {
        return;
    }
    let mut args = vec![
        file.as_str(),
        "--checkpoint",
        "c.json",
        "--cmd",
        "HSET hash:#{id} name #{name}",
        "--cmd",
        "SADD ids:#{id} #{id}",
    ];
    if name == "data.csv" {
        args.push("--header");
    }
    tool.run(&args).expect(3).says("record 700");
    let rejects = tool.lines(&format!("{file}.rejects.jsonl"));
    assert_eq!((&rejects[0]["record"], &rejects[0]["command"]), (&700.into(), &0.into()));
    let run =
        tool.run(&[&args[..], &["--resume", "--on-error", "skip", "--verify", "full"]].concat()).expect(1);
    run.records(2000, 1999, 1);
    assert!(run.number("/records/in_earlier_runs") >= 700);
    assert_eq!(run.number("/verify/mismatches"), 0, "{}", run.stdout);
    assert_eq!(run.number("/verify/commands_compared"), 3999);
}

#[test]
fn every_format_is_taken_up_again_where_it_was_left() {
    let rows: String = (1..=2000).map(|id| format!("{id},\"name,\nof {id}\"\n")).collect();
    let objects: Vec<String> =
        (1..=2000).map(|id| format!("{{\"id\":{id},\"name\":\"name, of {id}\"}}")).collect();
    for gzip in [false, true] {
        stop_and_go_on("data.csv", &format!("id,name\n{rows}"), gzip);
        stop_and_go_on("data.jsonl", &objects.join("\n"), gzip);
        stop_and_go_on("data.json", &format!("[{}]", objects.join(",\n")), gzip);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_before_anything_is() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(100));
    tool.run(&["data.kv", "--checkpoint", "no/such/folder/c.json"])
        .expect(3)
        .says("cannot write the checkpoint");
    assert_eq!(keys(&mut client(&cluster.url())), 0);
}

#[test]
fn a_complete_load_with_rejects_exits_with_1_each_time() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(100).replace("key:50\t", "key:50 "));
    let args = ["import", "--url", &cluster.url(), "data.kv", "--checkpoint", "c.json", "--on-error", "skip"];
    for again in [&args[..], &[&args[..], &["--resume"]].concat()] {
        let output = tool.bare(again).output().expect("the tool starts");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains("1 record rejected") && !said.contains("rejects.resp"), "{said}");
    }
    let run = tool.run(&[&args[3..], &["--resume"]].concat()).expect(1);
    run.records(100, 99, 1);
}

#[test]
fn a_load_that_stopped_at_an_error_goes_on_behind_it() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let text = kv(3000).replace("key:50\t", "key:50 ").replace("key:2000\t", "key:2000 ");
    tool.write("data.kv", text);
    let args = ["data.kv", "--checkpoint", "c.json", "--resume"];
    tool.run(&args).expect(3).says("stopped at the first error: record 50");
    tool.run(&args).expect(3).says("stopped at the first error: record 2000");
    tool.run(&args).expect(1).records(3000, 2998, 2);
    check_values(&mut client(&cluster.url()), 2001..=3000);
}
