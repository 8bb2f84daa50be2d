//! How long to wait before a rejected command is sent again, and before a node is dialled again.

use crate::engine::rng::Rng;

/// `base · 2ⁿ`, capped.
fn doubled(base_ms: u64, step: u32, cap_ms: u64) -> u64 {
    base_ms.saturating_mul(1u64 << step.min(20)).min(cap_ms)
}

/// Delay before hop number `hop` (from 1) of a MOVED command. The first two are free: a map that is stale by one or
/// two owners is ordinary. From the third on, two nodes are naming each other while a slot is handed over.
pub(crate) fn moved_delay_ms(hop: u32, rng: &mut Rng) -> u64 {
    if hop <= 2 { 0 } else { rng.around(doubled(1, hop - 3, 64)) }
}

/// Delay before a TRYAGAIN command is tried again: a migration moves its missing keys within milliseconds.
pub(crate) fn tryagain_delay_ms(attempt: u32, rng: &mut Rng) -> u64 {
    rng.around(doubled(5, attempt.saturating_sub(1), 200))
}

/// Delay after CLUSTERDOWN, LOADING and MASTERDOWN.
pub(crate) fn unavailable_delay_ms(attempt: u32, rng: &mut Rng) -> u64 {
    rng.around(doubled(50, attempt.saturating_sub(1), 1_000))
}

/// Delay after READONLY: the demotion is done, the news of the new primary is on its way.
pub(crate) fn readonly_delay_ms(attempt: u32, rng: &mut Rng) -> u64 {
    rng.around(doubled(20, attempt.saturating_sub(1), 500))
}

/// Pause after all nodes have been dialled in vain.
pub(crate) fn round_delay_ms(round: u32, base_ms: u64, cap_ms: u64, rng: &mut Rng) -> u64 {
    rng.around(doubled(base_ms, round, cap_ms)).max(1)
}

/// First delay after refused credentials or a full server: trying faster would only hurt it.
const REFUSED_MS_MIN: u64 = 1_000;
const REFUSED_MS_MAX: u64 = 30_000;

/// Delay after a server did not want us: never below a second, with jitter above it.
pub(crate) fn refused_delay_ms(attempt: u32, rng: &mut Rng) -> u64 {
    let jitter_ms = doubled(REFUSED_MS_MIN, attempt, REFUSED_MS_MAX - REFUSED_MS_MIN);
    REFUSED_MS_MIN + rng.below(jitter_ms.saturating_add(1))
}

/// Full jitter for reconnects: anywhere in `[0, min(cap, base · 2ⁿ)]`, so that the clients of a dead node do not return in step.
pub(crate) fn reconnect_delay_ms(attempt: u32, base_ms: u64, cap_ms: u64, rng: &mut Rng) -> u64 {
    rng.below(doubled(base_ms, attempt, cap_ms).saturating_add(1))
}
