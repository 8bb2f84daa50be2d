//! How long an outage lasts, and what the other shards notice of it. Figures for the table; no test depends on them.

use std::time::Duration;

use super::book::{Book, Op, State};
use super::check::Loss;
use super::tally::{Tally, median_and_worst};

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From the fault to the promotion, in seconds.
    promotions: Vec<f64>,
    /// From the fault to the first command of the shard that was submitted later and ran.
    outages: Vec<f64>,
    /// From the promotion to that command.
    own: Vec<f64>,
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
        let outage = f64::from(recovered - at) / 1e6;
        self.outages.push(outage);
        self.promotions.push(promoted.as_secs_f64());
        self.own.push((outage - promoted.as_secs_f64()).max(0.0));
        if others {
            for op in ran().filter(|op| !is_hit(op) && op.submitted_us < recovered) {
                let list = if op.submitted_us < at { &mut self.before_us } else { &mut self.during_us };
                list.push(op.done_us - op.submitted_us);
            }
        }
    }

    /// To the case's tally.
    pub(crate) fn tell(mut self, tally: &mut Tally) {
        let outage = median_and_worst(&mut self.outages);
        let promotion = median_and_worst(&mut self.promotions);
        let own = median_and_worst(&mut self.own);
        tally.recovery =
            format!("{outage} (the replica is a primary after {promotion}; between the two {own})");
        let [before, during] = [&mut self.before_us, &mut self.during_us].map(|list| p99_ms(list));
        tally.note(format!("p99 of the other shards {before:.1} ms before, {during:.1} ms during"));
    }
}

fn p99_ms(values: &mut [u32]) -> f64 {
    values.sort_unstable();
    let at = (values.len() * 99 / 100).min(values.len().saturating_sub(1));
    values.get(at).map_or(0.0, |us| f64::from(*us) / 1e3)
}
