//! Hearing several nodes, where one node's view contradicts a fresh MOVED or another node's fresh view, or serves fewer slots.
//!
//! ```text
//!   view in doubt ─▶ up to three witnesses ─▶ CLUSTER INFO, CLUSTER NODES ─▶ all have answered ─▶ `topology::join` ─▶ applied
//!                    (dialled where needed)                                  or time is up       (highest epoch)
//! ```
//!
//! Until then the slots in doubt keep their owners, and commands go on: a MOVED patches its slot all the same. A MOVED that comes after the
//! questions is newer than the ruling. Who is believed, and which claim wins, is `topology`'s to know.

use crate::engine::Engine;
use crate::engine::connection::LinkState;
use crate::engine::refresh::{ANSWER_MS, Refresh};
use crate::engine::time::Timestamp;
use crate::resp::reply::ReplyRef;
use crate::topology::{self, SlotChange, Snapshot, Testimony};

/// Nodes that are heard.
const WITNESSES_MAX: usize = 3;

const INFO_WIRE: &[u8] = b"*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n";
const NODES_WIRE: &[u8] = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n";

#[derive(Debug)]
enum Step {
    /// It is being connected to.
    Called,
    /// By the numbers of the two questions.
    Asked {
        info: u32,
        nodes: u32,
    },
    Heard(Snapshot),
    /// It says nothing of use.
    Excused,
}

#[derive(Debug)]
struct Witness {
    row: u16,
    step: Step,
    state_ok: Option<bool>,
}

impl Witness {
    fn is_done(&self) -> bool {
        matches!(self.step, Step::Heard(_) | Step::Excused)
    }
}

/// Nodes that are being heard.
#[derive(Debug)]
pub(crate) struct Arbitration {
    /// Whose view is in doubt.
    source: u16,
    asked_at: Timestamp,
    pub(crate) deadline: Timestamp,
    witnesses: Vec<Witness>,
}

impl Arbitration {
    fn witness(&mut self, row: u16) -> Option<&mut Witness> {
        self.witnesses.iter_mut().find(|witness| witness.row == row)
    }

    /// The witness that was asked this.
    fn asked(&mut self, serial: u32) -> Option<&mut Witness> {
        self.witnesses.iter_mut().find(
            |witness| matches!(witness.step, Step::Asked { info, nodes } if info == serial || nodes == serial),
        )
    }

    /// What follows from what was heard; `None` where nobody is to be believed.
    fn rule(self) -> Option<Ruling> {
        let (mut rows, mut testimonies) = (Vec::new(), Vec::new());
        for Witness { row, step, state_ok } in self.witnesses {
            if let Step::Heard(view) = step {
                rows.push(row);
                testimonies.push(Testimony { state_ok, view });
            }
        }
        let trusted = topology::trusted(&testimonies);
        let views = trusted.iter().filter_map(|&at| testimonies.get(at)).map(|said| &said.view);
        let snapshot = topology::join(views)?;
        let confirmed = trusted.iter().filter_map(|&at| rows.get(at)).any(|&row| row != self.source);
        Some(Ruling { snapshot, asked_at: self.asked_at, confirmed })
    }
}

impl Refresh {
    /// A connection is gone: if it was to a witness, nothing will be heard there.
    pub(crate) fn excuse_witness(&mut self, row: u16, now: Timestamp) {
        let Some(heard) = &mut self.arbitration else { return };
        if let Some(witness) = heard.witness(row).filter(|witness| !witness.is_done()) {
            witness.step = Step::Excused;
        }
        if heard.witnesses.iter().all(Witness::is_done) {
            heard.deadline = now;
        }
    }
}

/// The word of several nodes.
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) snapshot: Snapshot,
    pub(crate) asked_at: Timestamp,
    /// Another node than the one whose view was in doubt is among them: what all leave out is not there.
    pub(crate) confirmed: bool,
}

impl Engine {
    /// Hears others about the view that `source` gave; `dispute` is one of the slots that it gives to somebody else.
    #[cold]
    pub(crate) fn arbitrate(&mut self, source: u16, dispute: Option<SlotChange>, now: Timestamp) {
        if self.refresh.arbitration.is_some() {
            return;
        }
        let witnesses = self.choose_witnesses(source, dispute, now);
        let deadline = now.after_ms(ANSWER_MS);
        self.refresh.arbitrated += 1;
        let called = |&row: &u16| Witness { row, step: Step::Called, state_ok: None };
        let called = witnesses.iter().map(called).collect();
        self.refresh.arbitration = Some(Arbitration { source, asked_at: now, deadline, witnesses: called });
        for row in witnesses {
            if self.can_be_asked(row) {
                self.call_witness(row);
            } else {
                self.want_connection(row, now);
            }
        }
    }

    /// The two that a slot is disputed between, then random primaries, those that can be asked at once before the others; the one whose view
    /// is in doubt comes last, and so do nodes that are cut off.
    fn choose_witnesses(&mut self, source: u16, dispute: Option<SlotChange>, now: Timestamp) -> Vec<u16> {
        let mut rows = self.primaries.clone();
        for at in (1..rows.len()).rev() {
            rows.swap(at, self.rng.below(at as u64 + 1) as usize);
        }
        let claimants = dispute.map(|slot| [slot.from, slot.to]).unwrap_or_default();
        let extra = claimants.into_iter().flatten().chain([source]);
        for row in extra {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows.retain(|&row| self.can_be_called(row));
        rows.sort_by_key(|&row| {
            let last = row == source || self.refresh.is_suspect(row, now);
            (last, !claimants.contains(&Some(row)), !self.can_be_asked(row))
        });
        rows.truncate(WITNESSES_MAX);
        rows
    }

    fn can_be_called(&self, row: u16) -> bool {
        let link = self.links.get(usize::from(row));
        self.can_be_asked(row)
            || link.is_some_and(|link| {
                link.endpoint.is_some() && !matches!(link.state, LinkState::Backoff { .. } | LinkState::Ready)
            })
    }

    /// A node is in service: if it is to be heard, it is asked now.
    pub(crate) fn call_witness(&mut self, row: u16) {
        let is_called = |witness: &&mut Witness| matches!(witness.step, Step::Called);
        let called = self.refresh.arbitration.as_mut().and_then(|heard| heard.witness(row)).filter(is_called);
        if called.is_none() {
            return;
        }
        let (info, nodes) = (self.ask(row, INFO_WIRE), self.ask(row, NODES_WIRE));
        if let Some(witness) = self.refresh.arbitration.as_mut().and_then(|heard| heard.witness(row)) {
            witness.step = Step::Asked { info, nodes };
        }
        self.refresh.asked += 1;
        self.schedule_transmit(row);
    }

    /// An answer to one of the two questions.
    pub(crate) fn on_testimony(&mut self, row: u16, serial: u32, reply: ReplyRef<'_>, now: Timestamp) {
        let Some(witness) = self.refresh.arbitration.as_mut().and_then(|heard| heard.asked(serial)) else {
            return;
        };
        let text = reply.as_bytes().unwrap_or_default();
        if matches!(witness.step, Step::Asked { info, .. } if info == serial) {
            witness.state_ok = topology::state_ok(text);
            return;
        }
        match self.read_nodes(row, text) {
            Ok(view) => self.hear(row, Step::Heard(view), now),
            Err(reason) => self.on_silence(row, serial, &reason, now),
        }
    }

    fn read_nodes(&mut self, row: u16, text: &[u8]) -> Result<Snapshot, String> {
        self.check_view_bytes(text.len())?;
        let asked = self.nodes.get(row).and_then(|node| node.endpoint().cloned());
        let asked = asked.ok_or("its address is unknown")?;
        let view = topology::parse_nodes(text, &asked).map_err(|error| error.to_string())?;
        self.check_view_nodes(&view)?;
        Ok(view)
    }

    /// A witness refused one of the two questions, or what it said is of no use. Without CLUSTER INFO it is judged by whom it sees.
    pub(crate) fn on_silence(&mut self, row: u16, serial: u32, reason: &str, now: Timestamp) {
        let asked = self.refresh.arbitration.as_mut().and_then(|heard| heard.asked(serial));
        if asked.is_some_and(|witness| matches!(witness.step, Step::Asked { nodes, .. } if nodes == serial)) {
            let node = self.node_name(row);
            self.note_refresh_failure(node, reason.to_owned());
            self.hear(row, Step::Excused, now);
        }
    }

    fn hear(&mut self, row: u16, step: Step, now: Timestamp) {
        let Some(heard) = &mut self.refresh.arbitration else { return };
        if let Some(witness) = heard.witness(row) {
            witness.step = step;
        }
        if heard.witnesses.iter().all(Witness::is_done) {
            self.conclude(now);
        }
    }

    /// All have been heard, or time is up.
    pub(crate) fn conclude(&mut self, now: Timestamp) {
        let Some(heard) = self.refresh.arbitration.take() else { return };
        match heard.rule() {
            Some(ruling) => self.apply_ruling(&ruling, now),
            // Once the doubt is no longer fresh, the next view settles it.
            None => self.refresh.again = true,
        }
        self.ask_again(now);
        self.ask_while_waited_for(now);
    }
}

/// Kept beside the wire forms they must equal.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode;

    #[test]
    fn the_questions_are_cluster_info_and_cluster_nodes() {
        for (word, question) in [(b"INFO".as_slice(), INFO_WIRE), (b"NODES", NODES_WIRE)] {
            let mut wire = Vec::new();
            encode::put_array_header(&mut wire, 2);
            encode::put_bulk(&mut wire, b"CLUSTER");
            encode::put_bulk(&mut wire, word);
            assert_eq!(wire, question);
        }
    }
}
