//! What servers say of their commands.
//!
//! It knows the shape of COMMAND's reply from Redis 7.0 on, and nothing of what the client makes of it.

use std::collections::BTreeMap;

use crate::servers::{Server, Value, Version};

/// Whose word counts, each more than that of those before it.
pub(crate) const ASKED: [Version; 3] = [Version::Redis70, Version::Redis82, Version::Valkey91];

/// What one server says of one command.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Words with the name; negative where there may be more.
    pub(crate) arity: i64,
    pub(crate) flags: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) tips: Vec<String>,
    pub(crate) keys: Vec<Search>,
    pub(crate) container: bool,
}

/// One key specification: where to begin, and which words from there on are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) begin: Begin,
    pub(crate) find: Find,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At this word; the name is 0.
    Index(i64),
    /// Behind a word of the command, or nobody knows.
    Elsewhere,
}

/// Which words are keys, seen from where the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Find {
    /// Up to `last`, which counts from the end where it is negative; `limit` says which part of them.
    Range {
        last: i64,
        step: i64,
        limit: i64,
    },
    /// As many as word `at` says, from `first` on.
    Counted {
        at: i64,
        first: i64,
        step: i64,
    },
    Unknown,
}

impl Known {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have == flag)
    }

    pub(crate) fn is_of(&self, category: &str) -> bool {
        self.categories.iter().any(|have| have == category)
    }

    pub(crate) fn tip(&self, name: &str) -> Option<&str> {
        self.tips.iter().find_map(|tip| tip.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// Every command of every server; where several have it, what the last of them says.
pub(crate) fn union() -> BTreeMap<String, Known> {
    let mut union = BTreeMap::new();
    for version in ASKED {
        union.extend(commands(&Server::start(version, &[])));
    }
    union
}

/// All that COMMAND lists, subcommands as `CONFIG SET`.
pub(crate) fn commands(server: &Server) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for entry in server.call(&["COMMAND"]).items() {
        known.extend([command(entry)]);
        known.extend(field(entry, 9).iter().map(command));
    }
    known
}

fn command(entry: &Value) -> (String, Known) {
    let text = |value: &Value| value.text().expect("a text").to_owned();
    let texts = |at: usize| field(entry, at).iter().map(text).collect();
    let name = text(&entry.items()[0]).to_ascii_uppercase().replace('|', " ");
    let known = Known {
        arity: entry.items()[1].integer().expect("a number"),
        flags: texts(2),
        categories: texts(6),
        tips: texts(7),
        keys: field(entry, 8).iter().map(search).collect(),
        container: !field(entry, 9).is_empty(),
    };
    (name, known)
}

fn field(entry: &Value, at: usize) -> &[Value] {
    entry.items().get(at).map_or(&[], Value::items)
}

fn search(spec: &Value) -> Search {
    let (begin, find) = (member(spec, "begin_search"), member(spec, "find_keys"));
    let kind = |of: &Value| member(of, "type").text().expect("a type").to_owned();
    let number = |of: &Value, name: &str| member(member(of, "spec"), name).integer().expect("a number");
    Search {
        begin: match kind(begin).as_str() {
            "index" => Begin::Index(number(begin, "index")),
            _ => Begin::Elsewhere,
        },
        find: match kind(find).as_str() {
            "range" => Find::Range {
                last: number(find, "lastkey"),
                step: number(find, "keystep"),
                limit: number(find, "limit"),
            },
            "keynum" => Find::Counted {
                at: number(find, "keynumidx"),
                first: number(find, "firstkey"),
                step: number(find, "keystep"),
            },
            _ => Find::Unknown,
        },
    }
}

/// The value of a name in a list of names and values.
fn member<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut pairs = list.items().chunks_exact(2);
    let found = pairs.find(|pair| pair[0].text() == Some(name));
    &found.unwrap_or_else(|| panic!("no {name} in {list:?}"))[1]
}
