//! Flushes as a picture: a row a node, bars to scale, readable on light and dark backgrounds.

use std::fmt::Write as _;
use std::time::Duration;

use panpipe::engine::{NodeTimeline, Timeline};

use super::Shown;
use super::text::{TURNS, ms};
use crate::scene::escaped;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 80.0;
const ROW: f64 = 22.0;
/// Of many nodes.
const ROW_SMALL: f64 = 15.0;
const MANY: usize = 16;
const TICKS: usize = 5;

const STYLE: &str = "\
svg { background: #ffffff; }
text { font-family: system-ui, 'DejaVu Sans', sans-serif; font-size: 12px; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.head { font-size: 13px; font-weight: 600; }
.dim { fill: #59636e; font-size: 11px; }
.axis { stroke: #d1d9e0; stroke-width: 1; }
.end { stroke: #1f2328; stroke-width: 1.2; stroke-dasharray: 3 2; }
.send { fill: #0969da; }
.wait { fill: #c8d1da; }
.back { fill: #1a7f37; }
.mark { stroke: #1f2328; stroke-width: 1.6; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; }
text { fill: #e6edf3; }
.dim { fill: #9198a1; }
.axis { stroke: #3d444d; }
.end, .mark { stroke: #e6edf3; }
.send { fill: #58a6ff; }
.wait { fill: #3d444d; }
.back { fill: #3fb950; }
}
";

/// The picture.
pub(super) fn draw(shown: &Shown) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    text(&mut body, 20.0, y, "title", "One flush, node by node");
    y += 20.0;
    text(&mut body, 20.0, y, "dim", &shown.what);
    y += 24.0;
    legend(&mut body, y);
    y += 18.0;
    text(
        &mut body,
        20.0,
        y,
        "dim",
        &format!("Number at the right: its last reply, in ms after the call of flush. {TURNS}"),
    );
    y += 32.0;
    let median = format!("median flush of {}: {} ms", shown.flushes, ms(shown.median.total));
    let slowest = format!("slowest of them: {} ms", ms(shown.slowest.total));
    for (title, timeline) in [(median, &shown.median), (slowest, &shown.slowest)] {
        text(&mut body, 20.0, y, "head", &title);
        y = flush(&mut body, timeline, y + 12.0) + 36.0;
    }
    let height = y - 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{height:.0}\" role=\"img\">\n<style>\n{STYLE}</style>\n{body}</svg>\n"
    )
}

/// One flush from `y` on; answers where it ends.
fn flush(body: &mut String, timeline: &Timeline, y: f64) -> f64 {
    let row = if timeline.nodes.len() > MANY { ROW_SMALL } else { ROW };
    let bottom = y + row * timeline.nodes.len() as f64;
    let step = step(timeline.total);
    let x = |at: Duration| {
        let share = at.as_secs_f64() / timeline.total.as_secs_f64().max(1e-9);
        LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
    };
    let mut at = Duration::ZERO;
    while at <= timeline.total {
        line(body, "axis", x(at), y, bottom + 4.0);
        anchored(body, x(at), bottom + 16.0, "dim", "middle", &ms_short(at));
        at += step;
    }
    line(body, "end", x(timeline.total), y - 2.0, bottom + 4.0);
    anchored(body, WIDTH - RIGHT + 8.0, bottom + 16.0, "dim", "start", "ms");
    let mut nodes: Vec<&NodeTimeline> = timeline.nodes.iter().collect();
    nodes.sort_by_key(|node| node.first_out);
    for (number, node) in nodes.into_iter().enumerate() {
        self::node(body, node, y + row * number as f64, row, &x);
    }
    bottom + 16.0
}

fn node(body: &mut String, node: &NodeTimeline, y: f64, row: f64, x: &impl Fn(Duration) -> f64) {
    let time = |at: Option<Duration>| at.map_or_else(|| "-".to_owned(), ms);
    // Writing into a string cannot fail.
    let _ = writeln!(
        body,
        "<g class=\"node\"><title>{}: {} commands, {} bytes; out {} to {} ms, back {} to {} ms</title>",
        escaped(&node.node),
        node.commands,
        node.bytes,
        time(node.first_out),
        time(node.last_out),
        time(node.first_back),
        time(node.last_back)
    );
    let middle = y + row / 2.0;
    anchored(body, LEFT - 10.0, middle + 4.0, "", "end", &node.node);
    let top = y + row * 0.2;
    let high = row * 0.6;
    let mut bar = |class: &str, from: Duration, to: Duration| {
        let (from, to) = (x(from), x(to));
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{high:.1}\"/>",
            (to - from).max(1.0)
        );
    };
    if let (Some(first_out), Some(last_out)) = (node.first_out, node.last_out) {
        if let (Some(first), Some(last)) = (node.first_back, node.last_back) {
            bar("wait", first_out, first);
            bar("back", first, last);
        }
        // Where replies come before all is sent, both are seen: the sending is half as high.
        let half = high / 2.0;
        let (from, to) = (x(first_out), x(last_out));
        let _ = writeln!(
            body,
            "<rect class=\"send\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{half:.1}\"/>",
            top + half / 2.0,
            (to - from).max(3.0)
        );
    }
    for at in [node.first_back, node.last_back].into_iter().flatten() {
        line(body, "mark", x(at), top - 1.0, top + high + 1.0);
    }
    if let Some(last) = node.last_back {
        anchored(body, WIDTH - RIGHT + 8.0, middle + 4.0, "dim", "start", &ms(last));
    }
    body.push_str("</g>\n");
}

fn legend(body: &mut String, y: f64) {
    let entries = [
        ("send", "first to last byte written"),
        ("wait", "waiting"),
        ("back", "first to last byte of its replies (both marked)"),
    ];
    let mut x = 20.0;
    for (class, name) in entries {
        let top = y - 10.0;
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{x:.0}\" y=\"{top:.0}\" width=\"12\" height=\"12\"/>"
        );
        text(body, x + 18.0, y, "dim", name);
        x += 44.0 + 6.2 * name.len() as f64;
    }
}

fn text(body: &mut String, x: f64, y: f64, class: &str, content: &str) {
    anchored(body, x, y, class, "start", content);
}

fn anchored(body: &mut String, x: f64, y: f64, class: &str, anchor: &str, content: &str) {
    let content = escaped(content);
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>"
    );
}

fn line(body: &mut String, class: &str, x: f64, from: f64, to: f64) {
    let _ = writeln!(
        body,
        "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>"
    );
}

/// A round distance between ticks: 1, 2 or 5 times a power of ten.
fn step(total: Duration) -> Duration {
    let wanted = total.as_nanos().max(1) / TICKS as u128;
    let mut unit = 1_u128;
    while unit * 10 <= wanted {
        unit *= 10;
    }
    let factor = [1, 2, 5, 10].into_iter().find(|factor| unit * factor >= wanted).unwrap_or(10);
    Duration::from_nanos(u64::try_from(unit * factor).unwrap_or(u64::MAX))
}

fn ms_short(at: Duration) -> String {
    let text = ms(at);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn ticks_are_round() {
        let step_us = |us| step(Duration::from_micros(us)).as_micros();
        assert_eq!([step_us(100), step_us(1000), step_us(2345), step_us(9000)], [20, 200, 500, 2000]);
        assert!(!step(Duration::ZERO).is_zero());
        assert_eq!(ms_short(Duration::from_micros(1500)), "1.5");
        assert_eq!(ms_short(Duration::ZERO), "0");
    }

    #[test]
    fn every_node_has_a_row_and_nothing_is_left_unescaped() {
        for nodes in [3, 12, 48] {
            let svg = draw(&shown(nodes));
            assert_eq!(svg.matches("class=\"node\"").count(), 2 * nodes);
            assert!(svg.contains("W2 on &lt;sink&gt;") && svg.contains("prefers-color-scheme: dark"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
