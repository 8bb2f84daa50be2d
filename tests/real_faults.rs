//! Faults on real clusters, under a load whose order and outcomes are checked: Redis 7.0, 8.2 and Valkey 9.1.
//!
//! ```text
//! cargo test --test real_faults                                  the short form: a few cycles of each case
//! cargo test --test real_faults -- 'RC2 valkey' RC7              some of it
//! PANPIPE_LONG=1 cargo test --profile simulation --test real_faults --features io-uring         the long form
//! ```
//!
//! `tests/real_faults/README.md` says what the long form contains, and what came of it. `tests/real_faults/check.rs` says what is checked, and
//! how a server's loss is told from ours.

#[path = "real_faults/book.rs"]
mod book;
#[path = "real_faults/check.rs"]
mod check;
#[path = "real_faults/doubt.rs"]
mod doubt;
#[path = "real_faults/herd.rs"]
mod herd;
#[path = "real_faults/late.rs"]
mod late;
#[path = "real_faults/latency.rs"]
mod latency;
#[path = "real_faults/load.rs"]
mod load;
#[path = "real_faults/network.rs"]
mod network;
#[path = "real_faults/outage.rs"]
mod outage;
#[path = "real_faults/plan.rs"]
mod plan;
#[path = "real_faults/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "real/random.rs"]
mod random;
#[path = "real_faults/refusal.rs"]
mod refusal;
#[path = "real_faults/reshard.rs"]
mod reshard;
#[path = "real_faults/scale.rs"]
mod scale;
mod servers;
#[path = "real_faults/tally.rs"]
mod tally;
#[path = "support/transport.rs"]
mod transport;
#[path = "real_faults/volume.rs"]
mod volume;

use plan::{Bench, Case, Plan};
use servers::Version;
use tally::Tally;

const CASES: &[Case] = &[
    shared("RC1 slots by hand", reshard::by_hand),
    Case { servers: Version::moves_slots_atomically, ..shared("RC1 slots, atomic", reshard::atomic) },
    shared("RC2 kill -9", outage::killed),
    shared("RC3 stopped for a while", outage::stopped_for_a_while),
    shared("RC3 stopped until replaced", outage::stopped_until_replaced),
    shared("RC3 late writes", late::stopped),
    shared("RC3 late writes, fenced", late::stopped_fenced),
    shared("RC4 paused and asleep", outage::paused),
    shared("RC5 cut off", network::partitioned),
    shared("RC5 cut off, fenced", network::partitioned_fenced),
    shared("RC7 CLUSTER FAILOVER", outage::failed_over),
    shared("RC7 rolling restarts", outage::rolled),
    shared("RC12 a herd of clients", herd::herd),
    shared("RC13 volume", volume::volumes),
    shared("RC14 mangled replies", network::mangled),
    Case { alone: true, ..shared("RC8 3 to 6 to 3", scale::scaled) },
    Case { alone: true, ..shared("RC9 refused", refusal::refused) },
    Case { alone: true, ..shared("RC11 moved house", scale::moved_house) },
];

/// A case on every server, on the cluster that cases share.
const fn shared(name: &'static str, run: fn(&mut Bench, &mut Tally)) -> Case {
    Case { name, run, servers: all, alone: false }
}

fn all(_: Version) -> bool {
    true
}

fn main() {
    if volume::is_child() {
        return;
    }
    doubt::check_the_checks();
    let plan = Plan::from_environment();
    if !plan::run(&plan, CASES) {
        std::process::exit(1);
    }
}
