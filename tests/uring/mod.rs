//! What the tests of the io_uring transport share: servers that misbehave, and what the system knows of this process.
#![allow(dead_code, reason = "each program that includes this module uses a part of it")]

pub(crate) mod proxy;
pub(crate) mod rng;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One test at a time: descriptors and memory are counted for the whole process. None at all where it is known that the system refuses
/// io_uring (tests/uring_allowed.rs).
pub(crate) fn alone() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    let is_refused = std::env::var("PANPIPE_EXPECT_NO_URING").is_ok_and(|value| value == "1");
    (!is_refused).then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What this process's descriptors are, by their kind and number.
pub(crate) fn descriptors() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    // The one of this listing is gone when it is looked at, or leads to /proc.
    let links = links.map(|link| link.to_string_lossy().into_owned()).filter(|link| !link.contains("/proc/"));
    let mut links: Vec<String> = links.collect();
    links.sort_unstable();
    links
}

/// Rings of this process.
pub(crate) fn rings() -> usize {
    descriptors().iter().filter(|link| link.contains("io_uring")).count()
}

/// Waits until there are no more descriptors than so many; what threads of a peer hold goes soon.
pub(crate) fn assert_descriptors(count: usize, context: &str) {
    let began = Instant::now();
    while descriptors().len() != count {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{context}: {count} descriptors were open before, now {:#?}",
            descriptors()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Pages of this process that are in memory, in bytes.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("the kernel tells of memory") * 4096
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
