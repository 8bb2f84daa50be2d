//! `flame`: where a contender's processor time goes.
//!
//! The harness is built once more, with frame pointers and line tables; a worker of that build runs the workload, and perf samples it and
//! nothing else, in the measured phase only. Processor time is what is sampled: a thread that sleeps is in no stack.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::cargo::{Build, check_contender, needs_peers, project};
use crate::contender::{Flush, Setup};
use crate::load::Load;
use crate::race::{Race, Worker};
use crate::scene::{Scene, machine};
use crate::target::Target;

mod folded;
mod inlined;
mod perf;
mod picture;
mod stages;
mod table;

/// What to sample.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    scene: Scene,
    /// A name from `list`.
    #[arg(long, default_value = "panpipe")]
    contender: String,
    /// How long to sample.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Samples per second of processor time.
    #[arg(long, default_value_t = 1999, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    frequency: u32,
    /// Milliseconds of warm-up; not sampled.
    #[arg(long, default_value_t = 1000)]
    warm_up_ms: u64,
    /// Commands per round of a stream.
    #[arg(long, default_value_t = 1_000_000)]
    stream_commands: u64,
    /// Where the picture goes; the folded stacks go beside it, with the ending `folded`.
    #[arg(long, value_name = "FILE", default_value = "flame.svg")]
    out: PathBuf,
    /// Folded stacks of an earlier run: a second picture, `…-diff.svg`, shows what has changed since.
    #[arg(long, value_name = "EARLIER.folded")]
    diff: Option<PathBuf>,
}

/// What was sampled.
struct Sampled {
    /// `perf script`'s text, with inlined frames.
    script: String,
    commands: u64,
    cpu_ns: u64,
}

/// Everything that is said beside a picture.
struct Caption {
    title: String,
    subtitle: String,
}

/// Said beside every picture.
const LOOPBACK: &str = "On loopback a client's send runs the server's receive path: \"write\" holds both.";

/// Builds, samples, draws and prints.
///
/// # Errors
/// Where perf or cargo is missing or refuses, the contender fails, or nothing was sampled.
pub(crate) fn run(options: &Options) -> Result<()> {
    // All that can be refused is, before the build takes its minutes.
    if !options.seconds.is_finite() || options.seconds <= 0.0 {
        bail!("--seconds {} is no time", options.seconds);
    }
    let earlier = options.diff.as_deref().map(folded::read).transpose()?;
    let outputs = Outputs::beside(&options.out)?;
    perf::check()?;
    let race = race(options)?;
    check_contender(&options.contender)?;
    let project = project()?;
    let program = build(&project, &options.contender)?;
    let sampled = sample(options, &race, &project, &program)?;
    let folded = folded::fold(&sampled.script)?;
    if folded.samples == 0 {
        bail!(
            "nothing was sampled in {} s: the contender used too little processor time; use more --seconds",
            options.seconds
        );
    }
    if folded.kernel == 0 {
        eprintln!(
            "note: no sample is in the kernel; it is hidden from this user unless kernel.perf_event_paranoid is 1 or less{}",
            perf::paranoid().map_or_else(String::new, |now| format!(" (it is {now})"))
        );
    }
    std::fs::write(&outputs.folded, &folded.text)?;
    let caption = caption(options, &race, &folded);
    picture::draw(&caption, &folded.text, &outputs.picture)?;
    print!("{}", table::of(&caption, &folded, &sampled, earlier.as_deref()));
    println!("\n{LOOPBACK}\n\npicture: {}\nstacks:  {}", outputs.picture.display(), outputs.folded.display());
    if let Some(earlier) = earlier {
        picture::draw_difference(&caption, &earlier, &folded.text, &outputs.difference)?;
        println!("changes: {}", outputs.difference.display());
    }
    Ok(())
}

/// Where everything is written.
struct Outputs {
    picture: PathBuf,
    folded: PathBuf,
    difference: PathBuf,
}

impl Outputs {
    fn beside(picture: &Path) -> Result<Outputs> {
        let Some(stem) = picture.file_stem().and_then(|stem| stem.to_str()) else {
            bail!("{} is no name for a picture", picture.display());
        };
        let directory = picture.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            bail!("there is no directory {}", directory.display());
        }
        Ok(Outputs {
            picture: picture.to_path_buf(),
            folded: picture.with_extension("folded"),
            difference: picture.with_file_name(format!("{stem}-diff.svg")),
        })
    }
}

fn race(options: &Options) -> Result<Race> {
    let workload = options.scene.workload()?;
    let load = match workload.window {
        Some(window) => Load::Stream { commands: options.stream_commands, window },
        None => Load::Closed { time_ms: (options.seconds * 1e3).ceil() as u64 },
    };
    Ok(Race {
        workload,
        target: options.scene.target(),
        contenders: vec![format!("{}@{LABEL}", options.contender)],
        load,
        rounds: 1,
        warm_up_ms: options.warm_up_ms,
        spin_us: 0,
        flush_policy: Flush::Explicit,
        seed: options.scene.seed,
        count: false,
        programs: std::collections::BTreeMap::new(),
    })
}

/// The build with frame pointers, among a race's programs.
const LABEL: &str = "flame";

fn build(project: &Path, contender: &str) -> Result<PathBuf> {
    let build = Build {
        manifest: &project.join("benches/harness/Cargo.toml"),
        target_dir: &project.join("target/flame"),
        peers: needs_peers(contender),
        flags: "-Cforce-frame-pointers=yes",
        what: "the harness with frame pointers",
    };
    build.run()
}

fn sample(options: &Options, race: &Race, project: &Path, program: &Path) -> Result<Sampled> {
    let mut race = race.clone();
    race.programs.insert(LABEL.to_owned(), program.to_path_buf());
    let target = Target::start(&race.target, race.workload.value_bytes)?;
    let setup = Setup { flush_policy: race.flush_policy, ..target.setup() };
    crate::prepare::prepare(&target, &setup, &race.workload, race.seed)?;
    let (mut worker, _settings) = Worker::start(&race.contenders[0], &race, &setup)?;
    worker.round(race.warm_up(), race.seed, false)?;
    let mut resolver = inlined::Resolver::new(program, worker.id(), project)?;
    let mut recorder = perf::Recorder::attach(worker.id(), options.frequency)?;
    recorder.enable()?;
    let (began, time) = (Instant::now(), Duration::from_secs_f64(options.seconds));
    let (mut commands, mut cpu_ns) = (0, 0);
    loop {
        let figures = worker.round(race.load, race.seed, false)?;
        commands += figures.commands;
        cpu_ns += figures.user_ns + figures.system_ns;
        if began.elapsed() >= time {
            break;
        }
    }
    let script = resolver.expand(&recorder.finish()?);
    Ok(Sampled { script, commands, cpu_ns })
}

fn caption(options: &Options, race: &Race, folded: &folded::Folded) -> Caption {
    let title = format!("{}: {} on {}", options.contender, race.workload.name, race.target);
    let subtitle = format!(
        "{}; {} samples of processor time, {} a second, in the measured phase",
        machine(),
        folded.samples,
        options.frequency
    );
    Caption { title, subtitle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_beside_the_picture() {
        let outputs = Outputs::beside(Path::new("w2.svg")).unwrap();
        assert_eq!(outputs.folded, Path::new("w2.folded"));
        assert_eq!(outputs.difference, Path::new("w2-diff.svg"));
        assert!(Outputs::beside(Path::new("no/such/directory/w2.svg")).is_err());
        assert!(Outputs::beside(Path::new("..")).is_err());
    }

    #[test]
    fn the_peers_are_not_needed_to_be_in_this_build() {
        #[derive(Debug, clap::Parser)]
        struct Wrapped {
            #[command(flatten)]
            options: Options,
        }
        let wrapped =
            <Wrapped as clap::Parser>::parse_from(["flame", "--contender", "redis-rs", "--workload", "W5"]);
        let race = race(&wrapped.options).unwrap();
        assert_eq!(race.contenders, ["redis-rs@flame"]);
        assert!(matches!(race.load, Load::Stream { window: 1000, .. }));
    }
}
