//! `timeline`: what happened at which node when, in one flush of many.
//!
//! It measures flushes of the library in this process and keeps their timelines; which of them are shown is decided by their total
//! time alone: the median one and the slowest one, so that the choice cannot flatter.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use panpipe::command::{Arg, Commands as _, Keys, Request};
use panpipe::config::Transport;
use panpipe::engine::Timeline;
use panpipe::{Client, Config};

use crate::contender::Setup;
use crate::contender::panpipe::{configuration, transport_of};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};
use crate::scene::{Scene, machine};
use crate::target::Target;

mod svg;
mod text;

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    scene: Scene,
    /// panpipe, or panpipe-uring.
    #[arg(long, default_value = "panpipe")]
    contender: String,
    /// Flushes measured; the median one and the slowest one are shown.
    #[arg(long, default_value_t = 200)]
    flushes: usize,
    /// Flushes before that; not measured.
    #[arg(long, default_value_t = 50)]
    warm_up: usize,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE", default_value = "timeline.svg")]
    out: PathBuf,
    /// Leave the picture out; only text.
    #[arg(long)]
    text_only: bool,
}

/// The flushes that are shown, and what they were.
struct Shown {
    /// Contender, workload, target and machine.
    what: String,
    flushes: usize,
    median: Timeline,
    slowest: Timeline,
}

/// Measures, prints and draws.
///
/// # Errors
/// Where the target cannot be started, or the picture cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.flushes == 0 {
        bail!("one flush at least");
    }
    let transport = transport_of(&options.contender)?;
    let workload = options.scene.workload()?;
    let spec = options.scene.target();
    let target = Target::start(&spec, workload.value_bytes)?;
    let setup = target.setup();
    crate::prepare::prepare(&target, &setup, &workload, options.scene.seed)?;
    let plan = Plan::new(&workload, options.scene.seed);
    let timelines = measure(&mut connect(&setup, transport)?, &plan, options)?;
    let (median, slowest) = choose(timelines).context("no flush was measured")?;
    let what = format!("{}: {} on {spec}, {}", options.contender, workload.name, machine());
    let shown = Shown { what, flushes: options.flushes, median, slowest };
    print!("{}", text::draw(&shown, text::width()));
    if !options.text_only {
        std::fs::write(&options.out, svg::draw(&shown))
            .with_context(|| format!("cannot write {}", options.out.display()))?;
        println!("\npicture: {}", options.out.display());
    }
    Ok(())
}

fn connect(setup: &Setup, transport: Transport) -> Result<Client> {
    let config = Config { transport, ..configuration(setup) };
    Client::connect_with(config).context("panpipe cannot connect")
}

fn measure(client: &mut Client, plan: &Plan, options: &Options) -> Result<Vec<Timeline>> {
    let mut timelines = Vec::with_capacity(options.flushes);
    for number in 0..options.warm_up + options.flushes {
        let ops = &plan.flushes[number % plan.flushes.len()];
        let mut pipeline = client.pipeline();
        pipeline.with_timeline();
        for &op in ops {
            queue(&mut pipeline, plan, op);
        }
        let replies = pipeline.flush()?;
        if let Some(error) = replies.iter().find_map(Result::err) {
            bail!("a command failed: {error}");
        }
        if number >= options.warm_up {
            timelines.extend(replies.timeline().cloned());
        }
    }
    Ok(timelines)
}

fn queue(pipeline: &mut panpipe::Pipeline<'_>, plan: &Plan, op: Op) {
    let key = Arg::Bytes(plan.key(op));
    let request = |name, args: &[Arg<'_>], pipeline: &mut panpipe::Pipeline<'_>| {
        let _read_by_nobody = pipeline.request::<()>(Request::new(name, Keys::FIRST, args));
    };
    match op.verb {
        Verb::Set => request("SET", &[key, Arg::Bytes(&plan.value)], pipeline),
        Verb::Get => request("GET", &[key], pipeline),
        Verb::IncrBy => request("INCRBY", &[key, Arg::Integer(INCREMENT)], pipeline),
        Verb::Expire => request("EXPIRE", &[key, Arg::Integer(EXPIRE_S)], pipeline),
    }
}

/// The flush of median total time, and the slowest.
fn choose(mut timelines: Vec<Timeline>) -> Option<(Timeline, Timeline)> {
    timelines.sort_by_key(|timeline| timeline.total);
    let slowest = timelines.last()?.clone();
    let median = timelines.swap_remove((timelines.len() - 1) / 2);
    Some((median, slowest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use panpipe::engine::NodeTimeline;

    use super::*;

    pub(super) fn node(name: &str, out_us: u64, first_us: u64, last_us: u64) -> NodeTimeline {
        let at = |us| Some(Duration::from_micros(us));
        NodeTimeline {
            node: name.to_owned(),
            commands: 10,
            bytes: 1000,
            first_out: at(out_us),
            last_out: at(out_us),
            first_back: at(first_us),
            last_back: at(last_us),
            redirects: 0,
        }
    }

    pub(super) fn shown(nodes: usize) -> Shown {
        let line = |scale: u64| Timeline {
            nodes: (0..nodes as u64)
                .map(|n| node(&format!("127.0.0.1:{n}"), 10 * n, scale * 500, scale * 900 + n))
                .collect(),
            total: Duration::from_micros(scale * 1000),
        };
        Shown { what: "W2 on <sink>".to_owned(), flushes: 9, median: line(1), slowest: line(3) }
    }

    #[test]
    fn the_median_and_the_slowest_are_shown() {
        let of = |us| Timeline { nodes: Vec::new(), total: Duration::from_micros(us) };
        let (median, slowest) = choose([5, 1, 9, 2, 7].map(of).to_vec()).unwrap();
        assert_eq!((median, slowest), (of(5), of(9)));
        let (median, slowest) = choose(vec![of(3)]).unwrap();
        assert_eq!((median, slowest), (of(3), of(3)));
        assert_eq!(choose(Vec::new()), None);
    }

    #[test]
    fn a_timeline_of_the_sink_has_a_row_per_node() {
        let workload = crate::workload::Workload::named("W1").unwrap();
        let spec = crate::target::Spec {
            kind: crate::target::Kind::Sink,
            url: None,
            nodes: 3,
            delay_us: 0,
            standalone: false,
        };
        let target = Target::start(&spec, workload.value_bytes).unwrap();
        let options = <Wrapped as clap::Parser>::parse_from(["timeline", "--flushes", "5", "--warm-up", "2"]);
        let plan = Plan::new(&workload, 1);
        let mut client = connect(&target.setup(), Transport::Mio).unwrap();
        let timelines = measure(&mut client, &plan, &options.options).unwrap();
        assert_eq!(timelines.len(), 5);
        let (median, slowest) = choose(timelines).unwrap();
        let shown = Shown { what: "W1".to_owned(), flushes: 5, median, slowest };
        let text = text::draw(&shown, 100);
        assert_eq!(text.lines().filter(|line| line.starts_with("127.0.0.1:")).count(), 6, "{text}");
        assert!(svg::draw(&shown).matches("class=\"node\"").count() == 6);
    }

    #[derive(Debug, clap::Parser)]
    struct Wrapped {
        #[command(flatten)]
        options: Options,
    }
}
