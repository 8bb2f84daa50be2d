//! A flush drawn as text: one line a node, a bar to scale.

use std::time::Duration;

use panpipe::engine::{NodeTimeline, Timeline};

use super::measure::own_time;
use crate::output::{Output, count, ms, plural};

/// Nodes drawn; of more, the slowest.
const NODES_MAX: usize = 16;
/// A narrower bar gets a line of its own.
const BAR_MIN: usize = 16;
const BAR_MAX: usize = 60;

/// What the signs mean.
pub(super) const LEGEND: &str =
    "bar: - sent and waiting, # replies arriving; times in ms since the call of flush";

/// Draws a flush; `scale` is the time that fills the bar.
pub(super) fn draw(out: &mut Output, timeline: &Timeline, scale: Duration) {
    let nodes = drawn(timeline);
    let name_width = nodes.iter().map(|node| node.node.len()).max().unwrap_or(0).max(4);
    let columns =
        format!("{:name_width$}  {:>5}  {:>7}  {:>6}  {:>6}  {:>6}", "", "", "", "first", "first", "last");
    let room = out.width.saturating_sub(columns.len() + 2);
    let inline = room >= BAR_MIN;
    let bar_width = if inline { room } else { out.width.saturating_sub(4) }.min(BAR_MAX);
    out.line(&columns);
    out.line(&format!(
        "{:name_width$}  {:>5}  {:>7}  {:>6}  {:>6}  {:>6}",
        "node", "cmds", "bytes", "out", "back", "back"
    ));
    for node in &nodes {
        let time = |at: Option<Duration>| at.map_or_else(|| "-".to_owned(), ms);
        let row = format!(
            "{:name_width$}  {:>5}  {:>7}  {:>6}  {:>6}  {:>6}",
            node.node,
            count(u64::from(node.commands)),
            count(node.bytes),
            time(node.first_out),
            time(node.first_back),
            time(node.last_back)
        );
        let bar = bar(node, scale, bar_width);
        if inline {
            out.line(&format!("{row}  {bar}"));
        } else {
            out.line(&row);
            out.line(&format!("  {bar}"));
        }
    }
    if nodes.len() < timeline.nodes.len() {
        out.line(&format!("... and {} that were faster", plural(timeline.nodes.len() - nodes.len(), "node")));
    }
    if let Some(slowest) = slowest(timeline) {
        out.paragraph(&format!(
            "Slowest: {}, {} ms from its first byte out to its last byte back.",
            slowest.node,
            ms(own_time(slowest))
        ));
    }
}

/// The node that kept us waiting longest by itself.
pub(super) fn slowest(timeline: &Timeline) -> Option<&NodeTimeline> {
    timeline.nodes.iter().filter(|node| node.last_back.is_some()).max_by_key(|node| own_time(node))
}

fn drawn(timeline: &Timeline) -> Vec<&NodeTimeline> {
    let mut nodes: Vec<&NodeTimeline> = timeline.nodes.iter().collect();
    if nodes.len() > NODES_MAX {
        nodes.sort_by_key(|node| std::cmp::Reverse(own_time(node)));
        nodes.truncate(NODES_MAX);
    }
    nodes.sort_by_key(|node| node.first_out);
    nodes
}

fn bar(node: &NodeTimeline, scale: Duration, width: usize) -> String {
    let (Some(out), Some(last)) = (node.first_out, node.last_back) else { return String::new() };
    let cell = |at: Duration| {
        let share = at.as_secs_f64() / scale.as_secs_f64().max(1e-9);
        ((share * width as f64) as usize).min(width - 1)
    };
    let (out, first, last) = (cell(out), cell(node.first_back.unwrap_or(last)), cell(last));
    (0..=last)
        .map(|at| match at {
            at if at < out => ' ',
            at if at < first => '-',
            _ => '#',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(out_ms: u64, first_ms: u64, last_ms: u64) -> NodeTimeline {
        let at = |ms| Some(Duration::from_millis(ms));
        NodeTimeline {
            node: "a:1".to_owned(),
            commands: 1,
            bytes: 20,
            first_out: at(out_ms),
            last_out: at(out_ms),
            first_back: at(first_ms),
            last_back: at(last_ms),
            redirects: 0,
        }
    }

    #[test]
    fn bars_are_drawn_to_scale() {
        let scale = Duration::from_millis(10);
        assert_eq!(bar(&node(0, 8, 9), scale, 10), "--------##");
        assert_eq!(bar(&node(5, 9, 10), scale, 10), "     ----#");
        assert_eq!(bar(&node(0, 0, 0), scale, 10), "#");
        assert_eq!(bar(&NodeTimeline { last_back: None, ..node(0, 1, 1) }, scale, 10), "");
    }

    #[test]
    fn the_slowest_node_is_the_one_with_the_longest_own_time() {
        let nodes = vec![node(0, 8, 9), node(9, 10, 11)];
        let timeline = Timeline { nodes, total: Duration::from_millis(11) };
        assert_eq!(slowest(&timeline).and_then(|node| node.last_back), Some(Duration::from_millis(9)));
    }
}
