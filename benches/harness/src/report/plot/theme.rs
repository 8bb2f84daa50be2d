//! Colours and letters of plots, on light paper and on dark.
//!
//! A plot is drawn in the colours for light paper, without a background. A style sheet inside the file replaces each of them where the
//! reader prefers dark: rules of style sheets go before attributes. The colours differ in lightness as well as in hue, so that they can
//! be told apart by readers who do not see all hues; lines are labelled at their ends besides.

use std::fmt::Write as _;

use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};

/// On light paper, and on dark.
struct Colour {
    light: RGBColor,
    dark: RGBColor,
}

const fn colour(light: u32, dark: u32) -> Colour {
    const fn rgb(hex: u32) -> RGBColor {
        RGBColor((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
    }
    Colour { light: rgb(light), dark: rgb(dark) }
}

const TEXT: Colour = colour(0x2B2F36, 0xE3E5E8);
const QUIET: Colour = colour(0x6A7079, 0xA3A9B2);
const GRID: Colour = colour(0xDFE2E6, 0x363B42);
const CONTENDERS: [Colour; 8] = [
    colour(0x5E6672, 0xB9C0CA),
    colour(0x0B66B0, 0x58AEF5),
    colour(0xC9540A, 0xF5944D),
    colour(0x0B8461, 0x3CC79C),
    colour(0x7E3FA6, 0xC692EA),
    colour(0xA07A00, 0xE3C04A),
    colour(0xBE3D78, 0xF493BF),
    colour(0x2793B5, 0x8ADBF0),
];

/// Units of a drawing in a pixel: plotters knows whole numbers only, and curves want to be smoother than that.
pub(crate) const PIXEL: i32 = 4;
/// plotters writes a smaller size of letters into the file than it is told.
const PLOTTERS_FACTOR: f64 = 1.24;
/// Letters, in pixels.
pub(crate) const TEXT_PX: f64 = 13.0;
pub(crate) const TITLE_PX: f64 = 15.0;
pub(crate) const SMALL_PX: f64 = 12.0;
/// The width of a letter, in heights: generous, because nobody knows the reader's font.
const LETTER: f64 = 0.58;

/// The colour of the contender at this place of the document.
pub(crate) fn contender(at: usize) -> RGBColor {
    CONTENDERS[at % CONTENDERS.len()].light
}

/// Whether its colour has been used before, so that its line must be another kind of line.
pub(crate) fn dashed(at: usize) -> bool {
    at / CONTENDERS.len() % 2 == 1
}

pub(crate) fn text() -> RGBColor {
    TEXT.light
}

pub(crate) fn quiet() -> RGBColor {
    QUIET.light
}

/// Lines that guide the eye.
pub(crate) fn grid() -> ShapeStyle {
    ShapeStyle::from(&GRID.light).stroke_width(PIXEL as u32)
}

/// Letters of this size and colour.
pub(crate) fn letters(px: f64, colour: RGBColor, bold: bool) -> TextStyle<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = FontDesc::new(FontFamily::SansSerif, px * PLOTTERS_FACTOR * f64::from(PIXEL), style);
    let mut letters = TextStyle::from(font);
    letters.color = colour.to_backend_color();
    letters
}

/// Units that a text takes, at most.
pub(crate) fn text_width(text: &str, px: f64) -> i32 {
    (text.chars().count() as f64 * px * LETTER).ceil() as i32 * PIXEL
}

/// A text that takes at most so many letters.
pub(crate) fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// A drawing as plotters left it, with its style sheet, and a description for those who do not see it.
pub(crate) fn finished(svg: &str, (width, height): (i32, i32), title: &str) -> String {
    let body = svg.split_once('>').map_or("", |(_head, body)| body);
    let mut finished = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n",
        width / PIXEL,
        height / PIXEL,
        escaped(title)
    );
    finished.push_str("text { font-family: system-ui, \"Segoe UI\", \"Helvetica Neue\", Arial, sans-serif; ");
    finished.push_str("font-variant-numeric: tabular-nums; }\n@media (prefers-color-scheme: dark) {\n");
    for colour in [TEXT, QUIET, GRID].iter().chain(&CONTENDERS) {
        let (light, dark) = (hex(colour.light), hex(colour.dark));
        // Writing into a string cannot fail.
        let _ = writeln!(
            finished,
            "[fill=\"{light}\"] {{ fill: {dark}; }} [stroke=\"{light}\"] {{ stroke: {dark}; }}"
        );
    }
    finished.push_str("}\n</style>");
    finished.push_str(body);
    finished
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Text as it may stand in XML and HTML, in attributes too.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No XML can have them, whatever is done to them.
            control if control.is_control() && !"\n\t".contains(control) => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How well one colour is seen on the other: the ratio of WCAG 2.
    fn contrast(a: RGBColor, b: RGBColor) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let luminance =
            |RGBColor(r, g, b): RGBColor| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        let (light, dark) = (luminance(a).max(luminance(b)), luminance(a).min(luminance(b)));
        (light + 0.05) / (dark + 0.05)
    }

    #[test]
    fn everything_is_seen_on_its_paper() {
        let (white, black) = (RGBColor(255, 255, 255), RGBColor(0x17, 0x1A, 0x1F));
        for Colour { light, dark } in &CONTENDERS {
            assert!(contrast(*light, white) > 3.0 && contrast(*dark, black) > 3.0, "{light:?} {dark:?}");
        }
        for Colour { light, dark } in [TEXT, QUIET] {
            assert!(contrast(light, white) > 4.5 && contrast(dark, black) > 4.5, "{light:?} {dark:?}");
        }
    }

    #[test]
    fn texts_are_escaped_and_shortened() {
        assert_eq!(escaped("<a href=\"x\">&'\u{1}"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{FFFD}");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
