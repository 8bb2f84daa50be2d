//! What the load came to: as text, as JSON, and as redis-cli --pipe says it.

use std::path::Path;
use std::time::Duration;

use panpipe::bulk;
use panpipe::engine::Stats;
use panpipe::transport::TransportStats;
use serde_json::{Value, json};

use super::ledger::{Counts, Position};
use super::meter::span;
use super::resources::Resources;
use super::session::{Closed, Ending};
use super::verify::Verified;
use crate::failure::{CHECK, Failure, INTERRUPTED, MISMATCH};
use crate::output::{Output, as_ms, count, excerpt, plural};

/// Errors that are shown.
const ERRORS_SHOWN: usize = 5;

/// Everything that is to be told.
pub(super) struct Report {
    pub(super) input: Value,
    pub(super) options: Value,
    pub(super) name: String,
    pub(super) closed: Closed,
    pub(super) counts: Counts,
    /// As of the checkpoint that this run began at.
    pub(super) resumed: Option<Counts>,
    pub(super) done: Position,
    pub(super) left_out: u64,
    /// Commands that this run refused to send.
    pub(super) never_sent: u64,
    pub(super) bytes_read: u64,
    /// Count, class, first record, its text.
    pub(super) top_errors: Vec<(u64, String, u64, String)>,
    pub(super) errors: Vec<Value>,
    /// To import again, where there is anything, and why.
    pub(super) reject_files: Option<(Option<String>, String)>,
    pub(super) checkpoint: Option<String>,
    pub(super) verified: Option<Verified>,
    pub(super) topology: Value,
    pub(super) stats: Stats,
    pub(super) transport: TransportStats,
    pub(super) transport_name: String,
}

impl Report {
    /// Records and commands of this run alone.
    fn own(&self) -> (u64, u64) {
        let before = self.resumed.unwrap_or_default();
        (self.counts.records - before.records, self.counts.commands - before.commands)
    }

    fn rate(&self) -> f64 {
        self.own().0 as f64 / self.closed.elapsed.as_secs_f64().max(1e-6)
    }

    /// How the program ends.
    pub(super) fn verdict(&mut self) -> Result<(), Failure> {
        let place = self.place();
        let ending = std::mem::replace(&mut self.closed.ending, Ending::Complete);
        match ending {
            Ending::Stopped(failure) => Err(failure.also(&place)),
            Ending::Interrupted => Err(Failure::new(INTERRUPTED, format!("interrupted; {place}"))),
            Ending::Complete => {
                let mismatches = self.verified.as_ref().map_or(0, Verified::mismatches);
                if mismatches > 0 {
                    let what = plural(mismatches as usize, "place");
                    return Err(Failure::new(MISMATCH, format!("{what} in the cluster not as written")));
                }
                rejected(self.counts.rejected).map_err(|failure| match &self.reject_files {
                    Some((Some(resp), jsonl)) => {
                        failure.hint(format!("{jsonl} says why; panpipe import {resp} tries them once more"))
                    }
                    Some((None, jsonl)) => failure.hint(format!("{jsonl} says why")),
                    None => failure,
                })
            }
        }
    }

    /// Where the load ended, for going on.
    fn place(&self) -> String {
        let Position { record, offset } = self.done;
        let place =
            format!("{} done; the next begins at byte {}", plural(record as usize, "record"), count(offset));
        match &self.checkpoint {
            Some(path) => format!("{place}; --checkpoint {path} --resume goes on there"),
            None => format!("{place}; --skip {record} goes on there"),
        }
    }

    pub(super) fn print(&self, out: &mut Output) {
        let counts = &self.counts;
        let mut line = format!(
            "{}: {}, {} written, {} rejected",
            self.name,
            plural(counts.records as usize, "record"),
            count(counts.written),
            count(counts.rejected),
        );
        if let Some(before) = self.resumed {
            line.push_str(&format!(" ({} of them in earlier runs)", count(before.records)));
        }
        if counts.unknown > 0 {
            line.push_str(&format!(
                ", of which {} may have been written all the same",
                count(counts.unknown)
            ));
        }
        if self.left_out > 0 {
            line.push_str(&format!(", {} left out", count(self.left_out)));
        }
        out.paragraph(&line);
        let (records, commands) = self.own();
        let elapsed = self.closed.elapsed;
        let time = if elapsed < Duration::from_secs(10) {
            format!("{:.2} s", elapsed.as_secs_f64())
        } else {
            span(elapsed)
        };
        out.paragraph(&format!(
            "{} and {} in {time}: {} records per second",
            plural(records as usize, "record"),
            plural(commands as usize, "command"),
            count(self.rate() as u64),
        ));
        out.line("");
        self.print_nodes(out);
        self.print_errors(out);
        if let Some(verified) = &self.verified {
            verified.print(out);
        }
        if let Some(path) = &self.checkpoint {
            out.paragraph(&format!(
                "Checkpoint: {path} (record {}, byte {})",
                self.done.record, self.done.offset
            ));
        }
        let resources = Resources::now();
        if let (Some(cpu), Some(peak)) = (resources.cpu_seconds(), resources.peak_bytes) {
            out.paragraph(&format!(
                "Processor time {cpu:.2} s, peak memory {:.1} MiB",
                peak as f64 / 1048576.0
            ));
        }
    }

    fn print_nodes(&self, out: &mut Output) {
        let row = |node: &bulk::NodeSummary| {
            let latency = &node.latency;
            let ms = [latency.p50, latency.p99, latency.max].map(|time| format!("{:.1}", as_ms(time)));
            let [commands, redirects, reconnects, stalls] =
                [node.commands, node.redirects, node.reconnects, node.stalls].map(count);
            vec![node.node.clone(), commands, redirects, reconnects, ms.join(" / "), stalls]
        };
        let rows: Vec<Vec<String>> = self.closed.loader.nodes.iter().map(row).collect();
        let heads = ["node", "commands", "redirects", "reconnects", "reply ms p50/p99/max", "stalls"];
        if !rows.is_empty() {
            out.table(&heads, &rows);
            out.line("");
        }
    }

    fn print_errors(&self, out: &mut Output) {
        for (number, class, record, text) in self.top_errors.iter().take(ERRORS_SHOWN) {
            let text = excerpt(text.as_bytes());
            out.labelled(
                &format!("{:>9}  {class}: ", count(*number)),
                &format!("first at record {record}: {text}"),
            );
        }
        if self.top_errors.len() > ERRORS_SHOWN {
            out.line(&format!("           and {} more kinds", self.top_errors.len() - ERRORS_SHOWN));
        }
        match &self.reject_files {
            Some((Some(resp), jsonl)) => {
                out.paragraph(&format!("Rejected: {resp} (to import again), {jsonl} (why)"));
            }
            Some((None, jsonl)) => out.paragraph(&format!("Rejected: {jsonl} (why)")),
            None => {}
        }
    }

    /// The last lines of redis-cli --pipe.
    pub(super) fn print_as_pipe(&self, out: &mut Output) {
        if matches!(self.closed.ending, Ending::Complete) {
            out.line("All data transferred. Waiting for the last reply...");
            out.line("Last reply received from server.");
        }
        out.line(&format!(
            "errors: {}, replies: {}",
            self.counts.commands_failed + self.counts.unreadable,
            self.counts.commands
        ));
    }

    pub(super) fn to_json(&self) -> Value {
        let elapsed = self.closed.elapsed.as_secs_f64();
        let (records, commands) = self.own();
        let (ending, error) = match &self.closed.ending {
            Ending::Complete => ("complete", None),
            Ending::Interrupted => ("interrupted", None),
            Ending::Stopped(failure) => ("stopped", Some(failure.to_json())),
        };
        json!({
            "program": { "name": "panpipe", "version": env!("CARGO_PKG_VERSION") },
            "ending": ending,
            "error": error,
            "input": self.input,
            "options": self.options,
            "records": {
                "done": self.counts.records,
                "written": self.counts.written,
                "rejected": self.counts.rejected,
                "empty": self.counts.empty,
                "unreadable": self.counts.unreadable,
                "unknown": self.counts.unknown,
                "left_out": self.left_out,
                "in_earlier_runs": self.resumed.map_or(0, |before| before.records),
            },
            "commands": {
                "done": self.counts.commands,
                "failed": self.counts.commands_failed,
                "never_sent": self.never_sent,
                // Behind the watermark: written or not, they are in no count, and a resume writes them.
                "left_for_resume": (self.closed.loader.pushed + self.never_sent).saturating_sub(commands),
            },
            "position": self.done,
            "timing": {
                "seconds": elapsed,
                "records_per_second": self.rate(),
                "commands_per_second": commands as f64 / elapsed.max(1e-6),
                "input_bytes_read": self.bytes_read,
                "records_of_this_run": records,
                "commands_of_this_run": commands,
                "paused_seconds": self.closed.loader.paused.as_secs_f64(),
            },
            "topology": self.topology,
            "nodes": self.closed.loader.nodes.iter().map(node_json).collect::<Vec<_>>(),
            "loader": loader_json(&self.closed.loader),
            "errors": self.errors,
            "rejects": self.reject_files.as_ref().map(|(resp, jsonl)| json!({ "resp": resp, "jsonl": jsonl })),
            "checkpoint": self.checkpoint,
            "verify": self.verified.as_ref().map(Verified::to_json),
            "resources": Resources::now().to_json(),
            "client": self.client_json(),
        })
    }

    fn client_json(&self) -> Value {
        let total = &self.stats.total;
        json!({
            "transport": self.transport_name,
            "transport_system_calls": self.transport.system_calls(),
            "moved": total.moved,
            "asks": total.asks,
            "retries": total.retries,
            "resent": total.resent,
            "disconnects": total.disconnects,
            "timeouts": total.timeouts,
            "bytes_sent": total.bytes_sent,
            "bytes_received": total.bytes_received,
            "topology_refreshes": self.stats.refreshes,
        })
    }

    /// Writes the JSON where it is wanted.
    pub(super) fn save(&self, path: &Path, out: &mut Output) -> Result<(), Failure> {
        let json = self.to_json();
        save(&json, path, out)
    }
}

/// How a load ends that was complete but for so many records.
pub(super) fn rejected(records: u64) -> Result<(), Failure> {
    match records {
        0 => Ok(()),
        some => Err(Failure::new(CHECK, format!("{} rejected", plural(some as usize, "record")))),
    }
}

/// Writes JSON to a file, or to standard output for `-`.
pub(super) fn save(json: &Value, path: &Path, out: &mut Output) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    if path == Path::new("-") {
        out.line(&text);
        return Ok(());
    }
    std::fs::write(path, text + "\n")
        .map_err(|error| Failure::check(format!("--summary: cannot write {}: {error}", path.display())))
}

fn node_json(node: &bulk::NodeSummary) -> Value {
    let latency = &node.latency;
    json!({
        "node": node.node,
        "commands": node.commands,
        "bytes": node.bytes,
        "redirects": node.redirects,
        "reconnects": node.reconnects,
        "stalls": node.stalls,
        "stall_max_ms": as_ms(node.stall_max),
        "reply_ms": { "p50": as_ms(latency.p50), "p99": as_ms(latency.p99), "max": as_ms(latency.max), "samples": latency.samples },
    })
}

fn loader_json(summary: &bulk::Summary) -> Value {
    let outcomes = &summary.outcomes;
    json!({
        "pushed": summary.pushed,
        "bytes": summary.bytes,
        "written": outcomes.written,
        "executed_with_error": outcomes.executed_with_error,
        "not_executed": outcomes.not_executed,
        "unknown": outcomes.unknown,
        "reply_lost": outcomes.reply_lost,
        "flushes": summary.flushes,
        "refusals": summary.refusals,
    })
}
