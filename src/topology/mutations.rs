//! Tests: no bytes make a parser panic, and what it accepts keeps a snapshot's promises.

use super::samples::{self, Random, asked};
use super::{NodeTable, SlotKnowledge, Snapshot, View, merge, parse_nodes, parse_shards, parse_slots};
use crate::resp::ReplyRef;

/// Bytes that mean something to a parser, to make more of the mutations matter.
const TELLING: &[&[u8]] = &[
    b"*",
    b"%",
    b":",
    b"$",
    b"_\r\n",
    b"\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b":-1\r\n",
    b":16384\r\n",
    b":65536\r\n",
    b"-",
    b",",
    b"@",
    b" ",
    b"?",
    b"[",
    b"0-16383",
    b"\n",
    b"\xff",
    b"\0",
    b"|1\r\n+a\r\n+b\r\n",
    b"*999999999\r\n",
    b"9223372036854775807",
    b"myself",
    b"noaddr",
    b"slots",
    b"nodes",
    b"::1",
    b">",
];

fn mutated(random: &mut Random, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, TELLING[random.below(TELLING.len())].iter().copied())),
            4 => {
                let end = (at + random.below(60)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let end = (at + random.below(200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// Gives the bytes to every parser; what is accepted must be consistent.
fn accepted(bytes: &[u8]) -> Vec<Snapshot> {
    let reply = ReplyRef::new(bytes);
    let results = [parse_slots(reply, &asked()), parse_shards(reply, &asked()), parse_nodes(bytes, &asked())];
    let accepted: Vec<_> = results.into_iter().flatten().collect();
    for snapshot in &accepted {
        snapshot.validate().expect("a parser checks what it hands out");
        let holes: u32 = snapshot.holes().iter().map(|&(start, end)| u32::from(end - start) + 1).sum();
        assert_eq!(holes + snapshot.covered(), 16384);
    }
    accepted
}

fn originals() -> Vec<Vec<u8>> {
    let replies = [
        samples::SLOTS_RESP2,
        samples::SLOTS_HOSTNAMES_RESP3,
        samples::SLOTS_QUESTION_MARK_RESP2,
        samples::SLOTS_UNKNOWN_ENDPOINT_RESP3,
        samples::SLOTS_LONE_RESP2,
        samples::SLOTS_IPV6_RESP3,
        samples::SHARDS_HOSTNAMES_RESP2,
        samples::SHARDS_FAILED_OVER_RESP3,
    ];
    let texts = [samples::NODES_MIGRATING, samples::NODES_FAILED_OVER];
    replies
        .iter()
        .map(|text| samples::wire(text))
        .chain(texts.iter().map(|text| samples::with_ids(text).into_bytes()))
        .collect()
}

#[test]
fn mutated_replies_are_read_or_refused_and_never_panic() {
    let (originals, known) = (originals(), SlotKnowledge::new());
    let mut random = Random(0x5eed);
    let mut count = 0;
    for round in 0..3000 {
        for snapshot in accepted(&mutated(&mut random, &originals[round % originals.len()])) {
            count += 1;
            let mut table = NodeTable::new();
            let indices = table.resolve_all(&snapshot);
            let mut changes = Vec::new();
            merge(&known, &View::new(&snapshot, &indices, 1), &mut changes);
            assert!(changes.iter().filter_map(|change| change.to).all(|to| table.is_live(to)));
        }
    }
    assert!(count > 500, "the mutations are too wild to test anything: {count}");
}

#[test]
fn replies_cut_anywhere_are_read_or_refused() {
    for original in originals() {
        assert!(!accepted(&original).is_empty(), "the sample itself is good");
        for end in 0..original.len() {
            accepted(&original[..end]);
        }
    }
}

#[test]
fn noise_is_refused() {
    let mut random = Random(77);
    for _ in 0..2000 {
        let noise: Vec<u8> = (0..random.below(300)).map(|_| random.below(256) as u8).collect();
        assert!(accepted(&noise).is_empty());
    }
}
