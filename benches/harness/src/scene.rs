//! What one contender does on which target: the options that `flame` and `timeline` share.

use anyhow::Result;
use clap::Args;

use crate::keys::Distribution;
use crate::target::{Kind, Spec};
use crate::workload::Workload;

/// A workload and a target.
#[derive(Debug, Clone, Args)]
pub(crate) struct Scene {
    /// A workload of `list`.
    #[arg(long, default_value = "W2")]
    workload: String,
    /// What the contender talks to.
    #[arg(long, value_enum, default_value = "sink")]
    target: Kind,
    /// A cluster that runs already, instead.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Nodes of the target.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Microseconds between a command and its reply, on the sink and the model.
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// Commands per flush, instead of the workload's own.
    #[arg(long)]
    batch: Option<usize>,
    /// Bytes per value, instead of the workload's own.
    #[arg(long)]
    value_bytes: Option<usize>,
    /// Which keys are chosen how often, instead of the workload's own.
    #[arg(long, value_enum)]
    keys: Option<Distribution>,
    /// Seed of the keys.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Scene {
    /// The workload that was asked for.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn workload(&self) -> Result<Workload> {
        let mut workload = Workload::named(&self.workload)?;
        if let Some(batch) = self.batch {
            workload = workload.with_batch(batch)?;
        }
        if let Some(value_bytes) = self.value_bytes {
            workload = workload.with_value_bytes(value_bytes);
        }
        if let Some(keys) = self.keys {
            workload.distribution = keys;
        }
        Ok(workload)
    }

    /// The target that was asked for.
    pub(crate) fn target(&self) -> Spec {
        Spec {
            kind: self.target,
            url: self.url.clone(),
            nodes: self.nodes,
            delay_us: self.delay_us,
            standalone: false,
        }
    }
}

/// The processor of this machine, as it names itself.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plural = if cores == 1 { "" } else { "s" };
    format!("{name}, {cores} core{plural}")
}

/// Text as XML may hold it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
