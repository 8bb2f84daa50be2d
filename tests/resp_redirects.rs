//! Error lines as data: only a redirect of the exact form is one.

use panpipe::config::FrameLimits;
use panpipe::resp::server_error::{Code, Redirect, RedirectHost, ServerReply, classify};
use panpipe::resp::{ReplyRef, Scan, Scanner};

#[test]
fn redirects_are_data_unless_exact() {
    let moved = |slot, host, port| ServerReply::Moved(Redirect { slot, host, port });
    let ask = |slot, host, port| ServerReply::Ask(Redirect { slot, host, port });
    let other = ServerReply::Code(Code::Other);
    let named = RedirectHost::Named;
    let (name_253, name_254) = ("h".repeat(253), "h".repeat(254));
    let (fits, too_long) = (format!("1 {name_253}:1"), format!("1 {name_254}:1"));
    type Parts<'a> = (u16, RedirectHost<'a>, u16);
    let cases: Vec<(&[u8], Option<Parts<'_>>)> = vec![
        (b"3999 127.0.0.1:6381", Some((3999, named("127.0.0.1"), 6381))),
        (b"3999 :6381", Some((3999, RedirectHost::Same, 6381))),
        (b"3999 ?:6381", Some((3999, RedirectHost::Unknown, 6381))),
        (b"0 node-1.example_x.org:65535", Some((0, named("node-1.example_x.org"), 65535))),
        (b"16383 h:1", Some((16383, named("h"), 1))),
        (b"1 ::1:6379", Some((1, named("::1"), 6379))),
        (b"1 [::1]:6379", Some((1, named("::1"), 6379))),
        (b"1 fe80::1%eth0:6379", Some((1, named("fe80::1%eth0"), 6379))),
        (fits.as_bytes(), Some((1, named(&name_253), 1))),
        (too_long.as_bytes(), None),
        (b"16384 h:1", None),
        (b"99999 h:1", None),
        (b"65536 h:1", None),
        (b"-1 h:1", None),
        (b"+1 h:1", None),
        (b"01 h:1", None),
        (b"1x h:1", None),
        (b" h:1", None),
        (b"1 h:0", None),
        (b"1 h:65536", None),
        (b"1 h:+1", None),
        (b"1 h:01", None),
        (b"1 h:", None),
        (b"1 h", None),
        (b"1 ", None),
        (b"1", None),
        (b"", None),
        (b"1  h:1", None),
        (b"1 h:1 ", None),
        (b"1 h:1 more", None),
        (b"1 h:1 script: 0123", None),
        (b"1 h\0:1", None),
        (b"1 a/b:1", None),
        (b"1 user@h:1", None),
        (b"1 h h:1", None),
        (b"1 ??:1", None),
        (b"1 []:1", None),
        (b"1 [?]:1", None),
        (b"1 [[::1]]:1", None),
        (b"1 [::1:1", None),
        (b"1 \xc3\xa9:1", None),
        (b"1 h:1\n", None),
        (b"1\th:1", None),
    ];
    for (tail, expected) in cases {
        for (word, make) in [("MOVED", &moved as &dyn Fn(_, _, _) -> _), ("ASK", &ask)] {
            let text = [word.as_bytes(), b" ", tail].concat();
            let frame = [b"-", &text[..], b"\r\n"].concat();
            assert!(matches!(Scanner::new(FrameLimits::default()).scan(&frame), Ok(Scan::Complete(_))));
            let line = ReplyRef::new(&frame).error().unwrap();
            let expected = expected.map_or(other, |(slot, host, port)| make(slot, host, port));
            assert_eq!(classify(line), expected, "{}", text.escape_ascii());
        }
    }
}

#[test]
fn the_word_itself_must_be_exact_too() {
    for line in [
        "MOVED",
        "ASK",
        "MOVEDX 1 h:1",
        "moved 1 h:1",
        "Moved 1 h:1",
        "ask 1 h:1",
        "XMOVED 1 h:1",
        " MOVED 1 h:1",
    ] {
        assert_eq!(classify(line.as_bytes()), ServerReply::Code(Code::Other), "{line}");
    }
}

#[test]
fn codes_are_whole_upper_case_words() {
    let codes = [
        ("TRYAGAIN", Code::TryAgain),
        ("CLUSTERDOWN", Code::ClusterDown),
        ("LOADING", Code::Loading),
        ("MASTERDOWN", Code::MasterDown),
        ("READONLY", Code::ReadOnly),
        ("CROSSSLOT", Code::CrossSlot),
        ("NOAUTH", Code::NoAuth),
        ("WRONGPASS", Code::WrongPass),
        ("NOPERM", Code::NoPerm),
        ("NOPROTO", Code::NoProto),
        ("EXECABORT", Code::ExecAbort),
        ("OOM", Code::Oom),
        ("MISCONF", Code::Misconf),
        ("NOREPLICAS", Code::NoReplicas),
        ("BUSY", Code::Busy),
        ("NOSCRIPT", Code::NoScript),
        ("WRONGTYPE", Code::WrongType),
        ("UNBLOCKED", Code::Unblocked),
        ("DENIED", Code::Denied),
    ];
    for (word, code) in codes {
        let code_of = |line: String| classify(line.as_bytes()).code();
        assert_eq!(code_of(word.to_owned()), code);
        assert_eq!(code_of(format!("{word} some text")), code);
        assert_eq!(code_of(format!("{word}X some text")), Code::Other);
        assert_eq!(code_of(format!("{word}:")), Code::Other);
        assert_eq!(code_of(word.to_lowercase()), Code::Other);
    }
    for line in ["", " ", "ERR x", "BUSYGROUP x", "BUSYKEY x", "\0", "\u{e9}"] {
        assert_eq!(classify(line.as_bytes()), ServerReply::Code(Code::Other));
    }
}
