//! The fields of a record, and which of them somebody wants.

use crate::input::error::InputError;

/// The values of one record, wherever they lie.
pub(crate) trait Row {
    /// One of the wanted values; nothing where the record has not got it.
    fn value(&self, at: usize) -> Option<&[u8]>;

    /// Name and value of every field that the filter lets through, in order.
    fn each(&self, filter: &FieldFilter, take: &mut dyn FnMut(&[u8], &[u8]));

    /// The record's bytes, without the line end.
    fn source(&self) -> &[u8];

    /// Why there is no such value.
    fn missing(&self, at: usize) -> String;
}

/// Which of all fields are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldFilter {
    /// These alone; all where it is empty.
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

impl FieldFilter {
    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        let is_in = |names: &[String]| names.iter().any(|other| other.as_bytes() == name);
        (self.include.is_empty() || is_in(&self.include)) && !is_in(&self.exclude)
    }
}

/// The fields that templates name, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) names: Vec<String>,
}

impl Wanted {
    /// The place of a name; a new one where it was not wanted yet.
    pub(crate) fn place_of(&mut self, name: &str) -> Result<usize, String> {
        if let Some(at) = self.names.iter().position(|other| other == name) {
            return Ok(at);
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }

    /// Where the wanted fields are among those that there are.
    pub(crate) fn columns(&self, names: &[String]) -> Result<Vec<usize>, InputError> {
        self.names.iter().map(|name| column(name, names)).collect()
    }
}

/// Where a field is among those that there are.
pub(crate) fn column(name: &str, names: &[String]) -> Result<usize, InputError> {
    let found = names.iter().position(|other| other == name);
    found.ok_or_else(|| {
        let what = format!("no field is called {name:?}; the fields are {}", names.join(", "));
        let near = names.iter().find(|other| is_near(name, other));
        let error = InputError::usage(what);
        match near {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error,
        }
    })
}

fn is_near(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    plain(one) == plain(other)
}
