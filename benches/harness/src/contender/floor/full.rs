//! What every client of a cluster has to do for a command: find its slot and its owner, write it down, and find the end of its reply.
//!
//! Written to be as quick as it can be in safe code, because it is the yardstick: headers come from a table, short words are copied in
//! two moves, a buffer is asked for room once per command. It takes no advantage of what it could know about the plan: lengths of keys
//! and values are read at run time, and each value is copied.

use std::hint::black_box;

use anyhow::Result;
use panpipe::slot::slot_of;

use super::sockets::Routes;
use super::{Kinds, Scanner, Wire};
use crate::contender::Setting;
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// How a command begins: the number of its words, and its name.
const fn head(verb: Verb) -> &'static [u8; HEAD_BYTES] {
    match verb {
        Verb::Set => b"*3\r\n$3\r\nSET\r\n\0\0\0",
        Verb::Get => b"*2\r\n$3\r\nGET\r\n\0\0\0",
        Verb::IncrBy => b"*3\r\n$6\r\nINCRBY\r\n",
        Verb::Expire => b"*3\r\n$6\r\nEXPIRE\r\n",
    }
}

/// Of the longest, so that a head is one move.
const HEAD_BYTES: usize = 16;

/// `$len\r\n` for every length below 1000; the last byte is how long that is.
static HEADERS: [[u8; 8]; 1000] = headers();

const fn headers() -> [[u8; 8]; 1000] {
    let mut headers = [[0; 8]; 1000];
    let mut len = 0;
    while len < headers.len() {
        let digits = if len < 10 {
            1
        } else if len < 100 {
            2
        } else {
            3
        };
        let header = &mut headers[len];
        header[0] = b'$';
        let (mut at, mut rest) = (digits, len);
        while at > 0 {
            header[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
        }
        header[digits + 1] = b'\r';
        header[digits + 2] = b'\n';
        header[7] = digits as u8 + 3;
        len += 1;
    }
    headers
}

/// What a command has beside its words: the head, two headers of at most 24 bytes, line ends, and what fixed-size moves write too much.
const BESIDE_BYTES: usize = 128;
/// Digits of the longest integer, with its sign.
const INTEGER_BYTES_MAX: usize = 20;

/// Commands for one node, as bytes.
#[derive(Debug, Default)]
pub(in crate::contender) struct Outbox {
    /// Up to `end` they count; what is behind was counted once, or is zero.
    bytes: Vec<u8>,
    end: usize,
    /// Commands since somebody took their number away.
    pub(in crate::contender) commands: u64,
}

impl Outbox {
    pub(in crate::contender) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    pub(in crate::contender) fn clear(&mut self) {
        self.end = 0;
        self.commands = 0;
    }

    /// Writes a command down.
    #[inline(always)]
    fn put(&mut self, verb: Verb, key: &[u8], value: &[u8]) {
        let room = key.len() + value.len() + BESIDE_BYTES;
        if self.bytes.len() - self.end < room {
            self.grow(room);
        }
        let mut room = Room { bytes: &mut self.bytes[self.end..][..room], at: 0 };
        room.put_padded(head(verb), if matches!(verb, Verb::Set | Verb::Get) { 13 } else { 16 });
        room.put_bulk(key);
        match verb {
            Verb::Set => room.put_bulk(value),
            Verb::Get => {}
            Verb::IncrBy => room.put_integer(INCREMENT),
            Verb::Expire => room.put_integer(EXPIRE_S),
        }
        self.end += room.at;
        self.commands += 1;
    }

    #[cold]
    fn grow(&mut self, room: usize) {
        let len = (self.end + room).next_power_of_two().max(4 << 10);
        self.bytes.resize(len, 0);
    }
}

/// Where a command is written, with room for it and for what moves of a fixed size write too much.
struct Room<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Room<'_> {
    /// Moves all of `bytes`, of which `count` matter: what comes next is written over the others.
    #[inline(always)]
    fn put_padded<const N: usize>(&mut self, bytes: &[u8; N], count: usize) {
        self.bytes[self.at..][..N].copy_from_slice(bytes);
        self.at += count;
    }

    #[inline(always)]
    fn put_bulk(&mut self, payload: &[u8]) {
        match HEADERS.get(payload.len()) {
            Some(header) => self.put_padded(header, usize::from(header[7])),
            None => self.put_long_header(payload.len()),
        }
        copy(&mut self.bytes[self.at..][..payload.len()], payload);
        self.at += payload.len();
        self.put_padded(b"\r\n", 2);
    }

    #[inline(never)]
    fn put_long_header(&mut self, len: usize) {
        let mut text = [0; INTEGER_BYTES_MAX];
        self.put_padded(b"$", 1);
        let digits = decimal(len as i64, &mut text);
        self.bytes[self.at..][..digits.len()].copy_from_slice(digits);
        self.at += digits.len();
        self.put_padded(b"\r\n", 2);
    }

    #[inline(always)]
    fn put_integer(&mut self, number: i64) {
        let mut text = [0; INTEGER_BYTES_MAX];
        // Read at run time: a client is not told its numbers by the compiler.
        self.put_bulk(decimal(black_box(number), &mut text));
    }
}

/// A number's text, at the end of `text`.
#[inline(always)]
fn decimal(number: i64, text: &mut [u8; INTEGER_BYTES_MAX]) -> &[u8] {
    let (mut rest, mut from) = (number.unsigned_abs(), text.len());
    loop {
        from -= 1;
        text[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        from -= 1;
        text[from] = b'-';
    }
    &text[from..]
}

/// Copies a word. Short ones in two moves that overlap: a call costs more than that.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
        let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
            return false;
        };
        let Some(start) = to.first_chunk_mut::<N>() else { return false };
        *start = *first;
        let Some(end) = to.last_chunk_mut::<N>() else { return false };
        *end = *last;
        true
    }
    let copied = match from.len() {
        8..=16 => ends::<8>(to, from),
        17..=32 => ends::<16>(to, from),
        33..=64 => ends::<32>(to, from),
        _ => false,
    };
    if !copied {
        to.copy_from_slice(from);
    }
}

/// Routes commands and writes them down for their nodes.
pub(in crate::contender) struct Encoder {
    routes: Routes,
    /// By node.
    pub(in crate::contender) outboxes: Vec<Outbox>,
    key_bytes: usize,
}

impl Encoder {
    pub(in crate::contender) fn new(plan: &Plan, routes: Routes, nodes: usize) -> Encoder {
        // The compiler knows how long all keys are; a client does not.
        let key_bytes = black_box(plan.keys.first().map_or(0, |key| key.len()));
        Encoder { routes, outboxes: (0..nodes).map(|_| Outbox::default()).collect(), key_bytes }
    }

    pub(in crate::contender) fn encode(&mut self, plan: &Plan, ops: &[Op]) {
        let keys = plan.keys.as_flattened();
        for op in ops {
            let key = &keys[op.key as usize * self.key_bytes..][..self.key_bytes];
            let node = self.routes[usize::from(slot_of(key)) % self.routes.len()];
            self.outboxes[usize::from(node)].put(op.verb, key, &plan.value);
        }
    }
}

/// The full work per command.
pub(super) struct Full {
    encoder: Encoder,
    /// What is on its way; the encoder's boxes fill up meanwhile.
    leaving: Vec<Leaving>,
    scanners: Vec<Scanner>,
    owed: Vec<u64>,
    in_flight: u64,
}

#[derive(Default)]
struct Leaving {
    outbox: Outbox,
    sent: usize,
}

impl Full {
    fn stage(&mut self, plan: &Plan, ops: &[Op]) {
        self.encoder.encode(plan, ops);
        for (outbox, owed) in self.encoder.outboxes.iter_mut().zip(&mut self.owed) {
            *owed += std::mem::take(&mut outbox.commands);
        }
        self.in_flight += ops.len() as u64;
    }
}

impl Wire for Full {
    fn new(plan: &Plan, routes: Routes, nodes: usize) -> Full {
        let kinds = Kinds::of(plan);
        Full {
            encoder: Encoder::new(plan, routes, nodes),
            leaving: (0..nodes).map(|_| Leaving::default()).collect(),
            scanners: (0..nodes).map(|_| Scanner::new(kinds)).collect(),
            owed: vec![0; nodes],
            in_flight: 0,
        }
    }

    fn stage_flush(&mut self, plan: &Plan, at: usize) {
        self.stage(plan, &plan.flushes[at]);
    }

    fn stage_part(&mut self, plan: &Plan, number: u64, commands: usize) -> usize {
        let mut staged = 0;
        super::for_part(plan, number, commands, |ops| {
            self.stage(plan, ops);
            staged += ops.len();
        });
        staged
    }

    fn unsent(&mut self, node: usize) -> &[u8] {
        let leaving = &mut self.leaving[node];
        if leaving.sent == leaving.outbox.end {
            leaving.outbox.clear();
            leaving.sent = 0;
            std::mem::swap(&mut leaving.outbox, &mut self.encoder.outboxes[node]);
        }
        &leaving.outbox.bytes()[leaving.sent..]
    }

    #[cfg(target_os = "linux")]
    fn unsent_is_all(&self, node: usize) -> bool {
        let leaving = &self.leaving[node];
        leaving.sent == leaving.outbox.end || self.encoder.outboxes[node].bytes().is_empty()
    }

    fn sent(&mut self, node: usize, bytes: usize) {
        self.leaving[node].sent += bytes;
    }

    fn received(&mut self, node: usize, bytes: &[u8]) -> Result<u64> {
        let seen = self.scanners[node].scan(bytes)?;
        let Some(owed) = self.owed[node].checked_sub(seen.replies) else {
            anyhow::bail!("a node sends replies that nobody asked for");
        };
        self.owed[node] = owed;
        self.in_flight -= seen.replies;
        Ok(seen.errors)
    }

    fn owes(&self, node: usize) -> bool {
        self.owed[node] > 0
    }

    fn in_flight(&self) -> u64 {
        self.in_flight
    }

    fn settings() -> Vec<Setting> {
        vec![
            ("per command".into(), "slot of the key, owner, encoding, end and kind of the reply".into()),
            ("replies".into(), "scanned, not kept".into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(verb: Verb, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut outbox = Outbox::default();
        outbox.put(verb, key, value);
        outbox.bytes().to_vec()
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings_whatever_their_lengths() {
        for len in (0..130).chain([999, 1000, 1001, 65_536, 1_000_000]) {
            let word: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
            let text = String::from_utf8(word.clone()).unwrap();
            let set = format!("*3\r\n$3\r\nSET\r\n${len}\r\n{text}\r\n${len}\r\n{text}\r\n");
            assert_eq!(encoded(Verb::Set, &word, &word), set.as_bytes(), "{len}");
            let get = format!("*2\r\n$3\r\nGET\r\n${len}\r\n{text}\r\n");
            assert_eq!(encoded(Verb::Get, &word, b"unused"), get.as_bytes(), "{len}");
        }
        assert_eq!(encoded(Verb::IncrBy, b"k", b""), b"*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$1\r\n1\r\n");
        assert_eq!(encoded(Verb::Expire, b"k", b""), b"*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\n60\r\n");
    }

    #[test]
    fn integers_are_written_in_full() {
        for number in [0, 9, 10, -1, 12_345, i64::MAX, i64::MIN] {
            assert_eq!(decimal(number, &mut [0; INTEGER_BYTES_MAX]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn commands_stand_one_behind_the_other() {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for len in 0..300 {
            let word = vec![b'x'; len % 70];
            outbox.put(Verb::Set, &word, &word);
            expected.extend(encoded(Verb::Set, &word, &word));
        }
        assert_eq!((outbox.bytes(), outbox.commands), (expected.as_slice(), 300));
    }
}
