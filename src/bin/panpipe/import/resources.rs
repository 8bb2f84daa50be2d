//! What the load has cost, by the system's account; nothing where the system has none.

use serde_json::{Value, json};

/// Ticks per second of the times in `/proc`; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resources {
    user_seconds: Option<f64>,
    system_seconds: Option<f64>,
    pub(super) peak_bytes: Option<u64>,
    read_calls: Option<u64>,
    write_calls: Option<u64>,
}

impl Resources {
    /// Of this process, from its start.
    pub(super) fn now() -> Resources {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let ticks = |field: usize| Some(field_behind_name(&stat, field)? as f64 / TICKS_PER_SECOND);
        Resources {
            user_seconds: ticks(11),
            system_seconds: ticks(12),
            peak_bytes: line_value(&status, "VmHWM:").map(|kib| kib * 1024),
            read_calls: line_value(&io, "syscr:"),
            write_calls: line_value(&io, "syscw:"),
        }
    }

    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        Some(self.user_seconds? + self.system_seconds?)
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "cpu_seconds": self.cpu_seconds(),
            "cpu_seconds_user": self.user_seconds,
            "cpu_seconds_system": self.system_seconds,
            "memory_peak_bytes": self.peak_bytes,
            "read_system_calls": self.read_calls,
            "write_system_calls": self.write_calls,
        })
    }
}

/// Fields from the third on: the second is a name, and may hold anything.
fn field_behind_name(stat: &str, field: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

fn line_value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_has_an_account() {
        let resources = Resources::now();
        assert!(resources.cpu_seconds().is_some());
        assert!(resources.peak_bytes.is_some_and(|bytes| bytes > 100_000));
    }
}
