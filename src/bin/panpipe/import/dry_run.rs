//! `--dry-run`: reads and routes everything, and sends nothing.

use panpipe::ErrorKind;
use panpipe::slot::SLOT_COUNT;
use serde_json::{Value, json};

use super::meter::{Meter, Sample};
use super::routes::{self, Routes};
use super::signals::Signals;
use crate::failure::{Failure, INTERRUPTED};
use crate::input::{Command, Input, LONG_WAIT, Step};
use crate::output::{Output, count, plural};

/// Slots and refused records that are shown.
const SHOWN_MAX: usize = 10;
/// A slot is hot when it has more than so many times its share.
const HOT: f64 = 4.0;

/// The longest bar beside a node.
const BAR_COLUMNS: usize = 24;

/// Signals and progress are looked at after so many.
const STEPS_PER_LOOK: u64 = 256;

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    commands: u64,
    bytes: u64,
}

impl Load {
    fn add(&mut self, bytes: usize) {
        self.commands += 1;
        self.bytes += bytes as u64;
    }
}

/// A record that would be rejected.
#[derive(Debug)]
struct Refused {
    record: u64,
    offset: u64,
    why: String,
}

/// What a load would be.
#[derive(Debug)]
pub(super) struct DryRun {
    routes: Routes,
    records: u64,
    total: Load,
    /// By node, in the order of the routes.
    nodes: Vec<Load>,
    slots: Vec<Load>,
    /// Commands without a key, and those whose slot nobody serves.
    keyless: u64,
    unserved: u64,
    /// Commands of several slots, of which each gets a part.
    split: u64,
    unreadable: u64,
    cross_slot: u64,
    not_allowed: u64,
    /// The first ones.
    refused: Vec<Refused>,
}

impl DryRun {
    pub(super) fn new(routes: Routes) -> DryRun {
        DryRun {
            nodes: vec![Load::default(); routes.nodes.len()],
            slots: vec![Load::default(); usize::from(SLOT_COUNT)],
            routes,
            records: 0,
            total: Load::default(),
            keyless: 0,
            unserved: 0,
            split: 0,
            unreadable: 0,
            cross_slot: 0,
            not_allowed: 0,
            refused: Vec::new(),
        }
    }

    /// Reads everything.
    pub(super) fn read(
        &mut self,
        input: &mut Input,
        meter: &mut Meter,
        signals: &Signals,
    ) -> Result<(), Failure> {
        for steps in 0u64.. {
            let mut is_quiet = false;
            match input.next()? {
                Step::Record(record) => {
                    self.records += 1;
                    for command in record.commands {
                        self.add(record.number, record.offset, &command);
                    }
                }
                Step::Bad(bad) => {
                    self.records += 1;
                    self.unreadable += 1;
                    self.refuse(bad.number, bad.offset, bad.reason);
                }
                Step::Pending => {}
                Step::Waiting => {
                    input.wait(LONG_WAIT);
                    is_quiet = true;
                }
                Step::End => return Ok(()),
            }
            // A look at the clock for each record would be a good part of the work.
            if is_quiet || steps % STEPS_PER_LOOK == 0 {
                if signals.is_asked() {
                    return Err(Failure::new(INTERRUPTED, "interrupted; nothing was written"));
                }
                let share = input.share_of(input.position());
                let (records, failures) = (self.records, self.rejected());
                meter.tick(|| Sample { share, records, failures, ..Sample::default() });
            }
        }
        Ok(())
    }

    fn add(&mut self, record: u64, offset: u64, command: &Command<'_>) {
        self.total.add(command.frame.len());
        match routes::slots(command.frame).as_deref() {
            Ok([]) if command.is_unit => {
                self.not_allowed += 1;
                self.refuse(record, offset, "MULTI .. EXEC without a key: no node to go to".to_owned());
            }
            Ok([]) => self.keyless += 1,
            Ok([slot]) => self.route(*slot, command.frame.len()),
            Ok(slots) if routes::is_split(command.frame) => {
                self.split += 1;
                let share = command.frame.len() / slots.len();
                slots.iter().for_each(|&slot| self.route(slot, share));
            }
            Ok(slots) => {
                self.cross_slot += 1;
                let slots: Vec<String> = slots.iter().take(SHOWN_MAX).map(u16::to_string).collect();
                self.refuse(record, offset, format!("keys in several slots: {}", slots.join(", ")));
            }
            Err(error) => {
                match error.kind() {
                    ErrorKind::CrossSlot { .. } => self.cross_slot += 1,
                    _ => self.not_allowed += 1,
                }
                self.refuse(record, offset, error.to_string());
            }
        }
    }

    /// A command, or its part for this slot.
    fn route(&mut self, slot: u16, bytes: usize) {
        self.slots[usize::from(slot)].add(bytes);
        match self.routes.owner(slot) {
            Some(node) => self.nodes[node].add(bytes),
            None => self.unserved += 1,
        }
    }

    fn refuse(&mut self, record: u64, offset: u64, why: String) {
        if self.refused.len() < SHOWN_MAX {
            self.refused.push(Refused { record, offset, why });
        }
    }

    /// Commands and records that would be rejected.
    pub(super) fn rejected(&self) -> u64 {
        self.unreadable + self.cross_slot + self.not_allowed
    }

    /// The busiest slots: slot, commands, and how many times the average of the slots in use that is.
    fn hottest(&self) -> Vec<(usize, Load, f64)> {
        let mut used: Vec<(usize, Load)> =
            self.slots.iter().copied().enumerate().filter(|(_, load)| load.commands > 0).collect();
        let sum: u64 = used.iter().map(|(_, load)| load.commands).sum();
        let average = sum as f64 / (used.len().max(1)) as f64;
        used.sort_by_key(|(slot, load)| (std::cmp::Reverse(load.commands), *slot));
        let times = |load: &Load| load.commands as f64 / average.max(1.0);
        used.into_iter().take(SHOWN_MAX).map(|(slot, load)| (slot, load, times(&load))).collect()
    }

    fn slots_used(&self) -> usize {
        self.slots.iter().filter(|load| load.commands > 0).count()
    }

    pub(super) fn print(&self, out: &mut Output) {
        out.paragraph(&format!(
            "Dry run, nothing was written: {}, {} ({} bytes) for {} of {SLOT_COUNT} slots.",
            plural(self.records as usize, "record"),
            plural(self.total.commands as usize, "command"),
            count(self.total.bytes),
            count(self.slots_used() as u64),
        ));
        out.line("");
        self.print_nodes(out);
        let hot: Vec<_> = self.hottest().into_iter().filter(|(_, _, times)| *times > HOT).collect();
        if !hot.is_empty() {
            out.line("");
            out.line("Hot slots, each on one node:");
            for (slot, load, times) in hot {
                let commands = plural(load.commands as usize, "command");
                out.labelled(
                    &format!("  slot {slot:>5}  "),
                    &format!("{commands}, {times:.0} times the average"),
                );
            }
        }
        let rest = [
            (self.keyless, "without a key (any node)"),
            (self.unserved, "for slots that no node serves"),
            (self.split, "with keys in several slots, of which each gets its part"),
            (self.cross_slot, "with keys in several slots: they would be rejected"),
            (self.not_allowed, "that do not belong into a load: they would be rejected"),
        ];
        for (number, what) in rest.iter().filter(|(number, _)| *number > 0) {
            out.paragraph(&format!("{} {what}", plural(*number as usize, "command")));
        }
        if self.unreadable > 0 {
            out.line(&format!("{} that cannot be read", plural(self.unreadable as usize, "record")));
        }
        for refused in &self.refused {
            out.labelled(&format!("  record {}, byte {}: ", refused.record, refused.offset), &refused.why);
        }
    }

    fn print_nodes(&self, out: &mut Output) {
        let most = self.nodes.iter().map(|load| load.commands).max().unwrap_or(0).max(1);
        let cells =
            |(name, load): (&String, &Load)| vec![name.clone(), count(load.commands), count(load.bytes)];
        let mut rows: Vec<Vec<String>> = self.routes.nodes.iter().zip(&self.nodes).map(cells).collect();
        let width = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0).max(8);
        let (columns, room) = (width(0) + width(1) + width(2), out.width);
        let bar_max = room.saturating_sub(columns + 6).min(BAR_COLUMNS) as u64;
        if bar_max < 4 {
            return out.table(&["node", "commands", "bytes"], &rows);
        }
        for (row, load) in rows.iter_mut().zip(&self.nodes) {
            let bar = "#".repeat((load.commands * bar_max / most) as usize);
            row.push(format!("{bar:width$}", width = bar_max as usize));
        }
        out.table(&["node", "commands", "bytes", ""], &rows);
    }

    pub(super) fn to_json(&self) -> Value {
        let load = |load: &Load| json!({ "commands": load.commands, "bytes": load.bytes });
        let node = |(name, own): (&String, &Load)| json!({ "node": name, "commands": own.commands, "bytes": own.bytes });
        let nodes: Vec<Value> = self.routes.nodes.iter().zip(&self.nodes).map(node).collect();
        let hot = |(slot, load, times): &(usize, Load, f64)| json!({ "slot": slot, "commands": load.commands, "bytes": load.bytes, "times_average": times });
        let refused = |refused: &Refused| json!({ "record": refused.record, "offset": refused.offset, "error": refused.why });
        let histogram: Vec<Value> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, load)| load.commands > 0)
            .map(|(slot, load)| json!([slot, load.commands, load.bytes]))
            .collect();
        json!({
            "dry_run": true,
            "records": self.records,
            "total": load(&self.total),
            "nodes": nodes,
            "slots": { "columns": ["slot", "commands", "bytes"], "rows": histogram },
            "hottest": self.hottest().iter().map(hot).collect::<Vec<_>>(),
            "keyless": self.keyless,
            "unserved": self.unserved,
            "split": self.split,
            "cross_slot": self.cross_slot,
            "not_allowed": self.not_allowed,
            "unreadable": self.unreadable,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
        })
    }
}
