//! RESP vectors: what is accepted and what it means, what is refused and why, each whole, split at every
//! position, byte by byte and with another reply behind it.

#[path = "support/resp.rs"]
#[allow(dead_code, reason = "shared by several test files; each uses its part")]
mod support;

use panpipe::config::FrameLimits;
use panpipe::error::ProtocolError;
use panpipe::resp::{Frame, FrameKind, ReplyRef, Scan, Scanner};
use support::{Verdict, assert_verdict, describe, read_stream};

fn bytes(text: impl AsRef<[u8]>) -> Vec<u8> {
    text.as_ref().to_vec()
}

/// Each frame is a whole reply and reads as the text.
fn accepts<B: AsRef<[u8]>, T: AsRef<str>>(vectors: impl IntoIterator<Item = (B, T)>) {
    for (vector, text) in vectors {
        accepts_with(vector.as_ref(), text.as_ref(), FrameLimits::default());
    }
}

fn accepts_with(vector: &[u8], text: &str, limits: FrameLimits) {
    let frame = match Scanner::new(limits).scan(vector) {
        Ok(Scan::Complete(frame)) => frame,
        other => panic!("{}: {other:?}", vector.escape_ascii()),
    };
    assert_eq!(frame.len, vector.len());
    assert_verdict(vector, &Verdict::Complete(frame), limits);
    assert_eq!(describe(ReplyRef::new(vector)), text);
    let shared = bytes::Bytes::copy_from_slice(vector);
    assert_eq!(describe(ReplyRef::with_backing(&shared)), text);
}

/// Each frame breaks the rule.
fn refuses<B: AsRef<[u8]>>(what: &'static str, vectors: impl IntoIterator<Item = B>) {
    for vector in vectors {
        assert_verdict(vector.as_ref(), &Verdict::Malformed(what), FrameLimits::default());
    }
}

/// Each frame exceeds the limit.
fn exceeds<B: AsRef<[u8]>>(
    limits: FrameLimits,
    what: &'static str,
    limit: u64,
    vectors: impl IntoIterator<Item = B>,
) {
    for vector in vectors {
        assert_verdict(vector.as_ref(), &Verdict::Limit(what, limit), limits);
    }
}

const STRING_LENGTH: &str = "not the length of a string";
const AGGREGATE_LENGTH: &str = "not the length of an aggregate";
const TERMINATOR: &str = "string not ended by carriage return and line feed";
const TYPE_BYTE: &str = "not a RESP type byte";
const STREAMED: &str = "streamed strings and aggregates are not supported";
const LINE_FEED: &str = "carriage return without line feed";
const FORMAT: &str = "verbatim string without a format";

#[test]
fn simple_types() {
    accepts([
        ("+OK\r\n", "+OK"),
        ("+\r\n", "+"),
        ("-ERR x\r\n", "-ERR x"),
        ("-\r\n", "-"),
        (":0\r\n", ":0"),
        (":-0\r\n", ":0"),
        (":+1\r\n", ":1"),
        (":007\r\n", ":7"),
        (":9223372036854775807\r\n", ":9223372036854775807"),
        (":-9223372036854775808\r\n", ":-9223372036854775808"),
        (":0000000000000000000000000000001\r\n", ":1"),
    ]);
    refuses(
        "not an integer of 64 bits",
        [
            ":9223372036854775808\r\n",
            ":-9223372036854775809\r\n",
            ":\r\n",
            ":+\r\n",
            ":-\r\n",
            ":+-1\r\n",
            ": 1\r\n",
            ":1 \r\n",
            ":1a\r\n",
            ":1.0\r\n",
            ":0x1\r\n",
            ":1\n\r\n",
        ],
    );
}

#[test]
fn bulk_strings() {
    accepts([
        ("$0\r\n\r\n", "\"\""),
        ("$3\r\nfoo\r\n", "\"foo\""),
        ("$2\r\n\r\n\r\n", "\"\\r\\n\""),
        ("$9\r\na\r\n+OK\r\nb\r\n", "\"a\\r\\n+OK\\r\\nb\""),
        ("$-1\r\n", "null"),
    ]);
    let long = "x".repeat(1234);
    accepts([(format!("$1234\r\n{long}\r\n"), format!("\"{long}\""))]);
    refuses(TERMINATOR, ["$3\r\nfooXX", "$3\r\nfoo\rX", "$3\r\nfoo\nX", "$0\r\nXX", "$3\r\nfoobar\r\n"]);
    refuses(
        STRING_LENGTH,
        [
            "$-2\r\n",
            "$-0\r\n",
            "$+3\r\n",
            "$ 3\r\n",
            "$03\r\n",
            "$00\r\n",
            "$3 \r\n",
            "$\r\n",
            "$-\r\n",
            "$a\r\n",
            "$1a\r\n",
            "$-01\r\n",
            "$3\nfoo\r\n",
        ],
    );
    let limits = FrameLimits::default();
    exceeds(
        limits,
        "a string",
        512 << 20,
        [
            "$536870913\r\n",
            "$99999999999\r\n",
            "$9223372036854775807\r\n",
            "$18446744073709551615\r\n",
            "$18446744073709551616\r\n",
            "$99999999999999999999999999\r\n",
            "!536870913\r\n",
            "=536870913\r\n",
        ],
    );
    assert_verdict(b"$536870912\r\n", &Verdict::Incomplete, limits);
}

#[test]
fn arrays() {
    accepts([
        ("*0\r\n", "[]"),
        ("*-1\r\n", "null"),
        ("*3\r\n:1\r\n$-1\r\n*-1\r\n", "[:1 null null]"),
        ("*2\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n", "[[+a []] \"b\"]"),
        ("*1\r\n*1\r\n*1\r\n_\r\n", "[[[null]]]"),
        ("*2\r\n-ERR x\r\n!3\r\nERR\r\n", "[-ERR x !ERR]"),
    ]);
    refuses(
        AGGREGATE_LENGTH,
        ["*-2\r\n", "*-0\r\n", "*+1\r\n", "*01\r\n", "* 1\r\n", "*\r\n", "*1a\r\n", "*1\n\r\n"],
    );
    exceeds(
        FrameLimits::default(),
        "the elements of an aggregate",
        16 << 20,
        [
            "*16777217\r\n",
            "*2147483648\r\n",
            "*4294967296\r\n",
            "*9223372036854775807\r\n",
            "*18446744073709551616\r\n",
        ],
    );
    assert_verdict(b"*16777216\r\n:1\r\n", &Verdict::Incomplete, FrameLimits::default());
}

#[test]
fn scalars_of_resp3() {
    accepts([
        ("_\r\n", "null"),
        ("#t\r\n", "#true"),
        ("#f\r\n", "#false"),
        (",1.5\r\n", ",1.5"),
        (",10\r\n", ",10.0"),
        (",-0\r\n", ",-0.0"),
        (",+1.5\r\n", ",1.5"),
        (",1e5\r\n", ",100000.0"),
        (",1E-5\r\n", ",1e-5"),
        (",1e-400\r\n", ",0.0"),
        (",inf\r\n", ",inf"),
        (",+inf\r\n", ",inf"),
        (",-inf\r\n", ",-inf"),
        (",Inf\r\n", ",inf"),
        (",INFINITY\r\n", ",inf"),
        (",nan\r\n", ",NaN"),
        (",-nan\r\n", ",NaN"),
        (",NaN\r\n", ",NaN"),
        ("(0\r\n", "(0"),
        ("(-1\r\n", "(-1"),
        ("(+1\r\n", "(+1"),
    ]);
    let digits = "1234567890".repeat(100);
    accepts([(format!("({digits}\r\n"), format!("({digits}"))]);
    refuses("null with a text", ["_x\r\n", "_ \r\n", "_-1\r\n"]);
    refuses("boolean neither t nor f", ["#x\r\n", "#\r\n", "#T\r\n", "#tt\r\n", "#1\r\n", "#true\r\n"]);
    refuses(
        "not a double",
        [
            ",\r\n",
            ",1e400\r\n",
            ",-1e400\r\n",
            ",1.5 \r\n",
            ", 1.5\r\n",
            ",.\r\n",
            ",e5\r\n",
            ",1e\r\n",
            ",1,5\r\n",
            ",0x1p3\r\n",
            ",infin\r\n",
            ",nan(1)\r\n",
            ",--1\r\n",
            ",1.5\n\r\n",
            ",\0\r\n",
        ],
    );
    refuses(
        "not a big number",
        ["(\r\n", "(-\r\n", "(+\r\n", "(12a\r\n", "(1.5\r\n", "( 1\r\n", "(--1\r\n", "(1\n\r\n"],
    );
}

#[test]
fn verbatim_strings_and_blob_errors() {
    accepts([
        ("=15\r\ntxt:Some string\r\n", "=\"Some string\""),
        ("=4\r\ntxt:\r\n", "=\"\""),
        ("=8\r\nmkd:\r\n\r\n\r\n", "=\"\\r\\n\\r\\n\""),
        ("!21\r\nSYNTAX invalid syntax\r\n", "!SYNTAX invalid syntax"),
        ("!0\r\n\r\n", "!"),
        ("!5\r\nA\r\nB \r\n", "!A\\r\\nB "),
    ]);
    refuses(FORMAT, ["=3\r\ntxt\r\n", "=0\r\n\r\n", "=5\r\ntx:ab\r\n", "=5\r\ntxtab\r\n", "=5\r\ntxt;a\r\n"]);
    refuses(STRING_LENGTH, ["=-1\r\n", "!-1\r\n", "=04\r\ntxt:\r\n", "!+1\r\na\r\n", "=\r\n", "!\r\n"]);
    refuses(TERMINATOR, ["=4\r\ntxt:XX", "!1\r\naXX", "!1\r\na\n\r"]);
}

#[test]
fn aggregates_of_resp3() {
    accepts([
        ("%1\r\n+a\r\n:1\r\n", "{+a=:1}"),
        ("%0\r\n", "{}"),
        ("%2\r\n+a\r\n:1\r\n+a\r\n:2\r\n", "{+a=:1 +a=:2}"),
        ("~2\r\n+a\r\n+a\r\n", "~[+a +a]"),
        ("~0\r\n", "~[]"),
        ("%1\r\n*1\r\n+k\r\n~1\r\n:1\r\n", "{[+k]=~[:1]}"),
        ("%1\r\n%1\r\n+a\r\n+b\r\n%0\r\n", "{{+a=+b}={}}"),
        ("*1\r\n%1\r\n_\r\n*-1\r\n", "[{null=null}]"),
    ]);
    refuses(
        AGGREGATE_LENGTH,
        ["%-1\r\n", "~-1\r\n", ">-1\r\n", "|-1\r\n", "%01\r\n", "~+1\r\n", "|\r\n", "%1.0\r\n"],
    );
    exceeds(
        FrameLimits::default(),
        "the elements of an aggregate",
        16 << 20,
        [
            "%8388609\r\n",
            "%4611686018427387904\r\n",
            "%9223372036854775807\r\n",
            "%9223372036854775808\r\n",
            "%18446744073709551615\r\n",
            "~9223372036854775807\r\n",
            ">9223372036854775807\r\n",
            "|9223372036854775808\r\n",
        ],
    );
    assert_verdict(b"%1\r\n+a\r\n", &Verdict::Incomplete, FrameLimits::default());
}

#[test]
fn attributes_describe_what_follows_and_count_as_nothing() {
    accepts([
        ("|1\r\n+ttl\r\n:3\r\n$3\r\nfoo\r\n", "|{+ttl=:3} \"foo\""),
        ("*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n", "[:1 |{+a=+b} :2]"),
        ("*1\r\n|1\r\n+a\r\n+b\r\n*0\r\n", "[|{+a=+b} []]"),
        ("%1\r\n|1\r\n+a\r\n+b\r\n+k\r\n:1\r\n", "{|{+a=+b} +k=:1}"),
        ("%1\r\n+k\r\n|1\r\n+a\r\n+b\r\n:1\r\n", "{+k=|{+a=+b} :1}"),
        ("|1\r\n|1\r\n+x\r\n+y\r\n+a\r\n|1\r\n+p\r\n+q\r\n+b\r\n:1\r\n", "|{|{+x=+y} +a=|{+p=+q} +b} :1"),
        ("|1\r\n+a\r\n+b\r\n_\r\n", "|{+a=+b} null"),
        ("|1\r\n+a\r\n+b\r\n$-1\r\n", "|{+a=+b} null"),
        ("|0\r\n:1\r\n", "|{} :1"),
        ("|0\r\n|1\r\n+a\r\n+b\r\n:1\r\n", "|{} :1"),
        ("|1\r\n+a\r\n%1\r\n+b\r\n*1\r\n:1\r\n-ERR\r\n", "|{+a={+b=[:1]}} -ERR"),
        ("|1\r\n+a\r\n+b\r\n>1\r\n+x\r\n", "|{+a=+b} >[+x]"),
    ]);
    for incomplete in ["|1\r\n+a\r\n+b\r\n", "*1\r\n|1\r\n+a\r\n+b\r\n", "|0\r\n", "*1\r\n|0\r\n"] {
        assert_verdict(incomplete.as_bytes(), &Verdict::Incomplete, FrameLimits::default());
    }
}

#[test]
fn leading_attributes_are_measured() {
    let measured = |text: &str| match Scanner::new(FrameLimits::default()).scan(text.as_bytes()) {
        Ok(Scan::Complete(frame)) => (frame.attribute_len, frame.kind),
        other => panic!("{other:?}"),
    };
    let attribute = "|1\r\n+a\r\n+b\r\n";
    assert_eq!(measured(":1\r\n"), (0, FrameKind::Reply));
    assert_eq!(measured(&format!("{attribute}:1\r\n")), (attribute.len(), FrameKind::Reply));
    assert_eq!(measured(&format!("|0\r\n{attribute}|0\r\n:1\r\n")), (attribute.len() + 8, FrameKind::Reply));
    assert_eq!(measured(&format!("{attribute}>1\r\n+x\r\n")), (attribute.len(), FrameKind::Push));
    assert_eq!(measured(&format!("*1\r\n{attribute}:1\r\n")), (0, FrameKind::Reply));
    assert_eq!(measured(&format!("{attribute}*1\r\n{attribute}:1\r\n")), (attribute.len(), FrameKind::Reply));
}

#[test]
fn pushes_stand_between_replies() {
    let stream = ">2\r\n+invalidate\r\n_\r\n+one\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n\
                  *1\r\n:2\r\n>3\r\n+message\r\n+ch\r\n$2\r\nhi\r\n>4\r\n+pmessage\r\n+c*\r\n+ch\r\n$2\r\nhi\r\n\
                  >3\r\n+smessage\r\n+ch\r\n$2\r\nhi\r\n>3\r\n+subscribe\r\n+ch\r\n:1\r\n>3\r\n+psubscribe\r\n+c*\r\n:2\r\n\
                  >3\r\n+ssubscribe\r\n+ch\r\n:1\r\n>1\r\n+unheard-of\r\n|1\r\n+a\r\n+b\r\n>1\r\n+x\r\n$-1\r\n";
    let expected = [
        (FrameKind::Push, ">[+invalidate null]"),
        (FrameKind::Reply, "+one"),
        (FrameKind::Push, ">[\"invalidate\" [\"k\"]]"),
        (FrameKind::Reply, "[:2]"),
        (FrameKind::Push, ">[+message +ch \"hi\"]"),
        (FrameKind::Push, ">[+pmessage +c* +ch \"hi\"]"),
        (FrameKind::Push, ">[+smessage +ch \"hi\"]"),
        (FrameKind::Push, ">[+subscribe +ch :1]"),
        (FrameKind::Push, ">[+psubscribe +c* :2]"),
        (FrameKind::Push, ">[+ssubscribe +ch :1]"),
        (FrameKind::Push, ">[+unheard-of]"),
        (FrameKind::Push, "|{+a=+b} >[+x]"),
        (FrameKind::Reply, "null"),
    ]
    .map(|(kind, text)| (kind, text.to_owned()));
    for piece in 1..stream.len() + 1 {
        assert_eq!(read_stream(stream.as_bytes(), || piece), expected, "in pieces of {piece}");
    }
    refuses(
        "push inside another reply",
        [
            "*2\r\n:1\r\n>1\r\n+x\r\n",
            "%1\r\n>1\r\n+x\r\n:1\r\n",
            "|1\r\n+a\r\n>1\r\n+x\r\n",
            ">2\r\n+x\r\n>1\r\n+y\r\n",
            "*1\r\n|1\r\n+a\r\n+b\r\n>1\r\n+x\r\n",
        ],
    );
    refuses("push without a kind", [">0\r\n"]);
}

#[test]
fn streamed_types_are_refused_cleanly() {
    refuses(
        STREAMED,
        [
            "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
            "!?\r\n",
            "=?\r\n",
            "*?\r\n:1\r\n.\r\n",
            "%?\r\n.\r\n",
            "~?\r\n.\r\n",
            ">?\r\n.\r\n",
            "|?\r\n.\r\n",
            ".\r\n",
            ";4\r\nHell\r\n",
            "*1\r\n.\r\n",
        ],
    );
}

#[test]
fn both_protocols_say_null_and_subscribed() {
    accepts([
        ("*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n", "[\"subscribe\" \"ch\" :1]"),
        ("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", "[\"unsubscribe\" null :0]"),
        ("*3\r\n_\r\n$-1\r\n*-1\r\n", "[null null null]"),
    ]);
}

#[test]
fn junk_is_named_escaped_and_cut() {
    let near = |bytes: &[u8]| match Scanner::new(FrameLimits::default()).scan(bytes) {
        Err(ProtocolError::Malformed { what, near }) => (what, near),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        near(b"HTTP/1.1 400 Bad Request\r\n"),
        (TYPE_BYTE, "HTTP/1.1 400 Bad Request\\r\\n".to_owned())
    );
    assert_eq!(near(&[0xff; 100]), (TYPE_BYTE, "\\xff".repeat(32)));
    assert_eq!(near(b"\x15\x03\x03\0\x02\x02P"), (TYPE_BYTE, "\\x15\\x03\\x03\\x00\\x02\\x02P".to_owned()));
    // Within a reply the element that broke the rule is named, not the reply.
    assert_eq!(near(b"*2\r\n:1\r\n$x\r\n"), (STRING_LENGTH, "$x\\r\\n".to_owned()));
    let error = Scanner::new(FrameLimits::default()).scan(b"HTTP/1.1 400\r\n").unwrap_err();
    assert_eq!(error.to_string(), "not a RESP type byte (at \"HTTP/1.1 400\\r\\n\")");
    let error = Scanner::new(FrameLimits::default()).scan(b"$99999999999\r\n").unwrap_err();
    assert_eq!(error.to_string(), "a string exceeds the limit of 536870912");
}

#[test]
fn every_type_byte_is_known_or_refused() {
    for tag in 0..=255u8 {
        let frame = [&[tag][..], b"\r\n"].concat();
        let expected = match tag {
            b'+' | b'-' | b'_' => {
                Verdict::Complete(Frame { len: 3, attribute_len: 0, kind: FrameKind::Reply })
            }
            b':' => Verdict::Malformed("not an integer of 64 bits"),
            b'$' | b'=' | b'!' => Verdict::Malformed(STRING_LENGTH),
            b'*' | b'%' | b'~' | b'>' | b'|' => Verdict::Malformed(AGGREGATE_LENGTH),
            b'#' => Verdict::Malformed("boolean neither t nor f"),
            b',' => Verdict::Malformed("not a double"),
            b'(' => Verdict::Malformed("not a big number"),
            b'.' | b';' => Verdict::Malformed(STREAMED),
            _ => Verdict::Malformed(TYPE_BYTE),
        };
        assert_verdict(&frame, &expected, FrameLimits::default());
        if expected == Verdict::Malformed(TYPE_BYTE) {
            let nested = [b"*2\r\n:1\r\n", &frame[..]].concat();
            assert_verdict(&nested, &expected, FrameLimits::default());
        }
    }
}

#[test]
fn stray_line_ends_and_odd_bytes() {
    refuses(
        TYPE_BYTE,
        ["\n", "\r", "\r\n", "\0", "\n+OK\r\n", "+OK\r\n\n"].into_iter().filter(|v| !v.starts_with('+')),
    );
    refuses(
        LINE_FEED,
        ["+a\rb\r\n", "+a\r\r\n", "+\r\r\n", "-a\r\0", ":1\rx\r\n", "$3\rfoo\r\n", "*1\r\r\n", "_\rx"],
    );
    accepts([
        ("+a\nb\r\n", "+a\\nb"),
        ("-ERR first\nsecond\r\n", "-ERR first\\nsecond"),
        ("+a\0b\r\n", "+a\\x00b"),
        ("+\n\r\n", "+\\n"),
    ]);
    for incomplete in ["+a\n", "+a\r", "+a", "$3\r\nfoo", "$3\r\nfoo\r", "*1\r\n"] {
        assert_verdict(incomplete.as_bytes(), &Verdict::Incomplete, FrameLimits::default());
    }
}

#[test]
fn strings_hold_any_bytes_and_numbers_do_not() {
    let odd = b"\xff\xfe\xc3\x28\0\x80";
    let text = "\\xff\\xfe\\xc3(\\x00\\x80";
    let frame = |head: &str, tail: &str| [head.as_bytes(), odd, tail.as_bytes()].concat();
    accepts([
        (frame("+", "\r\n"), format!("+{text}")),
        (frame("-", "\r\n"), format!("-{text}")),
        (frame("$6\r\n", "\r\n"), format!("\"{text}\"")),
        (frame("=10\r\ntxt:", "\r\n"), format!("=\"{text}\"")),
        (frame("!6\r\n", "\r\n"), format!("!{text}")),
        (bytes(b"=5\r\n\xff\xff\xff:x\r\n"), "=\"x\"".to_owned()),
        (frame("%1\r\n+", "\r\n_\r\n"), format!("{{+{text}=null}}")),
    ]);
    assert_eq!(ReplyRef::new(&frame("+", "\r\n")).as_str(), None);
    for head in [":", "$", "*", "_", "#", ",", "(", "!", "=", "%", "~", ">", "|"] {
        match Scanner::new(FrameLimits::default()).scan(&frame(head, "\r\n")) {
            Err(ProtocolError::Malformed { .. }) => {}
            other => panic!("{head}: {other:?}"),
        }
    }
}
