use bytes::Bytes;

use super::*;
use crate::command::plan::Plan;
use crate::command::testing::{Counter, Random, direct, words, written};
use crate::command::{ToArg, cmd};

fn random_number(random: &mut Random) -> Arg<'static> {
    let bits = random.next() >> random.below(64);
    match random.below(4) {
        0 => Arg::Integer(bits as i64),
        1 => Arg::Integer((bits as i64).wrapping_neg()),
        2 => Arg::Unsigned(bits),
        _ => Arg::Float(f64::from_bits(random.next())),
    }
}

#[test]
fn every_kind_of_argument_is_as_long_as_announced() {
    let mut random = Random(1);
    let fixed = [
        Arg::Integer(0),
        Arg::Integer(i64::MIN),
        Arg::Integer(i64::MAX),
        Arg::Unsigned(0),
        Arg::Unsigned(u64::MAX),
        Arg::Float(0.0),
        Arg::Float(-0.0),
        Arg::Float(f64::MAX),
        Arg::Float(-f64::MIN_POSITIVE),
        Arg::Float(f64::NAN),
        Arg::Float(f64::NEG_INFINITY),
        Arg::Bytes(b""),
    ];
    let drawn: Vec<Arg<'_>> = (0..2000).map(|_| random_number(&mut random)).collect();
    for arg in fixed.iter().chain(&drawn) {
        let mut wire = Vec::new();
        arg.write(&mut wire);
        assert_eq!(wire.len(), arg.wire_len(), "{arg:?}");
        arg.with_bytes(|bytes| assert_eq!(direct(&[bytes])[4..], wire, "{arg:?}"));
    }
}

#[test]
fn numbers_are_their_decimal_text() {
    let text = |arg: Arg<'_>| arg.with_bytes(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(text(Arg::Integer(-7)), "-7");
    assert_eq!(text(u64::MAX.to_arg()), "18446744073709551615");
    assert_eq!(text(7u64.to_arg()), "7");
    assert_eq!(text(usize::MAX.to_arg()), usize::MAX.to_string());
    assert_eq!(text(0.1.to_arg()), "0.1");
    assert_eq!(text(0.5f32.to_arg()), "0.5");
}

#[test]
fn random_commands_are_words_as_long_as_announced() {
    let mut random = Random(2);
    for _ in 0..500 {
        let owned: Vec<Vec<u8>> = (0..random.below(14)).map(|_| random.bytes()).collect();
        let shared: Vec<Bytes> = owned.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
        let args: Vec<Arg<'_>> = owned
            .iter()
            .zip(&shared)
            .map(|(bytes, shared)| match random.below(3) {
                0 => Arg::Bytes(bytes),
                1 => Arg::Shared(shared),
                _ => random_number(&mut random),
            })
            .collect();
        let request = Request::new("SOME.NAME", Keys::None, &args);
        let wire = written(&request);
        let mut expected = vec![b"SOME.NAME".to_vec()];
        expected.extend(args.iter().map(|arg| arg.with_bytes(<[u8]>::to_vec)));
        assert_eq!(words(&wire), expected);
        assert_eq!(wire, direct(&expected));
        // The raw door encodes the same bytes.
        let raw = cmd("some.name").args(&args).route(Route::AnyPrimary);
        assert_eq!(written(&raw.request().unwrap()), wire);
        assert_eq!(raw.request().unwrap().args_len(), args.len());
    }
}

#[test]
fn shared_bytes_are_offered_for_sharing() {
    let large = Bytes::from(vec![b'x'; 100_000]);
    let args = [Arg::Bytes(b"k"), large.to_arg()];
    let request = Request::new("SET", Keys::FIRST, &args);
    let mut counter = Counter::default();
    request.write(&mut counter);
    assert_eq!((counter.bytes, counter.shared), (request.wire_len(), 100_000));
}

/// Each part is the command one would have written for its groups; together they are the command.
fn check_parts(request: &Request<'_>, group: usize, all: &[Vec<u8>]) {
    let Ok(Plan::Split(parts)) = request.plan() else { panic!("a split: {:?}", request.plan()) };
    let mut seen = vec![false; all.len() / group];
    for part in &parts {
        let mut expected = vec![request.name().as_bytes().to_vec()];
        for &number in &part.groups {
            let at = number as usize * group;
            expected.extend_from_slice(&all[at..at + group]);
            assert_eq!(slot_of(&all[at]), part.slot);
            assert!(!std::mem::replace(&mut seen[number as usize], true), "each group is in one part");
        }
        assert!(part.groups.is_sorted(), "the groups of a part keep their order");
        let mut wire = Vec::new();
        request.write_part(&part.groups, &mut wire);
        assert_eq!(wire, direct(&expected));
        assert_eq!(wire.len(), request.part_wire_len(&part.groups));
    }
    assert!(seen.iter().all(|seen| *seen), "every group is in a part");
    let slots: Vec<u16> = parts.iter().map(|part| part.slot).collect();
    assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "one part per slot");
}

#[test]
fn parts_are_the_commands_one_would_write() {
    let mut random = Random(3);
    let mut splits = 0;
    for _ in 0..300 {
        let group = 1 + random.below(3);
        let groups = 2 + random.below(20);
        // Few different keys, so that many are repeated.
        let all: Vec<Vec<u8>> = (0..groups * group)
            .map(|at| if at % group == 0 { vec![b'a' + random.below(6) as u8] } else { random.bytes() })
            .collect();
        let args: Vec<Arg<'_>> = all.iter().map(|bytes| Arg::Bytes(bytes)).collect();
        let keys = Keys::Range { first: 0, step: group, count: groups };
        let request = Request::new("NAME", keys, &args).splittable(group, Merge::Elements);
        if all.iter().step_by(group).any(|key| key != &all[0]) {
            check_parts(&request, group, &all);
            splits += 1;
            if group == 1 {
                let raw = cmd("MGET").args(&all);
                check_parts(&raw.request().unwrap(), 1, &all);
            }
            if group == 2 {
                let raw = cmd("MSET").args(&all);
                check_parts(&raw.request().unwrap(), 2, &all);
            }
        } else {
            assert_eq!(request.plan(), Ok(Plan::Slot(slot_of(&all[0]))));
        }
    }
    assert!(splits > 200);
}

/// Lengths around which the ways to copy a word and to write its header change.
const EDGES: [usize; 15] = [0, 1, 3, 7, 8, 9, 15, 16, 17, 32, 64, 99, 128, 999, 16 << 10];

#[test]
fn plain_writing_agrees_with_appending() {
    let mut random = Random(3);
    let length = |random: &mut Random| match random.below(4) {
        0 => random.below(200),
        _ => (EDGES[random.below(EDGES.len())] + random.below(3)).saturating_sub(1),
    };
    for _ in 0..4000 {
        let name = "N".repeat(length(&mut random));
        let count = [0, 1, 2, 3, 7, 8, 9, 12, 120][random.below(9)];
        let owned: Vec<Bytes> =
            (0..count).map(|_| (0..length(&mut random)).map(|_| random.next() as u8).collect()).collect();
        let borrowed = owned.iter().map(|bytes| match random.below(4) {
            0 => random_number(&mut random),
            1 => Arg::Shared(bytes),
            _ => Arg::Bytes(bytes),
        });
        let borrowed: Vec<Arg<'_>> = borrowed.collect();
        let request = Request::new(&name, Keys::FIRST, &borrowed);
        let mut body = Vec::new();
        let mut ends = Vec::new();
        for arg in &borrowed {
            arg.write(&mut body);
            ends.push(body.len() as u32);
        }
        let words = Words { body: &body, ends: &ends };
        for request in [request, Request { args: Args::Encoded(words), ..request }] {
            let mut appended = Vec::new();
            request.write(&mut appended);
            // What was in the room before must not show.
            let mut room = vec![random.next() as u8; request.wire_bound()];
            let len = request.write_plain(&mut room);
            assert!(room[..len] == appended, "{request:?}");
            assert!(len + encode::SLACK_BYTES <= room.len(), "the slack is no part of the bound");
        }
    }
}
