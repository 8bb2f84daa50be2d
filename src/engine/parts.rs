//! Commands that more than one node runs, or one that is not found by a slot: split over slots, sent to every node, or to a node by name.
//!
//! Each part is a command of its own with its own place, directly behind the place of the whole; the batch joins them when all are in.

use std::collections::BTreeMap;

use crate::command::{Part, Plan, Request, Route};
use crate::engine::Engine;
use crate::engine::in_flight::NO_SLOT;
use crate::engine::piece::{Piece, Source};
use crate::engine::time::Timestamp;
use crate::error::{Error, ErrorKind};

/// Where a route leads.
enum Destination {
    /// Any node would do; this one was picked.
    Picked(u16),
    /// The caller named it.
    Named(u16),
    /// All of these; their replies are joined.
    Each(Vec<u16>),
}

impl Engine {
    #[cold]
    pub(crate) fn submit_parts(
        &mut self,
        batch: u32,
        request: &Request<'_>,
        plan: &Plan,
        now: Timestamp,
    ) -> u32 {
        let destination = match plan {
            Plan::Slot(_) => return 0,
            Plan::Split(parts) => return self.submit_split(batch, request, parts, now),
            Plan::Route(route) => self.destination(route),
        };
        match destination {
            Ok(Destination::Picked(row)) => self.submit_to(batch, request, row, false, now),
            Ok(Destination::Named(row)) => self.submit_to(batch, request, row, true, now),
            Ok(Destination::Each(rows)) => self.submit_per_node(batch, request, &rows, now),
            Err(error) => self.batches.row_mut(batch).map_or(0, |batch| batch.push_failed(error)),
        }
    }

    fn submit_to(
        &mut self,
        batch: u32,
        request: &Request<'_>,
        row: u16,
        pinned: bool,
        now: Timestamp,
    ) -> u32 {
        let piece = Piece { pinned, ..self.next_piece(batch, request) };
        if let Err(error) = self.place_on(piece, row, NO_SLOT, now) {
            self.fail_piece(piece, error);
        }
        piece.index
    }

    /// One command over many slots: a part per slot, all parts of a node in one write.
    fn submit_split(&mut self, batch: u32, request: &Request<'_>, parts: &[Part], now: Timestamp) -> u32 {
        let room = self.check_parts(request, parts);
        if let Err(error) = &room {
            self.count_refusal(error);
        }
        let Some(row) = self.batches.row_mut(batch) else { return 0 };
        if let Err(error) = room {
            return row.push_failed(error);
        }
        let parent = row.push_split(request.merge);
        if let Some(split) = row.splits.last_mut() {
            split.parts = parts.len() as u32;
            split.part_of_group = vec![0; parts.iter().map(|part| part.groups.len()).sum()];
            for (number, part) in parts.iter().enumerate() {
                for &group in &part.groups {
                    if let Some(owner) = split.part_of_group.get_mut(group as usize) {
                        *owner = number as u32;
                    }
                }
            }
        }
        // All places first: the parts stand in one row behind their parent.
        let pieces: Vec<Piece<'_>> = parts
            .iter()
            .map(|part| {
                let source = Source::Part(request, &part.groups);
                Piece { source, ..self.next_piece(batch, request) }
            })
            .collect();
        for (piece, part) in pieces.into_iter().zip(parts) {
            if let Err(error) = self.place(piece, part.slot, now) {
                self.fail_piece(piece, error);
            }
        }
        parent
    }

    /// A split command is queued whole or not at all: half of an MSET would be worse than none.
    pub(crate) fn check_parts(&self, request: &Request<'_>, parts: &[Part]) -> Result<(), Error> {
        if let Some(slot) = parts.iter().map(|part| part.slot).find(|&slot| self.fails_fast(slot)) {
            return Err(Error::not_executed(ErrorKind::SlotNotServed { slot }));
        }
        let mut bytes_of: BTreeMap<Option<u16>, (usize, usize)> = BTreeMap::new();
        for part in parts {
            let owner = self.slots.owner(part.slot).filter(|_| !self.fences.is_fenced(part.slot));
            let (bytes, commands) = bytes_of.entry(owner).or_default();
            *bytes += request.part_wire_len(&part.groups);
            *commands += 1;
        }
        let total = bytes_of.values().map(|(bytes, _)| bytes).sum();
        self.check_totals(total, request.name())?;
        for (owner, (bytes, commands)) in bytes_of {
            if let Some(row) = owner {
                self.check_window(row, bytes, commands, request.name())?;
            }
        }
        Ok(())
    }

    fn submit_per_node(&mut self, batch: u32, request: &Request<'_>, nodes: &[u16], now: Timestamp) -> u32 {
        let names: Vec<String> = nodes.iter().map(|&row| self.node_name(row)).collect();
        let Some(row) = self.batches.row_mut(batch) else { return 0 };
        let parent = row.push_split(request.merge);
        if let Some(split) = row.splits.last_mut() {
            split.parts = nodes.len() as u32;
            split.nodes = names;
        }
        let pieces: Vec<Piece<'_>> =
            nodes.iter().map(|_| Piece { pinned: true, ..self.next_piece(batch, request) }).collect();
        for (piece, &node) in pieces.into_iter().zip(nodes) {
            if let Err(error) = self.place_on(piece, node, NO_SLOT, now) {
                self.fail_piece(piece, error);
            }
        }
        parent
    }

    fn destination(&mut self, route: &Route) -> Result<Destination, Error> {
        let nobody = || Error::not_executed(ErrorKind::NoNode { what: "no primary is known" });
        match route {
            Route::AnyPrimary => {
                let ready = |row: &u16| self.links.get(usize::from(*row)).is_some_and(|link| link.is_ready());
                let mut rows: Vec<u16> = self.primaries.iter().copied().filter(ready).collect();
                if rows.is_empty() {
                    rows.clone_from(&self.primaries);
                }
                let pick = self.rng.below(rows.len() as u64) as usize;
                rows.get(pick).copied().map(Destination::Picked).ok_or_else(nobody)
            }
            Route::AllPrimaries if self.primaries.is_empty() => Err(nobody()),
            Route::AllPrimaries => Ok(Destination::Each(self.primaries.clone())),
            Route::AllNodes => {
                let in_view = (0..).zip(&self.links).filter(|(_, link)| link.in_view);
                let rows: Vec<u16> = in_view.map(|(row, _)| row).collect();
                if rows.is_empty() { Err(nobody()) } else { Ok(Destination::Each(rows)) }
            }
            Route::Node(endpoint) => match self.nodes.by_endpoint(endpoint) {
                Some(row) => Ok(Destination::Named(row)),
                None => Err(Error::config(format!("{endpoint} is not a node of this cluster"))),
            },
            // A plan has made a slot of these.
            Route::Slot(_) | Route::Key(_) => Err(nobody()),
        }
    }
}
