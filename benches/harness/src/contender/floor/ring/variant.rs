//! How the ring may be used otherwise: one choice at a time, or several, each with a name on the command line.
//!
//! Knows which choices there are and which exclude each other; what they do to requests is the ring's part. Invariant: a variant that was
//! made from names has no choices that the kernel refuses together.

use anyhow::{Context as _, Result, bail};

/// Microseconds after which `min-wait` no longer insists on all completions, where it is not told.
const MIN_WAIT_US: u32 = 500;

/// What differs from the usual ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::contender) struct Variant {
    pub(super) files_registered: bool,
    pub(super) ring_registered: bool,
    /// DEFER_TASKRUN; without it COOP_TASKRUN.
    pub(super) deferred: bool,
    pub(super) wait: Wait,
    pub(super) receive: Receive,
    pub(super) send: Send,
    /// A send takes the receive of its node along.
    pub(super) linked: bool,
}

/// How many completions an enter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    All,
    First,
    /// For all, and after so many microseconds for any.
    AllWithin {
        us: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receive {
    /// Tried at once, and when the socket becomes readable: into the node's own buffer.
    Single,
    /// Not tried before the socket becomes readable.
    PollFirst,
    /// One request for good, each time into a buffer of all nodes.
    Multishot,
    /// A request per receive, into as many small buffers of all nodes as there are bytes for.
    Bundle,
    /// One request for good, each time into as many of them as there are bytes for.
    MultishotBundle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Send {
    Plain,
    /// The kernel sends from the wire's buffer, and says when it is done with it.
    ZeroCopy,
    /// No completion for a send that succeeded: replies say so.
    Silent,
}

impl Default for Variant {
    /// What the contenders do without a choice.
    fn default() -> Variant {
        Variant {
            files_registered: true,
            ring_registered: true,
            deferred: true,
            wait: Wait::All,
            receive: Receive::Single,
            send: Send::Plain,
            linked: false,
        }
    }
}

/// Names and descriptions, for `list`.
pub(in crate::contender) const CHOICES: [(&str, &str); 12] = [
    ("plain-files", "descriptors are not registered: each request looks its socket up"),
    ("no-ring-fd", "the ring's own descriptor is not registered: each enter looks it up"),
    ("first", "an enter waits for one completion instead of all that are needed"),
    (
        "no-defer",
        "COOP_TASKRUN instead of DEFER_TASKRUN: completions are not held back for the enter that waits",
    ),
    ("poll-first", "a receive is not tried before the socket is readable (IORING_RECVSEND_POLL_FIRST)"),
    ("multishot", "one receive per connection for good, into provided buffers of 64 KiB"),
    ("bundle", "a receive fills several provided buffers of 4 KiB at once (IORING_RECVSEND_BUNDLE)"),
    ("multishot-bundle", "both: one receive for good, several provided buffers of 4 KiB at a time"),
    ("zero-copy", "SEND_ZC: sent from where the bytes are, and a second completion when they are free"),
    ("linked", "each receive is started by the end of its node's send (IOSQE_IO_LINK)"),
    ("skip-success", "no completion for a send that succeeded (IOSQE_CQE_SKIP_SUCCESS): replies say so"),
    (
        "min-wait",
        "waits for all, and after 500 us (min-wait=US for another time) for any: below a tick that takes a timer",
    ),
];

impl Variant {
    /// The usual ring with these choices, which stand between `+`.
    ///
    /// # Errors
    /// Where there is no such choice, or where they exclude each other.
    pub(in crate::contender) fn with_choices(choices: &str) -> Result<Variant> {
        let (mut variant, usual) = (Variant::default(), Variant::default());
        for choice in choices.split('+') {
            let before = variant;
            let (name, value) = choice.split_once('=').unwrap_or((choice, ""));
            match name {
                "plain-files" => variant.files_registered = false,
                "no-ring-fd" => variant.ring_registered = false,
                "no-defer" => variant.deferred = false,
                "first" => variant.wait = Wait::First,
                "min-wait" => variant.wait = Wait::AllWithin { us: min_wait_us(value)? },
                "poll-first" => variant.receive = Receive::PollFirst,
                "multishot" => variant.receive = Receive::Multishot,
                "bundle" => variant.receive = Receive::Bundle,
                "multishot-bundle" => variant.receive = Receive::MultishotBundle,
                "zero-copy" => variant.send = Send::ZeroCopy,
                "skip-success" => variant.send = Send::Silent,
                "linked" => variant.linked = true,
                _ => bail!("a ring has no choice {choice:?}; there are {}", names().join(", ")),
            }
            if !value.is_empty() && name != "min-wait" {
                bail!("{name} has no value");
            }
            let excluded = (before.wait != usual.wait && variant.wait != before.wait)
                || (before.receive != usual.receive && variant.receive != before.receive)
                || (before.send != usual.send && variant.send != before.send);
            if excluded || variant == before {
                bail!("{choices:?}: {name} comes twice, or does not go with what stands before it");
            }
        }
        Ok(variant)
    }

    /// What is chosen, in words.
    pub(super) fn settings(self) -> Vec<(&'static str, String)> {
        let yes_or = |is: bool, no: &str| if is { "registered" } else { no }.to_owned();
        let tasks = if self.deferred { "DEFER_TASKRUN" } else { "COOP_TASKRUN" };
        let send = match (self.send, self.linked) {
            (Send::Plain, false) => "SEND".to_owned(),
            (send, linked) => format!("{send:?}{}", if linked { ", linked to the receive" } else { "" }),
        };
        vec![
            ("transport", format!("io_uring: SINGLE_ISSUER, {tasks}")),
            ("sockets", yes_or(self.files_registered, "by descriptor")),
            ("ring", yes_or(self.ring_registered, "by descriptor")),
            ("sends", send),
            ("receives", format!("{:?}", self.receive)),
        ]
    }
}

fn min_wait_us(value: &str) -> Result<u32> {
    match value {
        "" => Ok(MIN_WAIT_US),
        us => us.parse().with_context(|| format!("min-wait={us}: not a number of microseconds")),
    }
}

fn names() -> Vec<&'static str> {
    CHOICES.iter().map(|&(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_the_list_is_one_and_differs_from_all_others() {
        let mut variants = vec![Variant::default()];
        for name in names() {
            let variant = Variant::with_choices(name).unwrap();
            assert!(!variants.contains(&variant), "{name}");
            variants.push(variant);
        }
    }

    #[test]
    fn choices_can_be_combined() {
        let variant = Variant::with_choices("first+plain-files+multishot").unwrap();
        assert_eq!((variant.wait, variant.files_registered), (Wait::First, false));
        assert_eq!(variant.receive, Receive::Multishot);
        assert_eq!(Variant::with_choices("min-wait=50").unwrap().wait, Wait::AllWithin { us: 50 });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for choices in
            ["", "+", "fist", "first+min-wait", "multishot+bundle", "first+first", "zero-copy+skip-success"]
        {
            assert!(Variant::with_choices(choices).is_err(), "{choices:?}");
        }
        for choices in ["min-wait=soon", "first=2", "min-wait=5=5"] {
            assert!(Variant::with_choices(choices).is_err(), "{choices:?}");
        }
    }
}
