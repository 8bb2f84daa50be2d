//! States of servers: S63 to S76.

use panpipe::config::Secret;
use panpipe::testkit::{ClusterDown, Quirk};

use crate::names::{A, C};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};

scenarios! {
    s63_commands_wait_for_a_cluster_that_is_down => Scenario {
        virtual_time: Some("2 s of waiting"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 1", "OK")]),
            Step::Cluster(|model| model.set_cluster_down(A, Some(ClusterDown::Everything))),
            Step::Mark,
            Step::Submit(&["INCR a.k", "INCR a.k", "INCR b.k"]),
            Step::Pass(2_000),
            Step::Pending(&[0, 1]),
            Step::Cluster(|model| model.set_cluster_down(A, None)),
            Step::Results(&[(0, "2"), (1, "3"), (2, "2")]),
            Step::Took(2_000..=3_600),
            Step::Counts(&[(Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s63_a_cluster_that_only_reads_is_waited_for_by_writes => Scenario {
        virtual_time: Some("2 s of waiting"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| model.set_cluster_down(A, Some(ClusterDown::Writes))),
            Step::Submit(&["GET a.k", "INCR a.k"]),
            Step::Results(&[(0, "1")]),
            Step::Pass(2_000),
            Step::Pending(&[1]),
            Step::Cluster(|model| model.set_cluster_down(A, None)),
            Step::Results(&[(1, "2")]),
        ],
        ..PLAIN
    };

    s64_a_cluster_that_stays_down_is_reported_and_the_connection_stays => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| model.set_cluster_down(A, Some(ClusterDown::Everything))),
            Step::Mark,
            Step::FlushWithin(300, &[("SET a.k 2", "!CLUSTERDOWN NotExecuted"), ("GET a.k", "!CLUSTERDOWN NotExecuted")]),
            Step::Took(300..=3_000),
            Step::Cluster(|model| model.set_cluster_down(A, None)),
            Step::Flush(&[("GET a.k", "1")]),
            // The refresh may have asked others.
            Step::Counts(&[(Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s66_a_primary_that_loads_is_waited_for => Scenario {
        virtual_time: Some("2 s of waiting"),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.set_loading(A, true)),
            Step::Mark,
            Step::Submit(&["GET a.k", "INCR a.k", "GET b.k"]),
            Step::Results(&[(2, "nil")]),
            Step::Pass(2_000),
            Step::Pending(&[0, 1]),
            Step::Cluster(|model| model.set_loading(A, false)),
            Step::Results(&[(0, "1"), (1, "2")]),
            Step::Counts(&[(Count::Disconnects, 0..=0), (Count::Retries, 2..=12)]),
        ],
        ..PLAIN
    };

    s66_a_primary_that_still_loads_when_the_client_comes_is_waited_for => Scenario {
        before: |model| model.set_loading(A, true),
        steps: &[
            Step::Submit(&["SET a.k 1", "SET b.k 2"]),
            Step::Results(&[(1, "OK")]),
            Step::Pending(&[0]),
            Step::Cluster(|model| model.set_loading(A, false)),
            Step::Results(&[(0, "OK")]),
            Step::Flush(&[("MGET a.k b.k", "[1, 2]")]),
        ],
        ..PLAIN
    };

    s71_refusals_that_time_does_not_heal_are_the_commands_result => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Mark,
            Step::Cluster(|model| model.refusals_mut(A).out_of_memory = true),
            Step::Flush(&[("GET a.k", "1"), ("SET a.k 2", "!OOM NotExecuted"), ("DEL a.none", "0"), ("GET a.k", "1")]),
            Step::Cluster(|model| {
                model.refusals_mut(A).out_of_memory = false;
                model.refusals_mut(A).no_replicas = true;
            }),
            Step::Flush(&[("GET a.k", "1"), ("SET a.k 2", "!NOREPLICAS NotExecuted"), ("GET a.k", "1")]),
            Step::Cluster(|model| {
                model.refusals_mut(A).no_replicas = false;
                model.refusals_mut(A).misconfigured = true;
            }),
            Step::Flush(&[("GET a.k", "1"), ("SET a.k 2", "!MISCONF NotExecuted"), ("GET a.k", "1")]),
            Step::Counts(&[(Count::Retries, 0..=0), (Count::At(A), 10..=10)]),
            Step::Log("a.k", &["SET a.k 1"]),
        ],
        ..PLAIN
    };

    s72_a_full_server_is_a_failure_to_connect => Scenario {
        virtual_time: Some("pauses of seconds"),
        cluster: |layout| layout.clients_max = 1,
        before: |model| assert!(model.open(C, 0).is_some()),
        steps: &[
            Step::Mark,
            Step::SubmitWithin(20_000, &["RPUSH c.k 1"]),
            Step::FlushWithin(1_500, &[("RPUSH c.k 2", "!Connect NotExecuted"), ("SET a.k 1", "OK")]),
            Step::Pass(3_000),
            // Not more than one attempt in a second.
            Step::Counts(&[(Count::Connects, 3..=6)]),
            Step::Pending(&[0]),
            Step::Cluster(|model| model.disconnect_all(C)),
            Step::Results(&[(0, "1")]),
            Step::Log("c.k", &["RPUSH c.k 1"]),
        ],
        ..PLAIN
    };

    s72_full_servers_end_the_attempt_to_connect => Scenario {
        cluster: |layout| layout.clients_max = 0,
        config: |config, _| config.command_timeout_ms = 400,
        refused: Some("!NoTopology NotExecuted"),
        ..PLAIN
    };

    s73_a_command_that_is_not_permitted_fails_alone => Scenario {
        steps: &[
            Step::Cluster(|model| {
                let text = b"-NOPERM this user has no permissions to run the 'set' command\r\n".to_vec();
                model.quirk(A, "SET", 1, Quirk::Say(text));
            }),
            Step::Mark,
            Step::Flush(&[("INCR a.k", "1"), ("SET a.k 5", "!NOPERM NotExecuted"), ("INCR a.k", "2"), ("GET b.k", "nil")]),
            Step::Counts(&[(Count::Disconnects, 0..=0), (Count::Retries, 0..=0)]),
        ],
        ..PLAIN
    };

    s74_a_user_that_is_deleted_is_told_so_and_does_not_storm_the_server => Scenario {
        virtual_time: Some("pauses of seconds"),
        cluster: |layout| layout.password = Some("secret".into()),
        config: |config, _| config.password = Some(Secret::new("secret")),
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK"), ("SET b.k 1", "OK")]),
            Step::Cluster(|model| {
                model.quirk(A, "HELLO", usize::MAX, Quirk::Say(b"-WRONGPASS invalid username-password pair\r\n".to_vec()));
                model.quirk(A, "SET", 1, Quirk::Say(b"-NOAUTH Authentication required.\r\n".to_vec()));
            }),
            Step::Mark,
            Step::Flush(&[("SET a.k 2", "~NotExecuted")]),
            Step::FlushWithin(1_000, &[("SET a.k 3", "!Auth NotExecuted"), ("INCR b.k", "2")]),
            Step::FlushWithin(1_000, &[("SET a.k 4", "!Auth NotExecuted")]),
            Step::Pass(3_000),
            Step::FlushWithin(1_000, &[("SET a.k 5", "!Auth NotExecuted"), ("INCR b.k", "3")]),
            Step::Counts(&[(Count::Connects, 1..=11)]),
            Step::Cluster(|model| model.clear_quirks(A)),
            Step::Pass(30_000),
            Step::Flush(&[("GET a.k", "1")]),
        ],
        ..PLAIN
    };

    s75_a_busy_server_says_so_and_goes_on_later => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 1", "OK")]),
            Step::Cluster(|model| model.refusals_mut(A).busy = true),
            Step::Mark,
            Step::Flush(&[("GET a.k", "!BUSY NotExecuted"), ("INCR a.k", "!BUSY NotExecuted"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.refusals_mut(A).busy = false),
            Step::Flush(&[("INCR a.k", "2")]),
            Step::Counts(&[(Count::Retries, 0..=0), (Count::Disconnects, 0..=0)]),
        ],
        ..PLAIN
    };

    s76_a_server_that_pauses_its_clients_keeps_connections_and_order => Scenario {
        virtual_time: Some("a pause of 3 s"),
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.freeze(A)),
            Step::Mark,
            Step::Submit(&["RPUSH a.l 1", "RPUSH a.l 2", "GET a.k"]),
            Step::Pass(3_000),
            Step::Submit(&["RPUSH a.l 3", "GET b.k"]),
            Step::Results(&[(4, "nil")]),
            Step::Pending(&[0, 1, 2, 3]),
            Step::Thaw(A),
            Step::Results(&[(0, "1"), (1, "2"), (2, "0"), (3, "3")]),
            Step::Counts(&[(Count::Disconnects, 0..=0), (Count::Connects, 0..=0)]),
            Step::Log("a.l", &["RPUSH a.l 1", "RPUSH a.l 2", "RPUSH a.l 3"]),
        ],
        ..PLAIN
    };
}
