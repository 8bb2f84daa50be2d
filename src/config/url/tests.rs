use super::super::{Fanout, FlushPolicy, Protocol, RetryUnknown, Transport};
use super::*;

fn config(url: &str) -> Config {
    Config::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn problem(url: &str) -> String {
    match Config::from_url(url) {
        Ok(config) => panic!("{url} was accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn seeds(config: &Config) -> Vec<String> {
    config.seeds.iter().map(Endpoint::to_string).collect()
}

#[test]
fn names_several_seeds_and_every_kind_of_host() {
    let config = config("redis://10.0.0.1:7000, cache-2.example:7001,[::1]:7002,bare");
    assert_eq!(seeds(&config), ["10.0.0.1:7000", "cache-2.example:7001", "[::1]:7002", "bare:6379"]);
    assert_eq!(config.username, None);
    assert_eq!(config.password, None);
}

#[test]
fn takes_valkey_and_any_case_of_the_scheme() {
    assert_eq!(seeds(&config(" VALKEY://h:1 ")), ["h:1"]);
}

#[test]
fn a_seed_named_twice_is_one_seed() {
    assert_eq!(seeds(&config("redis://h:1,h:1,g:1")), ["h:1", "g:1"]);
}

#[test]
fn decodes_user_and_password() {
    let config = config("redis://ada%3A1:p%40s%2Fs%25%C3%B6@h:1");
    assert_eq!(config.username.as_deref(), Some("ada:1"));
    assert_eq!(config.password, Some(Secret::new("p@s/s%ö")));
}

#[test]
fn the_user_may_be_left_out_and_the_password_may_be_empty() {
    let default_user = config("redis://:secret@h:1");
    assert_eq!((default_user.username, default_user.password), (None, Some(Secret::new("secret"))));
    let nopass = config("redis://ada:@h:1");
    assert_eq!((nopass.username.as_deref(), nopass.password), (Some("ada"), Some(Secret::new(""))));
    for nobody in ["redis://:@h:1", "redis://@h:1"] {
        let nobody = config(nobody);
        assert_eq!((nobody.username, nobody.password), (None, None));
    }
}

#[test]
fn a_plain_at_sign_or_colon_in_the_password_is_part_of_it() {
    let config = config("redis://ada:p@s:s@h:1");
    assert_eq!(config.password, Some(Secret::new("p@s:s")));
    assert_eq!(seeds(&config), ["h:1"]);
}

#[test]
fn sets_every_parameter() {
    let c = config(
        "redis://h:1/0?timeout_ms=1&connect_timeout_ms=2&handshake_timeout_ms=3&node_silent_ms=4\
         &reconnect_min_ms=5&reconnect_max_ms=6&refresh_interval_ms=0&refresh_min_interval_ms=7\
         &tryagain_wait_ms=8&require_full_coverage=true&fail_fast_uncovered=true&hops_max=9&spin_us=10\
         &transport=auto&protocol=2&client_name=load%2Der&retry_unknown=never&fanout=sequential&flush_policy=each_command\
         &fenced_reconnect=true&sentinel_replies=0&sentinel_ms=11&high_integrity=yes",
    );
    assert!(c.fenced_reconnect && c.high_integrity);
    assert_eq!((c.sentinel_replies, c.sentinel_ms), (0, 11));
    assert_eq!((c.command_timeout_ms, c.connect_timeout_ms, c.handshake_timeout_ms), (1, 2, 3));
    assert_eq!((c.node_silent_ms, c.reconnect_min_ms, c.reconnect_max_ms), (4, 5, 6));
    assert_eq!((c.refresh_interval_ms, c.refresh_min_interval_ms, c.tryagain_wait_ms), (0, 7, 8));
    assert!(c.require_full_coverage && c.fail_fast_uncovered);
    assert_eq!((c.hops_max, c.spin_us, c.transport), (9, 10, Transport::Auto));
    assert_eq!(c.protocol, Protocol::Resp2);
    assert_eq!(c.client_name.as_deref(), Some("load-er"));
    assert_eq!(c.retry_unknown, RetryUnknown::Never);
    assert_eq!(c.fanout, Fanout::Sequential);
    assert_eq!(c.flush_policy, FlushPolicy::EachCommand);
}

#[test]
fn the_documentation_lists_every_parameter() {
    let text = include_str!("../mod.rs");
    for parameter in PARAMETERS {
        assert!(text.contains(&format!("/// | `{}` |", parameter.name)), "{}", parameter.name);
    }
}

#[test]
fn what_is_not_given_keeps_its_default() {
    let given = config("redis://h:1");
    let expected = Config::from_seeds([Endpoint::new("h", 1)]);
    assert_eq!(format!("{given:?}"), format!("{expected:?}"));
}

#[test]
fn refuses_values_that_make_no_sense() {
    for (query, what) in [
        ("timeout_ms=0", "at least 1"),
        ("timeout_ms=", "milliseconds"),
        ("timeout_ms", "milliseconds"),
        ("timeout_ms=2s", "milliseconds"),
        ("timeout_ms=+2", "milliseconds"),
        ("timeout_ms=99999999999999999999999", "milliseconds"),
        ("refresh_interval_ms=99999999999", "milliseconds"),
        ("require_full_coverage=maybe", "true or false"),
        ("fail_fast_uncovered=maybe", "true or false"),
        ("hops_max=256", "0 to 255"),
        ("spin_us=1000001", "up to a second"),
        ("protocol=4", "2 or 3"),
        ("client_name=", "CLIENT SETNAME"),
        ("client_name=a%20b", "CLIENT SETNAME"),
        ("client_name=a%2", "CLIENT SETNAME"),
        ("fanout=all", "parallel or sequential"),
        ("fenced_reconnect=perhaps", "true or false"),
        ("high_integrity=", "true or false"),
        ("sentinel_replies=-1", "a whole number of replies"),
        ("sentinel_ms=99999999999", "milliseconds"),
        ("retry_unknown=sometimes", "never, readonly, idempotent or always"),
        ("flush_policy=never", "each_turn"),
        ("timeout_ms=1&timeout_ms=2", "two different values"),
    ] {
        let message = problem(&format!("redis://h:1?{query}"));
        assert!(message.contains(what), "{query}: {message}");
    }
}

#[test]
fn an_unknown_parameter_is_named_and_the_known_ones_are_listed() {
    let message = problem("redis://ada:hunter2@h:1?socket_timeout=3");
    assert!(message.contains("unknown parameter socket_timeout"), "{message}");
    for parameter in PARAMETERS {
        assert!(message.contains(parameter.name), "{message}");
    }
}

#[test]
fn says_what_is_wrong_and_shows_a_right_example() {
    for (url, what) in [
        ("", "no address"),
        (" , ", "no address"),
        ("10.0.0.1:7000", "must begin with redis://"),
        ("http://h:1", "must begin with redis://"),
        ("redis://", "seed 1: the host is missing"),
        ("redis://h:1,,g:1", "seed 2: the host is missing"),
        ("redis://h:1,g:x", "seed 2: the port is not a number"),
        ("redis://::1:7000", "seed 1: more than one ':'; write an IPv6 address in brackets"),
        ("redis://h:1/1", "only database 0"),
        ("redis://h:1/0/", "only database 0"),
        ("redis://h:1#x", "%23"),
        ("redis://ada@h:1", "user:password@"),
        ("redis://a%zz:p@h:1", "the user: a '%' must be followed by two hexadecimal digits"),
        ("redis://a:p%@h:1", "the password: a '%' must be followed"),
        ("redis://a:%FF@h:1", "the password: it is not UTF-8"),
    ] {
        let message = problem(url);
        assert!(message.contains(what), "{url}: {message}");
        assert!(message.contains("a right one: redis://"), "{url}: {message}");
    }
}

#[test]
fn names_what_this_build_cannot_do() {
    for url in ["rediss://h:1", "valkeys://h:1"] {
        assert!(problem(url).contains("TLS") && problem(url).contains("not supported yet by this build"));
    }
    assert!(problem("unix:///run/redis.sock").contains("unix sockets"));
}

#[test]
fn the_examples_in_messages_are_right() {
    for example in [EXAMPLE, EXAMPLE_LOGIN] {
        config(example);
    }
}

#[test]
fn whole_urls_may_be_repeated() {
    for text in [
        "redis://ada:p@a:1,redis://ada:p@b:2?timeout_ms=9",
        "redis://ada:p@a:1?timeout_ms=9, valkey://b:2?timeout_ms=9",
        "redis://a:1 redis://ada:p@b:2/0?timeout_ms=9",
    ] {
        let config = config(text);
        assert_eq!(seeds(&config), ["a:1", "b:2"], "{text}");
        assert_eq!(config.password, Some(Secret::new("p")), "{text}");
        assert_eq!(config.command_timeout_ms, 9, "{text}");
    }
    let listed = Config::from_urls(["redis://a:1,c:3", "redis://b:2"]).unwrap();
    assert_eq!(seeds(&listed), ["a:1", "c:3", "b:2"]);
}

#[test]
fn repeated_urls_must_agree() {
    for (text, what) in [
        ("redis://ada:p@a:1,redis://ada:q@b:2", "one client has one"),
        ("redis://a:1?timeout_ms=1,redis://b:2?timeout_ms=2", "timeout_ms has two different values"),
        ("redis://a:1,rediss://b:2", "TLS"),
    ] {
        assert!(problem(text).contains(what), "{text}: {}", problem(text));
    }
}

/// Whatever is broken around it, and whatever is in it, the password stays out of the message.
#[test]
fn no_message_repeats_the_password() {
    for password in
        ["hunter2", "hunter2/x", "hun?hunter2=1", "x#hunter2", "x,hunter2", "x@hunter2", "hunter2%zz"]
    {
        for url in [
            "redis://ada:PW@h:1/7",
            "redis://ada:PW@h:1?bad=1",
            "redis://ada:PW@h:1?timeout_ms=x",
            "redis://ada:PW@h:x",
            "redis://ada:PW@",
            "redis://PW@h:1",
            "redis://:PW@h:1,,",
            "redis://ada:PW",
            "redis://:PW",
            "rediss://ada:PW@h:1",
            "ada:PW@h:1",
            "http://ada:PW@h:1",
            "redis://ada:PW@h:1,redis://ada:other@h:1",
            "redis://ada:PW@h:1?client_name=a b",
        ] {
            let url = url.replace("PW", password);
            if let Err(error) = Config::from_url(&url) {
                for text in [error.to_string(), format!("{error:?}")] {
                    assert!(!text.contains("hunter2"), "{url}: {text}");
                }
            }
        }
    }
}

#[test]
fn debug_prints_every_field_and_no_secret() {
    let mut config = config("redis://ada:hunter2@h:1");
    config.accept_node = Some(std::sync::Arc::new(|_| true));
    let text = format!("{config:?}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("password: Some(<redacted>)"), "{text}");
    assert!(text.contains("accept_node: Some(fn)") && text.contains("address_map: None"), "{text}");
    assert!(text.contains("ada") && text.contains("refresh_interval_ms: 60000"), "{text}");
}
