//! What an error line asks for: a redirect, patience, or nothing.
//!
//! ```text
//! MOVED 3999 127.0.0.1:6381      the slot is served there, from now on
//! ASK 3999 [::1]:6381            this one command is to be asked there
//! TRYAGAIN Multiple keys …       a code, and a text for people
//! ```
//!
//! The line comes from a peer that may be anybody: a redirect makes the client connect, and log in, to the host
//! it names. So only the exact form of the [cluster specification] counts; whatever else begins with `MOVED`
//! or `ASK` (an error that a script composed, say) is [`Code::Other`], data for the caller.
//!
//! Knows the line; refuses to know whether it may be acted upon (a redirect within an array never may).
//! Invariant: total, allocates nothing; a host is at most 253 bytes of letters, digits and `.-_:%`.
//!
//! [cluster specification]: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::slot::SLOT_COUNT;

/// The first word of an error, where the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// `MOVED`: another node serves the slot.
    Moved,
    /// `ASK`: another node is importing the slot and has the key, or would create it.
    Ask,
    /// `TRYAGAIN`: the keys are split over two nodes while their slot migrates.
    TryAgain,
    /// `CLUSTERDOWN`: the slot is unserved, or the node sees too few of the others.
    ClusterDown,
    /// `LOADING`: the node reads its data from disk.
    Loading,
    /// `MASTERDOWN`: the replica has lost its primary and may not serve old data.
    MasterDown,
    /// `READONLY`: a write reached a replica.
    ReadOnly,
    /// `CROSSSLOT`: the keys hash to different slots.
    CrossSlot,
    /// `NOAUTH`: not logged in.
    NoAuth,
    /// `WRONGPASS`: the credentials were refused.
    WrongPass,
    /// `NOPERM`: the user may not do this.
    NoPerm,
    /// `NOPROTO`: the protocol version is unknown there.
    NoProto,
    /// `EXECABORT`: the transaction was discarded.
    ExecAbort,
    /// `OOM`: the memory limit is reached.
    Oom,
    /// `MISCONF`: persistence fails and writes are refused.
    Misconf,
    /// `NOREPLICAS`: too few replicas for a write.
    NoReplicas,
    /// `BUSY`: a script runs for too long.
    Busy,
    /// `NOSCRIPT`: no script with this digest.
    NoScript,
    /// `WRONGTYPE`: the key holds another type.
    WrongType,
    /// `UNBLOCKED`: a blocked client was let go.
    Unblocked,
    /// `DENIED`: protected mode refuses the connection.
    Denied,
    /// Anything else, `ERR` included.
    Other,
}

/// Where a redirect points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Redirect<'a> {
    /// The slot it is about.
    pub slot: u16,
    /// The host.
    pub host: RedirectHost<'a>,
    /// The port; never 0.
    pub port: u16,
}

/// The host of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedirectHost<'a> {
    /// Empty: the host of the connection that answered.
    Same,
    /// `?`: the node does not know.
    Unknown,
    /// A host name or an IP literal, without brackets.
    Named(&'a str),
}

/// An error line, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerReply<'a> {
    /// The slot has another owner.
    Moved(Redirect<'a>),
    /// This command is to be asked elsewhere, after ASKING.
    Ask(Redirect<'a>),
    /// Everything else.
    Code(Code),
}

impl ServerReply<'_> {
    /// The code, of a redirect too.
    pub fn code(&self) -> Code {
        match self {
            ServerReply::Moved(_) => Code::Moved,
            ServerReply::Ask(_) => Code::Ask,
            ServerReply::Code(code) => *code,
        }
    }
}

const HOST_BYTES_MAX: usize = 253;

/// Reads the text of an error, without its `-` and line end.
///
/// ```
/// use panpipe::resp::server_error::{Code, Redirect, RedirectHost, ServerReply, classify};
///
/// let redirect = Redirect { slot: 3999, host: RedirectHost::Named("::1"), port: 6381 };
/// assert_eq!(classify(b"MOVED 3999 ::1:6381"), ServerReply::Moved(redirect));
/// assert_eq!(classify(b"MOVED house"), ServerReply::Code(Code::Other));
/// assert_eq!(classify(b"BUSYGROUP exists"), ServerReply::Code(Code::Other));
/// ```
pub fn classify(text: &[u8]) -> ServerReply<'_> {
    let (word, rest) = match text.iter().position(|&byte| byte == b' ') {
        Some(space) => (text.get(..space).unwrap_or_default(), text.get(space.saturating_add(1)..)),
        None => (text, None),
    };
    let redirect = || rest.and_then(redirect);
    let code = match word {
        b"MOVED" => return redirect().map_or(ServerReply::Code(Code::Other), ServerReply::Moved),
        b"ASK" => return redirect().map_or(ServerReply::Code(Code::Other), ServerReply::Ask),
        b"TRYAGAIN" => Code::TryAgain,
        b"CLUSTERDOWN" => Code::ClusterDown,
        b"LOADING" => Code::Loading,
        b"MASTERDOWN" => Code::MasterDown,
        b"READONLY" => Code::ReadOnly,
        b"CROSSSLOT" => Code::CrossSlot,
        b"NOAUTH" => Code::NoAuth,
        b"WRONGPASS" => Code::WrongPass,
        b"NOPERM" => Code::NoPerm,
        b"NOPROTO" => Code::NoProto,
        b"EXECABORT" => Code::ExecAbort,
        b"OOM" => Code::Oom,
        b"MISCONF" => Code::Misconf,
        b"NOREPLICAS" => Code::NoReplicas,
        b"BUSY" => Code::Busy,
        b"NOSCRIPT" => Code::NoScript,
        b"WRONGTYPE" => Code::WrongType,
        b"UNBLOCKED" => Code::Unblocked,
        b"DENIED" => Code::Denied,
        _ => Code::Other,
    };
    ServerReply::Code(code)
}

/// `slot host:port`, and nothing else.
fn redirect(text: &[u8]) -> Option<Redirect<'_>> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let slot = decimal(text.get(..space)?).filter(|&slot| slot < SLOT_COUNT)?;
    let target = text.get(space.saturating_add(1)..)?;
    // The last colon: an IPv6 literal has more of them.
    let colon = target.iter().rposition(|&byte| byte == b':')?;
    let port = decimal(target.get(colon.saturating_add(1)..)?).filter(|&port| port > 0)?;
    let host = host(target.get(..colon)?)?;
    Some(Redirect { slot, host, port })
}

fn host(text: &[u8]) -> Option<RedirectHost<'_>> {
    let name = match text {
        b"" => return Some(RedirectHost::Same),
        b"?" => return Some(RedirectHost::Unknown),
        [b'[', literal @ .., b']'] => literal,
        name => name,
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(byte);
    if name.is_empty() || name.len() > HOST_BYTES_MAX || !name.iter().all(allowed) {
        return None;
    }
    std::str::from_utf8(name).ok().map(RedirectHost::Named)
}

/// A decimal number as servers write it: no sign, no leading zero.
fn decimal(text: &[u8]) -> Option<u16> {
    if text.is_empty() || text.len() > 5 || (text.len() > 1 && text.first() == Some(&b'0')) {
        return None;
    }
    text.iter().try_fold(0u16, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u16::from(digit)) }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn named(slot: u16, host: &str, port: u16) -> Redirect<'_> {
        Redirect { slot, host: RedirectHost::Named(host), port }
    }

    #[test]
    fn redirects_of_the_exact_form_are_read() {
        let cases: &[(&str, Redirect<'_>)] = &[
            ("3999 127.0.0.1:6381", named(3999, "127.0.0.1", 6381)),
            ("0 h:1", named(0, "h", 1)),
            ("16383 node-1.example.com:65535", named(16383, "node-1.example.com", 65535)),
            ("1 ::1:6379", named(1, "::1", 6379)),
            ("1 [::1]:6379", named(1, "::1", 6379)),
            ("1 fe80::1%eth0:6379", named(1, "fe80::1%eth0", 6379)),
            ("3999 :6381", Redirect { slot: 3999, host: RedirectHost::Same, port: 6381 }),
            ("3999 ?:6381", Redirect { slot: 3999, host: RedirectHost::Unknown, port: 6381 }),
        ];
        for (tail, redirect) in cases {
            assert_eq!(classify(format!("MOVED {tail}").as_bytes()), ServerReply::Moved(*redirect), "{tail}");
            assert_eq!(classify(format!("ASK {tail}").as_bytes()), ServerReply::Ask(*redirect), "{tail}");
        }
    }

    #[test]
    fn codes_end_at_a_space_or_the_end() {
        assert_eq!(classify(b"TRYAGAIN"), ServerReply::Code(Code::TryAgain));
        assert_eq!(classify(b"TRYAGAIN x"), ServerReply::Code(Code::TryAgain));
        assert_eq!(classify(b"BUSYKEY x"), ServerReply::Code(Code::Other));
        assert_eq!(classify(b"tryagain x"), ServerReply::Code(Code::Other));
        assert_eq!(classify(b" TRYAGAIN"), ServerReply::Code(Code::Other));
        assert_eq!(classify(b""), ServerReply::Code(Code::Other));
        assert_eq!(classify(b"MOVED 3999 127.0.0.1:6381").code(), Code::Moved);
        assert_eq!(classify(b"ASK 3999 127.0.0.1:6381").code(), Code::Ask);
    }
}
