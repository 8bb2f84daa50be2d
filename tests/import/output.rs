//! What is said, and where.

use super::tool::{Tool, embedded, kv, resp};

#[test]
fn pipe_compat_ends_as_redis_cli_does() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let commands: Vec<Vec<u8>> =
        vec![resp(&["SET", "a", "1"]), resp(&["LPUSH", "a", "x"]), resp(&["SET", "b", "2"])];
    let run = tool.run_with(&["-", "--pipe-compat"], &commands.concat()).expect(1);
    assert_eq!(
        run.stdout,
        "All data transferred. Waiting for the last reply...\nLast reply received from server.\nerrors: 1, replies: 3\n"
    );
    run.records(3, 2, 1);
    // Not where it is not so.
    let run = tool.run_with(&["-", "--pipe-compat", "--rejects", "x"], b"*2\r\n$3\r\nDEL\r\n").expect(5);
    assert_eq!(run.stdout, "errors: 0, replies: 0\n");
}

#[test]
fn the_summary_adds_up() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(2000));
    let run = tool.run(&["data.kv"]).expect(0);
    let nodes = run.value("/nodes").as_array().expect("nodes").clone();
    let commands: u64 = nodes.iter().filter_map(|node| node["commands"].as_u64()).sum();
    assert!(commands >= 2000, "{commands}");
    assert_eq!(run.number("/loader/pushed"), 2000);
    assert_eq!(run.number("/loader/written"), 2000);
    assert_eq!(run.value("/topology").as_array().map(Vec::len), Some(3));
    assert_eq!(run.value("/ending"), "complete");
    assert!(run.stdout.contains("data.kv: 2,000 records, 2,000 written, 0 rejected"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "too wide:\n{}", run.stdout);
    assert!(run.stdout.is_ascii(), "plain text for every terminal:\n{}", run.stdout);
    assert_eq!(run.stderr, "", "nothing to complain about");
    let quiet = tool.run(&["data.kv", "--quiet"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let output =
        tool.bare(&["import", "data.kv", "--url", &cluster.url(), "--summary", "-"]).output().expect("runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(json["records"]["written"], 2000);
}

#[test]
fn a_log_has_a_line_now_and_then() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(6000));
    let run = tool.run(&["data.kv", "--rate", "1000", "--progress", "log"]).expect(0);
    let line = run.stderr.lines().find(|line| line.starts_with("progress ")).expect("a line");
    for part in ["percent=", "records=", "rate=", "eta=", "errors=0", "redirects=0", "node=127.0.0.1:"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    // What is done counts: all of it was read at once.
    let value = |name: &str| {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)).expect("a value");
        word.trim_end_matches('s').parse::<f64>().expect("a number")
    };
    assert!((60.0..=100.0).contains(&value("percent=")) && value("eta=") <= 3.0, "{line}");
    let seconds = run.value("/timing/seconds").as_f64().expect("seconds");
    assert!((5.5..9.0).contains(&seconds), "6000 records at 1000 per second took {seconds} s");
}

#[test]
fn what_is_left_is_told_from_where_a_resume_began() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(16_000));
    tool.run(&["data.kv", "--checkpoint", "c.json", "--max", "8000"]).expect(0);
    // As if it had been interrupted there.
    let checkpoint = tool.text("c.json").replace("\"finished\": true", "\"finished\": false");
    tool.write("c.json", checkpoint.replace("\"max\": 8000", "\"max\": null"));
    let args = ["data.kv", "--checkpoint", "c.json", "--resume", "--rate", "1000", "--progress", "log"];
    let run = tool.run(&args).expect(0);
    run.records(16_000, 16_000, 0);
    let line = run.stderr.lines().find(|line| line.starts_with("progress ")).expect("a line");
    let value = |name: &str| {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)).expect("a value");
        word.trim_end_matches("/s").trim_end_matches('s').parse::<f64>().expect("a number")
    };
    assert!((75.0..90.0).contains(&value("percent=")), "{line}");
    assert!((1.0..=4.0).contains(&value("eta=")), "from the beginning of the file it would be less: {line}");
    assert!((800.0..1300.0).contains(&value("rate=")), "without the records of the earlier run: {line}");
}

#[test]
fn narrow_terminals_are_kept_to() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(2000));
    for columns in [40, 60, 80] {
        for how in [&[][..], &["--dry-run"], &["--verify", "full"]] {
            let mut command = tool.command(&[&["data.kv"], how].concat());
            let output = command.env("COLUMNS", columns.to_string()).output().expect("the tool starts");
            let text = String::from_utf8(output.stdout).expect("text");
            assert!(text.lines().all(|line| line.len() <= columns), "{columns} columns:\n{text}");
            assert!(text.contains("127.0.0.1:"), "{text}");
        }
    }
}

#[test]
fn help_teaches() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let output = tool.bare(&["import", "--help"]).output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "Examples:",
        "Exit codes:",
        "\n  130",
        "Cluster:",
        "Resume:",
        "--on-error",
        "REDISCLI_AUTH",
        "At least once",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "too wide:\n{text}");
}
