//! Every input of the corpora and every seed once more, through an ordinary build: what was found once stays found.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use panpipe_fuzz::{TARGETS, corpus};

const CORPUS_BYTES_MAX: u64 = 1 << 20;

#[test]
fn every_input_of_the_corpora_still_does_no_harm() {
    let mut bytes = 0;
    let mut failed = Vec::new();
    for target in TARGETS {
        let file = target.corpus_file();
        bytes += fs::metadata(&file).expect("a corpus").len();
        let committed = corpus::parse(&fs::read_to_string(&file).expect("a corpus"));
        assert!(committed.len() > 20, "{} has a corpus of {} inputs", target.name, committed.len());
        for input in committed.iter().chain(&(target.seeds)()) {
            if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
                failed.push(format!("{}: {}", target.name, corpus::line(input)));
            }
        }
    }
    assert!(failed.is_empty(), "{} inputs:\n{}", failed.len(), failed.join("\n"));
    assert!(bytes < CORPUS_BYTES_MAX, "{bytes} bytes of corpora");
}

#[test]
fn no_target_cares_for_what_is_cut_off() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            for end in (0..seed.len().min(200)).step_by(13) {
                (target.run)(&seed[..end]);
            }
        }
    }
}
