//! The words behind the file: `hset --keyspace beer --key id expire --ttl 3600`, in the manner of RIOT.
//!
//! Each is short for a template over the record's fields; several make several commands per record. A value is the name of a field (several
//! with commas are joined), a number where one is asked for, or anything with `#{…}` in it.

use crate::input::error::InputError;
use crate::input::fields::{FieldFilter, Wanted};
use crate::input::template::{Piece, Template, Word};

/// What is said in the help.
pub(crate) const HELP: &str = "\
Commands behind the file, for every record of csv, tsv, psv, jsonl, json, kv; several may follow each other:
  hset, xadd                 every field [--include NAMES | --exclude NAMES]
  set                        --value FIELD
  sadd, srem, lpush, rpush   --member FIELD
  zadd                       --member FIELD --score FIELD
  geoadd                     --member FIELD --lon FIELD --lat FIELD
  json.set                   the whole record (jsonl and json)
  expire                     --ttl SECONDS|FIELD
  del                        the key
  All of them take --keyspace TEXT --key FIELD[,FIELD..] --separator TEXT: the key is keyspace, separator (:), and \
the fields. Without both it is the key of the command before. FIELD may also be text with #{field} in it.";

/// One command while it is read.
#[derive(Debug, Default)]
struct Verb<'w> {
    name: &'w str,
    options: Vec<(&'w str, &'w str)>,
}

/// What a command takes beside its key.
enum Shape {
    AllFields(&'static [&'static str]),
    /// The values of these options, in this order, behind these words.
    Values(&'static [&'static str]),
    Source,
}

const KEY_OPTIONS: [&str; 3] = ["--keyspace", "--key", "--separator"];
const FILTERS: [&str; 2] = ["--include", "--exclude"];

fn shape(name: &str) -> Option<Shape> {
    Some(match name {
        "hset" => Shape::AllFields(&[]),
        "xadd" => Shape::AllFields(&["*"]),
        "set" => Shape::Values(&["--value"]),
        "sadd" | "srem" | "lpush" | "rpush" => Shape::Values(&["--member"]),
        "zadd" => Shape::Values(&["--score", "--member"]),
        "geoadd" => Shape::Values(&["--lon", "--lat", "--member"]),
        "expire" => Shape::Values(&["--ttl"]),
        "del" => Shape::Values(&[]),
        "json.set" => Shape::Source,
        _ => return None,
    })
}

/// The commands as words with places.
pub(crate) fn parse(words: &[String], wanted: &mut Wanted) -> Result<Vec<Vec<Word>>, InputError> {
    let mut commands = Vec::new();
    let mut key: Option<Vec<Piece>> = None;
    for verb in split(words)? {
        let own = verb.key(wanted)?;
        let Some(its) = own.or_else(|| key.clone()) else {
            return Err(verb.wrong("no key: give --keyspace, --key or both"));
        };
        key = Some(its.clone());
        commands.push(verb.words(its, wanted)?);
    }
    Ok(commands)
}

fn split(words: &[String]) -> Result<Vec<Verb<'_>>, InputError> {
    let mut verbs: Vec<Verb<'_>> = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            if shape(&word.to_ascii_lowercase()).is_none() {
                return Err(InputError::usage(format!("{word:?} is none of the commands that can stand behind the file")).hint(
                    "They are hset, xadd, set, sadd, srem, lpush, rpush, zadd, geoadd, json.set, expire, del; any other with --cmd",
                ));
            }
            verbs.push(Verb { name: word, options: Vec::new() });
            continue;
        }
        let Some(verb) = verbs.last_mut() else {
            return Err(InputError::usage(format!("{word} is no option of the import")).hint(
                "An option of a command such as hset stands behind that command; --help has the others",
            ));
        };
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, words.next()),
        };
        let value = value.ok_or_else(|| verb.wrong(&format!("{option} without a value")))?;
        if verb.options.iter().any(|(other, _)| *other == option) {
            return Err(verb.wrong(&format!("{option} twice")));
        }
        verb.options.push((option, value));
    }
    for verb in &verbs {
        verb.check_options()?;
    }
    Ok(verbs)
}

impl Verb<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| *option == name).map(|(_, value)| *value)
    }

    fn wrong(&self, reason: &str) -> InputError {
        InputError::usage(format!("{}: {reason}", self.name))
    }

    fn own_options(&self) -> Vec<&'static str> {
        match shape(&self.name.to_ascii_lowercase()) {
            Some(Shape::AllFields(_)) => FILTERS.to_vec(),
            Some(Shape::Values(options)) => options.to_vec(),
            Some(Shape::Source) | None => Vec::new(),
        }
    }

    fn check_options(&self) -> Result<(), InputError> {
        let own = self.own_options();
        let is_known = |option: &&str| KEY_OPTIONS.contains(option) || own.contains(option);
        match self.options.iter().map(|(option, _)| *option).find(|option| !is_known(option)) {
            None => Ok(()),
            Some(option) => {
                let all = [&KEY_OPTIONS[..], &own].concat().join(", ");
                Err(self.wrong(&format!("no option {option}; there are {all}")).hint(
                    "Options of the import itself stand before the command that is made of each record",
                ))
            }
        }
    }

    /// The key that the options name, if they do.
    fn key(&self, wanted: &mut Wanted) -> Result<Option<Vec<Piece>>, InputError> {
        let separator = self.option("--separator").unwrap_or(":");
        let mut pieces = Vec::new();
        if let Some(keyspace) = self.option("--keyspace") {
            pieces.extend(self.text(keyspace, wanted)?);
        }
        if let Some(fields) = self.option("--key") {
            if !pieces.is_empty() {
                pieces.push(Piece::Text(separator.into()));
            }
            pieces.extend(self.values(fields, separator, wanted)?);
        }
        Ok(if pieces.is_empty() { None } else { Some(pieces) })
    }

    /// The whole command.
    fn words(&self, key: Vec<Piece>, wanted: &mut Wanted) -> Result<Vec<Word>, InputError> {
        let fixed = |text: &str| Word::Pieces(vec![Piece::Text(text.into())]);
        let mut words = vec![fixed(&self.name.to_ascii_uppercase()), Word::Pieces(key)];
        match shape(&self.name.to_ascii_lowercase()) {
            Some(Shape::AllFields(between)) => {
                words.extend(between.iter().map(|text| fixed(text)));
                let names = |option: &str| {
                    let names = self.option(option).unwrap_or_default().split(',');
                    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
                };
                words.push(Word::Fields(FieldFilter {
                    include: names("--include"),
                    exclude: names("--exclude"),
                }));
            }
            Some(Shape::Values(options)) => {
                for option in options {
                    let value =
                        self.option(option).ok_or_else(|| self.wrong(&format!("{option} is missing")))?;
                    // A number stands for itself where no field makes sense.
                    let is_number = matches!(*option, "--ttl" | "--score") && value.parse::<f64>().is_ok();
                    let pieces =
                        if is_number { self.text(value, wanted)? } else { self.values(value, ":", wanted)? };
                    words.push(Word::Pieces(pieces));
                }
            }
            Some(Shape::Source) => words.extend([fixed("$"), Word::Pieces(vec![Piece::Source])]),
            None => {}
        }
        Ok(words)
    }

    /// Fields by name, joined; or text with places.
    fn values(&self, text: &str, separator: &str, wanted: &mut Wanted) -> Result<Vec<Piece>, InputError> {
        if text.contains("#{") {
            return self.text(text, wanted);
        }
        let mut pieces = Vec::new();
        for name in text.split(',') {
            if !pieces.is_empty() {
                pieces.push(Piece::Text(separator.into()));
            }
            let at = wanted.place_of(name).map_err(|reason| self.wrong(&reason))?;
            pieces.push(Piece::Field { at, default: None });
        }
        Ok(pieces)
    }

    /// Text with places, of which spaces and quotes are parts.
    fn text(&self, text: &str, wanted: &mut Wanted) -> Result<Vec<Piece>, InputError> {
        Template::pieces(text, wanted).map_err(|reason| self.wrong(&reason))
    }
}
