//! Formats by example: the same records, however the bytes arrive.

use std::io::{self, Read};

use super::*;

mod arguments;
mod compressed;
mod planes;
mod robust;

/// Gives so many bytes at a time.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.step.min(room.len()).min(self.bytes.len() - self.at);
        room[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// What `read` saw of a step, in words that a test can spell.
pub(crate) fn read_by(bytes: &[u8], step: usize, options: &InputOptions) -> Vec<String> {
    let source = Source::reader(Trickle { bytes: bytes.to_vec(), at: 0, step }, "test");
    match Input::from_source(source, options) {
        Ok(mut input) => steps(&mut input),
        Err(error) => vec![format!("refused: {error}")],
    }
}

fn steps(input: &mut Input) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        match input.next() {
            Ok(Step::Record(record)) => seen.push(told(&record)),
            Ok(Step::Bad(bad)) => {
                seen.push(format!("{}@{}..{} bad: {}", bad.number, bad.offset, bad.end, bad.reason));
            }
            Ok(Step::Pending | Step::Waiting) => {}
            Ok(Step::End) => return seen,
            Err(error) => {
                seen.push(format!("error: {error}"));
                return seen;
            }
        }
    }
}

fn told(record: &Record<'_>) -> String {
    let mut text = format!("{}@{}..{}", record.number, record.offset, record.end);
    for command in record.commands.clone() {
        let mut words = Vec::new();
        for word in statement::words_of(command.frame) {
            words.push(word.escape_ascii().to_string());
        }
        if command.is_unit {
            words = vec![format!("unit of {} bytes", command.frame.len())];
        }
        let key = command.key_bytes().map_or("-".to_owned(), |key| key.escape_ascii().to_string());
        text.push_str(&format!(" | {} [{key}]", words.join(" ")));
    }
    text
}

/// Reads whole and in pieces, which must be the same.
pub(crate) fn read(bytes: &[u8], options: &InputOptions) -> Vec<String> {
    let whole = read_by(bytes, usize::MAX, options);
    for step in [1, 2, 3, 7] {
        assert_eq!(read_by(bytes, step, options), whole, "{step} bytes at a time");
    }
    whole
}

pub(crate) fn format(format: Format) -> InputOptions {
    InputOptions { format: Some(format), ..InputOptions::of("-") }
}

#[test]
fn kv_is_set() {
    let seen = read(b"a\t1\n\nb b\t\xff\t2\r\nno tab\n\tx\nlast\t", &format(Format::Kv));
    assert_eq!(
        seen,
        [
            "1@0..4 | SET a 1 [a]",
            "2@5..14 | SET b b \\xff\\t2 [b b]",
            "3@14..21 bad: no tab between key and value",
            "4@21..24 bad: the key is empty: the line begins with the tab",
            "5@24..29 | SET last  [last]",
        ]
    );
}

#[test]
fn resp_is_forwarded() {
    let input = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n#TS:1700000000\r\n\r\nset b \"2 \\x41\"\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*0\r\n*-1\r\n\
        *2\r\n$4\r\nMGET\r\n$1\r\na\r\nPING";
    assert_eq!(
        read(input, &format(Format::Resp)),
        [
            "1@0..27 | SET a 1 [a]",
            "2@45..60 | set b 2 A [b]",
            "3@92..113 | MGET a [-]",
            "4@113..117 | PING [-]",
        ]
    );
}

fn with(format: Format, templates: &[&str]) -> InputOptions {
    let templates = templates.iter().map(|&text| text.to_owned()).collect();
    InputOptions { format: Some(format), templates, ..InputOptions::of("beers.csv") }
}

fn behind(format: Format, words: &str) -> InputOptions {
    let words = words.split(' ').map(str::to_owned).collect();
    InputOptions { format: Some(format), words, ..InputOptions::of("beers.csv") }
}

#[test]
fn csv_records_fill_templates() {
    let input =
        b"id,name,abv\r\n1,\"Pale, \"\"dry\"\" Ale\",4.5\r\n\r\n2,\"two\nlines\",\n3,\xff\n4,a b,7,\n5,x,\"6";
    let options = InputOptions {
        header: true,
        ..with(Format::Csv, &["HSET beer:{#{id}} name '#{name}' abv #{abv:-0}", "sadd beers #{id}"])
    };
    assert_eq!(
        read(input, &options),
        [
            "1@13..39 | HSET beer:{1} name Pale, \\\"dry\\\" Ale abv 4.5 [beer:{1}] | sadd beers 1 [beers]",
            "2@42..57 | HSET beer:{2} name two\\nlines abv 0 [beer:{2}] | sadd beers 2 [beers]",
            "3@57..61 bad: 2 fields where 3 are expected",
            "4@61..70 bad: 4 fields where 3 are expected",
            "5@70..76 bad: a quote that is opened in this record is not closed before the input ends",
        ]
    );
}

#[test]
fn fields_have_names_or_numbers() {
    let numbered = with(Format::Psv, &["SET #{1} #{2}"]);
    assert_eq!(read(b"a|1\nb|2", &numbered), ["1@0..4 | SET a 1 [a]", "2@4..7 | SET b 2 [b]"]);
    let named = InputOptions {
        fields: vec!["k".to_owned(), "v".to_owned()],
        skip_lines: 2,
        ..with(Format::Tsv, &["SET #{k} #{@record}:#{v}:#{@source}"])
    };
    assert_eq!(read(b"# one\n# two\na\t1\r\n", &named), ["1@12..16 | SET a 1:1:a\\t1 [a]"]);
    let quoteless = InputOptions { quote: Some(options::Quote(None)), ..numbered.clone() };
    assert_eq!(read(b"\"a|1\n", &quoteless), ["1@0..5 | SET \\\"a 1 [\\\"a]"]);
    assert_eq!(
        read(b"id|name\n1|x", &with(Format::Psv, &["SET #{id} #{nam}"])),
        ["refused: test: no field is called \"id\"; the fields are 1, 2"]
    );
    let seen = read(b"id|name\n1|x", &with(Format::Psv, &["SET #{id} #{name}"]));
    assert_eq!(seen, ["1@8..11 | SET 1 x [1]"], "the first line has the names that are used");
    let header = InputOptions { header: true, ..with(Format::Psv, &["SET #{id} #{nam}"]) };
    assert_eq!(
        read(b"id|name\n1|x", &header),
        ["refused: test: no field is called \"nam\"; the fields are id, name"]
    );
    let lines = InputOptions { skip_lines: 9, ..numbered };
    assert_eq!(read(b"a\nb\n", &lines), ["refused: test: --skip-lines 9: there are 2 lines"]);
}

#[test]
fn words_behind_the_file_are_templates() {
    let header = |words: &str| InputOptions { header: true, ..behind(Format::Csv, words) };
    let input = b"id,name,abv,lon,lat\n1,Ale,4.5,13.4,52.5\n";
    let seen = |words: &str| read(input, &header(words)).remove(0);
    assert_eq!(
        seen("hset --keyspace beer --key id --exclude lon,lat expire --ttl 3600"),
        "1@20..40 | HSET beer:1 id 1 name Ale abv 4.5 [beer:1] | EXPIRE beer:1 3600 [beer:1]"
    );
    assert_eq!(
        seen("zadd --keyspace strong --member id,name --score abv"),
        "1@20..40 | ZADD strong 4.5 1:Ale [strong]"
    );
    assert_eq!(seen("sadd --keyspace {#{name}}:s --member id"), "1@20..40 | SADD {Ale}:s 1 [{Ale}:s]");
    assert_eq!(
        seen("geoadd --keyspace g --member id --lon lon --lat lat del --key id,name --separator /"),
        "1@20..40 | GEOADD g 13.4 52.5 1 [g] | DEL 1/Ale [-]"
    );
    assert_eq!(seen("xadd --key id --include name"), "1@20..40 | XADD 1 * name Ale [1]");
    assert_eq!(seen("set --key id --value name"), "1@20..40 | SET 1 Ale [1]");
    for (words, refusal) in [
        ("get --key id", "\"get\" is none of the commands that can stand behind the file"),
        ("hset --keyspace", "hset: --keyspace without a value"),
        ("hset --include id", "hset: no key: give --keyspace, --key or both"),
        (
            "hset --key id --exclude nam",
            "test: no field is called \"nam\"; the fields are id, name, abv, lon, lat",
        ),
        ("zadd --key id --member id", "zadd: --score is missing"),
        (
            "zadd --key id --ttl 3",
            "zadd: no option --ttl; there are --keyspace, --key, --separator, --score, --member",
        ),
        ("--batch 3", "--batch is no option of the import"),
    ] {
        let seen = seen(words);
        assert!(
            seen.strip_prefix("refused: ").is_some_and(|seen| seen.ends_with(refusal)),
            "{words}: {seen}"
        );
    }
}

#[test]
fn templates_that_cannot_be_are_refused() {
    for (template, reason) in [
        ("", "no command"),
        ("SET k", "SET with 1 arguments: the server wants at least 2"),
        ("GET k k", "GET with 2 arguments: the server wants 1"),
        ("NOPE k", "\"NOPE\" is no command that panpipe knows"),
        ("#{id} k", "the name of the command must be written out"),
        ("MULTI", "MULTI has no place in a template: several --cmd make several commands"),
        ("SET k #{#id}", "#{#id}: lengths are not supported; #{id} is the value"),
        ("SET k #{}", "#{} names no field"),
        ("SET k #{id", "the #{ at character 7 is not closed with }"),
        (
            "SET k #{@line}",
            "#{@line} is not known; there are #{@record}, its number, and #{@source}, its text",
        ),
        ("SET k \"x", "the quote at character 7 is not closed"),
        ("SET k 'x'y", "a space must follow the closing quote at character 9"),
    ] {
        let seen = read(b"key\tvalue\n", &with(Format::Kv, &[template])).join("");
        assert_eq!(seen, format!("refused: test: --cmd {template:?}: {reason}"), "{template}");
    }
    let seen = read(b"*1\r\n", &with(Format::Resp, &["SET a b"])).join("");
    assert_eq!(seen, "refused: test: the records of resp are commands; a template has nothing to do there");
}

#[test]
fn values_stay_in_their_word() {
    let options = with(Format::Kv, &["SET \"{#{key}} \\x41\" #{value}"]);
    assert_eq!(
        read(b"a b\t\"; DEL x\r y\n\xff\t\n", &options),
        ["1@0..16 | SET {a b} A \\\"; DEL x\\r y [{a b} A]", "2@16..19 | SET {\\xff} A  [{\\xff} A]"]
    );
}

#[test]
fn json_fields_are_reached() {
    let options = with(
        Format::Jsonl,
        &["HSET u:#{id} n #{name.first:-?} t #{tags[1]:-none} all #{tags:-[]} d #{a.b:-x}"],
    );
    let input = br#"{"id":12345678901234567890123,"name":{"first":"A\u00e9\n","x":[1,{}]},"tags":["a", "b"],"a.b":1.10}

{"id":"x","name":null,"a":{"b":{"c":[true]}}}
{"name":{"first":"y"}}
[1]
{"id":1
{"id":1} x
"#;
    assert_eq!(
        read(input, &options),
        [
            "1@0..100 | HSET u:12345678901234567890123 n A\\xc3\\xa9\\n t b all [\\\"a\\\", \\\"b\\\"] d 1.10 [u:12345678901234567890123]",
            "2@101..147 | HSET u:x n ? t none all [] d {\\\"c\\\":[true]} [u:x]",
            "3@147..170 bad: the record has no field \"id\", and the template no default for it: #{id:-…}",
            "4@170..174 bad: not a JSON object",
            "5@174..182 bad: not JSON: EOF while parsing an object at byte 7 of the record",
            "6@182..193 bad: not JSON: trailing characters at byte 10 of the record",
        ]
    );
    let all = behind(Format::Jsonl, "hset --keyspace u --key id");
    assert_eq!(
        read(br#"{"id":1,"a":{"b":[1,null,{"c":"d"}]},"e":null}"#, &all),
        ["1@0..46 | HSET u:1 id 1 a.b[0] 1 a.b[2].c d [u:1]"]
    );
}

#[test]
fn json_arrays_and_objects_are_streamed() {
    let options = with(Format::Json, &["SET #{id} #{v:-0}"]);
    let array = b" [ {\"id\": 1, \"v\": \"}]\\\"\\\\\"} ,\n{\"id\":2},3, \"x,]\", {\"id\":[{}]} ] \n";
    let expected = [
        "1@3..27 | SET 1 }]\\\"\\\\ [1]",
        "2@30..38 | SET 2 0 [2]",
        "3@39..40 bad: not a JSON object",
        "4@42..47 bad: not a JSON object",
        "5@49..60 | SET [{}] 0 [[{}]]",
    ];
    assert_eq!(read(array, &options), expected);
    let objects = b"{\"id\":1}{\n \"id\" : 2}\n{\"id\":x}{\"id\":3}";
    assert_eq!(
        read(objects, &options),
        [
            "1@0..8 | SET 1 0 [1]",
            "2@8..20 | SET 2 0 [2]",
            "3@21..29 bad: not JSON: expected value at byte 7 of the record",
            "4@29..37 | SET 3 0 [3]",
        ]
    );
    assert_eq!(read(b"[]", &options), [""; 0]);
    assert_eq!(read(b"", &options), [""; 0]);
    for (text, end) in [
        (
            "[{\"id\":1} {\"id\":2}]",
            "error: test: record 2, byte 10: between two elements is a comma, and here is '{'",
        ),
        ("[{\"id\":1},", "error: test: record 2, byte 10: the input is cut off: the array has no end"),
        ("[{\"id\":1},]", "error: test: record 2, byte 10: an element is missing: here is ']'"),
        ("[{\"id\":1}", "error: test: record 2, byte 9: the input is cut off: the array has no end"),
        (
            "[{\"id\":1}] x",
            "error: test: record 2, byte 11: nothing may stand behind the array, and here is 'x'",
        ),
        (
            "{\"id\":1}\n{\"id\"",
            "error: test: record 2, byte 9: the input is cut off: it ends 5 bytes into this record",
        ),
        ("{\"id\":1} 1", "error: test: record 2, byte 9: an object begins with {, and here is '1'"),
    ] {
        let seen = read(text.as_bytes(), &options);
        assert_eq!(seen.last().map(String::as_str), Some(end), "{text}");
        assert_eq!(seen.len(), 2, "{text}");
    }
}
