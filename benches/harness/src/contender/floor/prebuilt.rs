//! Bytes that were made before the clock started, and replies of which only line ends are counted.
//!
//! It cannot tell replies apart, but sees errors: neither a value of a plan nor any reply that should come has a `-` in it. Where each
//! command is answered with one line, lines that begin with one are counted; where values are lines of their own, an error (or a null)
//! leaves lines missing, and is a failure.

use std::collections::{HashMap, VecDeque};

use anyhow::{Result, bail};

use super::full::Encoder;
use super::sockets::Routes;
use super::{Kinds, Wire};
use crate::contender::Setting;
use crate::plan::{Op, Plan, Verb};

/// Some commands: for each of their nodes the pieces of their bytes, and how many lines answer them.
struct Part {
    nodes: Vec<(usize, Vec<usize>, u64)>,
    commands: usize,
}

/// With values of this size a command is a piece of its own, which all flushes share that have it: all flushes with all their bytes
/// would not fit into memory. Below, a flush has one piece per node.
const LARGE_VALUE_BYTES: usize = 16 << 10;

/// What one node is owed and sent.
#[derive(Default)]
struct Node {
    /// Pieces of which bytes have not left.
    unsent: VecDeque<usize>,
    /// Bytes of the first of them that have left.
    sent: usize,
    lines_owed: u64,
    within_line: bool,
}

pub(super) struct Prebuilt {
    encoder: Encoder,
    pieces: Vec<Vec<u8>>,
    /// The pieces of large commands.
    large: HashMap<(&'static str, u32), usize>,
    /// Those of the flushes, and then those of a stream.
    parts: Vec<Part>,
    flushes: usize,
    /// Commands per part of the stream that was prepared.
    part_commands: usize,
    nodes: Vec<Node>,
    lines_owed: u64,
    /// 2 where all replies are values, 1 where none is; where there are both, 1: that says more in flight than there are.
    lines_per_command: u64,
    values: bool,
}

impl Prebuilt {
    fn build(&mut self, plan: &Plan, ops: &[Op]) {
        let mut nodes: Vec<(usize, Vec<usize>, u64)> = Vec::new();
        for &op in ops {
            self.encoder.encode(plan, &[op]);
            let found = self.encoder.outboxes.iter().position(|outbox| outbox.commands > 0);
            let node = found.expect("a command was written down");
            let at = nodes.iter().position(|(other, ..)| *other == node).unwrap_or_else(|| {
                nodes.push((node, Vec::new(), 0));
                nodes.len() - 1
            });
            let (_, pieces, lines) = &mut nodes[at];
            // A value is a line for its length and one for itself; values hold no line ends.
            *lines += if op.verb == Verb::Get { 2 } else { 1 };
            let large = plan.value.len() >= LARGE_VALUE_BYTES;
            let known = if large { self.large.get(&(op.verb.name(), op.key)) } else { pieces.last() };
            let piece = known.copied().unwrap_or_else(|| {
                self.pieces.push(Vec::new());
                self.pieces.len() - 1
            });
            let is_new = self.pieces[piece].is_empty();
            if is_new || !large {
                self.pieces[piece].extend_from_slice(self.encoder.outboxes[node].bytes());
            }
            if large {
                self.large.insert((op.verb.name(), op.key), piece);
            }
            if is_new || large {
                pieces.push(piece);
            }
            self.encoder.outboxes[node].clear();
        }
        self.parts.push(Part { nodes, commands: ops.len() });
    }

    fn stage(&mut self, number: usize) -> usize {
        let part = &self.parts[number];
        for (node, pieces, lines) in &part.nodes {
            let node = &mut self.nodes[*node];
            node.unsent.extend(pieces);
            node.lines_owed += lines;
            self.lines_owed += lines;
        }
        part.commands
    }

    /// Prepares a stream, when the first of its parts is asked for.
    #[cold]
    fn build_parts(&mut self, plan: &Plan, commands: usize) {
        self.parts.truncate(self.flushes);
        self.part_commands = commands;
        for number in 0..super::parts(plan, commands) {
            let mut ops = Vec::new();
            super::for_part(plan, number, commands, |some| ops.extend_from_slice(some));
            self.build(plan, &ops);
        }
    }

    /// Errors among lines of which one begins with a `-`, or an announcement of null.
    #[cold]
    fn errors(&self, within_line: bool, bytes: &[u8]) -> Result<u64> {
        if self.values {
            bail!("a reply is an error or null, and replies are told apart by nothing: {}", shown(bytes));
        }
        let first = u64::from(!within_line && bytes.first() == Some(&b'-'));
        Ok(first + bytes.windows(2).filter(|pair| pair == b"\n-").count() as u64)
    }
}

fn shown(bytes: &[u8]) -> impl std::fmt::Display + '_ {
    let at = bytes.iter().position(|&byte| byte == b'-').unwrap_or(0);
    bytes[at..].split(|&byte| byte == b'\r').next().unwrap_or_default().escape_ascii()
}

/// Line ends, and `-`.
fn count(bytes: &[u8]) -> (u64, u64) {
    let (mut lines, mut dashes) = (0, 0);
    // As many as a byte can count: so the compiler compares sixteen at once.
    for some in bytes.chunks(255) {
        let (mut some_lines, mut some_dashes) = (0_u8, 0_u8);
        for &byte in some {
            some_lines += u8::from(byte == b'\n');
            some_dashes += u8::from(byte == b'-');
        }
        lines += u64::from(some_lines);
        dashes += u64::from(some_dashes);
    }
    (lines, dashes)
}

impl Wire for Prebuilt {
    fn new(plan: &Plan, routes: Routes, nodes: usize) -> Prebuilt {
        let kinds = Kinds::of(plan);
        let mut prebuilt = Prebuilt {
            encoder: Encoder::new(plan, routes, nodes),
            pieces: Vec::new(),
            large: HashMap::new(),
            parts: Vec::new(),
            flushes: plan.flushes.len(),
            part_commands: 0,
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            lines_owed: 0,
            lines_per_command: if kinds.only_strings() { 2 } else { 1 },
            values: kinds.strings(),
        };
        for ops in &plan.flushes {
            prebuilt.build(plan, ops);
        }
        prebuilt
    }

    fn stage_flush(&mut self, _plan: &Plan, at: usize) {
        self.stage(at);
    }

    fn stage_part(&mut self, plan: &Plan, number: u64, commands: usize) -> usize {
        if self.part_commands != commands {
            self.build_parts(plan, commands);
        }
        let parts = (self.parts.len() - self.flushes) as u64;
        self.stage(self.flushes + (number % parts.max(1)) as usize)
    }

    fn unsent(&mut self, node: usize) -> &[u8] {
        let node = &self.nodes[node];
        node.unsent.front().map_or(&[], |&piece| &self.pieces[piece][node.sent..])
    }

    #[cfg(target_os = "linux")]
    fn unsent_is_all(&self, node: usize) -> bool {
        self.nodes[node].unsent.len() <= 1
    }

    fn sent(&mut self, node: usize, bytes: usize) {
        let node = &mut self.nodes[node];
        node.sent += bytes;
        if node.unsent.front().is_some_and(|&piece| self.pieces[piece].len() == node.sent) {
            node.unsent.pop_front();
            node.sent = 0;
        }
    }

    fn received(&mut self, node: usize, bytes: &[u8]) -> Result<u64> {
        let (lines, dashes) = count(bytes);
        let within_line = self.nodes[node].within_line;
        self.nodes[node].within_line = bytes.last() != Some(&b'\n');
        let errors = if dashes > 0 { self.errors(within_line, bytes)? } else { 0 };
        let Some(owed) = self.nodes[node].lines_owed.checked_sub(lines) else {
            bail!("a node sends lines that nobody asked for");
        };
        self.nodes[node].lines_owed = owed;
        self.lines_owed -= lines;
        Ok(errors)
    }

    fn owes(&self, node: usize) -> bool {
        self.nodes[node].lines_owed > 0
    }

    fn in_flight(&self) -> u64 {
        self.lines_owed.div_ceil(self.lines_per_command)
    }

    fn settings() -> Vec<Setting> {
        vec![
            ("per command".into(), "nothing: bytes were made beforehand".into()),
            ("values from 16 KiB".into(), "a write per command".into()),
            ("replies".into(), "line ends counted, errors noticed, not kept".into()),
        ]
    }
}
