//! Documents as aligned text for a terminal of a hundred columns.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};

use super::columns::{Column, MAIN, MORE};
use super::describe;
use super::document::Document;
use super::format::{MISSING, middle, ratio};
use super::summary::{Summary, summaries};
use super::sweep::{Sweep, sweeps};
use crate::race::Outcome;

const WIDTH: u16 = 100;
/// Columns between cells.
const GAP: u16 = 2;

/// What a reader wants to know first: one table per outcome, and one per sweep.
pub(crate) fn table(document: &Document, base: Option<&str>) -> String {
    each(document, base, |_, summaries| contenders(MAIN, summaries)) + &sweep_tables(document, base)
}

/// All figures.
pub(crate) fn wide(document: &Document, base: Option<&str>) -> String {
    let parts = |_: &Outcome, summaries: &[Summary<'_>]| {
        let mut text = contenders(MAIN, summaries);
        for (title, columns) in MORE {
            let _ = write!(text, "\n{title}\n{}", contenders(columns, summaries));
        }
        text
    };
    each(document, base, parts) + &sweep_tables(document, base)
}

/// How each contender was set up; said once where it was the same everywhere.
pub(crate) fn settings(document: &Document) -> String {
    let mut text = String::new();
    for (contender, settings) in distinct_settings(document) {
        let _ = writeln!(text, "\n{contender}");
        let width = settings.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in settings {
            let _ = writeln!(text, "  {name:<width$}  {value}");
        }
    }
    text
}

/// Names and settings; a contender that had others in another outcome appears again.
pub(crate) fn distinct_settings(document: &Document) -> Vec<(&str, &[(String, String)])> {
    let mut found: Vec<(&str, &[(String, String)])> = Vec::new();
    for entrant in document.outcomes.iter().flat_map(|outcome| &outcome.results) {
        let settings = (entrant.contender.as_str(), entrant.settings.as_slice());
        if !settings.1.is_empty() && !found.contains(&settings) {
            found.push(settings);
        }
    }
    found.sort_by_key(|(name, _)| document.contenders().iter().position(|other| other == name));
    found
}

fn each(
    document: &Document,
    base: Option<&str>,
    body: impl Fn(&Outcome, &[Summary<'_>]) -> String,
) -> String {
    let mut text = String::new();
    for outcome in &document.outcomes {
        let summaries = summaries(outcome, base);
        let race = &outcome.race;
        let _ = writeln!(text, "\n{}", describe::title(race));
        for line in wrapped(&describe::particulars(race)) {
            let _ = writeln!(text, "{line}");
        }
        let _ = write!(text, "\n{}", body(outcome, &summaries));
        for summary in &summaries {
            if let Some(reason) = &summary.entrant.failure {
                let _ = writeln!(text, "! {}: {}", summary.entrant.contender, reason.trim());
            }
        }
    }
    text
}

/// Broken between the parts.
fn wrapped(particulars: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in particulars.split(" · ") {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + part.chars().count() <= usize::from(WIDTH) => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// A row per contender.
fn contenders(columns: &[Column], summaries: &[Summary<'_>]) -> String {
    let mut table = Table::new();
    let heads = columns.iter().map(|column| format!("{}\n{}", column.head, column.unit));
    table.set_header(std::iter::once("contender".to_owned()).chain(heads));
    for summary in summaries {
        let cells = columns.iter().map(|column| (column.cell)(summary));
        table.add_row(std::iter::once(summary.entrant.contender.clone()).chain(cells));
    }
    aligned(&table)
}

/// First column to the left, numbers to the right. Where it is too wide the gaps shrink first, and then names are broken.
fn aligned(table: &Table) -> String {
    let lines = |gap: u16, arrangement: ContentArrangement| {
        let mut table = table.clone();
        table.load_style(NOTHING).set_content_arrangement(arrangement).set_width(WIDTH + gap);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, gap));
            if at > 0 {
                column.set_cell_alignment(CellAlignment::Right);
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<String>>()
    };
    let mut shown = lines(GAP, ContentArrangement::Disabled);
    let fits = |lines: &[String]| lines.iter().all(|line| line.chars().count() <= usize::from(WIDTH));
    if !fits(&shown) {
        shown = lines(1, ContentArrangement::Disabled);
    }
    if !fits(&shown) {
        shown = lines(1, ContentArrangement::Dynamic);
    }
    shown.iter().fold(String::new(), |text, line| text + line + "\n")
}

fn sweep_tables(document: &Document, base: Option<&str>) -> String {
    let mut text = String::new();
    for sweep in sweeps(&document.outcomes) {
        let _ = writeln!(
            text,
            "\n{}\nCPU ns/cmd, and its ratio to the base; ! where it failed before the end",
            sweep.title()
        );
        for part in parts(&sweep) {
            let _ = write!(text, "\n{}", aligned(&sweep_table(&sweep, part, base)));
        }
    }
    text
}

/// Contenders that fit beside each other.
fn parts<'a>(sweep: &Sweep<'a>) -> Vec<Vec<&'a str>> {
    let label = |width: usize, point: &&Outcome| width.max(sweep.label(point).chars().count());
    let first = sweep.points.iter().fold(sweep.axis.name().chars().count(), label) + usize::from(GAP);
    let (mut parts, mut width): (Vec<Vec<&str>>, usize) = (Vec::new(), usize::from(WIDTH));
    for name in sweep.contenders() {
        // "12345  12.34" at least.
        let column = name.chars().count().max(12) + usize::from(GAP);
        if width + column > usize::from(WIDTH) {
            parts.push(Vec::new());
            width = first;
        }
        width += column;
        parts.last_mut().expect("there is one since the first").push(name);
    }
    parts
}

fn sweep_table(sweep: &Sweep<'_>, names: Vec<&str>, base: Option<&str>) -> Table {
    let mut table = Table::new();
    table.set_header(std::iter::once(sweep.axis.name()).chain(names.iter().copied()));
    for point in &sweep.points {
        let summaries = summaries(point, base);
        let cells = names.iter().map(|name| match found(&summaries, name) {
            Some(summary) => {
                let ratio = summary.cpu_ratio.map_or_else(|| MISSING.to_owned(), |r| ratio(r.middle));
                format!("{}  {ratio:>5}", sweep_cell(summary))
            }
            None => MISSING.to_owned(),
        });
        table.add_row(std::iter::once(sweep.label(point)).chain(cells));
    }
    table
}

/// Processor time; a failure is not a missing figure.
pub(crate) fn sweep_cell(summary: &Summary<'_>) -> String {
    match (summary.cpu, &summary.entrant.failure) {
        (None, Some(_)) => "failed".to_owned(),
        (Some(_), Some(_)) => format!("!{}", middle(summary.cpu, 1.0)),
        _ => middle(summary.cpu, 1.0),
    }
}

pub(crate) fn found<'a, 'b>(summaries: &'b [Summary<'a>], name: &str) -> Option<&'b Summary<'a>> {
    summaries.iter().find(|summary| summary.entrant.contender == name)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn width(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    }

    #[test]
    fn a_table_is_aligned_and_fits() {
        let text = table(&sample::document(), None);
        assert!(text.contains("W1 on sink, 3 nodes") && width(&text) <= usize::from(WIDTH), "{text}");
        let rows: Vec<&str> =
            text.lines().filter(|l| l.starts_with("floor") || l.starts_with("panpipe")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert_eq!(rows[0].chars().count(), rows[1].chars().count(), "{text}");
    }

    #[test]
    fn all_figures_fit_too() {
        let text = wide(&sample::everything(), None);
        for (title, _) in MORE {
            assert!(text.contains(title), "{text}");
        }
        assert!(width(&text) <= usize::from(WIDTH), "{text}");
    }

    #[test]
    fn a_failure_is_shown_with_its_reason() {
        let mut document = sample::document();
        let failed = &mut document.outcomes[0].results[1];
        (failed.failure, failed.rounds) = (Some("connection refused".to_owned()), Vec::new());
        let text = table(&document, None);
        assert!(text.contains("! panpipe: connection refused") && text.contains("failed"), "{text}");
    }

    #[test]
    fn a_sweep_has_a_row_per_value_and_a_column_per_contender() {
        let mut document = sample::sweep(&[10, 100, 1000]);
        for outcome in &mut document.outcomes {
            let more = (0..8).map(|at| sample::entrant(&format!("another client {at}"), &[(9999, 9999)]));
            outcome.results.extend(more);
        }
        let text = sweep_tables(&document, None);
        assert!(text.contains("by commands per flush") && width(&text) <= usize::from(WIDTH), "{text}");
        let row = text.lines().find(|line| line.starts_with("1000")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().take(5).collect();
        assert_eq!(cells, ["1000", "211", "1.00", "246", "1.17"], "{text}");
        assert!(text.lines().filter(|line| line.starts_with("1000")).count() > 1);
    }

    #[test]
    fn settings_are_listed_once() {
        let text = settings(&sample::sweep(&[10, 100]));
        assert_eq!(text, "\nfloor\n  threads  1\n\npanpipe\n  threads  1\n");
    }
}
