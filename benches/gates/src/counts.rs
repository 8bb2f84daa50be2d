//! What one item of a workload costs: two runs under each tool, and their difference.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::callgrind;
use crate::dhat::{self, Copies};
use crate::failure::Failure;
use crate::program::Program;
use crate::valgrind::{Tool, Valgrind};

/// N. More of them would change the figures below their last digit only.
const ROUNDS: u64 = 40;

/// What is counted, in the order of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Instructions,
    CopiedBytes,
    Allocations,
}

impl Metric {
    pub(crate) const ALL: [Metric; 3] = [Metric::Instructions, Metric::CopiedBytes, Metric::Allocations];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Metric::Instructions => "instructions",
            Metric::CopiedBytes => "copied bytes",
            Metric::Allocations => "allocations",
        }
    }

    /// Digits after the point, in the baseline and in tables.
    pub(crate) fn decimals(self) -> usize {
        match self {
            Metric::Instructions => 1,
            Metric::CopiedBytes => 2,
            Metric::Allocations => 4,
        }
    }
}

/// The cost of one item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    pub(crate) instructions: f64,
    pub(crate) copied_bytes: f64,
    pub(crate) allocations: f64,
}

impl Costs {
    pub(crate) fn of(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Instructions => self.instructions,
            Metric::CopiedBytes => self.copied_bytes,
            Metric::Allocations => self.allocations,
        }
    }
}

/// A workload that was counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) costs: Costs,
    /// Bytes per item by the place that copies them.
    pub(crate) copies: BTreeMap<String, f64>,
}

/// One run under one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run<T> {
    items: u64,
    allocations: u64,
    found: T,
}

/// The name of a tool's output for the longer run.
pub(crate) fn output_name(workload: &str, tool: Tool) -> String {
    run_name(workload, tool, 2 * ROUNDS)
}

fn run_name(workload: &str, tool: Tool, rounds: u64) -> String {
    format!("{workload}.{rounds}.{}", tool.extension())
}

/// Counts all workloads, or those that are named; in the order of the program's list. As many at once as there are processors: a count
/// does not depend on what else runs.
pub(crate) fn count(
    program: &Program,
    valgrind: &Valgrind,
    names: &[String],
    keep: &Path,
) -> Result<Vec<Counted>, Failure> {
    std::fs::create_dir_all(keep).map_err(Failure::file(keep))?;
    let workloads = program.workloads(names)?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let worker = || {
        // From the end, where the longest ones are.
        while let Some(at) = workloads.len().checked_sub(1 + next.fetch_add(1, Ordering::Relaxed)) {
            let counted = count_one(program, valgrind, &workloads[at], keep);
            results.lock().expect("no worker panics").push((at, counted));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(workloads.len());
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
    let mut results = results.into_inner().expect("no worker panics");
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, counted)| counted).collect()
}

fn count_one(program: &Program, valgrind: &Valgrind, name: &str, keep: &Path) -> Result<Counted, Failure> {
    let uncountable = |what: String| Failure::Uncountable { workload: name.to_owned(), what };
    let run = |tool, rounds| -> Result<(Run<()>, String), Failure> {
        let out = keep.join(run_name(name, tool, rounds));
        let said = valgrind.run(tool, program.path(), name, rounds, &out)?;
        let found = std::fs::read_to_string(&out).map_err(Failure::file(&out))?;
        Ok((said_by_program(&said).map_err(uncountable)?, found))
    };
    let callgrind = |rounds| {
        let (run, text) = run(Tool::Callgrind, rounds)?;
        Ok(run.with(callgrind::instructions(&text).map_err(uncountable)?))
    };
    let dhat = |rounds| {
        let (run, text) = run(Tool::Dhat, rounds)?;
        Ok(run.with(dhat::copies(&text).map_err(uncountable)?))
    };
    let instructions = [callgrind(ROUNDS)?, callgrind(2 * ROUNDS)?];
    let copies = [dhat(ROUNDS)?, dhat(2 * ROUNDS)?];
    difference(name, &instructions, &copies).map_err(uncountable)
}

impl Run<()> {
    fn with<T>(&self, found: T) -> Run<T> {
        Run { items: self.items, allocations: self.allocations, found }
    }
}

/// The program's two lines.
fn said_by_program(text: &str) -> Result<Run<()>, String> {
    let number = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("the program told no {name}: {text}"))
    };
    Ok(Run { items: number("items")?, allocations: number("allocations")?, found: () })
}

/// The costs of the rounds that the longer runs had more.
fn difference(
    name: &str,
    instructions: &[Run<u64>; 2],
    copies: &[Run<Copies>; 2],
) -> Result<Counted, String> {
    let items = |once: u64, twice: u64| {
        twice.checked_sub(once).filter(|items| *items > 0).ok_or("twice the rounds had no more items")
    };
    let [once, twice] = instructions;
    let per_item = |once: u64, twice: u64, items: u64| (twice as f64 - once as f64) / items as f64;
    let more = items(once.items, twice.items)?;
    let [copied_once, copied_twice] = copies;
    let more_copied = items(copied_once.items, copied_twice.items)?;
    let of = |copies: &Copies, place: &String| copies.places.get(place).copied().unwrap_or(0);
    let place = |(place, bytes): (&String, &u64)| {
        (place.clone(), per_item(of(&copied_once.found, place), *bytes, more_copied))
    };
    Ok(Counted {
        name: name.to_owned(),
        costs: Costs {
            instructions: per_item(once.found, twice.found, more),
            copied_bytes: per_item(copied_once.found.bytes, copied_twice.found.bytes, more_copied),
            allocations: per_item(once.allocations, twice.allocations, more),
        },
        copies: copied_twice.found.places.iter().map(place).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(bytes: u64) -> Copies {
        Copies { bytes, places: BTreeMap::from([("put (encode.rs:65)".to_owned(), bytes)]) }
    }

    #[test]
    fn the_difference_has_no_set_up_in_it() {
        let set_up = 12_345;
        let instructions = [
            Run { items: 400, allocations: 7, found: set_up + 400 * 10 },
            Run { items: 800, allocations: 7 + 400, found: set_up + 800 * 10 },
        ];
        let copied = [
            Run { items: 400, allocations: 0, found: copies(99 + 400 * 16) },
            Run { items: 800, allocations: 0, found: copies(99 + 800 * 16) },
        ];
        let counted = difference("w", &instructions, &copied).unwrap();
        let costs = Costs { instructions: 10.0, copied_bytes: 16.0, allocations: 1.0 };
        assert_eq!(counted.costs, costs);
        assert_eq!(counted.copies["put (encode.rs:65)"], 16.0);
    }

    #[test]
    fn runs_of_the_same_length_tell_nothing() {
        let run = Run { items: 400, allocations: 0, found: 1 };
        let copied = Run { items: 400, allocations: 0, found: copies(1) };
        assert!(difference("w", &[run.clone(), run], &[copied.clone(), copied]).is_err());
    }

    #[test]
    fn the_program_tells_items_and_allocations() {
        let told = said_by_program("items 4000\nallocations 2\n").unwrap();
        assert_eq!((told.items, told.allocations), (4000, 2));
        assert!(said_by_program("items 4000\n").is_err());
        assert!(said_by_program("items many\nallocations 2\n").is_err());
    }
}
