//! Whether one command may be sent again where its reply was lost: bits that go from a request to its entry in a queue as they are.
//!
//! A caller's policy for one command is decided when the request is built: the policy and the class of the command make a yes or a no,
//! so that the engine need not know why. Without either bit its configuration decides.

use crate::command::Idempotency;
use crate::config::RetryUnknown;

/// The command changes nothing on the server.
pub(crate) const READ_ONLY: u8 = 1;
/// It is not sent again where its reply was lost, whatever the configuration says.
pub(crate) const RETRY_NEVER: u8 = 32;
/// It is sent again where its reply was lost, whatever the configuration says.
pub(crate) const RETRY_ALWAYS: u8 = 64;

/// A policy as a bit that stands beside READ_ONLY, until the command is complete and its class is known.
pub(crate) fn mark(policy: RetryUnknown) -> u8 {
    match policy {
        RetryUnknown::Never => 2,
        RetryUnknown::ReadOnly => 4,
        RetryUnknown::Idempotent => 8,
        RetryUnknown::Always => 16,
    }
}

/// The policy that was marked.
#[inline(always)]
pub(crate) fn marked(marks: u8) -> Option<RetryUnknown> {
    match marks & !READ_ONLY {
        0 => None,
        2 => Some(RetryUnknown::Never),
        4 => Some(RetryUnknown::ReadOnly),
        8 => Some(RetryUnknown::Idempotent),
        _ => Some(RetryUnknown::Always),
    }
}

/// The bit that a policy comes to for a command of this class.
pub(crate) fn decide(policy: RetryUnknown, class: Idempotency) -> u8 {
    let again = match policy {
        RetryUnknown::Never => false,
        RetryUnknown::ReadOnly => class == Idempotency::ReadOnly,
        RetryUnknown::Idempotent => matches!(class, Idempotency::ReadOnly | Idempotency::Idempotent),
        RetryUnknown::Always => true,
    };
    if again { RETRY_ALWAYS } else { RETRY_NEVER }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Cmd, Keys, Request, ToArg, cmd};

    const POLICIES: [RetryUnknown; 4] =
        [RetryUnknown::Never, RetryUnknown::ReadOnly, RetryUnknown::Idempotent, RetryUnknown::Always];

    /// From which policy on the command is sent again; by name, and as a request of borrowed arguments.
    fn sent_again(command: &Cmd, request: Request<'_>) -> [bool; 4] {
        assert_eq!(command.request().unwrap().flags & !READ_ONLY, 0);
        POLICIES.map(|policy| {
            let flags = command.clone().retry_unknown(policy).request().unwrap().flags;
            assert_eq!(request.retry_unknown(policy).flags, flags, "{policy:?}");
            assert_eq!(flags & READ_ONLY, command.request().unwrap().flags);
            assert!(matches!(flags & !READ_ONLY, RETRY_NEVER | RETRY_ALWAYS));
            flags & RETRY_ALWAYS != 0
        })
    }

    #[test]
    fn policy_and_class_decide() {
        let (key, number) = ("k".to_arg(), 7.to_arg());
        let get = sent_again(&cmd("GET").key("k"), Request::new("GET", Keys::FIRST, &[key]).read_only());
        assert_eq!(get, [false, true, true, true]);
        let set = sent_again(&cmd("SET").key("k").arg(7), Request::new("SET", Keys::FIRST, &[key, number]));
        assert_eq!(set, [false, false, true, true]);
        let args = [key, number, "NX".to_arg()];
        let set = sent_again(&cmd("SET").key("k").arg(7).arg("NX"), Request::new("SET", Keys::FIRST, &args));
        assert_eq!(set, [false, false, false, true]);
        let unknown = sent_again(&cmd("JSON.SET").key("k"), Request::new("JSON.SET", Keys::FIRST, &[key]));
        assert_eq!(unknown, [false, false, false, true]);
    }

    #[test]
    fn what_the_caller_marks_as_reading_is_of_that_class() {
        let request = Request::new("JSON.GET", Keys::FIRST, &[]).read_only();
        assert_eq!(request.retry_unknown(RetryUnknown::ReadOnly).flags, READ_ONLY | RETRY_ALWAYS);
        let command = cmd("JSON.GET").key("k").retry_unknown(RetryUnknown::ReadOnly).read_only();
        assert_eq!(command.request().unwrap().flags, READ_ONLY | RETRY_ALWAYS);
    }

    #[test]
    fn what_was_marked_is_read_again() {
        assert_eq!(marked(READ_ONLY), None);
        for policy in POLICIES {
            assert_eq!(marked(mark(policy) | READ_ONLY), Some(policy));
        }
    }

    #[test]
    fn the_last_policy_counts() {
        let request = Request::new("INCR", Keys::FIRST, &[]);
        let request = request.retry_unknown(RetryUnknown::Always).retry_unknown(RetryUnknown::Never);
        assert_eq!(request.flags, RETRY_NEVER);
    }
}
