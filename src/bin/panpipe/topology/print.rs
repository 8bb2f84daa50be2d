//! The survey as a table, or as JSON.

use panpipe::slot::SLOT_COUNT;
use serde_json::{Value, json};

use super::survey::{Answer, Survey, SurveyedNode};
use crate::output::{Output, as_ms, ms, plural};

/// Slot ranges written into the table; JSON has all.
const RANGES_MAX: usize = 4;

const COLUMNS: usize = 6;

pub(super) fn table(out: &mut Output, survey: &Survey) {
    let header = ["SHARD", "NODE", "ROLE", "PING", "SLOTS", "RANGES"].map(str::to_owned);
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(header).chain(survey.nodes.iter().map(cells)).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [w0, w1, w2, w3, w4, _] = widths;
    for [shard, node, role, ping, slots, ranges] in &rows {
        out.line(&format!("{shard:>w0$}  {node:w1$}  {role:w2$}  {ping:>w3$}  {slots:>w4$}  {ranges}"));
    }
    for node in &survey.nodes {
        let note = match &node.answer {
            Answer::After(_) => continue,
            Answer::Failed(reason) => reason.as_str(),
            Answer::NotAsked if node.primary => "has no slots, so clients leave it alone",
            Answer::NotAsked => "not in service yet: it is still copying its primary, or has just begun to",
        };
        out.labelled(&format!("{}: ", node.address()), note);
    }
}

fn cells(node: &SurveyedNode) -> [String; COLUMNS] {
    let shard = node.shard.map_or_else(|| "-".to_owned(), |shard| shard.to_string());
    let role = if node.primary { "primary" } else { "replica" };
    let slots = if node.primary { node.slot_count().to_string() } else { String::new() };
    let ping = match &node.answer {
        Answer::After(took) => format!("{} ms", ms(*took)),
        Answer::Failed(_) => "NO ANSWER".to_owned(),
        Answer::NotAsked => "not asked".to_owned(),
    };
    [shard, node.address().to_owned(), role.to_owned(), ping, slots, ranges(&node.slots)]
}

fn ranges(slots: &[(u16, u16)]) -> String {
    let range = |&(start, end): &(u16, u16)| {
        if start == end { start.to_string() } else { format!("{start}-{end}") }
    };
    let mut text: Vec<String> = slots.iter().take(RANGES_MAX).map(range).collect();
    if slots.len() > RANGES_MAX {
        text.push(format!("+{} more", slots.len() - RANGES_MAX));
    }
    text.join(" ")
}

pub(super) fn summary(out: &mut Output, survey: &Survey) {
    let count = |wanted: fn(&SurveyedNode) -> bool| survey.nodes.iter().filter(|node| wanted(node)).count();
    out.paragraph(&format!(
        "{}, {}; {} of {SLOT_COUNT} slots served; {} of {} nodes answer",
        plural(count(|node| node.primary), "primary"),
        plural(count(|node| !node.primary), "replica"),
        survey.slots_served(),
        count(|node| matches!(node.answer, Answer::After(_))),
        survey.nodes.len(),
    ));
    if !survey.holes.is_empty() {
        out.paragraph(&format!("Slots that no node serves: {}", ranges(&survey.holes)));
    }
}

pub(super) fn json(survey: &Survey, ok: bool) -> Value {
    let nodes: Vec<Value> = survey.nodes.iter().map(node_json).collect();
    json!({
        "ok": ok,
        "slots_served": survey.slots_served(),
        "slots_unserved": survey.holes,
        "nodes": nodes,
    })
}

fn node_json(node: &SurveyedNode) -> Value {
    let (ping_ms, problem) = match &node.answer {
        Answer::After(took) => (Some((as_ms(*took) * 1e3).round() / 1e3), None),
        Answer::Failed(reason) => (None, Some(reason.as_str())),
        Answer::NotAsked => (None, None),
    };
    json!({
        "id": node.id,
        "address": node.endpoint,
        "primary": node.primary,
        "replicates": node.replicates,
        "shard": node.shard,
        "slots": node.slots,
        "slot_count": node.slot_count(),
        "answers": ping_ms.is_some(),
        "ping_ms": ping_ms,
        "problem": problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ranges_are_cut_short() {
        assert_eq!(ranges(&[(0, 5), (7, 7)]), "0-5 7");
        assert_eq!(ranges(&[(0, 0), (2, 2), (4, 4), (6, 6), (8, 9), (11, 11)]), "0 2 4 6 +2 more");
    }
}
