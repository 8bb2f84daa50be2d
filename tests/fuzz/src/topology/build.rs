//! Replies that are nearly right, made of choices: so that a change of one byte changes one thing of a view, and not its framing.

use crate::input::Input;

const HOSTS: [&str; 8] = ["10.0.0.1", "10.0.0.2", "a.example", "::1", "", "?", "fe80::1%eth0", "bad host"];
const PORTS: [i64; 8] = [7000, 7001, 7002, 0, 65535, 65536, -1, 1];
const BOUNDS: [i64; 16] =
    [0, 1, 99, 100, 5460, 5461, 8191, 8192, 10922, 10923, 16382, 16383, 16384, 65535, -1, 65536];

/// One reply of that kind.
pub(super) fn reply(kind: u8, resp3: bool, input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Wire { bytes: Vec::new(), resp3 };
    match kind {
        0 => slots(&mut out, input),
        1 => shards(&mut out, input),
        _ => nodes(&mut out, input),
    }
    out.bytes
}

struct Wire {
    bytes: Vec<u8>,
    resp3: bool,
}

impl Wire {
    fn line(&mut self, tag: char, number: i64) {
        self.bytes.extend_from_slice(format!("{tag}{number}\r\n").as_bytes());
    }

    fn list(&mut self, len: usize) {
        self.line('*', len as i64);
    }

    fn map(&mut self, pairs: usize) {
        if self.resp3 { self.line('%', pairs as i64) } else { self.list(2 * pairs) }
    }

    fn bulk(&mut self, text: &[u8]) {
        self.line('$', text.len() as i64);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }
}

/// A slot: most often one at which something ends.
fn slot(input: &mut Input<'_>) -> i64 {
    match input.byte() {
        byte @ 0..=199 => BOUNDS[usize::from(byte) % 16],
        _ => i64::from(input.word()),
    }
}

/// One of few ids, most often; or none, or something that is none.
fn id(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() {
        byte @ 0..=229 => [b'0' + byte % 10; 40].to_vec(),
        230..=239 => Vec::new(),
        240..=247 => input.take(70).to_vec(),
        _ => vec![b'x'; 65],
    }
}

fn host<'a>(input: &mut Input<'a>) -> &'a [u8] {
    match input.byte() {
        255 => input.take(20),
        byte => HOSTS[usize::from(byte) % HOSTS.len()].as_bytes(),
    }
}

/// Something that does not belong there.
fn oddity(out: &mut Wire, input: &mut Input<'_>) {
    match input.below(6) {
        0 => out.null(),
        1 => out.line(':', i64::MAX),
        2 => out.list(0),
        3 => out.bulk(b"what"),
        4 => out.bytes.extend_from_slice(b"-ERR no\r\n"),
        _ => out.bytes.extend_from_slice(b"|1\r\n+ttl\r\n:1\r\n+ok\r\n"),
    }
}

fn is_odd(input: &mut Input<'_>) -> bool {
    input.byte() > 250
}

fn slots(out: &mut Wire, input: &mut Input<'_>) {
    let entries = input.below(7);
    out.list(entries);
    for _ in 0..entries {
        if is_odd(input) {
            oddity(out, input);
            continue;
        }
        let replicas = input.below(3);
        out.list(3 + replicas);
        let first = slot(input);
        out.line(':', first);
        let last = if is_odd(input) { -first } else { slot(input) };
        out.line(':', last);
        for _ in 0..=replicas {
            slots_node(out, input);
        }
    }
}

fn slots_node(out: &mut Wire, input: &mut Input<'_>) {
    if is_odd(input) {
        return oddity(out, input);
    }
    let len = [4, 4, 4, 4, 3, 2, 1, 4][input.below(8)];
    out.list(len);
    if is_odd(input) {
        out.null()
    } else {
        out.bulk(host(input))
    }
    if len > 1 {
        out.line(':', input.pick(&PORTS));
    }
    if len > 2 {
        out.bulk(&id(input));
    }
    if len > 3 {
        let others = input.below(3);
        out.map(others);
        for _ in 0..others {
            out.bulk(input.pick(&[&b"ip"[..], b"hostname", b"other"]));
            out.bulk(host(input));
        }
    }
}

fn shards(out: &mut Wire, input: &mut Input<'_>) {
    let shards = input.below(6);
    out.list(shards);
    for _ in 0..shards {
        if is_odd(input) {
            oddity(out, input);
            continue;
        }
        out.map(2);
        out.bulk(b"slots");
        let ranges = input.below(4);
        let half = usize::from(is_odd(input));
        out.list(2 * ranges + half);
        for _ in 0..2 * ranges + half {
            out.line(':', slot(input));
        }
        out.bulk(b"nodes");
        let nodes = input.below(4);
        out.list(nodes);
        for _ in 0..nodes {
            shards_node(out, input);
        }
    }
}

fn shards_node(out: &mut Wire, input: &mut Input<'_>) {
    let fields = input.below(9);
    out.map(fields + 1);
    // From one name on, in the order of the server: a node may lack the first ones, or have some twice.
    let first = [0, 0, 0, 0, 0, 3, 4, 6][input.below(8)];
    for field in first..=first + fields {
        match field % 8 {
            0 => {
                out.bulk(b"id");
                out.bulk(&id(input));
            }
            1 => {
                out.bulk(b"port");
                out.line(':', input.pick(&PORTS));
            }
            2 => {
                out.bulk(b"role");
                out.bulk(input.pick(&[&b"master"[..], b"replica", b"slave", b"primary", b"?"]));
            }
            3 => {
                out.bulk(b"endpoint");
                if is_odd(input) { out.null() } else { out.bulk(host(input)) }
            }
            4 => {
                out.bulk(b"ip");
                out.bulk(host(input));
            }
            5 => {
                out.bulk(b"health");
                out.bulk(input.pick(&[&b"online"[..], b"failed", b"loading"]));
            }
            6 => {
                out.bulk(b"hostname");
                out.bulk(host(input));
            }
            _ => {
                out.bulk(b"tls-port");
                out.line(':', input.pick(&PORTS));
            }
        }
    }
}

/// A text of lines; `panpipe` asks for it as a bulk string, and older servers send nothing else.
fn nodes(out: &mut Wire, input: &mut Input<'_>) {
    let mut text = Vec::new();
    for _ in 0..input.below(7) {
        nodes_line(&mut text, input);
    }
    if out.resp3 {
        out.line('=', text.len() as i64 + 4);
        out.bytes.extend_from_slice(b"txt:");
        out.bytes.extend_from_slice(&text);
        out.bytes.extend_from_slice(b"\r\n");
    } else {
        out.bulk(&text);
    }
}

fn nodes_line(text: &mut Vec<u8>, input: &mut Input<'_>) {
    const FLAGS: [&str; 10] = [
        "master",
        "slave",
        "myself,master",
        "myself,slave",
        "master,fail",
        "slave,fail?",
        "handshake",
        "master,noaddr",
        "noflags",
        "primary,nofailover",
    ];
    text.extend_from_slice(&id(input));
    text.push(b' ');
    text.extend_from_slice(host(input));
    text.extend_from_slice(format!(":{}", input.pick(&PORTS)).as_bytes());
    match input.below(4) {
        0 => {}
        1 => text.extend_from_slice(b"@17000"),
        2 => text.extend_from_slice(b"@17000,h.example"),
        _ => text.extend_from_slice(b"@17000,,shard-id=6f,tls-port=1"),
    }
    text.extend_from_slice(format!(" {} ", input.pick(&FLAGS)).as_bytes());
    if input.below(2) == 0 {
        text.push(b'-')
    } else {
        text.extend_from_slice(&id(input))
    }
    text.extend_from_slice(format!(" 0 0 {} connected", input.byte()).as_bytes());
    for _ in 0..input.below(4) {
        text.push(b' ');
        match input.below(5) {
            0 => text.extend_from_slice(slot(input).to_string().as_bytes()),
            1 => text.extend_from_slice(format!("[{}->-{}]", slot(input), "7".repeat(40)).as_bytes()),
            _ => text.extend_from_slice(format!("{}-{}", slot(input), slot(input)).as_bytes()),
        }
    }
    if is_odd(input) {
        text.extend_from_slice(input.take(12));
    }
    text.push(b'\n');
}
