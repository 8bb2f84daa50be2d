//! The test support against itself: real clusters start, can be broken and mended, and leave nothing behind.

mod servers;

#[test]
fn nothing_yet() {
    for version in servers::Version::ALL {
        let start = std::time::Instant::now();
        let cluster = servers::Cluster::start(version, 3, 3);
        eprintln!("{} {:?}", version.name(), start.elapsed());
        drop(cluster);
    }
}
