//! `panpipe import` as a process against real clusters, while they do what real clusters do: Redis 6.2, 7.0, 8.2 and Valkey 9.1.
//!
//! ```text
//! cargo test --features cli --test import_real                     the short form, about a minute
//! PANPIPE_LONG=1 cargo test --features cli --test import_real      ten times the records, stops of ten seconds and more
//! ```
//!
//! Over io_uring (`PANPIPE_TEST_TRANSPORT=uring`) the short form is about one server: what differs between them is not the transport's.
//!
//! After each load: every record is in the cluster or in the reject file (the tool reads all of them back, and keys are counted beside it),
//! nothing is counted twice, the summary adds up, and memory is bounded.
#![cfg(feature = "cli")]

#[path = "import_real/bench.rs"]
mod bench;
#[path = "import_real/faults.rs"]
mod faults;
#[path = "import_real/load.rs"]
mod load;
mod servers;
#[path = "import/tool.rs"]
mod tool;
#[path = "support/transport.rs"]
mod transport;

use bench::Bench;
use servers::Version;

/// The server of the short form over io_uring.
const OVER_URING: Version = Version::Redis82;

/// One cluster per server: the cases follow each other on it, and the one that costs a primary comes last.
fn all_of_it(version: Version) {
    let is_mio = transport::chosen() == panpipe::Transport::Mio;
    if !is_mio && version != OVER_URING && std::env::var_os("PANPIPE_LONG").is_none() {
        return;
    }
    let bench = Bench::start(version);
    bench.case("everything, read back", load::everything);
    bench.case("a wrong type in every thousandth record", load::wrong_types);
    bench.case("interrupted, and resumed", load::interrupted);
    bench.case("killed, and resumed", load::killed);
    bench.case("a file cut off, and one of garbage", load::damaged);
    bench.case("no room for the rejects", load::no_room_for_rejects);
    bench.case("slots moved there and back", faults::slots_move);
    bench.case("transactions while slots move", faults::units_move);
    bench.case("a node stopped for a while", faults::stopped);
    bench.case("out of memory", faults::out_of_memory);
    bench.case("a primary killed and replaced", faults::primary_dies);
}

#[test]
fn redis_6_2() {
    all_of_it(Version::Redis62);
}

#[test]
fn redis_7_0() {
    all_of_it(Version::Redis70);
}

#[test]
fn redis_8_2() {
    all_of_it(Version::Redis82);
}

#[test]
fn valkey_9_1() {
    all_of_it(Version::Valkey91);
}
