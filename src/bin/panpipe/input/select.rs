//! Which records are wanted: by number, and by the slot of their keys.
//!
//! Invariant: the choice depends on a record's number and key alone, so that n shards together are the whole input, each record once.

use std::ops::RangeInclusive;

use panpipe::slot::{SLOT_COUNT, slot_of};

use crate::input::found::Made;
use crate::input::options::InputOptions;

/// What is taken.
pub(crate) struct Selection {
    skip: u64,
    /// The number of the last record.
    last: u64,
    slots: Option<RangeInclusive<u16>>,
    pub(crate) left_out: u64,
}

impl Selection {
    pub(crate) fn new(options: &InputOptions) -> Selection {
        Selection {
            skip: options.skip,
            last: options.max.map_or(u64::MAX, |max| options.skip.saturating_add(max)),
            slots: options.slots.clone(),
            left_out: 0,
        }
    }

    /// The number of the last record that is wanted, where somebody has said it.
    pub(crate) fn last(&self) -> Option<u64> {
        (self.last < u64::MAX).then_some(self.last)
    }

    /// Whether no record behind this many is wanted.
    #[inline(always)]
    pub(crate) fn is_done(&self, records: u64) -> bool {
        records >= self.last
    }

    /// Whether this record is wanted with all its commands; false says nothing.
    #[inline(always)]
    pub(crate) fn takes_all(&self, number: u64) -> bool {
        number > self.skip && self.slots.is_none()
    }

    /// Whether this record is wanted; of its commands those alone stay whose slot is.
    pub(crate) fn takes(&mut self, number: u64, made: &mut Made, window: &[u8]) -> bool {
        if self.takes_all(number) {
            return true;
        }
        let taken = number > self.skip && self.keep_selected(made, window);
        self.left_out += u64::from(!taken);
        taken
    }

    pub(crate) fn takes_bad(&mut self, number: u64) -> bool {
        let taken = number > self.skip;
        self.left_out += u64::from(!taken);
        taken
    }

    fn keep_selected(&self, made: &mut Made, window: &[u8]) -> bool {
        let Some(slots) = &self.slots else { return true };
        let bytes = if made.in_buffer { made.buffer.as_slice() } else { window };
        made.spans.retain(|span| {
            let frame = bytes.get(span.frame.clone()).unwrap_or_default();
            let key = span.key.clone().and_then(|key| frame.get(key));
            // A command without a key belongs to the first slots' share, so that one of the shards sends it.
            slots.contains(&key.map_or(0, slot_of))
        });
        !made.spans.is_empty()
    }
}

/// `A-B`, or one slot.
pub(crate) fn parse_slots(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let slot = |text: &str| {
        let slot = text.trim().parse().ok().filter(|&slot: &u16| slot < SLOT_COUNT);
        slot.ok_or_else(|| format!("{text:?} is no slot: they are 0 to {}", SLOT_COUNT - 1))
    };
    let (first, last) = (slot(first)?, slot(last)?);
    if first > last {
        return Err(format!("the first slot is behind the last; did you mean {last}-{first}?"));
    }
    Ok(first..=last)
}

/// `i/n`: the slots of the i-th of n shares, from 1.
pub(crate) fn parse_shard(text: &str) -> Result<RangeInclusive<u16>, String> {
    const FORM: &str = "a shard is written i/n, from 1/n to n/n: 2/4 is the second of four";
    let count = u32::from(SLOT_COUNT);
    let (index, of) = text.split_once('/').ok_or(FORM)?;
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| FORM.to_owned());
    let (index, of) = (number(index)?, number(of)?);
    if index == 0 || index > of || of > count {
        return Err(FORM.to_owned());
    }
    let edge = |index: u32| index * count / of;
    // Both are at most the number of slots.
    Ok(edge(index - 1) as u16..=(edge(index) - 1) as u16)
}
