use super::*;

fn view(frame: &str) -> ReplyRef<'_> {
    ReplyRef::new(frame.as_bytes())
}

#[test]
fn attributes_are_skipped_and_found() {
    let reply = view("|1\r\n+ttl\r\n:3\r\n$3\r\nfoo\r\n");
    assert_eq!(reply.kind(), ReplyKind::Bulk);
    assert_eq!(reply.as_bytes(), Some(&b"foo"[..]));
    let attribute = reply.attribute().unwrap();
    assert_eq!(attribute.kind(), ReplyKind::Map);
    let pairs: Vec<_> = attribute.pairs().map(|(key, value)| (key.as_str(), value.as_i64())).collect();
    assert_eq!(pairs, [(Some("ttl"), Some(3))]);
    assert!(attribute.attribute().is_none());
    let reply = view("*2\r\n|1\r\n+a\r\n*1\r\n+b\r\n:1\r\n:2\r\n");
    assert_eq!(reply.elements().map(|element| element.as_i64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert!(reply.elements().next().unwrap().attribute().is_some());
}

#[test]
fn backed_bytes_share_the_frame() {
    let frame = Bytes::from_static(b"*2\r\n$3\r\nfoo\r\n$0\r\n\r\n");
    let reply = ReplyRef::with_backing(&frame);
    let parts: Vec<Bytes> = reply.elements().map(|element| element.to_bytes().unwrap()).collect();
    assert_eq!(parts, [&b"foo"[..], b""]);
    assert_eq!(parts[0].as_ptr(), frame[8..].as_ptr());
}

#[test]
fn debug_is_bounded() {
    let long = format!("*3\r\n$200\r\n{}\r\n%1\r\n+a\r\n$2\r\n\0\x7f\r\n_\r\n", "x".repeat(200));
    let text = format!("{:?}", view(&long));
    assert_eq!(text, format!("[\"{}… (200 bytes)\", {{+\"a\": \"\\x00\\x7f\"}}, null]", "x".repeat(64)));
    let wide = format!("*1000\r\n{}", ":1\r\n".repeat(1000));
    assert_eq!(format!("{:?}", view(&wide)), format!("[{}…", "1, ".repeat(64)));
    let deep = format!("{}:1\r\n", "*1\r\n".repeat(63));
    assert_eq!(format!("{:?}", view(&deep)), format!("{}1{}", "[".repeat(63), "]".repeat(63)));
    assert_eq!(format!("{:?}", view("junk")), "null");
}

#[test]
fn numbers_are_read_where_they_are_meant() {
    for (frame, integer, double, boolean) in [
        (":1\r\n", Some(1), Some(1.0), Some(true)),
        (":0\r\n", Some(0), Some(0.0), Some(false)),
        (":-7\r\n", Some(-7), Some(-7.0), None),
        ("$2\r\n-7\r\n", Some(-7), Some(-7.0), None),
        ("+7\r\n", Some(7), Some(7.0), None),
        ("$3\r\n1.5\r\n", None, Some(1.5), None),
        ("$4\r\n-inf\r\n", None, Some(f64::NEG_INFINITY), None),
        ("$2\r\n 1\r\n", None, None, None),
        ("$0\r\n\r\n", None, None, None),
        (",2\r\n", None, Some(2.0), None),
        ("#t\r\n", None, None, Some(true)),
        ("#f\r\n", None, None, Some(false)),
        ("$1\r\n1\r\n", Some(1), Some(1.0), None),
        ("-7\r\n", None, None, None),
        ("_\r\n", None, None, None),
        ("*1\r\n:1\r\n", None, None, None),
        ("(7\r\n", None, None, None),
    ] {
        let reply = view(frame);
        assert_eq!(
            (reply.as_i64(), reply.as_f64(), reply.as_bool()),
            (integer, double, boolean),
            "{frame:?}"
        );
    }
}

#[test]
fn pairs_come_from_three_shapes_and_no_other() {
    let pairs = |frame| {
        view(frame).pairs().map(|(key, value)| (key.as_str().unwrap(), value.as_i64())).collect::<Vec<_>>()
    };
    let expected = [("a", Some(1)), ("a", Some(2))];
    assert_eq!(pairs("%2\r\n+a\r\n:1\r\n+a\r\n:2\r\n"), expected);
    assert_eq!(pairs("*4\r\n+a\r\n:1\r\n+a\r\n:2\r\n"), expected);
    assert_eq!(pairs("*2\r\n*2\r\n+a\r\n:1\r\n*2\r\n+a\r\n:2\r\n"), expected);
    assert_eq!(pairs("*2\r\n*2\r\n+a\r\n:1\r\n+a\r\n"), expected[..1], "ends at what is no pair");
    // A map whose keys are arrays of two is a map all the same.
    let map = "%1\r\n*2\r\n+a\r\n+b\r\n:1\r\n";
    assert_eq!(view(map).pairs().next().unwrap().0.len(), 2);
    for none in [
        "*0\r\n",
        "%0\r\n",
        "*1\r\n+a\r\n",
        "*3\r\n+a\r\n+b\r\n+c\r\n",
        "~2\r\n+a\r\n+b\r\n",
        "+OK\r\n",
        "_\r\n",
    ] {
        assert_eq!(pairs(none), [], "{none:?}");
    }
}

#[test]
fn bytes_that_no_scanner_accepted_answer_nothing() {
    for junk in [
        "",
        "junk",
        "\r\n",
        "$",
        "$5\r\nab",
        "$5",
        "=5\r\nab",
        "=2\r\nab\r\n",
        "*",
        "*5",
        ":",
        ":x\r\n",
        "+OK",
        "|",
        "|1\r\n",
        "$99999999999999999999\r\n",
        "%99999999999999999999\r\n",
        "-",
        "!9\r\n",
    ] {
        let reply = view(junk);
        assert_eq!(reply.as_bytes(), None, "{junk:?}");
        assert_eq!(reply.as_i64(), None, "{junk:?}");
        assert_eq!(reply.as_f64(), None, "{junk:?}");
        assert_eq!(reply.as_bool(), None, "{junk:?}");
        assert_eq!(reply.error(), None, "{junk:?}");
        assert!(reply.attribute().is_none(), "{junk:?}");
        assert_eq!(reply.elements().count(), 0, "{junk:?}");
        assert_eq!(reply.pairs().count(), 0, "{junk:?}");
    }
    assert_eq!(view("*9\r\n:1\r\n:2").elements().count(), 1);
    // A count that the bytes cannot hold is no size to reserve.
    assert_eq!(view("*2147483647\r\n:1\r\n").len(), 1);
    assert_eq!(view("%9223372036854775807\r\n").elements().len(), 0);
}
