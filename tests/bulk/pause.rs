//! Servers that take no writes: the load pauses, what was refused keeps its place, and is written when they take writes again.

use std::time::Duration;

use panpipe::bulk::{Full, LoadOptions, PushError, RawKeys, State, Stop, Until};
use panpipe::testkit::Refusals;
use panpipe::{ErrorKind, Outcome};

use crate::world::{LONG, all_problems, client, key_of, model, pass, push, resp, skip, value};

#[test]
fn a_load_waits_for_memory_and_loses_nothing() {
    for reason in ["OOM", "MISCONF", "NOREPLICAS"] {
        let mut client = client();
        let keys: Vec<String> = (0..300).map(|n| key_of(&client, n % 3, n)).collect();
        let mut loader = client.loader(LoadOptions::default()).unwrap();
        *model(&mut loader).refusals_mut(0) = match reason {
            "OOM" => Refusals { out_of_memory: true, ..Refusals::default() },
            "MISCONF" => Refusals { misconfigured: true, ..Refusals::default() },
            _ => Refusals { no_replicas: true, ..Refusals::default() },
        };
        for (tag, key) in keys.iter().enumerate() {
            push(&mut loader, &["SET", key, "v"], tag as u64, &mut Vec::new()).unwrap();
        }
        loader.flush();
        pass(&mut loader, 3_000);
        let State::Paused { node, why, since } = loader.state() else { panic!("{:?}", loader.state()) };
        assert_eq!((node.as_str(), why.code()), ("127.0.0.1:7000", reason));
        assert!(since >= Duration::from_secs(2) && since <= Duration::from_secs(3), "{since:?}");
        let frame = resp(&["SET", &keys[1], "w"]);
        assert_eq!(
            loader.push_raw(&frame, RawKeys::Find, 300),
            Err(PushError::Full(Full::Paused)),
            "also for other nodes"
        );
        assert_eq!(loader.pending(), 100, "the others went on");
        assert_eq!(loader.committed(), None, "the first is among those that were refused");
        *model(&mut loader).refusals_mut(0) = Refusals::default();
        assert!(loader.run_until(Until::Room, Some(LONG)).unwrap());
        assert_eq!(loader.state(), State::Running);
        loader.push_raw(&frame, RawKeys::Find, 300).unwrap();
        let summary = loader.finish(LONG).unwrap();
        assert_eq!((summary.outcomes.written, summary.outcomes.problems()), (301, 0));
        assert!(summary.paused >= since && summary.refusals >= 100, "{summary:?}");
        assert_eq!(loader.committed(), Some(300));
    }
}

#[test]
fn what_was_refused_does_not_run_behind_a_later_write_of_its_key() {
    for frees_at in 0..40 {
        let mut client = client();
        let key = key_of(&client, 0, 0);
        let mut loader = client.loader(skip()).unwrap();
        model(&mut loader).refusals_mut(0).out_of_memory = true;
        // Memory comes back somewhere in the middle of what is on its way.
        for n in 0..40_u64 {
            if n == frees_at {
                loader.flush();
                pass(&mut loader, 0);
            }
            loader.push_raw(&resp(&["SET", &key, &n.to_string()]), RawKeys::Find, n).unwrap();
        }
        loader.flush();
        model(&mut loader).refusals_mut(0).out_of_memory = frees_at % 2 == 0;
        pass(&mut loader, 100);
        model(&mut loader).refusals_mut(0).out_of_memory = false;
        loader.finish(LONG).unwrap();
        let written = loader.outcomes().written;
        for problem in all_problems(&mut loader) {
            assert!(matches!(problem.kind(), ErrorKind::Overtaken { .. }), "{problem:?}");
        }
        assert!(written > 0);
        assert_eq!(value(&mut loader, &key).as_deref(), Some("39"), "{frees_at}");
    }
}

#[test]
fn no_time_runs_out_while_a_load_is_paused() {
    let mut client = client();
    let (refused, fine) = (key_of(&client, 0, 0), key_of(&client, 1, 0));
    let options = LoadOptions { command_timeout_ms: 2_000, pause_ms_max: 30_000, ..LoadOptions::default() };
    let mut loader = client.loader(options).unwrap();
    model(&mut loader).refusals_mut(0).out_of_memory = true;
    push(&mut loader, &["SET", &refused, "v"], 0, &mut Vec::new()).unwrap();
    // More than a chunk: the first has no place in the last one.
    for tag in 1..3_000 {
        loader.push_raw(&resp(&["SET", &fine, "v"]), RawKeys::Find, tag).unwrap();
    }
    loader.flush();
    pass(&mut loader, 20_000);
    assert!(matches!(loader.state(), State::Paused { .. }), "{:?}", loader.state());
    model(&mut loader).refusals_mut(0).out_of_memory = false;
    assert_eq!(loader.finish(LONG).unwrap().outcomes.written, 3_000);
}

#[test]
fn a_pause_that_takes_too_long_stops_the_load_and_the_watermark_stays() {
    let mut client = client();
    let keys: Vec<String> = (0..60).map(|n| key_of(&client, n % 3, n)).collect();
    let mut loader = client.loader(LoadOptions { pause_ms_max: 5_000, ..skip() }).unwrap();
    for (tag, key) in keys.iter().enumerate() {
        // Node 1 is the one: record 0 is written, record 1 is not.
        push(&mut loader, &["SET", key, "v"], tag as u64, &mut Vec::new()).unwrap();
    }
    model(&mut loader).refusals_mut(1).out_of_memory = true;
    loader.flush();
    pass(&mut loader, 4_900);
    assert!(matches!(loader.state(), State::Paused { .. }), "{:?}", loader.state());
    assert!(!loader.run_until(Until::Drained, Some(Duration::from_millis(50))).unwrap());
    assert!(loader.run_until(Until::Drained, Some(Duration::from_secs(5))).unwrap(), "not at finish only");
    let State::Stopped(Stop::Refused { node, why }) = loader.state() else { panic!("{:?}", loader.state()) };
    assert_eq!((node.as_str(), why.code()), ("127.0.0.1:7001", "OOM"));
    let stopped = loader.push_raw(&resp(&["SET", &keys[0], "w"]), RawKeys::Find, 60);
    assert!(matches!(stopped, Err(PushError::Stopped(Stop::Refused { .. }))), "{stopped:?}");
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.outcomes.written, summary.outcomes.not_executed), (40, 20));
    let problems = all_problems(&mut loader);
    assert_eq!(problems.len(), 20);
    for problem in &problems {
        assert!(problem.is_cut_short && problem.outcome() == Outcome::NotExecuted, "{problem:?}");
        assert!(problem.text().starts_with("OOM") && problem.tag % 3 == 1, "{problem:?}");
    }
    assert_eq!(loader.committed(), Some(0), "a resumed load begins with the first that was refused");
    assert_eq!(summary.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["OOM"]);
}

#[test]
fn without_pauses_a_refusal_is_a_problem_like_any_other() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let mut loader = client.loader(LoadOptions { pause_ms_max: 0, ..skip() }).unwrap();
    model(&mut loader).refusals_mut(0).out_of_memory = true;
    push(&mut loader, &["SET", &key, "v"], 7, &mut Vec::new()).unwrap();
    let summary = loader.finish(LONG).unwrap();
    assert_eq!(summary.outcomes.not_executed, 1);
    let problem = loader.next_problem().unwrap();
    assert_eq!((problem.tag, problem.is_cut_short, problem.attempts()), (7, false, 1));
    assert_eq!(loader.committed(), Some(7));
}
