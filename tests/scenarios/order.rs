//! Order: slots that migrate, batches that are partly redirected, many keys. S11 to S21, S30 to S33.

use std::time::Duration;

use panpipe::testkit::Quirk;

use crate::names::{A, B, C, key, slot};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::World;

scenarios! {
    s11_an_ask_to_a_node_that_cannot_be_reached_fails_in_time_and_the_slot_goes_on => Scenario {
        steps: &[
            Step::Flush(&[("SET a.here 1", "OK")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                model.freeze(B);
            }),
            Step::Mark,
            Step::FlushWithin(150, &[("GET a.gone", "!Timeout NotExecuted")]),
            Step::Flush(&[("GET a.here", "1"), ("SET a.here 2", "OK")]),
            Step::Took(150..=2_000),
            Step::Thaw(B),
            Step::Flush(&[("GET a.gone", "nil"), ("GET a.here", "2")]),
        ],
        ..PLAIN
    };

    // What was sent and is unanswered may have run: the slot waits for it, as long as a node may be silent.
    s11_an_ask_to_a_silent_node_fails_in_time_and_the_slot_goes_on => Scenario {
        config: |config, _| config.node_silent_ms = 600,
        steps: &[
            Step::Flush(&[("SET a.here 1", "OK"), ("SET b.k 1", "OK")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                model.freeze(B);
            }),
            Step::Mark,
            Step::FlushWithin(150, &[("GET a.gone", "!Timeout Unknown")]),
            Step::Flush(&[("GET a.here", "1"), ("SET a.here 2", "OK")]),
            Step::Took(150..=2_000),
            Step::Thaw(B),
            Step::Flush(&[("GET a.gone", "nil"), ("GET a.here", "2")]),
        ],
        ..PLAIN
    };

    s13_keys_of_a_half_migrated_slot_are_served_where_they_are => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k1 0", "OK"), ("SET a.k2 0", "OK")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                assert!(model.migrate_key(key("a.k2").as_bytes()));
            }),
            Step::Mark,
            Step::Flush(&[("SET a.k1 1", "OK"), ("SET a.k2 2", "OK"), ("GET a.k1", "1"), ("GET a.k2", "2")]),
            Step::Counts(&[(Count::Moved, 0..=0), (Count::Asks, 2..=2)]),
            Step::Log("a.k2", &["SET a.k2 0", "SET a.k2 2"]),
        ],
        ..PLAIN
    };

    s15_tryagain_without_an_end_holds_up_nobody_else_and_is_given_to_the_caller => Scenario {
        config: |config, _| config.tryagain_wait_ms = 400,
        steps: &[
            Step::Flush(&[("SET a.k1 0", "OK"), ("SET a.k2 0", "OK"), ("SET a.k3 0", "OK")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                assert!(model.migrate_key(key("a.k2").as_bytes()));
            }),
            Step::Mark,
            Step::Submit(&["MSET a.k1 1 a.k2 1", "SET a.k3 3", "GET a.k4"]),
            Step::Results(&[(1, "OK"), (2, "nil")]),
            Step::Pending(&[0]),
            Step::Submit(&["GET a.k3"]),
            Step::Results(&[(3, "3"), (0, "!TRYAGAIN NotExecuted")]),
            Step::Took(400..=5_000),
            Step::Log("a.k1", &["SET a.k1 0"]),
        ],
        ..PLAIN
    };

    s15_a_refused_command_that_a_later_one_of_its_key_has_passed_does_not_run => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k1 0", "OK"), ("SET a.k2 0", "OK")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                assert!(model.migrate_key(key("a.k2").as_bytes()));
            }),
            Step::Flush(&[("MSET a.k1 1 a.k2 1", "!Overtaken NotExecuted"), ("SET a.k1 2", "OK"), ("GET a.k2", "0")]),
            Step::Log("a.k1", &["SET a.k1 0", "SET a.k1 2"]),
            Step::Log("a.k2", &["SET a.k2 0"]),
        ],
        ..PLAIN
    };

    s16_two_new_keys_of_a_migrating_slot_wait_for_the_end_of_the_migration => Scenario {
        steps: &[
            Step::Flush(&[("SET b.k 0", "OK")]),
            Step::Cluster(|model| model.begin_migration(slot("a"), B)),
            Step::Submit(&["MSET a.n1 1 a.n2 2"]),
            Step::Until(|world| world.count(Count::Retries) >= 3),
            Step::Pending(&[0]),
            Step::Cluster(|model| model.finish_migration(slot("a"))),
            Step::Results(&[(0, "OK")]),
            Step::Log("a.n1", &["MSET a.n1 1 a.n2 2"]),
            Step::Flush(&[("MGET a.n1 a.n2", "[1, 2]")]),
        ],
        ..PLAIN
    };

    s16_two_new_keys_of_a_slot_that_migrates_for_ever_are_refused_in_time => Scenario {
        config: |config, _| config.tryagain_wait_ms = 200,
        steps: &[
            Step::Cluster(|model| model.begin_migration(slot("a"), B)),
            Step::Mark,
            Step::Flush(&[("MSET a.n1 1 a.n2 2", "!TRYAGAIN NotExecuted"), ("SET a.n3 3", "OK")]),
            Step::Took(200..=4_000),
            // Pauses grow: no live-lock.
            Step::Counts(&[(Count::Retries, 3..=30)]),
        ],
        ..PLAIN
    };

    s17_asked_and_moved_commands_of_one_node_keep_their_order => Scenario {
        steps: &[
            Step::Flush(&[("RPUSH a.here 0", "1"), ("RPUSH a2.k 0", "1"), ("GET b.k", "nil"), ("GET c.k", "nil")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                model.move_slot(slot("a2"), C);
            }),
            Step::Flush(&[
                ("RPUSH a.gone 1", "1"),
                ("RPUSH a2.k 1", "2"),
                ("RPUSH a.here 1", "2"),
                ("RPUSH a.gone 2", "2"),
                ("RPUSH a2.k 2", "3"),
                ("RPUSH a.gone 3", "3"),
                ("RPUSH a.here 2", "3"),
                ("RPUSH a2.k 3", "4"),
            ]),
            Step::Log("a.gone", &["RPUSH a.gone 1", "RPUSH a.gone 2", "RPUSH a.gone 3"]),
            Step::Log("a.here", &["RPUSH a.here 0", "RPUSH a.here 1", "RPUSH a.here 2"]),
            Step::Log("a2.k", &["RPUSH a2.k 0", "RPUSH a2.k 1", "RPUSH a2.k 2", "RPUSH a2.k 3"]),
        ],
        ..PLAIN
    };

    s18_a_redirect_in_the_middle_of_a_batch_shifts_no_reply => Scenario {
        steps: &[
            Step::Flush(&[("SET a.1 1", "OK"), ("SET a2.2 2", "OK"), ("SET a.3 3", "OK"), ("SET b.4 4", "OK")]),
            Step::Cluster(|model| model.move_slot(slot("a2"), B)),
            Step::Flush(&[("GET a.1", "1"), ("GET a2.2", "2"), ("GET a.3", "3"), ("GET b.4", "4"), ("GET a2.2", "2")]),
            Step::Flush(&[("GET a.3", "3"), ("GET a2.2", "2"), ("GET a.1", "1"), ("GET b.4", "4")]),
        ],
        ..PLAIN
    };

    s19_of_a_split_mget_only_the_redirected_part_is_fetched_again => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.move_slot(slot("b"), C)),
            Step::Mark,
            Step::Flush(&[("MGET a.k b.k c.k", "[1, 2, 3]")]),
            // The refresh asks C: a redirect has named it.
            Step::Counts(&[(Count::At(A), 1..=1), (Count::At(B), 1..=1), (Count::At(C), 2..=3)]),
        ],
        ..PLAIN
    };

    s21_of_two_slots_on_one_node_one_moves_and_the_other_does_not_notice => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("SET a2.k 0", "OK"), ("SET b.k 0", "OK")]),
            Step::Cluster(|model| model.move_slot(slot("a2"), B)),
            Step::Mark,
            Step::Flush(&[("INCR a.k", "1"), ("INCR a2.k", "1"), ("INCR a.k", "2"), ("INCR a2.k", "2"), ("INCR a.k", "3")]),
            Step::Counts(&[(Count::Moved, 2..=2), (Count::At(A), 5..=5), (Count::Connects, 0..=0)]),
            Step::Log("a.k", &["SET a.k 0", "INCR a.k", "INCR a.k", "INCR a.k"]),
        ],
        ..PLAIN
    };

    s30_a_key_that_expires_while_its_slot_migrates_is_written_in_order_and_once => Scenario {
        virtual_time: Some("a key's time to live"),
        steps: &[
            Step::Flush(&[("SET a.k old PX 50", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.begin_migration(slot("a"), B)),
            Step::Flush(&[("GET a.k", "old")]),
            Step::Pass(60),
            Step::Flush(&[("RPUSH a.k 1", "1"), ("RPUSH a.k 2", "2"), ("LRANGE a.k 0 -1", "[1, 2]")]),
            Step::Log("a.k", &["SET a.k old PX 50", "RPUSH a.k 1", "RPUSH a.k 2"]),
        ],
        ..PLAIN
    };

    s31_commands_with_keys_in_odd_places_find_their_slot_at_once => Scenario {
        steps: &[
            Step::Cluster(|model| {
                for node in 0..3 {
                    for word in [
                        "MEMORY", "OBJECT", "XINFO", "EVAL", "EVALSHA", "FCALL", "SORT", "ZUNIONSTORE", "XREAD", "BITOP",
                        "LMPOP", "XGROUP", "GEORADIUS", "MIGRATE",
                    ] {
                        model.quirk(node, word, usize::MAX, Quirk::Say(format!("+node {node}\r\n").into_bytes()));
                    }
                }
            }),
            Step::Mark,
            Step::Flush(&[
                ("MEMORY USAGE b.k", "node 1"),
                ("OBJECT ENCODING b.k", "node 1"),
                ("XINFO STREAM b.k", "node 1"),
                ("XGROUP CREATE b.k group $", "node 1"),
                ("EVAL script 1 b.k", "node 1"),
                ("EVALSHA 5e2f 2 b.k b.l argument", "node 1"),
                ("FCALL name 1 c.k", "node 2"),
                ("SORT b.k BY nosort STORE b.to", "node 1"),
                ("ZUNIONSTORE c.to 2 c.1 c.2 WEIGHTS 1 2", "node 2"),
                ("XREAD COUNT 1 STREAMS c.1 c.2 0 0", "node 2"),
                ("BITOP AND c.to c.1 c.2", "node 2"),
                ("LMPOP 2 a.1 a.2 LEFT", "node 0"),
                ("GEORADIUS b.k 1 1 1 km STORE b.to", "node 1"),
            ]),
            Step::Counts(&[(Count::Moved, 0..=0)]),
        ],
        ..PLAIN
    };

    s32_a_command_that_is_wrong_fails_at_its_own_place => Scenario {
        steps: &[
            Step::Flush(&[
                ("SET a.k 1", "OK"),
                ("SET b.k", "!ERR NotExecuted"),
                ("SET c.k 1", "OK"),
                ("LPUSH b.k 1", "1"),
                ("INCR b.k", "!WRONGTYPE Executed"),
                ("GET a.k", "1"),
                ("LLEN b.k", "1"),
            ]),
        ],
        ..PLAIN
    };

    s33_all_slots_of_a_node_move_under_a_hundred_thousand_commands => Scenario {
        virtual_time: Some("round trips are counted"),
        cluster: |layout| {
            layout.primaries = 2;
            layout.records_writes = false;
        },
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("SET b.k v", "OK")]),
            Step::Do(all_slots_move),
        ],
        ..PLAIN
    };
}

fn all_slots_move(world: &mut World) {
    const COMMANDS: usize = 100_000;
    const KEYS: usize = 20_000;
    const ROUND_TRIP_MS: u64 = 10;
    world.model(|model| {
        // At this command, in the middle of what A is sent.
        model.quirk(
            A,
            &format!("RPUSH {} half", key("a.half")),
            1,
            Quirk::First(|model| {
                for moving in 0..16_384 {
                    if model.owner(moving) == Some(A) {
                        model.move_slot(moving, B);
                    }
                }
            }),
        );
    });
    [A, B]
        .into_iter()
        .for_each(|node| world.memory().set_latency(node, Duration::from_millis(ROUND_TRIP_MS / 2)));
    let mut commands: Vec<Vec<String>> = (0..COMMANDS)
        .map(|n| vec!["RPUSH".to_owned(), format!("key:{}", n % KEYS), (n / KEYS).to_string()])
        .collect();
    commands[COMMANDS / 2] = ["RPUSH".to_owned(), key("a.half"), "half".to_owned()].to_vec();
    world.mark();
    let results = world.pipeline(60_000, &commands);
    let took_ms = world.elapsed_ms();
    for (n, (words, result)) in commands.iter().zip(&results).enumerate() {
        // One key is one short: its command has made place for the other.
        let expected = if n == COMMANDS / 2 {
            1
        } else if n % KEYS == COMMANDS / 2 % KEYS && n > COMMANDS / 2 {
            n / KEYS
        } else {
            n / KEYS + 1
        };
        assert_eq!(*result, expected.to_string(), "{words:?}");
    }
    let moved = world.count(Count::Moved);
    assert!(moved > 10_000, "{moved} redirects: half of what A owned");
    // There and back, and at most twice more for what was redirected.
    assert!((ROUND_TRIP_MS..=3 * ROUND_TRIP_MS + 1).contains(&took_ms), "{took_ms} ms");
}
