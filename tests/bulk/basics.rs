//! What everybody uses: pushing, windows, marks, the watermark, problems, ends.

use panpipe::cmd;
use panpipe::testkit::EmbeddedCluster;

use crate::transport::connect;
use crate::world::{LONG, push, skip};

#[test]
fn every_record_is_written_once_and_the_watermark_reaches_the_last() {
    let cluster = EmbeddedCluster::builder().primaries(3).start().unwrap();
    let mut client = connect(&cluster.url()).unwrap();
    let mut loader = client.loader(skip()).unwrap();
    for tag in 1..=30_000_u64 {
        let key = format!("k{}", tag % 5000);
        push(&mut loader, &["SET", &key, &tag.to_string()], tag, &mut Vec::new()).unwrap();
        if tag % 1000 == 0 {
            loader.turn().unwrap();
            assert!(loader.committed().is_none_or(|committed| committed <= tag));
        }
    }
    let summary = loader.finish(LONG).unwrap();
    assert_eq!(summary.outcomes.written, 30_000);
    assert_eq!(summary.outcomes.total(), 30_000);
    assert_eq!((loader.committed(), loader.pending()), (Some(30_000), 0));
    assert_eq!(loader.next_problem(), None);
    assert_eq!(summary.nodes.iter().map(|node| node.commands).sum::<u64>(), 30_000);
    assert!(summary.nodes.iter().all(|node| node.latency.samples > 0));
    drop(loader);
    let value: String = client.call(cmd("GET").key("k1")).unwrap();
    assert_eq!(value, "25001");
    let keys: u64 = client.call(cmd("DBSIZE")).unwrap();
    assert_eq!(keys, 5000);
}
