//! scratch
use panpipe::{Client, cmd};
fn main() -> panpipe::Result<()> {
    let url = std::env::args().nth(1).unwrap_or("redis://127.0.0.1:7101".into());
    let mut client = Client::connect(&url)?;
    println!("{:#?}", client.nodes().len());
    client.call::<()>(cmd("SET").key("a").arg("1"))?;
    let v: Option<String> = client.call(cmd("GET").key("a"))?;
    println!("{v:?}");
    let n = 100_000;
    let mut pipe = client.pipeline();
    let mut tickets = Vec::new();
    for i in 0..n {
        pipe.call::<()>(cmd("SET").key(format!("key:{i}")).arg(i));
        tickets.push((i, pipe.call::<i64>(cmd("GET").key(format!("key:{i}")))));
    }
    let t = std::time::Instant::now();
    let replies = pipe.flush()?;
    for (i, ticket) in tickets {
        assert_eq!(replies.get(ticket)?, i);
    }
    println!("{:?} {:?}", t.elapsed(), replies);
    drop(pipe);
    println!("{:?}", client.stats());
    println!("{:?}", client.transport_stats());
    Ok(())
}
