use super::*;

fn scan(bytes: &[u8]) -> Result<Scan, ProtocolError> {
    Scanner::new(FrameLimits::default()).scan(bytes)
}

fn complete(len: usize) -> Result<Scan, ProtocolError> {
    Ok(Scan::Complete(Frame { len, attribute_len: 0, kind: FrameKind::Reply }))
}

#[test]
fn short_cut_and_long_way_agree() {
    let bounds = Scanner::new(FrameLimits::default()).bounds;
    for frame in [
        "+OK\r\n",
        "+\r\n",
        "-ERR x\r\n",
        ":0\r\n",
        ":-12\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "$3\r\nfoo\r\n",
        "_\r\n",
    ] {
        let bytes = frame.as_bytes();
        assert_eq!(whole_scalar(bytes, &bounds, usize::MAX), Some(bytes.len()), "{frame:?}");
        let mut scanner = Scanner::new(FrameLimits::default());
        assert!(matches!(scanner.scan(&bytes[..1]), Ok(Scan::Incomplete { .. })));
        assert_eq!(scanner.scan(bytes), complete(bytes.len()), "{frame:?}");
        for cut in 0..bytes.len() {
            assert_eq!(whole_scalar(&bytes[..cut], &bounds, usize::MAX), None, "{frame:?} cut at {cut}");
        }
    }
}

#[test]
fn the_rest_of_a_bulk_is_wanted() {
    assert_eq!(scan(b"$10\r\nab"), Ok(Scan::Incomplete { bytes_wanted: 10 }));
    assert_eq!(scan(b"*1\r\n$10\r\nab"), Ok(Scan::Incomplete { bytes_wanted: 10 }));
    assert_eq!(scan(b""), Ok(Scan::Incomplete { bytes_wanted: 1 }));
}

#[test]
fn feeding_a_large_array_byte_by_byte_is_linear() {
    let elements = if cfg!(miri) { 100 } else { 100_000 };
    let mut bytes = format!("*{elements}\r\n").into_bytes();
    for i in 0..elements {
        bytes.extend_from_slice(format!("${}\r\n{}\r\n", 4 + i % 2, &"abcde"[..4 + i % 2]).as_bytes());
    }
    assert!(bytes.len() > 10 * elements);
    let mut scanner = Scanner::new(FrameLimits::default());
    for cut in 0..bytes.len() {
        assert!(matches!(scanner.scan(&bytes[..cut]), Ok(Scan::Incomplete { .. })));
    }
    let calls = bytes.len();
    assert!(scanner.progress.work <= 2 * (bytes.len() + calls), "{} units of work", scanner.progress.work);
    assert_eq!(scanner.scan(&bytes), complete(bytes.len()));
}

#[test]
fn feeding_a_long_line_byte_by_byte_is_linear() {
    for tag in ["+", "(", ",", "*1\r\n-"] {
        let bytes = format!("{tag}{}\r\n", "1".repeat(if cfg!(miri) { 200 } else { 60_000 }));
        let mut scanner = Scanner::new(FrameLimits::default());
        for cut in 0..bytes.len() {
            assert!(matches!(scanner.scan(&bytes.as_bytes()[..cut]), Ok(Scan::Incomplete { .. })));
        }
        assert!(scanner.progress.work <= 3 * bytes.len(), "{} units of work", scanner.progress.work);
    }
}

#[test]
fn reset_forgets_what_was_known_of_a_reply() {
    for start in [
        "+begun",
        "-begun\r",
        "$100\r\nabc",
        "*3\r\n:1\r\n",
        "|1\r\n+a\r\n",
        ">2\r\n+x\r\n",
        "*1\r\n+begun",
        "=9\r\n",
    ] {
        let mut scanner = Scanner::new(FrameLimits::default());
        assert!(matches!(scanner.scan(start.as_bytes()), Ok(Scan::Incomplete { .. })), "{start:?}");
        scanner.reset();
        assert!(matches!(scanner.scan(b"*1\r\n"), Ok(Scan::Incomplete { .. })), "{start:?}");
        assert_eq!(scanner.scan(b"*1\r\n:1\r\n"), complete(8), "{start:?}");
    }
}

#[test]
fn bytes_that_vanish_between_calls_do_no_harm() {
    for start in ["*3\r\n:1\r\n$9\r\nabc", "*1\r\n+begun", "$100\r\nabc", "|1\r\n+a\r\n"] {
        let mut scanner = Scanner::new(FrameLimits::default());
        assert!(matches!(scanner.scan(start.as_bytes()), Ok(Scan::Incomplete { .. })));
        for less in (0..start.len()).rev() {
            assert!(
                matches!(scanner.scan(&start.as_bytes()[..less]), Ok(Scan::Incomplete { .. })),
                "{start:?}"
            );
        }
    }
}
