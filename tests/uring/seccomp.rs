//! Systems that forbid system calls, as far as one thread can tell.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// From now on these calls of this thread fail with this error.
pub(crate) fn forbid(calls: &[i64], error: i32) {
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that has filters");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error as u32), arch);
    let program: BpfProgram = filter.expect("rules").try_into().expect("a program");
    apply_filter(&program).expect("a filter");
}
