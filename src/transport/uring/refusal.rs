//! Why the system gives no ring, and what to do about it.
//!
//! The kernel says little: one number for several causes. What the system tells of itself decides between them.

use std::fmt;
use std::io;

/// The system refuses io_uring.
#[derive(Debug)]
pub struct Refused {
    error: io::Error,
    facts: Facts,
}

/// What the system says of itself; `None` where it says nothing.
#[derive(Debug, Default, Clone)]
struct Facts {
    /// Major and minor number of the kernel.
    kernel: Option<(u32, u32)>,
    /// `kernel.io_uring_disabled`.
    disabled: Option<u32>,
    /// A seccomp filter is in force for this thread.
    filtered: bool,
    /// The soft limit of locked memory, in bytes; `None` is no limit.
    locked_bytes_max: Option<u64>,
}

/// The first kernel with DEFER_TASKRUN, without which io_uring is no better than epoll.
const KERNEL_MIN: (u32, u32) = (6, 1);

impl Refused {
    pub(super) fn new(error: io::Error) -> Self {
        Refused { error, facts: Facts::gather() }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        match self.error.raw_os_error() {
            _ if facts.kernel.is_some_and(|kernel| kernel < KERNEL_MIN) => {
                let (major, minor) = facts.kernel.unwrap_or_default();
                write!(
                    f,
                    "the kernel is too old: {major}.{minor}, and {}.{} is needed",
                    KERNEL_MIN.0, KERNEL_MIN.1
                )?;
            }
            Some(libc::EPERM) if facts.disabled == Some(2) => f.write_str(
                "kernel.io_uring_disabled is 2, which forbids it to all; `sysctl kernel.io_uring_disabled=0` allows it",
            )?,
            Some(libc::EPERM) if facts.disabled == Some(1) => f.write_str(
                "kernel.io_uring_disabled is 1, which allows it to CAP_SYS_ADMIN and the group of kernel.io_uring_group only; \
                 join that group, or `sysctl kernel.io_uring_disabled=0`",
            )?,
            Some(libc::EPERM | libc::ENOSYS | libc::EACCES) if facts.filtered => f.write_str(
                "a seccomp filter forbids it, as container runtimes' default profiles do; allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the profile",
            )?,
            Some(libc::ENOSYS) => f.write_str("the kernel was built without it")?,
            Some(libc::EPERM | libc::EACCES) => {
                f.write_str("a security module of the system forbids it; look into its log for io_uring")?;
            }
            Some(libc::ENOMEM) => match facts.locked_bytes_max {
                Some(bytes) => write!(
                    f,
                    "no memory for the ring; the limit of locked memory (RLIMIT_MEMLOCK) is {} KiB: raise it with `ulimit -l` or \
                     LimitMEMLOCK=, or raise the memory limit of the control group",
                    bytes >> 10
                )?,
                None => f.write_str("no memory for the ring; raise the memory limit of the control group")?,
            },
            Some(libc::EMFILE | libc::ENFILE) => {
                f.write_str("too many open descriptors; raise the limit with `ulimit -n`")?;
            }
            _ => f.write_str("the kernel gives no ring")?,
        }
        write!(f, " ({}); the transport mio works without it", self.error)
    }
}

impl Facts {
    fn gather() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Facts {
            kernel: kernel_of(&read("/proc/sys/kernel/osrelease")),
            disabled: read("/proc/sys/kernel/io_uring_disabled").trim().parse().ok(),
            filtered: is_filtered(&read("/proc/thread-self/status")),
            locked_bytes_max: locked_bytes_max(&read("/proc/self/limits")),
        }
    }
}

fn kernel_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Mode 2 is a filter.
fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

fn locked_bytes_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: i32, facts: Facts) -> String {
        Refused { error: io::Error::from_raw_os_error(code), facts }.to_string()
    }

    #[test]
    fn every_cause_is_named_with_what_to_do() {
        let facts = Facts { kernel: Some((6, 18)), ..Facts::default() };
        let old = Facts { kernel: Some((5, 15)), ..Facts::default() };
        assert!(text(libc::EINVAL, old).starts_with("the kernel is too old: 5.15, and 6.1 is needed"));
        for (disabled, says) in [(2, "forbids it to all"), (1, "io_uring_group")] {
            let facts = Facts { disabled: Some(disabled), ..facts.clone() };
            let text = text(libc::EPERM, facts);
            assert!(text.contains(says) && text.contains("sysctl kernel.io_uring_disabled=0"), "{text}");
        }
        let filtered = Facts { filtered: true, disabled: Some(0), ..facts.clone() };
        for code in [libc::EPERM, libc::ENOSYS] {
            assert!(text(code, filtered.clone()).contains("seccomp"), "{code}");
        }
        assert!(text(libc::ENOSYS, facts.clone()).contains("built without it"));
        let limited = Facts { locked_bytes_max: Some(65536), ..facts.clone() };
        assert!(text(libc::ENOMEM, limited).contains("RLIMIT_MEMLOCK) is 64 KiB"));
        assert!(text(libc::EMFILE, facts).contains("ulimit -n"));
    }

    #[test]
    fn facts_are_read_as_the_kernel_writes_them() {
        assert_eq!(kernel_of("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(kernel_of("5.15\n"), Some((5, 15)));
        assert_eq!(kernel_of(""), None);
        assert!(is_filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        let limits = "Max processes 1 1 processes\nMax locked memory         8388608              8388608              bytes\n";
        assert_eq!(locked_bytes_max(limits), Some(8 << 20));
        assert_eq!(
            locked_bytes_max("Max locked memory         unlimited            unlimited            bytes\n"),
            None
        );
    }
}
