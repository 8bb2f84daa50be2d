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
