//! The target `topology` under libFuzzer. `.ci/fuzz` builds it.
#![cfg_attr(panpipe_fuzz, no_main)]

#[cfg(panpipe_fuzz)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| panpipe_fuzz::topology::run(bytes));

#[cfg(not(panpipe_fuzz))]
fn main() {
    eprintln!("this build has no fuzzer: see tests/fuzz/README.md");
    std::process::exit(2);
}
