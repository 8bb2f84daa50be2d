//! The first bytes of a connection.
//!
//! ```text
//!   client                                              server
//!   HELLO 3 AUTH user pass SETNAME name   ─┐
//!   CLIENT SETINFO LIB-NAME panpipe        │ one write
//!   CLIENT SETINFO LIB-VER 0.1.0           │
//!   CLUSTER MYID                          ─┘
//!                                                       %7 server redis … proto 3 … mode cluster
//!   (user bytes may leave from here on)
//!                                                       +OK   (or an error, ignored: servers before 7.2)
//!                                                       +OK
//!                                                       $40 07c37df…
//! ```
//!
//! HELLO is the first and only AUTH of the write, so a refusal has no replies pending in front of it. User bytes wait for its verified
//! reply: after a failed AUTH they would run as the default user. A server without HELLO (before 6.0, some proxies) answers with an
//! error; then AUTH and CLIENT SETNAME follow, and the connection speaks RESP2.
//! (<https://redis.io/docs/latest/commands/hello/>)

use std::collections::VecDeque;

use crate::config::{Config, Protocol};
use crate::error::{ErrorKind, ServerError};
use crate::resp::encode::{put_array_header, put_bulk};
use crate::resp::reply::ReplyRef;
use crate::resp::server_error::{Code, ServerReply, classify};

/// What the next reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Hello,
    Auth,
    SetName,
    /// Succeeds or not, nothing depends on it.
    Ignored,
    NodeId,
}

/// What a reply of the handshake leads to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More replies are needed.
    Waiting,
    /// These bytes go out next.
    Send(Vec<u8>),
    /// User commands may be written.
    Released,
    /// The node has told its id.
    NodeId(String),
    /// The connection is of no use.
    Refused(ErrorKind),
}

/// The replies a new connection still owes, in order.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    expected: VecDeque<Expected>,
    released: bool,
}

impl Handshake {
    /// Starts over; the answer is the one write.
    pub(crate) fn begin(config: &Config) -> (Self, Vec<u8>) {
        let mut handshake = Handshake::default();
        let mut out = Vec::with_capacity(256);
        match config.protocol {
            Protocol::Resp3 => {
                handshake.hello(config, &mut out);
                handshake.introduce(&mut out);
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

    fn introduce(&mut self, out: &mut Vec<u8>) {
        self.push(Expected::Ignored, &[b"CLIENT", b"SETINFO", b"LIB-NAME", b"panpipe"], out);
        self.push(
            Expected::Ignored,
            &[b"CLIENT", b"SETINFO", b"LIB-VER", env!("CARGO_PKG_VERSION").as_bytes()],
            out,
        );
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
        // An empty name is the default: there is always one reply to wait for before user bytes are released.
        let name = config.client_name.as_deref().unwrap_or("");
        self.push(Expected::SetName, &[b"CLIENT", b"SETNAME", name.as_bytes()], out);
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
            Some(Expected::SetName) if reply.as_bytes() == Some(b"OK") => {
                self.push(Expected::NodeId, &[b"CLUSTER", b"MYID"], &mut out);
                self.released = true;
                Progress::Send(out)
            }
            Some(Expected::NodeId) => Progress::NodeId(reply.as_str().unwrap_or("").to_owned()),
            Some(Expected::Ignored) => Progress::Waiting,
            Some(Expected::Auth | Expected::SetName) | None => Progress::Refused(ErrorKind::Desync {
                what: "a handshake reply that fits no handshake command".to_owned(),
            }),
        }
    }

    /// Whether user bytes may leave.
    pub(crate) fn is_released(&self) -> bool {
        self.released
    }

    fn on_hello(&mut self, reply: ReplyRef<'_>) -> Progress {
        let mut protocol = None;
        let mut mode = None;
        for (key, value) in reply.pairs() {
            match key.as_bytes() {
                Some(b"proto") => protocol = value.as_i64(),
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
        self.released = true;
        Progress::Released
    }

    fn on_error(&mut self, expected: Option<Expected>, text: &[u8], config: &Config) -> Progress {
        let error = ServerError::from_bytes(text);
        let ServerReply::Code(code) = classify(text) else {
            return Progress::Refused(ErrorKind::Desync {
                what: format!("a redirect in the handshake: {error}"),
            });
        };
        match (expected, code) {
            (Some(Expected::NodeId), _) if text.ends_with(b"cluster support disabled") => {
                Progress::Refused(ErrorKind::NotCluster { address: String::new() })
            }
            (Some(Expected::Ignored | Expected::NodeId), _) => Progress::Waiting,
            // A HELLO that carries credentials and is refused for want of them was not understood at all: Valkey 9 asks for authentication
            // before it looks a command up.
            (Some(Expected::Hello), Code::NoAuth) if config.password.is_some() => self.fall_back(config),
            (_, Code::NoAuth | Code::WrongPass | Code::NoPerm) => Progress::Refused(ErrorKind::Auth(error)),
            (_, Code::Loading | Code::Denied) => Progress::Refused(refusal(&error)),
            // Sent before anything is read, then the server closes: not a reply to any command.
            _ if text.starts_with(b"ERR max number of clients") => Progress::Refused(refusal(&error)),
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

fn refusal(error: &ServerError) -> ErrorKind {
    ErrorKind::Connect { address: String::new(), reason: format!("the server answered: {error}") }
}
