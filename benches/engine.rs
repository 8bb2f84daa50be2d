//! The engine alone, against a peer in memory: routing, encoding, bookkeeping, scanning and filing of replies, without a system call.
//!
//! `cargo bench --bench engine`; an element is one command. The peer's copying of the replies into the receive buffer is included.

mod peer;

use criterion::{Criterion, Throughput};

use peer::rig::{Rig, WORKLOADS};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("engine");
    for workload in WORKLOADS {
        let mut rig = Rig::new(workload);
        group.throughput(Throughput::Elements(workload.commands as u64));
        group.bench_function(&workload.name["engine_".len()..], |bencher| bencher.iter(|| rig.round()));
    }
    group.finish();
    criterion.final_summary();
}
