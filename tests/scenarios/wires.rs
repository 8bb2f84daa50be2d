//! Connections and what they carry: S35 to S44, S58 to S62.

use panpipe::ErrorKind;
use panpipe::testkit::Quirk;

use crate::names::{A, B, C, key, slot, words};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::{World, command, with_client};

scenarios! {
    s35_a_command_that_was_half_sent_is_sent_again => Scenario {
        steps: &[
            Step::Flush(&[("GET a.k", "nil"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.hang_up_within_command(A, 1_000)),
            Step::Mark,
            // More than sockets hold.
            Step::Flush(&[("SET a.big #25000000", "OK"), ("STRLEN a.big", "25000000")]),
            Step::Counts(&[(Count::Connects, 1..=1), (Count::Disconnects, 1..=1)]),
            Step::Do(|world| assert_eq!(world.log("a.big").len(), 1, "it ran once")),
        ],
        ..PLAIN
    };

    s36_the_beginning_of_a_redirect_is_no_redirect => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| {
                model.set_owner_seen_by(A, slot("a"), Some(B));
                // -MO
                model.quirk(A, "SET", 1, Quirk::Cut(3));
            }),
            Step::Mark,
            Step::Flush(&[("SET a.k w", "!ConnectionLost Unknown")]),
            Step::Counts(&[(Count::Moved, 0..=0), (Count::Disconnects, 1..=1)]),
            Step::Cluster(|model| model.set_owner_seen_by(A, slot("a"), Some(A))),
            Step::Flush(&[("GET a.k", "v")]),
        ],
        ..PLAIN
    };

    s37_a_reply_that_had_begun_tells_that_the_command_ran => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k abcdefghij", "OK")]),
            // $10 and three bytes
            Step::Cluster(|model| model.quirk(A, "GETDEL", 1, Quirk::Cut(8))),
            Step::Flush(&[("GETDEL a.k", "!ConnectionLost ExecutedReplyLost")]),
            Step::Flush(&[("GET a.k", "nil"), ("SET a.k klmnopqrst", "OK")]),
            Step::Cluster(|model| model.quirk(A, "GET", 1, Quirk::Cut(8))),
            // A read is sent again, whole.
            Step::Flush(&[("GET a.k", "klmnopqrst")]),
        ],
        ..PLAIN
    };

    s39_a_command_that_is_cancelled_half_written_leaves_a_valid_stream => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| model.freeze(A)),
            Step::Mark,
            Step::Submit(&["SET a.big #25000000"]),
            Step::Do(|world| assert!(world.cancel(0))),
            Step::Submit(&["GET a.k"]),
            Step::Thaw(A),
            Step::Results(&[(0, "!Cancelled Unknown"), (1, "v")]),
            Step::Flush(&[("STRLEN a.big", "25000000")]),
            Step::Counts(&[(Count::Connects, 0..=0), (Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s40_what_is_given_up_before_it_is_sent_never_runs => Scenario {
        steps: &[
            Step::Flush(&[("GET a.k", "nil")]),
            Step::Mark,
            Step::Do(|world| {
                assert_eq!(world.queue(5_000, "SET a.k 1"), 0);
                assert!(world.cancel(0));
                with_client!(world, client => {
                    let mut pipe = client.pipeline();
                    pipe.call::<()>(command(&words("SET a.k 2")));
                    drop(pipe);
                });
            }),
            Step::Results(&[(0, "!Cancelled NotExecuted")]),
            Step::Flush(&[("GET a.k", "nil")]),
            Step::Counts(&[(Count::At(A), 1..=1)]),
            Step::Log("a.k", &[]),
        ],
        ..PLAIN
    };

    s41_a_silent_node_slows_nobody_else => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.freeze(C)),
            Step::Submit(&["GET c.k", "GET a.k", "GET b.k"]),
            Step::Results(&[(1, "1"), (2, "2")]),
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2")]),
            Step::Pending(&[0]),
            Step::Thaw(C),
            Step::Results(&[(0, "3")]),
        ],
        ..PLAIN
    };

    s41_a_node_behind_a_dead_wire_slows_nobody_else => Scenario {
        virtual_time: Some("latencies are counted, and packets are lost"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Do(|world| world.memory().cut_wire(C)),
            Step::Submit(&["SET c.k 4"]),
            Step::Mark,
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2")]),
            Step::Took(0..=1),
            Step::Pass(4_000),
            Step::Pending(&[0]),
            Step::Mark,
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2")]),
            Step::Took(0..=1),
            Step::Results(&[(0, "!Timeout Unknown")]),
            Step::Do(|world| world.memory().mend_wire(C)),
            Step::Flush(&[("GET c.k", "4")]),
        ],
        ..PLAIN
    };

    s42_all_nodes_are_gone_for_half_a_minute_and_back => Scenario {
        virtual_time: Some("30 s without a network"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Do(|world| [A, B, C].into_iter().for_each(|node| world.memory().cut_wire(node))),
            Step::Do(half_a_minute_of_commands),
            Step::Do(|world| [A, B, C].into_iter().for_each(|node| world.memory().mend_wire(node))),
            Step::Mark,
            Step::Flush(&[("GET b.k", "2"), ("GET c.k", "3"), ("SET a.k 5", "OK"), ("GET a.k", "5")]),
            Step::Took(0..=5_000),
        ],
        ..PLAIN
    };

    s43_a_connect_that_is_not_answered_is_given_up => Scenario {
        virtual_time: Some("a second per attempt"),
        steps: &[
            Step::Do(|world| world.memory().cut_wire(C)),
            Step::Mark,
            Step::SubmitWithin(4_000, &["GET c.k"]),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Took(1_000..=1_010),
            Step::Until(|world| world.count(Count::Disconnects) >= 2),
            Step::Took(2_000..=2_200),
            Step::Results(&[(0, "!Connect NotExecuted")]),
            Step::Took(4_000..=4_020),
            Step::Do(|world| world.memory().mend_wire(C)),
            Step::Flush(&[("GET c.k", "nil")]),
        ],
        ..PLAIN
    };

    s44_a_handshake_that_is_not_answered_is_given_up => Scenario {
        config: |config, _| config.handshake_timeout_ms = 200,
        steps: &[
            Step::Cluster(|model| model.freeze(C)),
            Step::Mark,
            Step::Submit(&["GET c.k"]),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Took(200..=3_000),
            Step::Pending(&[0]),
            Step::Thaw(C),
            Step::Results(&[(0, "nil")]),
            // The ones that were given up have been closed.
            Step::Until(|world| world.model(|model| model.node(C).clients()) == 1),
        ],
        ..PLAIN
    };

    s58_replies_are_the_same_in_whatever_pieces_they_come => Scenario {
        cluster: |layout| layout.primaries = 1,
        steps: &[
            Step::Flush(&[("RPUSH list a b c", "3")]),
            Step::Do(|world| {
                let commands: Vec<Vec<String>> = (0..64).map(|n| words(&many_kinds(n))).collect();
                let whole = world.pipeline(5_000, &commands);
                world.sockets().set_piece_bytes(A, 1);
                assert_eq!(world.pipeline(5_000, &commands), whole);
                world.sockets().set_piece_bytes(A, 7);
                assert_eq!(world.pipeline(5_000, &commands), whole);
            }),
            Step::Counts(&[(Count::Connects, 0..=0)]),
        ],
        ..PLAIN
    };

    s59_a_full_window_says_so_loses_nothing_and_opens_again => Scenario {
        config: |config, _| config.limits.commands_per_node_max = 8,
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("SET b.k 0", "OK")]),
            Step::Cluster(|model| model.freeze(A)),
            Step::Submit(&["INCR a.k", "INCR a.k", "INCR a.k", "INCR a.k", "INCR a.k", "INCR a.k", "INCR a.k", "INCR a.k"]),
            Step::Do(|world| {
                let refused = with_client!(world, client => client.submit(command(&words("INCR a.k")), 99));
                let error = refused.expect_err("the window is full");
                assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error:?}");
            }),
            // A full window of one node is no other's.
            Step::Flush(&[("INCR b.k", "1"), ("INCR a.k", "!Full NotExecuted")]),
            Step::Thaw(A),
            Step::Results(&[(0, "1"), (7, "8")]),
            Step::Flush(&[("INCR a.k", "9")]),
        ],
        ..PLAIN
    };

    s60_results_that_nobody_takes_hold_up_nobody_else => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("SET b.k 0", "OK")]),
            Step::Do(results_lie_about),
        ],
        ..PLAIN
    };

    s61_one_node_talks_nonsense_and_the_others_replies_arrive => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.quirk(A, "SET", 1, Quirk::Say(b"HTTP/1.1 400 Bad Request\r\n".to_vec()))),
            Step::Late(B, 50),
            Step::Mark,
            Step::Flush(&[("SET a.k 4", "!Protocol Unknown"), ("GET b.k", "2"), ("INCR b.k", "3"), ("GET c.k", "3")]),
            Step::Flush(&[("GET b.k", "3"), ("GET a.k", "1"), ("GET c.k", "3")]),
            Step::Counts(&[(Count::Connects, 1..=1), (Count::Disconnects, 1..=1)]),
        ],
        ..PLAIN
    };

    s62_writes_that_time_out_are_not_run_again => Scenario {
        steps: &[
            Step::Flush(&[("ZADD a.z 0 zero", "1")]),
            Step::Cluster(|model| model.freeze(A)),
            Step::FlushWithin(150, &[
                ("ZADD a.z 1 one", "!Timeout Unknown"),
                ("ZADD a.z 2 two", "!Timeout Unknown"),
                ("ZADD a.z 3 three", "!Timeout Unknown"),
            ]),
            Step::Counts(&[(Count::Timeouts, 3..=3)]),
            Step::Thaw(A),
            Step::Flush(&[("ZRANGE a.z 0 -1", "[zero, one, two, three]")]),
            Step::Log("a.z", &["ZADD a.z 0 zero", "ZADD a.z 1 one", "ZADD a.z 2 two", "ZADD a.z 3 three"]),
        ],
        ..PLAIN
    };
}

/// Commands go on while there is no network: each ends in time, and what is held stays bounded.
fn half_a_minute_of_commands(world: &mut World) {
    world.mark();
    while world.elapsed_ms() < 30_000 {
        let number = world.queue(1_000, "SET a.k 4");
        world.queue(1_000, "GET b.k");
        with_client!(world, client => client.flush());
        let result = world.result(number);
        assert!(result.starts_with('!'), "{result}");
        let stats = world.stats();
        assert!(stats.queued_bytes < 4_000 && stats.in_flight < 100, "{stats:?}");
    }
    let connects = world.count(Count::Connects);
    assert!((3..=60).contains(&connects), "{connects} attempts to connect in half a minute");
}

fn many_kinds(n: usize) -> String {
    match n % 8 {
        0 => format!("SET s{n} {n}"),
        1 => format!("GET s{}", n - 1),
        2 => format!("INCRBY s{} 0", n - 2),
        3 => "GET missing".to_owned(),
        4 => "INCR list".to_owned(),
        5 => "LRANGE list 0 -1".to_owned(),
        6 => "ECHO #300".to_owned(),
        _ => "MGET s0 missing list".to_owned(),
    }
}

fn results_lie_about(world: &mut World) {
    let numbers: Vec<usize> = (0..2_000).map(|_| world.queue(5_000, "INCR a.k")).collect();
    let increment = command(&words("INCR b.k"));
    with_client!(world, client => {
        client.flush();
        for round in 1..=100_i64 {
            let found: i64 = client.call(&increment).expect("its node is fine");
            assert_eq!(found, round);
        }
    });
    for number in numbers {
        assert_eq!(world.result(number), (number + 1).to_string());
    }
    assert_eq!(world.log("a.k").len(), 2_001, "{}", key("a.k"));
}
