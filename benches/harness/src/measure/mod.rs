//! What is measured of a worker process, and how: processor time and switches from getrusage, allocations by the global allocator,
//! latencies in HdrHistograms.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

pub(crate) mod alloc;

/// Latencies in nanoseconds, three significant digits, up to a minute.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

const LATENCY_NS_MAX: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

impl Latencies {
    pub(crate) fn new() -> Latencies {
        let histogram = Histogram::new_with_max(LATENCY_NS_MAX, SIGNIFICANT_DIGITS);
        Latencies { histogram: histogram.expect("the bounds are constants that the type accepts") }
    }

    /// Records one; what lasts longer than a minute counts as a minute.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.histogram.saturating_record(nanos);
    }

    pub(crate) fn add(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The histogram in HdrHistogram's V2 compressed form, in base64: what its logs hold.
    pub(crate) fn encoded(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.histogram, &mut bytes)
            .expect("a histogram of these bounds can be written into memory");
        STANDARD.encode(bytes)
    }

    /// The reverse of [`Latencies::encoded`].
    ///
    /// # Errors
    /// Where the text is something else.
    pub(crate) fn decoded(text: &str) -> Result<Latencies> {
        let bytes = STANDARD.decode(text).context("a histogram is not in base64")?;
        let read = Deserializer::new().deserialize(&mut bytes.as_slice());
        let read: Histogram<u64> =
            read.map_err(|error| anyhow::anyhow!("a histogram cannot be read: {error}"))?;
        let mut latencies = Latencies::new();
        latencies
            .histogram
            .add(&read)
            .map_err(|error| anyhow::anyhow!("a histogram does not fit: {error}"))?;
        Ok(latencies)
    }
}

/// What the process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

impl Used {
    /// By this process and the children it has waited for.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(crate) fn so_far() -> Result<Used> {
        let own = Used::of(&getrusage(UsageWho::RUSAGE_SELF)?);
        let children = Used::of(&getrusage(UsageWho::RUSAGE_CHILDREN)?);
        Ok(Used {
            user_ns: own.user_ns + children.user_ns,
            system_ns: own.system_ns + children.system_ns,
            voluntary_switches: own.voluntary_switches + children.voluntary_switches,
            involuntary_switches: own.involuntary_switches + children.involuntary_switches,
        })
    }

    fn of(usage: &Usage) -> Used {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Used {
            user_ns: unsigned(usage.user_time().num_nanoseconds()),
            system_ns: unsigned(usage.system_time().num_nanoseconds()),
            voluntary_switches: unsigned(usage.voluntary_context_switches()),
            involuntary_switches: unsigned(usage.involuntary_context_switches()),
        }
    }

    pub(crate) fn since(self, earlier: Used) -> Used {
        Used {
            user_ns: self.user_ns - earlier.user_ns,
            system_ns: self.system_ns - earlier.system_ns,
            voluntary_switches: self.voluntary_switches - earlier.voluntary_switches,
            involuntary_switches: self.involuntary_switches - earlier.involuntary_switches,
        }
    }
}

/// The most memory that the process, or a child of it, has ever had resident, in bytes.
///
/// Of the process itself from /proc: getrusage counts what the process that started it held at that moment.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn peak_memory_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("the system does not say how much memory is used")?;
    let own = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let own = own.context("the system does not say how much memory was used at most")?;
    let children = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss()).unwrap_or(0);
    Ok(own.max(children) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_back_as_it_was() {
        let mut latencies = Latencies::new();
        for micros in 1..1000 {
            latencies.record(Duration::from_micros(micros));
        }
        let back = Latencies::decoded(&latencies.encoded()).unwrap();
        assert_eq!(back.histogram(), latencies.histogram());
        assert!(Latencies::decoded("nonsense").is_err());
    }

    #[test]
    fn what_lasts_too_long_counts_as_a_minute() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_secs(3600));
        let max = latencies.histogram().max();
        assert!((59_000_000_000..61_000_000_000).contains(&max), "{max}");
    }
}
