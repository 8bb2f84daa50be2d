//! What `panpipe import` is told on its command line.
//!
//! Spellings are those of redis-cli wherever it has the option. Invariant: nothing here is printed with a secret in it.

use std::fmt;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::quantity::{self, ErrorsMax, Verify};
use crate::input::COMMANDS_HELP;
use crate::target::URL_HELP;

/// What it does, in more words than one line.
const MORE: &str = "\
Reads RESP (what redis-cli --pipe takes), plain commands, key-value lines, CSV and its relatives, JSON lines and JSON; gzip and zstd are \
recognised. Records become commands by templates (--cmd, or a command behind the file). One thread reads while it writes, in bounded \
memory, to all nodes at once; redirects are followed.

A record that the cluster refuses goes to a reject file, which can be imported again. With --checkpoint a load that was interrupted goes \
on where it was. At least once: then a record may be written twice, and none is left out.";

const EXAMPLES: &str = "\
Examples:
  panpipe import planes.csv --header --cmd 'HSET plane:#{tailnum} model #{model}' -p 7000
      one hash per line; #{name} is a column; braces without # are hash tags
  zstdcat dump.resp.zst | panpipe import - --pipe-compat --rejects dump -h 10.0.0.1 -p 7000
      redis-cli --pipe, for a cluster; dump.rejects.jsonl says what was refused, and why
  panpipe import events.jsonl --cmd 'RPUSH log:{#{user}} #{@record}' --checkpoint e.ckpt --resume
      goes on where an earlier run was interrupted, or begins";

const EXIT_CODES: &str = "\
Exit codes:
  0    every record is written
  1    the load is complete, and some records were rejected
  2    the command line is wrong
  3    stopped: by --on-error or --max-errors, by servers that take no more writes, or because
       a reject file or the checkpoint cannot be written
  4    cannot connect, log in, or learn who serves the slots
  5    the input cannot be read, or is not the one that the checkpoint was written for
  6    --verify found something else than what was written
  130  interrupted; with --checkpoint, where it stopped is written";

pub(super) fn after_help() -> String {
    format!("{MORE}\n\n{COMMANDS_HELP}\n\n{EXAMPLES}\n\n{EXIT_CODES}")
}

/// Which cluster, and as whom.
#[derive(Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Host of any one node.
    #[arg(short = 'h', long = "host", value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,

    /// Its port.
    #[arg(short, long, value_name = "PORT", default_value = "6379", value_parser = quantity::port)]
    pub(super) port: u16,

    #[arg(short, long = "url", visible_alias = "uri", value_name = "URL", help = URL_HELP, conflicts_with_all = ["host", "port"])]
    pub(super) url: Option<String>,

    /// Password; better in the environment variable REDISCLI_AUTH, where the process list does not show it.
    #[arg(short = 'a', long = "pass", value_name = "PASSWORD", allow_hyphen_values = true)]
    pub(super) password: Option<String>,

    /// User, where it is not the default one.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,

    /// Encrypt the connections: not supported yet.
    #[arg(long)]
    pub(super) tls: bool,

    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) cacert: Option<PathBuf>,
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) cert: Option<PathBuf>,
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) key: Option<PathBuf>,
    #[arg(long, value_name = "NAME", hide = true)]
    pub(super) sni: Option<String>,

    /// As redis-cli has it; a cluster is what this is about.
    #[arg(short = 'c', hide = true)]
    pub(super) cluster_mode: bool,
}

impl fmt::Debug for ClusterArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterArgs")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("url", &self.url.as_ref().map(|_| "<redacted>"))
            .field("password", &self.password.as_ref().map(|_| "<redacted>"))
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// How much is under way, and how fast.
#[derive(Debug, Args)]
#[command(next_help_heading = "Window and pace")]
pub(super) struct PaceArgs {
    /// Commands without a reply, per node.
    #[arg(long, value_name = "N", default_value = "4096", value_parser = quantity::some)]
    pub(super) window: u64,

    /// Bytes without a reply, per node.
    #[arg(long, value_name = "BYTES", default_value = "4mb", value_parser = quantity::some_bytes)]
    pub(super) window_bytes: usize,

    /// Bytes without a reply in all, and bytes of records that are kept until all before them are done.
    #[arg(long, value_name = "BYTES", default_value = "16mb", value_parser = quantity::some_bytes)]
    pub(super) max_inflight_bytes: usize,

    /// Send after so many commands...
    #[arg(long, value_name = "N", default_value = "4000", value_parser = quantity::some)]
    pub(super) batch: u64,

    /// ...or after so many bytes...
    #[arg(long, value_name = "BYTES", default_value = "512kb", value_parser = quantity::some_bytes)]
    pub(super) flush_bytes: usize,

    /// ...or when the input has nothing more for so many milliseconds.
    #[arg(long, value_name = "MS", default_value = "5", value_parser = RangedU64ValueParser::<u64>::new().range(0..=60_000))]
    pub(super) flush_interval: u64,

    /// At most so many commands per second.
    #[arg(long, value_name = "N", value_parser = quantity::some)]
    pub(super) rate: Option<u64>,

    /// At most so many bytes per second.
    #[arg(long, value_name = "BYTES", value_parser = quantity::some_bytes)]
    pub(super) rate_bytes: Option<usize>,

    /// How long a command may wait for its reply. A node that stands still for less than this, and less than 30 s, costs no record; what a node
    /// owed when it died is unknown (see --unknown).
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = RangedU64ValueParser::<u64>::new().range(1..=86_400))]
    pub(super) timeout: u64,
}

/// What happens to records that fail.
#[derive(Debug, Args)]
#[command(next_help_heading = "Errors")]
pub(super) struct ErrorArgs {
    /// What to do when a record fails: stop the load, or write it to the reject file and go on [default: stop; skip with --max-errors or --pipe-compat].
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(super) on_error: Option<OnError>,

    /// Go on, and stop when more than so many records, or more than this share of them (2%; looked at from the 1000th record on), have failed.
    #[arg(long, value_name = "N|P%", value_parser = quantity::errors_max)]
    pub(super) max_errors: Option<ErrorsMax>,

    /// Rejected records go to NAME.rejects.resp, which can be imported, and NAME.rejects.jsonl, which says why; `none`: nowhere [default: the input's name, with the slots of --shard or --slots, in the working directory].
    #[arg(long, value_name = "NAME")]
    pub(super) rejects: Option<String>,

    /// A command whose reply was lost with its connection may or may not have run: report it as rejected, or send it again where running twice does no harm (SET, HSET, SADD, ...).
    #[arg(long, value_name = "WHAT", value_enum, default_value = "report")]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    Stop,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Unknown {
    Report,
    Resend,
}

impl Unknown {
    pub(super) fn name(self) -> &'static str {
        match self {
            Unknown::Report => "report",
            Unknown::Resend => "resend",
        }
    }
}

impl ErrorArgs {
    /// redis-cli --pipe goes on, whatever the server answers.
    pub(super) fn policy(&self, pipe_compat: bool) -> OnError {
        let implied = if self.max_errors.is_some() || pipe_compat { OnError::Skip } else { OnError::Stop };
        self.on_error.unwrap_or(implied)
    }
}

/// Going on where an earlier run was interrupted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resume")]
pub(super) struct ResumeArgs {
    /// Note every second, and at the end, how far the load is. One load at a time may do so in the same file, or have the same reject files.
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,

    /// Go on where the checkpoint says; from the beginning where there is none yet.
    #[arg(long, requires = "checkpoint")]
    pub(super) resume: bool,

    /// Begin anew: the checkpoint and the reject files of an earlier run are overwritten.
    #[arg(long, conflicts_with = "resume")]
    pub(super) restart: bool,
}

/// Looking before and after.
#[derive(Debug, Args)]
#[command(next_help_heading = "Checks")]
pub(super) struct CheckArgs {
    /// Read and route everything, write nothing: commands per node and slot, the hottest slots, what would be refused.
    #[arg(long, conflicts_with_all = ["checkpoint", "verify"])]
    pub(super) dry_run: bool,

    /// After the load, read the input once more and compare it with what the cluster holds: `count` asks for the keys, `sample:N` and `full` for the values. The last record of a key counts, rejected ones do not; commands whose doing cannot be told from themselves (INCR) are named.
    #[arg(long, value_name = "WHAT", default_value = "none", value_parser = Verify::parse)]
    pub(super) verify: Verify,
}

/// What is told, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Progress on standard error: a bar, a line every five seconds, or nothing [auto: a bar on a terminal, else lines].
    #[arg(long, value_name = "HOW", value_enum, default_value = "auto")]
    pub(super) progress: ProgressChoice,

    /// Write all figures as JSON to a file; `-` is standard output, in place of the text.
    #[arg(long, value_name = "FILE.json")]
    pub(super) summary: Option<PathBuf>,

    /// No progress and no summary; errors are still told.
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Speak as redis-cli --pipe does: `errors: N, replies: N` at the end.
    #[arg(long)]
    pub(super) pipe_compat: bool,

    /// Print this help.
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    Auto,
    Bar,
    Log,
    None,
}
