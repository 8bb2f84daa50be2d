//! Scanning: replies of the commonest forms, whole and in pieces.
//!
//! `cargo bench --bench scan`; an element is one reply.

mod peer;

use criterion::{Criterion, Throughput};

use peer::micro::{Micro, NAMES};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("scan");
    for name in NAMES.into_iter().filter(|name| name.starts_with("scan_")) {
        let mut micro = Micro::new(name);
        group.throughput(Throughput::Elements(micro.items));
        group.bench_function(&name["scan_".len()..], |bencher| bencher.iter(|| micro.round()));
    }
    group.finish();
    criterion.final_summary();
}
