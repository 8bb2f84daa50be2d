//! Tells the program what it cannot find out when it runs: cargo's target directory, where the real servers live as they do for the
//! library's tests; the compiler; and the revision.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // <target>/<profile>/build/<package>/out
    let target = out.ancestors().nth(4).map(Path::to_path_buf).unwrap_or_default();
    println!("cargo::rustc-env=CARGO_TARGET_TMPDIR={}", target.join("tmp").display());

    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    println!("cargo::rustc-env=HARNESS_RUSTC={}", said(compiler, &["--version"]).unwrap_or_default());
    // It changes with every commit and checkout.
    if let Some(log) = said("git", &["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| exists(log)) {
        println!("cargo::rerun-if-changed={log}");
    }
    let revision = said("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=HARNESS_REVISION={revision}");
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// The only line that a program prints, if it runs and succeeds.
fn said(program: impl Into<OsString>, args: &[&str]) -> Option<String> {
    let output = Command::new(program.into()).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
