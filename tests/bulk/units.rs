//! MULTI .. EXEC as one record of a load.

use panpipe::bulk::{PushError, RawKeys};
use panpipe::error::ErrorKind;
use panpipe::slot::slot_of;
use panpipe::testkit::EmbeddedCluster;
use panpipe::{Outcome, cmd};

use crate::transport::connect;
use crate::world::{LONG, all_problems, client, key_of, model, resp, skip, unit, value};

#[test]
fn each_unit_is_one_record_with_one_outcome() {
    let cluster = EmbeddedCluster::builder().primaries(3).start().unwrap();
    let mut client = connect(&cluster.url()).unwrap();
    let mut loader = client.loader(skip()).unwrap();
    for tag in 0..1000_u64 {
        let (list, count) = (format!("{{{tag}}}:list"), format!("{{{tag}}}:count"));
        let bytes = match tag % 10 {
            // The second command fails; servers run the others all the same.
            3 => unit(&[&["INCR", &count], &["INCR", &list], &["RPUSH", &list, "a"]]),
            _ => unit(&[&["RPUSH", &list, "a", "b"], &["INCR", &count], &["ECHO", "x"]]),
        };
        if tag % 10 == 3 {
            loader.push_raw(&resp(&["RPUSH", &list, "x"]), RawKeys::Find, tag).unwrap();
        }
        loader.push_unit(&bytes, RawKeys::Find, tag).unwrap();
    }
    let summary = loader.finish(LONG).unwrap();
    assert_eq!(
        (summary.pushed, summary.outcomes.written, summary.outcomes.executed_with_error),
        (1100, 1000, 100)
    );
    let problems = all_problems(&mut loader);
    assert_eq!(problems.len(), 100);
    assert!(problems.iter().all(|problem| problem.text().starts_with("WRONGTYPE") && problem.tag % 10 == 3));
    assert_eq!(problems[0].slot, Some(slot_of(b"3")));
    drop(loader);
    for (key, expected) in [("{4}:list", 2_i64), ("{3}:list", 2)] {
        assert_eq!(client.call::<i64>(cmd("LLEN").key(key)).unwrap(), expected, "{key}");
    }
    assert_eq!(client.call::<String>(cmd("GET").key("{3}:count")).unwrap(), "1");
}

#[test]
fn a_unit_follows_its_slot_whole() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let (one, other) = (format!("{{{key}}}1"), format!("{{{key}}}2"));
    let slot = slot_of(key.as_bytes());
    let mut loader = client.loader(skip()).unwrap();
    let mut tag = 0;
    let mut push = |loader: &mut panpipe::bulk::Loader<'_, _>| {
        tag += 1;
        let bytes = unit(&[&["APPEND", &one, &tag.to_string()], &["APPEND", &other, &tag.to_string()]]);
        loader.push_unit(&bytes, RawKeys::Find, tag).unwrap();
    };
    push(&mut loader);
    loader.flush();
    crate::world::pass(&mut loader, 50);
    model(&mut loader).begin_migration(slot, 1);
    model(&mut loader).migrate_key(one.as_bytes());
    // One key here, one there: nobody can run it until the other one has come.
    push(&mut loader);
    loader.flush();
    crate::world::pass(&mut loader, 50);
    assert_eq!(loader.pending(), 1);
    model(&mut loader).migrate_key(other.as_bytes());
    push(&mut loader);
    loader.flush();
    crate::world::pass(&mut loader, 500);
    model(&mut loader).finish_migration(slot);
    push(&mut loader);
    let summary = loader.finish(LONG).unwrap();
    assert_eq!(all_problems(&mut loader), vec![]);
    assert_eq!(summary.outcomes.written, 4);
    assert_eq!(model(&mut loader).owner(slot), Some(1));
    assert_eq!(
        [value(&mut loader, &one), value(&mut loader, &other)],
        [Some("1234".to_owned()), Some("1234".to_owned())]
    );
}

#[test]
fn what_is_no_transaction_of_one_slot_is_refused_and_not_counted() {
    let mut client = client();
    let mut loader = client.loader(skip()).unwrap();
    let mut refused = |bytes: &[u8], keys: RawKeys| match loader.push_unit(bytes, keys, 1) {
        Err(PushError::Refused(error)) => {
            assert_eq!(error.outcome(), Outcome::NotExecuted);
            error.kind().clone()
        }
        other => panic!("{} {other:?}", bytes.escape_ascii()),
    };
    let config = |kind: ErrorKind| matches!(kind, ErrorKind::Config { .. });
    let set = resp(&["SET", "a", "1"]);
    let (multi, exec) = (resp(&["MULTI"]), resp(&["EXEC"]));
    for parts in [
        vec![&set],
        vec![&multi, &exec],
        vec![&multi, &set],
        vec![&set, &exec],
        vec![&exec, &set, &multi],
        vec![&multi, &set, &exec, &set],
        vec![],
    ] {
        let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
        assert!(config(refused(&bytes, RawKeys::Find)), "{}", bytes.escape_ascii());
    }
    let whole = unit(&[&["SET", "a", "1"]]);
    for end in 0..whole.len() {
        assert!(config(refused(&whole[..end], RawKeys::Find)), "{end}");
    }
    assert!(config(refused(&[&whole[..], b"\r\n"].concat(), RawKeys::Find)));
    let slots = |kind: ErrorKind| matches!(kind, ErrorKind::CrossSlot { .. });
    assert!(slots(refused(&unit(&[&["SET", "a", "1"], &["SET", "b", "1"]]), RawKeys::Find)));
    assert!(slots(refused(&unit(&[&["MSET", "a", "1", "b", "1"]]), RawKeys::Find)));
    let at = whole.windows(3).position(|bytes| bytes == b"a\r\n").unwrap();
    assert!(slots(refused(&unit(&[&["SET", "a", "1"], &["SET", "b", "1"]]), RawKeys::At(at..at + 1))));
    let not_allowed = |kind: ErrorKind| matches!(kind, ErrorKind::NotAllowed { .. });
    for words in [
        &["MULTI"][..],
        &["EXEC"],
        &["DISCARD"],
        &["WATCH", "a"],
        &["SUBSCRIBE", "a"],
        &["BLPOP", "a", "0"],
        &["FLUSHALL"],
        &["HELLO", "2"],
        &["RESET"],
        &["CLIENT", "REPLY", "OFF"],
    ] {
        let kind = refused(&unit(&[&["SET", "a", "1"], words]), RawKeys::Find);
        assert!(not_allowed(kind.clone()), "{words:?} {kind:?}");
    }
    let unknown = unit(&[&["NO.SUCH", "a"]]);
    assert!(matches!(refused(&unknown, RawKeys::Find), ErrorKind::UnknownCommand { .. }));
    // At the caller's word it goes out; the server refuses it, and the whole with it.
    let at = unknown.windows(3).position(|bytes| bytes == b"a\r\n").unwrap();
    loader.push_unit(&unknown, RawKeys::At(at..at + 1), 2).unwrap();
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.pushed, summary.outcomes.not_executed), (1, 1));
    let text = all_problems(&mut loader)[0].text();
    assert!(text.starts_with("command 1 of the transaction was refused: ERR unknown command"), "{text}");
}
