//! `ab`: two revisions of the library against each other, in one race on one target.
//!
//! Both are built the same way under the same harness and with the same dependencies, so that the library is all that differs; their
//! workers take turns round by round. What is compared is the ratio of each round, never an average over rounds of different times.

use anyhow::{Result, bail};
use clap::Args;

use crate::cargo::{check_contender, project};
use crate::cli::Run;
use crate::progress::Progress;
use crate::race::{Entrant, Outcome};
use crate::worker::Figures;

mod build;
mod ratio;
mod revision;
mod table;

use ratio::Comparison;
use revision::Revision;

/// What to compare.
#[derive(Debug, Args)]
#[command(mut_arg("contenders", |arg| arg.default_value("panpipe").help("The contender that both revisions run")))]
#[command(mut_arg("rounds", |arg| arg.default_value("21")))]
#[command(mut_arg("no_count", |arg| arg.hide(true)))]
pub(crate) struct Options {
    /// A git revision: a commit, a branch, a tag; WORK or `.` is the working tree as it is.
    #[arg(value_name = "A")]
    a: String,
    /// The revision that is compared with it.
    #[arg(value_name = "B")]
    b: String,
    /// The harness that both are built under: a revision's, the working tree's (WORK), or each revision's own (own).
    #[arg(long, value_name = "REV|WORK|own", default_value = "WORK")]
    harness_from: String,
    #[command(flatten)]
    run: Box<Run>,
}

/// Builds both, races them and prints.
///
/// # Errors
/// Where a revision is unknown or cannot be built, or the target cannot be started.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut race = options.run.race()?;
    let [contender] = race.contenders.as_slice() else {
        bail!("ab compares one contender of two revisions; --contenders names {}", race.contenders.len());
    };
    let contender = contender.clone();
    check_contender(&contender)?;
    let project = project()?;
    // All names first: a build takes minutes.
    let revisions = [&options.a, &options.b].map(|name| Revision::named(&project, name));
    let [a, b] = revisions;
    let revisions = [a?, b?];
    let harness = match options.harness_from.as_str() {
        "own" => None,
        name => Some(Revision::named(&project, name)?),
    };
    for (label, revision) in ["A", "B"].into_iter().zip(&revisions) {
        println!("{label}: {revision}");
        if let Some(note) = revision.note() {
            println!("   {note}");
        }
    }
    match &harness {
        Some(harness) => println!("harness of both: {harness}\n"),
        None => println!("harness: each revision's own\n"),
    }
    for (label, revision) in ["A", "B"].into_iter().zip(&revisions) {
        let harness = harness.as_ref().unwrap_or(revision);
        let program = build::program(&project, revision, harness, &contender, label)?;
        race.programs.insert(label.to_owned(), program);
    }
    race.contenders = vec![format!("{contender}@A"), format!("{contender}@B")];
    race.count = false;
    let progress = Progress::new(race.steps());
    let outcome = race.run(&progress)?;
    progress.finish();
    let compared = compare(&outcome)?;
    print!("{}", table::of(&outcome, &compared));
    Ok(())
}

/// One figure of both revisions.
struct Compared {
    name: &'static str,
    unit: &'static str,
    /// Whether less of it is better.
    less: bool,
    comparison: Comparison,
}

/// What is looked at: name, unit, whether less is better, and how it is found in a round.
type Figure = (&'static str, &'static str, bool, fn(&Figures) -> f64);

const FIGURES: [Figure; 3] = [
    ("processor time", "ns per command", true, |round| {
        (round.user_ns + round.system_ns) as f64 / round.commands as f64
    }),
    ("of it, in user mode", "ns per command", true, |round| round.user_ns as f64 / round.commands as f64),
    ("throughput", "commands per s", false, |round| round.commands as f64 / (round.wall_ns as f64 / 1e9)),
];

fn compare(outcome: &Outcome) -> Result<Vec<Compared>> {
    let [a, b] = outcome.results.as_slice() else {
        bail!("a race of two has {} results", outcome.results.len())
    };
    for entrant in [a, b] {
        if let Some(failure) = &entrant.failure {
            bail!("{} failed: {failure}", entrant.contender);
        }
    }
    let values =
        |entrant: &Entrant, value: fn(&Figures) -> f64| entrant.rounds.iter().map(value).collect::<Vec<_>>();
    let mut compared = Vec::new();
    for (name, unit, less, value) in FIGURES {
        if let Some(comparison) = Comparison::of(&values(a, value), &values(b, value)) {
            compared.push(Compared { name, unit, less, comparison });
        }
    }
    if compared.is_empty() {
        bail!("no round was measured");
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Wrapped {
        #[command(flatten)]
        options: Options,
    }

    fn parse(args: &[&str]) -> Options {
        let all = ["ab"].iter().chain(args);
        <Wrapped as clap::Parser>::parse_from(all).options
    }

    #[test]
    fn its_defaults_are_its_own() {
        let race = parse(&["HEAD~1", "WORK"]).run.race().unwrap();
        assert_eq!((race.contenders, race.rounds), (vec!["panpipe".to_owned()], 21));
        let race = parse(&["HEAD~1", ".", "--rounds", "7", "--contenders", "floor"]).run.race().unwrap();
        assert_eq!((race.contenders, race.rounds), (vec!["floor".to_owned()], 7));
    }

    #[test]
    fn it_compares_one_contender() {
        let error = run(&parse(&["WORK", "WORK", "--contenders", "floor,panpipe"])).unwrap_err();
        assert!(error.to_string().contains("--contenders names 2"), "{error}");
    }
}
