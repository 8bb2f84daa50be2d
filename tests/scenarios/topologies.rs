//! Views of the topology: S77 to S88.

use std::time::Duration;

use panpipe::Endpoint;
use panpipe::testkit::{ModelCluster, PreferredEndpoint, Quirk};

use crate::names::{A, B, C, resolve_to, resolver, slot, words};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::{World, with_client};

scenarios! {
    s77_s93_a_view_without_hosts_means_the_host_that_was_asked => Scenario {
        before: |model| (0..3).for_each(|node| model.set_preferred_endpoint(node, PreferredEndpoint::Unknown)),
        config: |config, ports| config.seeds = vec![Endpoint::new("127.0.0.1", ports[B])],
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK"), ("MGET a.k b.k c.k", "[1, 2, 3]")]),
            Step::Counts(&[(Count::Moved, 0..=0)]),
        ],
        ..PLAIN
    };

    s78_a_node_without_a_name_is_found_in_another_nodes_view => Scenario {
        before: |model| {
            model.set_hostname(A, Some("s78a.test"));
            model.set_hostname(B, Some("s78b.test"));
            // C is `?` for A, and has an address for the others.
            model.set_preferred_endpoint(A, PreferredEndpoint::Hostname);
        },
        config: |config, ports| {
            resolve_to("s78a.test", ports[A]);
            resolve_to("s78b.test", ports[B]);
            config.resolver = Some(resolver());
            config.seeds = vec![Endpoint::new("127.0.0.1", ports[A])];
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK")]),
            Step::Mark,
            Step::Flush(&[("SET c.k 3", "OK"), ("GET c.k", "3")]),
            Step::Took(0..=3_000),
        ],
        ..PLAIN
    };

    s79_a_single_node_that_does_not_know_its_address => Scenario {
        cluster: |layout| layout.primaries = 1,
        before: |model| model.set_knows_own_ip(A, false),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("GET a.k", "1"), ("SET c.k 2", "OK")]),
            Step::Do(|world| assert!(refresh(world))),
            Step::Flush(&[("GET a.k", "1"), ("GET c.k", "2")]),
            Step::Until(|world| world.model(|model| model.node(A).clients()) == 1),
        ],
        ..PLAIN
    };

    s80_an_empty_view_is_refused => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| say_views(model, 1, b"*0\r\n")),
            Step::Mark,
            Step::Do(|world| { refresh(world); }),
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2"), ("GET c.k", "3")]),
            Step::Counts(&[(Count::Moved, 0..=0), (Count::Connects, 0..=0)]),
            Step::Do(|world| with_client!(world, client => assert!(client.engine().uncovered_slots().is_empty()))),
        ],
        ..PLAIN
    };

    s81_a_cluster_that_is_still_forming_is_used_as_far_as_it_goes => Scenario {
        before: |model| (5_461..16_384).for_each(|hole| model.unassign_slot(hole)),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Submit(&["SET b.k 2"]),
            Step::Until(|world| world.stats().parked == 1 || world.count(Count::Retries) > 0),
            Step::Pending(&[0]),
            Step::Cluster(|model| {
                (5_461..10_923).for_each(|slot| model.assign_slot(slot, B));
                (10_923..16_384).for_each(|slot| model.assign_slot(slot, C));
            }),
            Step::Results(&[(0, "OK")]),
            Step::Flush(&[("SET c.k 3", "OK"), ("MGET a.k b.k c.k", "[1, 2, 3]")]),
        ],
        ..PLAIN
    };

    s81_a_cluster_with_holes_is_refused_where_the_configuration_says_so => Scenario {
        before: |model| (5_461..5_470).for_each(|hole| model.unassign_slot(hole)),
        config: |config, _| config.require_full_coverage = true,
        refused: Some("!NoTopology NotExecuted"),
        ..PLAIN
    };

    s82_a_slot_that_nobody_serves_is_waited_for => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK")]),
            Step::Cluster(|model| model.unassign_slot(slot("b"))),
            Step::Mark,
            Step::Submit(&["SET b.k 3", "GET b2.k"]),
            Step::Results(&[(1, "nil")]),
            Step::Until(|world| world.count(Count::Retries) >= 1 && world.count(Count::Refreshes) >= 1),
            Step::Pending(&[0]),
            Step::Cluster(|model| model.assign_slot(slot("b"), C)),
            Step::Results(&[(0, "OK")]),
            Step::Flush(&[("GET b.k", "3")]),
        ],
        ..PLAIN
    };

    s82_a_slot_that_nobody_serves_for_too_long_is_an_error => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK")]),
            Step::Cluster(|model| model.unassign_slot(slot("b"))),
            Step::FlushWithin(300, &[("SET b.k 3", "~NotExecuted"), ("GET a.k", "1")]),
        ],
        ..PLAIN
    };

    s82_a_slot_that_nobody_serves_fails_at_once_where_the_configuration_says_so => Scenario {
        config: |config, _| config.fail_fast_uncovered = true,
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK")]),
            Step::Cluster(|model| model.unassign_slot(slot("b"))),
            Step::Until(|world| {
                world.pass(50);
                world.pipeline(5_000, &[words("GET b.k")]) == ["!SlotNotServed NotExecuted"]
            }),
            Step::Mark,
            Step::Flush(&[("SET b.k 3", "!SlotNotServed NotExecuted"), ("GET a.k", "1")]),
            Step::Took(0..=1_000),
        ],
        ..PLAIN
    };

    s85_where_one_node_alone_has_the_news_the_client_ends_with_it => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            // C hears of the move later.
            Step::Cluster(|model| {
                model.hold_gossip(C);
                model.move_slot(slot("a"), B);
            }),
            Step::Mark,
            Step::Flush(&[("GET a.k", "1")]),
            Step::Do(|world| (0..4).for_each(|_| { refresh(world); })),
            Step::Flush(&[("GET a.k", "1"), ("SET a.k 4", "OK")]),
            Step::Cluster(|model| model.release_gossip(C)),
            Step::Do(|world| assert!(refresh(world))),
            Step::Mark,
            Step::Flush(&[("GET a.k", "4")]),
            Step::Do(|world| assert!(refresh(world))),
            Step::Flush(&[("GET a.k", "4")]),
            Step::Counts(&[(Count::Moved, 0..=0)]),
        ],
        ..PLAIN
    };

    s86_a_thousand_redirects_cost_two_refreshes_at_most => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| (0..5_461).for_each(|moving| model.move_slot(moving, B))),
            Step::Mark,
            Step::Do(a_thousand_slots_are_read),
            Step::Until(|world| world.count(Count::Refreshes) >= 1),
            // Far longer than the least pause between two.
            Step::Pass(400),
            Step::Counts(&[(Count::Moved, 900..=1_000), (Count::Refreshes, 1..=2)]),
        ],
        ..PLAIN
    };

    s87_a_refresh_that_hangs_hangs_alone => Scenario {
        virtual_time: Some("a second per node that does not answer"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Do(a_refresh_hangs),
            Step::Thaw(C),
            Step::Flush(&[("GET c.k", "3")]),
        ],
        ..PLAIN
    };

    s88_a_view_that_contradicts_itself_is_refused => Scenario {
        before: |model| {
            // Two owners for slots 5 to 9.
            let text = format!(
                "*2\r\n*3\r\n:0\r\n:9\r\n{a}*3\r\n:5\r\n:16383\r\n{b}",
                a = slots_node(model, A),
                b = slots_node(model, B)
            );
            say_views(model, 1, text.as_bytes());
        },
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Counts(&[(Count::Moved, 0..=0)]),
        ],
        ..PLAIN
    };

    s88_seeds_that_contradict_each_other_lead_to_the_truth => Scenario {
        before: |model| {
            model.set_owner_seen_by(A, slot("c"), Some(B));
            model.set_owner_seen_by(B, slot("b"), Some(A));
        },
        steps: &[
            Step::Mark,
            Step::Flush(&[("SET a.k 1", "OK"), ("SET c.k 3", "OK")]),
            Step::Counts(&[(Count::Moved, 0..=2)]),
            Step::Cluster(|model| {
                for node in [A, B] {
                    model.hold_gossip(node);
                    model.release_gossip(node);
                }
            }),
            Step::Flush(&[("SET b.k 2", "OK"), ("MGET a.k b.k c.k", "[1, 2, 3]")]),
        ],
        ..PLAIN
    };
}

/// Every node answers its next questions for the topology with these bytes.
pub(crate) fn say_views(model: &mut ModelCluster, times: usize, bytes: &[u8]) {
    (0..3).for_each(|node| model.quirk(node, "CLUSTER SLOTS", times, Quirk::Say(bytes.to_vec())));
}

/// A node as CLUSTER SLOTS writes it.
fn slots_node(model: &ModelCluster, node: usize) -> String {
    let node = model.node(node);
    format!("*3\r\n$9\r\n127.0.0.1\r\n:{}\r\n$40\r\n{}\r\n", node.port(), node.id())
}

/// Asks for a view; whether it came.
pub(crate) fn refresh(world: &mut World) -> bool {
    with_client!(world, client => client.refresh_topology(Duration::from_secs(3)))
        .expect("a client that can wait")
}

fn a_thousand_slots_are_read(world: &mut World) {
    let mut seen = std::collections::BTreeSet::new();
    let keys = (0..).map(|n| format!("key:{n}"));
    let of_a = keys.filter(|key| {
        let slot = panpipe::slot::slot_of(key.as_bytes());
        slot < 5_461 && seen.insert(slot)
    });
    let commands: Vec<Vec<String>> = of_a.take(1_000).map(|key| vec!["GET".to_owned(), key]).collect();
    let results = world.pipeline(5_000, &commands);
    assert!(results.iter().all(|result| result == "nil"), "{results:?}");
}

/// Some refresh asks C, which is silent; commands to the others take no longer for it, and another node is asked.
fn a_refresh_hangs(world: &mut World) {
    world.model(|model| model.freeze(C));
    let mut longest_ms = 0;
    for round in 0..12 {
        world.mark();
        with_client!(world, client => {
            client.refresh_topology(Duration::ZERO).expect("a client that can wait");
        });
        let before = world.now();
        let results = world.pipeline(5_000, &[words("GET a.k"), words("GET b.k")]);
        assert_eq!(results, ["1", "2"]);
        assert!(world.now().since(before) < Duration::from_millis(2), "round {round}");
        world.until("a view", |world| world.count(Count::Refreshes) >= 1);
        longest_ms = longest_ms.max(world.elapsed_ms());
        assert!(world.elapsed_ms() < 4_000, "round {round}");
    }
    assert!(longest_ms >= 1_000, "C was never asked, the longest took {longest_ms} ms");
}
