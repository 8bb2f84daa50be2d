//! The main job on real servers: every reply checked, while slots move, primaries die and nodes stop.
//!
//! Each test runs on Redis 6.2, 7.0, 8.2 and Valkey 9.1. They check what a user would notice: values, order, outcomes.

mod real;
mod servers;
#[path = "support/transport.rs"]
mod transport;

use servers::Version;

/// One test per server for each case, so that a failure names the server.
macro_rules! on_every_server {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            use super::{Version, real};

            #[test]
            fn redis_6_2() {
                real::$case(Version::Redis62);
            }

            #[test]
            fn redis_7_0() {
                real::$case(Version::Redis70);
            }

            #[test]
            fn redis_8_2() {
                real::$case(Version::Redis82);
            }

            #[test]
            fn valkey_9_1() {
                real::$case(Version::Valkey91);
            }
        }
    )*};
}

on_every_server![
    a_hundred_thousand_mixed_commands_get_their_own_replies,
    a_slot_moves_back_and_forth_under_a_pipeline,
    a_primary_dies_and_its_replica_is_promoted,
    a_node_that_stops_for_two_seconds_delays_only_its_own_commands,
    a_batch_of_200_mb_passes_through_small_socket_buffers,
    a_wrong_password_is_told_at_once,
    the_right_password_lets_in,
    resp2_alone_is_enough,
    a_server_without_hello_is_spoken_to_in_resp2,
    a_plain_server_is_refused_as_a_seed,
    slots_agree_with_the_server,
    one_reachable_seed_is_enough,
    nodes_join_and_leave_under_a_pipeline,
];
