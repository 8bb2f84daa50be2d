//! Flame graphs: inferno draws them, with a colour for each stage, and what the colours mean is added below.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use inferno::differential;
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{self, Options};

use super::stages::{self, Stage};
use super::{Caption, LOOPBACK};
use crate::scene::escaped;

const FONT: &str = "system-ui, DejaVu Sans, sans-serif";
const WIDTH: usize = 1200;
const BACKGROUND: Color = Color { r: 255, g: 255, b: 255 };
/// The kernel, and what no rule knows, whatever stage they are in.
const KERNEL: Color = Color { r: 244, g: 214, b: 200 };
const UNKNOWN: Color = Color { r: 232, g: 232, b: 232 };
const LEGEND_HEIGHT: usize = 52;

/// Draws folded stacks.
///
/// # Errors
/// Where the picture cannot be written.
pub(super) fn draw(caption: &Caption, folded: &str, path: &Path) -> Result<()> {
    let mut palette = palette(folded);
    let mut options = options(caption.title.clone(), caption.subtitle.clone());
    options.palette_map = Some(&mut palette);
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, folded.lines(), &mut svg)
        .context("the flame graph cannot be drawn")?;
    write(path, &svg, &legend())
}

/// Draws what has changed: wider and red is more, blue is less, both of the whole of their run.
///
/// # Errors
/// As [`draw`].
pub(super) fn draw_difference(caption: &Caption, earlier: &str, folded: &str, path: &Path) -> Result<()> {
    let mut lines = Vec::new();
    let normalized = differential::Options { normalize: true, ..differential::Options::default() };
    differential::from_readers(normalized, earlier.as_bytes(), folded.as_bytes(), &mut lines)
        .context("the runs cannot be compared")?;
    let lines = String::from_utf8_lossy(&lines);
    let title = format!("{}, against the earlier run", caption.title);
    let mut options = options(title, caption.subtitle.clone());
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.lines(), &mut svg)
        .context("the difference cannot be drawn")?;
    let legend = "Widths are this run's. Red: a larger share than in the earlier run; blue: a smaller one.";
    write(path, &svg, &words(legend, 14))
}

fn options(title: String, subtitle: String) -> Options<'static> {
    let mut options = Options::default();
    options.title = title;
    options.subtitle = Some(subtitle);
    options.count_name = "samples".to_owned();
    options.name_type = "Function:".to_owned();
    options.font_type = FONT.to_owned();
    options.image_width = Some(WIDTH);
    options.bgcolors = Some(BackgroundColor::Flat(BACKGROUND));
    options.min_width = 0.05;
    options
}

/// A colour for every frame: its stage's where a rule knows it.
fn palette(folded: &str) -> PaletteMap {
    let mut palette = PaletteMap::default();
    palette.insert("all", UNKNOWN);
    palette.insert("", UNKNOWN);
    for (stack, _) in stages::lines(folded) {
        for frame in stack.split(';') {
            let color = match stages::of_frame(frame) {
                Some(stage) => color_of(stage),
                None if frame.ends_with("_[k]") => KERNEL,
                None => UNKNOWN,
            };
            palette.insert(frame, color);
            // The picture's own name for an inlined or kernel frame.
            palette.insert(frame.trim_end_matches("_[k]").trim_end_matches("_[i]"), color);
        }
    }
    palette
}

fn color_of(stage: Stage) -> Color {
    let (r, g, b) = stage.color();
    Color { r, g, b }
}

/// Swatches with the stages' names, and the line on loopback.
fn legend() -> String {
    let mut text = String::new();
    let mut x = 10;
    let stages = Stage::ALL.map(|stage| (stage.about().0, color_of(stage)));
    for (name, color) in stages.into_iter().chain([("kernel", KERNEL), ("no rule", UNKNOWN)]) {
        let Color { r, g, b } = color;
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "<rect x=\"{x}\" y=\"4\" width=\"12\" height=\"12\" fill=\"rgb({r},{g},{b})\" stroke=\"#888\" stroke-width=\"0.5\"/>\
             <text x=\"{}\" y=\"14\">{name}</text>",
            x + 17
        );
        x += 32 + 8 * name.len();
    }
    text + &words(LOOPBACK, 36)
}

fn words(text: &str, y: usize) -> String {
    format!("<text x=\"10\" y=\"{y}\">{}</text>", escaped(text))
}

/// Writes the picture with a strip added at its lower edge.
fn write(path: &Path, svg: &[u8], strip: &str) -> Result<()> {
    let svg = with_strip(&String::from_utf8_lossy(svg), strip)?;
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

fn with_strip(svg: &str, strip: &str) -> Result<String> {
    let Some(height) = attribute(svg, "height").and_then(|height| height.parse::<usize>().ok()) else {
        bail!("a flame graph has no height");
    };
    let taller = height + LEGEND_HEIGHT;
    let Some((inside, end)) = svg.rsplit_once("</svg>") else { bail!("a flame graph does not end") };
    // The first mention is the whole picture's own; the next is its background's.
    let inside = inside.replacen(&format!("height=\"{height}\""), &format!("height=\"{taller}\""), 2);
    let inside = inside.replacen(
        &format!("viewBox=\"0 0 {WIDTH} {height}\""),
        &format!("viewBox=\"0 0 {WIDTH} {taller}\""),
        1,
    );
    let group = format!("<g transform=\"translate(0 {height})\" font-size=\"12\" font-family=\"{FONT}\">");
    Ok(format!("{inside}{group}{strip}</g></svg>{end}"))
}

fn attribute<'a>(svg: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = svg.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDED: &str = "p;panpipe_bench::load::drive;panpipe::slot::slot_of_[i] 5\n\
        p;panpipe_bench::load::drive;x;__send;__x64_sys_sendto_[k];tcp_sendmsg_[k] 9\n";

    fn caption() -> Caption {
        Caption { title: "panpipe: W2 <on> sink".to_owned(), subtitle: "14 samples".to_owned() }
    }

    fn drawn(name: &str, draw: impl FnOnce(&Path) -> Result<()>) -> String {
        let path = std::env::temp_dir().join(format!("panpipe-bench-{}-{name}.svg", std::process::id()));
        draw(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        svg
    }

    #[test]
    fn a_picture_says_what_it_shows() {
        let svg = drawn("plain", |path| draw(&caption(), FOLDED, path));
        for text in [
            "panpipe: W2 &lt;on&gt; sink",
            "14 samples",
            "tcp_sendmsg",
            "server&apos;s receive path",
            ">deliver<",
        ] {
            let text = text.replace("&apos;", "'");
            assert!(svg.contains(&text), "{text}");
        }
        let (r, g, b) = Stage::Route.color();
        assert!(svg.contains(&format!("rgb({r},{g},{b})")), "stages have colours");
    }

    #[test]
    fn a_difference_needs_two_runs() {
        let earlier = "p;panpipe_bench::load::drive;panpipe::slot::slot_of_[i] 5\n";
        let svg = drawn("diff", |path| draw_difference(&caption(), earlier, FOLDED, path));
        assert!(svg.contains("against the earlier run") && svg.contains("slot_of"), "{svg}");
    }

    #[test]
    fn the_strip_is_below_the_graph() {
        let svg = "<svg version=\"1.1\" width=\"1200\" height=\"300\" viewBox=\"0 0 1200 300\"><rect height=\"300\"/></svg>";
        let with = with_strip(svg, "<text/>").unwrap();
        assert_eq!(with.matches("height=\"352\"").count(), 2);
        assert!(with.contains("viewBox=\"0 0 1200 352\"") && with.contains("translate(0 300)"));
        assert!(with_strip("<svg/>", "").is_err());
    }
}
