//! The words in which the rows of the table are written.
//!
//! `table` is generated, and says nothing but these; what they mean, and why a command is refused, is written here by hand.

use crate::command::idempotency::{Condition, Options};
use crate::command::spec::{Admission, KeySpec, Spec, StoreOption};
use crate::command::{Idempotency, Merge, Route, retry};

// What the servers say of a command.

pub(super) const NONE: u8 = 0;
/// It changes nothing: `readonly`.
pub(super) const READ: u8 = retry::READ_ONLY;
/// It may change keys: `write`.
pub(super) const WRITE: u8 = 2;
/// It may wait before it answers: `blocking`.
pub(super) const BLOCKS: u8 = 4;
/// It is about the server and not about data: `admin`.
pub(super) const ADMIN: u8 = 8;
/// It belongs to subscriptions: `pubsub`.
pub(super) const PUBSUB: u8 = 16;
/// A script may not run it: `noscript`.
pub(super) const NO_SCRIPT: u8 = 32;
/// It is about all keys: of the category `@keyspace`, and without key specifications.
pub(super) const ALL_KEYS: u8 = 64;

// Where keys are.

pub(super) const NO_KEYS: KeySpec = KeySpec::None;
/// A subcommand, then a slot's number.
pub(super) const SLOT: KeySpec = KeySpec::SlotNumber { at: 1 };
pub(super) const STREAMS: KeySpec = KeySpec::Streams;
pub(super) const MIGRATE: KeySpec = KeySpec::Migrate;
pub(super) const SORT: KeySpec = KeySpec::FirstAndStore(&StoreOption {
    from: 1,
    store: &["STORE"],
    skip: &[("BY", 1), ("GET", 1), ("LIMIT", 2)],
});
pub(super) const GEORADIUS: KeySpec =
    KeySpec::FirstAndStore(&StoreOption { from: 4, store: &["STORE", "STOREDIST"], skip: &[("COUNT", 1)] });

pub(super) const fn range(first: usize, last: isize, step: usize) -> KeySpec {
    KeySpec::Range { first, last, step }
}

pub(super) const fn counted(at: usize, step: usize) -> KeySpec {
    KeySpec::Counted { at, step }
}

pub(super) const fn first_and_counted(at: usize) -> KeySpec {
    KeySpec::FirstAndCounted { at }
}

// Where a command goes.

static ANY_PRIMARY: Route = Route::AnyPrimary;
static ALL_PRIMARIES: Route = Route::AllPrimaries;
static ALL_NODES: Route = Route::AllNodes;

/// Where a command goes, what becomes of several replies, and whether it may.
#[derive(Clone, Copy)]
pub(super) struct Place {
    route: &'static Route,
    group: Option<usize>,
    merge: Merge,
    admission: Admission,
    container: bool,
}

/// By its keys, and without keys to any primary.
pub(super) const OPEN: Place = Place {
    route: &ANY_PRIMARY,
    group: None,
    merge: Merge::PerNode,
    admission: Admission::Open,
    container: false,
};

/// Its subcommands have rows of their own.
pub(super) const CONTAINER: Place = Place { container: true, ..OPEN };

/// It may be split over slots, into groups of this many arguments.
pub(super) const fn split(group: usize, merge: Merge) -> Place {
    Place { group: Some(group), merge, ..OPEN }
}

/// It concerns every primary.
pub(super) const fn shards(merge: Merge) -> Place {
    Place { route: &ALL_PRIMARIES, merge, ..OPEN }
}

/// It concerns every node, replicas too.
pub(super) const fn nodes(merge: Merge) -> Place {
    Place { route: &ALL_NODES, merge, ..OPEN }
}

/// Only the caller can say where.
pub(super) const fn routed(why: &'static str) -> Place {
    Place { admission: Admission::NeedsRoute(why), ..OPEN }
}

/// Not on a connection that is shared.
pub(super) const fn refused(why: &'static str) -> Place {
    Place { admission: Admission::Refused(why), ..OPEN }
}

// Why a command is refused. Each says what to use instead, where there is something.

pub(super) const WAITS: &str = "it would hold up every command of this node while it waits; poll with the form that does not \
     block (LPOP, LMOVE, LMPOP, ZPOPMIN, ZMPOP)";
pub(super) const CLOSES: &str = "it would end what all commands of this node share; drop the client instead";
pub(super) const CHANGES_CONNECTION: &str = "it changes the connection that all commands of this node share, and would be forgotten with it; \
     what a connection starts with is set in Config";
pub(super) const DATABASE: &str =
    "all commands of this node share one connection, and it stays in database 0";
pub(super) const REDIRECTS: &str = "the client sends it itself, where a redirect asks for it";
pub(super) const STREAM: &str =
    "what follows it is not one reply, and all commands of this node share the connection";
pub(super) const REPLY: &str = "the client counts on one reply per command";
pub(super) const SENTINEL: &str = "it is for a Sentinel, and the nodes of a cluster are none";
pub(super) const SUBSCRIBES: &str =
    "a subscription takes a connection over, and all commands of this node share this one";
pub(super) const TRACKING: &str =
    "invalidation messages would come to a connection that all commands of this node share";
pub(super) const TRANSACTION: &str = "on a connection that others share it would swallow their commands; a script (EVAL) over keys of \
     one slot is atomic";
pub(super) const OWN_WRITES: &str = "it is about the writes of its own connection, which all commands of this node share, and would hold \
     them up while it waits";

// Why a command needs a route.

pub(super) const CURSOR: &str = "its cursor means something to one node only; give each page .route(Route::Node(…)) of the node that \
     it walks";
pub(super) const NAMED_NODE: &str = "it is meant for one node; name it with .route(Route::Node(…))";

// What happens when a command runs twice.

/// A class, and the condition on which a command is in it.
pub(super) struct Class(Idempotency, Condition);

pub(super) const READS: Class = Class(Idempotency::ReadOnly, Condition::None);
pub(super) const REPEATS: Class = Class(Idempotency::NotIdempotent, Condition::None);
pub(super) const CONNECTION: Class = Class(Idempotency::ConnectionEffect, Condition::None);
/// The same as once.
pub(super) const SAME: Class = Class(Idempotency::Idempotent, Condition::None);
/// The same as once, but for the options that have not been looked at.
pub(super) const fn same_without_options(from: usize) -> Class {
    same_if(Condition::OptionsFrom { from, allowed: &[] })
}
/// Points in time are allowed, and no spans: what is set to last a minute lasts longer when it is set again.
pub(super) const fn same_with_points_in_time(from: usize) -> Class {
    const POINTS: Options = &[("EXAT", 1), ("PXAT", 1)];
    same_if(Condition::OptionsFrom { from, allowed: POINTS })
}
/// CH in front of the scores says how the reply is counted; every other word there is a condition or an increment.
pub(super) const SAME_SCORES: Class =
    same_if(Condition::OptionsBeforeNumber { from: 1, allowed: &[("CH", 0)] });
pub(super) const SAME_IF_DISTINCT: Class = same_if(Condition::DistinctDestination);
pub(super) const SAME_BITS: Class = same_if(Condition::BitOperation);
pub(super) const SAME_ENTRY: Class = same_if(Condition::EntryId);

const fn same_if(condition: Condition) -> Class {
    Class(Idempotency::Idempotent, condition)
}

/// One row.
pub(super) const fn row(
    name: &'static str,
    arity: i8,
    flags: u8,
    keys: KeySpec,
    place: Place,
    class: Class,
) -> Spec {
    let Place { route, group, merge, admission, container } = place;
    let Class(idempotency, condition) = class;
    Spec { name, arity, flags, container, keys, route, group, merge, admission, idempotency, condition }
}
