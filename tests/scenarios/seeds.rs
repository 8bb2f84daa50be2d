//! Seeds, identities, and nodes that join and leave: S89 to S99.

use panpipe::Endpoint;
use panpipe::testkit::Quirk;

use crate::names::{A, B, C, resolve_to, resolver};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::topologies::{refresh, say_views};
use crate::world::with_client;

scenarios! {
    s89_a_dead_first_seed_costs_no_time => Scenario {
        config: |config, _| config.seeds.insert(0, Endpoint::new("127.0.0.1", 1)),
        steps: &[
            Step::Do(|world| assert!(world.now().as_nanos() < 2_000_000_000, "since before connecting")),
            Step::Flush(&[("SET a.k 1", "OK")]),
        ],
        ..PLAIN
    };

    s89_a_silent_first_seed_costs_little_time => Scenario {
        before: |model| model.freeze(A),
        steps: &[
            Step::Do(|world| assert!(world.now().as_nanos() < 2_000_000_000, "since before connecting")),
            Step::Flush(&[("SET b.k 1", "OK")]),
            Step::Thaw(A),
            Step::Flush(&[("SET a.k 1", "OK")]),
        ],
        ..PLAIN
    };

    s90_all_nodes_are_replaced_and_found_by_the_seeds_name => Scenario {
        config: |config, ports| {
            resolve_to("s90.test", ports[A]);
            config.resolver = Some(resolver());
            config.seeds = vec![Endpoint::new("s90.test", 1)];
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| (0..3).for_each(|n| assert_eq!(model.add_node(), 3 + n))),
            Step::Cluster(|model| {
                for slot in 0..16_384 {
                    let owner = model.owner(slot).expect("all are owned");
                    model.move_slot(slot, 3 + owner);
                }
                (0..3).for_each(|node| model.remove_node(node));
            }),
            Step::Do(|world| resolve_to("s90.test", world.model(|model| model.node(4).port()))),
            Step::Until(|world| world.count(Count::Disconnects) >= 3),
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2"), ("GET c.k", "3")]),
        ],
        ..PLAIN
    };

    s91_a_node_by_its_name_and_by_its_address_is_one_node => Scenario {
        config: |config, ports| {
            resolve_to("s91.test", ports[A]);
            config.resolver = Some(resolver());
            config.seeds = vec![Endpoint::new("s91.test", ports[A]), Endpoint::new("127.0.0.1", ports[A])];
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Do(|world| assert!(refresh(world))),
            Step::Flush(&[("GET a.k", "1")]),
            Step::Until(|world| world.model(|model| (0..3).all(|node| model.node(node).clients() == 1))),
            Step::Do(|world| with_client!(world, client => assert_eq!(client.nodes().len(), 3))),
        ],
        ..PLAIN
    };

    s94_a_seed_outside_of_the_view_serves_no_commands => Scenario {
        before: |model| assert_eq!(model.add_node(), 3),
        // It owns no slots: CLUSTER SLOTS does not name it.
        config: |config, ports| config.seeds = vec![Endpoint::new("127.0.0.1", ports[3])],
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Mark,
            Step::Flush(&[("ECHO 1", "1"), ("ECHO 2", "2"), ("ECHO 3", "3"), ("ECHO 4", "4"), ("DBSIZE", "3"), ("GET b.k", "2")]),
            Step::Counts(&[(Count::At(3), 0..=0)]),
        ],
        ..PLAIN
    };

    s95_malformed_views_are_refused_and_asked_for_again => Scenario {
        before: |model| {
            say_views(model, 1, b"*2\r\n*2\r\n:0\r\n:5460\r\n*1\r\n:7\r\n");
            say_views(model, 1, b"*1\r\n*3\r\n:9\r\n:5\r\n*0\r\n");
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| say_views(model, 1, b"*1\r\n*3\r\n:0\r\n:99999\r\n*1\r\n*0\r\n")),
            Step::Cluster(|model| say_views(model, 1, b"%1\r\n+x\r\n:1\r\n")),
            Step::Do(|world| { refresh(world); }),
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2"), ("GET c.k", "3")]),
            Step::Counts(&[(Count::Moved, 0..=0)]),
        ],
        ..PLAIN
    };

    s96_a_node_leaves_under_a_command_for_all_nodes => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.freeze(C)),
            Step::Submit(&["DBSIZE"]),
            Step::Cluster(|model| {
                (10_923..16_384).for_each(|moving| model.move_slot(moving, B));
                model.remove_node(C);
            }),
            Step::Results(&[(0, "*")]),
            Step::Until(|world| with_client!(world, client => client.nodes().len() == 2)),
            Step::Flush(&[("DBSIZE", "3")]),
        ],
        ..PLAIN
    };

    s97_a_command_for_all_nodes_waits_for_the_one_that_reconnects => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.disconnect_all(C)),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Mark,
            Step::Flush(&[("DBSIZE", "3")]),
            Step::Do(|world| {
                let asked = [A, B].map(|node| world.count(Count::At(node)));
                // A refresh may have been asked for as well, once.
                assert!(asked.iter().sum::<u64>() <= 3, "{asked:?}: only the part that was never sent is sent later");
            }),
        ],
        ..PLAIN
    };

    s98_a_server_without_cluster_mode_is_refused_with_the_reason => Scenario {
        cluster: |layout| {
            layout.cluster_enabled = false;
            layout.primaries = 1;
        },
        refused: Some("!NotCluster NotExecuted"),
        ..PLAIN
    };

    s99_an_address_that_belongs_to_a_stranger_is_not_used => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| {
                let stranger = format!("$40\r\n{}\r\n", "f".repeat(40)).into_bytes();
                model.quirk(B, "CLUSTER MYID", usize::MAX, Quirk::Say(stranger));
            }),
            Step::FlushWithin(500, &[("GET b.k", "~!"), ("GET a.k", "1")]),
            Step::Counts(&[(Count::Disconnects, 1..=20), (Count::Desyncs, 0..=0)]),
            Step::Cluster(|model| model.clear_quirks(B)),
            Step::Flush(&[("GET b.k", "nil")]),
        ],
        ..PLAIN
    };
}
