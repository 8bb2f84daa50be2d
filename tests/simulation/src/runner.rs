//! Many seeds on all cores, and what they add up to.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::coverage::Coverage;
use crate::faults::Fault;
use crate::options::{Options, Settings};
use crate::run::{Outline, run};
use crate::world::Problem;

thread_local! {
    /// What the last panic of this thread said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A seed that went wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What went wrong first.
    pub problem: Problem,
}

/// What many runs add up to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Commands submitted.
    pub commands: u64,
    /// Milliseconds of virtual time.
    pub virtual_ms: u64,
    /// Seeds that went wrong, in ascending order.
    pub failures: Vec<Failure>,
    coverage: Coverage,
}

/// Keeps panics silent, and what they say at hand. Once per process.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|text| *text = info.to_string().replace('\n', " "));
    }));
}

/// The place of the kind of fault whose name contains this text.
pub fn fault_named(text: &str) -> Result<usize, String> {
    let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    names.iter().position(|name| name.contains(text)).ok_or_else(|| format!("the faults are {names:#?}"))
}

fn is_wanted(seed: u64, settings: &Settings) -> bool {
    let Some(fault) = settings.fault else { return true };
    Options::draw(seed, settings).faults.get(fault).is_some_and(|&weight| weight > 0)
}

/// One seed; a panic is a problem.
pub fn one(seed: u64, settings: Settings) -> (Vec<Problem>, u64) {
    let outline = outline(seed, settings);
    (outline.problems, outline.history)
}

fn outline(seed: u64, settings: Settings) -> Outline {
    catch_unwind(AssertUnwindSafe(|| run(seed, settings))).unwrap_or_else(|_| {
        let text = PANIC.with_borrow(String::clone);
        Outline {
            problems: vec![Problem { check: "panic", text }],
            commands: 0,
            virtual_ms: 0,
            history: 0,
            coverage: Coverage::default(),
        }
    })
}

/// Runs seeds `first..first + count` on all cores.
pub fn many(first: u64, count: u64, settings: Settings, failures_max: usize, progress: bool) -> Summary {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Summary::default());
    let began = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || stop.load(Ordering::Relaxed) {
                return;
            }
            if !is_wanted(seed, &settings) {
                continue;
            }
            let outline = outline(seed, settings);
            let Ok(mut total) = total.lock() else { return };
            let failed_before = total.failures.len();
            total.take(seed, outline);
            if let Some(failure) = total.failures.get(failed_before).filter(|_| progress) {
                // At once: the rest may take an hour.
                eprintln!("seed {}: {}: {}", failure.seed, failure.problem.check, failure.problem.text);
            }
            if total.failures.len() >= failures_max {
                stop.store(true, Ordering::Relaxed);
            }
            if progress && total.seeds.is_multiple_of((count / 50).max(1)) {
                let seconds = began.elapsed().as_secs();
                eprintln!("{} of {count} seeds, {} failed, {seconds} s", total.seeds, total.failures.len());
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut total = total.into_inner().unwrap_or_default();
    total.failures.sort_by_key(|failure| failure.seed);
    total
}

impl Summary {
    fn take(&mut self, seed: u64, outline: Outline) {
        self.seeds += 1;
        self.commands += outline.commands;
        self.virtual_ms += outline.virtual_ms;
        self.coverage.add(&outline.coverage);
        if let Some(problem) = outline.problems.into_iter().next() {
            self.failures.push(Failure { seed, problem });
        }
    }

    /// Faults by kind.
    pub fn faults(&self) -> Vec<(&'static str, u64)> {
        let count = |fault: &Fault| self.coverage.count_of(*fault);
        Fault::ALL.iter().map(|fault| (fault.name(), count(fault))).collect()
    }

    /// Cells of coverage, by name.
    pub fn cells(&self) -> Vec<(String, u64)> {
        self.coverage.cells()
    }
}
