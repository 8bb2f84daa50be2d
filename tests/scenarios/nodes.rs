//! Nodes come and go: S46 to S56.

use std::thread;
use std::time::{Duration, Instant};

use panpipe::testkit::Quirk;

use crate::names::{A, A2, B, C, slot};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};
use crate::world::{AnyClient, World, with_client};

scenarios! {
    s46_a_primary_dies_and_its_replica_takes_over => Scenario {
        cluster: |layout| layout.replicas_per_primary = 1,
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 1", "OK"), ("SET c.k 1", "OK")]),
            Step::Cluster(|model| model.kill(A)),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Submit(&["SET a.k 2", "SET b.k 2", "INCR a.n"]),
            Step::Results(&[(1, "OK")]),
            Step::Flush(&[("GET b.k", "2"), ("SET c.k 2", "OK")]),
            Step::Pending(&[0, 2]),
            Step::Mark,
            Step::Cluster(|model| model.failover(A2)),
            Step::Results(&[(0, "OK"), (2, "1")]),
            Step::Took(0..=2_000),
            Step::Log("a.k", &["SET a.k 1", "SET a.k 2"]),
        ],
        ..PLAIN
    };

    s47_a_failover_and_then_the_end_of_the_old_primary_cost_no_command => Scenario {
        cluster: |layout| layout.replicas_per_primary = 1,
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 1", "OK")]),
            Step::Cluster(|model| model.failover(A2)),
            Step::Flush(&[("SET a.k 2", "OK"), ("INCR a.k", "3")]),
            Step::Until(|world| world.maps("a2", A2)),
            Step::Cluster(|model| model.kill(A)),
            Step::Flush(&[("INCR a.k", "4"), ("SET a2.k 1", "OK"), ("SET b.k 2", "OK")]),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Flush(&[("INCR a.k", "5"), ("GET a2.k", "1"), ("GET b.k", "2")]),
        ],
        ..PLAIN
    };

    s48_the_whole_cluster_goes_down_and_comes_back => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| (0..3).for_each(|node| model.kill(node))),
            Step::Until(|world| world.count(Count::Disconnects) >= 3),
            Step::Submit(&["INCR a.k", "INCR b.k"]),
            Step::Cluster(|model| (0..3).for_each(|node| model.restart(node))),
            Step::Results(&[(0, "2"), (1, "3")]),
            Step::Flush(&[("GET c.k", "3")]),
        ],
        ..PLAIN
    };

    s49_without_a_cluster_commands_end_at_their_deadline => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| (0..3).for_each(|node| model.kill(node))),
            Step::Until(|world| world.count(Count::Disconnects) >= 3),
            Step::Mark,
            Step::FlushWithin(300, &[("SET a.k 2", "!Connect NotExecuted"), ("GET b.k", "!Connect NotExecuted")]),
            Step::Took(300..=2_000),
            Step::Cluster(|model| (0..3).for_each(|node| model.restart(node))),
            Step::Flush(&[("GET a.k", "1")]),
        ],
        ..PLAIN
    };

    s50_one_node_reconnects_and_the_others_keep_their_connections => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Mark,
            Step::Cluster(|model| model.disconnect_all(A)),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Flush(&[("GET a.k", "1"), ("GET b.k", "2"), ("GET c.k", "3")]),
            Step::Counts(&[(Count::Connects, 1..=1), (Count::Disconnects, 1..=1)]),
        ],
        ..PLAIN
    };

    s51_a_node_is_removed_with_commands_in_flight => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 2", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.freeze(B)),
            Step::Submit(&["GET b.k", "SET b.l 1", "GET c.k"]),
            Step::Results(&[(2, "3")]),
            Step::Cluster(|model| {
                (0..16_384).for_each(|moving| {
                    if model.owner(moving) == Some(B) {
                        model.move_slot(moving, A);
                    }
                });
                model.remove_node(B);
            }),
            Step::Results(&[(0, "2"), (1, "!ConnectionLost Unknown")]),
            Step::Flush(&[("GET b.k", "2"), ("GET b.l", "nil")]),
            Step::Until(|world| with_client!(world, client => client.nodes().len() == 2)),
        ],
        ..PLAIN
    };

    s52_a_node_dies_and_the_map_stays => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET c.k 3", "OK")]),
            Step::Cluster(|model| model.freeze(C)),
            Step::Submit(&["SET c.k 4", "GET c.l"]),
            Step::Cluster(|model| model.kill(C)),
            Step::Results(&[(0, "!ConnectionLost Unknown")]),
            Step::Pending(&[1]),
            Step::Submit(&["GET a.k"]),
            Step::Results(&[(2, "1")]),
            Step::Cluster(|model| model.restart(C)),
            Step::Results(&[(1, "nil")]),
        ],
        ..PLAIN
    };

    s53_what_is_submitted_for_a_result_follows_the_new_map => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 0", "OK")]),
            Step::Do(results_lead_to_commands),
        ],
        ..PLAIN
    };

    s54_a_client_is_dropped_while_it_waits_for_a_view => Scenario {
        steps: &[
            Step::Flush(&[("GET a.k", "nil"), ("GET b.k", "nil"), ("GET c.k", "nil")]),
            Step::Do(dropped_while_it_asks),
        ],
        ..PLAIN
    };

    s55_a_node_that_accepts_and_hangs_up_is_dialled_ever_more_slowly => Scenario {
        virtual_time: Some("20 s of attempts"),
        steps: &[
            Step::Cluster(|model| model.quirk(C, "HELLO", usize::MAX, Quirk::HangUp)),
            Step::Mark,
            Step::SubmitWithin(60_000, &["GET c.k"]),
            Step::Pass(20_000),
            // Each pause is a part of a bound that doubles from 50 ms to 5 s.
            Step::Counts(&[(Count::Connects, 8..=40)]),
            Step::Pending(&[0]),
            Step::Cluster(|model| model.clear_quirks(C)),
            Step::Results(&[(0, "nil")]),
            Step::Took(20_000..=25_100),
        ],
        ..PLAIN
    };

    s56_a_reconnect_that_takes_long_costs_a_command_only_time => Scenario {
        virtual_time: Some("4 s without the node"),
        // The pauses between attempts are drawn: by default one may end after the commands' deadline.
        config: |config, _| config.reconnect_max_ms = 1_000,
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| model.kill(A)),
            Step::Until(|world| world.count(Count::Disconnects) >= 1),
            Step::Submit(&["INCR a.k", "INCR a.k"]),
            Step::Pass(3_000),
            Step::Pending(&[0, 1]),
            Step::Cluster(|model| model.restart(A)),
            Step::Results(&[(0, "2"), (1, "3")]),
        ],
        ..PLAIN
    };
}

/// Every result leads to the next command, while the node they go to is emptied and removed.
fn results_lead_to_commands(world: &mut World) {
    for round in 0..200 {
        let number = world.queue(5_000, "INCR b.k");
        with_client!(world, client => client.flush());
        assert_eq!(world.result(number), (round + 1).to_string());
        match round {
            50 => world.model(|model| model.move_slot(slot("b"), A)),
            100 => world.model(|model| model.remove_node(B)),
            _ => {}
        }
    }
}

fn dropped_while_it_asks(world: &mut World) {
    world.model(|model| (0..3).for_each(|node| model.freeze(node)));
    let asked = with_client!(world, client => client.refresh_topology(Duration::from_millis(100)));
    assert_eq!(asked.ok(), Some(false), "nobody answers");
    let looked_at = |world: &mut World| {
        world.model(|model| (0..3).map(|node| model.node(node).commands_processed()).sum::<u64>())
    };
    let before = looked_at(world);
    world.client = AnyClient::Gone;
    (0..3).for_each(|node| world.sockets().thaw(node));
    let limit = Instant::now() + Duration::from_secs(10);
    while world.model(|model| (0..3).any(|node| model.node(node).clients() > 0)) {
        assert!(Instant::now() < limit, "its connections are still there");
        thread::yield_now();
    }
    let asked = looked_at(world) - before;
    assert!(asked <= 1, "{asked} commands, and one question had left");
}
