//! Windows, marks, the watermark, rates.

use std::time::Duration;

use panpipe::bulk::{Flush, Full, LoadOptions, PushError, RawKeys, Until};
use panpipe::testkit::ModelConfig;
use panpipe::transport::Transport as _;

use crate::world::{LONG, client, client_with, key_of, model, pass, push, resp, skip, value};

fn explicit() -> LoadOptions {
    LoadOptions { flush: Flush::Explicit, ..skip() }
}

const FULL: fn(Full) -> Result<(), PushError> = |full| Err(PushError::Full(full));

#[test]
fn full_is_said_before_anything_is_queued_and_names_the_reason() {
    let mut client = client();
    let (a, b) = (resp(&["SET", &key_of(&client, 0, 0), "v"]), resp(&["SET", &key_of(&client, 1, 0), "v"]));
    let mut loader = client.loader(LoadOptions { window_per_node_commands: 10, ..explicit() }).unwrap();
    for tag in 0..10 {
        loader.push_raw(&a, RawKeys::Find, tag).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(loader.push_raw(&a, RawKeys::Find, 10), FULL(Full::Unflushed));
    }
    loader.push_raw(&b, RawKeys::Find, 10).expect("another node has a window of its own");
    let mark = loader.flush();
    assert_eq!(loader.push_raw(&a, RawKeys::Find, 11), FULL(Full::InFlight));
    assert!(!loader.is_settled(mark));
    assert!(loader.run_until(Until::Mark(mark), Some(LONG)).unwrap());
    assert_eq!((loader.committed(), loader.pending()), (Some(10), 0));
    loader.push_raw(&a, RawKeys::Find, 11).unwrap();
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.pushed, summary.outcomes.written), (12, 12));
}

#[test]
fn bytes_fill_a_window_and_a_lone_command_may_be_larger() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let mut loader = client.loader(LoadOptions { window_per_node_bytes: 50_000, ..explicit() }).unwrap();
    let big = resp(&["SET", &key, &"v".repeat(200_000)]);
    let shared = panpipe::Bytes::from(big.clone());
    loader.push_raw(&big, RawKeys::Find, 0).expect("alone");
    assert_eq!(loader.push_raw(&resp(&["SET", &key, "v"]), RawKeys::Find, 1), FULL(Full::Unflushed));
    assert!(loader.run_until(Until::Room, Some(LONG)).unwrap());
    loader.push_shared(&shared, RawKeys::Find, 1).unwrap();
    assert!(loader.run_until(Until::Drained, Some(LONG)).unwrap());
    for tag in 2..100 {
        let value = "w".repeat(1000);
        match loader.push_raw(&resp(&["SET", &key, &value]), RawKeys::Find, tag) {
            Ok(()) => assert!(tag <= 51, "50 of them fit"),
            full => {
                assert_eq!((full, tag > 49), (FULL(Full::Unflushed), true), "{tag}");
                break;
            }
        }
    }
    loader.finish(LONG).unwrap();
    assert_eq!(value(&mut loader, &key).map(|value| value.len()), Some(1000));
}

#[test]
fn a_slow_node_holds_up_the_watermark_and_nobody_else_until_the_total_is_full() {
    let mut client = client();
    let keys: Vec<String> = (0..3).map(|node| key_of(&client, node, 0)).collect();
    let options = LoadOptions { window_total_bytes: 1 << 20, ..skip() };
    let mut loader = client.loader(options).unwrap();
    loader.push_raw(&resp(&["SET", &keys[0], "slow"]), RawKeys::Find, 1).unwrap();
    model(&mut loader).freeze(0);
    let mut tag = 2;
    let full = loop {
        match loader.push_raw(&resp(&["SET", &keys[1 + tag as usize % 2], "v"]), RawKeys::Find, tag) {
            Ok(()) => tag += 1,
            Err(PushError::Full(Full::InFlight)) => pass(&mut loader, 1),
            other => break other,
        }
        assert!(loader.committed().is_none() && tag < 100_000, "never full");
    };
    assert_eq!(full, FULL(Full::Uncommitted));
    // A command has some 33 bytes, and 32 are counted on top.
    assert!((14_000..17_000).contains(&tag), "{tag}");
    assert!(!loader.run_until(Until::Drained, Some(Duration::from_millis(500))).unwrap());
    assert_eq!((loader.pending(), loader.committed()), (1, None));
    let stalls = loader.stalls(Duration::from_millis(100));
    assert_eq!((stalls.len(), stalls[0].node.as_str(), stalls[0].in_flight), (1, "127.0.0.1:7000", 1));
    let now_ms = loader.client().transport().now_ms();
    model(&mut loader).thaw(0, now_ms);
    assert!(loader.run_until(Until::Room, Some(LONG)).unwrap());
    push(&mut loader, &["SET", &keys[0], "v"], tag, &mut Vec::new()).unwrap();
    let summary = loader.finish(LONG).unwrap();
    assert_eq!((summary.outcomes.written, loader.committed()), (tag, Some(tag)));
}

#[test]
fn what_is_held_back_fills_a_window_too() {
    let mut client = client();
    let frame = resp(&["SET", &key_of(&client, 0, 0), "v"]);
    let other = resp(&["SET", &key_of(&client, 0, 1), "v"]);
    let mut loader = client.loader(LoadOptions { window_per_node_commands: 10, ..explicit() }).unwrap();
    model(&mut loader).set_loading(0, true);
    loader.push_raw(&frame, RawKeys::Find, 0).unwrap();
    loader.flush();
    pass(&mut loader, 20);
    assert_eq!(loader.client().stats().parked, 1);
    for tag in 1..10 {
        loader.push_raw(&frame, RawKeys::Find, tag).unwrap();
    }
    assert_eq!(loader.push_raw(&frame, RawKeys::Find, 10), FULL(Full::Held));
    loader.push_raw(&other, RawKeys::Find, 10).expect("another slot of the node");
    model(&mut loader).set_loading(0, false);
    assert!(loader.run_until(Until::Room, Some(LONG)).unwrap());
    loader.push_raw(&frame, RawKeys::Find, 11).unwrap();
    assert_eq!(loader.finish(LONG).unwrap().outcomes.written, 12);
}

#[test]
fn a_node_that_connects_later_honours_an_earlier_flush() {
    let mut client = client();
    let keys: Vec<String> = (0..30).map(|n| key_of(&client, n % 3, n)).collect();
    let mut loader = client.loader(explicit()).unwrap();
    for node in 0..3 {
        model(&mut loader).kill(node);
    }
    pass(&mut loader, 10);
    for (tag, key) in keys.iter().enumerate() {
        loader.push_raw(&resp(&["SET", key, "v"]), RawKeys::Find, tag as u64).unwrap();
    }
    let mark = loader.flush();
    pass(&mut loader, 1_000);
    assert_eq!((loader.pending(), loader.is_settled(mark)), (30, false));
    for node in 0..3 {
        model(&mut loader).restart(node);
    }
    assert!(loader.run_until(Until::Mark(mark), Some(LONG)).unwrap());
    assert_eq!(loader.finish(LONG).unwrap().outcomes.written, 30);
}

#[test]
fn nothing_leaves_before_it_is_flushed() {
    let mut client = client();
    let key = key_of(&client, 0, 0);
    let frame = resp(&["SET", &key, "v"]);
    let mut loader = client.loader(explicit()).unwrap();
    loader.push_raw(&frame, RawKeys::Find, 0).unwrap();
    pass(&mut loader, 100);
    assert_eq!((loader.pending(), value(&mut loader, &key)), (1, None));
    loader.flush();
    pass(&mut loader, 100);
    assert_eq!((loader.pending(), value(&mut loader, &key).is_some()), (0, true));
    drop(loader);
    let flush = Flush::Every { bytes: 1 << 20, commands: 1000, interval_ms: 50 };
    let mut loader = client.loader(LoadOptions { flush, ..skip() }).unwrap();
    loader.push_raw(&frame, RawKeys::Find, 0).unwrap();
    loader.turn().unwrap();
    pass(&mut loader, 45);
    assert_eq!(loader.pending(), 1);
    pass(&mut loader, 10);
    pass(&mut loader, 10);
    assert_eq!(loader.pending(), 0, "a turn saw that it was time");
}

#[test]
fn several_commands_may_share_a_tag() {
    let mut client = client();
    let keys: Vec<String> = (0..3).map(|node| key_of(&client, node, 0)).collect();
    let mut loader = client.loader(explicit()).unwrap();
    model(&mut loader).freeze(1);
    for tag in [5, 9] {
        for key in &keys {
            loader.push_raw(&resp(&["RPUSH", key, "v"]), RawKeys::Find, tag).unwrap();
        }
    }
    loader.flush();
    pass(&mut loader, 50);
    assert_eq!((loader.pending(), loader.committed()), (2, None), "one of three has not ended");
    let now_ms = loader.client().transport().now_ms();
    model(&mut loader).thaw(1, now_ms);
    assert!(loader.run_until(Until::Drained, Some(LONG)).unwrap());
    assert_eq!(loader.committed(), Some(9));
}

#[test]
fn rates_are_kept_and_nobody_sleeps_for_them() {
    for (commands, bytes) in [(Some(1_000), None), (None, Some(33_000)), (Some(1_000), Some(33_000))] {
        let mut client = client();
        let key = key_of(&client, 0, 0);
        let options = LoadOptions { rate_commands: commands, rate_bytes: bytes, ..skip() };
        let mut loader = client.loader(options).unwrap();
        let began = loader.client().transport().now();
        let frame = resp(&["SET", &key, "0123456"]);
        for tag in 0..3_000 {
            while let Err(error) = loader.push_raw(&frame, RawKeys::Find, tag) {
                let PushError::Full(Full::Rate { wait }) = error else { panic!("{error:?}") };
                assert!(wait > Duration::ZERO && wait < Duration::from_millis(10), "{wait:?}");
                assert!(loader.run_until(Until::Room, Some(LONG)).unwrap());
            }
        }
        let took = loader.client().transport().now().since(began);
        let burst = Duration::from_millis(50);
        let expected = Duration::from_millis(3_000 * frame.len() as u64 / 33) - burst;
        let expected = if bytes.is_none() { Duration::from_secs(3) - burst } else { expected };
        assert!(took >= expected - Duration::from_millis(5), "{took:?} {expected:?}");
        assert!(took <= expected + Duration::from_millis(100), "{took:?} {expected:?}");
        assert_eq!(loader.finish(LONG).unwrap().outcomes.written, 3_000);
    }
}

#[test]
fn memory_is_bounded_however_slow_the_servers_are() {
    let mut client = client_with(ModelConfig::default(), |_| {});
    let keys: Vec<String> = (0..300).map(|n| key_of(&client, n % 3, n)).collect();
    let options = LoadOptions {
        window_per_node_commands: 500,
        window_per_node_bytes: 20_000,
        window_total_bytes: 100_000,
        ..skip()
    };
    let mut loader = client.loader(options).unwrap();
    for tag in 0..20_000_u64 {
        let key = &keys[tag as usize % 300];
        let value = "v".repeat(tag as usize % 700);
        push(&mut loader, &["SET", key, &value], tag, &mut Vec::new()).unwrap();
        let stats = loader.client().stats();
        assert!(stats.queued_bytes <= 3 * 21_000 && stats.in_flight <= 1_500, "{stats:?}");
        assert!(loader.committed().map_or(tag < 3_000, |committed| tag - committed < 3_000));
    }
    assert_eq!(loader.finish(LONG).unwrap().outcomes.written, 20_000);
}
