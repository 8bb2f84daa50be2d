use super::*;
use crate::config::Endpoint;
use crate::topology::samples::Random;
use crate::topology::{Role, SnapshotNode};

/// A snapshot of these ranges; a node's number is its index.
fn snapshot(ranges: &[(u16, u16, usize)]) -> Snapshot {
    let count = ranges.iter().map(|range| range.2 + 1).max().unwrap_or(0);
    let node = |number: usize| SnapshotNode {
        id: format!("n{number}"),
        endpoint: Some(Endpoint::new("h", 7000)),
        aliases: Vec::new(),
        role: Role::Primary,
        shard: number,
        health_ok: true,
        config_epoch: None,
    };
    let ranges = ranges.iter().map(|&(start, end, primary)| SlotRange { start, end, primary }).collect();
    let snapshot = Snapshot { nodes: (0..count).map(node).collect(), ranges };
    snapshot.validate().unwrap();
    snapshot
}

/// Every node of a snapshot has its number as index.
const SAME: &[Option<NodeIndex>] = &[Some(0), Some(1), Some(2), Some(3)];

fn changes(known: &SlotKnowledge, snapshot: &Snapshot, sent_at_ns: u64) -> Vec<SlotChange> {
    let mut changes = Vec::new();
    merge(known, &View::new(snapshot, SAME, sent_at_ns), &mut changes);
    one_by_one(&changes)
}

/// As many changes as slots.
fn one_by_one(changes: &[SlotChange]) -> Vec<SlotChange> {
    let slots = |change: &SlotChange| {
        let change = *change;
        change.slots().map(move |slot| SlotChange { start: slot, end: slot, ..change })
    };
    changes.iter().flat_map(slots).collect()
}

fn adopt(known: &mut SlotKnowledge, ranges: &[(u16, u16, usize)], sent_at_ns: u64) -> MergeSummary {
    known.adopt(&View::new(&snapshot(ranges), SAME, sent_at_ns))
}

/// Whose word the doubted views are.
const SOURCE: NodeIndex = 8;

fn doubt(fresh_ns: u64, rival_ns: Option<u64>) -> Doubt {
    Doubt { source: SOURCE, fresh_ns, rival_ns }
}

fn after_first_view(sent_at_ns: u64) -> SlotKnowledge {
    let mut known = SlotKnowledge::new();
    adopt(&mut known, &[(0, 8191, 0), (8192, 16383, 1)], sent_at_ns);
    known
}

#[test]
fn the_first_view_is_taken_whole_even_at_time_zero() {
    let mut known = SlotKnowledge::new();
    let view = snapshot(&[(0, 0, 2), (8192, 16383, 1)]);
    let found = changes(&known, &view, 0);
    assert_eq!(found.len(), 8193);
    assert_eq!(found[0], SlotChange { start: 0, end: 0, from: None, to: Some(2) });
    let summary = known.adopt(&View::new(&view, SAME, 0));
    assert_eq!((summary.changed, summary.unserved), (8193, 8191));
    assert_eq!((known.owner(0), known.owner(1), known.owner(16383)), (Some(2), None, Some(1)));
    assert_eq!(known.owners().holes(), [(1, 8191)]);
}

#[test]
fn a_later_view_overrides_what_was_known_when_it_was_asked_for() {
    let known = after_first_view(10);
    let found = changes(&known, &snapshot(&[(0, 8190, 0), (8191, 16383, 1)]), 11);
    assert_eq!(found, [SlotChange { start: 8191, end: 8191, from: Some(0), to: Some(1) }]);
}

#[test]
fn a_moved_after_the_question_was_sent_stays() {
    let mut known = after_first_view(10);
    assert!(known.learn(5, 2, 7, 30));
    for (sent_at_ns, overridden) in [(29, false), (30, false), (31, true)] {
        let found = changes(&known, &snapshot(&[(0, 8191, 0), (8192, 16383, 1)]), sent_at_ns);
        assert_eq!(found.len(), usize::from(overridden), "sent at {sent_at_ns}");
    }
    let summary = adopt(&mut known, &[(0, 8191, 0), (8192, 16383, 1)], 20);
    assert_eq!((summary.contradicted, summary.changed, summary.confirmed), (1, 0, 16383));
    assert_eq!(known.owner(5), Some(2));
}

#[test]
fn a_view_that_agrees_makes_the_knowledge_younger() {
    let mut known = after_first_view(10);
    adopt(&mut known, &[(0, 8191, 0), (8192, 16383, 1)], 40);
    assert_eq!(known.learned_at_ns(0), Some(40));
    assert_eq!(changes(&known, &snapshot(&[(0, 16383, 2)]), 40), []);
    assert_eq!(changes(&known, &snapshot(&[(0, 16383, 2)]), 41).len(), 16384);
}

#[test]
fn an_older_view_that_agrees_does_not_make_the_knowledge_older() {
    let mut known = after_first_view(40);
    let summary = adopt(&mut known, &[(0, 8191, 0), (8192, 16383, 1)], 20);
    assert_eq!((summary.kept, summary.confirmed), (16384, 0));
    assert_eq!(known.learned_at_ns(0), Some(40));
}

#[test]
fn an_answer_that_was_overtaken_by_a_later_one_changes_nothing() {
    let mut known = after_first_view(40);
    let summary = adopt(&mut known, &[(0, 100, 2)], 20);
    assert_eq!((summary.changed, summary.contradicted, summary.stale), (0, 101, 0));
    assert_eq!(summary.kept, 16384 - 101);
    assert_eq!((known.owner(0), known.is_stale(200)), (Some(0), false));
}

#[test]
fn a_view_with_fewer_slots_takes_none_away_but_raises_doubt() {
    let mut known = after_first_view(10);
    known.learn(9000, 1, 7, 30);
    let summary = adopt(&mut known, &[(0, 99, 3)], 20);
    assert_eq!((summary.changed, summary.stale, summary.kept), (100, 16384 - 100 - 1, 1));
    assert_eq!((known.owner(100), known.owner(16383)), (Some(0), Some(1)));
    assert!(known.is_stale(100) && known.is_stale(16383));
    assert!(!known.is_stale(99), "named");
    assert!(!known.is_stale(9000), "learned since");
    assert_eq!(known.learned_at_ns(100), Some(10), "doubt is no confirmation");
}

#[test]
fn doubt_ends_with_the_next_word_about_the_slot() {
    let mut known = after_first_view(10);
    adopt(&mut known, &[(0, 0, 0)], 20);
    assert!(known.is_stale(1) && known.is_stale(2));
    assert!(!known.learn(1, 0, 7, 25), "the owner stays the same");
    adopt(&mut known, &[(2, 2, 0)], 30);
    assert!(!known.is_stale(1) || known.learned_at_ns(1) < Some(30));
    assert!(!known.is_stale(2));
}

#[test]
fn slots_of_a_node_that_cannot_be_reached_keep_their_owner() {
    let mut known = after_first_view(10);
    let view = snapshot(&[(0, 8191, 2), (8192, 16383, 1)]);
    let nodes = [Some(0), Some(1), None];
    let mut found = Vec::new();
    let summary = merge(&known, &View::new(&view, &nodes, 20), &mut found);
    assert_eq!((found.len(), summary.stale, summary.confirmed), (0, 8192, 8192));
    known.adopt(&View::new(&view, &nodes, 20));
    assert_eq!((known.owner(0), known.is_stale(0)), (Some(0), true));
}

#[test]
fn a_slot_without_owner_takes_any_word() {
    let mut known = after_first_view(50);
    assert_eq!(known.disown(0), 8192);
    assert_eq!((known.owner(0), known.learned_at_ns(0)), (None, None));
    assert_eq!(changes(&known, &snapshot(&[(0, 16383, 1)]), 20).len(), 8192);
}

#[test]
fn disown_clears_doubt_with_the_owner() {
    let mut known = after_first_view(10);
    adopt(&mut known, &[(0, 0, 0)], 20);
    known.disown(1);
    assert!(!known.is_stale(16383));
}

#[test]
fn what_is_no_slot_is_left_alone() {
    let mut known = SlotKnowledge::new();
    known.learn(16384, 1, 7, 5);
    known.learn(u16::MAX, 1, 7, 5);
    assert_eq!(
        (known.owner(16384), known.is_stale(u16::MAX), known.learned_at_ns(16384)),
        (None, false, None)
    );
    assert_eq!(known.owners().count_owned(1), 0);
}

#[test]
fn a_snapshot_that_nobody_checked_does_no_harm() {
    let mut view = snapshot(&[(0, 10, 0)]);
    view.ranges = vec![
        SlotRange { start: 9, end: 3, primary: 0 },
        SlotRange { start: 5, end: u16::MAX, primary: 77 },
        SlotRange { start: 0, end: 10, primary: 0 },
    ];
    let mut known = SlotKnowledge::new();
    let summary = known.adopt(&View::new(&view, SAME, 1));
    assert_eq!(summary.unserved, 16384);
}

#[test]
fn debug_is_short() {
    let text = format!("{:?}", after_first_view(1));
    assert_eq!(text, "SlotKnowledge { owners: {0-8191: 0, 8192-16383: 1}, stale_slots: 0 }");
}

/// Random views and redirects, in and out of order, against the rules told one slot at a time.
#[test]
fn whatever_comes_in_whatever_order_the_rules_hold() {
    for seed in 1..=12 {
        let mut random = Random(seed);
        let mut known = SlotKnowledge::new();
        for _ in 0..25 {
            if random.below(2) == 0 {
                let at_ns = random.below(100) as u64;
                known.learn(
                    random.below(16384) as u16,
                    random.below(4) as u16,
                    7 + random.below(2) as u16,
                    at_ns,
                );
                continue;
            }
            let mut ranges = Vec::new();
            let mut next = random.below(9000);
            while next < 16384 && ranges.len() < 6 {
                let end = (next + random.below(5000)).min(16383);
                ranges.push((next as u16, end as u16, random.below(4)));
                next = end + 1 + random.below(3000);
            }
            if ranges.is_empty() {
                continue;
            }
            let doubt = doubt([0, 30][random.below(2)], None);
            let snapshot = snapshot(&ranges);
            let mut view = View::new(&snapshot, SAME, random.below(100) as u64).doubted(doubt);
            if random.below(3) == 0 {
                view = view.confirmed();
            }
            check_one_view(&mut known, &snapshot, &view);
        }
    }
}

fn check_one_view(known: &mut SlotKnowledge, snapshot: &Snapshot, view: &View<'_>) {
    let before = known.clone();
    let mut found = Vec::new();
    let summary = merge(known, view, &mut found);
    let found = one_by_one(&found);
    assert_eq!(known.adopt(view), summary, "planned and done are the same");
    assert!(known.runs().is_sorted_by(|a, b| a.start < b.start && a.account != b.account));
    let MergeSummary { changed, confirmed, kept, contradicted, disputed, stale, removed, unserved, .. } =
        summary;
    assert_eq!(changed + confirmed + kept + contradicted + disputed + stale + removed + unserved, 16384);
    assert_eq!(found.len(), (changed + removed) as usize);
    assert_eq!(summary.dispute.is_some(), disputed > 0);
    assert!(found.is_sorted_by_key(|change| change.start));
    for slot in 0..SLOT_COUNT {
        let named = snapshot.ranges.iter().find(|range| (range.start..=range.end).contains(&slot));
        let named = named.map(|range| range.primary as u16);
        let at_ns = before.learned_at_ns(slot);
        let newer = at_ns.is_some_and(|at_ns| at_ns >= view.sent_at_ns);
        let fresh_ns = view.doubt.map_or(0, |doubt| doubt.fresh_ns);
        let other =
            before.account(slot).and_then(|account| account.told_by).is_some_and(|node| node != SOURCE);
        let fresh = other && at_ns.is_some_and(|at_ns| view.sent_at_ns < at_ns + fresh_ns);
        let expected = match named {
            _ if newer || (named.is_some() && fresh) => before.owner(slot),
            None if view.confirmed => None,
            named => named.or(before.owner(slot)),
        };
        assert_eq!(known.owner(slot), expected, "slot {slot}");
        assert_eq!(known.account(slot).and_then(|account| account.owner), expected, "slot {slot}");
        let change = found.binary_search_by_key(&slot, |change| change.start).ok().map(|at| found[at]);
        assert_eq!(change.is_some(), before.owner(slot) != expected, "slot {slot}");
        if let Some(change) = change {
            assert_eq!((change.from, change.to), (before.owner(slot), expected));
        }
    }
    let mut again = Vec::new();
    merge(known, view, &mut again);
    assert_eq!(again, [], "twice is once");
}

#[test]
fn one_nodes_word_does_not_override_a_fresh_redirect() {
    let owners = snapshot(&[(0, 8191, 0), (8192, 16383, 1)]);
    for (sent_at_ns, disputed) in [(31, true), (129, true), (130, false)] {
        let mut known = after_first_view(10);
        known.learn(5, 2, 7, 30);
        let view = View::new(&owners, SAME, sent_at_ns).doubted(doubt(100, None));
        let summary = known.adopt(&view);
        assert_eq!((summary.disputed == 1, summary.changed == 1), (disputed, !disputed), "{sent_at_ns}");
        assert_eq!(known.owner(5), Some(if disputed { 2 } else { 0 }));
        let told = SlotChange { start: 5, end: 5, from: Some(2), to: Some(0) };
        assert_eq!(summary.dispute, Some(told).filter(|_| disputed));
    }
}

#[test]
fn a_node_may_take_back_what_it_said() {
    let mut known = after_first_view(10);
    known.learn(5, 2, SOURCE, 30);
    let owners = snapshot(&[(0, 8191, 0), (8192, 16383, 1)]);
    assert_eq!(known.adopt(&View::new(&owners, SAME, 31).doubted(doubt(100, None))).changed, 1);
}

#[test]
fn a_redirect_that_a_view_confirms_is_a_redirect_no_more() {
    let mut known = after_first_view(10);
    known.learn(5, 2, 7, 30);
    adopt(&mut known, &[(0, 4, 0), (5, 5, 2), (6, 8191, 0), (8192, 16383, 1)], 40);
    let owners = snapshot(&[(0, 8191, 0), (8192, 16383, 1)]);
    assert_eq!(known.adopt(&View::new(&owners, SAME, 50).doubted(doubt(100, None))).changed, 1);
}

#[test]
fn two_nodes_that_disagree_within_a_moment_are_in_dispute() {
    let mut known = after_first_view(10);
    let other = snapshot(&[(0, 8000, 0), (8001, 16383, 1)]);
    let summary = known.adopt(&View::new(&other, SAME, 20).doubted(doubt(100, Some(10))));
    assert_eq!((summary.disputed, summary.changed), (191, 0));
    assert_eq!(known.owner(8001), Some(0));
    let summary = known.adopt(&View::new(&other, SAME, 30).doubted(doubt(100, Some(20))));
    assert_eq!(summary.changed, 191, "what stayed in dispute was not confirmed: the next word counts");
}

#[test]
fn what_several_nodes_leave_out_is_served_by_nobody() {
    let mut known = after_first_view(10);
    let holes = snapshot(&[(0, 8191, 0), (9000, 16383, 1)]);
    known.learn(8500, 1, 7, 25);
    let mut found = Vec::new();
    let view = View::new(&holes, SAME, 20).confirmed();
    let summary = merge(&known, &view, &mut found);
    assert_eq!((summary.removed, summary.kept), (807, 1), "but a MOVED that came since stays");
    assert_eq!(found[0], SlotChange { start: 8192, end: 8499, from: Some(1), to: None });
    known.adopt(&view);
    assert_eq!((known.owner(8192), known.owner(8500), known.is_stale(8192)), (None, Some(1), false));
    let nowhere = [Some(0), None];
    let unreachable = View::new(&holes, &nowhere, 30).confirmed();
    assert_eq!(known.adopt(&unreachable).stale, 16384 - 9000, "a node without address is not nobody");
}
