//! Encoding: SET and GET from borrowed arguments and through the raw door.
//!
//! `cargo bench --bench encode`; an element is one command.

mod peer;

use criterion::{Criterion, Throughput};

use peer::micro::{Micro, NAMES};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("encode");
    for name in NAMES.into_iter().filter(|name| name.starts_with("encode_")) {
        let mut micro = Micro::new(name);
        group.throughput(Throughput::Elements(micro.items));
        group.bench_function(&name["encode_".len()..], |bencher| bencher.iter(|| micro.round()));
    }
    group.finish();
    criterion.final_summary();
}
