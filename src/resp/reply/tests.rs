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
