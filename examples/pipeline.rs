//! Pipelines: commands for any slots, one flush to all nodes at once, and a result of its own for each command, so that one
//! that fails hides nothing.
//!
//! ```sh
//! cargo run --example pipeline --features testkit                              # a cluster of our own
//! cargo run --example pipeline --features testkit -- redis://127.0.0.1:7000    # yours
//! ```

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

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

    // Nothing is sent before the flush. A ticket remembers which reply is wanted, and as what.
    let mut pipe = client.pipeline();
    pipe.with_timeline();
    let clear = pipe.del(["pipeline:visits"]);
    let written: Vec<Ticket<()>> = (0..1000).map(|n| pipe.set(format!("pipeline:{n}"), n)).collect();
    let visits = pipe.incrby("pipeline:visits", 3);
    let name = pipe.set("pipeline:name", "ada");
    let broken = pipe.incr("pipeline:name");
    let last: Ticket<Option<String>> = pipe.call(cmd("GET").key("pipeline:999"));

    // Writes to every node, then waits for all of them together.
    let replies = pipe.flush()?;

    replies.get(clear)?;
    for ticket in written {
        replies.get(ticket)?;
    }
    replies.get(name)?;
    assert_eq!(replies.get(visits)?, 3);
    assert_eq!(
        replies.get(last)?.as_deref(),
        Some("999"),
        "commands of one key run in the order they were queued"
    );

    // The one that fails says what, where, and whether it ran.
    let error = replies.get(broken).unwrap_err();
    println!("expected: {error}");
    assert_eq!(error.server().map(|reply| reply.code()), Some("ERR"), "a name is no number");
    assert_eq!(error.outcome(), Outcome::Executed, "the server saw it and said no");

    let failed = replies.iter().filter(Result::is_err).count();
    println!("{} commands, {failed} failed", replies.len());
    assert_eq!((replies.len(), failed), (1005, 1));

    let timeline = replies.timeline().expect("asked for above");
    for node in &timeline.nodes {
        let back = node.last_back.unwrap_or_default();
        println!("{}: {} commands, the last byte back after {back:?}", node.node, node.commands);
    }
    println!("the whole flush took {:?}", timeline.total);
    assert_eq!(timeline.nodes.iter().map(|node| node.commands).sum::<u32>(), 1005);

    // A pipeline can be filled again.
    let mut keys: Vec<String> = (0..1000).map(|n| format!("pipeline:{n}")).collect();
    keys.extend(["pipeline:visits".to_owned(), "pipeline:name".to_owned()]);
    let deleted = pipe.del(keys);
    assert_eq!(pipe.flush()?.get(deleted)?, 1002, "keys of all slots in one command: split, sent, added up");
    Ok(())
}
