//! scratch
use panpipe::{Client, cmd};
fn main() -> panpipe::Result<()> {
    let url = std::env::args().nth(1).unwrap_or("redis://127.0.0.1:7101".into());
    let mut client = Client::connect(&url)?;
    for k in 0..20 {
        let _: i64 = client.call(cmd("DEL").key(format!("{{mig}}l{k}")))?;
    }
    let t = std::time::Instant::now();
    let mut seq = [0i64; 20];
    let mut errs = 0;
    let mut flushes = 0;
    let mut max = std::time::Duration::ZERO;
    while t.elapsed().as_secs() < 12 {
        let mut pipe = client.pipeline();
        let mut tickets = vec![];
        for _ in 0..10 {
            for k in 0..20 {
                tickets.push((k, pipe.call::<i64>(cmd("RPUSH").key(format!("{{mig}}l{k}")).arg(seq[k] + 1))));
                seq[k] += 1;
                pipe.call::<()>(cmd("SET").key(format!("other{k}")).arg(k));
            }
        }
        let s = std::time::Instant::now();
        let replies = pipe.flush()?;
        max = max.max(s.elapsed());
        flushes += 1;
        for r in replies.iter() {
            if let Err(e) = r {
                errs += 1;
                if errs < 5 {
                    println!("{e}  {:?}", e.outcome());
                }
            }
        }
        for (k, tk) in tickets {
            if let Ok(n) = replies.get(tk) {
                assert!(n <= seq[k]);
            }
        }
        if seq[0] % 2000 == 0 {}
    }
    let mut bad = 0;
    for k in 0..20 {
        let l: Vec<i64> = client.call(cmd("LRANGE").key(format!("{{mig}}l{k}")).arg(0).arg(-1))?;
        if l.len() as i64 != seq[k] {
            println!("len {} vs {}", l.len(), seq[k]);
            bad += 1;
        }
        for w in l.windows(2) {
            if w[0] + 1 != w[1] {
                println!("order {} {}", w[0], w[1]);
                bad += 1;
            }
        }
    }
    println!("bad {bad} errs {errs} flushes {flushes} max {max:?}");
    println!("{:?}", client.stats());
    println!("{:?}", client.transport_stats());
    Ok(())
}
