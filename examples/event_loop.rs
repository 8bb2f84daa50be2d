//! The event-driven use, for a service with a loop of its own: submit without blocking, turn the client, take results as they come.
//!
//! ```sh
//! cargo run --example event_loop --features testkit                              # a cluster of our own
//! cargo run --example event_loop --features testkit -- redis://127.0.0.1:7000    # yours
//! TRANSPORT=uring cargo run --example event_loop --features testkit,io-uring      # over io_uring; the loop is the same
//! ```

use std::time::Duration;

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

const COMMANDS: u64 = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Serves as long as it lives.
    let embedded;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            embedded = EmbeddedCluster::builder().primaries(3).start()?;
            embedded.url()
        }
    };
    let mut config = Config::from_url(&url)?;
    if let Ok(name) = std::env::var("TRANSPORT") {
        config.transport = name.parse()?;
    }
    let mut client = Client::connect_with(config)?;

    let (mut submitted, mut done, mut turns) = (0, 0, 0);
    let mut seen = vec![false; COMMANDS as usize];
    while done < COMMANDS {
        // Queue a few, as if requests came in. `submit` makes no system call and never blocks.
        for _ in 0..500 {
            if submitted == COMMANDS {
                break;
            }
            let key = format!("event_loop:{}", submitted % 100);
            match client.submit(cmd("INCR").key(key), submitted) {
                Ok(_token) => submitted += 1,
                // As much is under way as the limits allow: take results first, then go on.
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }

        // One write per node, and whatever has come back. Waits only where there is nothing else to do.
        let work = client.turn(Budget::default())?;
        turns += 1;
        while let Some(completion) = client.next_completion() {
            // `user_data` is the number given to `submit`: no ticket has to be kept.
            let first = !std::mem::replace(&mut seen[completion.user_data as usize], true);
            assert!(first, "exactly one result each");
            completion.result.expect("INCR of a counter");
            done += 1;
        }
        if work == 0 && submitted == COMMANDS && done < COMMANDS {
            client.wait(Some(Duration::from_secs(1)))?;
        }
    }

    let stats = client.stats();
    let calls = client.transport_stats();
    println!("{done} commands in {turns} turns: {} writes, {} reads", calls.writes, calls.reads);
    assert_eq!(stats.in_flight, 0);

    let deleted = client.del((0..100).map(|n| format!("event_loop:{n}")))?;
    assert_eq!(deleted, 100);
    Ok(())
}
