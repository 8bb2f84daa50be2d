//! Redirects: the map and the redirects that mend it. S1 to S10, S22 to S29.

use std::net::SocketAddr;
use std::sync::Arc;

use panpipe::Endpoint;
use panpipe::testkit::{PreferredEndpoint, Quirk};

use crate::names::{A, A2, B, B2, redirect, slot};
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

    s5_two_nodes_that_name_each_other_for_a_moment_reorder_nothing => Scenario {
        steps: &[
            Step::Flush(&[("RPUSH a.l 0", "1"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                model.move_slot(slot("a"), B);
                // B hears of it between two commands.
                let back = redirect(model, "MOVED", "a", A);
                model.quirk(B, "RPUSH", 1, Quirk::Say(back));
            }),
            Step::Mark,
            Step::Flush(&[("RPUSH a.l 1", "2"), ("RPUSH a.l 2", "3"), ("RPUSH a.l 3", "4")]),
            Step::Log("a.l", &["RPUSH a.l 0", "RPUSH a.l 1", "RPUSH a.l 2", "RPUSH a.l 3"]),
            Step::Counts(&[(Count::Moved, 5..=5)]),
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
            // Whoever is asked when the view contradicts the redirect is in service already.
            Step::Flush(&[("SET a.k v", "OK"), ("GET b.k", "nil"), ("GET c.k", "nil")]),
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
}

/// The client's map has this node for the slot.
fn the_map_is_true(world: &mut World, name: &str, node: usize) {
    assert_eq!(world.model(|model| model.owner(slot(name))), Some(node), "the scenario is as it says");
    assert!(world.maps(name, node), "slot {name}");
}
