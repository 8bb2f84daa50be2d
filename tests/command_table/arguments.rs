//! Invocations of commands, drawn from the trees of arguments that COMMAND DOCS describes.
//!
//! It knows the shape of that reply, and no command by name. A number of keys (`numkeys`) and the keys that follow are as many; so are
//! lists that stand in one block (the keys and the identifiers of XREAD). Everything else is drawn.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::servers::{Server, Value};

/// At most so many of what there may be several of.
const MULTIPLE_MAX: usize = 3;

/// One argument, or a group of them.
#[derive(Debug)]
pub(crate) struct Argument {
    name: String,
    kind: String,
    /// The word in front of it.
    token: Option<String>,
    optional: bool,
    multiple: bool,
    /// The token stands in front of each.
    multiple_token: bool,
    arguments: Vec<Argument>,
}

/// The arguments of every command that COMMAND DOCS describes, subcommands as `CONFIG SET`.
pub(crate) fn documented(server: &Server) -> BTreeMap<String, Vec<Argument>> {
    let mut documented = BTreeMap::new();
    add(&server.call(&["COMMAND", "DOCS"]), &mut documented);
    documented
}

fn add(commands: &Value, documented: &mut BTreeMap<String, Vec<Argument>>) {
    for pair in commands.items().chunks_exact(2) {
        let name = pair[0].text().expect("a name").to_ascii_uppercase().replace('|', " ");
        match member(&pair[1], "subcommands") {
            Some(subcommands) => add(subcommands, documented),
            None => drop(documented.insert(name, arguments(&pair[1]))),
        }
    }
}

fn arguments(of: &Value) -> Vec<Argument> {
    member(of, "arguments").map_or(&[][..], Value::items).iter().map(argument).collect()
}

fn argument(entry: &Value) -> Argument {
    let text = |name: &str| member(entry, name).and_then(Value::text).map(str::to_owned);
    let flags = member(entry, "flags").map_or(&[][..], Value::items);
    let has = |flag: &str| flags.iter().any(|have| have.text() == Some(flag));
    Argument {
        name: text("name").unwrap_or_default(),
        kind: text("type").expect("a type"),
        token: text("token"),
        optional: has("optional"),
        multiple: has("multiple"),
        multiple_token: has("multiple_token"),
        arguments: arguments(entry),
    }
}

/// The value of a name in a list of names and values.
fn member<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.items().chunks_exact(2).find(|pair| pair[0].text() == Some(name)).map(|pair| &pair[1])
}

/// Draws what follows a command's name.
pub(crate) fn draw(arguments: &[Argument], random: &mut Random) -> Vec<String> {
    let mut drawn = Drawn { random, words: Vec::new(), announced: None };
    drawn.all(arguments, None);
    drawn.words
}

struct Drawn<'a> {
    random: &'a mut Random,
    words: Vec<String>,
    /// How many keys must follow.
    announced: Option<usize>,
}

impl Drawn<'_> {
    /// `together`: how many there are of each in this group.
    fn all(&mut self, arguments: &[Argument], together: Option<usize>) {
        arguments.iter().for_each(|argument| self.one(argument, together));
    }

    fn one(&mut self, argument: &Argument, together: Option<usize>) {
        let announced = if argument.multiple { self.announced.take() } else { None };
        if argument.optional && announced.is_none() && self.random.below(2) == 0 {
            return;
        }
        let drawn = 1 + self.random.below(MULTIPLE_MAX);
        let count = if argument.multiple { announced.or(together).unwrap_or(drawn) } else { 1 };
        for n in 0..count {
            if n == 0 || argument.multiple_token {
                self.words.extend(argument.token.clone());
            }
            self.value(argument);
        }
    }

    fn value(&mut self, argument: &Argument) {
        let number = self.random.below(20);
        let word = match argument.kind.as_str() {
            "pure-token" => return,
            "block" => {
                let together = 1 + self.random.below(MULTIPLE_MAX);
                return self.all(&argument.arguments, Some(together));
            }
            "oneof" => {
                let chosen = self.random.below(argument.arguments.len());
                return self.one(&argument.arguments[chosen], None);
            }
            "integer" if argument.name == "numkeys" => {
                let count = 1 + self.random.below(MULTIPLE_MAX);
                self.announced = Some(count);
                count.to_string()
            }
            "integer" | "double" | "unix-time" => number.to_string(),
            "key" => format!("key{number}"),
            _ => format!("word{number}"),
        };
        self.words.push(word);
    }
}
