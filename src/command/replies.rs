//! Replies that have a type of their own, where a number or a word would have to be explained.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Outcome};
use crate::resp::from_reply::FromReply;
use crate::resp::reply::ReplyRef;

/// How long a key has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    NoKey,
    /// It does not expire.
    NoExpiry,
    /// It expires after this time, to the millisecond.
    Left(Duration),
}

/// PTTL's reply: milliseconds, -1 without an expiry, -2 without a key.
impl FromReply for Ttl {
    const EXPECTED: &'static str = "a time to live in milliseconds";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        match i64::from_reply(reply)? {
            -2 => Ok(Ttl::NoKey),
            -1 => Ok(Ttl::NoExpiry),
            ms => match u64::try_from(ms) {
                Ok(ms) => Ok(Ttl::Left(Duration::from_millis(ms))),
                Err(_) => {
                    let kind = ErrorKind::Decode { expected: Self::EXPECTED, found: ms.to_string() };
                    Err(Error::new(kind, Outcome::Executed))
                }
            },
        }
    }
}

/// What kind of value a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyType {
    /// There is no such key.
    NoKey,
    /// Bytes, a number, a bitmap or a HyperLogLog.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A type of a module or of a newer server, by its name.
    Other(String),
}

/// TYPE's reply: a word.
impl FromReply for KeyType {
    const EXPECTED: &'static str = "the name of a type";

    fn from_reply(reply: ReplyRef<'_>) -> Result<Self, Error> {
        let name = String::from_reply(reply)?;
        Ok(match name.as_str() {
            "none" => KeyType::NoKey,
            "string" => KeyType::String,
            "list" => KeyType::List,
            "set" => KeyType::Set,
            "zset" => KeyType::SortedSet,
            "hash" => KeyType::Hash,
            "stream" => KeyType::Stream,
            _ => KeyType::Other(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<R: FromReply>(frame: &str) -> Result<R, Error> {
        R::from_reply(ReplyRef::new(frame.as_bytes()))
    }

    #[test]
    fn time_to_live_names_what_the_numbers_mean() {
        assert_eq!(read(":-2\r\n"), Ok(Ttl::NoKey));
        assert_eq!(read(":-1\r\n"), Ok(Ttl::NoExpiry));
        assert_eq!(read(":1500\r\n"), Ok(Ttl::Left(Duration::from_millis(1500))));
        assert_eq!(read(":0\r\n"), Ok(Ttl::Left(Duration::ZERO)));
        assert!(matches!(read::<Ttl>(":-3\r\n").unwrap_err().kind(), ErrorKind::Decode { .. }));
        assert!(matches!(read::<Ttl>("$-1\r\n").unwrap_err().kind(), ErrorKind::Decode { .. }));
        assert!(matches!(read::<Ttl>("-ERR no\r\n").unwrap_err().kind(), ErrorKind::Server(_)));
    }

    #[test]
    fn types_are_known_by_name() {
        assert_eq!(read("+none\r\n"), Ok(KeyType::NoKey));
        assert_eq!(read("+zset\r\n"), Ok(KeyType::SortedSet));
        assert_eq!(read("+ReJSON-RL\r\n"), Ok(KeyType::Other("ReJSON-RL".to_owned())));
        assert!(matches!(read::<KeyType>(":1\r\n").unwrap_err().kind(), ErrorKind::Decode { .. }));
    }
}
