//! From what servers say to rows, and from rows to the text of `src/command/table.rs`.
//!
//! The defaults are here: what a flag, a category, a tip or a key specification comes to without an override. What comes to nothing
//! (a key specification that says "unknown", a rule for replies that the client has not) is an error until an override decides it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ask::{self, Begin, Find, Known, Search};
use crate::overrides;

/// The fields of a row, in the words of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) arity: String,
    pub(crate) flags: String,
    pub(crate) keys: String,
    pub(crate) place: String,
    pub(crate) class: String,
}

/// All rows by name.
pub(crate) type Rows = BTreeMap<String, Row>;

/// Where something has no default: no Rust, so that it cannot go unnoticed.
const UNDECIDED: &str = "?";

const HEAD: &str = "\
//! The rows: every command of Redis 7.0, Redis 8.2 and Valkey 9.1, and a few of newer servers.
//!
//! Generated: `cargo run -p panpipe-commands -- write` asks the servers and applies `tests/commands/overrides`. A change by hand is lost;
//! `tests/command_table.rs` fails where this is not what would be generated. What the words mean is said in `row`.

use crate::command::Merge;
use crate::command::row::*;
use crate::command::spec::Spec;

/// Sorted by name.
pub(crate) static TABLE: &[Spec] = &[
";

impl Row {
    /// A command without keys of which nothing is known.
    pub(crate) fn keyless(arity: String) -> Row {
        let [flags, keys, place, class] = ["NONE", "NO_KEYS", "OPEN", "REPEATS"].map(str::to_owned);
        Row { arity, flags, keys, place, class }
    }

    fn of(known: &Known) -> Row {
        let keys = keys(&known.keys);
        Row {
            arity: known.arity.to_string(),
            flags: flags(known),
            place: place(known, &keys),
            class: class(known).to_owned(),
            keys,
        }
    }
}

fn flags(known: &Known) -> String {
    let about_all = known.keys.is_empty() && known.is_of("@keyspace");
    let flags = [
        ("READ", known.has("readonly")),
        ("WRITE", known.has("write")),
        ("BLOCKS", known.has("blocking")),
        ("ADMIN", known.has("admin")),
        ("PUBSUB", known.has("pubsub")),
        ("NO_SCRIPT", known.has("noscript")),
        ("ALL_KEYS", about_all),
    ];
    let set: Vec<&str> = flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
    if set.is_empty() { "NONE".to_owned() } else { set.join(" | ") }
}

/// Positions there count from the name, and here from the first argument.
fn keys(searches: &[Search]) -> String {
    let simple: Option<Vec<(i64, i64, i64)>> = searches.iter().map(range).collect();
    match (simple.as_deref(), searches) {
        (_, []) => "NO_KEYS".to_owned(),
        (Some([(first, last, step)]), _) => format!("range({first}, {last}, {step})"),
        // A destination and its sources, one behind the other.
        (Some([(first, end, 1), (next, last, 1)]), _) if first == end && *next == end + 1 => {
            format!("range({first}, {last}, 1)")
        }
        (_, [counted]) => match counted_from(counted) {
            Some((at, step)) => format!("counted({at}, {step})"),
            None => UNDECIDED.to_owned(),
        },
        (_, [one, counted]) if range(one) == Some((0, 0, 1)) => match counted_from(counted) {
            Some((at, 1)) => format!("first_and_counted({at})"),
            _ => UNDECIDED.to_owned(),
        },
        _ => UNDECIDED.to_owned(),
    }
}

/// First, last and step of keys at fixed places.
fn range(search: &Search) -> Option<(i64, i64, i64)> {
    match *search {
        Search { begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 } } => {
            Some((first - 1, if last < 0 { last } else { first - 1 + last }, step))
        }
        _ => None,
    }
}

/// Where the number of keys is that stand behind it, and their step.
fn counted_from(search: &Search) -> Option<(i64, i64)> {
    match *search {
        Search { begin: Begin::Index(begin), find: Find::Counted { at: 0, first: 1, step } } => {
            Some((begin - 1, step))
        }
        _ => None,
    }
}

fn place(known: &Known, keys: &str) -> String {
    if known.container {
        return "CONTAINER".to_owned();
    }
    if known.has("blocking") {
        return "refused(WAITS)".to_owned();
    }
    let merge = |without: &'static str| match known.tip("response_policy") {
        Some("all_succeeded") => "Merge::First",
        Some("agg_sum") => "Merge::Sum",
        Some("agg_logical_and") => "Merge::And",
        // One success is enough for KILL: there is no rule for that, so that replies are kept per node.
        Some("special" | "one_succeeded") => "Merge::PerNode",
        None => without,
        Some(_) => UNDECIDED,
    };
    match known.tip("request_policy") {
        Some("all_shards") => format!("shards({})", merge("Merge::Concat")),
        Some("all_nodes") => format!("nodes({})", merge("Merge::Concat")),
        Some("multi_shard") => {
            let step = keys.strip_suffix(')').and_then(|keys| keys.rsplit(' ').next()).unwrap_or(UNDECIDED);
            format!("split({step}, {})", merge("Merge::Elements"))
        }
        Some("special") | None => "OPEN".to_owned(),
        Some(_) => UNDECIDED.to_owned(),
    }
}

fn class(known: &Known) -> &'static str {
    if known.has("readonly") {
        "READS"
    } else if known.is_of("@connection") || known.is_of("@transaction") {
        "CONNECTION"
    } else {
        "REPEATS"
    }
}

/// The text of the table as it should be.
fn generated() -> Result<String, String> {
    let mut rows: Rows = ask::union().iter().map(|(name, known)| (name.clone(), Row::of(known))).collect();
    let path = package().join("overrides");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut wrong = overrides::apply(&text, &mut rows);
    for (name, row) in &rows {
        if [&row.flags, &row.keys, &row.place, &row.class].iter().any(|field| field.contains(UNDECIDED)) {
            wrong.push(format!("{name}: an override must decide {row:?}"));
        }
    }
    if wrong.is_empty() { Ok(rendered(&rows)) } else { Err(wrong.join("\n")) }
}

fn rendered(rows: &Rows) -> String {
    let mut text = HEAD.to_owned();
    for (name, Row { arity, flags, keys, place, class }) in rows {
        writeln!(text, "    row({name:?}, {arity}, {flags}, {keys}, {place}, {class}),")
            .expect("a string takes all");
    }
    text.push_str("];\n");
    text
}

fn package() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The library's tests use this file too.
    if here.ends_with("tests/commands") { here.to_owned() } else { here.join("tests/commands") }
}

fn table() -> PathBuf {
    package().join("../../src/command/table.rs")
}

/// Compares what is checked in with what the servers say.
pub(crate) fn check() -> Result<(), String> {
    let (expected, path) = (generated()?, table());
    let present = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut wrong = String::new();
    for (sign, ours, theirs) in [('-', &present, &expected), ('+', &expected, &present)] {
        for line in ours.lines().filter(|line| !theirs.lines().any(|other| other == *line)) {
            writeln!(wrong, "{sign}{line}").expect("a string takes all");
        }
    }
    match present == expected {
        true => Ok(()),
        false => Err(format!(
            "src/command/table.rs is not what the servers say:\n{wrong}\
             Where that is right: cargo run -p panpipe-commands -- write"
        )),
    }
}

/// Writes what the servers say.
#[allow(dead_code, reason = "the library's tests only check")]
pub(crate) fn write() -> Result<(), String> {
    let text = generated()?;
    fs::write(table(), text).map_err(|error| error.to_string())
}
