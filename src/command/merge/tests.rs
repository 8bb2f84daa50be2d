use super::*;
use crate::resp::{FromReply, Scan, Scanner};

const NONE: &[u32] = &[];

fn joined(merge: Merge, parts: &[&str], part_of_group: &[u32], nodes: &[&str]) -> Result<String, Error> {
    let parts: Vec<ReplyRef<'_>> = parts.iter().map(|part| ReplyRef::new(part.as_bytes())).collect();
    let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
    let frame = join(merge, &parts, part_of_group, &nodes)?;
    let scan = Scanner::new(crate::config::FrameLimits::default()).scan(&frame);
    assert!(matches!(scan, Ok(Scan::Complete(whole)) if whole.len == frame.len()), "one frame: {scan:?}");
    Ok(String::from_utf8(frame).unwrap())
}

/// Asserts that the parts do not fit the rule, and that the error says so without doubt about what ran.
fn refused(merge: Merge, parts: &[&str], part_of_group: &[u32]) {
    let error = joined(merge, parts, part_of_group, &[]).expect_err("a refusal");
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Executed);
}

#[test]
fn elements_come_in_the_order_asked() {
    let parts = ["*2\r\n$1\r\na\r\n$1\r\nc\r\n", "*1\r\n$1\r\nb\r\n"];
    let frame = joined(Merge::Elements, &parts, &[0, 1, 0], &[]).unwrap();
    assert_eq!(frame, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    let frame = joined(Merge::Elements, &parts, &[1, 0, 0], &[]).unwrap();
    assert_eq!(frame, "*3\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n");
}

#[test]
fn missing_and_repeated_keys_keep_their_places() {
    // MGET x y x z, where y is missing: x and z of one slot, y of another.
    let parts = ["*3\r\n$1\r\n1\r\n$1\r\n1\r\n$0\r\n\r\n", "*1\r\n$-1\r\n"];
    let frame = joined(Merge::Elements, &parts, &[0, 1, 0, 0], &[]).unwrap();
    let values = Vec::<Option<String>>::from_reply(ReplyRef::new(frame.as_bytes())).unwrap();
    assert_eq!(values, [Some("1".into()), None, Some("1".into()), Some(String::new())]);
    // The null of RESP3, and an attribute in front of an element, go along.
    let frame = joined(Merge::Elements, &["*1\r\n_\r\n", "*1\r\n|1\r\n+a\r\n:1\r\n+v\r\n"], &[1, 0], &[]);
    assert_eq!(frame.unwrap(), "*2\r\n|1\r\n+a\r\n:1\r\n+v\r\n_\r\n");
}

#[test]
fn elements_must_be_as_many_as_keys() {
    refused(Merge::Elements, &["*1\r\n:1\r\n", "*1\r\n:2\r\n"], &[0, 1, 0]);
    refused(Merge::Elements, &["*2\r\n:1\r\n:3\r\n", "*1\r\n:2\r\n"], &[0, 1]);
    refused(Merge::Elements, &["*1\r\n:1\r\n", "*0\r\n"], &[0, 1]);
    refused(Merge::Elements, &["*1\r\n:1\r\n"], &[0, 1]);
    for scalar in ["+OK\r\n", ":1\r\n", "$1\r\na\r\n", "*-1\r\n", "_\r\n", "%1\r\n:1\r\n:2\r\n"] {
        refused(Merge::Elements, &["*1\r\n:1\r\n", scalar], &[0, 1]);
    }
}

#[test]
fn elements_of_a_command_sent_whole_to_several_nodes_are_kept_per_node() {
    let parts = ["*1\r\n:1\r\n", "*1\r\n$-1\r\n"];
    let frame = joined(Merge::Elements, &parts, NONE, &["a:1", "b:2"]).unwrap();
    assert_eq!(frame, "*4\r\n$3\r\na:1\r\n*1\r\n:1\r\n$3\r\nb:2\r\n*1\r\n$-1\r\n");
}

#[test]
fn sums_are_sums_of_integers() {
    assert_eq!(joined(Merge::Sum, &[":1\r\n", ":0\r\n", ":41\r\n"], NONE, &[]).unwrap(), ":42\r\n");
    assert_eq!(joined(Merge::Sum, &[":-5\r\n", "$1\r\n2\r\n"], NONE, &[]).unwrap(), ":-3\r\n");
    let largest = format!(":{}\r\n", i64::MAX);
    assert_eq!(joined(Merge::Sum, &[&largest, &largest], NONE, &[]).unwrap(), largest);
    assert_eq!(joined(Merge::Sum, &[], NONE, &[]).unwrap(), ":0\r\n");
    for odd in ["+OK\r\n", "$-1\r\n", "*1\r\n:1\r\n", ",1.5\r\n", "$1\r\nx\r\n"] {
        refused(Merge::Sum, &[":1\r\n", odd], NONE);
    }
}

#[test]
fn first_is_the_first() {
    assert_eq!(joined(Merge::First, &["+OK\r\n", "+QUEUED\r\n"], NONE, &[]).unwrap(), "+OK\r\n");
    assert_eq!(joined(Merge::First, &["$2\r\nab\r\n"], NONE, &[]).unwrap(), "$2\r\nab\r\n");
    assert_eq!(joined(Merge::First, &[], NONE, &[]).unwrap(), "_\r\n");
}

#[test]
fn concat_strings_lists_together() {
    let frame = joined(Merge::Concat, &["*1\r\n+a\r\n", "*0\r\n", "~2\r\n+b\r\n$-1\r\n"], NONE, &[]);
    assert_eq!(frame.unwrap(), "*3\r\n+a\r\n+b\r\n$-1\r\n");
    assert_eq!(joined(Merge::Concat, &["*0\r\n"], NONE, &[]).unwrap(), "*0\r\n");
    for odd in ["+OK\r\n", ":1\r\n", "*-1\r\n", "%1\r\n+a\r\n+b\r\n"] {
        refused(Merge::Concat, &["*1\r\n+a\r\n", odd], NONE);
    }
}

#[test]
fn and_is_one_where_all_say_one() {
    let parts = ["*3\r\n:1\r\n:1\r\n:0\r\n", "*3\r\n:1\r\n:0\r\n:0\r\n"];
    assert_eq!(joined(Merge::And, &parts, NONE, &[]).unwrap(), "*3\r\n:1\r\n:0\r\n:0\r\n");
    assert_eq!(joined(Merge::And, &["*1\r\n#t\r\n", "*1\r\n:1\r\n"], NONE, &[]).unwrap(), "*1\r\n:1\r\n");
    assert_eq!(joined(Merge::And, &["*0\r\n", "*0\r\n"], NONE, &[]).unwrap(), "*0\r\n");
    refused(Merge::And, &["*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"], NONE);
    refused(Merge::And, &["*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n"], NONE);
    refused(Merge::And, &["*1\r\n:1\r\n", "*1\r\n:2\r\n"], NONE);
    refused(Merge::And, &["*1\r\n:1\r\n", ":1\r\n"], NONE);
}

#[test]
fn per_node_names_each() {
    let frame = joined(Merge::PerNode, &["+PONG\r\n", "*1\r\n:1\r\n"], NONE, &["a:1", "b:2"]).unwrap();
    assert_eq!(frame, "*4\r\n$3\r\na:1\r\n+PONG\r\n$3\r\nb:2\r\n*1\r\n:1\r\n");
    let frame = joined(Merge::PerNode, &[":3\r\n", ":4\r\n"], NONE, &["a:1", "b:2"]).unwrap();
    let pairs = Vec::<(String, u64)>::from_reply(ReplyRef::new(frame.as_bytes())).unwrap();
    assert_eq!(pairs, [("a:1".to_owned(), 3), ("b:2".to_owned(), 4)]);
    assert_eq!(joined(Merge::PerNode, &[], NONE, &[]).unwrap(), "*0\r\n");
    assert_eq!(joined(Merge::PerNode, &["+x\r\n"], NONE, &[]).unwrap(), "*2\r\n$0\r\n\r\n+x\r\n");
}
