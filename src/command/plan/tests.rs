use super::*;
use crate::command::{Arg, Merge, cmd};

fn args<'a>(words: &[&'a str]) -> Vec<Arg<'a>> {
    words.iter().map(|word| Arg::Bytes(word.as_bytes())).collect()
}

fn kind(plan: Result<Plan, Error>) -> ErrorKind {
    let error = plan.expect_err("a refusal");
    assert_eq!(error.outcome(), crate::error::Outcome::NotExecuted);
    error.kind().clone()
}

fn slot(key: &str) -> u16 {
    slot_of(key.as_bytes())
}

#[test]
fn one_key_is_one_slot() {
    assert_eq!(Request::new("GET", Keys::FIRST, &args(&["foo"])).plan(), Ok(Plan::Slot(12182)));
    let second = Keys::Range { first: 1, step: 1, count: 1 };
    assert_eq!(Request::new("X", second, &args(&["foo", "bar"])).plan(), Ok(Plan::Slot(5061)));
    assert_eq!(Request::new("GET", Keys::FIRST, &args(&[""])).plan(), Ok(Plan::Slot(0)));
}

#[test]
fn numbers_are_keys_by_their_text() {
    let keys = [Arg::Integer(-12), Arg::Unsigned(u64::MAX), Arg::Float(0.5)];
    for (key, text) in keys.iter().zip(["-12", "18446744073709551615", "0.5"]) {
        assert_eq!(Request::new("GET", Keys::FIRST, &[*key]).plan(), Ok(Plan::Slot(slot(text))));
    }
}

#[test]
fn all_keys_in_one_slot_are_one_command() {
    for words in [["{t}a", "{t}b", "{t}c"], ["a", "a", "a"]] {
        let words = args(&words);
        let request = Request::new("MGET", Keys::all(3), &words);
        let expected = Ok(Plan::Slot(request.slot_at(0).unwrap()));
        assert_eq!(request.plan(), expected);
        assert_eq!(request.splittable(1, Merge::Elements).plan(), expected);
    }
}

#[test]
fn a_split_keeps_the_order_asked_within_a_slot() {
    let words = args(&["foo", "bar", "{foo}2", "baz", "bar"]);
    let request = Request::new("MGET", Keys::all(5), &words).splittable(1, Merge::Elements);
    // 4813 baz, 5061 bar, 12182 foo
    let expected = vec![
        Part { slot: 4813, groups: vec![3] },
        Part { slot: 5061, groups: vec![1, 4] },
        Part { slot: 12182, groups: vec![0, 2] },
    ];
    assert_eq!(request.plan(), Ok(Plan::Split(expected)));
}

#[test]
fn keys_of_several_slots_are_named() {
    let words = args(&["foo", "bar", "foo"]);
    let cross = |slots: &[u16]| ErrorKind::CrossSlot { command: "SUNION".into(), slots: slots.into() };
    assert_eq!(kind(Request::new("SUNION", Keys::all(3), &words).plan()), cross(&[12182, 5061]));
    let store = Keys::OneAndRange { one: 1, first: 0, step: 1, count: 1 };
    assert_eq!(kind(Request::new("SUNION", store, &words).plan()), cross(&[5061, 12182]));
    let marked = Keys::Marked(&[2, 1]);
    assert_eq!(kind(Request::new("SUNION", marked, &words).plan()), cross(&[12182, 5061]));
    let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    match kind(Request::new("SUNION", Keys::all(100), &args(&many)).plan()) {
        ErrorKind::CrossSlot { slots, .. } => assert_eq!(slots.len(), 8),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_whole_groups_is_not_split() {
    let words = args(&["foo", "1", "bar"]);
    let pairs = Keys::Range { first: 0, step: 2, count: 2 };
    let odd = Request::new("MSET", pairs, &words).splittable(2, Merge::First);
    assert!(matches!(kind(odd.plan()), ErrorKind::CrossSlot { .. }));
    let with_option = Request::new("X", Keys::all(2), &words).splittable(1, Merge::Sum);
    assert_eq!(with_option.slot_at(1), Some(slot("1")));
    assert!(matches!(kind(with_option.plan()), ErrorKind::CrossSlot { .. }));
    let elsewhere = Request::new("X", Keys::Marked(&[0, 2]), &words).splittable(1, Merge::Sum);
    assert!(matches!(kind(elsewhere.plan()), ErrorKind::CrossSlot { .. }));
    let nothing = Request::new("X", Keys::all(3), &words).splittable(0, Merge::Sum);
    assert!(matches!(kind(nothing.plan()), ErrorKind::CrossSlot { .. }));
    let backwards = Request::new("X", Keys::Marked(&[2, 1, 0]), &words).splittable(1, Merge::Sum);
    assert!(matches!(kind(backwards.plan()), ErrorKind::CrossSlot { .. }));
}

#[test]
fn no_key_and_no_route_is_refused() {
    let no_key = |name: &str| ErrorKind::NoKey { command: name.into() };
    assert_eq!(kind(Request::new("X", Keys::None, &args(&["a"])).plan()), no_key("X"));
    assert_eq!(kind(Request::new("GET", Keys::FIRST, &[]).plan()), no_key("GET"));
    assert_eq!(kind(Request::new("MGET", Keys::all(0), &[]).plan()), no_key("MGET"));
    assert_eq!(kind(Request::new("X", Keys::Marked(&[]), &args(&["a"])).plan()), no_key("X"));
    assert_eq!(kind(Request::new("X", Keys::Marked(&[7]), &args(&["a"])).plan()), no_key("X"));
}

#[test]
fn a_route_wins_over_keys() {
    let words = args(&["foo", "bar"]);
    let request = Request::new("DEL", Keys::all(2), &words).splittable(1, Merge::Sum);
    assert_eq!(request.route(&Route::Slot(16383)).plan(), Ok(Plan::Slot(16383)));
    assert_eq!(request.route(&Route::Key(b"{foo}x".to_vec())).plan(), Ok(Plan::Slot(12182)));
    let node = Route::Node(crate::config::Endpoint::new("127.0.0.1", 7000));
    for route in [Route::AnyPrimary, Route::AllPrimaries, Route::AllNodes, node] {
        assert_eq!(request.route(&route).plan(), Ok(Plan::Route(route.clone())));
    }
}

#[test]
fn slots_that_do_not_exist_are_refused() {
    let request = Request::new("PING", Keys::None, &[]);
    for slot in [16384, u16::MAX] {
        assert!(matches!(kind(request.route(&Route::Slot(slot)).plan()), ErrorKind::Config { .. }));
        assert!(matches!(kind(Request::new("X", Keys::InSlot(slot), &[]).plan()), ErrorKind::Config { .. }));
    }
    assert_eq!(Request::new("X", Keys::InSlot(7), &[]).plan(), Ok(Plan::Slot(7)));
}

#[test]
fn encoded_commands_are_planned_alike() {
    let words = ["foo", "bar", "{foo}2"];
    let borrowed = args(&words);
    let borrowed = Request::new("DEL", Keys::all(3), &borrowed).splittable(1, Merge::Sum);
    for raw in [cmd("DEL").args(words), words.iter().fold(cmd("del"), |cmd, word| cmd.key(word))] {
        assert_eq!(raw.request().unwrap().plan(), borrowed.plan());
    }
}
