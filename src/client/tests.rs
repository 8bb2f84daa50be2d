use std::io;

use super::*;
use crate::command::cmd;
use crate::config::Endpoint;
use crate::engine::ConnId;

/// Moves nothing; its clock is the test's.
#[derive(Default)]
struct Nowhere {
    now: Timestamp,
    connects: usize,
    closes: usize,
}

impl Transport for Nowhere {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn connect(&mut self, _: ConnId, _: &Endpoint, _: &mut Engine) {
        self.connects += 1;
    }

    fn close(&mut self, _: ConnId) {
        self.closes += 1;
    }

    fn submit(&mut self, _: ConnId, _: &mut Engine) {}

    fn wait(&mut self, _: Option<Duration>, _: Need, _: &mut Engine) -> io::Result<usize> {
        Ok(0)
    }

    fn stats(&self) -> TransportStats {
        TransportStats::default()
    }
}

#[test]
fn a_dial_has_its_time_however_long_ago_it_was_asked_for() {
    let config = Config::from_seeds([Endpoint::new("h", 1)]);
    let transport = Nowhere::default();
    let engine = Engine::new(config, transport.now).expect("a seed");
    let mut client = Client { engine, transport, flush_policy: FlushPolicy::Explicit };
    client.engine.learn_owner(crate::slot::slot_of(b"key"), 0, 0, Timestamp::ZERO);
    client.submit_with_timeout(cmd("GET").key("key"), 1, 1_000_000).expect("room");
    client.transport.now = client.transport.now.after_ms(60_000);
    client.flush();
    client.turn(Budget::default()).expect("turn");
    assert_eq!((client.transport.connects, client.transport.closes), (1, 0), "given up before it was begun");
}
