//! What the runs have come past, counted: a cell that stays at zero is a case that nothing tests.

use panpipe::engine::FENCE_STATES;

use crate::faults::Fault;

/// Refusals that are counted, by their first word.
pub(crate) const CODES: [&str; 11] = [
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
];

/// Where in a window of unanswered commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Head,
    Middle,
    Tail,
}

const PLACES: [&str; 3] = ["head", "middle", "tail"];

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    OneKey,
    SeveralKeys,
    WithinMulti,
    Exec,
}

const SHAPES: [&str; 4] = ["one key", "several keys", "within MULTI", "EXEC"];

/// What happens to a fence from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Refusal,
    ConnectionLost,
    Deadline,
    Cancelled,
    Abandoned,
    Submitted,
    View,
}

pub(crate) const EVENTS: [&str; 7] =
    ["refusal", "connection lost", "deadline", "cancelled", "abandoned", "submitted", "view"];

/// Counters of many runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// By code, place and shape.
    refusals: [[[u64; SHAPES.len()]; 3]; CODES.len()],
    /// By state and event.
    fences: [[u64; EVENTS.len()]; FENCE_STATES.len()],
    pub(crate) faults: Vec<u64>,
}

impl Coverage {
    /// Counts a refusal; answers whether it is one.
    pub(crate) fn refusal(&mut self, text: &[u8], place: Place, shape: Shape) -> bool {
        let text = text.strip_prefix(b"EXECABORT Transaction discarded because of: ").unwrap_or(text);
        let code = text.split(|byte| matches!(byte, b' ' | b'\r')).next().unwrap_or_default();
        let code = CODES.iter().position(|known| known.as_bytes() == code);
        if let Some(code) = code {
            self.refusals[code][place as usize][shape as usize] += 1;
        }
        code.is_some()
    }

    /// All refusals together.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.as_flattened().as_flattened().iter().sum()
    }

    pub(crate) fn fence(&mut self, state: usize, event: Event) {
        self.fences[state][event as usize] += 1;
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.resize(Fault::ALL.len(), 0);
        self.faults[fault as usize] += 1;
    }

    /// How often this went wrong.
    pub(crate) fn count_of(&self, fault: Fault) -> u64 {
        self.faults.get(fault as usize).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        let add = |mine: &mut u64, others: &u64| *mine += others;
        let (mine, others) = (self.refusals.as_flattened_mut(), other.refusals.as_flattened());
        mine.as_flattened_mut()
            .iter_mut()
            .zip(others.as_flattened())
            .for_each(|(mine, others)| add(mine, others));
        let others = other.fences.as_flattened();
        self.fences.as_flattened_mut().iter_mut().zip(others).for_each(|(mine, others)| add(mine, others));
        self.faults.resize(Fault::ALL.len(), 0);
        self.faults.iter_mut().zip(&other.faults).for_each(|(mine, others)| add(mine, others));
    }

    /// Every cell with its name.
    pub(crate) fn cells(&self) -> Vec<(String, u64)> {
        let mut cells = Vec::new();
        for (code, by_place) in CODES.iter().zip(&self.refusals) {
            for (place, by_shape) in PLACES.iter().zip(by_place) {
                for (shape, count) in SHAPES.iter().zip(by_shape) {
                    cells.push((format!("{code}, {place}, {shape}"), *count));
                }
            }
        }
        for (state, by_event) in FENCE_STATES.iter().zip(&self.fences) {
            for (event, count) in EVENTS.iter().zip(by_event) {
                cells.push((format!("fence: {state} x {event}"), *count));
            }
        }
        cells
    }
}
