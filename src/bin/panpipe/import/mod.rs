//! `panpipe import`: a file into a cluster.
//!
//! ```text
//! arguments ─▶ input ─▶ feed ─▶ loader ─▶ cluster
//!                        │ ▲       │
//!                        ▼ │       ▼ problems, watermark
//!                       ledger ◀───┘ ─▶ reject files
//!  session: the loop      └─ done ─▶ checkpoint, progress, summary ─▶ verify
//! ```
//!
//! Everything runs on one thread: it reads while it writes, and waits only where there is nothing to read or no room. Invariant: every record
//! that was read is counted once as written, rejected or empty, or is left to a resume, and says so.

mod arguments;
mod checkpoint;
mod connection;
mod dry_run;
mod errors;
mod feed;
mod frame;
mod ledger;
mod lock;
mod log;
mod meter;
mod plan;
mod quantity;
mod rejects;
mod resources;
mod ring;
mod routes;
mod segment;
mod session;
mod signals;
mod summary;
#[cfg(test)]
mod testing;
mod verify;

use std::time::Duration;

use clap::Args;
use panpipe::engine::NodeInfo;
use panpipe::{Client, Config};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::input::{Input, InputArgs};
use crate::output::Output;
use crate::target::{self, TransportChoice};
use arguments::{CheckArgs, ClusterArgs, ErrorArgs, OutputArgs, PaceArgs, ResumeArgs};
use dry_run::DryRun;
use feed::{Feed, Pace, Policy};
use ledger::{Ledger, Position};
use log::Log;
use meter::Meter;
use plan::{Begin, Plan};
use quantity::Verify;
use routes::Routes;
use session::{Closed, Ending, Session};
use signals::Signals;
use summary::Report;
use verify::{Rejected, Verified, Verifier, Watch};

/// A node that owes replies and says nothing is given up after this; longer than elsewhere, since what it has been sent is in doubt then.
const NODE_SILENT_MS: u64 = 30_000;

#[derive(Debug, Args)]
#[command(after_help = arguments::after_help(), disable_help_flag = true)]
pub(crate) struct Options {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    errors: ErrorArgs,
    #[command(flatten)]
    resume: ResumeArgs,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(
    options: &Options,
    transport: Option<TransportChoice>,
    out: &mut Output,
) -> Result<(), Failure> {
    let config = configuration(options, transport)?;
    let plan = Plan::of(options)?;
    let mut input = Input::open(&plan.input)?;
    if options.checks.dry_run {
        return dry_run(options, config, input, out);
    }
    plan.check_input(&mut input)?;
    // Before anything is read that another load could be writing.
    let _locks = plan.locks()?;
    let begin = plan.begin(&mut input)?;
    if let Begin::At(checkpoint) = &begin
        && checkpoint.finished
    {
        if !options.output.quiet {
            out.paragraph(&format!(
                "Nothing left to do: the checkpoint says that all {} records are done. --restart loads them again.",
                checkpoint.counts.records
            ));
        }
        // To look at what is there, and to tell the figures, is still something to do.
        if options.checks.verify == Verify::None && options.output.summary.is_none() {
            return summary::rejected(checkpoint.counts.rejected);
        }
    }
    let mut client = target::connect(config)?;
    let signals = signals()?;
    let mut meter = Meter::new(options.output.progress, options.output.quiet);
    let mut report = load(&plan, begin, input, &mut client, &mut meter, &signals)?;
    let mut verdict = Ok(());
    if matches!(report.closed.ending, Ending::Complete) && options.checks.verify != Verify::None {
        match verify(&plan, &report, &mut client, &signals) {
            Ok(verified) => report.verified = Some(verified),
            Err(failure) => verdict = Err(failure),
        }
    }
    // Whatever went wrong, the figures are told.
    let told = tell(options, &report, out);
    verdict.and_then(|()| report.verdict()).and(told)
}

fn tell(options: &Options, report: &Report, out: &mut Output) -> Result<(), Failure> {
    let output = &options.output;
    let has_standard_output = output.summary.as_deref().is_some_and(|path| path.as_os_str() == "-");
    if output.pipe_compat {
        report.print_as_pipe(out);
    } else if !output.quiet && !has_standard_output {
        report.print(out);
    }
    output.summary.as_ref().map_or(Ok(()), |path| report.save(path, out))
}

fn configuration(options: &Options, transport: Option<TransportChoice>) -> Result<Config, Failure> {
    let mut config = connection::configuration(&options.cluster, transport)?;
    config.node_silent_ms = NODE_SILENT_MS.min(options.pace.timeout * 1000);
    Ok(config)
}

fn signals() -> Result<Signals, Failure> {
    Signals::register().map_err(|error| Failure::check(format!("cannot listen for signals: {error}")))
}

fn dry_run(options: &Options, config: Config, mut input: Input, out: &mut Output) -> Result<(), Failure> {
    let client = target::connect(config)?;
    let signals = signals()?;
    let mut meter = Meter::new(options.output.progress, options.output.quiet);
    let mut dry_run = DryRun::new(Routes::of(&client.nodes()));
    // What was seen is told, also where not all of it can be read.
    let read = dry_run.read(&mut input, &mut meter, &signals);
    meter.end();
    if let Some(path) = &options.output.summary {
        summary::save(&dry_run.to_json(), path, out)?;
    }
    if !options.output.quiet {
        dry_run.print(out);
    }
    read?;
    match dry_run.rejected() {
        0 => Ok(()),
        some => Err(Failure::check(format!("{some} records or commands would be rejected"))),
    }
}

/// The load itself.
fn load(
    plan: &Plan<'_>,
    begin: Begin,
    mut input: Input,
    client: &mut Client,
    meter: &mut Meter,
    signals: &Signals,
) -> Result<Report, Failure> {
    let options = plan.options;
    let identity = plan::identity_json(&mut input)?;
    let mut log = Log::new(options.resume.checkpoint.clone(), identity.clone(), plan.reading(&input));
    let (rejects, counts, done) = plan.open_rejects(&begin)?;
    if let Begin::At(_) = begin {
        input.resume(crate::input::Position { records: done.record, offset: done.offset })?;
        if !options.output.quiet {
            let Position { record, offset } = done;
            meter.tell(&format!("panpipe: goes on behind record {record}, byte {offset}"));
        }
    }
    let topology = topology_json(&client.nodes());
    let mut ledger = Ledger::new(rejects, counts, done);
    log.begin(&mut ledger)?;
    let loader =
        client.loader(plan.load_options()).map_err(|error| Failure::from_library("cannot load", &error))?;
    let mut feed = Feed::new(
        input,
        loader,
        ledger,
        Pace::from(&options.pace),
        Policy::new(&options.errors, options.output.pipe_compat, options.resume.checkpoint.is_some()),
    );
    let session = Session {
        feed: &mut feed,
        log: &mut log,
        meter,
        signals,
        patience: Duration::from_secs(options.pace.timeout),
        flush_interval: Duration::from_millis(options.pace.flush_interval),
    };
    let closed = session.run();
    Ok(report(plan, closed, &mut feed, begin, (identity, topology)))
}

fn report(
    plan: &Plan<'_>,
    closed: Closed,
    feed: &mut Feed<'_>,
    begin: Begin,
    (identity, topology): (Value, Value),
) -> Report {
    let ledger = &feed.ledger;
    let client = feed.loader.client();
    let top = ledger.errors.top().into_iter();
    Report {
        input: json!({
            "path": plan.input.path,
            "format": feed.input.format.to_string(),
            "format_found": feed.input.format_found,
            "identity": identity,
        }),
        options: plan.options_json(),
        name: plan.name().to_owned(),
        closed,
        counts: ledger.counts,
        resumed: if let Begin::At(checkpoint) = &begin { Some(checkpoint.counts) } else { None },
        done: ledger.done(),
        left_out: feed.input.left_out(),
        never_sent: feed.refused(),
        bytes_read: feed.input.bytes_read().0,
        top_errors: top
            .map(|(count, class, record, text)| (count, class.to_owned(), record, text.to_owned()))
            .collect(),
        errors: ledger.errors.to_json(),
        reject_files: ledger.rejects().files(),
        checkpoint: plan.options.resume.checkpoint.as_ref().map(|path| path.display().to_string()),
        verified: None,
        topology,
        stats: client.stats(),
        transport: client.transport_stats(),
        transport_name: client.transport().kind().to_string(),
    }
}

fn topology_json(infos: &[NodeInfo]) -> Value {
    let node = |info: &NodeInfo| {
        json!({
            "id": info.id,
            "address": info.endpoint.as_ref().map(ToString::to_string),
            "primary": info.primary,
            "slots": info.slots,
        })
    };
    json!(infos.iter().map(node).collect::<Vec<_>>())
}

fn verify(
    plan: &Plan<'_>,
    report: &Report,
    client: &mut Client,
    signals: &Signals,
) -> Result<Verified, Failure> {
    let options = plan.options;
    let mut meter = Meter::new(options.output.progress, options.output.quiet).about("verifying");
    let open = || {
        let rejected = match &report.reject_files {
            Some((_, jsonl)) => Rejected::open(jsonl)?,
            None => Rejected::none(),
        };
        Ok((Input::open(&plan.input)?, rejected))
    };
    let watch = Watch { meter: &mut meter, signals };
    let timeout_ms = options.pace.timeout * 1000;
    let began = report.resumed.is_none().then_some(report.closed.began);
    Verifier::new(client, (&open, watch), options.checks.verify, report.counts.records, began, timeout_ms)
        .run()
}
