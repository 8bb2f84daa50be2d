//! The committed figures: a TOML file with one line per workload, sorted, the same text for the same figures.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::counts::{Costs, Counted, Metric};
use crate::failure::Failure;

/// What decides about counts besides the source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Toolchain {
    pub(crate) target: String,
    pub(crate) rustc: String,
    pub(crate) libc: String,
    pub(crate) valgrind: String,
}

impl Toolchain {
    /// Names and values, in the order of the file.
    pub(crate) fn parts(&self) -> [(&'static str, &str); 4] {
        [("target", &self.target), ("rustc", &self.rustc), ("libc", &self.libc), ("valgrind", &self.valgrind)]
    }
}

/// One workload's line.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    instructions: f64,
    copied_bytes: f64,
    allocations: f64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    pub(crate) counted_with: Toolchain,
    per_item: BTreeMap<String, Line>,
}

const HEAD: &str = "\
# What one item of each workload costs: instructions and copied bytes inside the functions of `peer::measured`, and allocations.
# Written by `cargo run -p panpipe-gates -- accept`; a commit that changes it says why.
";

impl Baseline {
    pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.toml");

    pub(crate) fn new(counted_with: Toolchain) -> Baseline {
        Baseline { counted_with, per_item: BTreeMap::new() }
    }

    pub(crate) fn read(path: &Path) -> Result<Baseline, Failure> {
        let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
        Baseline::parse(&text).map_err(|what| Failure::malformed(path, what))
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let baseline: Baseline = toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, line) in &baseline.per_item {
            let costs = Costs::from(*line);
            if !Metric::ALL.iter().all(|metric| costs.of(*metric).is_finite() && costs.of(*metric) >= 0.0) {
                return Err(format!("{name} has a figure that is no count"));
            }
        }
        Ok(baseline)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        std::fs::write(path, self.text()).map_err(Failure::file(path))
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n[counted_with]\n");
        for (name, value) in self.counted_with.parts() {
            // Versions are plain words: quoted alike in Rust and in TOML.
            let _infallible = writeln!(text, "{name} = {value:?}");
        }
        text.push_str("\n[per_item]\n");
        let width = self.per_item.keys().map(String::len).max().unwrap_or(0);
        for (name, line) in &self.per_item {
            let costs = Costs::from(*line);
            let figure = |metric: Metric| format!("{:.*}", metric.decimals(), costs.of(metric));
            let _infallible = writeln!(
                text,
                "{name:<width$} = {{ instructions = {:>6}, copied_bytes = {:>6}, allocations = {} }}",
                figure(Metric::Instructions),
                figure(Metric::CopiedBytes),
                figure(Metric::Allocations),
            );
        }
        text
    }

    /// Replaces the lines of these workloads.
    pub(crate) fn take(&mut self, counted: &[Counted]) {
        let line = |counted: &Counted| (counted.name.clone(), Line::from(counted.costs));
        self.per_item.extend(counted.iter().map(line));
    }

    pub(crate) fn costs(&self, name: &str) -> Option<Costs> {
        self.per_item.get(name).copied().map(Costs::from)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.per_item.keys().map(String::as_str)
    }

    /// Instructions of another processor are other instructions.
    pub(crate) fn must_be_of(&self, here: &Toolchain) -> Result<(), Failure> {
        let (theirs, ours) = (self.counted_with.target.clone(), here.target.clone());
        if theirs == ours { Ok(()) } else { Err(Failure::OtherTarget { theirs, ours }) }
    }
}

impl From<Line> for Costs {
    fn from(line: Line) -> Costs {
        let Line { instructions, copied_bytes, allocations } = line;
        Costs { instructions, copied_bytes, allocations }
    }
}

impl From<Costs> for Line {
    fn from(costs: Costs) -> Line {
        let Costs { instructions, copied_bytes, allocations } = costs;
        Line { instructions, copied_bytes, allocations }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn toolchain() -> Toolchain {
        Toolchain {
            target: "x86_64-unknown-linux-gnu".into(),
            rustc: "1.95.0".into(),
            libc: "glibc 2.36".into(),
            valgrind: "3.19.0".into(),
        }
    }

    pub(crate) fn counted(name: &str, instructions: f64, copied_bytes: f64, allocations: f64) -> Counted {
        let costs = Costs { instructions, copied_bytes, allocations };
        Counted { name: name.into(), costs, copies: BTreeMap::new() }
    }

    fn baseline() -> Baseline {
        let mut baseline = Baseline::new(toolchain());
        baseline.take(&[counted("slot_16", 92.04, 0.0, 0.0), counted("engine", 1086.16, 124.5049, 0.0)]);
        baseline
    }

    #[test]
    fn the_file_is_sorted_and_has_a_line_per_workload() {
        let text = baseline().text();
        let lines: Vec<&str> = text.lines().skip_while(|line| *line != "[per_item]").skip(1).collect();
        assert_eq!(
            lines,
            [
                "engine  = { instructions = 1086.2, copied_bytes = 124.50, allocations = 0.0000 }",
                "slot_16 = { instructions =   92.0, copied_bytes =   0.00, allocations = 0.0000 }",
            ]
        );
    }

    #[test]
    fn what_is_accepted_is_read_again_and_written_the_same() {
        let folder = std::env::temp_dir().join(format!("panpipe-gates-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("baseline.toml");
        baseline().write(&path).unwrap();
        let read = Baseline::read(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(read.counted_with, toolchain());
        assert_eq!(read.costs("engine").unwrap().instructions, 1086.2);
        assert_eq!(read.text(), baseline().text());
    }

    #[test]
    fn accepting_one_workload_leaves_the_others() {
        let mut baseline = baseline();
        baseline.take(&[counted("slot_16", 80.0, 0.0, 0.0)]);
        assert_eq!(baseline.costs("slot_16").unwrap().instructions, 80.0);
        assert_eq!(baseline.costs("engine").unwrap().instructions, 1086.16);
    }

    #[test]
    fn the_committed_baseline_is_as_accept_writes_it() {
        let text = std::fs::read_to_string(Baseline::PATH).unwrap();
        assert_eq!(Baseline::parse(&text).unwrap().text(), text);
    }

    #[test]
    fn malformed_files_are_refused() {
        let good = baseline().text();
        for bad in [
            String::new(),
            good.replace("copied_bytes", "copies"),
            good.replace("92.0", "nan"),
            good.replace("92.0", "-1.0"),
            good.replace("rustc", "compiler"),
            format!("{good}slot_16 = 5\n"),
        ] {
            assert!(Baseline::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_processor_is_refused_and_another_compiler_is_not() {
        let baseline = baseline();
        assert!(baseline.must_be_of(&Toolchain { rustc: "1.96.0".into(), ..toolchain() }).is_ok());
        let arm = Toolchain { target: "aarch64-unknown-linux-gnu".into(), ..toolchain() };
        assert!(matches!(baseline.must_be_of(&arm), Err(Failure::OtherTarget { .. })));
    }
}
