use super::*;

fn read<T: FromReply>(frame: &str) -> Result<T, Error> {
    T::from_reply(ReplyRef::new(frame.as_bytes()))
}

#[test]
fn scalars_are_read_from_both_protocols() {
    read::<()>("+OK\r\n").unwrap();
    assert!(read::<bool>(":1\r\n").unwrap());
    assert!(!read::<bool>("#f\r\n").unwrap());
    assert!(read::<bool>("+OK\r\n").unwrap());
    assert!(!read::<bool>("$-1\r\n").unwrap());
    assert!(!read::<bool>("_\r\n").unwrap());
    assert_eq!(read::<i64>(":-5\r\n").unwrap(), -5);
    assert_eq!(read::<i64>("$2\r\n-5\r\n").unwrap(), -5);
    assert_eq!(read::<u64>("$20\r\n18446744073709551615\r\n").unwrap(), u64::MAX);
    assert_eq!(read::<u64>("(18446744073709551615\r\n").unwrap(), u64::MAX);
    assert_eq!(read::<f64>(",1.5\r\n").unwrap(), 1.5);
    assert_eq!(read::<f64>("$3\r\n1.5\r\n").unwrap(), 1.5);
    assert_eq!(read::<f64>(":2\r\n").unwrap(), 2.0);
    assert_eq!(read::<String>("=8\r\ntxt:abcd\r\n").unwrap(), "abcd");
    assert_eq!(read::<String>(",1.5\r\n").unwrap(), "1.5");
    assert_eq!(read::<Vec<u8>>("$1\r\n\0\r\n").unwrap(), b"\0");
    assert_eq!(read::<Option<String>>("$-1\r\n").unwrap(), None);
    assert_eq!(read::<Option<Vec<String>>>("*-1\r\n").unwrap(), None);
    assert_eq!(read::<Option<i64>>("_\r\n").unwrap(), None);
}

#[test]
fn pairs_are_read_from_map_flat_and_nested() {
    let expected = vec![("a".to_owned(), 1.0), ("b".to_owned(), 2.0)];
    for frame in [
        "%2\r\n+a\r\n,1\r\n+b\r\n,2\r\n",
        "*4\r\n+a\r\n$1\r\n1\r\n+b\r\n$1\r\n2\r\n",
        "*2\r\n*2\r\n+a\r\n,1\r\n*2\r\n+b\r\n,2\r\n",
    ] {
        assert_eq!(read::<Vec<(String, f64)>>(frame).unwrap(), expected);
        assert_eq!(pairs_vec::<String, f64>(ReplyRef::new(frame.as_bytes())).unwrap(), expected);
        let map: HashMap<String, f64> = read(frame).unwrap();
        assert_eq!(map.len(), 2);
        let map: BTreeMap<String, f64> = read(frame).unwrap();
        assert_eq!(map.into_iter().collect::<Vec<_>>(), expected);
    }
    for empty in ["*0\r\n", "%0\r\n"] {
        assert_eq!(read::<Vec<(String, f64)>>(empty).unwrap(), []);
    }
}

#[test]
fn lists_are_read_from_arrays_sets_and_maps() {
    assert_eq!(read::<Vec<i64>>("*2\r\n:1\r\n$1\r\n2\r\n").unwrap(), [1, 2]);
    assert_eq!(read::<Vec<String>>("~1\r\n+a\r\n").unwrap(), ["a"]);
    assert_eq!(read::<Vec<String>>("%1\r\n+a\r\n+b\r\n").unwrap(), ["a", "b"]);
    assert_eq!(read::<Vec<Option<i64>>>("*2\r\n$-1\r\n:1\r\n").unwrap(), [None, Some(1)]);
    assert_eq!(read::<Vec<Vec<u8>>>("*1\r\n$1\r\n\n\r\n").unwrap(), [b"\n"]);
    assert_eq!(read::<(String, Vec<i64>)>("*2\r\n+0\r\n*1\r\n:7\r\n").unwrap(), ("0".to_owned(), vec![7]));
    assert_eq!(read::<(i64, i64, String)>("*3\r\n:1\r\n:2\r\n+c\r\n").unwrap(), (1, 2, "c".to_owned()));
    let nested: BTreeMap<String, Vec<(String, i64)>> = read("*2\r\n+k\r\n*2\r\n+f\r\n:1\r\n").unwrap();
    assert_eq!(nested["k"], [("f".to_owned(), 1)]);
    assert_eq!(read::<Vec<i64>>("|1\r\n+a\r\n+b\r\n*1\r\n:1\r\n").unwrap(), [1]);
}

#[test]
fn bytes_share_the_frame() {
    let frame = Bytes::from_static(b"*1\r\n$5\r\nhello\r\n");
    let list = Vec::<Bytes>::from_reply(ReplyRef::with_backing(&frame)).unwrap();
    assert_eq!(list, [&b"hello"[..]]);
    assert_eq!(list[0].as_ptr(), frame[8..].as_ptr());
}

#[test]
fn errors_of_the_server_stay_errors_of_the_server() {
    for error in [
        read::<Vec<i64>>("-WRONGTYPE not a list\r\n").unwrap_err(),
        read::<Option<i64>>("!21\r\nWRONGTYPE not a list\n\r\n").unwrap_err(),
        read::<Vec<i64>>("*2\r\n:1\r\n-WRONGTYPE not a list\r\n").unwrap_err(),
        read::<()>("-WRONGTYPE not a list\r\n").unwrap_err(),
        read::<HashMap<String, i64>>("-WRONGTYPE not a list\r\n").unwrap_err(),
        read::<(i64, i64)>("-WRONGTYPE not a list\r\n").unwrap_err(),
    ] {
        assert_eq!(error.outcome(), Outcome::Executed);
        assert_eq!(error.server().unwrap().code(), "WRONGTYPE");
    }
    let parts = read::<Vec<Result<i64, ServerError>>>("*2\r\n:1\r\n-OOM x\r\n").unwrap();
    assert_eq!(parts[0], Ok(1));
    assert_eq!(parts[1].as_ref().unwrap_err().code(), "OOM");
    assert!(read::<Result<i64, ServerError>>("+x\r\n").is_err());
}

#[test]
fn wrong_shapes_are_named_without_their_values() {
    fn refused<T: FromReply + std::fmt::Debug>(frame: &str) -> String {
        let error = read::<T>(frame).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Executed);
        assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error:?}");
        error.to_string()
    }
    assert_eq!(
        refused::<i64>("$6\r\nsecret\r\n"),
        "expected an integer of 64 bits, the server sent a string of 6 bytes"
    );
    assert_eq!(refused::<String>("_\r\n"), "expected a string in UTF-8, the server sent null");
    assert_eq!(refused::<Vec<i64>>("+OK\r\n"), "expected an array, the server sent a status");
    assert_eq!(
        refused::<(i64, i64)>("*1\r\n:1\r\n"),
        "expected an array of 2 elements, the server sent an array of 1 elements"
    );
    for refusal in [
        refused::<()>(":1\r\n"),
        refused::<()>("_\r\n"),
        refused::<bool>(":2\r\n"),
        refused::<bool>("+QUEUED\r\n"),
        refused::<i32>(":2147483648\r\n"),
        refused::<u32>(":-1\r\n"),
        refused::<usize>(":-1\r\n"),
        refused::<u64>("$20\r\n18446744073709551616\r\n"),
        refused::<u64>("$2\r\n-1\r\n"),
        refused::<i64>(",1.5\r\n"),
        refused::<i64>("$0\r\n\r\n"),
        refused::<f64>("$1\r\nx\r\n"),
        refused::<f64>("#t\r\n"),
        refused::<String>(":1\r\n"),
        refused::<Bytes>("*0\r\n"),
        refused::<Vec<u8>>("_\r\n"),
        refused::<(i64, i64)>("*3\r\n:1\r\n:2\r\n:3\r\n"),
        refused::<(i64, i64, i64)>("%1\r\n:1\r\n:2\r\n"),
        refused::<HashMap<String, i64>>("*3\r\n+a\r\n:1\r\n+b\r\n"),
        refused::<HashMap<String, i64>>("~2\r\n+a\r\n:1\r\n"),
        refused::<HashMap<String, i64>>("+OK\r\n"),
        refused::<Vec<(String, i64)>>("*2\r\n*2\r\n+a\r\n:1\r\n+b\r\n"),
        refused::<Vec<(String, i64)>>("*1\r\n+a\r\n"),
    ] {
        assert!(refusal.starts_with("expected "), "{refusal}");
    }
    let text = std::str::from_utf8(b"$1\r\nx\r\n").unwrap();
    assert_eq!(read::<String>(text).unwrap(), "x");
    assert!(String::from_reply(ReplyRef::new(b"$1\r\n\xff\r\n")).is_err());
}
