//! Commands that were given up after they were sent: bounded in number, and their replies cost no memory.

use super::*;

/// The node sends bytes, and says how large the buffer was that they came in, at most.
fn reply_measured(s: &mut Script, port: u16, mut bytes: &[u8]) -> usize {
    let conn = s.conns[&port];
    let mut largest = 0;
    while !bytes.is_empty() {
        let mut recv = s.engine.lend_recv(conn).expect("open");
        largest = largest.max(recv.capacity());
        let n = recv.spare_mut().len().min(bytes.len());
        recv.spare_mut()[..n].copy_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
        s.engine.handle_received(conn, recv, n, s.now);
    }
    largest
}

#[test]
fn the_reply_to_a_cancelled_command_costs_no_memory() {
    const BYTES: usize = 64 << 20;
    let piece = vec![b'-'; 64 << 10];
    let array: Vec<u8> = std::iter::repeat_n(&b"$5\r\n-ERR \r\n"[..], 1 << 18).flatten().copied().collect();
    let mut bulk = vec![format!("${BYTES}\r\n").into_bytes()];
    bulk.extend(std::iter::repeat_n(piece, BYTES >> 16));
    bulk.push(b"\r\n".to_vec());
    let mut elements = vec![format!("*{}\r\n", 1 << 18).into_bytes()];
    elements.extend(array.chunks(64 << 10).map(<[u8]>::to_vec));
    for reply in [bulk, elements] {
        let mut s = Script::start();
        let (key, other) = (key_of(A, 1), key_of(A, 2));
        let token = s.stream(&get(&key), 1, 1_000);
        s.stream(&get(&other), 2, 1_000);
        s.engine.flush();
        s.written(A);
        let mut largest = 0;
        for (n, piece) in reply.iter().enumerate() {
            if n == 1 {
                assert!(s.engine.cancel(token));
            }
            largest = largest.max(reply_measured(&mut s, A, piece));
        }
        assert!(largest <= 128 << 10, "{largest} bytes for a reply that nobody waits for");
        let skipped = s.engine.stats().total.skipped_bytes;
        let whole: usize = reply.iter().map(Vec::len).sum();
        assert!(skipped as usize + (200 << 10) > whole, "{skipped} of {whole}");
        s.reply(A, "$4\r\nnext\r\n");
        assert_eq!(
            s.completions(),
            [(1, "Cancelled Unknown".to_owned()), (2, "$4\\r\\nnext\\r\\n".to_owned())],
            "the next command gets its own reply"
        );
        s.assert_empty();
        assert_eq!(s.engine.stream.len(), 0);
    }
}

#[test]
fn a_reply_whose_command_is_cancelled_half_way_gives_its_memory_back() {
    let mut s = Script::start();
    let token = s.stream(&get(&key_of(A, 1)), 1, 1_000);
    s.engine.flush();
    s.written(A);
    s.reply(A, format!("${}\r\n", 8 << 20));
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..64 {
        s.reply(A, &piece);
    }
    assert!(s.engine.cancel(token));
    s.reply(A, &piece);
    let largest = reply_measured(&mut s, A, &piece);
    assert!(largest <= 128 << 10, "{largest}");
    for _ in 66..128 {
        s.reply(A, &piece);
    }
    s.reply(A, "\r\n");
    s.assert_empty();
    assert!(s.is_open(A));
}

#[test]
fn a_reply_that_somebody_waits_for_is_not_skipped_and_a_push_always_is() {
    let mut s = Script::start();
    let batch = s.send(&get(&key_of(A, 1)));
    s.written(A);
    let body = "x".repeat(300_000);
    s.reply(A, format!("${}\r\n{body}\r\n", body.len()));
    assert_eq!(s.result(batch, 0).len(), body.len() + "$300000\\r\\n\\r\\n".len());
    assert_eq!(s.engine.stats().total.skipped_bytes, 0);
    let mut s = Script::start();
    let next = s.send(&get(&key_of(A, 1)));
    s.written(A);
    let push = format!(">2\r\n+x\r\n${}\r\n{body}\r\n$1\r\nv\r\n", body.len());
    let largest = reply_measured(&mut s, A, push.as_bytes());
    assert!(largest <= 128 << 10, "{largest}");
    assert_eq!(s.result(next, 0), "$1\\r\\nv\\r\\n");
}

#[test]
fn too_many_given_up_commands_close_their_connection() {
    let mut config = config();
    config.limits.tombstones_per_node_max = 10;
    let mut s = Script::start_with(config);
    let key = key_of(A, 1);
    let send = |s: &mut Script, n: u64| {
        let token = s.stream(&get(&key), n, 60_000);
        s.engine.flush();
        s.written(A);
        assert!(s.engine.cancel(token));
        s.tick(0);
    };
    (0..9).for_each(|n| send(&mut s, n));
    assert!(s.is_open(A));
    s.reply(A, "_\r\n".repeat(9));
    (0..9).for_each(|n| send(&mut s, n));
    assert!(s.is_open(A), "those whose reply has come do not count");
    send(&mut s, 9);
    assert!(!s.is_open(A));
    let stats = s.engine.stats().total;
    assert_eq!((stats.tombstone_closes, stats.given_up), (1, 19));
    s.completions();
    s.assert_empty();
}

#[test]
fn a_batch_whose_deadline_passes_counts_too() {
    let mut config = config();
    config.limits.tombstones_per_node_max = 10;
    let mut s = Script::start_with(config);
    let batch = s.batch();
    for n in 0..12 {
        s.submit(batch, &get(&key_of(A, n)));
    }
    s.flush(batch);
    s.written(A);
    s.tick(5_001);
    assert!(!s.is_open(A));
    assert_eq!(s.result(batch, 11), "Timeout Unknown");
    assert_eq!(s.engine.stats().total.timeouts, 12);
}

#[test]
fn a_node_that_drips_does_not_hold_its_connection_for_ever() {
    let mut config = config();
    config.command_timeout_ms = 60_000;
    let mut s = Script::start_with(config.clone());
    s.send(&get(&key_of(A, 1)));
    s.written(A);
    s.reply(A, "$1000000\r\n");
    for _ in 0..13 {
        s.tick(1_000);
        if s.is_open(A) {
            s.reply(A, "x");
        }
    }
    assert!(!s.is_open(A), "a byte a second is no progress");

    let mut s = Script::start_with(config);
    let batch = s.send(&get(&key_of(A, 1)));
    s.written(A);
    s.reply(A, "$100000\r\n");
    for _ in 0..100 {
        s.tick(500);
        s.reply(A, "x".repeat(1_000));
    }
    s.reply(A, "\r\n");
    assert!(s.result(batch, 0).starts_with("$100000"), "a slow line is no silent node");
}

#[test]
fn an_idle_connection_gives_its_buffers_back() {
    let mut s = Script::start();
    let batch = s.batch();
    for n in 0..3_000 {
        s.submit(
            batch,
            &set(&key_of(A, n % 7), "a value that fills some kilobytes together with many others"),
        );
    }
    s.flush(batch);
    s.written(A);
    s.reply(A, "+OK\r\n".repeat(3_000));
    s.engine.abandon(batch);
    let roomy = |s: &Script| {
        s.engine.links.iter().any(|link| link.queue.has_spare_memory() || link.in_flight.has_spare_memory())
    };
    assert!(roomy(&s));
    for _ in 0..32 {
        s.tick(1_000);
    }
    assert!(!roomy(&s));
    let batch = s.send(&set(&key_of(A, 1), "v"));
    s.written(A);
    s.reply(A, "+OK\r\n");
    assert_eq!(s.result(batch, 0), "+OK\\r\\n");
    s.assert_empty();
}
