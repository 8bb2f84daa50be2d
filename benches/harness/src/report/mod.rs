//! What is shown and stored of outcomes: tables for a terminal, and files of JSON, CSV, histograms, pictures and a page.
//!
//! Everything is worked out from a [`Document`], so that a stored one can be rendered again. This knows nothing of how a race is run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

mod columns;
mod describe;
mod document;
pub(crate) mod format;
mod hlog;
mod html;
mod machine;
mod plot;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod summary;
mod sweep;
mod syscalls;
mod table;

pub(crate) use document::{Document, own_command};
pub(crate) use machine::{Machine, begin, load_average_now};
pub(crate) use table::{settings, table, wide};

/// Writes all files of a report and answers their names: `report.json`, `report.csv`, `latencies.hlog`, pictures, `report.html`.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn write_all(document: &Document, base: Option<&str>, dir: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let pictures = html::Pictures::of(document, base)?;
    let mut files = vec![
        ("report.json".to_owned(), document.json()?.into_bytes()),
        ("report.csv".to_owned(), rows::csv(document)?),
        ("latencies.hlog".to_owned(), hlog::log(document)?),
    ];
    for plot in pictures.all() {
        files.push((format!("{}.svg", plot.name), plot.svg.clone().into_bytes()));
    }
    files.push(("report.html".to_owned(), html::page(document, base, &pictures).into_bytes()));
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let (document, out) = (sample::everything(), directory.path().join("a/b"));
        let written = write_all(&document, Some("floor"), &out).unwrap();
        for name in ["report.json", "report.csv", "latencies.hlog", "report.html"] {
            assert!(written.contains(&out.join(name)), "{written:?}");
        }
        let mut names = written.clone();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), written.len(), "two files of one name: {written:?}");
        for path in &written {
            let bytes = std::fs::read(path).unwrap();
            assert!(!bytes.is_empty(), "{} is empty", path.display());
            if path.extension().is_some_and(|extension| extension == "svg") {
                roxmltree::Document::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
            }
        }
        assert_eq!(Document::read(&out.join("report.json")).unwrap().outcomes.len(), document.outcomes.len());
    }
}
