//! Hash slots: how long one key takes, with and without a hash tag, beside the checksum alone.
//!
//! `cargo bench --bench slot`; an element is one key.

mod peer;

use criterion::{Criterion, Throughput};

use peer::micro::{Micro, NAMES};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("slot");
    for name in NAMES.into_iter().filter(|name| name.starts_with("slot_")) {
        let mut micro = Micro::new(name);
        group.throughput(Throughput::Elements(micro.items));
        group.bench_function(&name["slot_".len()..], |bencher| bencher.iter(|| micro.round()));
    }
    group.finish();
    criterion.final_summary();
}
