//! What the demonstration found, for a person.

use std::time::Duration;

use super::cluster::Cluster;
use super::measure::{Measured, ratio};
use super::workload::Workload;
use super::{Cleaned, Findings, Options, PREFIX, chart};
use crate::output::{Output, count, ms, plural};

/// A smaller ratio wants an explanation.
const WORTH_IT: f64 = 1.5;

/// The table needs this; a narrower one has fewer columns.
const TABLE_WIDTH: usize = 72;

pub(super) fn introduction(out: &mut Output, options: &Options, cluster: &Cluster, workload: &Workload<'_>) {
    let records = workload.records();
    out.labelled("over     ", workload.transport().name());
    let (primaries, replicas) = (workload.primaries(), workload.replicas());
    out.labelled("cluster  ", &cluster.describe(options, primaries, replicas));
    let origin = &records.origin;
    let bytes = count(records.value_bytes() as u64);
    out.labelled("data     ", &format!("{} ({origin}), {bytes} bytes", plural(records.rows.len(), "record")));
    if records.numbered > 0 {
        let nameless = plural(records.numbered, "record");
        out.labelled(
            "         ",
            &format!("{nameless} without a name of their own: the line number is the key"),
        );
    }
    let (owners, of) = (workload.nodes_of_keys(), plural(primaries, "primary"));
    out.labelled("keys     ", &format!("{PREFIX}*, which belong to {owners} of {of}"));
    let (batches, commands) = (count(workload.batches() as u64), count(options.batch as u64));
    out.labelled(
        "batches  ",
        &format!("{batches} of up to {commands} commands, written and read back on one thread"),
    );
}

pub(super) fn text(out: &mut Output, findings: &Findings<'_>) {
    let (sequential, parallel) = (&findings.sequential, &findings.parallel);
    out.line("");
    out.paragraph(&format!(
        "The same batches, node after node (sequential) against all nodes at once (parallel), {} each:",
        plural(findings.rounds, "round")
    ));
    out.line("");
    table(out, sequential, parallel);
    out.line("");
    explanation(out, sequential, parallel);
    for (title, measured) in
        [("A typical flush, node after node", sequential), ("The same, all nodes at once", parallel)]
    {
        if let Some(timeline) = measured.typical() {
            out.line("");
            out.line(&format!("{title}: {} ms", ms(timeline.total)));
            chart::draw(out, timeline, scale(findings));
        }
    }
    out.line("");
    out.paragraph(chart::LEGEND);
    out.line("");
    match &findings.cleaned {
        Cleaned::Gone => {}
        Cleaned::Kept => out.paragraph(&format!("The keys {PREFIX}* are still there (--keep).")),
        Cleaned::Deleted { deleted, problem: None } => {
            out.paragraph(&format!("{} keys deleted again.", count(*deleted)));
        }
        Cleaned::Deleted { deleted, problem: Some(problem) } => out.paragraph(&format!(
            "{} keys deleted again; the rest could not be and expires within an hour: {problem}",
            count(*deleted)
        )),
    }
    out.paragraph(&format!(
        "OK: {} values were read back, and every one is what was written.",
        count(findings.checked)
    ));
}

fn table(out: &mut Output, sequential: &Measured, parallel: &Measured) {
    // Both ways do the same work; where it is tight, how much that was is left to --json.
    let wide = out.width >= TABLE_WIDTH;
    let row = |cells: [&str; 8]| {
        let [name, batches, commands, rate, times @ ..] = cells;
        let work = if wide { format!(" {batches:>8} {commands:>9}") } else { String::new() };
        let [average, p50, p95, p99] = times;
        format!("{name:10}{work} {rate:>11} {average:>7} {p50:>7} {p95:>7} {p99:>7}")
    };
    out.line(&format!("{:1$}------- ms per flush -------", "", if wide { 42 } else { 23 }));
    out.line(&row(["", "batches", "commands", "commands/s", "average", "P50", "P95", "P99"]));
    for (name, measured) in [("sequential", sequential), ("parallel", parallel)] {
        out.line(&row([
            name,
            &count(measured.flushes() as u64),
            &count(measured.commands),
            &count(measured.commands_per_s() as u64),
            &ms(measured.average()),
            &ms(measured.percentile(50)),
            &ms(measured.percentile(95)),
            &ms(measured.percentile(99)),
        ]));
    }
    let times = |ratio: f64| format!("{ratio:.1}x");
    out.line(&row([
        "ratio",
        "",
        "",
        &times(parallel.commands_per_s() / sequential.commands_per_s()),
        &times(ratio(sequential.average(), parallel.average())),
        &times(ratio(sequential.percentile(50), parallel.percentile(50))),
        &times(ratio(sequential.percentile(95), parallel.percentile(95))),
        &times(ratio(sequential.percentile(99), parallel.percentile(99))),
    ]));
}

/// The sum of the nodes' times against their maximum, as measured.
fn explanation(out: &mut Output, sequential: &Measured, parallel: &Measured) {
    let row = |name: &str, sum: &str, slowest: &str, took: &str| {
        format!("{name:10} {sum:>15} {slowest:>13} {took:>11}")
    };
    out.line(&row("", "nodes' own", "slowest", "the flush"));
    out.line(&row("ms, average", "times added", "node alone", "took"));
    for (name, measured) in [("sequential", sequential), ("parallel", parallel)] {
        out.line(&row(
            name,
            &ms(measured.nodes_sum()),
            &ms(measured.nodes_slowest()),
            &ms(measured.average()),
        ));
    }
    out.line("");
    out.paragraph(&format!(
        "Node after node, a flush takes {:.2} times the sum of what its nodes take; all at once, {:.2} times what \
         its slowest node takes.",
        ratio(sequential.average(), sequential.nodes_sum()),
        ratio(parallel.average(), parallel.nodes_slowest())
    ));
    if parallel.nodes_per_flush() < 1.5 {
        out.paragraph("Most flushes here concern one node: there is nothing to do at once.");
    } else if ratio(sequential.average(), parallel.average()) < WORTH_IT {
        out.paragraph(
            "That is little: these nodes answer so fast that a flush is mostly work for this machine, hardly waiting. \
             It is over a network that it pays (the embedded cluster imitates one, see --delay-ms).",
        );
    }
}

/// Both charts have one scale, so that they can be compared.
fn scale(findings: &Findings<'_>) -> Duration {
    let longest = |measured: &Measured| {
        let nodes = measured.typical().map(|timeline| timeline.nodes.as_slice()).unwrap_or_default();
        nodes.iter().filter_map(|node| node.last_back).max().unwrap_or_default()
    };
    longest(&findings.sequential).max(longest(&findings.parallel))
}
