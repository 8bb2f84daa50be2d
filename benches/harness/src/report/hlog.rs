//! Latencies as an HdrHistogram interval log: what HistogramLogAnalyzer, hdr-plot and the like read.
//!
//! An interval is a round; its tag is `workload/target/contender`. Times of day are not known of rounds: a contender's intervals begin
//! where its last one ended.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::describe;
use super::document::Document;
use crate::measure::Latencies;

/// Maxima are shown in milliseconds.
const MAX_DIVISOR: f64 = 1e6;

/// All rounds that recorded latencies.
///
/// # Errors
/// Where a histogram cannot be written.
pub(crate) fn log(document: &Document) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| anyhow::anyhow!("a histogram cannot be written: {error}");
    let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[panpipe-bench, {}; latencies of batches in nanoseconds]", document.made_at))
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut log, &mut serializer)?;
    for outcome in &document.outcomes {
        for entrant in &outcome.results {
            let tag = describe::tag(&document.outcomes, outcome, &entrant.contender);
            let mut began = Duration::ZERO;
            for round in &entrant.rounds {
                let lasted = Duration::from_nanos(round.wall_ns);
                if let Ok(latencies) = Latencies::decoded(&round.latencies) {
                    writer
                        .write_histogram(latencies.histogram(), began, lasted, Tag::new(&tag))
                        .map_err(|error| failed(&error))?;
                }
                began += lasted;
            }
        }
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::sample;
    use super::*;

    #[test]
    fn the_log_is_read_back() {
        let mut document = sample::document();
        document.outcomes[0].results[0].rounds[1].latencies = String::new();
        let log = log(&document).unwrap();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram());
            let read: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.unwrap().as_slice()).unwrap();
            assert_eq!(read.len(), 101);
            found.push((interval.tag().unwrap().as_str().to_owned(), interval.start_timestamp()));
        }
        let panpipe = "W1/sink+3_nodes/panpipe".to_owned();
        let expected = [
            ("W1/sink+3_nodes/floor".to_owned(), Duration::ZERO),
            (panpipe.clone(), Duration::ZERO),
            (panpipe, Duration::from_millis(1)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn odd_names_do_not_break_it() {
        let log = log(&sample::everything()).unwrap();
        assert!(IntervalLogIterator::new(&log).all(|entry| entry.is_ok()));
    }
}
