//! A revision's library under a harness: a package of its own, in which nothing but the path of the library depends on the revision.
//!
//! ```text
//! target/ab/build                        cargo's target directory of all: dependencies are built once
//! target/ab/REVISION/sources             the revision, checked out
//! target/ab/REVISION/under-HARNESS/      the package that is built: a copy of the harness, and what it includes of the tests
//! target/ab/REVISION/under-HARNESS/panpipe-bench
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::revision::Revision;
use crate::cargo::{Build, needs_peers};

const HARNESS: &str = "benches/harness";
/// What the harness includes by path.
const INCLUDED: &str = "tests/servers";
/// How the harness names the library in its own tree.
const DEPENDENCY: &str = "path = \"../..\"";

/// Builds the harness of one revision over the library of another, and answers where the program is.
///
/// # Errors
/// Where the revision has no harness, or cargo fails.
pub(super) fn program(
    project: &Path,
    library: &Revision,
    harness: &Revision,
    contender: &str,
    label: &str,
) -> Result<PathBuf> {
    let (sources, harness_sources) = (library.sources(project)?, harness.sources(project)?);
    if !sources.join("src/lib.rs").is_file() {
        bail!("{library} has no library");
    }
    if !harness_sources.join(HARNESS).join("src/main.rs").is_file() {
        bail!(
            "{harness} has no benchmark harness; --harness-from WORK builds its library under the present one"
        );
    }
    let under = format!("under-{}", harness.directory());
    let package = project.join("target/ab").join(library.directory()).join(under);
    let read =
        |sources: &Path, manifest: &str| fs::read_to_string(sources.join(manifest)).unwrap_or_default();
    if lacks_the_ring(
        &read(&harness_sources, &format!("{HARNESS}/Cargo.toml")),
        &read(&sources, "Cargo.toml"),
    ) {
        bail!(
            "{library} is older than its io_uring transport, which {harness} knows; --harness-from an older one"
        );
    }
    assemble(&package, &harness_sources, &sources)
        .with_context(|| format!("cannot prepare the build of {library}"))?;
    let target_dir = project.join("target/ab/build");
    let what = format!("{label} ({})", library.directory());
    let build = Build {
        manifest: &package.join(HARNESS).join("Cargo.toml"),
        target_dir: &target_dir,
        peers: needs_peers(contender),
        flags: "",
        what: &what,
    };
    let built = build.run()?;
    // Cargo leaves the next revision's program at the same place.
    let program = package.join("panpipe-bench");
    let _old = fs::remove_file(&program);
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(program)
}

/// Whether a harness asks for a transport that a library does not have: cargo would say so, in more words and without a way out.
fn lacks_the_ring(harness: &str, library: &str) -> bool {
    let asks = harness.lines().any(|line| line.starts_with("panpipe =") && line.contains("\"io-uring\""));
    asks && !library.lines().any(|line| line.starts_with("io-uring = ["))
}

/// Writes the package; files that are the same keep their times, so that cargo builds only what has changed.
fn assemble(package: &Path, harness: &Path, library: &Path) -> Result<()> {
    mirror(&harness.join(HARNESS).join("src"), &package.join(HARNESS).join("src"))?;
    let build_script = harness.join(HARNESS).join("build.rs");
    if build_script.is_file() {
        copy(&build_script, &package.join(HARNESS).join("build.rs"))?;
    }
    if harness.join(INCLUDED).is_dir() {
        mirror(&harness.join(INCLUDED), &package.join(INCLUDED))?;
    }
    let own = fs::read_to_string(harness.join(HARNESS).join("Cargo.toml"))?;
    write(&package.join(HARNESS).join("Cargo.toml"), manifest(&own, library)?.as_bytes())?;
    let workspace = fs::read_to_string(harness.join("Cargo.toml"))?;
    write(&package.join("Cargo.toml"), self::workspace(&workspace).as_bytes())?;
    // The same dependencies for both revisions. Cargo strikes out what is not needed here, and adds what an older library needs: a
    // second copy tells when there is a new one.
    let (lock, taken) = (harness.join("Cargo.lock"), package.join("Cargo.lock.taken"));
    if lock.is_file() && fs::read(&lock).ok() != fs::read(&taken).ok() {
        fs::copy(&lock, package.join("Cargo.lock"))?;
        fs::copy(&lock, &taken)?;
    }
    Ok(())
}

/// The harness's manifest, with the library elsewhere.
fn manifest(own: &str, library: &Path) -> Result<String> {
    if own.matches(DEPENDENCY).count() != 1 {
        bail!("the harness's Cargo.toml does not name the library as {DEPENDENCY}");
    }
    let path = library.display().to_string();
    if path.contains(['"', '\\']) {
        bail!("{path} cannot stand in a Cargo.toml");
    }
    Ok(own.replace(DEPENDENCY, &format!("path = \"{path}\"")))
}

/// A workspace of nothing but the harness, with the project's release profile.
fn workspace(project: &str) -> String {
    let profile: String = project
        .lines()
        .skip_while(|line| line.trim() != "[profile.release]")
        .enumerate()
        .take_while(|(at, line)| *at == 0 || !line.starts_with('['))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    format!("[workspace]\nmembers = [\"{HARNESS}\"]\nresolver = \"3\"\n\n{profile}")
}

/// Makes `to` hold what `from` holds and nothing else.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let (path, source) = (entry.path(), from.join(entry.file_name()));
        if path.is_dir() && !source.is_dir() {
            fs::remove_dir_all(path)?;
        } else if path.is_file() && !source.is_file() {
            fs::remove_file(path)?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { mirror(&path, &copied)? } else { copy(&path, &copied)? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    write(to, &fs::read(from).with_context(|| format!("cannot read {}", from.display()))?)?;
    Ok(fs::set_permissions(to, fs::metadata(from)?.permissions())?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_without_the_ring_is_refused_where_it_is_asked_for() {
        let with = "[dependencies]\npanpipe = { path = \"../..\", features = [\"io-uring\", \"testkit\"] }\n";
        let without =
            "[dependencies]\npanpipe = { path = \"../..\", features = [\"testkit\"] }\nio-uring = \"0.7\"\n";
        let (old, new) = ("[features]\ntestkit = []\n", "[features]\nio-uring = [\"dep:io-uring\"]\n");
        assert!(lacks_the_ring(with, old));
        assert!(!lacks_the_ring(with, new) && !lacks_the_ring(without, old) && !lacks_the_ring(without, new));
    }

    const PROJECT: &str =
        "[workspace]\nmembers = []\n\n[profile.release]\nlto = \"fat\"\n\n[lints.rust]\nx = 1\n";

    #[test]
    fn a_manifest_points_at_the_library() {
        let own = "[dependencies]\npanpipe = { path = \"../..\", features = [\"testkit\"] }\n";
        let there = manifest(own, Path::new("/there/sources")).unwrap();
        assert_eq!(
            there,
            "[dependencies]\npanpipe = { path = \"/there/sources\", features = [\"testkit\"] }\n"
        );
        assert!(manifest("[package]\n", Path::new("/x")).is_err());
        assert!(manifest(own, Path::new("/a\"b")).is_err());
    }

    #[test]
    fn a_workspace_keeps_the_profile_and_nothing_else() {
        let text = workspace(PROJECT);
        assert!(text.ends_with("resolver = \"3\"\n\n[profile.release]\nlto = \"fat\"\n\n"), "{text}");
    }

    #[test]
    fn the_present_harness_can_be_assembled_elsewhere() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let package = std::env::temp_dir().join(format!("panpipe-bench-{}-package", std::process::id()));
        for _again in 0..2 {
            assemble(&package, &project, Path::new("/library")).unwrap();
        }
        let read = |path: &str| fs::read_to_string(package.join(path)).unwrap();
        assert!(read("Cargo.toml").contains("lto = \"fat\""));
        assert!(read("benches/harness/Cargo.toml").contains("path = \"/library\""));
        assert!(
            package.join("benches/harness/src/ab/build.rs").is_file() && package.join("Cargo.lock").is_file()
        );
        fs::remove_dir_all(package).unwrap();
    }

    #[test]
    fn a_mirror_holds_what_its_source_holds() {
        let root = std::env::temp_dir().join(format!("panpipe-bench-{}-mirror", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        for (path, text) in [("a.rs", "a"), ("b/c.rs", "c")] {
            write(&from.join(path), text.as_bytes()).unwrap();
        }
        for stale in ["gone.rs", "b/gone.rs", "d/gone.rs", "a.rs"] {
            write(&to.join(stale), b"stale").unwrap();
        }
        mirror(&from, &to).unwrap();
        let read = |path: &str| fs::read_to_string(to.join(path)).ok();
        assert_eq!([read("a.rs").as_deref(), read("b/c.rs").as_deref()], [Some("a"), Some("c")]);
        assert!(!to.join("gone.rs").exists() && !to.join("b/gone.rs").exists() && !to.join("d").exists());
        let time = fs::metadata(to.join("a.rs")).unwrap().modified().unwrap();
        mirror(&from, &to).unwrap();
        assert_eq!(fs::metadata(to.join("a.rs")).unwrap().modified().unwrap(), time);
        fs::remove_dir_all(root).unwrap();
    }
}
