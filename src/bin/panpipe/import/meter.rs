//! How far the load is, while it runs: a bar on a terminal, else a line for a log now and then. On standard error.
//!
//! Ticked from the loop, which has the only thread. Knows how to print a sample. Refuses to know where it is from: it is asked for when it is due.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::ProgressChoice;
use crate::output::count;

const BAR_HZ: u8 = 10;
const LOG_TICK: Duration = Duration::from_secs(5);
/// A node that owes replies and gives none for this long is named.
const STALLED: Duration = Duration::from_secs(1);
/// Rates are of about this long.
const WINDOW: Duration = Duration::from_secs(3);
/// Terminals with fewer columns than this have no room for a bar beside the text.
const COLUMNS_FOR_BAR: u16 = 60;
/// The whole of a bar.
const BAR_STEPS: u64 = 10_000;

/// One node at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeSample {
    pub(super) name: String,
    /// Replies since the beginning.
    pub(super) replies: u64,
    /// Since when nothing comes back of what is owed.
    pub(super) silent: Duration,
}

/// The load at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// How much of the input is done, from 0 to 1, where that can be told.
    pub(super) share: Option<f64>,
    pub(super) records: u64,
    pub(super) failures: u64,
    pub(super) redirects: u64,
    pub(super) nodes: Vec<NodeSample>,
    /// What the load waits for.
    pub(super) paused: Option<String>,
}

enum Face {
    Bar { bar: ProgressBar, shape: Option<Shape> },
    Log,
    Silent,
}

/// What a bar's style depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    columns: u16,
    share_is_known: bool,
}

pub(super) struct Meter {
    face: Face,
    /// What is done, where it is not the load.
    about: Option<&'static str>,
    next: Instant,
    /// The last sample before anything was done: what is left is reckoned from there.
    first: (Instant, Sample),
    /// The beginning of the stretch that rates are of, and the one that comes after it.
    old: (Instant, Sample),
    young: (Instant, Sample),
}

impl Meter {
    pub(super) fn new(choice: ProgressChoice, quiet: bool) -> Meter {
        // A bar needs a line that can be written again.
        let is_capable = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let is_terminal = io::stderr().is_terminal() && (is_capable || cfg!(windows));
        let now = Instant::now();
        let face = match choice {
            _ if quiet => Face::Silent,
            ProgressChoice::None => Face::Silent,
            ProgressChoice::Bar | ProgressChoice::Auto if is_terminal => Face::bar(),
            _ => Face::Log,
        };
        let tick = face.tick();
        let sample = (now, Sample { share: Some(0.0), ..Sample::default() });
        Meter {
            face,
            about: None,
            next: now + tick,
            first: sample.clone(),
            old: sample.clone(),
            young: sample,
        }
    }

    /// Says what is done, in front of how far it is.
    pub(super) fn about(mut self, about: &'static str) -> Meter {
        self.about = Some(about);
        self
    }

    /// What is done already when it begins.
    pub(super) fn begin(&mut self, sample: Sample) {
        let sample = (Instant::now(), sample);
        (self.first, self.old, self.young) = (sample.clone(), sample.clone(), sample);
    }

    /// Shows a sample, where one is due.
    pub(super) fn tick(&mut self, sample: impl FnOnce() -> Sample) {
        if matches!(self.face, Face::Silent) {
            return;
        }
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.face.tick();
        let sample = sample();
        if now - self.young.0 >= WINDOW {
            self.old = std::mem::replace(&mut self.young, (now, sample.clone()));
        }
        // Also of an input that is read past up to where it is gone on.
        if sample.records == self.first.1.records || self.first.1.share.is_none() {
            self.first = (now, sample.clone());
        }
        let rates = Rates::between(&self.old, now, &sample);
        let eta = eta(&self.first, now, &sample);
        match &mut self.face {
            Face::Bar { bar, shape } => {
                let about = self.about.map_or(String::new(), |about| format!("{about}: "));
                draw(bar, shape, &sample, about + &bar_text(&sample, &rates, eta));
            }
            Face::Log => {
                let about = self.about.map_or(String::new(), |about| format!("{about} "));
                say(&(about + &log_line(&sample, &rates, eta)));
            }
            Face::Silent => {}
        }
    }

    /// Says something beside the progress.
    pub(super) fn tell(&self, text: &str) {
        match &self.face {
            Face::Bar { bar, .. } => bar.suspend(|| say(text)),
            _ => say(text),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self) {
        if let Face::Bar { bar, .. } = &self.face {
            bar.finish_and_clear();
        }
        self.face = Face::Silent;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Face {
    fn bar() -> Face {
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr_with_hz(BAR_HZ));
        Face::Bar { bar, shape: None }
    }

    fn tick(&self) -> Duration {
        match self {
            Face::Bar { .. } => Duration::from_secs(1) / u32::from(BAR_HZ),
            Face::Log | Face::Silent => LOG_TICK,
        }
    }
}

/// Nobody to tell where standard error is closed.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// From the speed since the beginning of this run: what is left is a share of what is there.
fn eta((since, first): &(Instant, Sample), now: Instant, sample: &Sample) -> Option<Duration> {
    let (before, share) = (first.share?, sample.share?);
    let rate = (share - before) / (now - *since).as_secs_f64();
    let left = (1.0 - share).max(0.0);
    (rate > 0.0).then(|| Duration::from_secs_f64((left / rate).min(1e8)))
}

fn draw(bar: &ProgressBar, shape: &mut Option<Shape>, sample: &Sample, text: String) {
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
    let now = Shape { columns, share_is_known: sample.share.is_some() };
    if *shape != Some(now) {
        *shape = Some(now);
        bar.set_style(style(now));
    }
    bar.set_length(BAR_STEPS);
    bar.set_position((sample.share.unwrap_or(0.0) * BAR_STEPS as f64) as u64);
    bar.set_message(text);
    bar.tick();
}

fn style(shape: Shape) -> ProgressStyle {
    let template = match (shape.share_is_known, shape.columns >= COLUMNS_FOR_BAR) {
        (true, true) => "{percent:>3}% [{bar:16}] {wide_msg}",
        (true, false) => "{percent:>3}% {wide_msg}",
        (false, _) => "{spinner} {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}

/// What has happened per second.
#[derive(Debug, Default)]
struct Rates {
    records: u64,
    /// In the order of the sample's nodes.
    nodes: Vec<u64>,
}

impl Rates {
    fn between((since, before): &(Instant, Sample), now: Instant, sample: &Sample) -> Rates {
        let seconds = (now - *since).as_secs_f64().max(1e-3);
        let rate = |from: u64, to: u64| (to.saturating_sub(from) as f64 / seconds) as u64;
        let replies =
            |name: &str| before.nodes.iter().find(|node| node.name == name).map_or(0, |node| node.replies);
        Rates {
            records: rate(before.records, sample.records),
            nodes: sample.nodes.iter().map(|node| rate(replies(&node.name), node.replies)).collect(),
        }
    }
}

/// What matters most comes first: a narrow terminal cuts the rest off.
fn bar_text(sample: &Sample, rates: &Rates, eta: Option<Duration>) -> String {
    let mut text = String::new();
    for node in sample.nodes.iter().filter(|node| node.silent >= STALLED) {
        let _ = write!(text, "stalled on {} {:.1} s, ", node.name, node.silent.as_secs_f64());
    }
    if let Some(paused) = &sample.paused {
        let _ = write!(text, "waits: {paused}, ");
    }
    let _ = write!(text, "{}/s", count(rates.records));
    if let Some(eta) = eta {
        let _ = write!(text, ", {} left", span(eta));
    }
    if sample.failures > 0 {
        let _ = write!(text, ", {} errors", count(sample.failures));
    }
    let _ = write!(text, ", {} records", count(sample.records));
    if sample.redirects > 0 {
        let _ = write!(text, ", {} redirects", count(sample.redirects));
    }
    let hosts = shared_host(&sample.nodes);
    for (node, rate) in sample.nodes.iter().zip(&rates.nodes) {
        let _ = write!(text, ", {} {}/s", node.name.get(hosts..).unwrap_or_default(), count(*rate));
    }
    text
}

/// The length of the host that all nodes share: the bar has no room to say it each time.
fn shared_host(nodes: &[NodeSample]) -> usize {
    let mut hosts = nodes.iter().filter_map(|node| node.name.rsplit_once(':')).map(|(host, _)| host);
    let Some(first) = hosts.next() else { return 0 };
    if hosts.all(|host| host == first) { first.len() } else { 0 }
}

fn log_line(sample: &Sample, rates: &Rates, eta: Option<Duration>) -> String {
    let mut text = "progress".to_owned();
    if let Some(share) = sample.share {
        let _ = write!(text, " percent={:.1}", share * 100.0);
    }
    let _ = write!(text, " records={} rate={}/s", sample.records, rates.records);
    if let Some(eta) = eta {
        let _ = write!(text, " eta={}s", eta.as_secs());
    }
    let _ = write!(text, " errors={} redirects={}", sample.failures, sample.redirects);
    for (node, rate) in sample.nodes.iter().zip(&rates.nodes) {
        let _ = write!(text, " node={},{rate}/s", node.name);
    }
    for node in sample.nodes.iter().filter(|node| node.silent >= STALLED) {
        let _ = write!(text, " stalled={},{:.1}s", node.name, node.silent.as_secs_f64());
    }
    if let Some(paused) = &sample.paused {
        let _ = write!(text, " paused=\"{}\"", paused.replace('"', "'"));
    }
    text
}

/// "7 s", "3 min 20 s", "2 h 5 min".
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let node = |name: &str, silent| NodeSample { name: name.into(), replies: 900, silent };
        Sample {
            share: Some(0.25),
            records: 1234,
            failures: 2,
            redirects: 3,
            nodes: vec![node("a:1", Duration::ZERO), node("b:2", Duration::from_millis(2140))],
            paused: None,
        }
    }

    #[test]
    fn a_log_line_says_everything() {
        let rates = Rates { records: 617, nodes: vec![300, 0] };
        assert_eq!(
            log_line(&sample(), &rates, Some(Duration::from_secs(9))),
            "progress percent=25.0 records=1234 rate=617/s eta=9s errors=2 redirects=3 node=a:1,300/s node=b:2,0/s stalled=b:2,2.1s"
        );
    }

    #[test]
    fn the_bar_names_what_stalls_before_what_runs() {
        let rates = Rates { records: 617, nodes: vec![300, 0] };
        let text = bar_text(&sample(), &rates, Some(Duration::from_secs(200)));
        assert!(text.starts_with("stalled on b:2 2.1 s, 617/s, 3 min 20 s left, 2 errors"), "{text}");
        assert!(text.ends_with("a:1 300/s, b:2 0/s"), "{text}");
        let mut one_host = sample();
        one_host.nodes[1].name = "a:3".into();
        let text = bar_text(&one_host, &rates, None);
        assert!(text.ends_with(", :1 300/s, :3 0/s"), "{text}");
    }

    #[test]
    fn what_is_left_is_reckoned_from_where_this_run_began() {
        let now = Instant::now();
        let at = |share| Sample { share, ..Sample::default() };
        let seconds = |first, share| {
            let first = (now, at(first));
            eta(&first, now + Duration::from_secs(2), &at(share)).map(|eta| eta.as_secs_f64().round())
        };
        assert_eq!(seconds(Some(0.0), Some(0.25)), Some(6.0));
        assert_eq!(seconds(Some(0.6), Some(0.7)), Some(6.0), "a tenth in 2 s, three tenths left");
        assert_eq!(seconds(Some(0.6), Some(0.6)), None, "nothing has moved");
        assert_eq!(seconds(None, Some(0.6)), None);
        assert_eq!(seconds(Some(0.6), None), None);
    }

    #[test]
    fn rates_are_differences_by_node_name() {
        let now = Instant::now();
        let old = Sample { records: 34, nodes: sample().nodes.split_off(1), ..Sample::default() };
        let rates = Rates::between(&(now, old), now + Duration::from_secs(2), &sample());
        assert_eq!((rates.records, rates.nodes), (600, vec![450, 0]));
    }
}
