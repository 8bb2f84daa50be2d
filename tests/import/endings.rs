//! Exit codes, and what is said with them.

use panpipe::testkit::EmbeddedCluster;

use super::tool::{Tool, embedded, kv, sets};

#[test]
fn nothing_to_read_exits_with_5() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.run(&["nowhere.kv"]).expect(5).says("nowhere.kv");
    let garbage: Vec<u8> =
        (0..5000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    tool.write("garbage.resp", &garbage);
    let run = tool.run(&["garbage.resp", "--format", "resp"]);
    assert!(matches!(run.code, Some(3 | 5)), "{run:?}");
}

#[test]
fn a_truncated_file_is_loaded_as_far_as_it_goes() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    let whole = sets(1000);
    tool.write("cut.resp", &whole[..whole.len() - 5]);
    let run = tool.run(&["cut.resp", "--on-error", "skip"]);
    assert!(matches!(run.code, Some(1 | 5)), "{run:?}");
    assert_eq!(run.number("/records/written"), 999);
}

#[test]
fn no_cluster_exits_with_4() {
    let tool = Tool::new("redis://127.0.0.1:1");
    tool.write("data.kv", kv(1));
    tool.run(&["data.kv"]).expect(4).says("127.0.0.1:1");
    let server = EmbeddedCluster::builder().primaries(1).standalone().start().expect("a server");
    let tool = Tool::new(&server.url());
    tool.write("data.kv", kv(1));
    tool.run(&["data.kv"]).expect(4).says("cluster mode is off");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(1));
    for (args, part) in [
        (&["data.kv", "--tls"][..], "--tls: this build has no TLS yet"),
        (&["data.kv", "--resume"], "--checkpoint"),
        (&["data.kv", "--window", "0"], "--window"),
        (&["data.kv", "--verify", "perhaps"], "sample:N"),
        (&["data.kv", "--frobnicate"], "--frobnicate"),
        (&["data.kv", "--dry-run", "--verify", "full"], "--dry-run"),
        (&["data.kv", "--checkpoint", "./data.kv", "--restart"], "--checkpoint names the input"),
        (&["data.kv", "--on-error", "stop", "--max-errors", "5"], "give one or the other"),
        (&["data.kv", "--rejects", "no/folder/x"], "--rejects: there is no folder no/folder"),
        (&["data.kv", "-h"], "-h is the host"),
    ] {
        tool.run(args).expect(2).says(part);
    }
}

#[test]
fn what_is_told_at_the_end_must_have_a_place() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("data.kv", kv(1));
    for (args, part) in [
        (["--summary", "no/folder.json"], "--summary: cannot write no/folder.json"),
        (["--port", "65536"], "a port is a number from 1 to 65535"),
    ] {
        let output = tool.bare(&["import", "data.kv", args[0], args[1]]).output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(part), "{said}");
    }
    assert_eq!(
        super::tool::keys(&mut super::tool::client(&cluster.url())),
        0,
        "nothing is loaded before that"
    );
}

#[test]
fn an_input_with_nothing_in_it_is_loaded() {
    let cluster = embedded();
    let tool = Tool::new(&cluster.url());
    tool.write("empty", "");
    tool.write("empty.csv", "");
    for args in
        [&["empty"][..], &["-"], &["empty", "--cmd", "SET #{a} #{b}"], &["empty.csv", "--cmd", "SET #{1} x"]]
    {
        let run = tool.run(args).expect(0);
        run.records(0, 0, 0);
    }
    tool.run(&[]).expect(2).says("no FILE is named");
    let run = tool.run_with(&["-", "--pipe-compat"], b"").expect(0);
    assert!(run.stdout.ends_with("errors: 0, replies: 0\n"), "{}", run.stdout);
}

#[test]
fn passwords_come_from_flags_and_environment_and_are_never_repeated() {
    let cluster =
        EmbeddedCluster::builder().primaries(1).password("sesame").start().expect("an embedded cluster");
    let url = cluster.url();
    let address = url.rsplit_once('@').map_or(url.as_str(), |(_, address)| address);
    let address = address.trim_start_matches("redis://");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let tool = Tool::new(&url);
    tool.write("data.kv", kv(10));
    let at = ["import", "data.kv", "-h", host, "-p", port, "--restart"];
    let run = |args: &[&str], variable: Option<&str>| {
        let mut command = tool.bare(&[&at, args].concat());
        if let Some(password) = variable {
            command.env("REDISCLI_AUTH", password);
        }
        let output = command.output().expect("the tool starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert!(!said.contains("sesame") && !said.contains("hunter2"), "{said}");
        output.status.code()
    };
    assert_eq!(run(&["-a", "sesame"], None), Some(0));
    assert_eq!(run(&["--pass", "sesame", "--user", "default"], None), Some(0));
    assert_eq!(run(&[], Some("sesame")), Some(0));
    assert_eq!(run(&["-a", "sesame"], Some("hunter2")), Some(0), "the flag goes first");
    assert_eq!(run(&["-a", "hunter2"], None), Some(4));
    assert_eq!(run(&[], None), Some(4));
    assert_eq!(run(&["--passwort", "hunter2"], None), Some(2));
    assert_eq!(run(&["-a", "hunter2", "--frobnicate"], None), Some(2));
    for lost in ["redis://:hunter2@localhost:1", "redis://ada:hunter2@localhost"] {
        assert_eq!(run(&[lost], None), Some(2));
        let output = tool.bare(&["import", lost]).output().expect("the tool starts");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "{output:?}");
    }
}
