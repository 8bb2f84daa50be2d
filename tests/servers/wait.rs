//! Waiting by polling, with an end.

use std::time::{Duration, Instant};

/// How long anything here may take before the test fails: long, because the machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const POLL_EVERY: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok`; panics with the last `Err` when `patience` is over.
pub(crate) fn wait_until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) if start.elapsed() > patience => {
                panic!("waited {patience:?} for {what}; at the end: {why}")
            }
            Err(_) => std::thread::sleep(POLL_EVERY),
        }
    }
}
