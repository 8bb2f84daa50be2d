//! More bytes than all socket buffers together, both ways at once.

use panpipe::Config;
use panpipe::command::cmd;

use crate::servers::{Cluster, Version};
use crate::transport;

const VALUES: usize = 10_000;
const VALUE_BYTES: usize = 20_000;

/// 200 MB of values written and half of them read back in one flush. A client that stops reading while its writes are blocked hangs here: the
/// server stops reading when nobody takes its replies.
pub(crate) fn a_batch_of_200_mb_passes_through_small_socket_buffers(version: Version) {
    let cluster = Cluster::start(version, 3, 0);
    let mut config = Config::from_url(&cluster.url()).expect("url");
    config.tcp.send_buffer_bytes = 4 << 10;
    config.tcp.recv_buffer_bytes = 4 << 10;
    config.command_timeout_ms = 300_000;
    // The default windows would refuse a part of it.
    config.limits.bytes_per_node_max = 256 << 20;
    config.limits.bytes_total_max = 512 << 20;
    let mut client = transport::connect_with(config).expect("connect");
    let value = |n: usize| -> Vec<u8> { (0..VALUE_BYTES).map(|at| (at * 7 + n) as u8).collect() };
    let mut pipe = client.pipeline();
    let tickets: Vec<_> = (0..VALUES)
        .map(|n| {
            let set = pipe.call::<()>(cmd("SET").key(format!("large:{n}")).arg(value(n)));
            let get = (n % 2 == 0).then(|| pipe.call::<Vec<u8>>(cmd("GET").key(format!("large:{n}"))));
            (set, get)
        })
        .collect();
    let replies = pipe.flush().expect("flush");
    for (n, (set, get)) in tickets.into_iter().enumerate() {
        replies.get(set).unwrap_or_else(|error| panic!("SET {n}: {error}"));
        let Some(get) = get else { continue };
        let got = replies.get(get).unwrap_or_else(|error| panic!("GET {n}: {error}"));
        assert!(got == value(n), "value {n} came back changed");
    }
    drop(pipe);
    let stats = client.stats();
    assert!(stats.total.bytes_sent >= 200_000_000 && stats.total.bytes_received >= 100_000_000);
    assert_eq!(stats.queued_bytes, 0);
}
