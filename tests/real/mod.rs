//! The cases of `tests/real_servers.rs`, one topic per file.

mod faults;
mod handshake;
mod migration;
mod mixed;
mod random;
mod volume;

pub(crate) use faults::{
    a_node_that_stops_for_two_seconds_delays_only_its_own_commands,
    a_primary_dies_and_its_replica_is_promoted,
};
pub(crate) use handshake::{
    a_plain_server_is_refused_as_a_seed, a_server_without_hello_is_spoken_to_in_resp2,
    a_wrong_password_is_told_at_once, one_reachable_seed_is_enough, resp2_alone_is_enough,
    the_right_password_lets_in,
};
pub(crate) use migration::{
    a_slot_moves_back_and_forth_under_a_pipeline, nodes_join_and_leave_under_a_pipeline,
};
pub(crate) use mixed::{
    a_hundred_thousand_mixed_commands_get_their_own_replies, slots_agree_with_the_server,
};
pub(crate) use volume::a_batch_of_200_mb_passes_through_small_socket_buffers;
