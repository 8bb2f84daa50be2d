//! Faults on real clusters, under a load whose order and outcomes are checked: Redis 7.0, 8.2 and Valkey 9.1.
//!
//! ```text
//! cargo test --test real_faults                                  the short form: a few cycles of each case
//! cargo test --test real_faults -- 'RC2 valkey' RC7              some of it
//! PANPIPE_LONG=1 cargo test --release --test real_faults         the long form, hours of it
//! PANPIPE_LONG=0.1 cargo test --release --test real_faults       a tenth of its cycles
//! ```
//!
//! At the end stands a table in Markdown. `tests/real_faults/check.rs` says what is checked, and how a server's loss is told from ours.

#[path = "real_faults/book.rs"]
mod book;
#[path = "real_faults/check.rs"]
mod check;
#[path = "real_faults/load.rs"]
mod load;
#[path = "real_faults/plan.rs"]
mod plan;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "real/random.rs"]
mod random;
#[path = "real_faults/reshard.rs"]
mod reshard;
mod servers;
#[path = "real_faults/tally.rs"]
mod tally;
#[path = "support/transport.rs"]
mod transport;

use plan::{Case, Plan};
use servers::Version;

const CASES: &[Case] = &[
    Case { name: "RC1 slots by hand", run: reshard::by_hand, servers: all, alone: false },
    Case {
        name: "RC1 slots, atomic",
        run: reshard::atomic,
        servers: Version::moves_slots_atomically,
        alone: false,
    },
];

fn all(_: Version) -> bool {
    true
}

fn main() {
    let plan = Plan::from_environment();
    if !plan::run(&plan, CASES) {
        std::process::exit(1);
    }
}
