//! Compressed input that is cut off or damaged, and how much of it is done.

use super::robust::{gzip, zstd};
use super::*;

#[test]
fn compressed_input_that_is_cut_off_is_told_from_its_end() {
    let text: String = (0..2000).map(|number| format!("key:{number}\tvalue {number}\n")).collect();
    for (what, bytes) in [("gzip", gzip(text.as_bytes())), ("zstd", zstd(text.as_bytes()))] {
        for cut in [20, bytes.len() / 2, bytes.len() - 1] {
            let seen = read_by(&bytes[..cut], usize::MAX, &format(Format::Kv));
            let last = seen.last().expect("at least the error");
            assert!(last.contains(&format!("{what} data of test is cut off at byte {cut}")), "{last}");
            assert!(last.contains(&format!("behind record {}", seen.len() - 1)) || seen.len() == 1, "{last}");
        }
        let mut damaged = bytes.clone();
        let middle = bytes.len() / 2;
        damaged[middle..middle + 8].fill(0xff);
        let seen = read_by(&damaged, usize::MAX, &format(Format::Kv));
        assert!(seen.last().is_some_and(|last| last.contains("damaged near byte")), "{:?}", seen.last());
        let garbage = [bytes.as_slice(), b"garbage"].concat();
        for step in [bytes.len(), 7] {
            let seen = read_by(&garbage, step, &format(Format::Kv));
            assert_eq!(seen.len(), 2001, "the records in front are good: {:?}", seen.last());
            assert!(seen[2000].contains("damaged near byte"), "{}", seen[2000]);
        }
    }
}

#[test]
fn what_stands_before_damage_is_read() {
    const RECORDS: usize = 40_000;
    let text: String = (0..RECORDS).map(|number| format!("key:{number}\tvalue {number}\n")).collect();
    // As much as a block of zstd holds, in records.
    let block = RECORDS * (128 << 10) / text.len() + 1;
    for (what, bytes) in [("gzip", gzip(text.as_bytes())), ("zstd", zstd(text.as_bytes()))] {
        for tenth in 1..10 {
            let mut damaged = bytes.clone();
            let middle = bytes.len() * tenth / 10;
            damaged[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0x55);
            let seen = read_by(&damaged, usize::MAX, &format(Format::Kv));
            let last = seen.last().expect("at least the error");
            assert!(last.contains("damaged near byte"), "{what} {tenth} of {}: {last}", bytes.len());
            assert!(seen.len() + 2 * block > RECORDS * tenth / 10, "{what}, {tenth}/10: {}", seen.len());
            // Byte by byte, nothing that could be decoded is kept back.
            let slowly = read_by(&damaged, 1, &format(Format::Kv));
            assert_eq!(seen.len(), slowly.len(), "{what}, {tenth}/10");
            assert_eq!(seen[..seen.len() - 1], slowly[..slowly.len() - 1], "{what}, {tenth}/10");
        }
        // Also where it is found out already while the format is looked for.
        let short = InputOptions { format: None, ..InputOptions::of("x") };
        let seen = read_by(&bytes[..bytes.len() / 100], usize::MAX, &short);
        assert!(seen.len() > 10 || what == "zstd", "{what}: {seen:?}");
    }
}

#[test]
fn a_place_is_a_share_of_all() {
    const RECORDS: u64 = 40_000;
    let text: String = (0..RECORDS).map(|number| format!("key:{number}\tvalue {number}\n")).collect();
    let path = std::env::temp_dir().join(format!("panpipe-share-{}.kv", std::process::id()));
    let options = InputOptions::of(path.to_str().expect("a path of ASCII"));
    for bytes in [text.clone().into_bytes(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
        std::fs::write(&path, &bytes).expect("a file can be written");
        let mut input = Input::open(&options).expect("it is there");
        let (mut half, mut share) = (0.0, 0.0);
        while !matches!(input.next().expect("it is whole"), Step::End) {
            let place = input.position();
            share = input.share_of(place).expect("a file has a size");
            half = if place.records == RECORDS / 2 { share } else { half };
        }
        assert_eq!(share, 1.0);
        // Of compressed bytes it is a guess.
        assert!((0.35..0.65).contains(&half), "{half}");
        assert_eq!(input.share_of(Position { records: 0, offset: u64::MAX }), None, "nobody has been there");
        let mut first =
            Input::open(&InputOptions { max: Some(100), ..options.clone() }).expect("it is there");
        while first.position().records < 50 {
            first.next().expect("it is whole");
        }
        assert_eq!(first.share_of(first.position()), Some(0.5));
    }
    std::fs::remove_file(&path).expect("it was there");
    let source = Source::reader(Trickle { bytes: text.into_bytes(), at: 0, step: 100 }, "test");
    let input = Input::from_source(source, &format(Format::Kv)).expect("it opens");
    assert_eq!(input.share_of(input.position()), None, "a stream has no size");
}
