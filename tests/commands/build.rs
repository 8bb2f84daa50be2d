//! Tells the program where cargo's target directory is: the real servers live there, as they do for the library's tests.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // <target>/<profile>/build/<package>/out
    let target = out.ancestors().nth(4).expect("OUT_DIR lies in cargo's target directory");
    println!("cargo::rustc-env=CARGO_TARGET_TMPDIR={}", target.join("tmp").display());
}
