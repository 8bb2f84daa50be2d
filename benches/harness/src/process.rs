//! Programs that are waited for, but not for ever.

use std::process::{Child, Output};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Waits for a program and what it prints; one that takes longer than `patience` is killed, and so ends with that signal.
pub(crate) fn output_within(child: Child, patience: Duration) -> Result<Output> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let (ended, end) = channel::<()>();
    let watch = std::thread::spawn(move || {
        // Disconnected: the program has ended.
        if end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let _gone = kill(pid, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output();
    drop(ended);
    let _ended = watch.join();
    Ok(output?)
}
