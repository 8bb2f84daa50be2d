//! What the sink says. It has to satisfy the handshakes of all contenders as a server would, and cost little for the commands of the
//! workloads.

use std::fmt::Write as _;
use std::net::SocketAddr;

use panpipe::slot::SLOT_COUNT;

/// The commands in a buffer, one after the other: arrays of bulk strings, as every client sends them.
#[derive(Debug)]
pub(super) struct Commands<'a> {
    bytes: &'a [u8],
    consumed: usize,
}

/// A command: its name, and its first two arguments where it has them.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) name: &'a [u8],
    pub(super) args: [&'a [u8]; 2],
}

impl<'a> Commands<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Commands<'a> {
        Commands { bytes, consumed: 0 }
    }

    /// How many bytes the commands so far had.
    pub(super) fn consumed(&self) -> usize {
        self.consumed
    }

    /// The next whole command.
    pub(super) fn next(&mut self) -> Option<Command<'a>> {
        // redis-cli --pipe ends with one; servers skip blank lines too.
        while self.bytes.get(self.consumed..)?.starts_with(b"\r\n") {
            self.consumed += 2;
        }
        let (count, mut at) = header(self.bytes, self.consumed)?;
        let mut parts: [&[u8]; 3] = [&[]; 3];
        for number in 0..count {
            let (len, start) = header(self.bytes, at)?;
            let part = self.bytes.get(start..start + len)?;
            at = start + len + 2;
            if at > self.bytes.len() {
                return None;
            }
            if let Some(slot) = parts.get_mut(number) {
                *slot = part;
            }
        }
        self.consumed = at;
        Some(Command { name: parts[0], args: [parts[1], parts[2]] })
    }
}

/// The number in the header line at `at`, and where the line ends.
fn header(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    for (offset, &byte) in bytes.get(at + 1..)?.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + usize::from(byte - b'0'),
            // The sign, or the end of the line: its second byte must be there too.
            _ => {
                let end = at + 1 + offset + 2;
                return (end <= bytes.len()).then_some((number, end));
            }
        }
    }
    None
}

/// Prepared replies.
#[derive(Debug)]
pub(super) struct Replies {
    value: Vec<u8>,
    slots: Vec<u8>,
    shards: Vec<u8>,
    /// The same in RESP3, where its parts are maps.
    shards_as_maps: Vec<u8>,
    nodes: Vec<Vec<u8>>,
    ids: Vec<Vec<u8>>,
    mode: &'static str,
}

/// What the sink remembers of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Session {
    /// Which connection it is.
    pub(super) id: u64,
    /// Since a HELLO that asked for it.
    resp3: bool,
}

impl Session {
    pub(super) fn new(id: u64) -> Session {
        Session { id, resp3: false }
    }
}

impl Replies {
    /// Of a cluster of these nodes, or of the only one, which knows nothing of clusters.
    pub(super) fn new(addresses: &[SocketAddr], cluster: bool, value_bytes: usize) -> Replies {
        let value: String = (0..value_bytes).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        Replies {
            value: bulk(&value).into_bytes(),
            slots: slots(addresses).into_bytes(),
            shards: shards(addresses, false).into_bytes(),
            shards_as_maps: shards(addresses, true).into_bytes(),
            nodes: (0..addresses.len()).map(|own| bulk(&nodes(addresses, own)).into_bytes()).collect(),
            ids: (0..addresses.len()).map(|node| bulk(&id(node)).into_bytes()).collect(),
            mode: if cluster { "cluster" } else { "standalone" },
        }
    }

    /// Appends the answer to a command.
    pub(super) fn answer(
        &self,
        node: usize,
        command: &Command<'_>,
        session: &mut Session,
        out: &mut Vec<u8>,
    ) {
        match command.name {
            b"SET" => out.extend_from_slice(b"+OK\r\n"),
            b"GET" => out.extend_from_slice(&self.value),
            b"INCRBY" | b"EXPIRE" => out.extend_from_slice(b":1\r\n"),
            _ => self.answer_rare(node, command, session, out),
        }
    }

    fn answer_rare(&self, node: usize, command: &Command<'_>, session: &mut Session, out: &mut Vec<u8>) {
        let name = command.name.to_ascii_uppercase();
        let first = command.args[0].to_ascii_uppercase();
        match (name.as_slice(), first.as_slice()) {
            (b"SET" | b"GET" | b"INCRBY" | b"EXPIRE", _) => {
                let args = command.args;
                self.answer(node, &Command { name: &name, args }, session, out);
            }
            (b"ECHO", _) => {
                out.extend_from_slice(format!("${}\r\n", command.args[0].len()).as_bytes());
                out.extend_from_slice(command.args[0]);
                out.extend_from_slice(b"\r\n");
            }
            (b"PING", b"") => out.extend_from_slice(b"+PONG\r\n"),
            (b"HELLO", version) => {
                session.resp3 = version == b"3" || (version.is_empty() && session.resp3);
                out.extend_from_slice(hello(session, self.mode).as_bytes());
            }
            (b"CLUSTER", _) if self.mode != "cluster" => {
                out.extend_from_slice(b"-ERR This instance has cluster support disabled\r\n");
            }
            (b"CLUSTER", b"SLOTS") => out.extend_from_slice(&self.slots),
            (b"CLUSTER", b"SHARDS") if session.resp3 => out.extend_from_slice(&self.shards_as_maps),
            (b"CLUSTER", b"SHARDS") => out.extend_from_slice(&self.shards),
            (b"CLUSTER", b"NODES") => out.extend_from_slice(&self.nodes[node]),
            (b"CLUSTER", b"MYID") => out.extend_from_slice(&self.ids[node]),
            (b"CLUSTER", b"INFO") => {
                out.extend_from_slice(text(&cluster_info(self.ids.len()), session).as_bytes())
            }
            // redis-benchmark asks what the server saves; so the answer's name is the question's.
            (b"CONFIG", b"GET") => {
                let asked = String::from_utf8_lossy(command.args[1]);
                out.extend_from_slice(format!("*2\r\n{}{}", bulk(&asked), bulk("")).as_bytes());
            }
            (b"INFO", _) => out.extend_from_slice(text(&info(self.mode), session).as_bytes()),
            (b"COMMAND", _) => out.extend_from_slice(commands().as_bytes()),
            (b"CLIENT", b"ID") => out.extend_from_slice(format!(":{}\r\n", session.id).as_bytes()),
            (b"CLIENT", b"GETNAME") => {
                out.extend_from_slice(if session.resp3 { b"_\r\n" } else { b"$-1\r\n" })
            }
            (b"AUTH" | b"SELECT" | b"ASKING" | b"READONLY" | b"READWRITE" | b"CLIENT", _) => {
                out.extend_from_slice(b"+OK\r\n");
            }
            _ => out.extend_from_slice(b"-ERR unknown command\r\n"),
        }
    }
}

fn info(mode: &str) -> String {
    let enabled = u8::from(mode == "cluster");
    format!(
        "# Server\r\nredis_version:{VERSION}\r\nredis_mode:{mode}\r\n# Cluster\r\ncluster_enabled:{enabled}\r\n"
    )
}

fn cluster_info(nodes: usize) -> String {
    format!(
        "cluster_state:ok\r\ncluster_slots_assigned:{SLOT_COUNT}\r\ncluster_slots_ok:{SLOT_COUNT}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{nodes}\r\ncluster_size:{nodes}\r\n"
    )
}

/// The version that the sink passes for.
const VERSION: &str = "7.0.15";

/// A text of many lines: verbatim in RESP3.
fn text(lines: &str, session: &Session) -> String {
    match session.resp3 {
        true => format!("={}\r\ntxt:{lines}\r\n", lines.len() + 4),
        false => bulk(lines),
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn id(node: usize) -> String {
    format!("{node:040x}")
}

/// First and last slot of a node.
fn range(node: usize, nodes: usize) -> (usize, usize) {
    let first = |node: usize| (node * usize::from(SLOT_COUNT)).div_ceil(nodes);
    (first(node), first(node + 1) - 1)
}

fn slots(addresses: &[SocketAddr]) -> String {
    let mut text = format!("*{}\r\n", addresses.len());
    for (node, address) in addresses.iter().enumerate() {
        let (first, last) = range(node, addresses.len());
        let (ip, port, id) = (bulk(&address.ip().to_string()), address.port(), bulk(&id(node)));
        // Writing into a string cannot fail, here and below.
        let _ = write!(text, "*3\r\n:{first}\r\n:{last}\r\n*3\r\n{ip}:{port}\r\n{id}");
    }
    text
}

/// Fields and their values: maps in RESP3.
fn shards(addresses: &[SocketAddr], as_maps: bool) -> String {
    let fields = |count: usize| if as_maps { format!("%{count}\r\n") } else { format!("*{}\r\n", 2 * count) };
    let mut text = format!("*{}\r\n", addresses.len());
    for (node, address) in addresses.iter().enumerate() {
        let (first, last) = range(node, addresses.len());
        let (ip, port) = (address.ip().to_string(), address.port());
        let _ = write!(text, "{}{}*2\r\n:{first}\r\n:{last}\r\n", fields(2), bulk("slots"));
        let _ = write!(text, "{}*1\r\n{}", bulk("nodes"), fields(7));
        let _ = write!(text, "{}{}{}:{port}\r\n", bulk("id"), bulk(&id(node)), bulk("port"));
        for (name, value) in [("ip", ip.as_str()), ("endpoint", ip.as_str()), ("role", "master")] {
            let _ = write!(text, "{}{}", bulk(name), bulk(value));
        }
        let _ = write!(text, "{}:1\r\n", bulk("replication-offset"));
        let _ = write!(text, "{}{}", bulk("health"), bulk("online"));
    }
    text
}

fn nodes(addresses: &[SocketAddr], own: usize) -> String {
    let mut text = String::new();
    for (node, address) in addresses.iter().enumerate() {
        let (first, last) = range(node, addresses.len());
        let (id, bus_port) = (id(node), u32::from(address.port()) + 10_000);
        let flags = if node == own { "myself,master" } else { "master" };
        let _ = writeln!(text, "{id} {address}@{bus_port} {flags} - 0 0 {node} connected {first}-{last}");
    }
    text
}

fn hello(session: &Session, mode: &str) -> String {
    let (header, proto) = if session.resp3 { ("%7", 3) } else { ("*14", 2) };
    let mut text = format!("{header}\r\n");
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        let _ = write!(text, "{}{}", bulk(name), bulk(value));
    }
    let _ = write!(text, "{}:{proto}\r\n{}:{}\r\n", bulk("proto"), bulk("id"), session.id);
    for (name, value) in [("mode", mode), ("role", "master")] {
        let _ = write!(text, "{}{}", bulk(name), bulk(value));
    }
    let _ = write!(text, "{}*0\r\n", bulk("modules"));
    text
}

/// The rows of the commands that the workloads send, for clients that route by them: name, arity, flags, first key, last key, step.
fn commands() -> String {
    let rows =
        [("set", -3, "write"), ("get", 2, "readonly"), ("incrby", 3, "write"), ("expire", -3, "write")];
    let mut text = format!("*{}\r\n", rows.len());
    for (name, arity, flag) in rows {
        let _ = write!(text, "*10\r\n{}:{arity}\r\n*1\r\n+{flag}\r\n:1\r\n:1\r\n:1\r\n", bulk(name));
        text.push_str("*0\r\n*0\r\n*0\r\n*0\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_however_they_are_cut() {
        let whole = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\n*1\r\n$4\r\nPING\r\n";
        for cut in 0..=whole.len() {
            let mut commands = Commands::new(&whole[..cut]);
            let mut names = Vec::new();
            while let Some(command) = commands.next() {
                names.push(command.name);
            }
            let expected: &[&[u8]] = match cut {
                cut if cut == whole.len() => &[b"SET", b"PING"],
                cut if cut >= whole.len() - 14 => &[b"SET"],
                _ => &[],
            };
            assert_eq!(names, expected, "cut at {cut}");
        }
    }

    #[test]
    fn blank_lines_between_commands_are_none() {
        let mut commands = Commands::new(b"\r\n*1\r\n$4\r\nPING\r\n\r\n\r\n");
        assert_eq!(commands.next().map(|command| command.name), Some(&b"PING"[..]));
        assert!(commands.next().is_none() && commands.consumed() == 20);
        let mut commands = Commands::new(b"\r");
        assert!(commands.next().is_none() && commands.consumed() == 0);
    }

    #[test]
    fn the_ranges_cover_every_slot_once() {
        for nodes in [1, 3, 7, 48, 256] {
            let mut next = 0;
            for node in 0..nodes {
                let (first, last) = range(node, nodes);
                assert_eq!(first, next);
                next = last + 1;
            }
            assert_eq!(next, usize::from(SLOT_COUNT));
        }
    }

    fn answers(cluster: bool, commands: &[&[&str]]) -> String {
        let addresses: Vec<SocketAddr> = (7000..7003).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let replies = Replies::new(&addresses[..if cluster { 3 } else { 1 }], cluster, 4);
        let (mut session, mut out) = (Session::new(9), Vec::new());
        for command in commands {
            let part = |at: usize| command.get(at).map_or(&b""[..], |part| part.as_bytes());
            let command = Command { name: part(0), args: [part(1), part(2)] };
            replies.answer(0, &command, &mut session, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_connection_speaks_the_protocol_that_its_hello_asked_for() {
        let resp2 = answers(true, &[&["hello"], &["client", "getname"], &["cluster", "shards"]]);
        assert!(
            resp2.starts_with("*14\r\n$6\r\nserver\r\n") && resp2.contains("$5\r\nproto\r\n:2\r\n"),
            "{resp2}"
        );
        assert!(resp2.contains("*0\r\n$-1\r\n*3\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:5461\r\n"), "{resp2}");
        let resp3 = answers(true, &[&["HELLO", "3"], &["CLIENT", "GETNAME"], &["CLUSTER", "SHARDS"]]);
        assert!(
            resp3.starts_with("%7\r\n$6\r\nserver\r\n") && resp3.contains("$5\r\nproto\r\n:3\r\n"),
            "{resp3}"
        );
        assert!(resp3.contains("*0\r\n_\r\n*3\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:5461\r\n"), "{resp3}");
        let length = info("cluster").len() + "txt:".len();
        let told = answers(true, &[&["HELLO", "3"], &["INFO"]]);
        assert!(told.contains(&format!("\r\n={length}\r\ntxt:# Server\r\n")), "{told}");
    }

    #[test]
    fn a_client_hears_its_number_and_that_its_settings_are_taken() {
        let told = answers(true, &[&["CLIENT", "ID"], &["CLIENT", "SETINFO", "LIB-NAME"], &["PING"]]);
        assert_eq!(told, ":9\r\n+OK\r\n+PONG\r\n");
    }

    #[test]
    fn a_standalone_sink_knows_nothing_of_clusters() {
        let told = answers(false, &[&["CLUSTER", "SLOTS"], &["INFO", "server"]]);
        let (error, info) = told.split_once("\r\n").unwrap();
        assert_eq!(error, "-ERR This instance has cluster support disabled");
        assert!(info.contains("redis_mode:standalone") && info.contains("cluster_enabled:0"), "{info}");
        assert!(answers(true, &[&["CLUSTER", "INFO"]]).contains("cluster_state:ok\r\n"));
    }
}
