//! What is stored of a run: the outcomes as they were measured, and where and how that was.
//!
//! Nothing in it is computed: every figure of a report can be worked out again from a document. Invariant: no password is in it.

use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::race::Outcome;
use crate::target::without_password;

/// The form that this program writes; `SCHEMA.md` describes it.
pub(crate) const SCHEMA: u32 = 1;

/// Outcomes and their circumstances.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// When the outcomes were complete: RFC 3339, UTC.
    pub(crate) made_at: String,
    pub(crate) machine: Machine,
    /// The command line.
    pub(crate) command: String,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Document {
    /// Of what was measured just now, by this process.
    ///
    /// # Errors
    /// Where the clock is before 1970 or far after our time.
    pub(crate) fn new(mut outcomes: Vec<Outcome>) -> Result<Document> {
        for outcome in &mut outcomes {
            outcome.race.target.url = outcome.race.target.url.as_deref().map(without_password);
        }
        let now = jiff::Timestamp::now().round(jiff::Unit::Second).context("what time is it?")?;
        Ok(Document {
            schema: SCHEMA,
            made_at: now.to_string(),
            machine: Machine::this(),
            command: own_command(),
            outcomes,
        })
    }

    /// A document that was stored.
    ///
    /// # Errors
    /// Where the file cannot be read, or is of another form.
    pub(crate) fn read(path: &Path) -> Result<Document> {
        let shown = path.display();
        let file = std::fs::File::open(path).with_context(|| format!("cannot open {shown}"))?;
        let value: serde_json::Value =
            serde_json::from_reader(BufReader::new(file)).with_context(|| format!("{shown} is no JSON"))?;
        // First of all, so that another form is called that and not a missing field.
        let schema = value.get("schema").and_then(serde_json::Value::as_u64);
        if schema != Some(u64::from(SCHEMA)) {
            bail!("{shown} is not a document of schema {SCHEMA}");
        }
        serde_json::from_value(value).with_context(|| format!("{shown} is not a document of this program"))
    }

    /// All contenders, in the order in which they first appear.
    pub(crate) fn contenders(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for entrant in self.outcomes.iter().flat_map(|outcome| &outcome.results) {
            if !names.contains(&entrant.contender.as_str()) {
                names.push(&entrant.contender);
            }
        }
        names
    }

    /// Whether ratios can be taken against this contender.
    ///
    /// # Errors
    /// Where it took no part; the message lists who did.
    pub(crate) fn check_base(&self, base: Option<&str>) -> Result<()> {
        let names = self.contenders();
        match base {
            Some(base) if !names.contains(&base) => {
                bail!("there is no contender {base:?} here; there are {}", names.join(", "))
            }
            _ => Ok(()),
        }
    }

    /// As it is stored.
    ///
    /// # Errors
    /// None that is known: everything in it has a form in JSON.
    pub(crate) fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// The command line of this process, as it may be shown.
pub(crate) fn own_command() -> String {
    command(std::env::args())
}

/// A command line to be read, and to be given to a shell again.
fn command(args: impl Iterator<Item = String>) -> String {
    let mut words = Vec::new();
    for (at, arg) in args.enumerate() {
        let arg = match at {
            // The program's name tells enough; where it lies is nobody's business.
            0 => Path::new(&arg).file_name().map_or(arg.clone(), |name| name.to_string_lossy().into_owned()),
            _ => without_password(&arg),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/%@+".contains(c);
        if !arg.is_empty() && arg.chars().all(plain) {
            words.push(arg);
        } else {
            words.push(format!("'{}'", arg.replace('\'', r"'\''")));
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_document_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let (document, path) = (sample::document(), directory.path().join("report.json"));
        std::fs::write(&path, document.json().unwrap()).unwrap();
        assert_eq!(Document::read(&path).unwrap().json().unwrap(), document.json().unwrap());
    }

    #[test]
    fn another_form_is_refused_by_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other.json");
        std::fs::write(&path, r#"{"schema": 2}"#).unwrap();
        assert!(format!("{:#}", Document::read(&path).unwrap_err()).contains("schema 1"));
        std::fs::write(&path, "nonsense").unwrap();
        assert!(Document::read(&path).is_err());
        assert!(Document::read(&directory.path().join("none")).is_err());
    }

    #[test]
    fn passwords_are_left_out() {
        let mut outcomes = sample::document().outcomes;
        outcomes[0].race.target.url = Some("redis://user:secret@example.test:7000".to_owned());
        let document = Document::new(outcomes).unwrap();
        assert_eq!(document.outcomes[0].race.target.url.as_deref(), Some("redis://example.test:7000"));
        let args = ["/a/b/bench", "run", "--url=redis://:secret@h:1", "--url", "redis://u:secret@h", "it's"];
        let shown = command(args.iter().map(|&arg| arg.to_owned()));
        assert_eq!(shown, r"bench run --url=redis://h:1 --url redis://h 'it'\''s'");
    }

    #[test]
    fn a_base_must_have_taken_part() {
        let document = sample::document();
        assert!(document.check_base(None).is_ok() && document.check_base(Some("panpipe")).is_ok());
        assert!(document.check_base(Some("nobody")).unwrap_err().to_string().contains("floor, panpipe"));
    }

    /// Names of all fields, at any depth; what is a map and no struct has names of its own.
    fn fields(value: &serde_json::Value, names: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    names.push(name.clone());
                    let inner = map_values(name, value);
                    inner.into_iter().for_each(|value| fields(value, names));
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, names)),
            _ => {}
        }
    }

    fn map_values<'a>(name: &str, value: &'a serde_json::Value) -> Vec<&'a serde_json::Value> {
        match value {
            serde_json::Value::Object(map) if name == "by_name" => map.values().collect(),
            _ => vec![value],
        }
    }

    #[test]
    fn every_field_is_described() {
        let description = include_str!("../../SCHEMA.md");
        let mut names = Vec::new();
        fields(&serde_json::to_value(sample::everything()).unwrap(), &mut names);
        assert!(names.len() > 60, "the sample has too little in it: {names:?}");
        for name in names {
            assert!(description.contains(&format!("`{name}`")), "SCHEMA.md does not mention `{name}`");
        }
    }
}
