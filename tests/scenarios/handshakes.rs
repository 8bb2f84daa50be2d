//! Handshakes, pushes, replies out of step: S113 to S120.

use panpipe::Endpoint;
use panpipe::config::Secret;
use panpipe::testkit::{HelloSupport, Quirk};

use crate::names::{A, B, C, forget, resolve_to, resolver, words};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::{World, command, with_client};

scenarios! {
    s113_pushes_between_replies_are_no_replies => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| {
                let invalidate = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n".to_vec();
                model.quirk(A, "INCR", 2, Quirk::Before(invalidate));
                model.quirk(A, "INCR", 1, Quirk::Behind(b">1\r\n+nonsense\r\n>2\r\n$7\r\nmessage\r\n:1\r\n".to_vec()));
            }),
            Step::Mark,
            Step::Flush(&[("INCR a.k", "2"), ("GET a.k", "2"), ("INCR a.k", "3"), ("INCR a.k", "4"), ("GET a.k", "4")]),
            Step::Counts(&[(Count::Pushes, 4..=4), (Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s114_where_credentials_are_refused_no_command_is_written => Scenario {
        virtual_time: Some("pauses of seconds"),
        cluster: |layout| layout.password = Some("secret".into()),
        config: |config, _| config.password = Some(Secret::new("secret")),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| {
                model.quirk(C, "HELLO", usize::MAX, Quirk::Say(b"-WRONGPASS invalid username-password pair\r\n".to_vec()));
            }),
            Step::Mark,
            Step::Submit(&["RPUSH c.k 1", "RPUSH c.k 2"]),
            Step::Results(&[(0, "!Auth NotExecuted"), (1, "!Auth NotExecuted")]),
            Step::Log("c.k", &[]),
            // HELLO, CLIENT SETINFO twice, CLUSTER MYID.
            Step::Counts(&[(Count::At(C), 4..=4)]),
        ],
        ..PLAIN
    };

    s114_wrong_credentials_end_the_attempt_to_connect => Scenario {
        cluster: |layout| layout.password = Some("secret".into()),
        config: |config, _| config.password = Some(Secret::new("guess")),
        refused: Some("!Auth NotExecuted"),
        ..PLAIN
    };

    s115_client_setinfo_may_be_unknown => Scenario {
        before: |model| {
            for node in [A, B, C] {
                let text = b"-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n".to_vec();
                model.quirk(node, "CLIENT SETINFO", usize::MAX, Quirk::Say(text));
            }
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("GET a.k", "1"), ("GET b.k", "2")]),
            Step::Counts(&[(Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s115_an_answer_to_client_setinfo_that_never_comes_shifts_no_reply => Scenario {
        config: |config, _| config.handshake_timeout_ms = 300,
        steps: &[
            Step::Cluster(|model| model.quirk(C, "CLIENT SETINFO", 1, Quirk::Say(Vec::new()))),
            Step::Mark,
            // Nothing leaves before the last reply of the handshake: it waits for the next connection.
            Step::Flush(&[("SET c.k 1", "OK"), ("GET a.k", "nil")]),
            Step::Flush(&[("SET c.k 2", "OK"), ("GET c.k", "2"), ("INCR c.k", "3")]),
            Step::Counts(&[(Count::Disconnects, 1..=1)]),
        ],
        ..PLAIN
    };

    s116_a_server_without_hello_is_served_in_resp2 => Scenario {
        cluster: |layout| {
            layout.hello = HelloSupport::Unknown;
            layout.password = Some("secret".into());
        },
        config: |config, _| config.password = Some(Secret::new("secret")),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("GET a.k", "1"), ("GET c.none", "nil")]),
            Step::Counts(&[(Count::Disconnects, 0..=0)]),
            Step::Do(no_subscriptions),
        ],
        ..PLAIN
    };

    s116_a_server_that_refuses_resp3_is_served_in_resp2 => Scenario {
        cluster: |layout| layout.hello = HelloSupport::Resp2,
        steps: &[
            Step::Flush(&[("HSET a.k f 1", "1"), ("HGETALL a.k", "[f, 1]"), ("GET c.none", "nil")]),
            Step::Counts(&[(Count::Disconnects, 0..=0)]),
            Step::Do(no_subscriptions),
        ],
        ..PLAIN
    };

    s118_a_reply_that_is_left_out_harms_nobody_where_integrity_is_asked_for => Scenario {
        config: |config, _| config.high_integrity = true,
        steps: &[
            Step::Flush(&[("SET a.1 1", "OK"), ("SET a.2 2", "OK"), ("SET b.k 3", "OK")]),
            Step::Cluster(|model| model.quirk(A, "SET", 1, Quirk::Mute)),
            Step::Mark,
            Step::FlushWithin(500, &[("GET a.1", "!Timeout Unknown"), ("SET a.3 3", "!Timeout Unknown"), ("GET a.2", "!Timeout Unknown"), ("GET b.k", "3")]),
            Step::Flush(&[("GET a.1", "1"), ("GET a.2", "2"), ("GET a.3", "3")]),
            Step::Took(0..=5_000),
            Step::Counts(&[(Count::Desyncs, 1..=1)]),
        ],
        ..PLAIN
    };

    s118_a_reply_too_many_harms_nobody_where_integrity_is_asked_for => Scenario {
        config: |config, _| config.high_integrity = true,
        steps: &[
            Step::Flush(&[("SET a.1 1", "OK"), ("SET a.2 2", "OK"), ("SET b.k 3", "OK")]),
            Step::Cluster(|model| model.quirk(A, "SET", 1, Quirk::Behind(b"+OK\r\n".to_vec()))),
            Step::Mark,
            Step::FlushWithin(500, &[("GET a.1", "!Desync Unknown"), ("SET a.3 3", "!Desync Unknown"), ("GET a.2", "!Desync Unknown"), ("GET b.k", "3")]),
            Step::Flush(&[("GET a.1", "1"), ("GET a.2", "2"), ("GET a.3", "3")]),
            Step::Counts(&[(Count::Desyncs, 1..=1)]),
        ],
        ..PLAIN
    };

    s118_a_reply_too_many_on_an_idle_connection_ends_it => Scenario {
        steps: &[
            Step::Flush(&[("GET a.1", "nil"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.quirk(A, "SET", 1, Quirk::Behind(b"+OK\r\n".to_vec()))),
            Step::Mark,
            Step::Flush(&[("SET a.1 1", "OK")]),
            Step::Until(|world| world.count(Count::Desyncs) == 1),
            Step::Flush(&[("GET a.1", "1")]),
        ],
        ..PLAIN
    };

    // Without that a command may be given another one's reply until it is found out.
    s118_a_reply_that_is_left_out_is_found_out_before_long => Scenario {
        steps: &[
            Step::Flush(&[("SET a.1 1", "OK"), ("SET a.2 2", "OK")]),
            Step::Cluster(|model| model.quirk(A, "SET", 1, Quirk::Mute)),
            Step::Mark,
            Step::FlushWithin(200, &[("SET a.3 3", "!Timeout Unknown")]),
            Step::FlushWithin(200, &[("GET a.1", "*")]),
            Step::FlushWithin(200, &[("GET a.1", "*")]),
            Step::Until(|world| world.count(Count::Desyncs) == 1),
            Step::Flush(&[("GET a.1", "1"), ("GET a.2", "2"), ("GET a.3", "3")]),
        ],
        ..PLAIN
    };

    s119_a_million_cancelled_commands_leave_nothing_behind => Scenario {
        cluster: |layout| layout.records_writes = false,
        steps: &[
            Step::Flush(&[("GET a.k", "nil"), ("GET b.k", "nil")]),
            Step::Mark,
            Step::Do(cancel_a_million),
        ],
        ..PLAIN
    };

    s120_a_name_that_changes_its_address_is_resolved_anew => Scenario {
        cluster: |layout| layout.primaries = 1,
        config: |config, ports| {
            resolve_to("s120.test", ports[A]);
            config.resolver = Some(resolver());
            config.seeds = vec![Endpoint::new("s120.test", 1)];
            // The one node is known by its name alone.
            config.address_map = Some(std::sync::Arc::new(|_: &Endpoint| Endpoint::new("s120.test", 1)));
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| model.kill(A)),
            Step::Cluster(|model| {
                // Any port that is free.
                model.set_address(A, "127.0.0.1", 0);
                model.restart(A);
            }),
            Step::Do(|world| resolve_to("s120.test", world.model(|model| model.node(A).port()))),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Flush(&[("GET a.k", "1")]),
        ],
        ..PLAIN
    };

    s120_while_a_name_cannot_be_resolved_its_last_address_serves => Scenario {
        cluster: |layout| layout.primaries = 1,
        config: |config, ports| {
            resolve_to("down.s120.test", ports[A]);
            config.resolver = Some(resolver());
            config.seeds = vec![Endpoint::new("down.s120.test", 1)];
            config.address_map = Some(std::sync::Arc::new(|_: &Endpoint| Endpoint::new("down.s120.test", 1)));
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Do(|_| forget("down.s120.test")),
            Step::Cluster(|model| model.disconnect_all(A)),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Flush(&[("GET a.k", "1")]),
        ],
        ..PLAIN
    };
}

/// Subscriptions belong on no connection that commands share.
fn no_subscriptions(world: &mut World) {
    for text in ["SUBSCRIBE channel", "PSUBSCRIBE c*", "SSUBSCRIBE channel"] {
        assert_eq!(world.pipeline(1_000, &[words(text)]), ["!NotAllowed NotExecuted"]);
    }
}

fn cancel_a_million(world: &mut World) {
    const ROUNDS: usize = 25_000;
    const COMMANDS: usize = 40;
    let commands = ["INCR a.k", "GET b.k"].map(|text| command(&words(text)));
    let mut peak_bytes = 0;
    with_client!(world, client => for round in 0..ROUNDS {
        let tokens: Vec<_> = (0..COMMANDS)
            .map(|n| client.submit(&commands[n % 2], 0).expect("cancelled commands make room"))
            .collect();
        // Most are cancelled unsent, some with their bytes on the way.
        if round % 10 == 0 {
            client.flush();
        }
        tokens.into_iter().for_each(|token| assert!(client.cancel(token)));
        while client.next_completion().is_some() {}
        client.turn(panpipe::Budget::default()).expect("a client that can poll");
        peak_bytes = peak_bytes.max(client.stats().queued_bytes);
    });
    world.until("all replies are in", |world| world.stats().in_flight == 0);
    assert_eq!(world.stats().queued_bytes, 0);
    assert!(peak_bytes < 64 << 20, "{peak_bytes} bytes held");
    let ran = world.count(Count::At(A)) + world.count(Count::At(B));
    let flushed = (ROUNDS / 10 * COMMANDS) as u64;
    // And what the client asks of its own.
    assert!((flushed..flushed + 1_000).contains(&ran), "{ran} commands, {flushed} had been flushed");
}
