//! What a server declares reserves nothing: allocation is bounded by what it has sent, and nearly always none.

#[path = "../benches/peer/alloc.rs"]
mod alloc;

use panpipe::config::FrameLimits;
use panpipe::resp::encode::{put_array_header, put_bulk, put_f64_bulk, put_int_bulk};
use panpipe::resp::{FromReply, ReplyRef, Scan, Scanner};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn allocated_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (result, allocations) = alloc::during(work);
    (result, allocations.bytes as usize)
}

/// Nothing but the size of an address stands against what is declared.
fn no_limits() -> FrameLimits {
    FrameLimits {
        bulk_bytes_max: u64::MAX,
        elements_max: u64::MAX,
        total_elements_max: u64::MAX,
        reply_bytes_max: u64::MAX,
        attribute_pairs_max: u64::MAX,
        attribute_bytes_max: u64::MAX,
        ..FrameLimits::default()
    }
}

const HEADERS: [&str; 12] = [
    "*2147483647\r\n",
    "$536870911\r\n",
    "$536870912\r\nabc",
    "%1073741823\r\n",
    "~2147483647\r\n",
    ">2147483647\r\n+x\r\n",
    "|1073741823\r\n",
    "=536870911\r\ntxt:",
    "!536870911\r\n",
    "*9223372036854775807\r\n:1\r\n",
    "$9223372036854775807\r\nabc",
    "*3\r\n*2147483647\r\n$536870911\r\n",
];

#[test]
fn declared_lengths_reserve_nothing() {
    assert!(allocated_by(|| vec![0u8; 1000]).1 >= 1000, "the counter counts");
    for header in HEADERS {
        let mut scanner = Scanner::new(no_limits());
        let (result, bytes) = allocated_by(|| scanner.scan(header.as_bytes()));
        assert!(matches!(result, Ok(Scan::Incomplete { .. })), "{header:?}: {result:?}");
        assert_eq!(bytes, 0, "{header:?}");
    }
}

#[test]
fn refusing_a_declared_length_costs_an_error_only() {
    for header in
        ["*2147483647\r\n", "$536870913\r\n", "$99999999999\r\n", "%9223372036854775807\r\n", "HTTP/1.1"]
    {
        let mut scanner = Scanner::new(FrameLimits::default());
        let (result, bytes) = allocated_by(|| scanner.scan(header.as_bytes()));
        assert!(result.is_err(), "{header:?}");
        assert!(bytes < 1024, "{header:?}: {bytes} bytes");
    }
}

#[test]
fn reading_what_no_scanner_accepted_reserves_nothing_either() {
    for header in HEADERS {
        let reply = ReplyRef::new(header.as_bytes());
        let (_, bytes) = allocated_by(|| {
            let _ = Vec::<i64>::from_reply(reply);
            let _ = Vec::<(String, String)>::from_reply(reply);
            let _ = std::collections::HashMap::<String, i64>::from_reply(reply);
            let _ = reply.to_bytes();
            reply.elements().count() + reply.pairs().count()
        });
        assert!(bytes < 4096, "{header:?}: {bytes} bytes");
    }
}

#[test]
fn a_million_levels_take_constant_memory() {
    let bomb = "*1\r\n".repeat(1_000_000);
    for (limits, bytes_max) in [
        (FrameLimits::default(), 4 << 10),
        (FrameLimits { depth_max: usize::MAX, ..FrameLimits::default() }, 64 << 10),
    ] {
        let mut scanner = Scanner::new(limits);
        let (result, bytes) = allocated_by(|| scanner.scan(bomb.as_bytes()));
        assert!(result.is_err());
        assert!(bytes <= bytes_max, "{bytes} bytes");
        let mut scanner = Scanner::new(limits);
        let (_, bytes) =
            allocated_by(|| (0..8000).for_each(|end| drop(scanner.scan(&bomb.as_bytes()[..end]))));
        // Each further call answers a copy of the error.
        assert!(bytes <= bytes_max + 8000 * 64, "{bytes} bytes");
    }
}

#[test]
fn a_large_array_is_scanned_and_walked_without_allocation() {
    let array = format!("*100000\r\n{}", "$5\r\nhello\r\n".repeat(100_000));
    let mut scanner = Scanner::new(FrameLimits::default());
    let (result, bytes) = allocated_by(|| {
        for end in (0..array.len()).step_by(16 << 10) {
            assert!(matches!(scanner.scan(&array.as_bytes()[..end]), Ok(Scan::Incomplete { .. })));
        }
        scanner.scan(array.as_bytes())
    });
    assert!(matches!(result, Ok(Scan::Complete(_))));
    assert_eq!(bytes, 0);
    let (size, bytes) = allocated_by(|| {
        let reply = ReplyRef::new(array.as_bytes());
        reply.elements().map(|element| element.as_bytes().map_or(0, <[u8]>::len)).sum::<usize>()
    });
    assert_eq!((size, bytes), (500_000, 0));
}

#[test]
fn encoding_allocates_in_the_buffer_only() {
    let mut out = Vec::with_capacity(4096);
    let ((), bytes) = allocated_by(|| {
        put_array_header(&mut out, 123_456);
        put_bulk(&mut out, &[b'x'; 1000]);
        put_int_bulk(&mut out, i64::MIN);
        put_f64_bulk(&mut out, f64::MIN_POSITIVE);
        put_f64_bulk(&mut out, f64::INFINITY);
    });
    assert_eq!(bytes, 0);
}
