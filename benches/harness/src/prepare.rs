//! What a real server must hold before a race: a value for every key that is read.

use anyhow::{Context as _, Result};
use panpipe::command::{Arg, Commands as _, Keys, Request};

use crate::contender::Setup;
use crate::contender::panpipe::configuration;
use crate::plan::Plan;
use crate::target::Target;
use crate::workload::{Mix, Workload};

/// Bytes of values per flush.
const FLUSH_BYTES: usize = 4 << 20;

/// Writes all keys of the workload.
///
/// # Errors
/// Where the target refuses them.
pub(crate) fn prepare(target: &Target, setup: &Setup, workload: &Workload, seed: u64) -> Result<()> {
    if !target.keeps_values || workload.mix == Mix::RateLimiter || workload.mix == Mix::Set {
        return Ok(());
    }
    let plan = Plan::new(workload, seed);
    if !setup.cluster {
        return crate::plain::set_all(setup, &plan);
    }
    // Over mio, whoever races: what fills the target is no contender, and mio is refused nowhere.
    let mut client =
        panpipe::Client::connect_with(configuration(setup)).context("the target cannot be prepared")?;
    let per_flush = (FLUSH_BYTES / workload.value_bytes.max(1)).clamp(1, 1000);
    for keys in plan.keys.chunks(per_flush) {
        let mut pipeline = client.pipeline();
        let tickets: Vec<_> = keys
            .iter()
            .map(|key| {
                let args = [Arg::Bytes(key), Arg::Bytes(&plan.value)];
                pipeline.request::<()>(Request::new("SET", Keys::FIRST, &args))
            })
            .collect();
        let replies = pipeline.flush()?;
        for ticket in tickets {
            replies.get(ticket).context("the target refused a value")?;
        }
    }
    Ok(())
}
