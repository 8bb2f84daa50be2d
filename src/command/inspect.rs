//! What is to be known of a command that is encoded already: where its keys are, and what happens when it runs twice.
//!
//! The engine asks when order or fate are in doubt, about bytes in a queue; the request that they were made of is long gone. So only
//! what the words themselves say counts: keys that a caller marked, or a route that the caller gave, are not seen here.
//! Invariant: positions are within the words, and "cannot be told" is never "none".

use smallvec::SmallVec;

use crate::command::idempotency;
use crate::command::locate::{Located, locate};
use crate::command::request::WordList;
use crate::command::spec::{self, KeySpec, Spec};
use crate::command::{Idempotency, Keys};

/// What the words of one command say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// The positions of the keys among the words, the name being at 0; empty for a command that touches no key. `None` where that
    /// cannot be told, or where it is all keys of a slot or a node (FLUSHALL): nobody can say what it does not touch.
    pub(crate) keys: Option<SmallVec<[usize; 4]>>,
    /// It changes nothing on the server, by the server's own account.
    pub(crate) read_only: bool,
    pub(crate) idempotency: Idempotency,
}

impl Inspected {
    /// Of a command that the client does not know.
    const UNKNOWN: Inspected =
        Inspected { keys: None, read_only: false, idempotency: Idempotency::NotIdempotent };
}

/// Looks a command up by its name and arguments, and its keys among them.
pub(crate) fn inspect(words: &[&[u8]]) -> Inspected {
    let Some((name, args)) = words.split_first() else { return Inspected::UNKNOWN };
    let Some(spec) = spec::lookup_bytes(name, args.first().copied()) else { return Inspected::UNKNOWN };
    Inspected {
        keys: keys(spec, args),
        read_only: spec.is_read_only(),
        idempotency: idempotency::classify(spec, args),
    }
}

fn keys(spec: &Spec, args: &[&[u8]]) -> Option<SmallVec<[usize; 4]>> {
    if spec.is_about_all_keys() || reads_by_pattern(spec, args) {
        return None;
    }
    match locate(spec.keys, args) {
        // A slot's number, or what a script over no keys does, is no list of keys.
        Located::Keys(Keys::InSlot(_)) | Located::Missing => None,
        Located::Keyless if spec.keys != KeySpec::None => None,
        Located::Keyless => Some(SmallVec::new()),
        Located::Keys(keys) | Located::Blocking(keys) => {
            Some(keys.positions(WordList::len(args)).map(|at| at + 1).collect())
        }
    }
}

/// SORT reads keys that BY and GET have patterns for; newer servers allow that within a slot. An operand that looks like such an option makes
/// the answer yes, which is safe.
fn reads_by_pattern(spec: &Spec, args: &[&[u8]]) -> bool {
    let is_pattern = |word: &&[u8]| word.eq_ignore_ascii_case(b"BY") || word.eq_ignore_ascii_case(b"GET");
    matches!(spec.name, "SORT" | "SORT_RO") && args.iter().skip(1).any(is_pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(line: &str) -> Inspected {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        inspect(&words)
    }

    fn positions(line: &str) -> Option<Vec<usize>> {
        inspected(line).keys.map(|keys| keys.to_vec())
    }

    #[test]
    fn keys_are_positions_among_all_words() {
        assert_eq!(positions("GET a"), Some(vec![1]));
        assert_eq!(positions("get a"), Some(vec![1]));
        assert_eq!(positions("MSET a 1 b 2"), Some(vec![1, 3]));
        assert_eq!(positions("OBJECT encoding a"), Some(vec![2]));
        assert_eq!(positions("EVAL script 2 a b c"), Some(vec![3, 4]));
        assert_eq!(positions("ZUNIONSTORE d 2 a b"), Some(vec![1, 3, 4]));
        assert_eq!(positions("XREAD COUNT 1 STREAMS a b 0 0"), Some(vec![4, 5]));
        assert_eq!(positions("SORT a STORE d"), Some(vec![1, 3]));
        assert_eq!(
            positions("XREAD BLOCK 0 STREAMS a 0"),
            Some(vec![4]),
            "whether it may be sent is another question"
        );
    }

    #[test]
    fn no_keys_and_any_keys_are_two_things() {
        assert_eq!(positions("PING"), Some(vec![]));
        assert_eq!(positions("PUBLISH channel text"), Some(vec![]));
        assert_eq!(positions("CONFIG SET maxmemory 1"), Some(vec![]));
        for line in [
            "JSON.GET a",
            "CLIENT NONSENSE",
            "GET",
            "EVAL script 5 a",
            "EVAL script 0",
            "FLUSHALL",
            "DBSIZE",
            "CLUSTERSCAN 0",
            "SORT {a}1 BY {a}w_*",
            "SORT_RO {a}1 get {a}d_*",
            "CLUSTER COUNTKEYSINSLOT 5",
            "XREAD STREAMS",
        ] {
            assert_eq!(positions(line), None, "{line}");
        }
        assert_eq!(inspect(&[]), Inspected::UNKNOWN);
        assert_eq!(inspect(&[b""]), Inspected::UNKNOWN);
        assert_eq!(inspect(&[b"\xff", b"a"]), Inspected::UNKNOWN);
    }

    #[test]
    fn the_server_says_what_only_reads() {
        for line in ["GET a", "EVAL_RO script 1 a", "TOUCH a", "PFCOUNT a", "SORT_RO a"] {
            let inspected = inspected(line);
            assert!(inspected.read_only, "{line}");
            assert_eq!(inspected.idempotency, Idempotency::ReadOnly, "{line}");
        }
        for line in ["SET a 1", "GETEX a", "SORT a", "GEORADIUS a 1 2 3 km", "BITFIELD a GET u8 0"] {
            assert!(!inspected(line).read_only, "{line}");
        }
    }
}
