//! Tells the program what it cannot find out when it runs: where cargo's target directory is (the real servers live there, as they do
//! for the library's tests), which versions of the other clients it is built with, by which compiler, and from which commit.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Other clients, by the names of their crates.
const PACKAGES: [&str; 4] = ["panpipe", "fred", "redis", "rustis"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // <target>/<profile>/build/<package>/out
    let target = out.ancestors().nth(4).map(Path::to_path_buf).unwrap_or_default();
    println!("cargo::rustc-env=CARGO_TARGET_TMPDIR={}", target.join("tmp").display());
    versions();
    origin();
}

/// The compiler, and the commit that is checked out; empty where they cannot be found.
fn origin() {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    println!("cargo::rustc-env=HARNESS_RUSTC={}", said(compiler, &["--version"]).unwrap_or_default());
    // It changes with every commit and checkout.
    let log = said("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    let revision = said("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=HARNESS_REVISION={revision}");
}

/// The only line that a program prints, if it runs and succeeds.
fn said(program: impl Into<OsString>, args: &[&str]) -> Option<String> {
    let output = Command::new(program.into()).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The versions that cargo has chosen: only its lock file knows them, a requirement does not.
fn versions() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let path = package.join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", path.display());
    let lock = fs::read_to_string(&path).expect("the workspace has a Cargo.lock");
    for package in PACKAGES {
        let version = version(&lock, package).unwrap_or_else(|| panic!("Cargo.lock does not have {package}"));
        println!("cargo::rustc-env=VERSION_OF_{}={version}", package.to_ascii_uppercase());
    }
}

fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}
