//! Whether the system allows io_uring, as a test: half of the suite depends on it.
//!
//! A system that refuses it fails here, with the reason, so that nobody takes half of the suite for the whole. Where that is known and
//! expected, `PANPIPE_EXPECT_NO_URING=1` says so; then a system that allows it fails, because the expectation is wrong.

use panpipe::Transport;
use panpipe::config::Config;
use panpipe::transport::Net;

const VARIABLE: &str = "PANPIPE_EXPECT_NO_URING";

#[test]
fn the_system_allows_io_uring_or_is_known_not_to() {
    let refusal_expected = match std::env::var_os(VARIABLE).as_ref().map(|value| value.to_str()) {
        None | Some(Some("" | "0")) => false,
        Some(Some("1")) => true,
        Some(other) => panic!("{VARIABLE} is 1 or not set, and not {other:?}"),
    };
    let mut config = Config::from_url("redis://127.0.0.1:1").expect("an address");
    config.transport = Transport::Uring;
    match Net::open(&config) {
        Ok(net) => {
            assert_eq!(net.kind(), Transport::Uring);
            assert!(!refusal_expected, "{VARIABLE} is set, and io_uring works here: take it away");
        }
        Err(refused) => {
            assert!(
                refusal_expected,
                "{refused}\nThe tests over io_uring cannot run here. Where that is as it should be, set {VARIABLE}=1: they are left out then"
            );
            eprintln!("expected: {refused}");
        }
    }
}
