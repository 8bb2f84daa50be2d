//! Every round as a line of CSV, for whoever wants to compute something else. `SCHEMA.md` describes the columns.

use anyhow::Result;
use serde::Serialize;

use super::describe;
use super::document::Document;
use crate::load::Load;
use crate::measure::Latencies;
use crate::race::{Entrant, Race};
use crate::worker::Figures;

/// One line. What does not apply is empty.
#[derive(Debug, Default, Serialize)]
struct Row {
    workload: String,
    target: String,
    load: String,
    batch: usize,
    value_bytes: usize,
    keys: String,
    nodes: usize,
    delay_us: u64,
    spin_us: u32,
    flush_policy: String,
    rate_batches_per_s: Option<f64>,
    rate_share: Option<f64>,
    lanes: Option<usize>,
    contender: String,
    kind: &'static str,
    round: Option<usize>,
    flushes: Option<u64>,
    commands: Option<u64>,
    errors: Option<u64>,
    wall_ns: Option<u64>,
    user_ns: Option<u64>,
    system_ns: Option<u64>,
    voluntary_switches: Option<u64>,
    involuntary_switches: Option<u64>,
    peak_memory_bytes: Option<u64>,
    writes: Option<u64>,
    reads: Option<u64>,
    waits: Option<u64>,
    sleeps: Option<u64>,
    bytes_written: Option<u64>,
    bytes_read: Option<u64>,
    redirects: Option<u64>,
    allocations: Option<u64>,
    allocated_bytes: Option<u64>,
    latencies: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p99_9_ns: Option<u64>,
    max_ns: Option<u64>,
    failure: String,
}

/// All rounds of all contenders; one that has none has a line that says why.
///
/// # Errors
/// None that is known: it is written into memory.
pub(crate) fn csv(document: &Document) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for outcome in &document.outcomes {
        for entrant in &outcome.results {
            for row in rows(&outcome.race, entrant) {
                writer.serialize(row)?;
            }
        }
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("the lines cannot be written: {error}"))
}

fn rows(race: &Race, entrant: &Entrant) -> Vec<Row> {
    let timed = entrant.rounds.iter().enumerate();
    let mut rows: Vec<Row> = timed
        .map(|(round, figures)| with_figures(circumstances(race), "timed", Some(round), figures))
        .collect();
    rows.extend(entrant.counted.iter().map(|figures| {
        let row = with_figures(circumstances(race), "counted", None, figures);
        // Counting takes time: these are no times to be compared.
        Row { wall_ns: None, user_ns: None, system_ns: None, ..row }
    }));
    if let Some(reason) = &entrant.failure {
        rows.push(Row { kind: "failure", failure: reason.clone(), ..circumstances(race) });
    }
    rows.iter_mut().for_each(|row| row.contender.clone_from(&entrant.contender));
    rows
}

fn circumstances(race: &Race) -> Row {
    let mut row = Row {
        workload: race.workload.name.clone(),
        target: race.target.to_string(),
        load: describe::load(&race.load),
        batch: race.workload.batch,
        value_bytes: race.workload.value_bytes,
        keys: describe::lower(race.workload.distribution),
        nodes: race.target.nodes,
        delay_us: race.target.delay_us,
        spin_us: race.spin_us,
        flush_policy: describe::policy(race.flush_policy),
        ..Row::default()
    };
    match race.load {
        Load::Open { batches_per_s, .. } => row.rate_batches_per_s = Some(batches_per_s),
        Load::Share { share, .. } => row.rate_share = Some(share),
        Load::Stress { lanes, .. } => row.lanes = Some(lanes),
        Load::Closed { .. } | Load::Batches { .. } | Load::Stream { .. } => {}
    }
    row
}

fn with_figures(row: Row, kind: &'static str, round: Option<usize>, figures: &Figures) -> Row {
    let latencies = Latencies::decoded(&figures.latencies).ok().filter(|l| !l.histogram().is_empty());
    let quantile = |quantile| latencies.as_ref().map(|l| l.histogram().value_at_quantile(quantile));
    let counters = figures.counters.as_ref();
    Row {
        kind,
        round,
        flushes: Some(figures.flushes),
        commands: Some(figures.commands),
        errors: Some(figures.errors),
        wall_ns: Some(figures.wall_ns),
        user_ns: Some(figures.user_ns),
        system_ns: Some(figures.system_ns),
        voluntary_switches: Some(figures.voluntary_switches),
        involuntary_switches: Some(figures.involuntary_switches),
        peak_memory_bytes: Some(figures.peak_memory_bytes),
        writes: counters.map(|counters| counters.writes),
        reads: counters.map(|counters| counters.reads),
        waits: counters.map(|counters| counters.waits),
        sleeps: counters.and_then(|counters| counters.sleeps),
        bytes_written: counters.map(|counters| counters.bytes_written),
        bytes_read: counters.map(|counters| counters.bytes_read),
        redirects: counters.map(|counters| counters.redirects),
        allocations: figures.allocations.map(|(calls, _)| calls),
        allocated_bytes: figures.allocations.map(|(_, bytes)| bytes),
        latencies: latencies.as_ref().map(|latencies| latencies.histogram().len()),
        p50_ns: quantile(0.5),
        p90_ns: quantile(0.9),
        p99_ns: quantile(0.99),
        p99_9_ns: quantile(0.999),
        max_ns: latencies.as_ref().map(|latencies| latencies.histogram().max()),
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_round_is_a_line() {
        let bytes = csv(&sample::document()).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let heads = reader.headers().unwrap().clone();
        let column = |name: &str| heads.iter().position(|head| head == name).unwrap();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        // Two contenders, two timed rounds and a counted one each.
        assert_eq!(records.len(), 6);
        let user: Vec<&str> = records.iter().map(|record| &record[column("user_ns")]).collect();
        assert_eq!(user, ["50000", "60000", "", "80000", "85000", ""]);
        assert_eq!(&records[2][column("allocations")], "2000");
        assert_eq!(&records[3][column("target")], "sink, 3 nodes");
        assert_eq!((&records[4][column("round")], &records[4][column("contender")]), ("1", "panpipe"));
    }

    #[test]
    fn odd_names_and_failures_come_through() {
        let bytes = csv(&sample::everything()).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let failed = records.iter().find(|record| record.iter().any(|cell| cell == "failure")).unwrap();
        assert!(failed.iter().any(|cell| cell == "<b>&\"'odd, name"));
        assert!(failed.iter().any(|cell| cell == "it broke: <script>"));
    }

    #[test]
    fn every_column_is_described() {
        let bytes = csv(&sample::document()).unwrap();
        let description = include_str!("../../SCHEMA.md");
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        for head in reader.headers().unwrap() {
            assert!(description.contains(&format!("`{head}`")), "SCHEMA.md does not mention `{head}`");
        }
    }
}
