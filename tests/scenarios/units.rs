//! Transactions, as records of a load. S100 to S107.

use panpipe::testkit::{Quirk, Refusals};

use crate::names::{A, B, key, slot};
use crate::script::{Count, PLAIN, Scenario, Step, scenarios};

scenarios! {
    s100_a_transaction_at_the_former_owner_runs_once_and_whole_at_the_new_one => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| model.move_slot(slot("a"), B)),
            Step::Mark,
            Step::Unit(&["APPEND a.k 1", "APPEND a.l 2"], "written"),
            Step::Counts(&[(Count::Moved, 1..=1), (Count::Connects, 0..=0)]),
            Step::Flush(&[("GET a.k", "01"), ("GET a.l", "2")]),
            Step::Log("a.k", &["SET a.k 0", "APPEND a.k 1"]),
        ],
        ..PLAIN
    };

    s100_a_slot_that_leaves_between_the_commands_and_exec_takes_the_whole_with_it => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                model.quirk(A, "EXEC", 1, Quirk::First(|model| model.move_slot(slot("a"), B)));
            }),
            Step::Mark,
            Step::Unit(&["APPEND a.k 1", "APPEND a.k 2"], "written"),
            Step::Counts(&[(Count::Moved, 1..=1)]),
            Step::Flush(&[("GET a.k", "012")]),
        ],
        ..PLAIN
    };

    s102_one_asking_stands_before_a_transaction_on_keys_that_have_left => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("GET b.k", "nil")]),
            Step::Cluster(|model| {
                model.begin_migration(slot("a"), B);
                model.migrate_key(key("a.k").as_bytes());
            }),
            Step::Mark,
            Step::Unit(&["APPEND a.k 1", "APPEND a.k 2"], "written"),
            // ASKING, MULTI, two commands, EXEC.
            Step::Counts(&[(Count::Asks, 1..=1), (Count::At(B), 5..=5)]),
            Step::Cluster(|model| model.finish_migration(slot("a"))),
            Step::Flush(&[("GET a.k", "012")]),
        ],
        ..PLAIN
    };

    s103_a_transaction_whose_last_reply_is_lost_is_in_doubt_and_not_sent_again => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK")]),
            Step::Cluster(|model| model.quirk(A, "EXEC", 1, Quirk::Cut(0))),
            Step::Unit(&["APPEND a.k 1", "APPEND a.k 2"], "!ConnectionLost Unknown"),
            Step::Flush(&[("GET a.k", "012")]),
            Step::Log("a.k", &["SET a.k 0", "APPEND a.k 1", "APPEND a.k 2"]),
        ],
        ..PLAIN
    };

    s105_a_command_that_no_server_takes_refuses_the_whole => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK")]),
            Step::Cluster(|model| {
                model.quirk(A, "STRLEN", 1, Quirk::Refuse(Refusals {
                    busy: true,
                    ..Refusals::default()
                }));
            }),
            Step::Unit(&["APPEND a.k 1", "STRLEN a.k"], "!UnitRefused NotExecuted"),
            Step::Cluster(|model| *model.refusals_mut(A) = Refusals::default()),
            Step::Flush(&[("GET a.k", "0")]),
        ],
        ..PLAIN
    };

    s107_a_transaction_of_two_slots_is_refused_before_a_byte_leaves => Scenario {
        steps: &[
            Step::Flush(&[("SET a.k 0", "OK"), ("GET b.k", "nil")]),
            Step::Mark,
            Step::Unit(&["SET a.k 1", "SET b.k 1"], "!CrossSlot NotExecuted"),
            Step::Counts(&[(Count::At(A), 0..=0), (Count::At(B), 0..=0)]),
        ],
        ..PLAIN
    };
}
