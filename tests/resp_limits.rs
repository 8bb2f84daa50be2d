//! The bounds on one reply: each is kept to the last byte and element, however the bytes are cut.

#[path = "support/resp.rs"]
#[allow(dead_code, reason = "shared by several test files; each uses its part")]
mod support;

use panpipe::config::FrameLimits;
use panpipe::resp::{Frame, FrameKind, ReplyRef, Scan, Scanner};
use support::{Verdict, assert_verdict, describe, scan_in_pieces, scan_whole};

fn limits() -> FrameLimits {
    FrameLimits::default()
}

fn fits(frame: impl AsRef<[u8]>, limits: FrameLimits) {
    let frame = frame.as_ref();
    let attribute_len = ReplyRef::new(frame).attribute().map_or(0, |attribute| attribute.frame().len());
    let whole = Frame { len: frame.len(), attribute_len, kind: FrameKind::Reply };
    assert_verdict(frame, &Verdict::Complete(whole), limits);
}

fn exceeds(frame: impl AsRef<[u8]>, what: &'static str, limit: u64, limits: FrameLimits) {
    assert_verdict(frame.as_ref(), &Verdict::Limit(what, limit), limits);
}

fn deep(header: &str, depth: usize, inside: &str) -> String {
    format!("{}{inside}", header.repeat(depth))
}

#[test]
fn nesting_of_64_is_accepted_and_65_is_not() {
    for header in ["*1\r\n", "~1\r\n", "%1\r\n+k\r\n"] {
        for depth in [63, 64] {
            let frame = deep(header, depth, ":1\r\n");
            fits(&frame, limits());
            assert!(describe(ReplyRef::new(frame.as_bytes())).contains(":1"));
        }
        exceeds(deep(header, 65, ":1\r\n"), "nesting", 64, limits());
    }
    // What is empty is an aggregate too; null is not.
    exceeds(deep("*1\r\n", 64, "*0\r\n"), "nesting", 64, limits());
    fits(deep("*1\r\n", 64, "*-1\r\n"), limits());
    fits(deep("*1\r\n", 63, "*0\r\n"), limits());
    exceeds(deep("*1\r\n", 64, "|1\r\n+a\r\n+b\r\n:1\r\n"), "nesting", 64, limits());
    exceeds(deep("|1\r\n", 65, ""), "nesting", 64, limits());
    // Siblings do not add up.
    fits(format!("*3\r\n{}", deep("*1\r\n", 63, ":1\r\n").repeat(3)), limits());
}

#[test]
fn nesting_limit_has_a_ceiling() {
    let raised = FrameLimits { depth_max: 5000, ..limits() };
    let whole = |depth| scan_whole(deep("*1\r\n", depth, ":1\r\n").as_bytes(), raised);
    assert!(matches!(whole(1024), Verdict::Complete(_)));
    assert_eq!(whole(1025), Verdict::Limit("nesting", 1024));
    let none = FrameLimits { depth_max: 0, ..limits() };
    fits(":1\r\n", none);
    exceeds("*0\r\n", "nesting", 0, none);
}

#[test]
fn a_million_levels_are_refused_at_the_65th() {
    let bomb = "*1\r\n".repeat(1_000_000);
    let refused = Verdict::Limit("nesting", 64);
    assert_eq!(scan_whole(bomb.as_bytes(), limits()), refused);
    let at = 65 * "*1\r\n".len();
    assert_eq!(scan_whole(&bomb.as_bytes()[..at], limits()), refused);
    assert_eq!(scan_whole(&bomb.as_bytes()[..at - 1], limits()), Verdict::Incomplete);
    assert_eq!(scan_in_pieces(bomb.as_bytes(), 0..1000, limits()), refused);
}

#[test]
fn lines_end_within_their_limit() {
    for (limits, max) in [(limits(), 64 << 10), (FrameLimits::handshake(), 4 << 10)] {
        for tag in ["+", "-", "("] {
            let line = |length| format!("{tag}{}\r\n", "1".repeat(length));
            fits(line(max), limits);
            fits(format!("*1\r\n{}", line(max)), limits);
            exceeds(line(max + 1), "a line", max as u64, limits);
            exceeds(format!("*1\r\n{}", line(max + 1)), "a line", max as u64, limits);
        }
        // Refused as soon as it is too long: its end need not come.
        for tag in ["+", ":", "$", "*", ","] {
            exceeds(format!("{tag}{}", "1".repeat(max + 1)), "a line", max as u64, limits);
            assert_verdict(format!("{tag}{}", "1".repeat(max)).as_bytes(), &Verdict::Incomplete, limits);
        }
    }
}

#[test]
fn strings_end_within_their_limit() {
    let limits = FrameLimits { bulk_bytes_max: 1000, ..limits() };
    for tag in ["$", "!", "="] {
        let frame = |size: usize| format!("{tag}{size}\r\ntxt:{}\r\n", "x".repeat(size - 4));
        fits(frame(1000), limits);
        fits(format!("*1\r\n{}", frame(1000)), limits);
        exceeds(frame(1001), "a string", 1000, limits);
        exceeds(format!("{tag}1001\r\n"), "a string", 1000, limits);
    }
}

#[test]
fn elements_are_counted_as_they_are_declared() {
    let limits = FrameLimits { elements_max: 10, total_elements_max: 25, ..limits() };
    let ones = |n: usize| ":1\r\n".repeat(n);
    fits(format!("*10\r\n{}", ones(10)), limits);
    fits(format!("%5\r\n{}", ones(10)), limits);
    exceeds("*11\r\n", "the elements of an aggregate", 10, limits);
    exceeds("%6\r\n", "the elements of an aggregate", 10, limits);
    let two_tens = format!("*10\r\n{}*10\r\n{}", ones(8), ones(10));
    fits(format!("{two_tens}*5\r\n{}", ones(5)), limits);
    exceeds(format!("{two_tens}*6\r\n"), "the elements of a reply", 25, limits);
    exceeds(format!("{two_tens}%3\r\n"), "the elements of a reply", 25, limits);
    // The count starts anew with each reply.
    let mut scanner = Scanner::new(limits);
    for _ in 0..4 {
        let reply = format!("{two_tens}*5\r\n{}", ones(5));
        assert!(matches!(scanner.scan(reply.as_bytes()), Ok(Scan::Complete(_))));
    }
}

#[test]
fn breadth_bombs_end_at_the_limit_of_all_elements() {
    let headers = "*16777216\r\n".repeat(5);
    exceeds(headers, "the elements of a reply", 64 << 20, limits());
    let wide = FrameLimits { total_elements_max: 64 + 64 * 64, ..limits() };
    let bomb = format!("*64\r\n{}", format!("*64\r\n{}", ":1\r\n".repeat(64)).repeat(64));
    assert!(matches!(scan_whole(bomb.as_bytes(), wide), Verdict::Complete(_)));
    let bomb = bomb.replacen(":1\r\n", "*1\r\n:1\r\n", 1);
    exceeds(&bomb, "the elements of a reply", 64 + 64 * 64, wide);
}

#[test]
fn a_reply_ends_within_its_limit() {
    let limits = FrameLimits { reply_bytes_max: 100, ..limits() };
    for frame in [
        format!("+{}\r\n", "x".repeat(97)),
        format!("({}\r\n", "1".repeat(97)),
        format!("$93\r\n{}\r\n", "x".repeat(93)),
        format!("*1\r\n+{}\r\n", "x".repeat(93)),
        format!("*3\r\n$1\r\nx\r\n$77\r\n{}\r\n:1\r\n", "x".repeat(77)),
        format!("*10\r\n{}+{}\r\n", ":1234\r\n".repeat(9), "x".repeat(29)),
    ] {
        if frame.len() == 100 {
            fits(&frame, limits);
        }
        let tight = FrameLimits { reply_bytes_max: frame.len() as u64, ..limits };
        assert!(matches!(scan_whole(frame.as_bytes(), tight), Verdict::Complete(_) | Verdict::Incomplete));
        let tighter = FrameLimits { reply_bytes_max: frame.len() as u64 - 1, ..limits };
        exceeds(&frame, "a reply", frame.len() as u64 - 1, tighter);
    }
    exceeds("$94\r\n", "a reply", 100, limits);
    // A stream of small elements without end.
    exceeds(format!("*1000\r\n{}", ":1\r\n".repeat(1000)), "a reply", 100, limits);
    exceeds(format!("*1000\r\n{}", "_\r\n".repeat(1000)), "a reply", 100, limits);
}

#[test]
fn attributes_are_bounded_in_pairs_and_bytes() {
    let pairs = |n: usize| format!("|{n}\r\n{}", "+\r\n+\r\n".repeat(n));
    fits(format!("{}:1\r\n", pairs(1024)), limits());
    exceeds(format!("{}:1\r\n", pairs(1025)), "attribute pairs", 1024, limits());
    exceeds("|1025\r\n", "attribute pairs", 1024, limits());
    // All attributes of a reply count together, nested ones too.
    let two = |second: usize| format!("*2\r\n{}:1\r\n{}:2\r\n", pairs(1000), pairs(second));
    fits(two(24), limits());
    exceeds(two(25), "attribute pairs", 1024, limits());
    exceeds(format!("|1\r\n{}+\r\n+\r\n:1\r\n", pairs(1024)), "attribute pairs", 1024, limits());

    let limits = FrameLimits { attribute_bytes_max: 100, ..limits() };
    let sized = |size: usize| format!("|1\r\n+\r\n+{}\r\n", "x".repeat(size - 10));
    assert_eq!(sized(100).len(), 100);
    fits(format!("{}$200\r\n{}\r\n", sized(100), "x".repeat(200)), limits);
    exceeds(format!("{}:1\r\n", sized(101)), "attributes", 100, limits);
    exceeds("|1\r\n+\r\n$87\r\n", "attributes", 100, limits);
    fits(format!("*2\r\n{}:1\r\n{}:2\r\n", sized(50), sized(50)), limits);
    exceeds(format!("*2\r\n{}:1\r\n{}:2\r\n", sized(50), sized(51)), "attributes", 100, limits);
    let empty = |n: usize| format!("{}:1\r\n", "|0\r\n".repeat(n));
    assert!(matches!(scan_whole(empty(25).as_bytes(), limits), Verdict::Complete(_)));
    exceeds(empty(26), "attributes", 100, limits);
    let nested = format!("|1\r\n{}+\r\n+{}\r\n:1\r\n", sized(50), "x".repeat(100 - 60));
    assert!(matches!(scan_whole(nested.as_bytes(), limits), Verdict::Complete(_)), "{nested}");
    exceeds(nested.replacen("x", "xx", 1), "attributes", 100, limits);
}
