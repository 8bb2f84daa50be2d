//! Commands: what the caller wants, how it is routed, and how a command over many slots is split and joined again.
//!
//! A [`Request`] borrows its arguments from the caller's stack and is encoded straight into a node's buffer: that copy is the
//! encoding, there is no other. [`Cmd`] is the raw door, an owned builder that yields a `Request`. The typed commands
//! ([`Strings`], [`Hashes`], [`Lists`], [`Sets`], [`SortedSets`], [`Keyspace`], [`Server`]) are plain methods over it.
//!
//! This module knows nothing of nodes or connections. Keys are where the table or the caller says they are; "the first argument is
//! the key" is never guessed.

pub mod arg;
pub mod cmd;
mod commands;
pub mod merge;
pub mod table;

use smallvec::SmallVec;

use crate::config::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::resp::encode::{self, WireBuf};
use crate::slot::slot_of;

pub use arg::{Arg, ToArg};
pub use cmd::{Cmd, cmd};
pub use commands::{Commands, ToRequest};
pub use merge::Merge;

/// Where a command without keys goes, or where the caller wants a command to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Any primary; the client picks one.
    AnyPrimary,
    /// Every primary; the replies are joined.
    AllPrimaries,
    /// Every node, replicas included; the replies are joined.
    AllNodes,
    /// The primary of this slot (0..16383).
    Slot(u16),
    /// The primary that this key belongs to.
    Key(Vec<u8>),
    /// This node, named as the topology names it.
    Node(Endpoint),
}

/// Which arguments are keys; positions count from the first argument after the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys<'a> {
    /// None.
    None,
    /// `count` keys, `step` arguments apart.
    Range {
        /// Position of the first key.
        first: usize,
        /// Distance between keys.
        step: usize,
        /// How many.
        count: usize,
    },
    /// These positions.
    Marked(&'a [u32]),
}

impl Keys<'_> {
    /// One key, the first argument.
    pub const FIRST: Keys<'static> = Keys::Range { first: 0, step: 1, count: 1 };

    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let (first, step, count, marked) = match *self {
            Keys::None => (0, 1, 0, [].as_slice()),
            Keys::Range { first, step, count } => (first, step, count, [].as_slice()),
            Keys::Marked(marked) => (0, 1, 0, marked),
        };
        (0..count).map(move |n| first + n * step).chain(marked.iter().map(|&at| at as usize))
    }
}

/// The arguments after the name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Args<'a> {
    Borrowed(&'a [Arg<'a>]),
    /// Encoded already; `ends[n]` is where argument `n` ends in `body`, which starts behind the name.
    Encoded {
        body: &'a [u8],
        ends: &'a [u32],
    },
}

/// One command, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) name: &'a str,
    pub(crate) args: Args<'a>,
    pub(crate) keys: Keys<'a>,
    pub(crate) route: Option<&'a Route>,
    pub(crate) read_only: bool,
    /// The command is a list of groups of this many arguments, key first, and may be split over slots.
    pub(crate) group: Option<usize>,
    pub(crate) merge: Merge,
}

/// Where one command goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One slot: nearly always.
    Slot(u16),
    /// Keys of several slots, and the command may be split.
    Split(Vec<Part>),
    Route(Route),
}

/// The share of one slot in a split command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) slot: u16,
    /// Which argument groups of the command, in the order asked.
    pub(crate) groups: Vec<u32>,
}

/// Slots named in a cross-slot error; enough to see the mistake.
const SLOTS_NAMED_MAX: usize = 8;

impl<'a> Request<'a> {
    /// A command whose keys are where `keys` says.
    pub fn new(name: &'a str, keys: Keys<'a>, args: &'a [Arg<'a>]) -> Self {
        Request {
            name,
            args: Args::Borrowed(args),
            keys,
            route: None,
            read_only: false,
            group: None,
            merge: Merge::PerNode,
        }
    }

    /// Marks a command that changes nothing on the server.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Sends it there instead of where its keys belong.
    #[must_use]
    pub fn route(mut self, route: &'a Route) -> Self {
        self.route = Some(route);
        self
    }

    /// The arguments are groups of `group`, key first; over many slots they are split and the replies joined by `merge`.
    #[must_use]
    pub fn splittable(mut self, group: usize, merge: Merge) -> Self {
        self.group = Some(group);
        self.merge = merge;
        self
    }

    /// How the replies of several nodes become one.
    #[must_use]
    pub fn merged(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    /// The command's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// How many arguments follow the name.
    pub fn args_len(&self) -> usize {
        match self.args {
            Args::Borrowed(args) => args.len(),
            Args::Encoded { ends, .. } => ends.len(),
        }
    }

    /// Bytes on the wire, as one array of bulk strings.
    pub fn wire_len(&self) -> usize {
        let args: usize = match self.args {
            Args::Borrowed(args) => args.iter().map(Arg::wire_len).sum(),
            Args::Encoded { body, .. } => body.len(),
        };
        encode::array_header_len(1 + self.args_len()) + encode::bulk_wire_len(self.name.len()) + args
    }

    /// Appends the command in its wire form.
    pub fn write(&self, out: &mut impl WireBuf) {
        encode::put_array_header(out, 1 + self.args_len());
        encode::put_bulk(out, self.name.as_bytes());
        match self.args {
            Args::Borrowed(args) => {
                for arg in args {
                    arg.write(out);
                }
            }
            Args::Encoded { body, .. } => out.put(body),
        }
    }

    /// Bytes of the part with these argument groups.
    pub(crate) fn part_wire_len(&self, groups: &[u32]) -> usize {
        let step = self.group.unwrap_or(1);
        let args: usize =
            groups.iter().flat_map(|&group| group_args(group, step)).map(|at| self.arg_wire_len(at)).sum();
        encode::array_header_len(1 + groups.len() * step) + encode::bulk_wire_len(self.name.len()) + args
    }

    /// Appends the part with these argument groups.
    pub(crate) fn write_part(&self, groups: &[u32], out: &mut impl WireBuf) {
        let step = self.group.unwrap_or(1);
        encode::put_array_header(out, 1 + groups.len() * step);
        encode::put_bulk(out, self.name.as_bytes());
        for at in groups.iter().flat_map(|&group| group_args(group, step)) {
            match self.args {
                Args::Borrowed(args) => args[at].write(out),
                Args::Encoded { body, ends } => out.put(encoded_arg(body, ends, at)),
            }
        }
    }

    fn arg_wire_len(&self, at: usize) -> usize {
        match self.args {
            Args::Borrowed(args) => args[at].wire_len(),
            Args::Encoded { body, ends } => encoded_arg(body, ends, at).len(),
        }
    }

    /// The slot of the argument at this position.
    fn slot_at(&self, at: usize) -> Option<u16> {
        match self.args {
            Args::Borrowed(args) => args.get(at).map(|arg| arg.with_bytes(slot_of)),
            Args::Encoded { ends, .. } if at >= ends.len() => None,
            Args::Encoded { body, ends } => Some(slot_of(payload(encoded_arg(body, ends, at)))),
        }
    }

    /// Decides where the command goes; refuses what no single node could run.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        match self.route {
            None => {}
            Some(Route::Slot(slot)) if *slot >= crate::slot::SLOT_COUNT => {
                return Err(Error::config(format!("slot {slot} does not exist; slots are 0 to 16383")));
            }
            Some(Route::Slot(slot)) => return Ok(Plan::Slot(*slot)),
            Some(Route::Key(key)) => return Ok(Plan::Slot(slot_of(key))),
            Some(route) => return Ok(Plan::Route(route.clone())),
        }
        let mut positions = self.keys.positions();
        let Some(first) = positions.next().and_then(|at| self.slot_at(at)) else {
            return Err(Error::not_executed(ErrorKind::NoKey { command: self.name.to_owned() }));
        };
        for at in positions {
            if self.slot_at(at).is_some_and(|slot| slot != first) {
                return self.plan_split();
            }
        }
        Ok(Plan::Slot(first))
    }

    #[cold]
    fn plan_split(&self) -> Result<Plan, Error> {
        let slots: SmallVec<[u16; 16]> = self.keys.positions().filter_map(|at| self.slot_at(at)).collect();
        let Some(step) = self.group.filter(|step| self.args_len() == slots.len() * step) else {
            let mut named: Vec<u16> = Vec::new();
            for slot in slots {
                if named.len() < SLOTS_NAMED_MAX && !named.contains(&slot) {
                    named.push(slot);
                }
            }
            return Err(Error::not_executed(ErrorKind::CrossSlot {
                command: self.name.to_owned(),
                slots: named,
            }));
        };
        debug_assert!(step > 0);
        let mut by_slot: Vec<(u16, u32)> =
            slots.iter().enumerate().map(|(group, &slot)| (slot, group as u32)).collect();
        by_slot.sort_unstable();
        let mut parts: Vec<Part> = Vec::new();
        for (slot, group) in by_slot {
            match parts.last_mut() {
                Some(part) if part.slot == slot => part.groups.push(group),
                _ => parts.push(Part { slot, groups: vec![group] }),
            }
        }
        Ok(Plan::Split(parts))
    }
}

fn group_args(group: u32, step: usize) -> std::ops::Range<usize> {
    let first = group as usize * step;
    first..first + step
}

fn encoded_arg<'a>(body: &'a [u8], ends: &[u32], at: usize) -> &'a [u8] {
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &body[start..ends[at] as usize]
}

/// The payload of a bulk string that we encoded ourselves.
fn payload(bulk: &[u8]) -> &[u8] {
    let start = bulk.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    &bulk[start..bulk.len() - 2]
}
