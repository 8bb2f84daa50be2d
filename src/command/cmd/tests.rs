use super::*;
use crate::command::plan::Plan;
use crate::command::testing::{words, written};
use crate::error::Outcome;

fn refusal(command: Cmd) -> ErrorKind {
    let error = command.request().and_then(|request| request.plan()).expect_err("a refusal");
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    error.kind().clone()
}

fn plan(command: &Cmd) -> Plan {
    command
        .request()
        .and_then(|request| request.plan())
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[test]
fn words_behind_the_name_are_arguments() {
    let command = cmd("config  get ").arg("maxmemory");
    assert_eq!(command.name(), "CONFIG");
    let wire = written(&command.request().unwrap());
    assert_eq!(words(&wire), [b"CONFIG".as_slice(), b"get", b"maxmemory"]);
    assert_eq!(plan(&command), Plan::Route(Route::AllNodes));
    assert!(matches!(refusal(cmd("")), ErrorKind::UnknownCommand { .. }));
}

#[test]
fn unknown_commands_need_a_mark_or_a_route() {
    assert_eq!(refusal(cmd("JSON.GET").arg("doc")), ErrorKind::UnknownCommand { command: "JSON.GET".into() });
    assert_eq!(plan(&cmd("JSON.GET").key("foo").arg("$")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("JSON.GET").arg("$").key("foo")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("FT._LIST").route(Route::AnyPrimary)), Plan::Route(Route::AnyPrimary));
    let crossed = cmd("JSON.MGET").key("foo").key("bar").arg("$");
    assert!(matches!(refusal(crossed), ErrorKind::CrossSlot { .. }));
    assert!(!cmd("X").key("k").request().unwrap().is_read_only());
    assert!(cmd("X").key("k").read_only().request().unwrap().is_read_only());
}

#[test]
fn unknown_subcommands_are_named_with_their_container() {
    let named = |command: &str| ErrorKind::UnknownCommand { command: command.into() };
    assert_eq!(refusal(cmd("CLIENT").arg("NONSENSE")), named("CLIENT NONSENSE"));
    assert_eq!(refusal(cmd("client").arg("\r\nNO")), named("CLIENT \\r\\nNO"));
    assert_eq!(refusal(cmd("client").arg([b'x'; 99])), named(&format!("CLIENT {}", "x".repeat(32))));
    assert_eq!(plan(&cmd("CLIENT NONSENSE").route(Route::AllNodes)), Plan::Route(Route::AllNodes));
    assert_eq!(refusal(cmd("NO\u{7}")), named("NO\\x07"));
}

#[test]
fn known_commands_find_their_keys_whatever_is_marked() {
    assert_eq!(plan(&cmd("get").arg("foo")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("SET").arg("foo").key("bar")), Plan::Slot(12182));
    assert!(matches!(refusal(cmd("RENAME").key("foo").arg("bar")), ErrorKind::CrossSlot { .. }));
    assert!(matches!(plan(&cmd("MGET").key("foo").arg("bar")), Plan::Split(_)));
    assert_eq!(refusal(cmd("GET")), ErrorKind::NoKey { command: "GET".into() });
    assert_eq!(refusal(cmd("OBJECT ENCODING")), ErrorKind::NoKey { command: "OBJECT ENCODING".into() });
}

#[test]
fn marks_help_where_a_known_command_shows_no_keys() {
    assert_eq!(plan(&cmd("EVAL").arg("return 1").arg(0)), Plan::Route(Route::AnyPrimary));
    assert_eq!(plan(&cmd("EVAL").arg("return 1").arg(0).key("foo")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("PUBLISH").key("foo").arg("hello")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("DEBUG").arg("OBJECT").key("foo")), Plan::Slot(12182));
    assert_eq!(plan(&cmd("EVAL").arg("x").arg("many").key("foo")), Plan::Slot(12182));
}

#[test]
fn a_route_of_the_caller_wins() {
    let route = Route::Slot(3);
    for command in
        [cmd("GET").arg("foo"), cmd("GET"), cmd("DBSIZE"), cmd("SCAN").arg(0), cmd("EVAL").arg("x")]
    {
        assert_eq!(plan(&command.route(route.clone())), Plan::Slot(3));
    }
    assert!(matches!(refusal(cmd("GET").arg("k").route(Route::Slot(16384))), ErrorKind::Config { .. }));
}

#[test]
fn what_would_disturb_others_is_refused_even_with_a_route() {
    let names = [
        "SUBSCRIBE",
        "monitor",
        "RESET",
        "QUIT",
        "SYNC",
        "PSYNC",
        "AUTH",
        "HELLO",
        "SELECT",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH",
        "UNWATCH",
        "BLPOP",
        "BLMOVE",
        "BZMPOP",
        "CLIENT REPLY",
        "client tracking",
        "ASKING",
        "READONLY",
        "READWRITE",
        "WAIT",
        "WAITAOF",
    ];
    for name in names {
        for command in [cmd(name), cmd(name).key("k"), cmd(name).route(Route::AllNodes)] {
            match refusal(command) {
                ErrorKind::NotAllowed { command, why } => {
                    assert_eq!(command, name.to_ascii_uppercase());
                    assert!(why.len() > 20);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_meant_for_one_node_needs_a_route() {
    for name in ["SCAN", "SHUTDOWN", "REPLICAOF", "CLUSTER FAILOVER", "CLIENT PAUSE", "DEBUG"] {
        match refusal(cmd(name).arg("0")) {
            ErrorKind::NotAllowed { command, why } => {
                assert_eq!(command, name);
                assert!(why.contains(".route("), "{why}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(plan(&cmd(name).route(Route::AnyPrimary)), Plan::Route(Route::AnyPrimary));
    }
}

#[test]
fn the_row_decides_what_the_engine_is_told() {
    let mget = cmd("MGET").args(["foo", "bar"]);
    let request = mget.request().unwrap();
    assert_eq!((request.is_read_only(), request.group, request.merge), (true, Some(1), Merge::Elements));
    let dbsize = cmd("DBSIZE");
    assert_eq!(dbsize.request().unwrap().merge, Merge::Sum);
    assert_eq!(dbsize.merge(Merge::PerNode).request().unwrap().merge, Merge::PerNode);
    let set = cmd("SET").args(["k", "v"]);
    assert!(!set.request().unwrap().is_read_only());
    assert!(set.read_only().request().unwrap().is_read_only(), "the caller may know better");
}

#[test]
fn debug_shows_sizes_and_no_values() {
    let text = format!("{:?}", cmd("SET").key("secret-key").arg("secret-value"));
    assert!(text.contains("SET") && !text.contains("secret"), "{text}");
}
