//! Properties of the RESP parser on random replies and on mutilated ones. `PANPIPE_SEED` repeats a run.

#[path = "support/random.rs"]
mod random;
#[path = "support/resp.rs"]
#[allow(dead_code, reason = "shared by several test files; each uses its part")]
mod support;

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};

use panpipe::config::FrameLimits;
use panpipe::error::ServerError;
use panpipe::resp::encode::{array_header_len, bulk_wire_len, put_array_header, put_bulk, put_int_bulk};
use panpipe::resp::server_error::classify;
use panpipe::resp::{FrameKind, FromReply, ReplyKind, ReplyRef, pairs_vec};
use random::{Random, Value};
use support::{Verdict, describe, read_stream, scan_in_pieces, scan_whole};

#[test]
fn any_chunking_reads_what_was_written() {
    let mut random = Random::from_environment("chunking");
    for round in 0..3_000 {
        let frames: Vec<Value> = (0..1 + random.below(6)).map(|_| Value::random_frame(&mut random)).collect();
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut stream));
        let expected: Vec<(FrameKind, String)> = frames
            .iter()
            .map(|frame| (if frame.is_push() { FrameKind::Push } else { FrameKind::Reply }, frame.text()))
            .collect();
        assert_eq!(read_stream(&stream, || usize::MAX >> 1), expected, "round {round}, in one piece");
        assert_eq!(read_stream(&stream, || 1), expected, "round {round}, byte by byte");
        let largest = 1 + random.below(40);
        assert_eq!(read_stream(&stream, || random.below(largest)), expected, "round {round}, at random");
    }
}

#[test]
fn commands_read_back() {
    let mut random = Random::from_environment("commands");
    for round in 0..5_000 {
        let words: Vec<Vec<u8>> = (0..1 + random.below(12))
            .map(|_| if random.one_in(10) { vec![b'x'; random.below(5000)] } else { random.bytes(40) })
            .collect();
        let number = random.next() as i64 >> random.below(64);
        let mut out = BytesMut::new();
        put_array_header(&mut out, words.len() + 1);
        words.iter().for_each(|word| put_bulk(&mut out, word));
        put_int_bulk(&mut out, number);
        let sizes = words.iter().map(|word| bulk_wire_len(word.len())).sum::<usize>();
        let size = array_header_len(words.len() + 1) + sizes + bulk_wire_len(number.to_string().len());
        assert_eq!(out.len(), size, "round {round}");
        let Verdict::Complete(frame) = scan_whole(&out, FrameLimits::default()) else {
            panic!("round {round}")
        };
        assert_eq!(frame.len, out.len());
        let mut elements = ReplyRef::new(&out).elements();
        for word in &words {
            assert_eq!(elements.next().and_then(|word| word.as_bytes()), Some(&word[..]), "round {round}");
        }
        assert_eq!(elements.next().and_then(|word| word.as_i64()), Some(number), "round {round}");
        assert!(elements.next().is_none());
    }
}

/// Whatever the bytes: no panic, the same verdict in pieces as whole, and a frame that is accepted can be walked
/// to its last byte.
#[test]
fn mutilated_frames_are_judged_alike_and_walked_safely() {
    let mut random = Random::from_environment("mutilated");
    let (mut accepted, mut refused) = (0u32, 0u32);
    for round in 0..200_000 {
        let bytes = mutilated(&mut random);
        let limits = random_limits(&mut random);
        let whole = scan_whole(&bytes, limits);
        assert_eq!(
            scan_in_pieces(&bytes, 0..bytes.len(), limits),
            whole,
            "round {round}, byte by byte: {}",
            bytes.escape_ascii()
        );
        let cut = random.below(bytes.len() + 1);
        assert_eq!(scan_in_pieces(&bytes, [cut], limits), whole, "round {round}: {}", bytes.escape_ascii());
        match whole {
            Verdict::Complete(frame) => {
                accepted += 1;
                assert!(frame.len >= 3 && frame.len <= bytes.len() && frame.attribute_len < frame.len);
                let frame = Bytes::copy_from_slice(&bytes[..frame.len]);
                let reply = ReplyRef::with_backing(&frame);
                assert_eq!(describe(reply), describe(ReplyRef::new(&frame)));
                walk_accepted(reply);
                ask_everything(reply);
            }
            Verdict::Malformed(_) | Verdict::Limit(..) => refused += 1,
            Verdict::Incomplete => {}
        }
        // What no scanner has accepted must not hurt either.
        walk_anything(ReplyRef::new(&bytes));
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 20_000 && refused > 20_000, "the mutations are too mild or too wild");
}

fn mutilated(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    if random.one_in(10) {
        return random.bytes(40);
    }
    Value::random(random, 3).encode(&mut bytes);
    bytes.truncate(200);
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len().max(1));
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] = random.byte(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.insert(at, random.byte()),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at.max(1)),
            _ => {
                let mut other = Vec::new();
                Value::random(random, 1).encode(&mut other);
                bytes.splice(at..at, other.into_iter().take(30));
            }
        }
    }
    bytes
}

/// The default limits, or such that small frames exceed them.
fn random_limits(random: &mut Random) -> FrameLimits {
    if random.one_in(2) {
        return FrameLimits::default();
    }
    let mut limit = |max: usize| if random.one_in(3) { random.below(max) } else { 1 << 20 };
    FrameLimits {
        depth_max: limit(4),
        bulk_bytes_max: limit(12) as u64,
        line_bytes_max: limit(12),
        elements_max: limit(6) as u64,
        total_elements_max: limit(8) as u64,
        reply_bytes_max: limit(60) as u64,
        attribute_pairs_max: limit(3) as u64,
        attribute_bytes_max: limit(30) as u64,
    }
}

/// Every byte of the frame belongs to exactly one element.
fn walk_accepted(reply: ReplyRef<'_>) {
    let frame = reply.frame();
    let (attributes, value) = match reply.attribute() {
        Some(attribute) => {
            walk_accepted(attribute);
            frame.split_at(attribute.frame().len())
        }
        None => (&[][..], frame),
    };
    // A second attribute in front is part of neither; the elements behind it are those of the reply.
    if attributes.is_empty() || value.first() != Some(&b'|') {
        let aggregate =
            matches!(reply.kind(), ReplyKind::Array | ReplyKind::Set | ReplyKind::Push | ReplyKind::Map);
        if aggregate {
            let header = value.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
            let elements: usize = reply.elements().map(|element| element.frame().len()).sum();
            assert_eq!(header + elements, value.len(), "{}", frame.escape_ascii());
        } else {
            assert_eq!(reply.elements().count(), 0);
        }
    }
    for element in reply.elements() {
        walk_accepted(element);
    }
}

fn walk_anything(reply: ReplyRef<'_>) {
    ask_everything(reply);
    if let Some(attribute) = reply.attribute() {
        ask_everything(attribute);
    }
    for element in reply.elements() {
        walk_anything(element);
    }
}

fn ask_everything(reply: ReplyRef<'_>) {
    let _ = (reply.kind(), reply.is_null(), reply.as_bytes(), reply.as_str(), reply.as_i64(), reply.as_f64());
    let _ = (reply.as_bool(), reply.len(), reply.is_empty(), reply.to_bytes(), reply.pairs().count());
    if let Some(text) = reply.error() {
        let _ = (classify(text), ServerError::from_bytes(text));
    }
    assert!(format!("{reply:?}").len() < 64 * 300, "Debug is bounded");
    let _ =
        (bool::from_reply(reply), <()>::from_reply(reply), u32::from_reply(reply), u64::from_reply(reply));
    let _ = (Option::<Vec<Bytes>>::from_reply(reply), <(i64, Vec<u8>)>::from_reply(reply));
    let _ = (HashMap::<String, f64>::from_reply(reply), BTreeMap::<Vec<u8>, i64>::from_reply(reply));
    let _ = (pairs_vec::<String, String>(reply), Vec::<(String, Option<f64>)>::from_reply(reply));
    let _ = Vec::<Result<String, ServerError>>::from_reply(reply);
}
