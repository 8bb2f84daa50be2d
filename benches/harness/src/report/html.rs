//! A page that needs nothing but itself: tables, pictures and what they were made of.

use std::fmt::Write as _;

use anyhow::Result;

use super::columns::{Column, MAIN, MORE};
use super::describe;
use super::document::Document;
use super::format::{MISSING, ratio};
use super::plot::theme::escaped;
use super::plot::{self, Plot};
use super::summary::{Summary, summaries};
use super::sweep::{Sweep, sweeps};
use super::table::{distinct_settings, found, sweep_cell};
use crate::race::Outcome;

const STYLE: &str = include_str!("page.css");

/// The pictures of a document, in the order of its outcomes and sweeps.
pub(crate) struct Pictures {
    outcomes: Vec<Vec<Plot>>,
    sweeps: Vec<Vec<Plot>>,
}

impl Pictures {
    /// Draws them all.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn of(document: &Document, base: Option<&str>) -> Result<Pictures> {
        let each = 0..document.outcomes.len();
        let mut pictures = Pictures {
            outcomes: each.map(|at| plot::of_outcome(document, at, base)).collect::<Result<_>>()?,
            sweeps: Vec::new(),
        };
        for sweep in sweeps(&document.outcomes) {
            let mut plots = plot::of_sweep(document, &sweep, base)?;
            for plot in &mut plots {
                // Lines of a grid may have the same title.
                plot.name.insert_str("sweep-".len(), &format!("{:02}-", pictures.sweeps.len() + 1));
            }
            pictures.sweeps.push(plots);
        }
        Ok(pictures)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Plot> {
        self.sweeps.iter().chain(&self.outcomes).flatten()
    }
}

/// The page.
pub(crate) fn page(document: &Document, base: Option<&str>, pictures: &Pictures) -> String {
    let mut page = Page::default();
    page.line("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    page.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.line("<meta name=\"color-scheme\" content=\"light dark\">");
    page.line(&format!(
        "<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>",
        escaped(&title(document))
    ));
    page.head(document);
    let sweeps = sweeps(&document.outcomes);
    page.contents(document, &sweeps);
    for ((at, sweep), plots) in sweeps.iter().enumerate().zip(&pictures.sweeps) {
        page.sweep(at, sweep, base, plots);
    }
    for ((at, outcome), plots) in document.outcomes.iter().enumerate().zip(&pictures.outcomes) {
        let heading = describe::heading(&document.outcomes, outcome);
        page.outcome((at, &heading), outcome, base, plots);
    }
    page.settings(document);
    page.explanation(base);
    page.line("</main>\n</body>\n</html>");
    page.html
}

fn title(document: &Document) -> String {
    match document.outcomes.as_slice() {
        [only] => describe::title(&only.race),
        all => match sweeps(all).as_slice() {
            [only] if only.points.len() == all.len() => only.title(),
            _ => format!("{} races", all.len()),
        },
    }
}

#[derive(Default)]
struct Page {
    html: String,
}

impl Page {
    fn line(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    fn heading(&mut self, id: &str, text: &str) {
        self.line(&format!("<h2 id=\"{id}\">{}</h2>", escaped(text)));
    }

    fn head(&mut self, document: &Document) {
        self.line(&format!(
            "<header>\n<p class=\"kind\">panpipe-bench</p>\n<h1>{}</h1>",
            escaped(&title(document))
        ));
        self.line(&format!("<pre class=\"command\">{}</pre>", escaped(&document.command)));
        self.line("<dl>");
        let made = ("measured", document.made_at.replace('T', " ").replace('Z', " UTC"));
        for (name, value) in std::iter::once(made).chain(document.machine.lines()) {
            self.line(&format!("<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value)));
        }
        self.line("</dl>\n</header>");
    }

    fn contents(&mut self, document: &Document, sweeps: &[Sweep<'_>]) {
        if document.outcomes.len() + sweeps.len() < 2 {
            return;
        }
        self.line("<nav>\n<ol>");
        for (at, sweep) in sweeps.iter().enumerate() {
            self.line(&format!("<li><a href=\"#sweep-{at}\">{}</a></li>", escaped(&sweep.title())));
        }
        for (at, outcome) in document.outcomes.iter().enumerate() {
            let more = describe::particulars(&outcome.race);
            let title = describe::heading(&document.outcomes, outcome);
            let (title, more) = (escaped(&title), escaped(&more));
            self.line(&format!(
                "<li><a href=\"#race-{at}\">{title}</a> <span class=\"quiet\">{more}</span></li>"
            ));
        }
        self.line(
            "<li><a href=\"#settings\">Settings</a></li>\n<li><a href=\"#reading\">How to read this</a></li>",
        );
        self.line("</ol>\n</nav>");
    }

    fn plots(&mut self, plots: &[Plot]) {
        for plot in plots {
            self.line(&format!("<figure>{}</figure>", plot.svg));
        }
    }

    fn sweep(&mut self, at: usize, sweep: &Sweep<'_>, base: Option<&str>, plots: &[Plot]) {
        self.line("<section>");
        self.heading(&format!("sweep-{at}"), &sweep.title());
        self.line(
            "<p class=\"quiet\">Processor time per command in nanoseconds, and its ratio to the base; ! where a contender \
             failed before the end.</p>",
        );
        self.line("<div class=\"table\"><table class=\"sweep\">\n<thead><tr>");
        self.line(&format!("<th>{}</th>", escaped(sweep.axis.name())));
        let names = sweep.contenders();
        for name in &names {
            self.line(&format!("<th>{}</th>", escaped(name)));
        }
        self.line("</tr></thead>\n<tbody>");
        for point in &sweep.points {
            let summaries = summaries(point, base);
            let mut row = format!("<tr><th>{}</th>", escaped(&sweep.label(point)));
            for name in &names {
                let cell = match found(&summaries, name) {
                    Some(summary) => {
                        let times = summary.cpu_ratio.map_or_else(String::new, |of| {
                            format!(" <span class=\"ratio\">{}</span>", ratio(of.middle))
                        });
                        sweep_cell(summary) + &times
                    }
                    None => MISSING.to_owned(),
                };
                // Figures and fixed words: nothing to be escaped.
                let _ = write!(row, "<td>{cell}</td>");
            }
            self.line(&(row + "</tr>"));
        }
        self.line("</tbody>\n</table></div>");
        self.plots(plots);
        self.line("</section>");
    }

    fn outcome(
        &mut self,
        (at, heading): (usize, &str),
        outcome: &Outcome,
        base: Option<&str>,
        plots: &[Plot],
    ) {
        let (race, summaries) = (&outcome.race, summaries(outcome, base));
        self.line("<section>");
        self.heading(&format!("race-{at}"), heading);
        let about = describe::about(race);
        if !about.is_empty() {
            self.line(&format!("<p>{}</p>", escaped(about)));
        }
        let (more, rounds) = (describe::particulars(race), describe::rounds(race));
        self.line(&format!("<p class=\"quiet\">{}<br>{}</p>", escaped(&more), escaped(&rounds)));
        self.table(MAIN, &summaries, base);
        let failures =
            summaries.iter().filter_map(|s| Some((&s.entrant.contender, s.entrant.failure.as_ref()?)));
        for (name, reason) in failures {
            let (name, reason) = (escaped(name), escaped(reason.trim()));
            self.line(&format!("<p class=\"failure\"><strong>{name}</strong> failed: {reason}</p>"));
        }
        self.plots(plots);
        self.line("<details>\n<summary>All figures</summary>");
        for (title, columns) in MORE {
            self.line(&format!("<h3>{}</h3>", escaped(title)));
            self.table(columns, &summaries, base);
        }
        self.line("</details>\n</section>");
    }

    fn table(&mut self, columns: &[Column], summaries: &[Summary<'_>], base: Option<&str>) {
        self.line("<div class=\"table\"><table>\n<thead><tr><th>contender</th>");
        for column in columns {
            let (head, unit, about) = (escaped(column.head), escaped(column.unit), escaped(column.about));
            self.line(&format!("<th title=\"{about}\">{head}<br><span class=\"unit\">{unit}</span></th>"));
        }
        self.line("</tr></thead>\n<tbody>");
        for (at, summary) in summaries.iter().enumerate() {
            let is_base = base.map_or(at == 0, |base| base == summary.entrant.contender);
            let class = if is_base { " class=\"base\"" } else { "" };
            let mut row = format!("<tr{class}><th>{}</th>", escaped(&summary.entrant.contender));
            for column in columns {
                let _ = write!(row, "<td>{}</td>", cell(&(column.cell)(summary)));
            }
            self.line(&(row + "</tr>"));
        }
        self.line("</tbody>\n</table></div>");
    }

    fn settings(&mut self, document: &Document) {
        self.line("<section>");
        self.heading("settings", "Settings");
        self.line("<div class=\"settings\">");
        for (contender, settings) in distinct_settings(document) {
            self.line(&format!("<div><h3>{}</h3>\n<dl>", escaped(contender)));
            for (name, value) in settings {
                self.line(&format!("<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value)));
            }
            self.line("</dl></div>");
        }
        self.line("</div>\n</section>");
    }

    fn explanation(&mut self, base: Option<&str>) {
        self.line("<section>");
        self.heading("reading", "How to read this");
        let base = base.map_or("the first contender".to_owned(), escaped);
        self.line(&EXPLANATION.replace("{base}", &base));
        self.line("<dl class=\"columns\">");
        for column in MAIN.iter().chain(MORE.iter().flat_map(|(_, columns)| *columns)) {
            if column.about.contains(' ') && !column.about.starts_with("with ") {
                let name = format!("{} {}", column.head, column.unit);
                let (name, about) = (escaped(name.trim()), escaped(column.about));
                self.line(&format!("<div><dt>{name}</dt><dd>{about}</dd></div>"));
            }
        }
        self.line("</dl>\n</section>");
    }
}

/// A figure; its extremes are less loud.
fn cell(text: &str) -> String {
    match text.split_once(" (") {
        Some((middle, extremes)) => {
            format!("{} <span class=\"range\">({}</span>", escaped(middle), escaped(extremes))
        }
        None => escaped(text),
    }
}

const EXPLANATION: &str = "\
<p>Every contender runs in a process of its own and sends the same commands to the same servers. Rounds are interleaved: what else the \
machine does meets all of them alike. A figure is the median of the rounds, with the lowest and the highest round in parentheses. Ratios \
are to {base}, taken within each round before their median is taken. Times drift from machine to machine and from hour to hour; ratios \
of one run are what lasts.</p>
<p>Latencies are of whole batches: from the call, or in an open loop from the time at which the batch was due, until the last reply is \
read. Allocations are counted in a round of their own. System calls are what the contender counts itself on its sockets; figures with ~ \
are from strace, which sees all calls of the process and slows it down, so that replies may be there before it sleeps. Memory is that \
of the whole process, with the commands it was given to send. A dash is a figure that was not measured.</p>";

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn rendered(document: &Document) -> String {
        page(document, None, &Pictures::of(document, None).unwrap())
    }

    #[test]
    fn the_page_has_everything_and_needs_nothing() {
        let document = sample::sweep(&[10, 100]);
        let page = rendered(&document);
        for part in ["<svg", "All figures", "id=\"settings\"", "id=\"reading\"", "by commands per flush"] {
            assert!(page.contains(part), "{part}");
        }
        for outside in ["src=", "@import", "url(", "<script", "<link", "href=\"http"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let namespaces = page.matches("http").count();
        assert_eq!(namespaces, page.matches("xmlns=\"http").count());
    }

    #[test]
    fn what_others_wrote_is_escaped() {
        let mut document = sample::everything();
        document.command = "run '<i>'".to_owned();
        document.outcomes[2].results[0].settings = vec![("<u>".to_owned(), "\"<s>\"".to_owned())];
        let page = rendered(&document);
        for raw in ["<i>", "<u>", "<s>", "<b>", "<script"] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(
            page.contains("&lt;b&gt;&amp;&quot;&#39;odd, name</strong> failed: it broke: &lt;script&gt;")
        );
    }

    #[test]
    fn every_tag_is_closed() {
        let page = rendered(&sample::everything());
        for tag in
            ["section", "table", "tr", "td", "th", "dl", "dt", "dd", "div", "details", "svg", "figure", "ol"]
        {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
