//! `--verify` of keys that several records write: what is wrong is found, and what is not is not.

use panpipe::prelude::*;

use super::tool::{Run, Tool, client, embedded, wait_until};

/// Loads commands slowly, and lets somebody else meddle when a key is there that the first of them write.
fn meddled(text: &str, until: &str, meddle: impl Fn(&mut Client)) -> Run {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let rest: String = (1..=3000).map(|number| format!("SET key:{number} x\n")).collect();
    tool.write("data.txt", format!("{text}{rest}"));
    let args = ["data.txt", "--format", "commands", "--rate", "2000", "--verify", "full"];
    let mut running = tool.start(&args);
    let mut client = client(&cluster.url());
    let is_there = |client: &mut Client| client.exists([until]).expect("an answer") == 1;
    wait_until("the first key", || is_there(&mut client));
    meddle(&mut client);
    assert!(!running.is_over(), "in time");
    running.end(&tool)
}

/// Loads commands on an empty cluster; in so long that short lives end meanwhile.
fn verified(text: &str, verify: &str) -> Run {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let rest: String = (1..=200).map(|number| format!("SET key:{number} x\n")).collect();
    tool.write("data.txt", format!("{text}{rest}"));
    tool.run(&["data.txt", "--format", "commands", "--rate", "2000", "--batch", "1", "--verify", verify])
}

#[test]
fn a_life_that_ends_hides_no_difference() {
    let text = "SET {x}a 1\nEXPIRE {x}a 1000\nHSET {x}b f 1\nEXPIRE {x}b 1000\nHSET {x}b g 2\nSET {x}z x\n";
    meddled(text, "{x}z", |_| {}).expect(0);
    let run = meddled(text, "{x}z", |client| client.set("{x}a", "2").expect("an answer")).expect(6);
    // SET takes the end of the life away, too.
    assert_eq!(run.number("/verify/mismatches"), 2, "{}", run.stdout);
    assert!(run.stdout.contains("expected \"1\", found \"2\""), "{}", run.stdout);
    assert!(run.stdout.contains("EXPIRE \"{x}a\": the key should expire, and never does"), "{}", run.stdout);
    let run = meddled(text, "{x}z", |client| {
        client.call::<i64>(cmd("HDEL").key("{x}b").arg("f")).expect("an answer");
    });
    assert_eq!(run.expect(6).value("/verify/first/0/part"), "f");
    let run = meddled(text, "{x}z", |client| assert_eq!(client.del(["{x}b"]), Ok(1))).expect(6);
    assert_eq!(run.number("/verify/mismatches"), 2, "both fields, and no life to end\n{}", run.stdout);
}

#[test]
fn what_the_input_itself_explains_is_no_difference() {
    for (text, expired) in [
        // Gone by the time of the question, with what was written to it afterwards.
        ("HSET a f 1\nPEXPIRE a 1\nHSET a g 2\n", true),
        ("SET a 1\nPEXPIRE a 1\n", true),
        ("SET a 1 PX 1\nSET a 2 KEEPTTL\n", true),
        ("SET a 1\nEXPIREAT a 1\n", true),
        ("SET a 1\nEXPIRE a -1\nSADD a m\nZADD b 1 m\nPEXPIRE b 0\n", true),
        // The last one counts.
        ("SET a 1\nEXPIRE a 100\nSET a 2\n", false),
        ("SET a 1\nEXPIRE a 1\nPERSIST a\nEXPIRE a 100\nEXPIRE a 50\n", false),
        ("HSET a f 1\nHSET a f 2\nHDEL a f\nHSET a f 3\nDEL a\nHSET a g 1\n", false),
        ("SET a 1\nDEL a\nRPUSH a x\nDEL a\nSADD a x\nSREM a x\nSADD a y\n", false),
        // Nothing was there that could expire.
        ("EXPIRE a 100\nHSET a f 1\n", false),
        ("SET a 1\nDEL a\nEXPIRE a 100\nSET a 2\n", false),
        // They may do nothing.
        ("SET a 1\nEXPIRE a 100 GT\nSET b 1 NX\nSET b 2 NX\n", false),
    ] {
        for verify in ["full", "count", "sample:1", "sample:2"] {
            let run = verified(text, verify).expect(0);
            assert_eq!(run.number("/verify/mismatches"), 0, "{text}{verify}\n{}", run.stdout);
            if expired && verify == "full" {
                assert!(run.number("/verify/keys_expired") > 0, "{text}{}", run.stdout);
            }
        }
    }
}

#[test]
fn what_a_rejected_transaction_has_written_is_no_difference() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let text = "SET {x}a 1\nSET {x}b 1\nMULTI\nSET {x}a 2\nLPUSH {x}a x\nEXEC\nMULTI\nHSET {x}h f 1\nEXPIRE {x}h 100\nEXEC\n";
    tool.write("data.txt", text);
    let args = ["data.txt", "--format", "commands", "--on-error", "skip", "--verify", "full"];
    let run = tool.run(&args).expect(1);
    run.records(4, 3, 1);
    assert_eq!(run.number("/verify/mismatches"), 0, "{}", run.stdout);
    assert_eq!(client(&cluster.url()).get("{x}a").expect("an answer"), Some(Bytes::from("2")));
}

#[test]
fn more_differences_than_are_held_are_still_told_apart() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    // Some rounds of looking.
    let keys = 100_000;
    let round = |round: u64| (1..=keys).map(move |key| format!("key:{key}\tround {round}\n"));
    let text: String = round(1).chain(round(2)).chain(round(3)).collect();
    tool.write("data.kv", &text);
    let run = tool.run(&["data.kv", "--verify", "full"]).expect(0);
    assert_eq!(run.number("/verify/mismatches"), 0);
    assert_eq!(run.number("/verify/overwritten"), 2 * keys);
    assert_eq!(run.number("/verify/commands_compared"), 3 * keys);
    assert!(run.number("/resources/memory_peak_bytes") < 64 << 20, "{}", run.stdout);
    // The same, with one that is wrong, told of the record that wrote it last.
    let mut client = client(&cluster.url());
    let mut running = tool.start(&["data.kv", "--verify", "full", "--rate", "40000", "--quiet"]);
    let last = format!("key:{keys}");
    let is_last =
        |client: &mut Client| client.get(&last).expect("an answer").is_some_and(|v: Bytes| v == "round 2");
    wait_until("the second round", || is_last(&mut client));
    std::thread::sleep(std::time::Duration::from_millis(600));
    // Of the third round, which has written those already.
    client.set("key:1", "meddled with").expect("an answer");
    assert!(!running.is_over(), "in time");
    let run = running.end(&tool).expect(6);
    assert_eq!(run.number("/verify/mismatches"), 1);
    assert_eq!(run.value("/verify/first/0/record"), 2 * keys + 1);
}
