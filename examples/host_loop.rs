//! The client as a guest in somebody else's loop: a UDP service that counts visits in the cluster. One thread and one `poll` serve
//! the socket, a timer and the client, whose one descriptor speaks for all its nodes.
//!
//! ```sh
//! cargo run --example host_loop --features testkit                              # a cluster of our own
//! cargo run --example host_loop --features testkit -- redis://127.0.0.1:7000    # yours
//! TRANSPORT=uring cargo run --example host_loop --features testkit,io-uring      # over io_uring; the loop is the same
//! ```

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

const CLUSTER: Token = Token(0);
const SERVICE: Token = Token(1);
const TICK: Duration = Duration::from_millis(5);
const VISITS: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let embedded;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            embedded = EmbeddedCluster::builder().primaries(3).delay_ms(2).start()?;
            embedded.url()
        }
    };
    let mut config = Config::from_url(&url)?;
    if let Ok(name) = std::env::var("TRANSPORT") {
        config.transport = name.parse()?;
    }
    let mut client = Client::connect_with(config)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let descriptor = client.as_fd()?.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), CLUSTER, Interest::READABLE)?;
    let mut service = UdpSocket::bind("127.0.0.1:0".parse()?)?;
    poll.registry().register(&mut service, SERVICE, Interest::READABLE)?;

    // The visitor: a plain socket that sends a name now and then, and collects the answers at the end.
    let visitor = std::net::UdpSocket::bind("127.0.0.1:0")?;
    visitor.connect(service.local_addr()?)?;
    visitor.set_read_timeout(Some(Duration::from_secs(5)))?;

    let (mut visits, mut answers, mut next_tick) = (Vec::<SocketAddr>::new(), 0, Instant::now());
    while answers < VISITS {
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            if visits.len() < VISITS {
                visitor.send(format!("guest-{}", visits.len() % 8).as_bytes())?;
            }
        }
        poll.poll(&mut events, Some(next_tick.saturating_duration_since(Instant::now())))?;
        let mut name = [0; 64];
        while let Ok((len, from)) = service.recv_from(&mut name) {
            let key = [b"host_loop:", &name[..len]].concat();
            client.submit(cmd("INCR").key(key), visits.len() as u64)?;
            visits.push(from);
        }
        // Cheap where nothing has happened; writes what was submitted, reads what has come.
        while client.turn(Budget::default())? > 0 {}
        while let Some(completion) = client.next_completion() {
            let count = completion.result?.as_i64().unwrap_or_default();
            service.send_to(count.to_string().as_bytes(), visits[completion.user_data as usize])?;
            answers += 1;
        }
    }
    let mut counts = [0; 64];
    let last = (0..VISITS).map(|_| visitor.recv(&mut counts)).last().expect("visits")?;
    println!("{VISITS} visits answered, the last with count {}", String::from_utf8_lossy(&counts[..last]));
    for guest in 0..8 {
        let key = format!("host_loop:guest-{guest}");
        let count: i64 = client.call(cmd("GET").key(&key))?;
        assert_eq!(count as usize, VISITS / 8, "every guest came as often as the others");
        client.del([&key])?;
    }
    Ok(())
}
