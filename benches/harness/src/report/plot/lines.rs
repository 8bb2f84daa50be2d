//! Lines with their names at their ends.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::scale::{Scale, apart};
use super::theme::{self, PIXEL, SMALL_PX, TEXT_PX, TITLE_PX};

/// A picture of lines over two axes.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) x_name: String,
    pub(crate) y_name: String,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) lines: Vec<Line>,
    /// Whether the points are few, and are to be seen.
    pub(crate) marked: bool,
}

/// A contender's line.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Its place among the contenders of the document.
    pub(crate) at: usize,
    /// Values, in the order of x.
    pub(crate) points: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const WIDTH: i32 = 1020 * PIXEL;
const HEIGHT: i32 = 420 * PIXEL;
const LEFT: i32 = 64 * PIXEL;
const TOP: i32 = 66 * PIXEL;
const BOTTOM: i32 = 56 * PIXEL;
/// From the plot to the names at its right.
const LEADER: i32 = 18 * PIXEL;
const LABEL_GAP: i32 = 17 * PIXEL;
const NAME_LETTERS_MAX: usize = 36;

impl Lines {
    /// Draws it.
    ///
    /// # Errors
    /// None that is known: it is drawn into memory.
    pub(crate) fn svg(&self) -> Result<String> {
        let names = self.lines.len() as i32;
        // Grows with the names, which must not lie on each other.
        let height = HEIGHT.max(TOP + BOTTOM + (names + 1) * LABEL_GAP);
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
            self.draw(&root, height)?;
            root.present()?;
        }
        Ok(theme::finished(&svg, (WIDTH, height), &self.title))
    }

    fn name(line: &Line) -> String {
        theme::shortened(&line.name, NAME_LETTERS_MAX)
    }

    fn draw(&self, root: &Area<'_>, height: i32) -> Result<()> {
        let widths = self.lines.iter().map(|line| theme::text_width(&Self::name(line), TEXT_PX));
        let right = LEADER + 8 * PIXEL + widths.max().unwrap_or(0);
        self.draw_texts(root, height, right)?;
        let mut chart = ChartBuilder::on(root)
            .margin_top(TOP)
            .margin_right(right)
            .margin_bottom(BOTTOM - 26 * PIXEL)
            .x_label_area_size(26 * PIXEL)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(theme::grid())
            .light_line_style(TRANSPARENT)
            .axis_style(theme::grid())
            .label_style(theme::letters(SMALL_PX, theme::quiet(), false))
            .set_tick_mark_size(LabelAreaPosition::Left, 4 * PIXEL)
            .set_tick_mark_size(LabelAreaPosition::Bottom, 4 * PIXEL)
            .draw()?;
        let mut ends = Vec::new();
        for line in &self.lines {
            let style = ShapeStyle::from(&theme::contender(line.at)).stroke_width((2 * PIXEL) as u32);
            if theme::dashed(line.at) {
                let (dash, space) = ((7 * PIXEL) as u32, (4 * PIXEL) as u32);
                chart.draw_series(DashedLineSeries::new(line.points.iter().copied(), dash, space, style))?;
            } else {
                chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
            }
            if self.marked {
                let dot = |&place: &(f64, f64)| Circle::new(place, (7 * PIXEL) / 2, style.filled());
                chart.draw_series(line.points.iter().map(dot))?;
            }
            ends.extend(line.points.last().map(|place| (line, chart.backend_coord(place))));
        }
        draw_names(root, &ends, (TOP, height - BOTTOM), WIDTH - right)?;
        Ok(())
    }

    fn draw_texts(&self, root: &Area<'_>, height: i32, right: i32) -> Result<()> {
        let (left, top) = (Pos::new(HPos::Left, VPos::Top), 10 * PIXEL);
        let title = theme::letters(TITLE_PX, theme::text(), true).pos(left);
        let letters = (f64::from(WIDTH / PIXEL - 24) / (TITLE_PX * 0.58)) as usize;
        let shown = theme::shortened(&self.title, letters);
        root.draw(&Text::new(shown, (8 * PIXEL, top), title))?;
        let quiet = theme::letters(SMALL_PX, theme::quiet(), false);
        let scale = |scale: &Scale| if scale.is_logarithmic() { ", logarithmic" } else { "" };
        let y_name = format!("{}{}", self.y_name, scale(&self.y));
        root.draw(&Text::new(y_name, (8 * PIXEL, top + 26 * PIXEL), quiet.pos(left)))?;
        let x_name = format!("{}{}", self.x_name, scale(&self.x));
        let middle = (LEFT, WIDTH - right);
        let place = ((middle.0 + middle.1) / 2, height - 12 * PIXEL);
        root.draw(&Text::new(x_name, place, quiet.pos(Pos::new(HPos::Center, VPos::Bottom))))?;
        Ok(())
    }
}

/// Names at the right, as near to the ends of their lines as the others allow.
fn draw_names(root: &Area<'_>, ends: &[(&Line, (i32, i32))], inside: (i32, i32), edge: i32) -> Result<()> {
    let wishes: Vec<i32> = ends.iter().map(|(_, (_, y))| *y).collect();
    let places = apart(&wishes, LABEL_GAP, inside);
    for ((line, (x, y)), place) in ends.iter().zip(places) {
        let colour = theme::contender(line.at);
        let leader = ShapeStyle::from(&colour.mix(0.6)).stroke_width(PIXEL as u32);
        let bend = [(x + 5 * PIXEL, *y), (edge.max(*x) + 3 * PIXEL, *y), (edge + LEADER - 3 * PIXEL, place)];
        root.draw(&PathElement::new(bend.to_vec(), leader))?;
        let text = theme::letters(TEXT_PX, colour, false).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(Lines::name(line), (edge + LEADER, place), text))?;
    }
    Ok(())
}
