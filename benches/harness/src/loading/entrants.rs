//! Who takes part: each a program, its words, the file that it reads, and how it tells that it failed.
//!
//! Adding one is a row in [`ENTRANTS`]. Invariant: each reads, or is given, the same records; what it says of errors is looked at.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

use super::files::{Files, Shape};
use super::measured::{Input, Job, Program, Used};

/// Where its records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A cluster of three.
    Three,
    /// A node that owns all slots.
    One,
    /// The first node of a cluster of three, and no other: two of three records belong elsewhere.
    OneOfThree,
    /// It only reads.
    Nowhere,
}

/// How it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `panpipe import` of a file.
    Import(Shape),
    /// The same, of what `panpipe generate` writes into a pipe meanwhile.
    ImportPiped,
    /// `redis-cli --pipe`.
    RedisCli,
    /// A part of this program, by its name there.
    Part(&'static str, Shape),
    /// A worker of the harness with the stream of W5, of so many commands in flight where it has no windows of its own.
    Stream { contender: &'static str, window: usize },
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entrant {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) way: Way,
    pub(super) place: Place,
}

const FLOOR: &str = "floor-full";
const LOADER: &str = "loader";
/// Commands in flight in workload W5.
const FLOOR_WINDOW: usize = 1000;
/// As many as `panpipe import` allows by itself: 4096 for each of three nodes.
const FLOOR_WIDE_WINDOW: usize = 3 * 4096;

const fn entrant(name: &'static str, about: &'static str, way: Way, place: Place) -> Entrant {
    Entrant { name, about, way, place }
}

const ENTRANTS: &[Entrant] = &[
    entrant(
        "floor",
        "floor-full, W5: at most 1000 in flight, no file, nothing remembered",
        Way::Stream { contender: FLOOR, window: FLOOR_WINDOW },
        Place::Three,
    ),
    entrant(
        "floor-wide",
        "the same with 12288 in flight, as many as panpipe import allows",
        Way::Stream { contender: FLOOR, window: FLOOR_WIDE_WINDOW },
        Place::Three,
    ),
    entrant(
        "loader",
        "the library's loader, which panpipe import is built on: commands encoded beforehand, no file",
        Way::Stream { contender: LOADER, window: FLOOR_WINDOW },
        Place::Three,
    ),
    entrant("panpipe-resp", "panpipe import, RESP", Way::Import(Shape::Resp), Place::Three),
    entrant("panpipe-kv", "panpipe import, key-value lines", Way::Import(Shape::Kv), Place::Three),
    entrant("panpipe-csv", "panpipe import, CSV and a template", Way::Import(Shape::Csv), Place::Three),
    entrant(
        "panpipe-jsonl",
        "panpipe import, JSON lines and a template",
        Way::Import(Shape::Jsonl),
        Place::Three,
    ),
    entrant(
        "panpipe-piped",
        "panpipe import, RESP from a pipe while it is made",
        Way::ImportPiped,
        Place::Three,
    ),
    entrant(
        "redis-cli",
        "redis-cli --pipe, RESP, into one node that owns all slots",
        Way::RedisCli,
        Place::One,
    ),
    entrant(
        "redis-cli-of-three",
        "the same into one node of three: what belongs elsewhere is refused",
        Way::RedisCli,
        Place::OneOfThree,
    ),
    #[cfg(feature = "peers")]
    entrant(
        "redis-rs-nodes",
        "redis-rs, key-value lines split by node, a pipeline of 1000 per node, each in its turn",
        Way::Part(super::redis_rs::NODES, Shape::Kv),
        Place::Three,
    ),
    #[cfg(feature = "peers")]
    entrant(
        "redis-rs-cluster",
        "redis-rs, key-value lines, its own cluster pipeline, 1000 per node",
        Way::Part(super::redis_rs::CLUSTER, Shape::Kv),
        Place::Three,
    ),
    entrant(
        "csv-crate",
        "the csv crate reads the same file; nothing is sent",
        Way::Part(super::parse::CSV, Shape::Csv),
        Place::Nowhere,
    ),
    entrant(
        "serde-json",
        "serde_json reads the same lines, members known at run time, values as they stand there; nothing is sent",
        Way::Part(super::parse::JSON, Shape::Jsonl),
        Place::Nowhere,
    ),
    entrant(
        "serde-json-typed",
        "serde_json reads the same lines into a struct of two texts; nothing is sent",
        Way::Part(super::parse::JSON_TYPED, Shape::Jsonl),
        Place::Nowhere,
    ),
];

/// Those whose names begin so; all where nothing is said.
///
/// # Errors
/// Where nobody's name begins so; the message lists them.
pub(super) fn chosen(only: &[String]) -> Result<Vec<Entrant>> {
    let is_meant = |entrant: &&Entrant, name: &String| entrant.name.starts_with(name.as_str());
    for name in only {
        if !ENTRANTS.iter().any(|entrant| is_meant(&entrant, name)) {
            let names: Vec<&str> = ENTRANTS.iter().map(|entrant| entrant.name).collect();
            bail!("nobody's name begins with {name:?}; there are {}", names.join(", "));
        }
    }
    let taking_part =
        ENTRANTS.iter().filter(|entrant| only.is_empty() || only.iter().any(|name| is_meant(entrant, name)));
    Ok(taking_part.copied().collect())
}

impl Entrant {
    /// The file that it reads.
    pub(super) fn shape(&self) -> Option<Shape> {
        match self.way {
            Way::Import(shape) | Way::Part(_, shape) => Some(shape),
            Way::RedisCli => Some(Shape::Resp),
            Way::ImportPiped | Way::Stream { .. } => None,
        }
    }

    pub(super) fn is_redis_cli(&self) -> bool {
        self.way == Way::RedisCli
    }

    /// The contender of the harness that it is, with its window.
    pub(super) fn stream(&self) -> Option<(&'static str, usize)> {
        match self.way {
            Way::Stream { contender, window } => Some((contender, window)),
            _ => None,
        }
    }

    /// Whether all records have arrived when it is done. A stream begins where the last one ended.
    pub(super) fn loads(&self) -> bool {
        self.place != Place::Nowhere && self.stream().is_none()
    }

    /// What it is started with; `nodes` begins with the one that it is told of.
    ///
    /// # Errors
    /// Where it is no program of its own, or the target has no node.
    pub(super) fn job(&self, files: &Files, nodes: &[SocketAddr]) -> Result<Job> {
        let node = nodes.first().context("the target has no node")?;
        let (host, port) = (node.ip().to_string(), node.port().to_string());
        let seed = ["-h", &host, "-p", &port];
        let (path, args, input): (_, Vec<&str>, _) = match self.way {
            Way::Import(shape) => {
                let file = files.path_text(shape)?;
                let args = [&["import", file][..], shape.words(), &seed].concat();
                (files.panpipe(), args, Input::Nothing)
            }
            Way::ImportPiped => {
                let records = files.records_text();
                let feeder = Program {
                    path: files.panpipe().to_owned(),
                    args: ["generate", "--records", records].map(str::to_owned).to_vec(),
                };
                (files.panpipe(), [&["import", "-"][..], &seed].concat(), Input::Of(feeder))
            }
            Way::RedisCli => {
                let args = [&seed[..], &["--pipe"]].concat();
                (files.redis_cli()?, args, Input::File(files.path_text(Shape::Resp)?.into()))
            }
            Way::Part(name, shape) => {
                let file = files.path_text(shape)?;
                (files.own(), [&["load-part", name, file][..], &seed].concat(), Input::Nothing)
            }
            Way::Stream { .. } => bail!("a stream of the harness is no program of its own"),
        };
        let program = Program { path: path.to_owned(), args: args.into_iter().map(str::to_owned).collect() };
        let is_loud = self.place == Place::OneOfThree;
        Ok(Job { program, input, directory: files.directory().to_owned(), is_loud })
    }

    /// How many error replies it got.
    ///
    /// # Errors
    /// Where it failed for another reason, or does not say what it was asked.
    pub(super) fn errors(&self, used: &Used, records: u64) -> Result<u64> {
        if self.is_redis_cli() {
            let Some((errors, replies)) = pipe_counts(&used.out) else {
                bail!("redis-cli does not say how many replies it got: {}{}", used.out, used.err);
            };
            if replies != records {
                bail!("redis-cli got {replies} replies to {records} commands");
            }
            return Ok(errors);
        }
        if used.code != Some(0) {
            bail!("it failed ({:?}): {}", used.code, used.err.trim());
        }
        let expected = format!("records: {records}");
        if matches!(self.way, Way::Part(..)) && used.out.trim() != expected {
            bail!("it was to say {expected:?} and said {:?}", used.out.trim());
        }
        Ok(0)
    }
}

/// `errors: 0, replies: 1000`, of the last line.
fn pipe_counts(out: &str) -> Option<(u64, u64)> {
    let line = out.lines().rev().find_map(|line| line.trim().strip_prefix("errors: "))?;
    let (errors, replies) = line.split_once(", replies: ")?;
    Some((errors.parse().ok()?, replies.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Entrant {
        chosen(&[name.to_owned()]).unwrap()[0]
    }

    fn used(code: i32, out: &str) -> Used {
        Used {
            wall_ns: 1,
            user_ns: 1,
            system_ns: 1,
            peak_memory_bytes: 1,
            code: Some(code),
            out: out.into(),
            err: String::new(),
        }
    }

    #[test]
    fn names_are_chosen_by_their_beginnings() {
        let names = |only: &str| -> Vec<&str> {
            chosen(&[only.to_owned()]).unwrap().iter().map(|entrant| entrant.name).collect()
        };
        assert_eq!(names("floor"), ["floor", "floor-wide"]);
        assert_eq!(names("panpipe").len(), 5);
        assert_eq!(chosen(&[]).unwrap().len(), ENTRANTS.len());
        assert!(chosen(&["nobody".to_owned()]).unwrap_err().to_string().contains("panpipe-resp"));
    }

    #[test]
    fn redis_cli_says_how_many_errors_it_got() {
        let cli = named("redis-cli");
        let said = "All data transferred.\nerrors: 667, replies: 1000\n";
        assert_eq!(cli.errors(&used(1, said), 1000).unwrap(), 667);
        assert!(cli.errors(&used(0, said), 2000).is_err(), "replies are missing");
        assert!(cli.errors(&used(0, "nothing"), 1000).is_err());
    }

    #[test]
    fn others_fail_by_their_exit_code_or_by_reading_too_little() {
        let (import, csv) = (named("panpipe-kv"), named("csv-crate"));
        assert_eq!(import.errors(&used(0, ""), 10).unwrap(), 0);
        assert!(import.errors(&used(1, ""), 10).is_err());
        assert_eq!(csv.errors(&used(0, "records: 10\n"), 10).unwrap(), 0);
        assert!(csv.errors(&used(0, "records: 9\n"), 10).is_err());
    }
}
