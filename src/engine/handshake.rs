//! The first bytes of a connection.
//!
//! ```text
//!   client                                              server
//!   HELLO 3 AUTH user pass SETNAME name   ─┐
//!   CLIENT SETINFO LIB-NAME panpipe        │ one write
//!   CLIENT SETINFO LIB-VER 0.1.0           │
//!   CLIENT INFO   (with `fenced_reconnect`)│
//!   CLUSTER MYID                          ─┘
//!                                                       %7 server redis … proto 3 … mode cluster
//!                                                       +OK   (or an error, ignored: servers before 7.2)
//!                                                       +OK
//!                                                       $… id=23 addr=10.1.2.3:4711 …   (or an error: before 6.2)
//!                                                       $40 07c37df…   (or an error: proxies)
//!   (user bytes may leave from here on)
//!   CLIENT KILL ID 17 ADDR 10.1.2.3:4711   (with `fenced_reconnect`, where commands of connection 17 are in doubt; user bytes then
//!                                           wait for its reply)
//!                                                       :1
//! ```
//!
//! HELLO is the first and only AUTH of the write, so a refusal has no replies pending in front of it. User bytes wait for its verified
//! reply: after a failed AUTH they would run as the default user. They wait for the id too, which costs no round trip: an address may have
//! been given to another node, or another cluster, since it was learnt. A server without HELLO (before 6.0, some proxies) answers with an
//! error; then AUTH follows, then CLIENT SETNAME and CLUSTER MYID together, and the connection speaks RESP2.
//! (<https://redis.io/docs/latest/commands/hello/>)

use std::collections::VecDeque;

use crate::config::{Config, Protocol};
use crate::error::{ErrorKind, ServerError};
use crate::resp::encode::{put_array_header, put_bulk};
use crate::resp::reply::ReplyRef;
use crate::resp::server_error::{Code, ServerReply, classify};

/// `CLUSTER_NAMELEN` in the server's cluster.h.
const NODE_ID_DIGITS: usize = 40;

/// What the next reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Hello,
    Auth,
    SetName,
    /// Succeeds or not, nothing depends on it.
    Ignored,
    /// What the server calls this connection.
    Info,
    NodeId,
    /// The end of an earlier connection.
    Kill,
}

/// What a reply of the handshake leads to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More replies are needed.
    Waiting,
    /// These bytes go out next.
    Send(Vec<u8>),
    /// The node has told its id, or does not want to (empty).
    NodeId(String),
    /// An earlier connection is dead, or has been.
    Killed,
    /// The server does not let us end it.
    KillRefused(ServerError),
    /// A reply is missing, or there is one too many; the next connection may have none of that.
    OutOfStep(&'static str),
    /// The connection is of no use.
    Refused(ErrorKind),
    /// The server has no room for us.
    Full(ServerError),
    /// The server is still reading its data.
    Loading(ServerError),
}

/// The replies a new connection still owes, in order.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    expected: VecDeque<Expected>,
    /// The protocol is agreed on, the credentials are good, and the node has told its id or that it does not want to.
    verified: bool,
    /// User bytes wait until earlier connections are dead.
    fenced: bool,
    /// What the server calls the connection.
    pub(crate) name: ServerName,
}

/// A connection as its server knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerName {
    /// Its number: a process counts up from 1.
    pub(crate) id: Option<u64>,
    /// Our end of it; another process of the server has given the number to somebody else.
    pub(crate) address: Option<Box<str>>,
}

impl Handshake {
    /// Starts over; the answer is the one write. `fenced` holds user bytes back until `lift_fence`, or the replies to `kill`.
    pub(crate) fn begin(config: &Config, fenced: bool) -> (Self, Vec<u8>) {
        let mut handshake = Handshake { fenced, ..Handshake::default() };
        let mut out = Vec::with_capacity(256);
        match config.protocol {
            Protocol::Resp3 => {
                handshake.hello(config, &mut out);
                handshake.introduce(config, &mut out);
            }
            Protocol::Resp2 => handshake.legacy(config, &mut out),
        }
        (handshake, out)
    }

    /// Whether replies of the handshake stand before those of user commands.
    pub(crate) fn is_done(&self) -> bool {
        self.expected.is_empty()
    }

    fn hello(&mut self, config: &Config, out: &mut Vec<u8>) {
        let mut words: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = &config.password {
            let user = config.username.as_deref().unwrap_or("default");
            words.extend([b"AUTH", user.as_bytes(), password.expose().as_bytes()]);
        }
        if let Some(name) = &config.client_name {
            words.extend([b"SETNAME".as_slice(), name.as_bytes()]);
        }
        self.push(Expected::Hello, &words, out);
    }

    fn introduce(&mut self, config: &Config, out: &mut Vec<u8>) {
        self.push(Expected::Ignored, &[b"CLIENT", b"SETINFO", b"LIB-NAME", b"panpipe"], out);
        self.push(
            Expected::Ignored,
            &[b"CLIENT", b"SETINFO", b"LIB-VER", env!("CARGO_PKG_VERSION").as_bytes()],
            out,
        );
        self.identify(config, out);
    }

    /// The node's id comes last: with it the connection is in service.
    fn identify(&mut self, config: &Config, out: &mut Vec<u8>) {
        if config.fenced_reconnect {
            self.push(Expected::Info, &[b"CLIENT", b"INFO"], out);
        }
        self.push(Expected::NodeId, &[b"CLUSTER", b"MYID"], out);
    }

    /// RESP2: nothing to negotiate, AUTH alone first because what follows may need it.
    fn legacy(&mut self, config: &Config, out: &mut Vec<u8>) {
        match (&config.username, &config.password) {
            (Some(user), Some(password)) => {
                self.push(Expected::Auth, &[b"AUTH", user.as_bytes(), password.expose().as_bytes()], out);
            }
            (None, Some(password)) => {
                self.push(Expected::Auth, &[b"AUTH", password.expose().as_bytes()], out)
            }
            (_, None) => self.after_auth(config, out),
        }
    }

    fn after_auth(&mut self, config: &Config, out: &mut Vec<u8>) {
        // An empty name is the default.
        let name = config.client_name.as_deref().unwrap_or("");
        self.push(Expected::SetName, &[b"CLIENT", b"SETNAME", name.as_bytes()], out);
        self.identify(config, out);
    }

    fn push(&mut self, expected: Expected, words: &[&[u8]], out: &mut Vec<u8>) {
        put_array_header(out, words.len());
        for word in words {
            put_bulk(out, word);
        }
        self.expected.push_back(expected);
    }

    /// Takes the next reply.
    pub(crate) fn on_reply(&mut self, reply: ReplyRef<'_>, config: &Config) -> Progress {
        let expected = self.expected.pop_front();
        if let Some(text) = reply.error() {
            return self.on_error(expected, text, config);
        }
        let mut out = Vec::new();
        match expected {
            Some(Expected::Hello) => self.on_hello(reply),
            Some(Expected::Auth) if reply.as_bytes() == Some(b"OK") => {
                self.after_auth(config, &mut out);
                Progress::Send(out)
            }
            Some(Expected::SetName) if reply.as_bytes() == Some(b"OK") => Progress::Waiting,
            Some(Expected::NodeId) => match reply.as_str().filter(|id| is_node_id(id)) {
                Some(id) => self.on_node_id(id),
                // Another command's reply: taken for an id it would make this a node that no view will ever name.
                None => Progress::OutOfStep("the reply to CLUSTER MYID is no node id"),
            },
            Some(Expected::Ignored) => Progress::Waiting,
            Some(Expected::Info) => {
                self.on_info(reply.as_str().unwrap_or_default());
                Progress::Waiting
            }
            Some(Expected::Kill) => {
                self.lift_fence();
                Progress::Killed
            }
            Some(Expected::Auth | Expected::SetName) | None => Progress::Refused(ErrorKind::Desync {
                what: "a handshake reply that fits no handshake command".to_owned(),
            }),
        }
    }

    /// Whether user bytes may leave.
    pub(crate) fn is_released(&self) -> bool {
        self.verified && !self.fenced
    }

    /// Ends an earlier connection of ours; the answer is what to write. User bytes wait for the reply.
    pub(crate) fn kill(&mut self, id: u64, address: Option<&str>, out: &mut Vec<u8>) {
        let id = id.to_string();
        let mut words: Vec<&[u8]> = vec![b"CLIENT", b"KILL", b"ID", id.as_bytes()];
        if let Some(address) = address {
            words.extend([b"ADDR".as_slice(), address.as_bytes()]);
        }
        self.push(Expected::Kill, &words, out);
    }

    /// User bytes wait for nothing but what has been written.
    pub(crate) fn lift_fence(&mut self) {
        self.fenced = self.expected.contains(&Expected::Kill);
    }

    /// The last that user bytes wait for; whether it is the right one is the caller's to judge.
    fn on_node_id(&mut self, id: &str) -> Progress {
        self.verified = true;
        Progress::NodeId(id.to_owned())
    }

    fn on_hello(&mut self, reply: ReplyRef<'_>) -> Progress {
        let mut protocol = None;
        let mut mode = None;
        for (key, value) in reply.pairs() {
            match key.as_bytes() {
                Some(b"proto") => protocol = value.as_i64(),
                Some(b"id") => self.name.id = value.as_i64().and_then(|id| id.try_into().ok()),
                Some(b"mode") => mode = value.as_str(),
                _ => {}
            }
        }
        if protocol != Some(3) {
            return Progress::Refused(ErrorKind::Desync {
                what: "the reply to HELLO 3 does not confirm protocol 3".to_owned(),
            });
        }
        // The caller fills in the address.
        if mode.is_some_and(|mode| mode != "cluster") {
            return Progress::Refused(ErrorKind::NotCluster { address: String::new() });
        }
        Progress::Waiting
    }

    /// `id=23 addr=10.1.2.3:4711 laddr=… …` (<https://redis.io/docs/latest/commands/client-info/>)
    fn on_info(&mut self, text: &str) {
        for field in text.split_ascii_whitespace() {
            match field.split_once('=') {
                Some(("id", id)) => self.name.id = id.parse().ok(),
                Some(("addr", address)) => self.name.address = Some(address.into()),
                _ => {}
            }
        }
    }

    fn on_error(&mut self, expected: Option<Expected>, text: &[u8], config: &Config) -> Progress {
        let error = without_credentials(text, config);
        let ServerReply::Code(code) = classify(text) else {
            return Progress::Refused(ErrorKind::Desync {
                what: format!("a redirect in the handshake: {error}"),
            });
        };
        match (expected, code) {
            (Some(Expected::NodeId), _) if text.ends_with(b"cluster support disabled") => {
                Progress::Refused(ErrorKind::NotCluster { address: String::new() })
            }
            (Some(Expected::Ignored | Expected::Info), _) => Progress::Waiting,
            // It will tell once it has read its data, or its script has ended. Until then it could be any node.
            (Some(Expected::NodeId), Code::Loading | Code::Busy) => Progress::Loading(error),
            (Some(Expected::NodeId), _) => self.on_node_id(""),
            // It is dead already: what is wanted.
            (Some(Expected::Kill), _) if text.starts_with(b"ERR No such client") => {
                self.lift_fence();
                Progress::Killed
            }
            (Some(Expected::Kill), _) => {
                self.lift_fence();
                Progress::KillRefused(error)
            }
            // A HELLO that carries credentials and is refused for want of them was not understood at all: Valkey 9 asks for authentication
            // before it looks a command up.
            (Some(Expected::Hello), Code::NoAuth) if config.password.is_some() => self.fall_back(config),
            (_, Code::NoAuth | Code::WrongPass | Code::NoPerm) => Progress::Refused(ErrorKind::Auth(error)),
            (_, Code::Loading) => Progress::Loading(error),
            (_, Code::Denied) => Progress::Full(error),
            // Sent before anything is read, then the server closes: not a reply to any command.
            _ if text.starts_with(b"ERR max number of clients") => Progress::Full(error),
            // Redis before 6.2 and proxies have texts of their own; whatever HELLO fails with, RESP2 is worth a try.
            (Some(Expected::Hello), _) => self.fall_back(config),
            // AUTH without a password set on the server, or a wrong one before Redis 6.
            (Some(Expected::Auth), _) => Progress::Refused(ErrorKind::Auth(error)),
            _ => Progress::Refused(ErrorKind::Server(error)),
        }
    }

    /// RESP2, on the same connection; what was sent behind HELLO is still to be answered.
    fn fall_back(&mut self, config: &Config) -> Progress {
        self.expected.iter_mut().for_each(|expected| *expected = Expected::Ignored);
        let mut out = Vec::new();
        self.legacy(config, &mut out);
        Progress::Send(out)
    }
}

/// What a server says of the handshake can repeat it: `ERR unknown command 'AUTH', with args beginning with: …`.
fn without_credentials(text: &[u8], config: &Config) -> ServerError {
    const QUOTES: &[u8] = b", with args beginning with";
    let quotes = text.windows(QUOTES.len()).position(|window| window == QUOTES);
    let text = quotes.and_then(|at| text.get(..at)).unwrap_or(text);
    let secret = config.password.as_ref().map_or("", |password| password.expose());
    if !secret.is_empty() && text.windows(secret.len()).any(|window| window == secret.as_bytes()) {
        let code =
            text.split(|&byte| byte == b' ').next().filter(|code| code.iter().all(u8::is_ascii_uppercase));
        let code = String::from_utf8_lossy(code.unwrap_or(b"ERR"));
        return ServerError::from_bytes(format!("{code} (the text repeats the credentials)").as_bytes());
    }
    ServerError::from_bytes(text)
}

fn is_node_id(text: &str) -> bool {
    text.len() == NODE_ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}
