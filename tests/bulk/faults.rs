//! Redirects, migrations, lost connections, ends: order is kept, and every record has one outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use panpipe::bulk::{Flush, LoadOptions, OnError, Problem, PushError, RawKeys, State, Stop, Until};
use panpipe::config::RetryUnknown;
use panpipe::slot::slot_of;
use panpipe::testkit::Quirk;
use panpipe::transport::Transport as _;
use panpipe::{ErrorKind, Outcome, cmd};

use crate::world::{LONG, all_problems, client, key_of, model, pass, push, resp, skip, value};

fn explicit() -> LoadOptions {
    LoadOptions { flush: Flush::Explicit, ..skip() }
}

#[test]
fn problems_have_the_tags_of_their_commands() {
    let mut client = client();
    let list = key_of(&client, 0, 0);
    let keys: Vec<String> = (0..9).map(|n| key_of(&client, n % 3, n + 1)).collect();
    let mut loader = client.loader(skip()).unwrap();
    let mut problems = Vec::new();
    push(&mut loader, &["RPUSH", &list, "v"], 100, &mut problems).unwrap();
    for tag in 101..10_101_u64 {
        let wrong = tag % 1000 == 7;
        let key = if wrong { &list } else { &keys[tag as usize % 9] };
        let words: &[&str] = if wrong { &["INCR", key] } else { &["SET", key, "v"] };
        push(&mut loader, words, tag, &mut problems).unwrap();
    }
    let summary = loader.finish(LONG).unwrap();
    problems.extend(all_problems(&mut loader));
    problems.sort_by_key(|problem| problem.tag);
    let tags: Vec<u64> = problems.iter().map(|problem| problem.tag).collect();
    assert_eq!(tags, (1..=10).map(|n| n * 1000 + 7).collect::<Vec<_>>());
    for problem in &problems {
        assert_eq!((problem.outcome(), problem.attempts()), (Outcome::Executed, 1));
        assert_eq!(problem.node(), Some("127.0.0.1:7000"));
        assert_eq!(problem.slot, Some(slot_of(list.as_bytes())));
        assert!(problem.text().starts_with("WRONGTYPE"), "{problem:?}");
    }
    assert_eq!((summary.outcomes.written, summary.outcomes.executed_with_error), (9_991, 10));
    let class = &summary.classes[0];
    assert_eq!((class.name.as_str(), class.outcomes.total(), class.example_tag), ("WRONGTYPE", 10, 1007));
    assert_eq!(loader.committed(), Some(10_100));
}

#[test]
fn the_watermark_does_not_pass_a_problem_that_was_not_taken() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let mut loader = client.loader(skip()).unwrap();
    for tag in 0..50 {
        let words: &[&str] = if tag == 20 { &["RPUSH", &key, "v"] } else { &["SET", &key, "v"] };
        push(&mut loader, words, tag, &mut Vec::new()).unwrap();
    }
    assert!(loader.run_until(Until::Drained, Some(LONG)).unwrap());
    assert_eq!(loader.committed(), Some(19));
    assert_eq!(loader.next_problem().map(|problem| problem.tag), Some(20));
    assert_eq!(loader.committed(), Some(49));
}

#[test]
fn problems_that_nobody_takes_stop_the_pushing_and_not_the_memory() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let mut loader = client.loader(LoadOptions { problems_max: 10, ..explicit() }).unwrap();
    push(&mut loader, &["SET", &key, "text"], 0, &mut Vec::new()).unwrap();
    for tag in 1..=20 {
        loader.push_raw(&resp(&["INCR", &key]), RawKeys::Find, tag).unwrap();
    }
    assert!(loader.run_until(Until::Drained, Some(LONG)).unwrap());
    let full = loader.push_raw(&resp(&["INCR", &key]), RawKeys::Find, 21);
    assert_eq!(full, Err(PushError::Full(panpipe::bulk::Full::Problems)));
    assert!(loader.run_until(Until::Room, None).unwrap(), "waiting does not help, and does not last");
    assert_eq!(all_problems(&mut loader).len(), 20);
    loader.push_raw(&resp(&["INCR", &key]), RawKeys::Find, 21).unwrap();
}

#[test]
fn policies_stop_at_the_first_at_a_count_or_at_a_share() {
    let stop_after = |on_error: OnError, commands: u64, wrong: u64| {
        let mut client = client();
        let key = key_of(&client, 0, 0);
        let mut loader = client.loader(LoadOptions { on_error, ..LoadOptions::default() }).unwrap();
        push(&mut loader, &["SET", &key, "text"], 0, &mut Vec::new()).unwrap();
        for tag in 1..commands {
            let words: &[&str] = if tag % wrong == 0 { &["INCR", &key] } else { &["GET", &key] };
            if push(&mut loader, words, tag, &mut Vec::new()).is_err() {
                break;
            }
            if tag % 100 == 0 {
                assert!(loader.run_until(Until::Drained, Some(LONG)).unwrap());
            }
        }
        let state = loader.state();
        let summary = loader.finish(LONG).unwrap();
        assert_eq!(summary.outcomes.total(), summary.pushed, "what was pushed before goes on to its outcome");
        (state, summary.pushed)
    };
    let (state, pushed) = stop_after(OnError::Stop, 10_000, 250);
    assert!(matches!(&state, State::Stopped(Stop::Problem(error)) if error.server().is_some()), "{state:?}");
    assert_eq!(pushed, 301);
    let count = OnError::Skip { count_max: Some(3), percent_max: None };
    assert_eq!(stop_after(count, 10_000, 100), (State::Stopped(Stop::Count { problems: 4 }), 401));
    let percent = OnError::Skip { count_max: None, percent_max: Some(0.9) };
    let (state, pushed) = stop_after(percent, 10_000, 100);
    assert!(matches!(state, State::Stopped(Stop::Percent { percent }) if percent < 1.01), "{state:?}");
    assert_eq!(pushed, 1_001, "not before the thousandth");
    assert_eq!(
        stop_after(OnError::Skip { count_max: None, percent_max: Some(1.1) }, 2_000, 100).0,
        State::Running
    );
}

#[test]
fn slots_that_move_cost_redirects_and_no_order() {
    let mut client = client();
    let keys: Vec<String> = (0..30).map(|n| key_of(&client, n % 3, n)).collect();
    let mut loader = client.loader(skip()).unwrap();
    for tag in 0..6_000_u64 {
        let n = tag as usize % 30;
        push(&mut loader, &["SET", &keys[n], &tag.to_string()], tag, &mut Vec::new()).unwrap();
        let slot = slot_of(keys[n].as_bytes());
        match tag % 500 {
            100 => model(&mut loader).move_slot(slot, (tag as usize / 500) % 3),
            200 => model(&mut loader).begin_migration(slot_of(keys[3].as_bytes()), (tag as usize / 500) % 3),
            300 => {
                model(&mut loader).migrate_key(keys[3].as_bytes());
            }
            400 => model(&mut loader).finish_migration(slot_of(keys[3].as_bytes())),
            _ => {}
        }
        if tag % 37 == 0 {
            loader.turn().unwrap();
        }
    }
    let summary = loader.finish(LONG).unwrap();
    assert!(summary.nodes.iter().map(|node| node.redirects).sum::<u64>() > 10, "{summary:?}");
    assert_eq!(summary.outcomes.total(), 6_000);
    let problems = all_problems(&mut loader);
    assert!(
        problems.iter().all(|problem| matches!(problem.kind(), ErrorKind::Overtaken { .. })),
        "{problems:?}"
    );
    in_order(&mut loader, &keys);
}

/// What ran, ran in the order of the tags, which are the values.
fn in_order(loader: &mut panpipe::bulk::Loader<'_, panpipe::testkit::Memory>, keys: &[String]) {
    let mut last = BTreeMap::new();
    for execution in model(loader).executions().iter().filter(|execution| execution.is_write) {
        let [_, key, tag] = execution.words.as_slice() else { continue };
        let tag: u64 = String::from_utf8_lossy(tag).parse().unwrap();
        let before = last.insert(key.clone(), tag);
        assert!(before < Some(tag), "{} {before:?} {tag}", String::from_utf8_lossy(key));
    }
    assert_eq!(last.len(), keys.len());
}

fn lose_replies(retry_unknown: RetryUnknown) -> (Vec<Problem>, u64, BTreeMap<String, Option<String>>) {
    let mut client = client();
    let keys: Vec<String> = (0..20).map(|n| key_of(&client, 0, n)).collect();
    let mut loader = client.loader(LoadOptions { retry_unknown, ..explicit() }).unwrap();
    for (tag, key) in keys.iter().enumerate() {
        let words: &[&str] = if tag % 2 == 0 { &["SET", key, "v"] } else { &["INCR", key] };
        loader.push_raw(&resp(words), RawKeys::Find, tag as u64).unwrap();
    }
    // The first five are answered.
    model(&mut loader).quirk(0, &format!("INCR {}", keys[5]), 1, Quirk::HangUp);
    let summary = loader.finish(LONG).unwrap();
    assert_eq!(summary.outcomes.total(), 20);
    let problems = all_problems(&mut loader);
    let values = keys.iter().map(|key| (key.clone(), value(&mut loader, key))).collect();
    (problems, summary.outcomes.written, values)
}

#[test]
fn what_was_sent_and_not_answered_is_reported_or_sent_again_as_the_caller_chose() {
    let (problems, written, _) = lose_replies(RetryUnknown::Never);
    assert_eq!((written, problems.len()), (5, 15));
    assert!(problems.iter().all(|problem| problem.outcome() == Outcome::Unknown && !problem.is_cut_short));
    assert_eq!(problems.iter().map(|problem| problem.tag).collect::<Vec<_>>(), (5..20).collect::<Vec<_>>());
    let (problems, written, values) = lose_replies(RetryUnknown::Idempotent);
    assert_eq!((written, problems.len()), (12, 8), "{problems:?}");
    assert!(problems.iter().all(|problem| problem.tag % 2 == 1), "INCR is not sent again");
    assert_eq!(values.values().flatten().filter(|value| *value == "v").count(), 10);
    let (problems, written, values) = lose_replies(RetryUnknown::Always);
    assert_eq!((written, problems.len()), (20, 0));
    assert_eq!(values.values().flatten().count(), 20);
}

#[test]
fn finish_gives_the_rest_an_outcome_when_its_time_is_up() {
    let mut client = client();
    let (stuck, fine) = (key_of(&client, 0, 0), key_of(&client, 1, 0));
    let dead = key_of(&client, 2, 0);
    let mut loader = client.loader(explicit()).unwrap();
    push(&mut loader, &["SET", &fine, "v"], 1, &mut Vec::new()).unwrap();
    model(&mut loader).freeze(0);
    model(&mut loader).kill(2);
    pass(&mut loader, 10);
    for tag in 2..=4 {
        push(&mut loader, &["SET", &stuck, "v"], tag, &mut Vec::new()).unwrap();
        push(&mut loader, &["SET", &dead, "v"], tag, &mut Vec::new()).unwrap();
        push(&mut loader, &["SET", &fine, "v"], tag, &mut Vec::new()).unwrap();
    }
    let began = loader.client().transport().now();
    let summary = loader.finish(Duration::from_secs(2)).unwrap();
    let took = loader.client().transport().now().since(began);
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(2_100), "{took:?}");
    let outcomes = summary.outcomes;
    assert_eq!((outcomes.written, outcomes.unknown, outcomes.not_executed), (4, 3, 3));
    let problems = all_problems(&mut loader);
    assert!(problems.iter().all(|problem| problem.is_cut_short), "{problems:?}");
    assert_eq!((loader.committed(), loader.pending()), (Some(1), 0));
    let after = loader.push_raw(&resp(&["SET", &fine, "v"]), RawKeys::Find, 5);
    assert_eq!(after, Err(PushError::Stopped(Stop::Finished)));
    drop(loader);
    let now_ms = client.transport().now_ms();
    client.transport_mut().cluster_mut().thaw(0, now_ms);
    let value: String = client.call(cmd("GET").key(&stuck)).expect("late replies reach nobody");
    assert_eq!(value, "v");
}

#[test]
fn a_loader_that_is_dropped_leaves_nothing_behind() {
    let mut client = client();
    let keys: Vec<String> = (0..300).map(|n| key_of(&client, n % 3, n)).collect();
    for key in &keys[..3] {
        let _set: String = client.call(cmd("SET").key(key).arg("connected")).unwrap();
    }
    let rows = client.engine().audit().rows;
    let mut loader = client.loader(explicit()).unwrap();
    for (tag, key) in keys.iter().enumerate() {
        loader.push_raw(&resp(&["SET", key, "v"]), RawKeys::Find, tag as u64).unwrap();
        if tag == 150 {
            loader.flush();
        }
    }
    drop(loader);
    client.wait(Some(Duration::from_millis(100))).unwrap();
    client.wait(Some(Duration::from_millis(100))).unwrap();
    let audit = client.engine().audit();
    assert_eq!((audit.rows, audit.problems), (rows, vec![]));
    let keys: u64 = client.call(cmd("DBSIZE")).unwrap();
    assert_eq!(keys, 151, "what was flushed ran, the rest did not");
}

#[test]
fn commands_that_do_not_belong_into_a_load_are_refused_and_not_counted() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let mut loader = client.loader(explicit()).unwrap();
    let mut refused = |words: &[&str]| match loader.push_raw(&resp(words), RawKeys::Find, 1) {
        Err(PushError::Refused(error)) => error.kind().clone(),
        other => panic!("{words:?} {other:?}"),
    };
    assert!(matches!(refused(&["SUBSCRIBE", "c"]), ErrorKind::NotAllowed { .. }));
    assert!(matches!(refused(&["MULTI"]), ErrorKind::NotAllowed { .. }));
    assert!(matches!(refused(&["BLPOP", &key, "0"]), ErrorKind::NotAllowed { .. }));
    assert!(matches!(refused(&["NO.SUCH", &key]), ErrorKind::UnknownCommand { .. }));
    assert!(matches!(refused(&["SET"]), ErrorKind::NoKey { .. }));
    assert!(matches!(refused(&["GE T", "k"]), ErrorKind::UnknownCommand { .. }));
    assert!(matches!(refused(&["SUNIONSTORE", "a", "b", "c"]), ErrorKind::CrossSlot { .. }));
    let twice = [resp(&["SET", &key, "v"]), resp(&["SET", &key, "v"])].concat();
    assert!(matches!(loader.push_raw(&twice, RawKeys::Find, 1), Err(PushError::Refused(_))));
    assert!(matches!(loader.push_raw(b"PING\r\n", RawKeys::Find, 1), Err(PushError::Refused(_))));
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.pushed, summary.outcomes.total()), (0, 0));
}

#[test]
fn commands_of_any_shape_are_taken() {
    let mut client = client();
    let keys: Vec<String> = (0..3).map(|node| key_of(&client, node, 0)).collect();
    let [a, b, c] = [0, 1, 2].map(|n| keys[n].as_str());
    let mut loader = client.loader(skip()).unwrap();
    let mut problems = Vec::new();
    push(&mut loader, &["MSET", a, "1", b, "2", c, "3"], 1, &mut problems).unwrap();
    push(&mut loader, &["mset", a, "4"], 2, &mut problems).unwrap();
    push(&mut loader, &["PING"], 3, &mut problems).unwrap();
    push(&mut loader, &["DEL", b, c], 4, &mut problems).unwrap();
    loader.push(&cmd("SET").key(c).arg(7), 5).unwrap();
    loader.push(&cmd("MSET").arg(a).arg(8).arg(c).arg(9), 6).unwrap();
    // The server decides about a command that the client does not know.
    let unknown = resp(&["NO.SUCH", "x", a]);
    let at = unknown.len() - a.len() - 2;
    loader.push_raw(&unknown, RawKeys::At(at..at + a.len()), 7).unwrap();
    push(&mut loader, &["SET", b, &"v".repeat(1 << 20)], 8, &mut problems).unwrap();
    push(&mut loader, &["GET", b], 9, &mut problems).unwrap();
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.pushed, summary.outcomes.written, summary.outcomes.total()), (9, 8, 9));
    let problems = all_problems(&mut loader);
    assert_eq!((problems.len(), problems[0].tag, problems[0].node()), (1, 7, Some("127.0.0.1:7000")));
    assert_eq!(value(&mut loader, a).as_deref(), Some("8"));
    assert_eq!(value(&mut loader, b).map(|value| value.len()), Some(1 << 20));
    assert_eq!(value(&mut loader, c).as_deref(), Some("9"));
    assert_eq!(loader.committed(), Some(9));
}
