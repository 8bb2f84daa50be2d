//! What the client knows of commands by name: where their keys are, whether they only read, where they go without keys,
//! and which do not belong on a connection that others share.
//!
//! The rows themselves are in `table`, which is generated from what servers say of their commands: `tests/commands` asks them, and has
//! the list of what the client knows better. Where a command without keys goes follows the server's own [command tips]; where there is no
//! tip, and that list has nothing, it goes to any primary.
//!
//! [command tips]: https://redis.io/docs/latest/develop/reference/command-tips/

use crate::command::idempotency::Condition;
use crate::command::locate::{Located, locate};
use crate::command::table::TABLE;
use crate::command::{Idempotency, Merge, Route, row};

/// Where a command's keys are. Positions count from the first argument after the name; a subcommand is an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySpec {
    /// There are none.
    None,
    /// `first, first + step, … last`; a negative `last` counts from the end.
    Range { first: usize, last: isize, step: usize },
    /// Argument `at` says how many keys follow it, `step` apart (EVAL).
    Counted { at: usize, step: usize },
    /// The first argument, and as many behind argument `at` as that says (ZUNIONSTORE).
    FirstAndCounted { at: usize },
    /// The first argument, and the one behind one of the `store` words among the options (SORT).
    FirstAndStore(&'static StoreOption),
    /// The first half of what stands behind STREAMS (XREAD). With BLOCK among the options it is refused.
    Streams,
    /// The third argument, or, where that is empty, what stands behind KEYS.
    Migrate,
    /// There are none, but argument `at` is the number of the slot that it is about.
    SlotNumber { at: usize },
}

/// How to find the destination of a command that has one as an option.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoreOption {
    /// The first option's position.
    pub(crate) from: usize,
    /// The words in front of a destination.
    pub(crate) store: &'static [&'static str],
    /// The other options that have values, and how many.
    pub(crate) skip: &'static [(&'static str, usize)],
}

/// Whether a command may use a connection that all commands of its node share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes.
    Open,
    /// Only with an explicit route, for this reason.
    NeedsRoute(&'static str),
    /// Never, for this reason.
    Refused(&'static str),
}

/// What the client knows of one command.
#[derive(Debug)]
pub struct Spec {
    pub(crate) name: &'static str,
    /// Words with the name; negative where there may be more.
    pub(crate) arity: i8,
    /// The flags of `row`.
    pub(crate) flags: u8,
    /// The first argument is a subcommand, with a row of its own: `CONFIG SET`.
    pub(crate) container: bool,
    pub(crate) keys: KeySpec,
    /// Where it goes without keys.
    pub(crate) route: &'static Route,
    /// The arguments are groups of this many, key first: it may be split over slots.
    pub(crate) group: Option<usize>,
    pub(crate) merge: Merge,
    pub(crate) admission: Admission,
    pub(crate) idempotency: Idempotency,
    pub(crate) condition: Condition,
}

impl Spec {
    /// The name in upper case; that of a subcommand with its container: `CONFIG SET`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the name is only the first half of a command, such as `CONFIG`.
    pub fn is_container(&self) -> bool {
        self.container
    }

    /// Whether it changes nothing on the server, by the server's own account (its `readonly` flag).
    pub fn is_read_only(&self) -> bool {
        self.flags & row::READ != 0
    }

    /// Whether it may change keys, by the server's own account (its `write` flag).
    pub fn is_write(&self) -> bool {
        self.flags & row::WRITE != 0
    }

    /// Whether it may wait before it answers, by the server's own account (its `blocking` flag).
    pub fn is_blocking(&self) -> bool {
        self.flags & row::BLOCKS != 0
    }

    /// Whether a script may not run it, by the server's own account (its `noscript` flag).
    pub fn is_barred_from_scripts(&self) -> bool {
        self.flags & row::NO_SCRIPT != 0
    }

    /// Whether it is about all keys, of a slot or of a node, whether it names any or not: FLUSHALL, DBSIZE, CLUSTERSCAN.
    pub fn is_about_all_keys(&self) -> bool {
        self.flags & row::ALL_KEYS != 0
    }

    /// How many words it has with its name; negative where there may be more.
    pub fn arity(&self) -> i8 {
        self.arity
    }

    /// What happens when it runs twice, whatever its arguments are: the worst of what they can make of it.
    pub fn idempotency(&self) -> Idempotency {
        match self.condition {
            Condition::None => self.idempotency,
            _ => Idempotency::NotIdempotent,
        }
    }

    /// Whether its keys decide where it goes (or a slot's number, as in `CLUSTER COUNTKEYSINSLOT`).
    pub fn has_keys(&self) -> bool {
        self.keys != KeySpec::None
    }

    /// The positions of its keys among the words that follow the first word of its name (of `CONFIG SET` the SET is one of them); empty
    /// where it has none, and nothing where they are not where they should be.
    ///
    /// ```
    /// let zunionstore = panpipe::command::known_commands().find(|spec| spec.name() == "ZUNIONSTORE").unwrap();
    /// assert_eq!(zunionstore.key_positions(&[b"all", b"2", b"one", b"two"]), Some(vec![0, 2, 3]));
    /// assert_eq!(zunionstore.key_positions(&[b"all", b"9", b"one", b"two"]), None);
    /// ```
    pub fn key_positions(&self, words: &[&[u8]]) -> Option<Vec<usize>> {
        match locate(self.keys, words) {
            Located::Keys(keys) | Located::Blocking(keys) => Some(keys.positions(words.len()).collect()),
            Located::Keyless => Some(Vec::new()),
            Located::Missing => None,
        }
    }

    /// Whether keys of several slots are split into one command per slot.
    pub fn is_split(&self) -> bool {
        self.group.is_some()
    }

    /// Where it goes where neither keys nor the caller decide.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// How the replies of several slots or nodes become one.
    pub fn merge(&self) -> Merge {
        self.merge
    }

    /// Why it is refused on a shared connection, where it is.
    pub fn refusal(&self) -> Option<&'static str> {
        if let Admission::Refused(why) = self.admission { Some(why) } else { None }
    }

    /// Why it must be given a route, where it must.
    pub fn needs_route(&self) -> Option<&'static str> {
        if let Admission::NeedsRoute(why) = self.admission { Some(why) } else { None }
    }
}

/// All commands that the client knows by name, sorted. Others can be sent too: see [`Cmd`](crate::command::Cmd).
pub fn known_commands() -> impl ExactSizeIterator<Item = &'static Spec> {
    TABLE.iter()
}

/// The row of a command, whatever the case of its name; of a container with a subcommand, that of the subcommand.
pub(crate) fn lookup(name: &str, first_arg: Option<&[u8]>) -> Option<&'static Spec> {
    lookup_bytes(name.as_bytes(), first_arg)
}

/// As `lookup`, of a name that may be no text.
pub(crate) fn lookup_bytes(name: &[u8], first_arg: Option<&[u8]>) -> Option<&'static Spec> {
    let spec = find(name, None)?;
    match first_arg {
        Some(subcommand) if spec.container => find(name, Some(subcommand)),
        _ => Some(spec),
    }
}

/// Where the rows of each first letter begin, and behind the last one the end: rows of other letters need no look.
static LETTERS: [usize; 27] = letters();

const fn letters() -> [usize; 27] {
    let mut starts = [0; 27];
    let mut letter = 0;
    while letter < starts.len() {
        let mut row = 0;
        while row < TABLE.len() && TABLE[row].name.as_bytes()[0] < b'A' + letter as u8 {
            row += 1;
        }
        starts[letter] = row;
        letter += 1;
    }
    starts
}

/// Looks `NAME` or `NAME SUBCOMMAND` up. A search from the middle would be fewer steps, each of which waits for the one before; most
/// rows of a letter are told apart by their length.
fn find(name: &[u8], subcommand: Option<&[u8]>) -> Option<&'static Spec> {
    let letter = usize::from(name.first()?.to_ascii_uppercase().checked_sub(b'A')?);
    let rows = TABLE.get(*LETTERS.get(letter)?..*LETTERS.get(letter + 1)?)?;
    rows.iter().find(|spec| is_named(spec.name.as_bytes(), name, subcommand))
}

fn is_named(row: &[u8], name: &[u8], subcommand: Option<&[u8]>) -> bool {
    let Some(subcommand) = subcommand else { return row.eq_ignore_ascii_case(name) };
    row.split_at_checked(name.len()).is_some_and(|(front, back)| {
        front.eq_ignore_ascii_case(name)
            && back.strip_prefix(b" ").is_some_and(|back| back.eq_ignore_ascii_case(subcommand))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_upper_case_and_found() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        for spec in TABLE {
            assert!(spec.name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{}", spec.name);
            assert_eq!(spec.name, spec.name.to_ascii_uppercase());
            let found = match spec.name.split_once(' ') {
                Some((name, subcommand)) => find(name.as_bytes(), Some(subcommand.as_bytes())),
                None => find(spec.name.to_ascii_lowercase().as_bytes(), None),
            };
            assert_eq!(found.map(|found| found.name), Some(spec.name));
        }
    }

    #[test]
    fn every_subcommand_has_a_container_and_every_container_a_subcommand() {
        for spec in TABLE {
            match spec.name.split_once(' ') {
                Some((container, _)) => assert!(lookup(container, None).unwrap().container, "{}", spec.name),
                None => {
                    let has = TABLE.iter().any(|row| {
                        row.name.strip_prefix(spec.name).is_some_and(|rest| rest.starts_with(' '))
                    });
                    assert_eq!(spec.container, has, "{}", spec.name);
                }
            }
        }
    }

    #[test]
    fn every_row_is_found_in_any_case() {
        for spec in TABLE {
            let lower = spec.name.to_ascii_lowercase();
            let (name, subcommand) = match lower.split_once(' ') {
                Some((name, subcommand)) => (name, Some(subcommand.as_bytes())),
                None => (lower.as_str(), None),
            };
            assert_eq!(lookup(name, subcommand).unwrap().name, spec.name);
        }
    }

    #[test]
    fn only_containers_look_at_the_first_argument() {
        assert_eq!(lookup("get", Some(b"x")).unwrap().name, "GET");
        assert_eq!(lookup("client", Some(b"list")).unwrap().name, "CLIENT LIST");
        assert_eq!(lookup("client", None).unwrap().name, "CLIENT");
        assert!(lookup("client", Some(b"nonsense")).is_none());
        assert!(lookup("CLIENT LIST", None).is_some(), "a name with a space is a row too");
        assert!(lookup("", None).is_none());
        assert!(lookup("GE", Some(b"T")).is_none());
        assert!(lookup("JSON.GET", None).is_none());
    }

    #[test]
    fn rows_make_sense() {
        for spec in TABLE {
            let name = spec.name;
            let elsewhere = spec.route != &Route::AnyPrimary;
            assert!(!(spec.has_keys() && elsewhere), "{name}: keys decide where it goes");
            let is_routed = matches!(spec.admission, Admission::NeedsRoute(_));
            assert!(
                !(spec.has_keys() && is_routed),
                "{name}: keys say where it goes, and so must the caller"
            );
            assert!(!(spec.is_read_only() && spec.is_write()), "{name}: reads only and writes");
            assert_eq!(spec.is_read_only(), spec.idempotency == Idempotency::ReadOnly, "{name}");
            if let Some(group) = spec.group {
                let all = KeySpec::Range { first: 0, last: -1, step: group };
                assert_eq!(spec.keys, all, "{name}: what is split is groups of a key each");
            }
            let joined = spec.group.is_some() || elsewhere;
            assert!(joined || spec.merge == Merge::PerNode, "{name}: a merge rule without parts");
        }
    }
}
