//! A blocking RESP client, small enough to be right by reading it.
//!
//! It knows RESP2 and RESP3 as servers send them, and trusts the server: no limits, recursion for nesting. After an
//! I/O error the stream is at an unknown place, and the connection must be dropped.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One reply. Attributes are read and left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Status(String),
    /// A simple or a blob error, without the `-`.
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    /// Any of `$-1`, `*-1` and `_`.
    Null,
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Double(f64),
    Boolean(bool),
    BigNumber(String),
    /// The payload, without the format.
    Verbatim(String),
    Push(Vec<Value>),
}

impl Value {
    /// The first frame in `wire`, and what follows it.
    pub(crate) fn parse(mut wire: &[u8]) -> io::Result<(Value, &[u8])> {
        Ok((read_value(&mut wire)?, wire))
    }

    /// The bytes of a bulk string or of anything that is text.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bulk(bytes) => Some(bytes),
            Value::Status(text) | Value::BigNumber(text) | Value::Verbatim(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// Like `bytes`, where they are UTF-8.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// An integer, or text that is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The error's text.
    pub(crate) fn error(&self) -> Option<&str> {
        if let Value::Error(text) = self { Some(text) } else { None }
    }

    /// The elements of an array, a set or a push; empty for everything else.
    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            _ => &[],
        }
    }

    /// The value itself, unless it is an error: then the test ends here, and says what was asked.
    #[track_caller]
    pub(crate) fn expect(self, asked: &dyn fmt::Debug) -> Value {
        if let Value::Error(text) = &self {
            panic!("{asked:?} was answered with the error {text:?}");
        }
        self
    }
}

/// One connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// Push frames that came while a reply was waited for.
    pub(crate) pushes: VecDeque<Value>,
}

impl Connection {
    /// Connects; no read or write will take longer than `timeout`.
    pub(crate) fn open(address: SocketAddr, timeout: Duration) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        let connection = Connection { stream: BufReader::new(stream), pushes: VecDeque::new() };
        connection.set_timeout(timeout)?;
        Ok(connection)
    }

    /// No read or write will take longer than this from now on.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(timeout))?;
        self.stream.get_ref().set_write_timeout(Some(timeout))
    }

    /// Sends a command and reads its reply. Push frames before the reply go to `pushes`.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        self.send(args)?;
        loop {
            match self.read()? {
                push @ Value::Push(_) => self.pushes.push_back(push),
                reply => return Ok(reply),
            }
        }
    }

    /// Sends a command; its reply is for `read`.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut wire = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            let arg = arg.as_ref();
            wire.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            wire.extend_from_slice(arg);
            wire.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&wire)
    }

    /// Reads one frame: a reply or a push.
    pub(crate) fn read(&mut self) -> io::Result<Value> {
        read_value(&mut self.stream)
    }
}

fn read_value(input: &mut impl BufRead) -> io::Result<Value> {
    let line = read_line(input)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
    Ok(match kind {
        "+" => Value::Status(rest.into()),
        "-" => Value::Error(rest.into()),
        ":" => Value::Integer(number(rest)?),
        "," => Value::Double(number(rest)?),
        "#" => Value::Boolean(rest == "t"),
        "(" => Value::BigNumber(rest.into()),
        "_" => Value::Null,
        "$" | "*" if rest == "-1" => Value::Null,
        "$" => Value::Bulk(read_payload(input, rest)?),
        "!" => Value::Error(read_text(input, rest)?),
        "=" => Value::Verbatim(read_text(input, rest)?.split_off(4)),
        "*" => Value::Array(read_values(input, number(rest)?)?),
        "~" => Value::Set(read_values(input, number(rest)?)?),
        ">" => Value::Push(read_values(input, number(rest)?)?),
        "%" => Value::Map(read_pairs(input, number(rest)?)?),
        "|" => {
            read_pairs(input, number(rest)?)?;
            read_value(input)?
        }
        _ => return Err(malformed(&line)),
    })
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8_lossy(&line);
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| malformed(&line))
}

fn read_payload(input: &mut impl BufRead, length: &str) -> io::Result<Vec<u8>> {
    let mut payload = vec![0; number::<usize>(length)? + 2];
    input.read_exact(&mut payload)?;
    payload.truncate(payload.len() - 2);
    Ok(payload)
}

fn read_text(input: &mut impl BufRead, length: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_payload(input, length)?).into_owned())
}

fn read_values(input: &mut impl BufRead, count: usize) -> io::Result<Vec<Value>> {
    (0..count).map(|_| read_value(input)).collect()
}

fn read_pairs(input: &mut impl BufRead, count: usize) -> io::Result<Vec<(Value, Value)>> {
    (0..count).map(|_| Ok((read_value(input)?, read_value(input)?))).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {line:?}"))
}
