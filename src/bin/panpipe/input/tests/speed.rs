//! What reading costs alone. Not run by default:
//! `cargo test --release --features cli --bin panpipe -- --ignored --nocapture reading_costs`.

use std::io::Cursor;
use std::time::Instant;

use super::{format, with};
use crate::input::{Format, Input, InputOptions, Source, Step};

const RECORDS: u64 = 200_000;
const ROUNDS: usize = 10;

/// Keys of 16 bytes, values of 64.
fn text(record: impl Fn(u64, &str) -> String) -> Vec<u8> {
    let value = "v".repeat(64);
    (0..RECORDS).map(|number| record(number, &value)).collect::<String>().into_bytes()
}

fn read(bytes: &[u8], options: &InputOptions) -> u64 {
    let source = Source::reader(Cursor::new(bytes.to_vec()), "memory");
    let mut input = Input::from_source(source, options).expect("it opens");
    let mut records = 0;
    loop {
        match input.next().expect("it is whole") {
            Step::Record(record) => {
                for command in record.commands {
                    std::hint::black_box((command.frame, command.key));
                }
                records += 1;
            }
            Step::Pending | Step::Waiting => {}
            Step::Bad(_) => panic!("a bad record"),
            Step::End => return records,
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn reading_costs() {
    let resp = text(|n, v| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012}\r\n$64\r\n{v}\r\n"));
    let kv = text(|n, v| format!("key:{n:012}\t{v}\n"));
    let csv = text(|n, v| format!("key:{n:012},{v}\n"));
    let jsonl = text(|n, v| format!("{{\"key\":\"key:{n:012}\",\"value\":\"{v}\"}}\n"));
    let commands = text(|n, v| format!("SET key:{n:012} {v}\n"));
    let cases = [
        ("resp", resp, format(Format::Resp)),
        ("kv", kv, format(Format::Kv)),
        ("commands", commands, format(Format::Commands)),
        ("csv", csv, with(Format::Csv, &["SET #{1} #{2}"])),
        ("jsonl", jsonl, with(Format::Jsonl, &["SET #{key} #{value}"])),
    ];
    let only = std::env::var("ONLY").ok();
    for (name, bytes, options) in
        cases.iter().filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name))
    {
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            assert_eq!(read(bytes, options), RECORDS);
            best = best.min(began.elapsed().as_secs_f64() * 1e9 / RECORDS as f64);
        }
        println!("{name:>8} {best:6.1} ns per record");
    }
}
