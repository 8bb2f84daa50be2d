//! Flushes drawn as text: a line a node, a bar to scale, as `panpipe demo` draws them.

use std::fmt::Write as _;
use std::time::Duration;

use panpipe::engine::{NodeTimeline, Timeline};

use super::Shown;

/// Nodes drawn; of more, those whose last reply came last. The picture has all.
const NODES_MAX: usize = 16;
/// A narrower bar gets a line of its own.
const BAR_MIN: usize = 16;
const BAR_MAX: usize = 60;
const WIDTH_DEFAULT: usize = 110;

/// How exact the times are.
pub(super) const TURNS: &str =
    "The clock is read once a turn: replies that one turn of the loop takes share their time.";

/// Columns of the terminal.
pub(super) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0)).clamp(40, 160)
}

/// Both flushes, each to its own scale.
pub(super) fn draw(shown: &Shown, width: usize) -> String {
    let mut text = format!("{}\n", shown.what);
    let total = |timeline: &Timeline| ms(timeline.total);
    // Writing into a string cannot fail.
    let _ = write!(text, "\nmedian flush of {}: {} ms\n", shown.flushes, total(&shown.median));
    text.push_str(&flush(&shown.median, width));
    let _ = write!(text, "\nslowest of them: {} ms\n", total(&shown.slowest));
    text.push_str(&flush(&shown.slowest, width));
    text.push_str(
        "\nbar: > being sent, - waiting, # replies arriving; times in ms since the call of flush\n",
    );
    text
}

fn flush(timeline: &Timeline, width: usize) -> String {
    let nodes = drawn(timeline);
    let name_width = nodes.iter().map(|node| node.node.len()).max().unwrap_or(0).max(4);
    let row = |cells: [&str; 7]| {
        let [name, commands, bytes, times @ ..] = cells;
        let times: String = times.iter().map(|time| format!("  {time:>7}")).collect();
        format!("{name:name_width$}  {commands:>5}  {bytes:>8}{times}")
    };
    let heading = row(["", "", "", "first", "last", "first", "last"]);
    let room = width.saturating_sub(heading.len() + 2);
    let inline = room >= BAR_MIN;
    let bar_width = if inline { room } else { width.saturating_sub(4) }.min(BAR_MAX);
    let names = row(["node", "cmds", "bytes", "out", "out", "back", "back"]);
    let mut text = format!("{heading}\n{names}\n");
    for node in &nodes {
        let time = |at: Option<Duration>| at.map_or_else(|| "-".to_owned(), ms);
        let (commands, bytes) = (node.commands.to_string(), node.bytes.to_string());
        let times = [node.first_out, node.last_out, node.first_back, node.last_back].map(time);
        let [a, b, c, d] = &times;
        let line = row([&node.node, &commands, &bytes, a, b, c, d]);
        let bar = bar(node, timeline.total, bar_width);
        let between = if inline { "  " } else { "\n  " };
        let _ = writeln!(text, "{line}{between}{bar}");
    }
    if nodes.len() < timeline.nodes.len() {
        let _ = writeln!(text, "... and {} nodes that were faster", timeline.nodes.len() - nodes.len());
    }
    if let Some(slowest) = timeline.slowest() {
        let _ = writeln!(text, "last to answer: {}", slowest.node);
    }
    text
}

fn drawn(timeline: &Timeline) -> Vec<&NodeTimeline> {
    let mut nodes: Vec<&NodeTimeline> = timeline.nodes.iter().collect();
    if nodes.len() > NODES_MAX {
        nodes.sort_by_key(|node| std::cmp::Reverse(node.last_back));
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
    let (sent, first) = (cell(node.last_out.unwrap_or(out)), cell(node.first_back.unwrap_or(last)));
    (0..=cell(last))
        .map(|at| match at {
            at if at < cell(out) => ' ',
            at if at >= first => '#',
            at if at < sent => '>',
            _ => '-',
        })
        .collect()
}

/// Milliseconds with three decimals.
pub(super) fn ms(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{node, shown};
    use super::*;

    #[test]
    fn bars_are_drawn_to_scale() {
        let scale = Duration::from_millis(10);
        assert_eq!(bar(&node("a", 0, 8000, 9000), scale, 10), "--------##");
        assert_eq!(bar(&node("a", 5000, 9000, 10_000), scale, 10), "     ----#");
        let slow = NodeTimeline { last_out: Some(Duration::from_millis(3)), ..node("a", 0, 8000, 9000) };
        assert_eq!(bar(&slow, scale, 10), ">>>-----##");
        assert_eq!(bar(&NodeTimeline { last_back: None, ..node("a", 0, 1, 1) }, scale, 10), "");
    }

    #[test]
    fn a_narrow_terminal_gets_bars_of_their_own() {
        let wide = draw(&shown(3), 120);
        let narrow = draw(&shown(3), 60);
        assert_eq!(narrow.lines().count(), wide.lines().count() + 6);
        assert!(narrow.lines().all(|line| line.len() <= 90), "{narrow}");
    }

    #[test]
    fn of_many_nodes_the_slowest_are_drawn() {
        let text = draw(&shown(48), 120);
        assert!(text.contains("... and 32 nodes that were faster"), "{text}");
        assert!(text.contains("last to answer: 127.0.0.1:47"), "{text}");
    }
}
