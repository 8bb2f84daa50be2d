//! Compressed files that are damaged or cut off: what stands before that place is loaded, and a mended file goes on behind it.

use std::io::Write;

use super::tool::{Tool, check_values, client, embedded, keys, kv};

const RECORDS: u64 = 60_000;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    // As little as it can: the ends of a file, which tell it from others, must not be all of it.
    zstd::bulk::compress(bytes, -131_072).expect("memory takes everything")
}

#[test]
fn what_stands_before_damage_is_loaded_and_a_mended_file_goes_on() {
    let text = kv(RECORDS);
    let (front, back) = text.split_at(text.len() / 2);
    for (name, encode) in [("data.kv.gz", gzip as fn(&[u8]) -> Vec<u8>), ("data.kv.zst", zstd)] {
        let cluster = embedded();
        let tool = Tool::new(&cluster.url());
        let (front, mut back) = (encode(front.as_bytes()), encode(back.as_bytes()));
        let whole = [front.as_slice(), &back].concat();
        // Of the second member or frame, what says how it is packed.
        back[2] ^= 0x55;
        let damaged = [front, back].concat();
        tool.write(name, &damaged);
        let args = [name, "--checkpoint", "c.json"];
        let run = tool.run(&args).expect(5).says("damaged near byte").says("--resume goes on there");
        let done = run.number("/records/done");
        assert_eq!(done, text[..text.len() / 2].lines().count() as u64 - 1, "{name}");
        run.records(done, done, 0);
        let mut client = client(&cluster.url());
        assert_eq!(keys(&mut client), done);
        check_values(&mut client, 1..=done);
        run.says(&format!("behind record {done}, byte "));
        tool.write(name, &whole);
        let run = tool.run(&[&args[..], &["--resume"]].concat()).expect(0);
        run.records(RECORDS, RECORDS, 0);
        assert_eq!(run.number("/timing/records_of_this_run"), RECORDS - done);
        check_values(&mut client, 1..=RECORDS);
    }
}

#[test]
fn a_file_that_was_cut_off_goes_on_when_it_is_whole() {
    for (name, whole) in
        [("data.gz", gzip(kv(RECORDS).as_bytes())), ("data.zst", zstd(kv(RECORDS).as_bytes()))]
    {
        let cluster = embedded();
        let tool = Tool::new(&cluster.url());
        tool.write(name, &whole[..whole.len() * 2 / 3]);
        let args = [name, "--format", "kv", "--checkpoint", "c.json"];
        let run = tool.run(&args).expect(5).says("is cut off at byte");
        let done = run.number("/records/done");
        assert!(done > RECORDS / 2 && done < RECORDS, "{name}: {done}");
        run.records(done, done, 0);
        tool.write(name, &whole);
        let run = tool.run(&[&args[..], &["--resume", "--verify", "full"]].concat()).expect(0);
        run.records(RECORDS, RECORDS, 0);
        // Something else that is longer is still refused.
        tool.write("c.json", tool.text("c.json").replace("\"finished\": true", "\"finished\": false"));
        tool.write(name, gzip(b"another\tone\n"));
        tool.run(&[&args[..], &["--resume"]].concat()).expect(5).says("is not what it was");
    }
}
