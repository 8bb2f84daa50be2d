//! Processor time per command: a bar for each contender, in user mode and in the kernel.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::format::{number, ratio};
use super::super::summary::Summary;
use super::scale::Scale;
use super::theme::{self, PIXEL, SMALL_PX, TEXT_PX, TITLE_PX};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const WIDTH: i32 = 1020 * PIXEL;
const TOP: i32 = 66 * PIXEL;
const BOTTOM: i32 = 50 * PIXEL;
const ROW: i32 = 30 * PIXEL;
const BAR: i32 = 18 * PIXEL;
const NAME_LETTERS_MAX: usize = 40;
/// The kernel's part is paler.
const KERNEL: f64 = 0.5;

/// The contenders of a race; one that has no figure has the reason in place of its bar.
pub(crate) struct Bars<'a, 'b> {
    pub(crate) title: String,
    /// With its place among the contenders of the document.
    pub(crate) summaries: Vec<(usize, &'b Summary<'a>)>,
}

impl Bars<'_, '_> {
    /// Draws it. `None` where nobody has figures.
    ///
    /// # Errors
    /// None that is known: it is drawn into memory.
    pub(crate) fn svg(&self) -> Result<Option<String>> {
        let highest = self.summaries.iter().filter_map(|(_, summary)| Some(summary.cpu?.max));
        let Some(max) = highest.reduce(f64::max) else { return Ok(None) };
        let Some(scale) = Scale::of_figures([max].into_iter()) else { return Ok(None) };
        let height = TOP + BOTTOM + self.summaries.len() as i32 * ROW;
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
            self.draw(&root, height, &scale)?;
            root.present()?;
        }
        Ok(Some(theme::finished(&svg, (WIDTH, height), &self.title)))
    }

    fn draw(&self, root: &Area<'_>, height: i32, scale: &Scale) -> Result<()> {
        let name = |summary: &Summary<'_>| theme::shortened(&summary.entrant.contender, NAME_LETTERS_MAX);
        let names = self.summaries.iter().map(|(_, summary)| theme::text_width(&name(summary), TEXT_PX));
        let left = names.max().unwrap_or(0) + 24 * PIXEL;
        // Room for the figures behind the longest bar.
        let right = 120 * PIXEL;
        let rows = self.summaries.len() as f64;
        let mut chart = ChartBuilder::on(root)
            .margin_top(TOP)
            .margin_right(right)
            .margin_left(left)
            .margin_bottom(BOTTOM - 26 * PIXEL)
            .x_label_area_size(26 * PIXEL)
            .build_cartesian_2d(scale.clone(), 0.0..rows)?;
        chart
            .configure_mesh()
            .bold_line_style(theme::grid())
            .light_line_style(TRANSPARENT)
            .axis_style(theme::grid())
            .label_style(theme::letters(SMALL_PX, theme::quiet(), false))
            .disable_y_mesh()
            .disable_y_axis()
            .set_tick_mark_size(LabelAreaPosition::Bottom, 4 * PIXEL)
            .draw()?;
        let place = |value: f64| chart.backend_coord(&(value, 0.0)).0;
        for (row, (at, summary)) in self.summaries.iter().enumerate() {
            let middle = TOP + row as i32 * ROW + ROW / 2;
            let text = theme::letters(TEXT_PX, theme::text(), false);
            let style = text.pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(name(summary), (left - 10 * PIXEL, middle), style))?;
            draw_bar(root, (*at, summary), middle, &place)?;
        }
        draw_texts(root, &self.title, (left, height))
    }
}

fn draw_bar(
    root: &Area<'_>,
    (at, summary): (usize, &Summary<'_>),
    middle: i32,
    place: &dyn Fn(f64) -> i32,
) -> Result<()> {
    let behind = Pos::new(HPos::Left, VPos::Center);
    let (Some(cpu), Some(user), Some(system)) = (summary.cpu, summary.user, summary.system) else {
        let reason = summary.entrant.failure.as_deref().unwrap_or("no figures");
        let text = theme::letters(SMALL_PX, theme::quiet(), false).pos(behind);
        let reason = theme::shortened(&format!("failed: {}", reason.replace('\n', " ")), 80);
        root.draw(&Text::new(reason, (place(0.0) + 8 * PIXEL, middle), text))?;
        return Ok(());
    };
    let colour = theme::contender(at);
    // The medians of two parts need not add up to the median of the whole, whose length the bar has.
    let border = place(cpu.middle * user.middle / (user.middle + system.middle).max(f64::MIN_POSITIVE));
    let (top, bottom) = (middle - BAR / 2, middle + BAR / 2);
    let (begin, end) = (place(0.0), place(cpu.middle));
    root.draw(&Rectangle::new([(begin, top), (border, bottom)], colour.filled()))?;
    root.draw(&Rectangle::new([(border, top), (end, bottom)], colour.mix(KERNEL).filled()))?;
    let whisker = ShapeStyle::from(&theme::text()).stroke_width((PIXEL * 3 / 2) as u32);
    let (min, max) = (place(cpu.min), place(cpu.max));
    if max - min > 2 * PIXEL {
        root.draw(&PathElement::new(vec![(min, middle), (max, middle)], whisker))?;
        for edge in [min, max] {
            root.draw(&PathElement::new(
                vec![(edge, middle - 3 * PIXEL), (edge, middle + 3 * PIXEL)],
                whisker,
            ))?;
        }
    }
    let times = summary.cpu_ratio.map_or_else(String::new, |of| format!(" · {} ×", ratio(of.middle)));
    let mark = if summary.entrant.failure.is_some() { " !" } else { "" };
    let figures = format!("{}{times}{mark}", number(cpu.middle));
    let text = theme::letters(SMALL_PX, theme::text(), false).pos(behind);
    root.draw(&Text::new(figures, (end.max(max) + 8 * PIXEL, middle), text))?;
    Ok(())
}

fn draw_texts(root: &Area<'_>, title: &str, (left, height): (i32, i32)) -> Result<()> {
    let (corner, top) = (Pos::new(HPos::Left, VPos::Top), 10 * PIXEL);
    let style = theme::letters(TITLE_PX, theme::text(), true).pos(corner);
    let letters = (f64::from(WIDTH / PIXEL - 24) / (TITLE_PX * 0.58)) as usize;
    root.draw(&Text::new(theme::shortened(title, letters), (8 * PIXEL, top), style))?;
    let quiet = theme::letters(SMALL_PX, theme::quiet(), false);
    let below = top + 26 * PIXEL;
    let about = "full: user mode, pale: kernel; line: lowest and highest round; figures: median and ratio to the base";
    root.draw(&Text::new(about, (8 * PIXEL, below), quiet.pos(corner)))?;
    let name = "processor time per command, ns";
    let place = ((left + WIDTH - 120 * PIXEL) / 2, height - 8 * PIXEL);
    root.draw(&Text::new(name, place, quiet.pos(Pos::new(HPos::Center, VPos::Bottom))))?;
    Ok(())
}
