//! Host, port and id as a node announces them.
//!
//! Knows the special spellings: nothing at all is the host of the connection that was asked, `?` is a host that
//! the node cannot tell, port 0 is the asked port. Refuses to resolve names.

use crate::config::{Endpoint, is_host};
use crate::resp::ReplyRef;

/// Bytes of a node id that are believed; servers use 40 hexadecimal digits.
const ID_BYTES_MAX: usize = 64;

/// A host as a reply names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// NULL (`cluster-preferred-endpoint-type unknown-endpoint`) or empty (the node does not know its own
    /// IP yet): the host that the question went to.
    Asked,
    /// `?` (host names are preferred and the node has none), or bytes that are no host.
    Unknown,
    /// A name or an IP literal.
    Named(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host.
    pub(super) fn read(text: &'a [u8]) -> Host<'a> {
        match str::from_utf8(text) {
            Ok("") => Host::Asked,
            Ok(name) if is_host(name) => Host::Named(name),
            _ => Host::Unknown,
        }
    }

    /// Reads a host that is an element of a reply.
    pub(super) fn of(reply: ReplyRef<'a>) -> Host<'a> {
        match reply.as_bytes() {
            Some(text) => Host::read(text),
            None if reply.is_null() => Host::Asked,
            None => Host::Unknown,
        }
    }

    /// Where that host is to be reached.
    pub(super) fn endpoint(self, port: u16, asked: &Endpoint) -> Option<Endpoint> {
        match self {
            Host::Asked => Some(Endpoint::new(asked.host.as_str(), port)),
            Host::Unknown => None,
            Host::Named(name) => Some(Endpoint::new(name, port)),
        }
    }

    /// The host as one more address of a node: only a name is one.
    pub(super) fn alias(self, port: u16) -> Option<Endpoint> {
        match self {
            Host::Named(name) => Some(Endpoint::new(name, port)),
            Host::Asked | Host::Unknown => None,
        }
    }
}

/// A port as a reply gives it: 0 is the asked one (a node that serves only the other of TLS and plain TCP
/// announces it), anything else but 1 to 65535 is none.
pub(super) fn port(number: i64, asked: &Endpoint) -> Option<u16> {
    match u16::try_from(number) {
        Ok(0) => Some(asked.port),
        Ok(port) => Some(port),
        Err(_) => None,
    }
}

/// A node id; empty where the bytes are none.
pub(super) fn node_id(text: Option<&[u8]>) -> String {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    match text.map(str::from_utf8) {
        Some(Ok(id)) if id.len() <= ID_BYTES_MAX && id.as_bytes().iter().all(good) => id.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_the_asked_host() {
        for null in [&b"_\r\n"[..], b"$-1\r\n", b"*-1\r\n", b"$0\r\n\r\n"] {
            assert_eq!(Host::of(ReplyRef::new(null)), Host::Asked);
        }
        let asked = Endpoint::new("seed.example", 1);
        assert_eq!(Host::Asked.endpoint(7, &asked), Some(Endpoint::new("seed.example", 7)));
    }

    #[test]
    fn a_question_mark_and_bytes_that_are_no_host_are_unusable() {
        for text in [&b"?"[..], b"a b", b"\xff", b"h\r\nFLUSHALL", &[b'a'; 254]] {
            assert_eq!(Host::read(text), Host::Unknown);
        }
        assert_eq!(Host::of(ReplyRef::new(b":1\r\n")), Host::Unknown);
        assert_eq!(Host::Unknown.endpoint(7, &Endpoint::new("h", 1)), None);
    }

    #[test]
    fn names_and_literals_are_taken_as_they_are() {
        for name in ["10.0.0.1", "::1", "a.example"] {
            let host = Host::read(name.as_bytes());
            assert_eq!(host.endpoint(7, &Endpoint::new("h", 1)), Some(Endpoint::new(name, 7)));
            assert_eq!(host.alias(7), Some(Endpoint::new(name, 7)));
        }
        assert_eq!((Host::Asked.alias(7), Host::Unknown.alias(7)), (None, None));
    }

    #[test]
    fn port_zero_is_the_asked_port_and_no_other_number_is_bent() {
        let asked = Endpoint::new("h", 7000);
        let read: Vec<_> = [0, 1, 65535, 65536, -1, i64::MIN].iter().map(|&n| port(n, &asked)).collect();
        assert_eq!(read, [Some(7000), Some(1), Some(65535), None, None, None]);
    }

    #[test]
    fn ids_are_short_words() {
        assert_eq!(node_id(Some(b"d0c407fdb8ac571ec33b46c2036c542d36df1db2")).len(), 40);
        for text in [None, Some(&b""[..]), Some(b"a b"), Some(b"\xff"), Some(&[b'a'; 65])] {
            assert_eq!(node_id(text), "");
        }
    }
}
