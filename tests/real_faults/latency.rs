//! How long an outage lasts, and what the other shards notice of it. Figures for the table; no test depends on them.

use std::time::Duration;

use super::book::{Book, Op, State};
use super::check::Loss;

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From the fault to the promotion.
    promotions_us: Vec<u32>,
    /// From the fault to the first command of the shard that was submitted later and ran.
    outages_us: Vec<u32>,
    /// Commands of other shards, submitted before the fault and while it lasts.
    before_us: Vec<u32>,
    during_us: Vec<u32>,
}

impl Latencies {
    /// Takes what the book knows of one fault; the latencies of other shards only where nothing waited for the shard that was hit.
    pub(crate) fn add(&mut self, book: &Book, loss: &Loss, promoted: Duration, others: bool) {
        let at = book.us(loss.at);
        let ran = || book.ops.iter().filter(|op| op.state == State::Executed);
        let is_hit = |op: &&Op| loss.hits(book.tags[usize::from(op.tag)].slot);
        let recovered = ran().filter(is_hit).filter(|op| op.submitted_us > at).map(|op| op.done_us).min();
        let Some(recovered) = recovered else { return };
        self.outages_us.push(recovered - at);
        self.promotions_us.push(promoted.as_micros() as u32);
        if others {
            for op in ran().filter(|op| !is_hit(op) && op.submitted_us < recovered) {
                let list = if op.submitted_us < at { &mut self.before_us } else { &mut self.during_us };
                list.push(op.done_us - op.submitted_us);
            }
        }
    }

    pub(crate) fn text(mut self, node_timeout_ms: u32) -> String {
        let seconds = |us: u32| f64::from(us) / 1e6;
        let ms = |us: u32| f64::from(us) / 1e3;
        let outage = [50, 100].map(|percent| seconds(quantile(&mut self.outages_us, percent)));
        let promotion = [50, 100].map(|percent| seconds(quantile(&mut self.promotions_us, percent)));
        let (before, during) = (quantile(&mut self.before_us, 99), quantile(&mut self.during_us, 99));
        format!(
            "node timeout {:.1} s: replica promoted after {:.1} s (at most {:.1}), shard served again after {:.1} s (at most {:.1}); \
             p99 of the other shards {:.1} ms before, {:.1} ms during",
            f64::from(node_timeout_ms) / 1e3,
            promotion[0],
            promotion[1],
            outage[0],
            outage[1],
            ms(before),
            ms(during),
        )
    }
}

fn quantile(values: &mut [u32], percent: usize) -> u32 {
    values.sort_unstable();
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}
