//! What becomes of a record: the templates of `--cmd`, or the words behind the file.

use crate::input::error::InputError;
use crate::input::fields::{Row, Wanted};
use crate::input::found::{Found, Made};
use crate::input::key_rule::KeyRules;
use crate::input::options::InputOptions;
use crate::input::template::{Template, Word};
use crate::input::verbs;

/// Commands with places, one behind the other.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    templates: Vec<Template>,
    pub(crate) wanted: Wanted,
    /// Fields that are named as such, and not in a place.
    pub(crate) named: Vec<String>,
}

impl Program {
    /// Reads what the options say; nothing where they say nothing.
    pub(crate) fn parse(options: &InputOptions) -> Result<Option<Program>, InputError> {
        let mut wanted = Wanted::default();
        let mut keys = KeyRules::new();
        let mut templates = Vec::new();
        for text in &options.templates {
            let words = Template::parse(text, &mut wanted)?;
            let template = Template::of(words, &mut keys);
            templates
                .push(template.map_err(|reason| InputError::usage(format!("--cmd {text:?}: {reason}")))?);
        }
        let mut named = Vec::new();
        for words in verbs::parse(&options.words, &mut wanted)? {
            for word in &words {
                if let Word::Fields(filter) = word {
                    named.extend(filter.include.iter().chain(&filter.exclude).cloned());
                }
            }
            templates.push(Template::of(words, &mut keys).map_err(InputError::usage)?);
        }
        Ok(if templates.is_empty() { None } else { Some(Program { templates, wanted, named }) })
    }

    /// Whether it names fields by more than numbers, and these are all among them.
    pub(crate) fn is_about(&self, names: &[String]) -> bool {
        let mut used = self.wanted.names.iter().chain(&self.named);
        let mut spelled = used.clone().filter(|name| name.parse::<usize>().is_err());
        spelled.next().is_some() && used.all(|name| names.contains(name))
    }

    /// Whether a template takes every field.
    pub(crate) fn wants_all_fields(&self) -> bool {
        self.templates.iter().any(Template::wants_all_fields)
    }

    /// Makes the commands of a record, which is `len` bytes behind `before`.
    #[inline]
    pub(crate) fn make(
        &self,
        row: &impl Row,
        (before, len): (usize, usize),
        keys: &mut KeyRules,
        made: &mut Made,
    ) -> Found {
        made.clear();
        made.in_buffer = true;
        for template in &self.templates {
            if let Err(reason) = template.render(row, keys, made) {
                made.clear();
                return Found::Bad { before, len, reason };
            }
        }
        Found::Record { before, len }
    }
}

/// Nobody said what is to become of a record: says how, with the fields that there are.
pub(crate) fn nothing_to_do(options: &InputOptions, names: &[String]) -> InputError {
    let first = names.first().map_or("id", String::as_str);
    let mut template = format!("HSET {}:#{{{first}}}", stem(&options.path));
    for name in names.iter().skip(1).take(3) {
        template.push_str(&format!(" {} #{{{name}}}", name.replace(' ', "_")));
    }
    if names.len() < 2 {
        template.push_str(&format!(" {first} #{{{first}}}"));
    }
    let fields =
        if names.is_empty() { String::new() } else { format!(" with the fields {}", names.join(", ")) };
    InputError::usage(format!("what is to become of a record{fields}?")).hint(format!(
        "Say it as a command, for example --cmd '{template}'\n  or behind the file, for all fields: hset --keyspace {} --key {first}",
        stem(&options.path)
    ))
}

/// The file's name without folders and endings.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    if stem.is_empty() || stem == "-" { "item" } else { stem }
}
