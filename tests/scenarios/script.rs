//! What a scenario is made of.

use std::ops::RangeInclusive;

use panpipe::Config;
use panpipe::testkit::{ModelCluster, ModelConfig};

use crate::world::World;

/// A cluster, a client, and what happens to them. [`PLAIN`] has what most have.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// How the cluster is laid out.
    pub(crate) cluster: fn(&mut ModelConfig),
    /// What happens to it before the client comes.
    pub(crate) before: fn(&mut ModelCluster),
    /// How the client is configured; the numbers are the nodes' ports.
    pub(crate) config: fn(&mut Config, &[u16]),
    /// Why it runs under virtual time, where it does.
    pub(crate) virtual_time: Option<&'static str>,
    /// How connecting fails, where it has to.
    pub(crate) refused: Option<&'static str>,
    pub(crate) steps: &'static [Step],
}

/// Three primaries, a client without a periodic refresh, sockets.
pub(crate) const PLAIN: Scenario = Scenario {
    cluster: |_| {},
    before: |_| {},
    config: |_, _| {},
    virtual_time: None,
    refused: None,
    steps: &[],
};

/// One thing that happens, or that must be so.
///
/// Commands are texts in the names of `names.rs`. Results are texts too: `OK`, `nil`, `7`, `[1, nil]`, and for errors
/// `!TRYAGAIN NotExecuted`, the server's code or the kind of the error, and the outcome. `*` stands for any result, `~` in front of a text
/// for a result that contains it.
#[derive(Debug)]
pub(crate) enum Step {
    /// Something happens to the cluster.
    Cluster(fn(&mut ModelCluster)),
    /// A frozen node goes on.
    Thaw(usize),
    /// A node answers so many milliseconds late.
    Late(usize, u64),
    /// One pipeline: each command with its result.
    Flush(&'static [(&'static str, &'static str)]),
    /// As `Flush`, with a deadline in milliseconds.
    FlushWithin(u64, &'static [(&'static str, &'static str)]),
    /// MULTI, these commands and EXEC as the one record of a load: `written`, or what became of it.
    Unit(&'static [&'static str], &'static str),
    /// Commands of the event-driven use; they leave at once. The first of a scenario has number 0.
    Submit(&'static [&'static str]),
    /// As `Submit`, with a deadline in milliseconds.
    SubmitWithin(u64, &'static [&'static str]),
    /// Waits for the results of these numbers.
    Results(&'static [(usize, &'static str)]),
    /// These have no result yet.
    Pending(&'static [usize]),
    /// The client works until this is so.
    Until(fn(&mut World) -> bool),
    /// The client works for so many milliseconds.
    Pass(u64),
    /// Counters start from zero, and so does the clock.
    Mark,
    /// What was counted since the mark.
    Counts(&'static [(Count, RangeInclusive<u64>)]),
    /// Milliseconds since the mark.
    Took(RangeInclusive<u64>),
    /// The writes that were executed on a key, in their order.
    Log(&'static str, &'static [&'static str]),
    /// Anything else.
    Do(fn(&mut World)),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Moved,
    Asks,
    Retries,
    Connects,
    Disconnects,
    Refreshes,
    Timeouts,
    Desyncs,
    Pushes,
    /// Commands that a node has looked at.
    At(usize),
}

/// Makes a test of each scenario, and a list of their names.
macro_rules! scenarios {
    ($($(#[$attribute:meta])* $name:ident => $scenario:expr;)*) => {
        /// The scenarios of this file.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                const SCENARIO: $crate::script::Scenario = $scenario;
                $crate::world::run(&SCENARIO);
            }
        )*
    };
}
pub(crate) use scenarios;
