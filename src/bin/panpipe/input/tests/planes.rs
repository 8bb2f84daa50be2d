//! The data set that ships, in three formats: the same commands.

use std::io::Cursor;

use super::behind;
use crate::input::{Format, Input, InputOptions, Source, Step};

const CSV: &[u8] = include_bytes!("../../../../../examples/data/planes.csv");
const JSONL: &[u8] = include_bytes!("../../../../../examples/data/planes.jsonl");
const RESP: &[u8] = include_bytes!("../../../../../examples/data/planes.resp");

fn frames(bytes: &'static [u8], options: &InputOptions) -> Vec<Vec<u8>> {
    let source = Source::reader(Cursor::new(bytes), "planes");
    let mut input = Input::from_source(source, options).expect("it opens");
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
fn three_formats_say_the_same_records() {
    const WORDS: &str = "hset --keyspace plane --key tailnum";
    let resp = frames(RESP, &InputOptions::of("planes.resp"));
    assert_eq!(resp.len(), 3322);
    assert_eq!(resp.concat(), RESP);
    let header = InputOptions { header: true, ..behind(Format::Csv, WORDS) };
    assert!(frames(CSV, &header) == resp, "planes.csv differs from planes.resp");
    assert!(frames(JSONL, &behind(Format::Jsonl, WORDS)) == resp, "planes.jsonl differs from planes.resp");
}
