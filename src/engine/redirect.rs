//! Rejected commands: what a rejection teaches, and whether the command may be sent again.
//!
//! A top-level MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN or READONLY proves that the command did not run: the server checks
//! all of these before it executes (`processCommand`, server.c; of a script's errors `proof` says which count). So sending it again is not a retry in the at-most-once sense; the only
//! question is order, and the fence of its slot (`settle`) answers that.

use crate::config::{Endpoint, Order};
use crate::engine::fence::{Hint, Parked, Rejection};
use crate::engine::in_flight::{InFlight, NO_SLOT, REFRESH};
use crate::engine::lifecycle::LostBecause;
use crate::engine::proof::{
    is_from_script, kept_text, may_be_of_script, outcome_of, runs_script, serves_the_slot,
};
use crate::engine::retry;
use crate::engine::send_queue::CommandBytes;
use crate::engine::stats::NodeStats;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind, Outcome, ServerError};
use crate::resp::server_error::{Code, Redirect, RedirectHost, ServerReply, classify};

/// The node does not reach the majority of the primaries, or has only just come back to it.
const CUT_OFF: &[u8] = b"CLUSTERDOWN The cluster is down";

/// What a rejection asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Send it to the new owner.
    Moved { target: u16 },
    /// Send it to this node once, behind ASKING.
    Ask { target: u16 },
    /// Wait, then ask again.
    Later(Because),
    /// Redirected too often.
    GiveUp,
    /// It is the command's result.
    Final,
}

/// Why a command has to wait; each has its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    TryAgain,
    Unavailable,
    Demoted,
    Circular,
    /// The server takes no writes: no memory, no disk, or no replicas.
    Refused,
}

impl Engine {
    /// An error in reply to the front command of a node.
    #[cold]
    pub(crate) fn on_error_reply(
        &mut self,
        row: u16,
        entry: InFlight,
        text: &[u8],
        now: Timestamp,
    ) -> Result<(), LostBecause> {
        let reply = classify(text);
        if entry.has(InFlight::ASKED) && !entry.has(InFlight::ASKING_ANSWERED) {
            // The command behind it will be redirected back to the owner, and find its way again.
            self.asking_answered(row);
            return Ok(());
        }
        if let ServerReply::Moved(redirect) | ServerReply::Ask(redirect) = reply
            && entry.slot != NO_SLOT
            && redirect.slot != entry.slot
            && entry.is_callers()
            && !is_from_script(text)
        {
            // It answers another command, or the caller has marked another key than the server looks at.
            if self.config.high_integrity && keeps!(self.config, ShapeCheck) {
                return Err(LostBecause::Desync("a redirect names another slot than that of its command"));
            }
            self.suspicious = true;
        }
        if let ServerReply::Moved(redirect) = reply
            && !entry.is_unit()
        {
            self.note_moved(row, &entry, redirect, now);
        }
        if entry.batch == REFRESH {
            self.pop_answered(row);
            self.refresh_failed(row, entry.index, &ServerError::from_bytes(text).to_string(), now);
        } else {
            let is_doubtful = self.may_be_scripts_own(row, &entry, text);
            let follow = self.is_wanted(&entry) && self.follows_redirects(&entry) && !is_doubtful;
            match if follow { self.judge(row, &entry, reply, text, now) } else { Verdict::Final } {
                Verdict::Final if is_doubtful => {
                    let kind = ErrorKind::Server(ServerError::from_bytes(text));
                    self.end_with_failure(row, &entry, kind, Outcome::Unknown, false);
                    return Ok(());
                }
                Verdict::Final => self.end_with_error(row, &entry, reply, text),
                Verdict::GiveUp => self.give_up_redirects(row, &entry, text),
                verdict => self.hold_back(row, entry, verdict, text, now),
            }
        }
        if let ServerReply::Moved(_) = reply {
            self.fence_followers(row, entry.slot);
        }
        match reply {
            // The handshake's credentials no longer hold; whatever is in flight will hear the same.
            ServerReply::Code(Code::NoAuth) => {
                Err(LostBecause::Refused(ErrorKind::Auth(ServerError::from_bytes(text))))
            }
            _ => Ok(()),
        }
    }

    /// Whether a script may have come up with this error, which proves nothing then. (What is said of a unit here was said before any of it
    /// ran; replies within EXEC's are never judged.)
    fn may_be_scripts_own(&self, row: u16, entry: &InFlight, text: &[u8]) -> bool {
        let reply = classify(text);
        if outcome_of(reply, text) != Outcome::NotExecuted || entry.is_unit() || !entry.is_callers() {
            return false;
        }
        let mut start = [0; 48];
        let Some(link) = self.links.get(usize::from(row)) else { return false };
        let len = link.queue.peek(link.queue.acked() + u64::from(entry.asking_len()), &mut start);
        // `*count`, `$length`, and the name itself.
        let name = start.get(..len).and_then(|start| start.split(|&byte| byte == b'\n').nth(2));
        let name = name.and_then(|line| line.strip_suffix(b"\r"));
        name.is_some_and(|name| runs_script(name) && may_be_of_script(name, text))
    }

    /// The error is the command's result.
    fn end_with_error(&mut self, row: u16, entry: &InFlight, reply: ServerReply<'_>, text: &[u8]) {
        // What is said of a unit here was said before any of it could run.
        let outcome = if entry.is_unit() { Outcome::NotExecuted } else { outcome_of(reply, text) };
        let error = ServerError::from_bytes(text);
        let kind = match self.refused_part(row).filter(|_| entry.is_unit()) {
            Some(at) => ErrorKind::UnitRefused { refusal: error, at },
            None => ErrorKind::Server(error),
        };
        // A refusal of a unit may be one from before the slot was looked at.
        let serves = !entry.is_unit() && serves_the_slot(reply, text);
        self.end_with_failure(row, entry, kind, outcome, serves);
    }

    /// The front command of a node has its result, and it is a failure.
    pub(crate) fn end_with_failure(
        &mut self,
        row: u16,
        entry: &InFlight,
        kind: ErrorKind,
        outcome: Outcome,
        serves_the_slot: bool,
    ) {
        if outcome != Outcome::NotExecuted && entry.has(InFlight::FENCED) {
            self.note_ran(row, entry);
        }
        self.pop_answered(row);
        self.deliver_error(row, entry, kind, outcome);
        self.uncount(entry, serves_the_slot);
    }

    fn give_up_redirects(&mut self, row: u16, entry: &InFlight, text: &[u8]) {
        self.pop_answered(row);
        let hops = u32::from(entry.hops);
        let last = ServerError::from_bytes(text).to_string();
        let error = Error::not_executed(ErrorKind::Redirects { hops, last }).at_node(self.node_name(row));
        self.fail_entry(entry, error.with_counts(hops + 1, hops));
        self.drop_entry(entry);
        self.uncount(entry, false);
    }

    /// A MOVED teaches where a slot is, whatever becomes of its command. Only about the command's own slot is it believed at once: the
    /// fence that keeps the order is that slot's.
    pub(crate) fn note_moved(&mut self, row: u16, entry: &InFlight, redirect: Redirect<'_>, now: Timestamp) {
        let target = self.redirect_target(row, redirect);
        if let Some(target) = target.filter(|_| redirect.slot == entry.slot) {
            self.learn_owner(redirect.slot, target, row, now);
        }
        self.request_refresh(target, now);
    }

    /// The owner of a slot is elsewhere now, although the command that found out is not sent on: what is still in flight here must be
    /// answered before anything goes there.
    pub(crate) fn fence_followers(&mut self, row: u16, slot: u16) {
        if self.config.order == Order::Relaxed {
            return;
        }
        let leaves = self.slots.owner(slot).is_some_and(|owner| owner != row);
        if let Some(fence) = self.fences.get_mut(slot).filter(|_| leaves) {
            // What the fence itself has sent here and has not left comes back too.
            fence.recalls = true;
            return;
        }
        let link = self.links.get(usize::from(row)).filter(|_| leaves);
        if link.is_some_and(|link| link.in_flight.iter().any(|entry| entry.slot == slot)) {
            let draining = self.flag_sent(row, slot);
            self.fences.open(slot, draining);
            self.fences.wake(slot);
        }
    }

    /// A command of the unit at the front was refused, so the whole will be: nothing that is submitted from now on may run ahead of it.
    pub(crate) fn fence_refused_unit(&mut self, row: u16, slot: u16, is_moved: bool) {
        if self.fences.is_fenced(slot) {
            if is_moved {
                self.fence_followers(row, slot);
            }
        } else if self.config.order != Order::Relaxed {
            let draining = self.flag_sent(row, slot);
            self.fences.open(slot, draining);
            self.fences.wake(slot);
        }
    }

    /// The bytes of the command at the front, without ASKING.
    pub(crate) fn front_bytes(&mut self, row: u16, entry: &InFlight) -> CommandBytes {
        self.links.get_mut(usize::from(row)).map_or_else(CommandBytes::new, |link| {
            let asking = entry.asking_len();
            let start = link.queue.acked() + u64::from(asking);
            link.queue.share(start, u64::from(entry.len - asking))
        })
    }

    /// The first of the two replies to a command behind ASKING has come.
    pub(crate) fn asking_answered(&mut self, row: u16) {
        if let Some(front) = self.links.get_mut(usize::from(row)).and_then(|link| link.in_flight.first_mut())
        {
            front.flags |= InFlight::ASKING_ANSWERED;
        }
    }

    fn count(&mut self, row: u16, count: impl FnOnce(&mut NodeStats)) {
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            count(&mut link.stats);
        }
    }

    /// Decides what becomes of a rejected command, and remembers what the rejection teaches about the topology.
    fn judge(
        &mut self,
        row: u16,
        entry: &InFlight,
        reply: ServerReply<'_>,
        text: &[u8],
        now: Timestamp,
    ) -> Verdict {
        match reply {
            _ if is_from_script(text) || entry.has(InFlight::PINNED) => Verdict::Final,
            ServerReply::Moved(redirect) => self.judge_moved(row, entry, redirect),
            ServerReply::Ask(redirect) => self.judge_ask(row, entry, redirect, now),
            // Without a slot there is no fence to wait in: the caller hears it at once, and knows that it did not run.
            ServerReply::Code(_) if entry.slot == NO_SLOT => Verdict::Final,
            ServerReply::Code(code) => self.judge_code(row, entry, code, text, now),
        }
    }

    fn judge_moved(&mut self, row: u16, entry: &InFlight, redirect: Redirect<'_>) -> Verdict {
        self.count(row, |stats| stats.moved += 1);
        let target = self.redirect_target(row, redirect);
        let is_circular = target == Some(row);
        // One that leads nowhere else is no hop: it says that the machine is another, and is worth one more connection in any case.
        let hops_max = self.config.hops_max.max(u8::from(is_circular));
        if entry.hops >= hops_max && keeps!(self.config, HopsBound) {
            return Verdict::GiveUp;
        }
        // Without a usable address the next view of the topology has to tell.
        let Some(target) = target else {
            return Verdict::Later(Because::Demoted);
        };
        if is_circular {
            // It names itself: we reached another server than we meant (a stale DNS name, a balancer). Dial again, and not in a spin.
            if let Some(link) = self.links.get_mut(usize::from(row)) {
                link.redial = true;
            }
            return Verdict::Later(Because::Circular);
        }
        Verdict::Moved { target }
    }

    fn judge_ask(&mut self, row: u16, entry: &InFlight, redirect: Redirect<'_>, now: Timestamp) -> Verdict {
        self.count(row, |stats| stats.asks += 1);
        if entry.hops >= self.config.hops_max && keeps!(self.config, HopsBound) {
            return Verdict::GiveUp;
        }
        let Some(target) = self.redirect_target(row, redirect) else { return Verdict::Final };
        if self.links.get(usize::from(target)).is_none_or(|link| !link.in_view) {
            self.request_refresh(Some(row), now);
        }
        Verdict::Ask { target }
    }

    fn judge_code(&mut self, row: u16, entry: &InFlight, code: Code, text: &[u8], now: Timestamp) -> Verdict {
        let because = match code {
            Code::TryAgain if !self.tryagain_budget(entry, now) => return Verdict::Final,
            Code::TryAgain => Because::TryAgain,
            Code::ClusterDown | Code::Loading | Code::MasterDown => Because::Unavailable,
            Code::ReadOnly => Because::Demoted,
            Code::Oom | Code::Misconf | Code::NoReplicas if self.waits_out_refusals(entry) => {
                self.note_refusal(row, text);
                Because::Refused
            }
            _ => return Verdict::Final,
        };
        self.count(row, |stats| stats.retries += 1);
        if code == Code::ReadOnly
            && let Some(link) = self.links.get_mut(usize::from(row))
        {
            // A name may lead to another machine by now: resolve it afresh once nothing is owed.
            link.redial |=
                link.endpoint.as_ref().is_some_and(|at| at.host.parse::<std::net::IpAddr>().is_err());
        }
        let persists = self.fences.get_mut(entry.slot).is_some_and(|fence| fence.rounds > 2);
        match code {
            // It has been demoted, and so knows its successor.
            Code::ReadOnly => self.request_refresh_at_once(Some(row), now),
            Code::ClusterDown => {
                if text == CUT_OFF {
                    self.refresh.suspect(row, now);
                }
                self.request_refresh(None, now);
            }
            Code::Loading if persists => self.request_refresh(None, now),
            _ => {}
        }
        Verdict::Later(because)
    }

    /// How long to wait before something is sent again; grows with what has been tried for nothing.
    fn delay_ms(&mut self, tries: u32, verdict: Verdict) -> u64 {
        let paused = keeps!(self.config, PingPongPause);
        match verdict {
            // An ASK may end such a chain; a chain of them leads in a circle, too.
            Verdict::Moved { .. } | Verdict::Ask { .. } if paused => {
                retry::moved_delay_ms(tries, &mut self.rng)
            }
            Verdict::Later(Because::TryAgain) => retry::tryagain_delay_ms(tries, &mut self.rng),
            Verdict::Later(Because::Unavailable | Because::Refused) => {
                retry::unavailable_delay_ms(tries, &mut self.rng)
            }
            Verdict::Later(Because::Demoted) => retry::readonly_delay_ms(tries, &mut self.rng),
            Verdict::Later(Because::Circular) => retry::moved_delay_ms(tries + 2, &mut self.rng),
            Verdict::Moved { .. } | Verdict::Ask { .. } | Verdict::GiveUp | Verdict::Final => 0,
        }
    }

    /// TRYAGAIN goes away when the migration has moved the missing key, or not before it ends: only the first is worth waiting for.
    fn tryagain_budget(&mut self, entry: &InFlight, now: Timestamp) -> bool {
        let wait_ms = self.config.tryagain_wait_ms.min(self.config.command_timeout_ms);
        let sequence = self.sequence_of(entry);
        let fence = self.fences.get_mut(entry.slot);
        let known = fence.and_then(|fence| {
            sequence.and_then(|sequence| fence.tryagains.get(&sequence)).map(|known| known.since)
        });
        now < known.unwrap_or(now).after_ms(wait_ms)
    }

    /// The node a redirect names, if it may be contacted.
    fn redirect_target(&mut self, row: u16, redirect: Redirect<'_>) -> Option<u16> {
        let host = match redirect.host {
            RedirectHost::Named(host) => host.to_owned(),
            // Unknown-endpoint mode: the host of the connection it came from.
            RedirectHost::Same => self.nodes.get(row)?.endpoint()?.host.clone(),
            RedirectHost::Unknown => return None,
        };
        let endpoint = Endpoint::new(host, redirect.port);
        if let Some(known) = self.nodes.by_endpoint(&endpoint) {
            return Some(known);
        }
        if self.may_contact(&endpoint) { self.node_at(&endpoint) } else { None }
    }

    /// Puts a rejected command behind the fence of its slot; without a slot it goes on at once.
    fn hold_back(&mut self, row: u16, entry: InFlight, verdict: Verdict, text: &[u8], now: Timestamp) {
        let bytes = self.front_bytes(row, &entry);
        self.pop_answered(row);
        self.uncount(&entry, false);
        if let Some(link) = self.links.get_mut(usize::from(row)).filter(|_| self.tracing.is_some()) {
            link.trace.redirects += 1;
        }
        let slot = entry.slot;
        let redirect = matches!(verdict, Verdict::Moved { .. } | Verdict::Ask { .. });
        // Without order no fence stays to count them.
        let is_hop =
            redirect || (verdict == Verdict::Later(Because::Circular) && self.config.order == Order::Relaxed);
        let mut held = entry.unsent();
        held.hops = held.hops.saturating_add(u8::from(is_hop));
        if slot == NO_SLOT {
            return self.send_keyless_on(held, &bytes, verdict, now);
        }
        let Some(sequence) = self.sequence_of(&entry) else { return };
        let ask = match verdict {
            Verdict::Ask { target } => Some(target),
            // TRYAGAIN from the importing node: it is asked again, not the source.
            Verdict::Later(_) if entry.has(InFlight::ASKED) => Some(row),
            _ => None,
        };
        let rejection = Rejection {
            error: ServerError::from_bytes(kept_text(text)),
            node: self.node_name(row),
            redirect,
        };
        let parked =
            Parked { ask, rejection: Some(Box::new(rejection)), ..Parked::new(sequence, held, bytes) };
        if self.config.order == Order::Relaxed {
            return self.hold_relaxed(parked, verdict, now);
        }
        if !self.fences.is_fenced(slot) {
            let draining = self.flag_sent(row, slot);
            self.fences.open(slot, draining);
        }
        self.mark_refused(slot, verdict);
        let not_before = self.advise_fence(slot, sequence, held.hops, verdict, now);
        self.park(Parked { not_before, ..parked });
        self.fences.wake(slot);
    }

    /// Without order there is nothing to wait for but the command's own time.
    fn hold_relaxed(&mut self, parked: Parked, verdict: Verdict, now: Timestamp) {
        let slot = parked.entry.slot;
        self.fences.open(slot, 0);
        self.mark_refused(slot, verdict);
        let tries = match verdict {
            Verdict::Moved { .. } | Verdict::Ask { .. } | Verdict::Later(Because::Circular) => {
                u32::from(parked.entry.hops)
            }
            _ => self.fences.get_mut(slot).map_or(1, |fence| fence.count_tryagain(parked.sequence, now)),
        };
        let not_before = now.after_ms(self.delay_ms(tries, verdict));
        self.park(Parked { not_before, ..parked });
        self.fences.wake(slot);
    }

    fn mark_refused(&mut self, slot: u16, verdict: Verdict) {
        if let Some(fence) = self.fences.get_mut(slot).filter(|_| verdict == Verdict::Later(Because::Refused))
        {
            fence.refused = true;
        }
    }

    /// Tells a fence what the latest rejection asks for; answers how long the rejected command waits by itself.
    fn advise_fence(
        &mut self,
        slot: u16,
        sequence: u64,
        hops: u8,
        verdict: Verdict,
        now: Timestamp,
    ) -> Timestamp {
        let Some(fence) = self.fences.get_mut(slot) else { return now };
        fence.recalls = true;
        fence.refused_last = sequence;
        let mut tries = fence.rounds + 1;
        match verdict {
            Verdict::Ask { .. } => {
                fence.hint = Hint::Rounds;
                // Rounds are how a slot migrates, however many there are; what counts is how often this command was sent on.
                tries = u32::from(hops);
            }
            Verdict::Moved { .. } => fence.hint = Hint::Probe,
            Verdict::Later(Because::TryAgain) => {
                // It serves the slot, and some of the command's keys are elsewhere: no reason for others to wait.
                fence.hint = Hint::Rounds;
                tries = fence.count_tryagain(sequence, now);
            }
            _ => {}
        }
        let not_before = now.after_ms(self.delay_ms(tries, verdict));
        if verdict == Verdict::Later(Because::TryAgain) {
            return not_before;
        }
        let Some(fence) = self.fences.get_mut(slot) else { return now };
        // The source goes on serving what it still has: one command in a circle waits by itself.
        let (own, not_before) = match verdict {
            Verdict::Ask { .. } if not_before > now => (not_before, now),
            _ => (Timestamp::ZERO, not_before),
        };
        // The longest delay of a window of rejections counts; a wait for an owner is over with any answer.
        let standing = if fence.not_before == Timestamp::NEVER { Timestamp::ZERO } else { fence.not_before };
        fence.not_before = standing.max(not_before);
        own
    }

    fn send_keyless_on(&mut self, entry: InFlight, bytes: &CommandBytes, verdict: Verdict, now: Timestamp) {
        match verdict {
            Verdict::Moved { target } => self.send_on(target, entry, bytes, now),
            Verdict::Ask { target } => self.send_asking(target, entry, bytes, now),
            // `judge` answers Later for a command without a slot only where a MOVED had no usable address.
            Verdict::Later(_) | Verdict::GiveUp | Verdict::Final => {
                self.fail_entry(
                    &entry,
                    Error::not_executed(ErrorKind::NoNode { what: "the redirect names no usable address" }),
                );
                self.drop_entry(&entry);
            }
        }
    }
}
