use super::*;
use crate::topology::parse_nodes;
use crate::topology::samples::{asked, ranges, with_ids};

/// A view: nodes by letter with flags, epoch and slots.
fn view(lines: &[(&str, &str, u64, &str)]) -> Snapshot {
    let line = |(id, flags, epoch, slots): &(&str, &str, u64, &str)| {
        let port = id.as_bytes()[1];
        format!("{id} 10.0.0.1:{port}@1 {flags} - 0 0 {epoch} connected {slots}\n")
    };
    let text: String = lines.iter().map(line).collect();
    parse_nodes(with_ids(&text).as_bytes(), &asked()).unwrap()
}

fn said(state_ok: Option<bool>, view: Snapshot) -> Testimony {
    Testimony { state_ok, view }
}

const A: &str = "10.0.0.1:65";
const B: &str = "10.0.0.1:66";

#[test]
fn the_claim_of_the_highest_epoch_wins_whoever_speaks_first() {
    let old = view(&[("{A}", "master", 1, "0-99"), ("{B}", "master", 2, "100-199")]);
    let new = view(&[("{A}", "master", 1, "0-49"), ("{B}", "master", 7, "50-199")]);
    for views in [[&old, &new], [&new, &old]] {
        let joined = join(views).unwrap();
        assert_eq!(ranges(&joined), [format!("0-49 {A}"), format!("50-199 {B}")]);
    }
}

#[test]
fn claims_of_one_epoch_stay_as_they_were_heard_first() {
    let one = view(&[("{A}", "master", 3, "0-9"), ("{B}", "master", 3, "10-19")]);
    let two = view(&[("{A}", "master", 3, "10-19"), ("{B}", "master", 3, "0-9")]);
    assert_eq!(ranges(&join([&one, &two]).unwrap()), [format!("0-9 {A}"), format!("10-19 {B}")]);
}

#[test]
fn what_one_does_not_know_another_tells() {
    let one = view(&[("{A}", "master", 1, "0-9")]);
    let two = view(&[("{B}", "master", 2, "20-29")]);
    let joined = join([&one, &two]).unwrap();
    assert_eq!(ranges(&joined), [format!("0-9 {A}"), format!("20-29 {B}")]);
    assert_eq!(joined.validate(), Ok(()));
}

#[test]
fn nothing_said_is_no_view() {
    assert_eq!(join([]), None);
}

#[test]
fn a_primary_that_was_cut_off_is_not_heard() {
    let minority = || view(&[("{A}", "myself,master", 1, "0-9"), ("{B}", "master,fail?", 2, "10-19")]);
    let majority = || view(&[("{C}", "master", 7, "0-9"), ("{B}", "myself,master", 2, "10-19")]);
    let both = [said(Some(false), minority()), said(Some(true), majority())];
    assert_eq!(trusted(&both), [1]);
    let silent = [said(None, minority()), said(None, majority())];
    assert_eq!(trusted(&silent), [1], "whoever does not tell is believed by whom it sees");
    assert_eq!(trusted(&[said(Some(false), minority())]), [0usize; 0], "half of two is no majority");
}

#[test]
fn where_all_say_fail_those_who_see_the_majority_are_heard() {
    let hole = || view(&[("{A}", "myself,master", 1, "0-9"), ("{B}", "master", 2, "10-19")]);
    let alone = view(&[("{A}", "master,fail", 1, "0-9"), ("{B}", "myself,master", 2, "10-19")]);
    let all = [said(Some(false), alone), said(Some(false), hole())];
    assert_eq!(trusted(&all), [1]);
}

#[test]
fn the_state_is_read_from_the_lines_of_the_reply() {
    let info = b"cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:16384\r\n";
    assert_eq!(state_ok(info), Some(true));
    assert_eq!(state_ok(b"cluster_state:fail\r\n"), Some(false));
    assert_eq!(state_ok(b"# nothing\r\n"), None);
}
