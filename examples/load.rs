//! Bulk loading: a file of records, in bounded memory, with an outcome for each and a place to go on from.
//!
//! ```sh
//! cargo run --example load --features testkit                              # into a cluster of our own
//! cargo run --example load --features testkit -- redis://127.0.0.1:7000    # into yours
//! ```

use std::time::Duration;

use panpipe::bulk::Problem;
use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

const RECORDS: u64 = 20_000;

/// A line of the file: `number,name,seats`.
fn record(number: u64) -> String {
    // Somebody has made a mistake in two of them.
    let seats = if number % 10_000 == 7 { "many".to_owned() } else { (number % 400).to_string() };
    format!("{number},plane {number},{seats}")
}

/// Pushes, and waits for room where there is none.
fn push(
    loader: &mut Loader<'_>,
    command: &Cmd,
    tag: u64,
    rejects: &mut Vec<Problem>,
) -> Result<(), Box<dyn std::error::Error>> {
    loop {
        match loader.push(command, tag) {
            Ok(()) => return Ok(()),
            Err(PushError::Full(_)) => {
                rejects.extend(std::iter::from_fn(|| loader.next_problem()));
                // Wakes up now and then, to tell how far it is or to look for a signal.
                loader.run_until(Until::Room, Some(Duration::from_millis(100)))?;
            }
            // The policy has stopped the load, or the command makes no sense.
            Err(error) => return Err(error.into()),
        }
    }
}

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
    let mut client = Client::connect(&url)?;
    let on_error = OnError::Skip { count_max: Some(1000), percent_max: Some(5.0) };
    let mut loader = client.loader(LoadOptions { on_error, ..LoadOptions::default() })?;

    let mut rejects = Vec::new();
    for number in 1..=RECORDS {
        let line = record(number);
        let mut fields = line.split(',');
        let (id, name, seats) = (fields.next(), fields.next(), fields.next());
        let (Some(id), Some(name), Some(seats)) = (id, name, seats) else { continue };
        // Two commands of one record have the same tag: the record is done when both are.
        let fields = cmd("HSET").key(format!("load:{id}")).arg("name").arg(name);
        push(&mut loader, &fields, number, &mut rejects)?;
        let seats = cmd("HINCRBY").key(format!("load:{id}")).arg("seats").arg(seats);
        push(&mut loader, &seats, number, &mut rejects)?;
        if number % 4_000 == 0 {
            // What a checkpoint would hold: after a crash the load goes on behind it.
            println!("{number} read, all up to {:?} written or told of", loader.committed());
        }
    }

    let summary = loader.finish(Duration::from_secs(30))?;
    rejects.extend(std::iter::from_fn(|| loader.next_problem()));
    for reject in &rejects {
        println!("record {}: {} ({})", reject.tag, reject.text(), reject.outcome());
    }
    println!("{} of {} commands written in {:?}", summary.outcomes.written, summary.pushed, summary.elapsed);
    for node in &summary.nodes {
        println!("{}: {} commands, half answered within {:?}", node.node, node.commands, node.latency.p50);
    }
    assert_eq!(loader.committed(), Some(RECORDS));
    assert_eq!((rejects.len(), summary.outcomes.problems()), (2, 2));
    drop(loader);

    for first in (1..=RECORDS).step_by(1000) {
        client.del((first..first + 1000).map(|n| format!("load:{n}")))?;
    }
    Ok(())
}
