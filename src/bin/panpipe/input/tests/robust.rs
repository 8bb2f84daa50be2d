//! Input that is cut, compressed, damaged or random: the same records however it arrives, an error that says where, never a panic.

use std::io::Write;

use flate2::write::GzEncoder;

use super::*;

const RESP: &[u8] = b"*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$3\r\nv\r\n\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n#TS:1\r\n*1\r\n$5\r\nMULTI\r\n\
    *4\r\n$4\r\nHSET\r\n$3\r\n{a}\r\n$1\r\nf\r\n$1\r\n1\r\nset {a}2 'x y'\r\n*1\r\n$4\r\nEXEC\r\n*12\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\n0\r\n\
    $1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n*2\r\n$3\r\nDEL\r\n$1\r\nz\r\n";

fn samples() -> Vec<(&'static str, Vec<u8>, InputOptions)> {
    let csv = InputOptions { header: true, ..with(Format::Csv, &["HSET k:#{a} b #{b:-none}"]) };
    let json = with(Format::Json, &["SET #{a} #{b[1].c:-none}"]);
    let all = behind(Format::Jsonl, "hset --keyspace x --key a expire --ttl 9");
    vec![
        ("resp", RESP.to_vec(), format(Format::Resp)),
        (
            "commands",
            b"# c\nset a \"b \\xff\"\n\nMULTI\nset a 1\nincr a\nEXEC\nmget a b\nset 'a\n".to_vec(),
            format(Format::Commands),
        ),
        ("kv", b"a\t1\nb\t\xff\r\n\nbad\n\xf0\tx\n".to_vec(), format(Format::Kv)),
        ("csv", b"a,b\n1,\"x\ny\"\n\n2,\n3\n\"4\",\"\"\"\"\r\n5,\xff\n".to_vec(), csv),
        ("json", br#"[{"a":1,"b":[0,{"c":"\u00e9\\"}]}, {"a":"]"},{"b":1} , 7]"#.to_vec(), json),
        ("jsonl", b"{\"a\":1,\"n\":{\"x\":null,\"y\":[1,2]}}\n\n{\"a\": -1e400}\n{\"a\n".to_vec(), all),
    ]
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    // With a checksum, as the program of that name writes them.
    let mut compressor = zstd::bulk::Compressor::new(1).expect("a level that there is");
    compressor.include_checksum(true).expect("a flag that there is");
    compressor.compress(bytes).expect("memory takes everything")
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[test]
fn chunks_may_end_anywhere() {
    for (name, bytes, options) in samples() {
        let whole = read(&bytes, &options);
        assert!(whole.len() > 2, "{name}: {whole:?}");
        for chunk_bytes in 1..40 {
            let options = InputOptions { chunk_bytes, ..options.clone() };
            assert_eq!(read_by(&bytes, usize::MAX, &options), whole, "{name}, chunks of {chunk_bytes}");
        }
    }
}

#[test]
fn compression_is_seen_through() {
    for (name, bytes, options) in samples() {
        let whole = read(&bytes, &options);
        let (front, back) = bytes.split_at(bytes.len() / 2);
        let members = [gzip(front), gzip(b""), gzip(back), vec![0; 512]].concat();
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let frames = [skippable, zstd(front), zstd(b""), zstd(back)].concat();
        for compressed in [gzip(&bytes), zstd(&bytes), members, frames] {
            assert_eq!(read(&compressed, &options), whole, "{name}");
        }
    }
}

#[test]
fn any_record_can_be_gone_on_behind() {
    for (name, bytes, options) in samples() {
        for bytes in [bytes.clone(), gzip(&bytes)] {
            let whole = read(&bytes, &options);
            let ends =
                whole.iter().filter_map(|step| step.split_once('@')?.1.split(' ').next()?.split_once(".."));
            for (records, (_, end)) in (1..).zip(ends) {
                let position = Position { records, offset: end.parse().expect("a number") };
                let source = Source::reader(std::io::Cursor::new(bytes.clone()), "test");
                let mut input = Input::from_source(source, &options).expect("it opened before");
                input.resume(position).expect("the place is there");
                assert_eq!(input.position(), position);
                assert_eq!(steps(&mut input), whole[records as usize..], "{name} behind {records}");
            }
        }
    }
}

#[test]
fn wherever_it_waits_can_be_gone_on_at() {
    let late = b"[ \n\t {\"a\": 1}, {\"a\": 2} ] \n".to_vec();
    let long = InputOptions { record_bytes_max: 20, ..format(Format::Kv) };
    let long = ("long", format!("a\t1\n{0}\t{0}\nb\t2\n{0}", "x".repeat(50)).into_bytes(), long);
    let late = ("late", late, InputOptions { templates: vec!["SET k #{a}".into()], ..format(Format::Json) });
    for (name, bytes, options) in samples().into_iter().chain([late, long]) {
        let whole = read_by(&bytes, usize::MAX, &options);
        let source = Source::reader(Trickle { bytes: bytes.clone(), at: 0, step: 1 }, "test");
        let mut input = Input::from_source(source, &options).expect("it opens");
        let (mut seen, mut places) = (0, Vec::new());
        loop {
            match input.next().expect("nothing is wrong with it") {
                Step::Record(_) | Step::Bad(_) => seen += 1,
                Step::Pending | Step::Waiting => {}
                Step::End => break,
            }
            if places.last().is_none_or(|(place, _)| *place != input.position()) {
                places.push((input.position(), seen));
            }
        }
        for (place, seen) in places {
            let source = Source::reader(std::io::Cursor::new(bytes.clone()), "test");
            let mut input = Input::from_source(source, &options).expect("it opened before");
            input.resume(place).expect("the place is there");
            assert_eq!(steps(&mut input), whole[seen..], "{name} at {place:?}");
        }
    }
}

#[test]
fn a_plain_file_is_sought_in_and_known_again() {
    let path = std::env::temp_dir().join(format!("panpipe-input-{}.kv", std::process::id()));
    let text: String = (0..50_000).map(|number| format!("key:{number:06}\tvalue\n")).collect();
    std::fs::write(&path, &text).expect("a file can be written");
    let options = InputOptions::of(path.to_str().expect("a path of ASCII"));
    let mut input = Input::open(&options).expect("it is there");
    assert_eq!((input.format, input.format_found), (Format::Kv, "by its name"));
    let identity = input.identity().expect("it can be read").expect("it is a file");
    assert_eq!(steps(&mut input).len(), 50_000);
    assert_eq!(input.bytes_read(), (text.len() as u64, Some(text.len() as u64)));
    let mut again = Input::open(&options).expect("it is there");
    assert!(again.identity().expect("it can be read").expect("it is a file").is_same_input(&identity));
    again.resume(Position { records: 49_999, offset: text.len() as u64 - 17 }).expect("the place is there");
    assert_eq!(steps(&mut again), ["50000@849983..850000 | SET key:049999 value [key:049999]"]);
    let mut text = text.into_bytes();
    *text.last_mut().expect("not empty") = b'x';
    std::fs::write(&path, &text).expect("a file can be written");
    let mut changed = Input::open(&options).expect("it is there");
    assert!(!changed.identity().expect("it can be read").expect("it is a file").is_same_input(&identity));
    std::fs::remove_file(&path).expect("it was there");
    let error = Input::open(&options).map(|_| ()).expect_err("it is gone");
    assert!(error.to_string().starts_with("cannot read "), "{error}");
}

#[test]
fn nothing_makes_it_panic_and_pieces_change_nothing() {
    let seed = std::env::var("PANPIPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    let rounds = std::env::var("PANPIPE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    println!("PANPIPE_SEED={seed} PANPIPE_ROUNDS={rounds}");
    let mut dice = Dice(seed);
    for round in 0..rounds {
        for (name, mut bytes, options) in samples() {
            for _ in 0..1 + dice.below(4) {
                let at = dice.below(bytes.len() + 1);
                match dice.below(5) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, dice.below(256) as u8),
                    2 if at < bytes.len() => bytes[at] = b"\"'\\\n\r\t,{}[]*$0129-#"[dice.below(19)],
                    3 if at < bytes.len() => {
                        bytes.remove(at);
                    }
                    _ => {
                        let piece = bytes[at..bytes.len().min(at + dice.below(20))].to_vec();
                        bytes.splice(at..at, piece);
                    }
                }
            }
            let options = InputOptions { record_bytes_max: 16 + dice.below(200), ..options };
            let options = if dice.below(4) == 0 {
                InputOptions { format: None, path: "-".to_owned(), ..options }
            } else {
                options
            };
            let whole = read_by(&bytes, usize::MAX, &InputOptions { chunk_bytes: 1, ..options.clone() });
            let step = 1 + dice.below(9);
            let pieces = read_by(&bytes, step, &InputOptions { chunk_bytes: 1, ..options.clone() });
            assert_eq!(pieces, whole, "round {round}, {name}: {}", bytes.escape_ascii());
            // Where a record is too large to keep, how much of it is seen depends on the chunks; nothing else does.
            let roomy = InputOptions { record_bytes_max: 1 << 20, ..options };
            let whole = read_by(&bytes, usize::MAX, &roomy);
            let pieces = read_by(&bytes, step, &InputOptions { chunk_bytes: 1 + dice.below(30), ..roomy });
            assert_eq!(pieces, whole, "round {round}, {name}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn records_that_are_too_large_are_left_out_or_end_the_input() {
    let long = "x".repeat(100_000);
    let limit = |options: InputOptions| InputOptions { record_bytes_max: 1000, chunk_bytes: 256, ..options };
    let kv = format!("a\t1\n{long}\t{long}\nb\t2\n");
    let seen = read(kv.as_bytes(), &limit(format(Format::Kv)));
    assert_eq!(seen.len(), 3);
    assert!(
        seen[1].ends_with("bad: the record is larger than 1000 bytes, which is the limit"),
        "{}",
        seen[1]
    );
    assert!(seen[1].starts_with("2@4..200006 "), "{}", seen[1]);
    assert_eq!(seen[2], "3@200006..200010 | SET b 2 [b]");
    let resp = format!("*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$100000\r\n{long}\r\n");
    let seen = read(resp.as_bytes(), &limit(format(Format::Resp)));
    assert_eq!(
        seen[1],
        "error: test: record 2, byte 33: a word of 100000 bytes is announced; a record has at most 1000 bytes"
    );
    let json = format!("[{{\"a\":1}},{{\"a\":\"{long}\"}}]");
    let seen = read(json.as_bytes(), &limit(with(Format::Json, &["SET #{a} 1"])));
    assert_eq!(
        seen[1],
        "error: test: record 2, byte 8: the record is larger than 1000 bytes, which is the limit"
    );
    let csv = format!("a,b\n1,\"{long}\n{long}\n");
    let options = InputOptions { header: true, ..with(Format::Csv, &["SET #{a} #{b}"]) };
    let seen = read(csv.as_bytes(), &limit(options));
    assert_eq!(
        seen,
        ["error: test: record 1, byte 4: the record is larger than 1000 bytes, which is the limit"]
    );
}

#[test]
fn deep_and_wide_json_is_a_record_like_any_other() {
    let depth = 100_000;
    let deep = format!("{{\"a\":{}{},\"b\":1}}\n", "[".repeat(depth), "]".repeat(depth));
    let seen = read_by(deep.as_bytes(), usize::MAX, &with(Format::Jsonl, &["SET k #{b}"]));
    assert_eq!(seen.len(), 1);
    assert!(seen[0].ends_with("| SET k 1 [k]"));
    let seen = read_by(deep.as_bytes(), usize::MAX, &behind(Format::Jsonl, "hset --keyspace k"));
    assert!(seen[0].contains("bad: not JSON: objects within objects, 64 times"), "{}", &seen[0]);
    let seen = read_by(deep.as_bytes(), usize::MAX, &with(Format::Jsonl, &["SET k #{a[0][0]}"]));
    assert_eq!(seen.len(), 1);
}

#[test]
fn broken_frames_end_the_input_where_they_are() {
    for (text, reason) in [
        (
            "*2\r\n$3\r\nDEL\r\n$1\r\n",
            "record 1, byte 0: the input is cut off: it ends 17 bytes into this record, in word 2 of 2",
        ),
        (
            "*2\r\n$3\r\nDELx\n",
            "record 1, byte 4: no line end stands where the length says that the word ends (word 1 of 2, which begins with '$')",
        ),
        (
            "*2\r\n:3\r\n",
            "record 1, byte 4: a word begins with $ and its length (word 1 of 2, which begins with ':')",
        ),
        (
            "*2\r\n$99999999999\r\n",
            "record 1, byte 4: the length of a word is no number (word 1 of 2, which begins with '$')",
        ),
        (
            "*2\r\n$03\r\nGET\r\n$1\r\na\r\n",
            "record 1, byte 4: the length of a word is no number (word 1 of 2, which begins with '$')",
        ),
        (
            "*2\r\n$3\r\nGET\r\n$001\r\na\r\n",
            "record 1, byte 13: the length of a word is no number (word 2 of 2, which begins with '$')",
        ),
        ("*02\r\n", "record 1, byte 0: no number of words stands behind the * that begins a command"),
        ("*x\r\n", "record 1, byte 0: no number of words stands behind the * that begins a command"),
        ("*9999999999\r\n", "record 1, byte 0: no number of words stands behind the * that begins a command"),
        (
            "*",
            "record 1, byte 0: the input is cut off: it ends 1 bytes into this record, before its first word",
        ),
        ("+OK\r\n", "record 1, byte 0: neither a RESP command nor a line begins with '+'"),
        ("\0\0", "record 1, byte 0: neither a RESP command nor a line begins with '\\x00'"),
        ("G\x01T a\n", "record 1, byte 0: no command is called \"G\\u{1}T\""),
        (
            "SELECT 3\r\n",
            "record 1, byte 0: SELECT \"3\": a cluster has database 0 only, and what follows is for another one",
        ),
    ] {
        assert_eq!(
            read(text.as_bytes(), &format(Format::Resp)),
            [format!("error: test: {reason}")],
            "{text:?}"
        );
    }
    for (text, end) in [
        (
            "REDIS0011",
            "refused: test: this is an RDB dump, or an append-only file that begins with one, and not a list of commands",
        ),
        (
            "\x7fELF\x02\x01",
            "refused: test: cannot tell how the records are written; the input begins with \"\u{7f}ELF\\u{2}\\u{1}\"",
        ),
    ] {
        let options = InputOptions::of("-");
        assert_eq!(read(text.as_bytes(), &options)[0].replace("\\u{7f}", "\u{7f}"), end);
    }
}

#[test]
fn units_are_of_one_slot() {
    let seen = |text: &str| read(text.as_bytes(), &format(Format::Commands));
    assert_eq!(seen("MULTI\nset {a}1 x\ndel {a}2 {a}3\nEXEC\n"), ["1@0..36 | unit of 92 bytes [{a}1]"]);
    for (text, reason) in [
        ("MULTI\nset a x\nset b x\nEXEC", "MULTI .. EXEC over keys of several slots: no node has them all"),
        ("MULTI\nmset a x b x\nEXEC", "MULTI .. EXEC over keys of several slots: no node has them all"),
        ("MULTI\nnope a\nEXEC", "MULTI .. EXEC with nope, whose keys are not known"),
        ("MULTI\nset a x\nMULTI\nEXEC", "MULTI within MULTI"),
        (
            "MULTI\nset a x\nset \"b\nset a y\nEXEC",
            "MULTI .. EXEC with a line that cannot be read: the quote at byte 4 of the line is not closed",
        ),
        ("EXEC", "EXEC without MULTI"),
        (
            "MULTI\nset a x\n",
            "the input ends between MULTI and EXEC; like a server that reads its own file, this leaves the commands out",
        ),
    ] {
        assert_eq!(seen(text), [format!("1@0..{} bad: {reason}", text.len())], "{text}");
    }
    assert_eq!(seen("MULTI\nset a x\nDISCARD\nset b 1\n"), ["1@22..30 | set b 1 [b]"]);
}

#[test]
fn shards_are_the_whole() {
    let text: String = (0..1000).map(|number| format!("k{number}\tv\n")).collect();
    let mut all = Vec::new();
    for shard in 1..=3 {
        let slots = Some(select::parse_shard(&format!("{shard}/3")).expect("a shard"));
        let options = InputOptions { slots, ..format(Format::Kv) };
        let seen = read(text.as_bytes(), &options);
        assert!(seen.len() > 200, "{}", seen.len());
        all.extend(seen);
    }
    all.sort();
    let mut whole = read(text.as_bytes(), &format(Format::Kv));
    whole.sort();
    assert_eq!(all, whole);
    let some = InputOptions { skip: 2, max: Some(2), ..format(Format::Kv) };
    assert_eq!(read(b"a\t1\nb\t2\nbad\nc\t3\nd\t4\n", &some).len(), 2);
    for text in ["0/3", "4/3", "1", "1/0", "x/2", "1/99999"] {
        assert!(select::parse_shard(text).is_err(), "{text}");
    }
    assert_eq!(select::parse_shard("1/1"), Ok(0..=16383));
    assert_eq!(select::parse_slots("7"), Ok(7..=7));
    for text in ["5-1", "0-16384", "a-b", ""] {
        assert!(select::parse_slots(text).is_err(), "{text}");
    }
}

#[test]
fn formats_are_told_by_their_first_lines() {
    for (text, expected) in [
        ("*1\r\n$4\r\nPING\r\n", "1@0..14 | PING [-]"),
        ("\u{feff}a\t1\nb\t2\n", "1@3..7 | SET a 1 [a]"),
        ("SET a 1\nSET b 2\n", "1@0..8 | SET a 1 [a]"),
        ("a,b\n1,2\n", "refused: test: what is to become of a record with the fields a, b?"),
        ("a|7\n1|2\n", "refused: test: what is to become of a record with the fields 1, 2?"),
        ("a\tb\tc\n1\t2\t3\n", "refused: test: what is to become of a record with the fields a, b, c?"),
        (
            "{\"a\":1,\"b\":{\"c\":2}}\n{",
            "refused: test: what is to become of a record with the fields a, b.c?",
        ),
        ("{\n\"a\":1}", "refused: test: what is to become of a record with the fields a?"),
        (" [ {\"a\":1}]", "refused: test: what is to become of a record with the fields a?"),
        (
            "one word\n",
            "refused: test: cannot tell how the records are written; the input begins with \"one word\\n\"",
        ),
    ] {
        assert_eq!(read(text.as_bytes(), &InputOptions::of("-"))[0], expected, "{text}");
    }
    for (path, format) in [
        ("a.csv", Some(Format::Csv)),
        ("b/A.RESP.GZ", Some(Format::Resp)),
        ("x.y.ndjson.zst", Some(Format::Jsonl)),
        ("appendonly.aof.1.incr.aof", Some(Format::Resp)),
        ("x.gz", None),
        ("csv", None),
    ] {
        assert_eq!(format_by_name(path), format, "{path}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_writer_that_pauses_is_not_waited_for() {
    for compressed in [false, true] {
        let encode = |text: &str| if compressed { gzip(text.as_bytes()) } else { text.as_bytes().to_vec() };
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(&encode("a\t1\nb")).expect("there is room");
        let options = InputOptions { chunk_bytes: 64, ..format(Format::Kv) };
        let mut pauses = 0;
        // To look at sixteen bytes, it waits for them; a magic number could be there.
        writer.write_all(&encode("\t2\nccccccccccccc\t3\nd")).expect("there is room");
        let mut input = Input::from_source(Source::pipe(reader), &options).expect("it opens");
        let mut seen = Vec::new();
        let mut writer = Some(writer);
        loop {
            match input.next().expect("it is whole") {
                Step::Record(record) => seen.push(told(&record)),
                Step::Bad(bad) => panic!("{}", bad.reason),
                Step::Pending => {}
                Step::Waiting => {
                    pauses += 1;
                    // The rest, and then the end.
                    if let Some(mut writer) = writer.take() {
                        assert_eq!(seen.len(), 3, "what is there is read");
                        writer.write_all(&encode("\t4\n")).expect("there is room");
                    }
                    input.wait(Duration::from_secs(5));
                }
                Step::End => break,
            }
        }
        assert_eq!(seen.last().map(String::as_str), Some("4@24..28 | SET d 4 [d]"));
        assert!(pauses >= 1, "a pause was told");
        assert_eq!(input.bytes_read().1, None);
    }
}
