//! Counts rather than times: what one command costs in allocations and, under an instruction counter, in instructions.
//!
//! ```text
//! cargo bench --bench count                       allocations and bytes per command, all workloads
//! cargo bench --bench count -- times [name…]      the best of many short runs, in nanoseconds per item: steady on a noisy machine
//! cargo bench --bench count -- list               the names of the workloads
//! cargo bench --bench count -- --test             one round of each workload: that it runs
//! cargo bench --bench count -- scan_ok 200        200 rounds of one workload and nothing else: for an instruction counter
//! ```
//!
//! `cargo run -p panpipe-gates` runs the last form under counters and compares; see benches/gates/README.md.

mod peer;

use std::time::Instant;

use peer::alloc;
use peer::micro::{self, Micro};
use peer::rig::{Rig, WORKLOADS};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// Rounds whose allocations are counted.
const ROUNDS: u64 = 200;
/// Short runs whose best is told, and the rounds of each.
const RUNS: usize = 200;
const ROUNDS_OF_A_RUN: usize = 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => allocations(ROUNDS),
        ["times", ..] => times(&args[1..]),
        ["list"] => names().for_each(|name| println!("{name}")),
        ["--test"] => allocations(1),
        [name, rounds] if names().any(|known| known == name) => match rounds.parse() {
            Ok(rounds) => {
                let (items, seen) = run(name, rounds);
                println!("items {items}\nallocations {}", seen.count);
            }
            Err(error) => fail(&format!("{rounds} is no number of rounds: {error}")),
        },
        _ => fail("say nothing, `times`, `list`, `--test`, or a workload and a number of rounds"),
    }
}

fn fail(what: &str) {
    eprintln!("{what}");
    std::process::exit(2);
}

fn names() -> impl Iterator<Item = &'static str> {
    micro::NAMES.into_iter().chain(WORKLOADS.iter().map(|workload| workload.name))
}

/// A warm workload; each call is a round and answers how many items it had.
fn rounds_of(name: &str) -> Box<dyn FnMut() -> u64> {
    if let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == name) {
        let mut rig = Rig::new(*workload);
        return Box::new(move || rig.round());
    }
    let name = micro::NAMES.into_iter().find(|known| *known == name).unwrap_or(micro::NAMES[0]);
    let mut micro = Micro::new(name);
    micro.round();
    Box::new(move || {
        std::hint::black_box(micro.round());
        micro.items
    })
}

/// Runs a workload; answers how many items it had and what the rounds allocated.
fn run(name: &str, rounds: u64) -> (u64, alloc::Allocations) {
    let mut round = rounds_of(name);
    alloc::during(|| (0..rounds).map(|_| round()).sum())
}

/// Runs each workload in short runs and keeps the best: whatever else the machine does only ever adds time.
fn times(wanted: &[String]) {
    println!("{:<26}{:>12}{:>12}", "workload", "best ns", "median ns");
    for name in names().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
        let mut round = rounds_of(name);
        let mut seen: Vec<f64> = (0..RUNS)
            .map(|_| {
                let began = Instant::now();
                let items: u64 = (0..ROUNDS_OF_A_RUN).map(|_| round()).sum();
                began.elapsed().as_nanos() as f64 / items as f64
            })
            .collect();
        seen.sort_by(f64::total_cmp);
        println!("{name:<26}{:>12.2}{:>12.2}", seen[0], seen[seen.len() / 2]);
    }
}

fn allocations(rounds: u64) {
    println!(
        "{:<26}{:>12}{:>14}{:>20}{:>18}",
        "workload", "items", "allocations", "allocations/item", "bytes/item"
    );
    for name in names() {
        let (items, seen) = run(name, rounds);
        let per_item = |number: u64| number as f64 / items as f64;
        println!(
            "{name:<26}{items:>12}{:>14}{:>20.4}{:>18.2}",
            seen.count,
            per_item(seen.count),
            per_item(seen.bytes)
        );
    }
}
