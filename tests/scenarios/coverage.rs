//! All numbers, and where each is: here, in a transcript of the engine, or nowhere yet, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{handshakes, nodes, order, redirects, seeds, states, topologies, units, wires};

/// Every scenario that there is. Gaps are intended.
const NUMBERS: &[u16] = &[
    // redirects and order
    1, 5, 6, 7, 11, 13, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
    // transport
    35, 36, 37, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 58, 59, 60, 61, 62,
    // states of servers
    63, 64, 65, 66, 68, 69, 70, 71, 72, 73, 74, 75, 76, // topology
    77, 78, 79, 80, 81, 82, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99,
    // transactions, blocking commands, publish/subscribe, handshake
    100, 102, 103, 104, 105, 107, 108, 109, 110, 112, 113, 114, 115, 116, 118, 119, 120,
];

/// Transcripts of the engine against scripted servers, which play a number once more or alone: file and test.
const TRANSCRIPTS: &[(&str, &str)] = &[
    ("redirects.rs", "s1_a_moved_command_is_sent_on_and_the_next_goes_direct"),
    ("redirects.rs", "s5_redirects_without_end_end_with_the_last_one_in_the_error"),
    ("redirects.rs", "s6_s25_hosts_of_redirects_are_read_as_they_are_written"),
    ("redirects.rs", "s13_s17_keys_of_a_migrating_slot_are_served_where_they_are_in_their_order"),
    ("redirects.rs", "s15_tryagain_is_tried_again_and_then_given_to_the_caller"),
    ("redirects.rs", "s27_a_command_without_a_slot_follows_its_redirect_too"),
    ("redirects.rs", "s28_redirect_texts_that_are_not_top_level_or_not_exact_are_data"),
    ("loss.rs", "s36_s37_the_beginning_of_a_reply_tells_whether_the_command_ran"),
    ("deadlines.rs", "s39_a_half_written_command_that_times_out_is_completed_and_its_reply_discarded"),
    ("topology.rs", "s51_s94_a_node_that_leaves_the_view_is_closed_when_it_owes_nothing"),
    ("loss.rs", "s55_a_server_that_accepts_and_closes_is_dialled_ever_more_slowly"),
    ("windows.rs", "s59_a_full_window_refuses_and_takes_again_when_replies_have_come"),
    ("redirects.rs", "s63_s66_clusterdown_loading_and_readonly_wait_and_succeed"),
    ("redirects.rs", "s71_errors_of_one_command_are_its_own"),
    ("loss.rs", "s72_a_full_server_is_a_failure_to_connect_and_no_reply"),
    ("dials.rs", "s74_refused_credentials_fail_every_command_and_are_tried_once_a_second_at_most"),
    ("views.rs", "s78_an_address_that_one_view_does_not_tell_is_asked_of_others"),
    ("topology.rs", "s80_an_empty_view_changes_nothing"),
    ("topology.rs", "s82_a_command_to_an_uncovered_slot_waits_for_an_owner"),
    ("arbitration.rs", "s85_nodes_that_disagree_within_a_moment_are_heard_together"),
    ("topology.rs", "s86_a_thousand_redirects_ask_for_the_topology_once_or_twice"),
    ("topology.rs", "s87_a_node_that_does_not_answer_the_question_is_not_asked_again_at_once"),
    ("views.rs", "s90_when_all_nodes_have_been_replaced_the_seeds_lead_to_their_successors"),
    ("views.rs", "s91_a_server_by_name_and_by_address_gets_one_connection"),
    ("topology.rs", "s99_an_address_that_another_node_answers_at_is_not_used"),
    ("views.rs", "s99_a_view_without_any_known_node_is_another_clusters"),
    ("units.rs", "s100_a_unit_at_the_former_owner_runs_once_and_whole_at_the_new_one"),
    ("units.rs", "s102_one_asking_stands_before_a_unit"),
    ("units.rs", "s103_a_lost_reply_to_exec_leaves_a_unit_in_doubt_whatever_came_before"),
    ("units.rs", "s104_a_unit_that_had_not_been_sent_whole_did_not_run_and_is_sent_again"),
    ("units.rs", "s105_the_command_for_which_a_unit_was_refused_is_told_with_its_place"),
    ("units.rs", "s113_pushes_between_the_replies_of_a_unit_change_nothing"),
    ("loss.rs", "s114_user_commands_wait_for_the_verified_handshake"),
    ("deadlines.rs", "s119_cancelled_commands_leave_nothing_behind"),
];

const REPLICA_READS: &str = "commands go to primaries: there are no reads from replicas yet";

/// What nothing plays yet, and why.
const NOT_YET: &[(u16, &str)] = &[
    (65, REPLICA_READS),
    (68, REPLICA_READS),
    (69, REPLICA_READS),
    (70, REPLICA_READS),
    (92, "there is no TLS yet, so no TLS port that could stand for port 0"),
    (108, "WATCH is refused: there are no transactions of a caller's own yet"),
    (109, "blocking commands are refused: there are no connections for them yet"),
    (110, "blocking commands are refused: there are no connections for them yet"),
    (112, "subscriptions are refused: there are no connections for them yet"),
];

/// The numbers in a name: `s6_s25_hosts` plays 6 and 25.
fn numbers_of(name: &str) -> Vec<u16> {
    let number = |word: &str| word.strip_prefix('s').and_then(|digits| digits.parse().ok());
    name.split('_').map_while(number).collect()
}

fn played() -> BTreeMap<u16, Vec<&'static str>> {
    let mut played: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let here = [
        redirects::NAMES,
        order::NAMES,
        wires::NAMES,
        nodes::NAMES,
        states::NAMES,
        topologies::NAMES,
        seeds::NAMES,
        handshakes::NAMES,
        units::NAMES,
    ]
    .concat();
    for name in here.into_iter().chain(TRANSCRIPTS.iter().map(|(_, name)| *name)) {
        let numbers = numbers_of(name);
        assert_ne!(numbers, [0; 0], "{name} does not begin with its number");
        numbers.into_iter().for_each(|number| played.entry(number).or_default().push(name));
    }
    played
}

#[test]
fn every_number_is_played_or_listed_with_the_reason_why_not() {
    let played = played();
    let reasons: BTreeMap<u16, &str> = NOT_YET.iter().copied().collect();
    assert_eq!(reasons.len(), NOT_YET.len(), "a number is listed once");
    for number in NUMBERS {
        match (played.get(number), reasons.get(number)) {
            (None, None) => panic!("S{number} is neither played nor listed"),
            (Some(names), Some(reason)) => panic!("S{number} is played by {names:?} and listed: {reason}"),
            _ => {}
        }
    }
    let all: BTreeSet<&u16> = NUMBERS.iter().collect();
    let strange: Vec<&u16> =
        played.keys().chain(reasons.keys()).filter(|number| !all.contains(number)).collect();
    assert_eq!(strange, Vec::<&u16>::new(), "numbers that no scenario has");
}

#[test]
fn the_listed_transcripts_are_those_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/tests");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root).expect("the engine has tests") {
        let path = entry.expect("it can be listed").path();
        let Ok(source) = fs::read_to_string(&path) else { continue };
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        let names = source.lines().filter_map(|line| line.strip_prefix("fn ")?.split_once('('));
        for (name, _) in names.filter(|(name, _)| !numbers_of(name).is_empty()) {
            found.insert((file.clone(), name.to_owned()));
        }
    }
    let listed: BTreeSet<_> =
        TRANSCRIPTS.iter().map(|(file, name)| ((*file).to_owned(), (*name).to_owned())).collect();
    assert_eq!(found, listed);
}
