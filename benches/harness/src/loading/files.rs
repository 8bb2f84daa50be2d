//! The files that are loaded, made by `panpipe generate`, and the programs that load them.
//!
//! Invariant: all files hold the same records; `panpipe` is of the sources that this program is of, built with the same profile, unless
//! another one was named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::entrants::Entrant;
use crate::cargo;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Resp,
    Kv,
    Csv,
    Jsonl,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Resp => "resp",
            Shape::Kv => "kv",
            Shape::Csv => "csv",
            Shape::Jsonl => "jsonl",
        }
    }

    /// What `panpipe import` has to be told about it.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Shape::Resp | Shape::Kv => &[],
            Shape::Csv => &["--header", "--cmd", "SET #{key} #{value}"],
            Shape::Jsonl => &["--cmd", "SET #{key} #{value}"],
        }
    }
}

/// What there is.
pub(super) struct Files {
    directory: PathBuf,
    records: String,
    paths: BTreeMap<Shape, String>,
    own: PathBuf,
    panpipe: PathBuf,
    redis_cli: Option<PathBuf>,
}

impl Files {
    /// Makes and finds what those who take part need.
    ///
    /// # Errors
    /// Where that is not possible, with what to do about it.
    pub(super) fn make(
        out: &Path,
        records: u64,
        panpipe: Option<&Path>,
        taking_part: &[Entrant],
    ) -> Result<Files> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let directory = out.canonicalize()?;
        let panpipe = match panpipe {
            Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display()))?,
            None => build()?,
        };
        let needs_cli = taking_part.iter().any(Entrant::is_redis_cli);
        let redis_cli = if needs_cli { Some(find_redis_cli()?) } else { None };
        let mut paths = BTreeMap::new();
        for shape in taking_part.iter().filter_map(Entrant::shape) {
            if let std::collections::btree_map::Entry::Vacant(place) = paths.entry(shape) {
                place.insert(generate(&panpipe, &directory, shape, records)?);
            }
        }
        let own = std::env::current_exe().context("this program's own file cannot be found")?;
        Ok(Files { directory, records: records.to_string(), paths, own, panpipe, redis_cli })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn records_text(&self) -> &str {
        &self.records
    }

    pub(super) fn own(&self) -> &Path {
        &self.own
    }

    pub(super) fn path_text(&self, shape: Shape) -> Result<&str> {
        self.paths.get(&shape).map(String::as_str).context("a file was not made")
    }

    pub(super) fn panpipe(&self) -> &Path {
        &self.panpipe
    }

    pub(super) fn redis_cli(&self) -> Result<&Path> {
        self.redis_cli.as_deref().context("there is no redis-cli")
    }
}

/// Writes a file; it is in the system's cache then.
fn generate(panpipe: &Path, directory: &Path, shape: Shape, records: u64) -> Result<String> {
    let path = directory.join(format!("records.{}", shape.name()));
    let path = path.to_str().context("the path of the files is no text")?.to_owned();
    eprintln!("writing {path}");
    let output = Command::new(panpipe)
        .args(["generate", "--records", &records.to_string(), &path])
        .output()
        .with_context(|| format!("cannot start {}", panpipe.display()))?;
    if !output.status.success() {
        bail!("panpipe generate failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(path)
}

/// Builds `panpipe` where this program lies, with its profile.
fn build() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own file cannot be found")?;
    // <target>/<profile>/panpipe-bench
    let folder = own.parent().context("this program lies nowhere")?;
    let target = folder.parent().context("this program's folder lies nowhere")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("this program's folder has no name"),
    };
    eprintln!("building panpipe (profile {profile})");
    let status = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "panpipe",
            "--bin",
            "panpipe",
            "--features",
            "cli",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(cargo::project()?)
        .status()
        .context("cargo cannot be started; --panpipe names a panpipe that is there")?;
    if !status.success() {
        bail!("panpipe cannot be built: see above");
    }
    Ok(folder.join("panpipe"))
}

/// Beside the servers that the tests use, or on the path.
fn find_redis_cli() -> Result<PathBuf> {
    let servers = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../servers/redis-7.0");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::iter::once(servers).chain(std::env::split_paths(&path));
    let found = folders.find_map(|folder| folder.join("redis-cli").canonicalize().ok());
    found.context("redis-cli is neither on the path nor beside the servers in target/servers")
}
