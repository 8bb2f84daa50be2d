//! Pictures of a document, as SVG.

use anyhow::Result;

use super::describe;
use super::document::Document;
use super::format::slug;
use super::summary::{Spread, Summary, latencies, summaries};
use super::sweep::{Axis, Sweep};
use super::table::found;
use crate::race::Outcome;
use bars::Bars;
use lines::{Line, Lines};
use scale::Scale;

mod bars;
mod lines;
mod scale;
pub(crate) mod theme;

/// A picture and the name of its file, without what comes behind the dot.
pub(crate) struct Plot {
    pub(crate) name: String,
    pub(crate) svg: String,
}

/// Nines of the outermost percentile that is shown, whatever the number of batches.
const NINES_MAX: f64 = 5.0;
/// Points of a curve per nine.
const CURVE_POINTS: f64 = 60.0;

/// Of one race: processor time, and latency by percentile.
///
/// # Errors
/// None that is known: they are drawn into memory.
pub(crate) fn of_outcome(document: &Document, number: usize, base: Option<&str>) -> Result<Vec<Plot>> {
    let outcome = &document.outcomes[number];
    let title = describe::heading(&document.outcomes, outcome);
    let name = |what: &str| format!("{:02}-{}-{what}", number + 1, slug(&title));
    let (names, summaries) = (document.contenders(), summaries(outcome, base));
    let placed = summaries.iter().map(|summary| (place(&names, &summary.entrant.contender), summary));
    let mut plots = Vec::new();
    let bars = Bars { title: format!("{title} – processor time"), summaries: placed.collect() };
    plots.extend(bars.svg()?.map(|svg| Plot { name: name("cpu"), svg }));
    if let Some(curves) = curves(outcome, &names, format!("{title} – latency of a batch")) {
        plots.push(Plot { name: name("latency"), svg: curves.svg()? });
    }
    Ok(plots)
}

/// Of races that differ in one thing, if that is a number.
///
/// # Errors
/// None that is known: they are drawn into memory.
pub(crate) fn of_sweep(document: &Document, sweep: &Sweep<'_>, base: Option<&str>) -> Result<Vec<Plot>> {
    let cpu = ("cpu", "processor time per command, ns", (|s| s.cpu) as Figure, 1.0);
    let throughput = ("throughput", "commands per second", (|s| s.throughput) as Figure, 1.0);
    let p50 = ("p50", "half of the batches took at most, µs", (|s| Some(s.latency?.p50)) as Figure, 1e3);
    let p99 = ("p99", "99 % of the batches took at most, µs", (|s| Some(s.latency?.p99)) as Figure, 1e3);
    let p99_9 =
        ("p99-9", "99.9 % of the batches took at most, µs", (|s| Some(s.latency?.p99_9)) as Figure, 1e3);
    let measures = match sweep.axis {
        Axis::Rate | Axis::Share => vec![p99_9, p50, cpu],
        Axis::Nodes | Axis::Delay | Axis::Spin => vec![cpu, p50, throughput],
        Axis::Lanes => vec![cpu, throughput, p99],
        _ => vec![cpu, throughput],
    };
    let names = document.contenders();
    let points: Vec<(f64, Vec<Summary<'_>>)> = sweep
        .points
        .iter()
        .filter_map(|outcome| Some((sweep.axis.position(&outcome.race)?, summaries(outcome, base))))
        .collect();
    let mut plots = Vec::new();
    for (what, y_name, figure, unit) in measures {
        let value = |summary: &Summary<'_>| figure(summary).map(|spread| spread.middle / unit);
        let line = |name: &&str| Line {
            name: (*name).to_owned(),
            at: place(&names, name),
            points: points
                .iter()
                .filter_map(|(x, of)| Some((*x, found(of, name).and_then(value)?)))
                .collect(),
        };
        let mut lines: Vec<Line> = sweep.contenders().iter().map(line).collect();
        lines.retain(|line| !line.points.is_empty());
        let heights = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
        let Some((x, y)) =
            Scale::of_choices(points.iter().map(|point| point.0)).zip(Scale::of_figures(heights))
        else {
            continue;
        };
        let (title, x_name, y_name) = (sweep.title(), sweep.axis.name().to_owned(), y_name.to_owned());
        let name = format!("sweep-{}-{what}", slug(&title));
        plots.push(Plot { name, svg: Lines { title, x_name, y_name, x, y, lines, marked: true }.svg()? });
    }
    Ok(plots)
}

type Figure = fn(&Summary<'_>) -> Option<Spread>;

fn place(names: &[&str], name: &str) -> usize {
    names.iter().position(|other| *other == name).unwrap_or(0)
}

/// Latency by percentile, as HdrHistogram draws it. `None` where none was recorded.
fn curves(outcome: &Outcome, names: &[&str], title: String) -> Option<Lines> {
    let mut lines = Vec::new();
    for entrant in &outcome.results {
        let Some(latencies) = latencies(&entrant.rounds) else { continue };
        let histogram = latencies.histogram();
        // The slowest of a thousand batches says something about the 99.9th percentile, and nothing about the next.
        let nines = (histogram.len() as f64).log10().min(NINES_MAX);
        let steps = (nines * CURVE_POINTS).ceil() as usize;
        let at = |step: usize| nines * step as f64 / steps.max(1) as f64;
        let value = |nines: f64| histogram.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e3;
        lines.push(Line {
            name: entrant.contender.clone(),
            at: place(names, &entrant.contender),
            points: (0..=steps).map(|step| (at(step), value(at(step)))).collect(),
        });
    }
    let nines = lines.iter().filter_map(|line| Some(line.points.last()?.0)).reduce(f64::max)?;
    let y = Scale::of_figures(lines.iter().flat_map(|line| &line.points).map(|point| point.1))?;
    let (x_name, y_name) = ("share of the batches that took at most so long", "latency of a batch, µs");
    let x = Scale::of_percentiles(nines);
    Some(Lines { title, x_name: x_name.to_owned(), y_name: y_name.to_owned(), x, y, lines, marked: false })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::super::sweep::sweeps;
    use super::*;

    /// All texts of a picture, which is XML by that.
    fn texts(plot: &Plot) -> Vec<String> {
        let tree = roxmltree::Document::parse(&plot.svg).unwrap();
        let texts =
            tree.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
        texts.map(|node| node.text().unwrap_or("").trim().to_owned()).collect()
    }

    #[test]
    fn pictures_of_a_race_name_all_contenders() {
        let document = sample::document();
        let plots = of_outcome(&document, 0, None).unwrap();
        let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert_eq!(names, ["01-w1-on-sink-3-nodes-cpu", "01-w1-on-sink-3-nodes-latency"]);
        for plot in &plots {
            let texts = texts(plot);
            assert!(["floor", "panpipe"].iter().all(|name| texts.contains(&(*name).to_owned())), "{texts:?}");
        }
    }

    #[test]
    fn pictures_of_a_sweep_name_all_contenders_and_values() {
        let document = sample::sweep(&[10, 100, 1000]);
        let plots = of_sweep(&document, &sweeps(&document.outcomes)[0], None).unwrap();
        assert_eq!(plots.len(), 2);
        for plot in &plots {
            let texts = texts(plot);
            let wanted = ["floor", "panpipe", "10", "100", "1000", "commands per flush, logarithmic"];
            assert!(wanted.iter().all(|text| texts.contains(&(*text).to_owned())), "{texts:?}");
        }
    }

    #[test]
    fn odd_names_are_names() {
        let document = sample::everything();
        for number in 0..document.outcomes.len() {
            for plot in of_outcome(&document, number, None).unwrap() {
                let odd = document.outcomes[number].results.iter().any(|e| e.contender.starts_with("<b>"));
                assert_eq!(texts(&plot).contains(&"<b>&\"'odd, name".to_owned()), odd);
            }
        }
    }

    #[test]
    fn who_failed_has_the_reason_in_place_of_a_bar() {
        let mut document = sample::document();
        let failed = &mut document.outcomes[0].results[1];
        (failed.rounds, failed.failure) = (Vec::new(), Some("no route".to_owned()));
        let plots = of_outcome(&document, 0, None).unwrap();
        assert!(texts(&plots[0]).contains(&"failed: no route".to_owned()));
        document.outcomes[0].results.remove(0);
        assert!(of_outcome(&document, 0, None).unwrap().is_empty());
    }
}
