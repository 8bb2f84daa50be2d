//! Where it was measured. What the system does not say is "unknown", not guessed.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// One machine, and the program that measured on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Cores that this process may use, threads of one core counted apart.
    pub(crate) logical_cores: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) os: String,
    pub(crate) kernel: String,
    /// Of the compiler that made this program.
    pub(crate) rustc: String,
    /// Of this program.
    pub(crate) version: String,
    /// The commit that was checked out when it was built; changes that were not committed are not seen.
    pub(crate) revision: Option<String>,
    /// Over one, five and fifteen minutes, before the first round.
    pub(crate) load_average: Option<[f64; 3]>,
}

static LOAD_AVERAGE: OnceLock<Option<[f64; 3]>> = OnceLock::new();

/// Notes what else the machine does, before we do anything ourselves.
pub(crate) fn begin() {
    LOAD_AVERAGE.get_or_init(load_average_now);
}

/// What the machine does now: over one, five and fifteen minutes.
pub(crate) fn load_average_now() -> Option<[f64; 3]> {
    load_average(&file("/proc/loadavg"))
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Machine {
        begin();
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let kernel = match (file("/proc/sys/kernel/ostype").trim(), file("/proc/sys/kernel/osrelease").trim())
        {
            ("", _) | (_, "") => std::env::consts::OS.to_owned(),
            (name, release) => format!("{name} {release}"),
        };
        Machine {
            cpu: or_unknown(value(&file("/proc/cpuinfo"), "model name", ':')),
            logical_cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_bytes: memory_bytes(&file("/proc/meminfo")),
            os: or_unknown(value(&file("/etc/os-release"), "PRETTY_NAME", '=')),
            kernel: format!("{kernel} {}", std::env::consts::ARCH),
            rustc: or_unknown(Some(env!("HARNESS_RUSTC").to_owned()).filter(|text| !text.is_empty())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: Some(env!("HARNESS_REVISION").to_owned()).filter(|text| !text.is_empty()),
            load_average: LOAD_AVERAGE.get().copied().flatten(),
        }
    }

    /// Names and values to be shown.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let memory = self
            .memory_bytes
            .map_or("unknown".to_owned(), |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
        let revision = self.revision.as_ref().map_or(String::new(), |revision| format!(", {revision}"));
        let load = self
            .load_average
            .map_or("unknown".to_owned(), |[one, five, more]| format!("{one:.2}, {five:.2}, {more:.2}"));
        vec![
            ("processor", format!("{}, {} logical cores", self.cpu, self.logical_cores)),
            ("memory", memory),
            ("system", format!("{}, {}", self.os, self.kernel)),
            ("compiler", self.rustc.clone()),
            ("program", format!("panpipe-bench {}{revision}", self.version)),
            ("load before", load),
        ]
    }
}

/// What a file says; nothing where there is none.
fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first `name<separator>value`, without quotes.
fn value(text: &str, name: &str, separator: char) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let total = value(meminfo, "MemTotal", ':')?;
    Some(total.strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn load_average(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(memory_bytes("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(value("a\nmodel name\t: Some CPU\n", "model name", ':').as_deref(), Some("Some CPU"));
        assert_eq!(value("PRETTY_NAME=\"An OS 1\"\n", "PRETTY_NAME", '=').as_deref(), Some("An OS 1"));
        assert_eq!(load_average("0.10 2.00 3.50 1/2 3\n"), Some([0.1, 2.0, 3.5]));
    }

    #[test]
    fn what_it_does_not_say_is_not_guessed() {
        assert_eq!(memory_bytes(""), None);
        assert_eq!(value("", "model name", ':'), None);
        assert_eq!(load_average("much"), None);
    }
}
