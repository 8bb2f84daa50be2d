//! What two states must agree in to be one: everything that the engine and the servers hold, but no times.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Path;
use crate::engine::conflict::Footprint;
use crate::engine::fence::Fence;
use crate::engine::{Engine, Timestamp};

/// Two hashes of 64 bits.
pub(super) fn of(path: &mut Path<'_>) -> u128 {
    let mut halves = [DefaultHasher::new(), DefaultHasher::new()];
    halves[1].write_u8(1);
    for half in &mut halves {
        path.world.hash(half);
        path.fates.hash(half);
        path.disturbances_left.hash(half);
        let (slot, now) = (path.slot, path.s.now);
        engine(&mut path.s.engine, slot, now, half);
        for port in [super::A, super::B] {
            path.s.is_open(port).hash(half);
        }
    }
    let [high, low] = halves.map(|half| half.finish());
    u128::from(high) << 64 | u128::from(low)
}

fn engine(engine: &mut Engine, slot: u16, now: Timestamp, out: &mut DefaultHasher) {
    engine.slots.owner(slot).hash(out);
    for link in &engine.links {
        std::mem::discriminant(&link.state).hash(out);
        let queue = &link.queue;
        (queue.sent() - queue.acked(), queue.encoded() - queue.acked(), queue.unflushed_bytes()).hash(out);
        for entry in link.in_flight.iter() {
            (entry.len, entry.batch, entry.slot, entry.hops, entry.flags).hash(out);
            engine.sequence_of(entry).hash(out);
        }
        (link.redial, link.refused, link.in_view, link.prelude.0.len()).hash(out);
    }
    engine.refresh.state(engine.slots.learned_at_ns(slot)).hash(out);
    if let Some(held) = engine.fences.get_mut(slot) {
        fence(held, now, out);
    }
}

fn fence(fence: &Fence, now: Timestamp, out: &mut DefaultHasher) {
    let waits = |until: Timestamp| (until > now, until == Timestamp::NEVER);
    let footprint = |footprint: &Footprint| format!("{footprint:?}");
    (format!("{:?} {:?}", fence.step, fence.hint), fence.draining, fence.recalls).hash(out);
    (waits(fence.not_before), waits(fence.all_wait_until), fence.refused_last).hash(out);
    for parked in &fence.parked {
        (parked.sequence, parked.ask, parked.rejection.is_some(), waits(parked.not_before)).hash(out);
        (parked.entry.hops, parked.entry.flags).hash(out);
    }
    for (sequence, ran) in &fence.ran {
        (sequence, footprint(ran)).hash(out);
    }
    for tryagain in &fence.tryagains {
        tryagain.sequence.hash(out);
    }
}
