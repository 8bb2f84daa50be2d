//! Any bytes as the text of an error: what is a redirect, and where it points, agrees with a second reading of the rules, word by word.

use panpipe::error::ServerError;
use panpipe::resp::server_error::{Code, Redirect, RedirectHost, ServerReply, classify};
use panpipe::resp::{ReplyKind, ReplyRef, Scan, Scanner};

/// Takes one input.
pub fn run(text: &[u8]) {
    let reply = classify(text);
    let first = text.split(|&byte| byte == b' ').next().unwrap_or_default();
    match reply {
        ServerReply::Moved(redirect) => check(b"MOVED", "MOVED", &redirect, text),
        ServerReply::Ask(redirect) => check(b"ASK", "ASK", &redirect, text),
        ServerReply::Code(code) => {
            assert_eq!(
                redirect_by_words(text),
                None,
                "a redirect that was not seen: {}",
                text.escape_ascii()
            );
            assert!(!matches!(code, Code::Moved | Code::Ask));
            assert_eq!(code == Code::Other, code_by_name(first).is_none());
            assert_eq!(reply.code(), code);
            assert!(code == Code::Other || code_by_name(first) == Some(code));
        }
    }
    let error = ServerError::from_bytes(text);
    assert!(!error.text().chars().any(char::is_control), "control characters are escaped");
    assert!(error.text().len() <= 10 * text.len().max(1));
    assert!(error.text().starts_with(error.code()) && error.to_string() == error.text());
    on_the_wire(text);
}

/// The same text within a reply says the same.
fn on_the_wire(text: &[u8]) {
    if text.contains(&b'\r') {
        return;
    }
    let line = [b"-", text, b"\r\n"].concat();
    let scan = Scanner::new(panpipe::config::FrameLimits::default()).scan(&line);
    assert!(matches!(scan, Ok(Scan::Complete(frame)) if frame.len == line.len()) || text.len() > 64 << 10);
    let reply = ReplyRef::new(&line);
    assert_eq!((reply.kind(), reply.error()), (ReplyKind::Error, Some(text)));
}

fn check(word: &[u8], name: &str, redirect: &Redirect<'_>, text: &[u8]) {
    assert_eq!(redirect_by_words(text).as_ref(), Some(redirect), "{}", text.escape_ascii());
    assert!(text.starts_with(word));
    assert!(redirect.slot < 16384 && redirect.port > 0);
    let host = match redirect.host {
        RedirectHost::Same => "",
        RedirectHost::Unknown => "?",
        RedirectHost::Named(name) => {
            assert!(!name.is_empty() && name.len() <= 253 && !name.contains(['/', '@', ' ', '\0']));
            name
        }
    };
    // Written again it reads the same.
    let again = format!("{name} {} {host}:{}", redirect.slot, redirect.port);
    match classify(again.as_bytes()) {
        ServerReply::Moved(second) | ServerReply::Ask(second) => assert_eq!(&second, redirect),
        ServerReply::Code(code) => panic!("{again} is {code:?}"),
    }
}

/// The rules a second time, slowly: the word, a blank, the slot, a blank, the host up to the last colon, the port; nothing else.
fn redirect_by_words(text: &[u8]) -> Option<Redirect<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split(' ');
    if !matches!(words.next(), Some("MOVED" | "ASK")) {
        return None;
    }
    let (slot, target) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (host, port) = target.rsplit_once(':')?;
    let host = match host {
        "" => RedirectHost::Same,
        "?" => RedirectHost::Unknown,
        _ => {
            let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
            let good = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
            if inner.is_empty() || inner.len() > 253 || !inner.chars().all(good) {
                return None;
            }
            RedirectHost::Named(inner)
        }
    };
    let slot = number(slot).filter(|&slot| slot < 16384)?;
    Some(Redirect { slot, host, port: number(port).filter(|&port| port > 0)? })
}

/// A number of 16 bits that prints as it was written.
fn number(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|number| number.to_string() == text)
}

fn code_by_name(name: &[u8]) -> Option<Code> {
    Some(match std::str::from_utf8(name).ok()? {
        "TRYAGAIN" => Code::TryAgain,
        "CLUSTERDOWN" => Code::ClusterDown,
        "LOADING" => Code::Loading,
        "MASTERDOWN" => Code::MasterDown,
        "READONLY" => Code::ReadOnly,
        "CROSSSLOT" => Code::CrossSlot,
        "NOAUTH" => Code::NoAuth,
        "WRONGPASS" => Code::WrongPass,
        "NOPERM" => Code::NoPerm,
        "NOPROTO" => Code::NoProto,
        "EXECABORT" => Code::ExecAbort,
        "OOM" => Code::Oom,
        "MISCONF" => Code::Misconf,
        "NOREPLICAS" => Code::NoReplicas,
        "BUSY" => Code::Busy,
        "NOSCRIPT" => Code::NoScript,
        "WRONGTYPE" => Code::WrongType,
        "UNBLOCKED" => Code::Unblocked,
        "DENIED" => Code::Denied,
        _ => return None,
    })
}
