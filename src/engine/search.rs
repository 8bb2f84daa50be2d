//! Finding somebody to ask while nobody is connected: the known nodes one after the other, then the seeds.
//!
//! Knows whom to dial next and how long to pause. Invariant: it never ends by itself; commands end it by their deadlines, or a node by
//! coming into service.

use crate::engine::Engine;
use crate::engine::connection::LinkState;
use crate::engine::retry;
use crate::engine::time::Timestamp;

/// Pause before the next unconnected node is dialled for a view.
const NEXT_CANDIDATE_MS: u64 = 250;

impl Engine {
    /// Nobody is in service: dial the next node we know of, seeds included.
    pub(crate) fn dial_candidate(&mut self, now: Timestamp) {
        if self.refresh.next_candidate >= self.links.len() {
            self.refresh.next_candidate = 0;
            self.admit_seeds_afresh();
        }
        let first = self.refresh.next_candidate;
        let idle = |row: &usize| {
            self.links.get(*row).is_some_and(|link| link.state == LinkState::Idle && link.endpoint.is_some())
        };
        let candidate = (first..self.links.len()).find(idle);
        self.refresh.next_candidate = candidate.map_or(self.links.len(), |row| row + 1);
        self.refresh.searching = Some(candidate.map(|row| row as u16));
        if let Some(row) = candidate {
            self.refresh.wanted = now.after_ms(NEXT_CANDIDATE_MS);
            self.dial(row as u16, now);
        } else {
            let (first_ms, last_ms) = (self.config.reconnect_min_ms, self.config.reconnect_max_ms);
            let pause_ms = retry::round_delay_ms(self.refresh.rounds, first_ms, last_ms, &mut self.rng);
            self.refresh.rounds = self.refresh.rounds.saturating_add(1);
            self.refresh.wanted = now.after_ms(pause_ms);
        }
    }

    /// Everybody has been tried. The addresses we know may all be given up, or given to others: resolve the seeds' names afresh, and take
    /// whoever answers there now.
    fn admit_seeds_afresh(&mut self) {
        for seed in self.config.seeds.clone() {
            if let Some(row) = self.nodes.admit_afresh(&seed) {
                self.ensure_link(row);
            }
        }
    }
}
