//! How long an outage lasts, and what the other shards notice of it. Figures for the table; no test depends on them.

use super::book::{Book, Op, State};
use super::check::Loss;

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From the fault to the first command of the shard that was submitted later and ran.
    outages_us: Vec<u32>,
    /// Commands of other shards, submitted before the fault and while it lasts.
    before_us: Vec<u32>,
    during_us: Vec<u32>,
}

impl Latencies {
    /// Takes what the book knows of one fault; the latencies of other shards only where nothing waited for the shard that was hit.
    pub(crate) fn add(&mut self, book: &Book, loss: &Loss, others: bool) {
        let at = book.us(loss.at);
        let ran = || book.ops.iter().filter(|op| op.state == State::Executed);
        let is_hit = |op: &&Op| loss.hits(book.tags[usize::from(op.tag)].slot);
        let recovered = ran().filter(is_hit).filter(|op| op.submitted_us > at).map(|op| op.done_us).min();
        let Some(recovered) = recovered else { return };
        self.outages_us.push(recovered - at);
        if others {
            for op in ran().filter(|op| !is_hit(op) && op.submitted_us < recovered) {
                let list = if op.submitted_us < at { &mut self.before_us } else { &mut self.during_us };
                list.push(op.done_us - op.submitted_us);
            }
        }
    }

    pub(crate) fn text(mut self, node_timeout_ms: u32) -> String {
        let outage = |share| f64::from(share) / 1e6;
        let (median, longest) = (quantile(&mut self.outages_us, 50), quantile(&mut self.outages_us, 100));
        let (before, during) = (quantile(&mut self.before_us, 99), quantile(&mut self.during_us, 99));
        format!(
            "outage {:.1} s median, {:.1} s longest, at a node timeout of {:.1} s; p99 of other shards {:.1} ms before, {:.1} ms during",
            outage(median),
            outage(longest),
            f64::from(node_timeout_ms) / 1e3,
            f64::from(before) / 1e3,
            f64::from(during) / 1e3,
        )
    }
}

fn quantile(values: &mut [u32], percent: usize) -> u32 {
    values.sort_unstable();
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}
