//! What the client knows of commands by name: where their keys are, whether they only read, where they go without keys.
//!
//! Positions count from the first argument after the name.

use crate::command::{Merge, Route};

/// Where a command's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySpec {
    None,
    /// `first, first + step, … last`; a negative `last` counts from the end.
    Range {
        first: usize,
        last: isize,
        step: usize,
    },
    /// Argument `at` says how many keys follow it (EVAL).
    Counted {
        at: usize,
    },
}

/// One row.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) keys: KeySpec,
    pub(crate) read_only: bool,
    /// Where it goes without keys.
    pub(crate) route: &'static Route,
    /// The arguments are groups of this many, key first: it may be split over slots.
    pub(crate) group: Option<usize>,
    pub(crate) merge: Merge,
    /// Why it is refused on a shared connection.
    pub(crate) refused: Option<&'static str>,
}

/// The route of commands that any primary can answer.
pub(crate) static ANY_PRIMARY: Route = Route::AnyPrimary;
static ALL_PRIMARIES: Route = Route::AllPrimaries;
static ALL_NODES: Route = Route::AllNodes;

const ONE: KeySpec = KeySpec::Range { first: 0, last: 0, step: 1 };
const ALL: KeySpec = KeySpec::Range { first: 0, last: -1, step: 1 };
const TWO: KeySpec = KeySpec::Range { first: 0, last: 1, step: 1 };

const fn write(name: &'static str, keys: KeySpec) -> Spec {
    Spec {
        name,
        keys,
        read_only: false,
        route: &ANY_PRIMARY,
        group: None,
        merge: Merge::PerNode,
        refused: None,
    }
}

const fn read(name: &'static str, keys: KeySpec) -> Spec {
    Spec { read_only: true, ..write(name, keys) }
}

const fn split(spec: Spec, group: usize, merge: Merge) -> Spec {
    Spec { group: Some(group), merge, ..spec }
}

const fn everywhere(spec: Spec, route: &'static Route, merge: Merge) -> Spec {
    Spec { route, merge, ..spec }
}

const fn refused(name: &'static str, why: &'static str) -> Spec {
    Spec { refused: Some(why), ..write(name, KeySpec::None) }
}

const CONNECTION: &str =
    "it changes the connection's state, which all commands of this node share; set it in Config";
const SUBSCRIBE: &str = "subscriptions need a connection of their own";
const BLOCKING: &str = "it blocks the connection that all commands of this node share";
const TRANSACTION: &str = "a transaction on a shared connection would swallow other commands";

/// Sorted by name; a test sees to that.
static TABLE: &[Spec] = &[write("APPEND", ONE), read("GET", ONE)];

/// The row of a command; the name's case does not matter.
pub(crate) fn lookup(name: &str) -> Option<&'static Spec> {
    let at = TABLE.binary_search_by(|spec| compare_ignoring_case(spec.name, name)).ok()?;
    TABLE.get(at)
}

fn compare_ignoring_case(row: &str, name: &str) -> std::cmp::Ordering {
    row.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_uppercase()))
}
