//! A peer that answers at once, in memory or behind real sockets: what is left is the client's own cost.
//!
//! Knows what a client asks of a cluster of primaries at the start, and one fixed reply per command after that. Stores nothing, checks
//! nothing. The same answers serve the benchmarks, the counting programs and the tests that count.
#![allow(dead_code, reason = "each program that includes this module uses a part of it")]

pub(crate) mod alloc;
pub(crate) mod floor;
pub(crate) mod measured;
pub(crate) mod memory;
pub(crate) mod micro;
pub(crate) mod rig;
pub(crate) mod tcp;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Bytes of a value.
pub(crate) const VALUE: &[u8; 64] = &[b'v'; 64];
/// A write of this key makes a peer behind sockets hang up.
pub(crate) const HANG_UP: &[u8] = b"hang-up";

/// Keys of 16 bytes, spread over all slots.
pub(crate) fn keys(count: usize) -> Vec<[u8; KEY_BYTES]> {
    (0..count)
        .map(|number| {
            let mut key = *b"key:000000000000";
            let text = format!("{number:012}");
            key[4..].copy_from_slice(text.as_bytes());
            key
        })
        .collect()
}

/// One whole command at the start of some bytes: its first two words and its size.
struct Command<'a> {
    name: &'a [u8],
    first: &'a [u8],
    len: usize,
}

/// The number in a header line, and where the next line starts.
fn header(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    let mut end = at + 1;
    while *bytes.get(end)? != b'\r' {
        value = value * 10 + usize::from(bytes[end] - b'0');
        end += 1;
    }
    Some((value, end + 2))
}

fn command(bytes: &[u8]) -> Option<Command<'_>> {
    let (words, mut at) = header(bytes, 0)?;
    let mut command = Command { name: b"", first: b"", len: 0 };
    for word in 0..words {
        let (len, start) = header(bytes, at)?;
        at = start + len + 2;
        let text = bytes.get(start..at)?.get(..len)?;
        match word {
            0 => command.name = text,
            1 => command.first = text,
            _ => {}
        }
    }
    command.len = at;
    Some(command)
}

/// What became of some bytes that a client sent.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    /// Bytes of whole commands.
    pub(crate) consumed: usize,
    /// How many commands those were.
    pub(crate) commands: usize,
    /// The client asked to be hung up on.
    pub(crate) hang_up: bool,
}

/// What the peer says.
#[derive(Clone)]
pub(crate) struct Answers {
    hello: Vec<u8>,
    view: Vec<u8>,
    value: Vec<u8>,
}

fn put_bulk(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn node_id(node: usize) -> String {
    format!("{node:040x}")
}

impl Answers {
    /// A cluster of primaries on these ports, each with an equal share of the slots.
    pub(crate) fn new(ports: &[u16]) -> Self {
        let mut hello = b"%7\r\n".to_vec();
        for (key, value) in
            [("server", "redis"), ("version", "7.2.0"), ("mode", "cluster"), ("role", "master")]
        {
            put_bulk(&mut hello, key.as_bytes());
            put_bulk(&mut hello, value.as_bytes());
        }
        hello.extend_from_slice(b"$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$7\r\nmodules\r\n*0\r\n");
        let mut view = format!("*{}\r\n", ports.len()).into_bytes();
        for (node, port) in ports.iter().enumerate() {
            let (start, end) = (16384 * node / ports.len(), 16384 * (node + 1) / ports.len() - 1);
            view.extend_from_slice(format!("*3\r\n:{start}\r\n:{end}\r\n*4\r\n").as_bytes());
            put_bulk(&mut view, b"127.0.0.1");
            view.extend_from_slice(format!(":{port}\r\n").as_bytes());
            put_bulk(&mut view, node_id(node).as_bytes());
            view.extend_from_slice(b"*0\r\n");
        }
        let mut value = Vec::new();
        put_bulk(&mut value, VALUE);
        Answers { hello, view, value }
    }

    /// The reply to a command of the steady state.
    pub(crate) fn reply(&self, name: &[u8]) -> &[u8] {
        if name == b"GET" { &self.value } else { b"+OK\r\n" }
    }

    /// Answers every whole command in `bytes`, in order.
    pub(crate) fn answer(&self, node: usize, bytes: &[u8], out: &mut Vec<u8>) -> Answered {
        let mut answered = Answered { consumed: 0, commands: 0, hang_up: false };
        while let Some(command) = command(&bytes[answered.consumed..]) {
            answered.consumed += command.len;
            answered.commands += 1;
            match (command.name, command.first) {
                (b"HELLO", _) => out.extend_from_slice(&self.hello),
                // The client's own check that replies and commands match.
                (b"ECHO", text) => put_bulk(out, text),
                (b"CLUSTER", b"MYID") => put_bulk(out, node_id(node).as_bytes()),
                (b"CLUSTER", b"SLOTS") => out.extend_from_slice(&self.view),
                (b"SET", HANG_UP) => {
                    answered.hang_up = true;
                    return answered;
                }
                (name, _) => out.extend_from_slice(self.reply(name)),
            }
        }
        answered
    }
}
