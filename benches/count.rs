//! Counts instead of times: what one command costs in allocations and, under an instruction counter, in instructions.
//!
//! ```text
//! cargo bench --bench count                       allocations and bytes per command, all workloads
//! cargo bench --bench count -- list               the names of the workloads
//! cargo bench --bench count -- scan_ok 200        200 rounds of one workload and nothing else: for an instruction counter
//! benches/instructions                            instructions per command, all workloads
//! ```

mod peer;

use peer::alloc;
use peer::micro::{self, Micro};
use peer::rig::{Rig, WORKLOADS};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// Rounds whose allocations are counted.
const ROUNDS: u64 = 200;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => allocations(),
        ["list"] => names().for_each(|name| println!("{name}")),
        [name, rounds] if names().any(|known| known == name) => match rounds.parse() {
            Ok(rounds) => println!("items {}", run(name, rounds).0),
            Err(error) => fail(&format!("{rounds} is no number of rounds: {error}")),
        },
        _ => fail("say nothing, `list`, or a workload and a number of rounds"),
    }
}

fn fail(what: &str) {
    eprintln!("{what}");
    std::process::exit(2);
}

fn names() -> impl Iterator<Item = &'static str> {
    micro::NAMES.into_iter().chain(WORKLOADS.iter().map(|workload| workload.name))
}

/// Runs a workload, warm; answers how many items it had and what the rounds allocated.
fn run(name: &str, rounds: u64) -> (u64, alloc::Allocations) {
    if let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == name) {
        let mut rig = Rig::new(*workload);
        return alloc::during(|| (0..rounds).map(|_| rig.round()).sum());
    }
    let name = micro::NAMES.into_iter().find(|known| *known == name).unwrap_or(micro::NAMES[0]);
    let mut micro = Micro::new(name);
    micro.round();
    let (sum, allocations) = alloc::during(|| (0..rounds).map(|_| micro.round()).fold(0, u64::wrapping_add));
    std::hint::black_box(sum);
    (micro.items * rounds, allocations)
}

fn allocations() {
    println!(
        "{:<26}{:>12}{:>14}{:>20}{:>18}",
        "workload", "items", "allocations", "allocations/item", "bytes/item"
    );
    for name in names() {
        let (items, seen) = run(name, ROUNDS);
        let per_item = |number: u64| number as f64 / items as f64;
        println!(
            "{name:<26}{items:>12}{:>14}{:>20.4}{:>18.2}",
            seen.count,
            per_item(seen.count),
            per_item(seen.bytes)
        );
    }
}
