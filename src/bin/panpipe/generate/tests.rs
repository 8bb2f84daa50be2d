//! What is generated is what the options say, and the same in every format.

use clap::Parser;

use super::*;
use crate::input::{Input, InputOptions, Source, Step};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(line: &str) -> Options {
    let words = std::iter::once("generate").chain(line.split_whitespace());
    Line::try_parse_from(words).expect("the options are good").options
}

fn generated(line: &str) -> Vec<u8> {
    let options = options(line);
    let records = options.records().expect("the options fit together");
    let mut bytes = Vec::new();
    write(&options, records, &mut bytes).expect("memory takes everything");
    bytes
}

/// The commands that the input makes of it.
fn imported(line: &str, options: InputOptions) -> Vec<Vec<u8>> {
    let source = Source::reader(io::Cursor::new(generated(line)), "generated");
    let mut input = Input::from_source(source, &options).expect("it can be read");
    let mut frames = Vec::new();
    loop {
        match input.next().expect("it is whole") {
            Step::Record(record) => frames.extend(record.commands.map(|command| command.frame.to_vec())),
            Step::Bad(bad) => panic!("record {}: {}", bad.number, bad.reason),
            Step::Pending | Step::Waiting => {}
            Step::End => return frames,
        }
    }
}

#[test]
fn every_format_says_the_same_records() {
    const LINE: &str = "--records 2e3 --value-bytes 0-90 --hot-percent 20 --seed 7 --format";
    let template =
        InputOptions { templates: vec!["SET #{key} #{value}".to_owned()], ..InputOptions::of("-") };
    let resp = imported(&format!("{LINE} resp"), InputOptions::of("-"));
    assert_eq!(resp.len(), 2000);
    assert_eq!(resp.concat(), generated(&format!("{LINE} resp")));
    assert_eq!(imported(&format!("{LINE} commands"), InputOptions::of("-")), resp);
    assert_eq!(imported(&format!("{LINE} kv"), InputOptions::of("-")), resp);
    assert_eq!(imported(&format!("{LINE} jsonl"), template.clone()), resp);
    assert_eq!(imported(&format!("{LINE} csv"), InputOptions { header: true, ..template }), resp);
}

#[test]
fn the_same_seed_is_the_same_bytes() {
    assert_eq!(
        String::from_utf8_lossy(&generated("--records 2 --value-bytes 12 --format kv")),
        "key:000000000001\teEWO0hwqB5Db\nkey:000000000002\toh8mCnqGLelQ\n"
    );
    assert_ne!(generated("--records 2 --seed 2"), generated("--records 2"));
}

#[test]
fn hot_keys_and_wrong_types_are_as_many_as_asked_for() {
    let text = String::from_utf8(generated("--records 10000 --hot-percent 30 --format kv")).expect("ASCII");
    let hot = text.lines().filter(|line| line.starts_with("{hot}:")).count();
    assert!((2800..3200).contains(&hot), "{hot} of 10000");
    let text =
        String::from_utf8(generated("--records 6 --wrong-type-every 3 --format commands")).expect("ASCII");
    let starts: Vec<&str> = text.lines().map(|line| &line[..line.len() - 65]).collect();
    assert_eq!(
        starts,
        [
            "SET key:000000000001",
            "SET key:000000000002",
            "LPUSH key:000000000002",
            "SET key:000000000004",
            "SET key:000000000005",
            "LPUSH key:000000000005",
        ]
    );
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for line in [
        "--format json",
        "--format kv --wrong-type-every 5",
        "--key-bytes 8",
        "--key-bytes 12 --hot-percent 1 --records 10000000",
    ] {
        assert!(options(line).records().is_err(), "{line}");
    }
    for line in ["--records 1e99", "--records x", "--value-bytes 5-1", "--prefix a,b", "--wrong-type-every 1"]
    {
        let words = std::iter::once("generate").chain(line.split_whitespace());
        assert!(Line::try_parse_from(words).is_err(), "{line}");
    }
    assert_eq!(options("--records 1_000").records, 1000);
}
