//! What the wire has shown of each command, held against how it ended.
//!
//! These are promises about the way, not about the result: a bound on redirects, pauses between nodes that name each other, no more doubt
//! than there has to be, no command given up that could have kept its place.

use panpipe::Outcome;
use panpipe::config::Order;

use crate::monitor::Trail;
use crate::ops::{Fate, Key, Kind, Op, Why};
use crate::options::Theme;
use crate::world::World;

/// So many redirects of one command in a row take at least so long, however fast the network is.
const PING_PONG: usize = 12;
const PING_PONG_US: u128 = 8_000;

impl World {
    /// Holds every command's trail against its fate.
    pub(crate) fn judge_trails(&mut self) {
        for number in 0..self.ops.len() {
            let trail = self.net.tap().trail(number as u32);
            let op = &self.ops[number];
            if let Some((check, text)) = self.flaw(op, &trail) {
                let text = format!("{number} ({:?} {:?}) {text}; told {:?}", op.kind, op.keys, op.fate);
                self.problem(check, text.chars().take(600).collect());
            }
        }
    }

    fn flaw(&self, op: &Op, trail: &Trail) -> Option<(&'static str, String)> {
        // Where a reply was lost or added, what is seen on the wire is counted for the wrong command.
        let in_step = self.engine.stats().total.desyncs == 0;
        let pace = || self.too_many_hops(op, trail).or_else(|| self.hurried(op, trail));
        in_step
            .then(pace)
            .flatten()
            .or_else(|| self.needless_doubt(op, trail))
            .or_else(|| needless_failure(op))
            .or_else(|| self.needlessly_overtaken(op, trail))
    }

    fn too_many_hops(&self, op: &Op, trail: &Trail) -> Option<(&'static str, String)> {
        let parts = if op.kind.is_split() { 2 } else { 1 };
        let most = (usize::from(self.engine.config().hops_max) + 1) * parts;
        let hops = trail.redirects.len();
        (hops > most).then(|| ("hops", format!("was redirected {hops} times, {most} are allowed")))
    }

    /// Two nodes that name each other are asked again and again without a pause.
    fn hurried(&self, op: &Op, trail: &Trail) -> Option<(&'static str, String)> {
        // Nodes that lose replies to ASKING send the client to and fro; each time its connection breaks.
        if op.kind.is_split() || self.options.theme == Theme::Desync {
            return None;
        }
        trail.redirects.windows(PING_PONG).find_map(|window| {
            let span = window[PING_PONG - 1].since(window[0]);
            let is_hurried = span.as_micros() < PING_PONG_US;
            is_hurried.then(|| ("hurry", format!("was redirected {PING_PONG} times within {span:?}")))
        })
    }

    /// In doubt although it was never written whole, or although the beginning of its reply proves that it ran.
    fn needless_doubt(&self, op: &Op, trail: &Trail) -> Option<(&'static str, String)> {
        // (One that is half written when its time is up, or when it is cancelled, will be completed: that doubt has a reason.)
        let Fate::Failed { outcome: Outcome::Unknown, why: Why::Connection, .. } = &op.fate else {
            return None;
        };
        if op.kind.is_split() {
            return None;
        }
        // (A server may forbid MULTI and run the rest: one that had not answered it leaves doubt of a part.)
        let was_cut = || trail.was_cut || self.net.tap().may_have_cut(op.submitted, op.done);
        if trail.written == 0 && !(op.kind == Kind::Unit && was_cut()) {
            return Some(("doubt", "is in doubt and was never written whole".to_owned()));
        }
        // (A read that is sent again forgets what is known of its first attempt.)
        let was_begun = trail.was_begun == Some(op.done) && !op.may_repeat(self.engine.config());
        was_begun.then(|| ("doubt", "is in doubt although its reply had begun".to_owned()))
    }

    /// A command loses its place only to one that was on its way when it was refused.
    fn needlessly_overtaken(&self, op: &Op, trail: &Trail) -> Option<(&'static str, String)> {
        let Fate::Failed { why: Why::Overtaken, .. } = &op.fate else { return None };
        let per_slot = self.engine.config().order == Order::PerSlot;
        // (One that was refused once may have been so by a node that the slot came to, or came back to, a moment later.)
        let was_sent_on = trail.redirects.len() > 1;
        if self.options.theme == Theme::HandOver && op.keys.len() == 1 && !per_slot && was_sent_on {
            return Some(("overtaken", "lost its place in a plain hand-over".to_owned()));
        }
        let refused = trail.refused_last?;
        let shares = |other: &Op| {
            // Nobody knows the keys of a command that nobody knows.
            let whole_slot = per_slot || other.kind == Kind::Unheard;
            let same =
                |key: &Key| op.keys.iter().any(|own| own == key || (whole_slot && own.slot == key.slot));
            other.keys.iter().any(same)
        };
        // The engine does not know the place of a command that nobody waits for any more: it may take an earlier one for a later.
        let is_unheard = |other: &Op| other.number < op.number && !matches!(other.fate, Fate::Done(_));
        let rival = self.ops.iter().any(|other| {
            let is_later = other.number > op.number && other.submitted <= refused;
            shares(other) && (is_unheard(other) || is_later)
        });
        (!rival).then(|| ("overtaken", "lost its place to one that should have waited behind it".to_owned()))
    }
}

/// What was not sent waits for the next connection.
fn needless_failure(op: &Op) -> Option<(&'static str, String)> {
    let Fate::Failed { outcome: Outcome::NotExecuted, why: Why::Connection, .. } = &op.fate else {
        return None;
    };
    (op.done < op.due).then(|| ("surfaced", format!("failed at {:?}, it had until {:?}", op.done, op.due)))
}
