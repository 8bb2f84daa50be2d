//! The flags as they are typed.

use clap::Parser;

use crate::input::{Format, InputArgs, InputOptions};

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    input: InputArgs,
    /// One of the import's own.
    #[arg(long)]
    batch: Option<u32>,
}

fn parse(line: &str) -> Result<InputOptions, String> {
    let words = line.split_whitespace();
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    line.input.options().map_err(|error| error.to_string())
}

#[test]
fn words_behind_the_file_keep_their_own_options() {
    let options =
        parse("planes.csv --header --batch 7 --max 3 hset --keyspace plane --key tailnum expire --ttl=5");
    let options = options.expect("it is a good line");
    assert_eq!(options.words, ["hset", "--keyspace", "plane", "--key", "tailnum", "expire", "--ttl=5"]);
    assert_eq!((options.path.as_str(), options.header, options.max), ("planes.csv", true, Some(3)));
}

#[test]
fn values_of_flags_are_read() {
    let options = parse(
        "--cmd SET --cmd GET --fields a,b --delimiter ; --quote none --skip-lines 2 --shard 1/4 --format tsv -",
    );
    let options = options.expect("it is a good line");
    assert_eq!((options.path.as_str(), options.format), ("-", Some(Format::Tsv)));
    assert_eq!((options.templates.len(), options.fields.len(), options.skip_lines), (2, 2, 2));
    assert_eq!((options.delimiter, options.slots), (Some(b';'), Some(0..=4095)));
    assert_eq!(parse("x.tsv --delimiter \\t").map(|options| options.delimiter), Ok(Some(b'\t')));
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "x --delimiter ab",
        "x --slots 9-1",
        "x --slots 0-5 --shard 1/2",
        "x --format yaml",
        "x --max -1",
        "x --skip 99999999999999999999",
        "x --cmd SET hset --key a",
        "--hedaer x",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
