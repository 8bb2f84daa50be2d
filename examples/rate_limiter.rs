//! A rate limiter: the counters of ten users, INCRBY and EXPIRE each, in one flush. However many nodes hold them, it costs one
//! round trip.
//!
//! ```sh
//! cargo run --example rate_limiter --features testkit                              # a cluster of our own
//! cargo run --example rate_limiter --features testkit -- redis://127.0.0.1:7000    # yours
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

const WINDOW_S: i64 = 60;
const REQUESTS_MAX: i64 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Serves as long as it lives. Every node waits 2 ms before it answers.
    let embedded;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            embedded = EmbeddedCluster::builder().primaries(3).delay_ms(2).start()?;
            embedded.url()
        }
    };
    let mut client = Client::connect(&url)?;
    let users: Vec<String> = (0..10).map(|n| format!("user-{n}")).collect();
    let window = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64 / WINDOW_S;

    let mut refused = 0;
    for request in 1..=5 {
        let allowed = admit(&mut client, &users, window)?;
        println!(
            "request {request}: {} of {} users admitted",
            allowed.iter().filter(|&&yes| yes).count(),
            users.len()
        );
        assert!(allowed.iter().all(|&yes| yes == (request <= REQUESTS_MAX)), "three requests each, no more");
        refused += allowed.iter().filter(|&&yes| !yes).count();
    }
    assert_eq!(refused, 20);

    for user in &users {
        let ttl = client.ttl(key(user, window))?;
        assert!(matches!(ttl, Ttl::Left(_)), "counters go away by themselves");
        client.del([key(user, window)])?;
    }
    Ok(())
}

/// Counts a request of each user in this window; answers who stays within the limit.
fn admit(client: &mut Client, users: &[String], window: i64) -> panpipe::Result<Vec<bool>> {
    let mut pipe = client.pipeline();
    let counts: Vec<Ticket<i64>> = users
        .iter()
        .map(|user| {
            let count = pipe.incrby(key(user, window), 1);
            // The key names its window: counting it longer than that harms nobody.
            pipe.expire(key(user, window), 2 * WINDOW_S);
            count
        })
        .collect();
    let replies = pipe.flush()?;
    counts.into_iter().map(|count| Ok(replies.get(count)? <= REQUESTS_MAX)).collect()
}

fn key(user: &str, window: i64) -> String {
    format!("rate:{user}:{window}")
}
