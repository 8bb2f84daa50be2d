//! Stacks, folded: a line for each, with how often it was seen.
//!
//! The fold itself is inferno's. What is taken away here is the harness: frames outside of the loop that drives a contender, and samples
//! of its own work between rounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options};

use super::stages::lines;

/// Folded stacks and what is in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) text: String,
    pub(super) samples: u64,
    /// Of them, in the kernel.
    pub(super) kernel: u64,
    /// Left out: the harness between rounds.
    pub(super) between: u64,
}

const LOOP: &str = "panpipe_bench::load::drive";
/// What the loop calls: a stream is its last call, which takes its place on the stack.
const CALLED: &str = " as panpipe_bench::contender::Contender>::";
const WORKER: &str = "panpipe_bench::worker::";

/// Folds the text of `perf script`.
///
/// # Errors
/// Where it is something else.
pub(super) fn fold(script: &str) -> Result<Folded> {
    let mut options = Options::default();
    options.annotate_kernel = true;
    options.nthreads = 1;
    let mut collapsed = Vec::new();
    if !script.trim().is_empty() {
        Folder::from(options)
            .collapse(script.as_bytes(), &mut collapsed)
            .context("the stacks cannot be folded")?;
    }
    Ok(without_harness(&String::from_utf8_lossy(&collapsed)))
}

fn without_harness(collapsed: &str) -> Folded {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    let mut folded = Folded { text: String::new(), samples: 0, kernel: 0, between: 0 };
    for (stack, count) in lines(collapsed) {
        let Some(stack) = within_loop(stack) else {
            folded.between += count;
            continue;
        };
        folded.samples += count;
        folded.kernel += if is_in_kernel(&stack) { count } else { 0 };
        *stacks.entry(stack).or_default() += count;
    }
    for (stack, count) in stacks {
        // Writing into a string cannot fail.
        let _ = writeln!(folded.text, "{stack} {count}");
    }
    folded
}

/// The process's name and what is in the loop; `None` of a stack that is the worker's own. Threads of a client that has some are kept.
fn within_loop(stack: &str) -> Option<String> {
    let (process, rest) = stack.split_once(';').unwrap_or((stack, ""));
    let frames: Vec<&str> = rest.split(';').collect();
    let plain = |frame: &str| frame.trim_end_matches("_[i]").to_owned();
    let begins = frames.iter().position(|frame| plain(frame) == LOOP);
    match begins.or_else(|| frames.iter().position(|frame| frame.contains(CALLED))) {
        Some(at) => Some(format!("{process};{}", frames[at..].join(";"))),
        None if frames.iter().any(|frame| frame.starts_with(WORKER)) => None,
        None => Some(stack.to_owned()),
    }
}

pub(super) fn is_in_kernel(stack: &str) -> bool {
    stack.ends_with("_[k]")
}

/// The stacks of an earlier run.
///
/// # Errors
/// Where the file is not there or holds something else.
pub(super) fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if lines(&text).next().is_none() {
        bail!("{} holds no folded stacks; `flame` writes them beside its picture", path.display());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "panpipe-bench 10/10 1.5: cpu-clock: \n\
        \tffffffff82025b34 tcp_sendmsg ([kernel.kallsyms])\n\
        \tffffffff81e2f330 __x64_sys_sendto ([kernel.kallsyms])\n\
        \t          10ab59 __send (/usr/lib/libc.so.6)\n\
        \t1 panpipe::transport::mio::submit_[i] (inlined)\n\
        \t           dbdef panpipe::client::Client<T>::pump (/x/panpipe-bench)\n\
        \t           87684 panpipe_bench::load::drive (/x/panpipe-bench)\n\
        \t           a96ec panpipe_bench::worker::round (/x/panpipe-bench)\n\
        \t           f26c6 main (/x/panpipe-bench)\n\n\
        panpipe-bench 10/10 1.6: cpu-clock: \n\
        \t           a96ec panpipe_bench::worker::answer (/x/panpipe-bench)\n\n\
        runtime 10/12 1.7: cpu-clock: \n\
        \t           a96ec fred::runtime::poll (/x/panpipe-bench)\n\n";

    #[test]
    fn stacks_begin_at_the_loop_and_the_harness_is_left_out() {
        let folded = fold(SCRIPT).unwrap();
        assert_eq!(
            folded.text,
            "panpipe-bench;panpipe_bench::load::drive;panpipe::client::Client<T>::pump;\
             panpipe::transport::mio::submit_[i];__send;__x64_sys_sendto_[k];tcp_sendmsg_[k] 1\n\
             runtime;fred::runtime::poll 1\n"
        );
        assert_eq!((folded.samples, folded.kernel, folded.between), (2, 1, 1));
    }

    #[test]
    fn a_call_that_has_taken_the_loops_place_is_not_the_harness() {
        let stream =
            "<panpipe_bench::contender::panpipe::Panpipe as panpipe_bench::contender::Contender>::stream";
        let stack = within_loop(&format!("bench;panpipe_bench::worker::round;{stream};__send"));
        assert_eq!(stack, Some(format!("bench;{stream};__send")));
        assert_eq!(within_loop("bench;panpipe_bench::worker::answer;write"), None);
    }

    #[test]
    fn no_samples_are_no_failure_here() {
        assert_eq!(fold("").unwrap(), Folded { text: String::new(), samples: 0, kernel: 0, between: 0 });
    }

    #[test]
    fn an_earlier_run_must_be_one() {
        let said = format!("{:#}", read(Path::new("no/such.folded")).unwrap_err());
        assert!(said.contains("cannot read no/such.folded"), "{said}");
    }
}
