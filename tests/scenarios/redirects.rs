//! Redirects and order: S1 to S33.

use std::net::SocketAddr;
use std::sync::Arc;

use panpipe::Endpoint;
use panpipe::testkit::{PreferredEndpoint, Quirk};

use crate::names::{A, A2, B, B2, C, key, redirect, slot};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::{World, with_client};

scenarios! {
    s1_a_stale_map_costs_one_redirect_and_one_refresh => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.move_slot(slot("a"), B)),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v")]),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Until(|world| world.count(Count::Refreshes) > 0),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Counts(&[(Count::Moved, 1..=1), (Count::Refreshes, 1..=1), (Count::Connects, 0..=0)]),
        ],
        ..PLAIN
    };

    s5_redirects_in_a_circle_end_with_the_last_one_and_without_a_spin => Scenario {
        config: |config, _| config.hops_max = 10,
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                model.set_owner_seen_by(A, slot("a"), Some(B));
                model.set_owner_seen_by(B, slot("a"), Some(A));
            }),
            Step::Mark,
            Step::Flush(&[("GET a.k", "!Redirects NotExecuted"), ("GET c.k", "nil")]),
            // 1 + 2 + 4 + … + 64 + 64 ms, half of it at least.
            Step::Took(80..=4_000),
            Step::Counts(&[(Count::Moved, 11..=11), (Count::At(A), 4..=12), (Count::At(B), 4..=12)]),
        ],
        ..PLAIN
    };

    s6_a_redirect_without_a_host_means_the_host_that_sent_it => Scenario {
        before: |model| (0..3).for_each(|node| model.set_preferred_endpoint(node, PreferredEndpoint::Unknown)),
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| model.move_slot(slot("a"), B)),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v"), ("GET a.k", "v")]),
            Step::Counts(&[(Count::Moved, 2..=2)]),
        ],
        ..PLAIN
    };

    s7_a_redirect_names_a_node_that_nobody_had_heard_of => Scenario {
        // Sockets: the node listens from the end of the step on.
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| assert_eq!(model.add_node(), 3)),
            Step::Cluster(|model| model.move_slot(slot("a"), 3)),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v")]),
            Step::Counts(&[(Count::Moved, 1..=1)]),
            Step::Until(|world| world.count(Count::Refreshes) > 0),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Counts(&[(Count::Moved, 1..=1)]),
        ],
        ..PLAIN
    };

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

    s22_a_node_that_names_itself_is_dialled_again => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                let circular = redirect(model, "MOVED", "a", A);
                model.quirk(A, "GET", 1, Quirk::Say(circular));
            }),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v"), ("GET b.k", "nil")]),
            Step::Counts(&[(Count::Connects, 1..=1), (Count::Moved, 1..=1)]),
        ],
        ..PLAIN
    };

    s23_fifty_commands_meet_such_a_node_and_one_connection_is_made => Scenario {
        steps: &[
            // A refresh finds B in service, and dials nobody.
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                let circular = redirect(model, "MOVED", "a", A);
                model.quirk(A, "GET", 50, Quirk::Say(circular));
            }),
            Step::Mark,
            Step::Do(|world| {
                let numbers: Vec<usize> = (0..50).map(|_| world.queue(5_000, "GET a.k")).collect();
                with_client!(world, client => client.flush());
                for number in numbers {
                    assert_eq!(world.result(number), "v");
                }
            }),
            Step::Counts(&[(Count::Connects, 1..=1), (Count::Moved, 50..=50)]),
        ],
        ..PLAIN
    };

    s24_a_redirect_names_a_host => Scenario {
        before: |model| {
            for node in 0..3 {
                model.set_hostname(node, Some(&format!("node{node}.test")));
                model.set_preferred_endpoint(node, PreferredEndpoint::Hostname);
            }
        },
        config: |config, _| {
            config.resolver = Some(Arc::new(|host, port| {
                assert!(host.ends_with(".test"), "{host}");
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
            }));
        },
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.move_slot(slot("a"), B)),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v")]),
            // The node is the one that the view has under that name: no second connection.
            Step::Counts(&[(Count::Moved, 1..=1), (Count::Connects, 0..=0)]),
        ],
        ..PLAIN
    };

    s25_a_redirect_names_an_ipv6_address => Scenario {
        config: |config, _| {
            config.address_map = Some(Arc::new(|announced: &Endpoint| match announced.host.as_str() {
                "::1" => Endpoint::new("127.0.0.1", announced.port),
                _ => announced.clone(),
            }));
        },
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| {
                model.move_slot(slot("a"), B);
                let text = format!("-MOVED {} ::1:{}\r\n", slot("a"), model.node(B).port());
                model.quirk(A, "GET", 1, Quirk::Say(text.into_bytes()));
            }),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v")]),
            Step::Counts(&[(Count::Moved, 1..=1), (Count::Connects, 1..=1)]),
        ],
        ..PLAIN
    };

    s26_a_redirect_into_the_void_is_corrected_by_the_map => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                let nobody = format!("-MOVED {} 127.0.0.1:1\r\n", slot("a"));
                model.quirk(A, "GET", 1, Quirk::Say(nobody.into_bytes()));
            }),
            Step::Mark,
            Step::Flush(&[("GET a.k", "v")]),
            Step::Flush(&[("SET a.k w", "OK")]),
            Step::Took(0..=3_000),
            Step::Counts(&[(Count::Moved, 1..=1)]),
        ],
        ..PLAIN
    };

    s27_a_command_without_keys_follows_redirects_too => Scenario {
        cluster: |layout| layout.primaries = 2,
        steps: &[
            Step::Flush(&[("GET a.k", "nil"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                for (node, other) in [(A, B), (B, A)] {
                    for word in ["MOVED", "ASK"] {
                        let text = redirect(model, word, "a", other);
                        model.quirk(node, "ECHO", 1, Quirk::Say(text));
                    }
                }
            }),
            Step::Mark,
            Step::Flush(&[("ECHO hello", "hello")]),
            Step::Counts(&[(Count::Moved, 2..=2), (Count::Asks, 2..=2)]),
        ],
        ..PLAIN
    };

    s28_redirects_inside_of_replies_and_of_scripts_are_data => Scenario {
        steps: &[
            Step::Cluster(|model| {
                let nested = b"*2\r\n-MOVED 1 127.0.0.1:1\r\n+OK\r\n".to_vec();
                model.quirk(A, "GET", 1, Quirk::Say(nested));
                let script = b"-MOVED 1 127.0.0.1:1 script: 5e2f, on @user_script:1.\r\n".to_vec();
                model.quirk(A, "GET", 1, Quirk::Say(script));
            }),
            Step::Mark,
            Step::Flush(&[("GET a.1", "[-MOVED 1 127.0.0.1:1, OK]"), ("GET a.2", "!MOVED Executed"), ("GET a.3", "nil")]),
            Step::Counts(&[(Count::Moved, 0..=0), (Count::Connects, 0..=1)]),
        ],
        ..PLAIN
    };

    s29_a_redirect_after_a_migration_patches_the_map => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| model.move_slot(slot("a"), B)),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Do(|world| the_map_is_true(world, "a", B)),
        ],
        ..PLAIN
    };

    s29_a_redirect_after_a_failover_patches_the_map => Scenario {
        cluster: |layout| layout.replicas_per_primary = 1,
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| model.failover(A2)),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Do(|world| the_map_is_true(world, "a", A2)),
            // The view tells of the node's other slots.
            Step::Until(|world| world.maps("a2", A2)),
        ],
        ..PLAIN
    };

    s29_a_redirect_to_a_new_primary_patches_the_map => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| assert_eq!(model.add_node(), 3)),
            Step::Cluster(|model| model.move_slot(slot("a"), 3)),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Do(|world| the_map_is_true(world, "a", 3)),
        ],
        ..PLAIN
    };

    s29_a_redirect_to_what_was_another_shards_replica_patches_the_map => Scenario {
        cluster: |layout| layout.replicas_per_primary = 1,
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| {
                model.failover(B2);
                model.move_slot(slot("a"), B2);
            }),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Do(|world| the_map_is_true(world, "a", B2)),
        ],
        ..PLAIN
    };

    s29_a_redirect_that_changed_nothing_leaves_a_true_map => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k v", "OK")]),
            Step::Cluster(|model| {
                let wrong = redirect(model, "MOVED", "a", B);
                model.quirk(A, "GET", 1, Quirk::Say(wrong));
            }),
            Step::Flush(&[("GET a.k", "v")]),
            Step::Until(|world| world.count(Count::Refreshes) > 0),
            Step::Do(|world| the_map_is_true(world, "a", A)),
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

/// The client's map has this node for the slot.
fn the_map_is_true(world: &mut World, name: &str, node: usize) {
    assert_eq!(world.model(|model| model.owner(slot(name))), Some(node), "the scenario is as it says");
    assert!(world.maps(name, node), "slot {name}");
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
    [A, B].into_iter().for_each(|node| {
        world.memory().set_latency(node, std::time::Duration::from_millis(ROUND_TRIP_MS / 2))
    });
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
