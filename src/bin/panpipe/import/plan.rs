//! What the options come to: where to begin, and with which settings.

use std::fs::{OpenOptions, remove_file};
use std::path::Path;

use panpipe::bulk::{Flush, LoadOptions, OnError as LoadOnError};
use panpipe::config::RetryUnknown;
use serde_json::{Value, json};

use super::Options;
use super::arguments::{OnError, Unknown};
use super::checkpoint::Checkpoint;
use super::ledger::{Counts, Position};
use super::lock::Lock;
use super::quantity::{ErrorsMax, Verify};
use super::rejects::{Before, Rejects};
use crate::failure::Failure;
use crate::input::{Input, InputOptions};

/// What `--rejects` says where nobody wants them.
const NO_REJECTS: &str = "none";

/// The options, read.
pub(super) struct Plan<'o> {
    pub(super) options: &'o Options,
    pub(super) input: InputOptions,
    /// The name of the reject files.
    rejects: Option<String>,
}

/// Where the load begins.
#[derive(Debug)]
pub(super) enum Begin {
    Anew,
    /// Where an earlier run was interrupted; or ended, where the checkpoint says that it is finished.
    At(Box<Checkpoint>),
}

impl<'o> Plan<'o> {
    pub(super) fn of(options: &'o Options) -> Result<Plan<'o>, Failure> {
        let input = options.input.options()?;
        if options.checks.verify != Verify::None && input.path == "-" {
            return Err(cannot_read_twice("standard input"));
        }
        let rejects = match options.errors.rejects.as_deref() {
            Some(NO_REJECTS) => None,
            Some(name) => Some(name.to_owned()),
            None => rejects_name(&input),
        };
        let goes_on = options.errors.policy(options.output.pipe_compat) == OnError::Skip;
        if options.checks.verify != Verify::None && rejects.is_none() && goes_on {
            return Err(Failure::usage("--verify reads in the reject file what not to look for")
                .hint("leave out --rejects none, or --verify"));
        }
        if options.errors.max_errors.is_some() && options.errors.on_error == Some(OnError::Stop) {
            return Err(Failure::usage(
                "--on-error stop stops at the first error, and --max-errors at a later one",
            )
            .hint("give one or the other"));
        }
        refuse_overwriting(&input.path, options)?;
        refuse_unwritable(rejects.as_deref(), options)?;
        Ok(Plan { options, input, rejects })
    }

    /// Whether the input can be read as often as the options want.
    pub(super) fn check_input(&self, input: &mut Input) -> Result<(), Failure> {
        if self.options.checks.verify != Verify::None && input.identity()?.is_none() {
            return Err(cannot_read_twice("a pipe"));
        }
        Ok(())
    }

    /// Nobody else writes the same files until these are dropped.
    pub(super) fn locks(&self) -> Result<[Option<Lock>; 2], Failure> {
        let checkpoint = self.options.resume.checkpoint.as_deref().map(|path| {
            let what = format!("the checkpoint {}", path.display());
            Lock::take(&what, path, "wait for its end, or give this load another --checkpoint")
        });
        let rejects = self.rejects.as_ref().map(|name| {
            let path = format!("{name}.rejects");
            let hint = "wait for its end, or give this load another --rejects NAME";
            Lock::take(&format!("the reject file {path}.resp"), Path::new(&path), hint)
        });
        Ok([checkpoint.transpose()?, rejects.transpose()?])
    }

    /// What the input is called.
    pub(super) fn name(&self) -> &str {
        if self.input.path == "-" { "standard input" } else { &self.input.path }
    }

    /// Looks at the checkpoint.
    pub(super) fn begin(&self, input: &mut Input) -> Result<Begin, Failure> {
        let resume = &self.options.resume;
        let Some(path) = &resume.checkpoint else { return Ok(Begin::Anew) };
        if resume.restart {
            return Ok(Begin::Anew);
        }
        let Some(checkpoint) = Checkpoint::read(path)? else { return Ok(Begin::Anew) };
        let name = path.display();
        if !resume.resume {
            let (what, hint) = if checkpoint.finished {
                ("is of a load that is complete", "--restart loads everything again")
            } else {
                ("is of a load that is not complete", "--resume goes on with it, --restart begins anew")
            };
            return Err(Failure::usage(format!("the checkpoint {name} {what}")).hint(hint));
        }
        self.refuse_changes(&checkpoint, input)?;
        Ok(Begin::At(Box::new(checkpoint)))
    }

    /// Going on in another input, or with other records, would load nobody knows what.
    fn refuse_changes(&self, checkpoint: &Checkpoint, input: &mut Input) -> Result<(), Failure> {
        let identity = identity_json(input)?;
        let same = |name: &str| identity.get(name) == checkpoint.input.get(name);
        let is_same = ["bytes", "first_hash", "last_hash"].iter().all(|name| same(name));
        if !is_same && (checkpoint.finished || !completes(&checkpoint.input, input)?) {
            let what = format!("{} is not what it was when the checkpoint was written", self.name());
            return Err(Failure::input(what).hint("go on with the same file, or begin anew with --restart"));
        }
        let reading = self.reading(input);
        if reading != checkpoint.reading {
            let changed: Vec<&str> = reading
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| checkpoint.reading.get(name.as_str()) != Some(*value))
                .map(|(name, _)| name.as_str())
                .collect();
            let what = format!(
                "the input was read otherwise when the checkpoint was written: {}",
                changed.join(", ")
            );
            return Err(
                Failure::input(what).hint("go on with the same options, or begin anew with --restart")
            );
        }
        if checkpoint.rejects != self.rejects {
            let before = checkpoint.rejects.as_deref().unwrap_or(NO_REJECTS);
            return Err(
                Failure::usage(format!("the load began with --rejects {before}")).hint("go on with the same")
            );
        }
        Ok(())
    }

    /// The options that make other records of the same bytes.
    pub(super) fn reading(&self, input: &Input) -> Value {
        let options = &self.input;
        json!({
            "format": input.format.to_string(),
            "header": options.header,
            "fields": options.fields,
            "delimiter": options.delimiter,
            "quote": options.quote.map(|quote| quote.0),
            "skip_lines": options.skip_lines,
            "templates": options.templates,
            "words": options.words,
            "skip": options.skip,
            "max": options.max,
            "slots": options.slots.as_ref().map(|slots| (slots.start(), slots.end())),
        })
    }

    /// For the summary.
    pub(super) fn options_json(&self) -> Value {
        let (pace, errors) = (&self.options.pace, &self.options.errors);
        json!({
            "window": pace.window,
            "window_bytes": pace.window_bytes,
            "max_inflight_bytes": pace.max_inflight_bytes,
            "batch": pace.batch,
            "flush_bytes": pace.flush_bytes,
            "flush_interval_ms": pace.flush_interval,
            "rate": pace.rate,
            "rate_bytes": pace.rate_bytes,
            "timeout_seconds": pace.timeout,
            "on_error": if errors.policy(self.options.output.pipe_compat) == OnError::Stop { "stop" } else { "skip" },
            "max_errors": errors.max_errors.map(|max| match max {
                ErrorsMax::Count(count) => json!(count),
                ErrorsMax::Percent(percent) => json!(format!("{percent}%")),
            }),
            "rejects": self.rejects,
            "unknown": errors.unknown.name(),
            "skip": self.input.skip,
            "max": self.input.max,
            "slots": self.input.slots.as_ref().map(|slots| (slots.start(), slots.end())),
            "verify": self.options.checks.verify.name(),
            "cmd": self.input.templates,
            "words": self.input.words,
        })
    }

    /// The reject files, what is counted already, and where the load begins.
    pub(super) fn open_rejects(&self, begin: &Begin) -> Result<(Rejects, Counts, Position), Failure> {
        let (before, counts, done) = match begin {
            Begin::At(checkpoint) => {
                (Before::Ours(checkpoint.rejects_bytes), checkpoint.counts, checkpoint.done)
            }
            Begin::Anew if self.options.resume.restart => {
                (Before::Whatever, Counts::default(), Position::default())
            }
            Begin::Anew => (Before::Nothing, Counts::default(), Position::default()),
        };
        Ok((Rejects::open(self.rejects.clone(), before)?, counts, done))
    }

    pub(super) fn load_options(&self) -> LoadOptions {
        let pace = &self.options.pace;
        LoadOptions {
            window_per_node_commands: usize::try_from(pace.window).unwrap_or(usize::MAX),
            window_per_node_bytes: pace.window_bytes,
            window_total_bytes: pace.max_inflight_bytes,
            flush: Flush::Explicit,
            // Records are counted here, not commands: the policy is ours.
            on_error: LoadOnError::Skip { count_max: None, percent_max: None },
            retry_unknown: match self.options.errors.unknown {
                Unknown::Report => RetryUnknown::Never,
                Unknown::Resend => RetryUnknown::Idempotent,
            },
            rate_commands: pace.rate,
            rate_bytes: pace.rate_bytes.map(|bytes| bytes as u64),
            command_timeout_ms: pace.timeout * 1000,
            pause_ms_max: pace.timeout * 1000,
            ..LoadOptions::default()
        }
    }
}

fn cannot_read_twice(what: &str) -> Failure {
    Failure::usage(format!("--verify reads the input twice, which {what} does not allow"))
        .hint("load from a file, or without --verify")
}

/// Shards that read the same file at the same time must not write the same files.
fn rejects_name(input: &InputOptions) -> Option<String> {
    let name = match input.path.as_str() {
        "-" => "stdin".to_owned(),
        path => Path::new(path).file_name()?.to_string_lossy().into_owned(),
    };
    Some(match &input.slots {
        Some(slots) => format!("{name}.{}-{}", slots.start(), slots.end()),
        None => name,
    })
}

/// What is written must not be what is read.
fn refuse_overwriting(input: &str, options: &Options) -> Result<(), Failure> {
    let Ok(input) = Path::new(input).canonicalize() else { return Ok(()) };
    let written = [("--checkpoint", &options.resume.checkpoint), ("--summary", &options.output.summary)];
    for (flag, path) in written {
        let path = path.as_deref().filter(|path| *path != Path::new("-"));
        if path.and_then(|path| path.canonicalize().ok()).is_some_and(|path| path == input && path.is_file())
        {
            return Err(Failure::usage(format!("{flag} names the input, which it would overwrite")));
        }
    }
    Ok(())
}

/// What can only be written at the end, or when something goes wrong, had better be looked at before.
fn refuse_unwritable(rejects: Option<&str>, options: &Options) -> Result<(), Failure> {
    if let Some(path) = options.output.summary.as_deref().filter(|path| *path != Path::new("-")) {
        let is_new = path.symlink_metadata().is_err();
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| {
            Failure::usage(format!("--summary: cannot write {}: {error}", path.display()))
        })?;
        if is_new {
            let _ = remove_file(path);
        }
    }
    let folder = rejects.and_then(|name| Path::new(name).parent());
    match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Failure::usage(format!("--rejects: there is no folder {}", folder.display()))),
        None => Ok(()),
    }
}

/// Whether the input is the whole of one that was cut off, which had this identity.
fn completes(identity: &Value, input: &mut Input) -> Result<bool, Failure> {
    let bytes = identity.get("bytes").and_then(Value::as_u64);
    let hash = identity.get("last_hash").and_then(Value::as_str);
    let hash = hash.and_then(|hash| u64::from_str_radix(hash, 16).ok());
    match bytes.zip(hash) {
        Some((bytes, hash)) => Ok(input.completes(bytes, hash)?),
        None => Ok(false),
    }
}

/// What tells one input from another.
pub(super) fn identity_json(input: &mut Input) -> Result<Value, Failure> {
    let identity = input.identity()?;
    Ok(identity.map_or(Value::Null, |identity| {
        json!({
            "bytes": identity.bytes,
            "modified": identity.modified,
            "first_hash": format!("{:016x}", identity.first_hash),
            "last_hash": format!("{:016x}", identity.last_hash),
        })
    }))
}
