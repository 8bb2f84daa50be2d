//! The fields of a JSON object, as bytes for commands.
//!
//! A text is its characters, a number its digits as they stand there (so that none is lost), `true` and `false` are words, an object or
//! array is its JSON text, and `null` is a field that is not there. Nested fields are `a.b` and `a[0]`; a field that is called so goes
//! before the way. Invariant: no depth of nesting uses up the stack.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::input::fields::{FieldFilter, Row, Wanted};

/// Deeper objects are not taken apart into fields.
const DEPTH_MAX: usize = 64;

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Member(String),
    Element(usize),
}

/// The fields that are wanted, as a tree.
#[derive(Debug, Default)]
struct Node {
    /// The wanted fields that are here. One may be spelled in several ways.
    wanted: Vec<usize>,
    ways: Vec<(Way, Node)>,
}

/// Takes objects apart. Reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct ObjectFields {
    names: Vec<String>,
    root: Node,
    wants_all: bool,
    text: Vec<u8>,
    /// Of each wanted field, its value in `text`, and whether it was found under its full name.
    values: Vec<Option<(Range<usize>, bool)>>,
    /// Name and value of all fields, in `text`.
    all: Vec<(Range<usize>, Range<usize>)>,
}

impl ObjectFields {
    pub(crate) fn new(wanted: &Wanted, wants_all: bool) -> ObjectFields {
        let mut root = Node::default();
        for (at, name) in wanted.names.iter().enumerate() {
            root.add(&[Way::Member(name.clone())], at);
            let ways = ways(name);
            if ways.len() > 1 {
                root.add(&ways, at);
            }
        }
        let values = vec![None; wanted.names.len()];
        ObjectFields { names: wanted.names.clone(), root, wants_all, values, ..ObjectFields::default() }
    }

    /// Reads an object; the error says what is wrong and where.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.text.clear();
        self.all.clear();
        self.values.iter_mut().for_each(|value| *value = None);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let mut taken =
            Taken { text: &mut self.text, values: &mut self.values, all: &mut self.all, names: &self.names };
        let root = Object { node: &self.root, taken: &mut taken, wants_all: self.wants_all };
        let read = deserializer.deserialize_map(root).and_then(|()| deserializer.end());
        read.map_err(|error| explain(&error, bytes))
    }

    /// The names of the fields of an object, for a message.
    pub(crate) fn names_of(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut fields = ObjectFields::new(&Wanted::default(), true);
        fields.read(bytes)?;
        let name =
            |(name, _): &(Range<usize>, _)| String::from_utf8_lossy(&fields.text[name.clone()]).into_owned();
        Ok(fields.all.iter().map(name).collect())
    }

    pub(crate) fn row<'a>(&'a self, source: &'a [u8]) -> ObjectRow<'a> {
        ObjectRow { fields: self, source }
    }
}

fn explain(error: &serde_json::Error, bytes: &[u8]) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    if error.is_data() && bytes.first() != Some(&b'{') {
        return "not a JSON object".to_owned();
    }
    let column = error.column();
    match error.line() {
        0 => format!("not JSON: {text}"),
        1 => format!("not JSON: {text} at byte {column} of the record"),
        line => format!("not JSON: {text} at line {line} of the record, byte {column}"),
    }
}

/// `a.b[0].c`, by steps.
fn ways(name: &str) -> Vec<Way> {
    let mut ways = Vec::new();
    for part in name.split('.') {
        let (member, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if !member.is_empty() || rest.is_empty() {
            ways.push(Way::Member(member.to_owned()));
        }
        while let Some((index, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            match index.parse() {
                Ok(index) => ways.push(Way::Element(index)),
                Err(_) => return Vec::new(),
            }
            rest = behind;
        }
        if !rest.is_empty() {
            return Vec::new();
        }
    }
    ways
}

impl Node {
    fn add(&mut self, ways: &[Way], at: usize) {
        let Some((way, rest)) = ways.split_first() else {
            self.wanted.push(at);
            return;
        };
        let place = self.ways.iter().position(|(other, _)| other == way).unwrap_or_else(|| {
            self.ways.push((way.clone(), Node::default()));
            self.ways.len() - 1
        });
        self.ways[place].1.add(rest, at);
    }

    fn member(&self, name: &str) -> Option<&Node> {
        let is_it = |way: &Way| matches!(way, Way::Member(member) if member == name);
        self.ways.iter().find(|(way, _)| is_it(way)).map(|(_, node)| node)
    }

    fn element(&self, index: usize) -> Option<&Node> {
        self.ways.iter().find(|(way, _)| *way == Way::Element(index)).map(|(_, node)| node)
    }
}

/// Where values go.
struct Taken<'t> {
    text: &'t mut Vec<u8>,
    values: &'t mut [Option<(Range<usize>, bool)>],
    all: &'t mut Vec<(Range<usize>, Range<usize>)>,
    names: &'t [String],
}

impl Taken<'_> {
    /// Writes a value as commands want it; nothing for null.
    fn put(&mut self, json: &str) -> Result<Option<Range<usize>>, serde_json::Error> {
        let start = self.text.len();
        match json.as_bytes() {
            b"null" => return Ok(None),
            [b'"', inside @ .., b'"'] if memchr::memchr(b'\\', inside).is_none() => {
                self.text.extend_from_slice(inside);
            }
            [b'"', ..] => {
                let text: String = serde_json::from_str(json)?;
                self.text.extend_from_slice(text.as_bytes());
            }
            other => self.text.extend_from_slice(other),
        }
        Ok(Some(start..self.text.len()))
    }

    /// Takes what is wanted of a value; `name` is what its member is called.
    fn take(&mut self, node: &Node, name: &str, json: &str) -> Result<(), serde_json::Error> {
        if !node.wanted.is_empty()
            && let Some(place) = self.put(json)?
        {
            for &at in &node.wanted {
                let is_full = self.names[at] == name;
                if is_full || !matches!(self.values[at], Some((_, true))) {
                    self.values[at] = Some((place.clone(), is_full));
                }
            }
        }
        if node.ways.is_empty() {
            return Ok(());
        }
        // No deeper than a name that somebody has written.
        let mut deserializer = serde_json::Deserializer::from_str(json);
        match json.as_bytes().first() {
            Some(b'{') => deserializer.deserialize_map(Object { node, taken: self, wants_all: false }),
            Some(b'[') => deserializer.deserialize_seq(Array { node, taken: self }),
            _ => Ok(()),
        }
    }

    /// Takes all fields of a value.
    fn take_all(&mut self, path: &mut String, json: &str, depth: usize) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        match json.as_bytes().first() {
            Some(b'{') if depth < DEPTH_MAX => deserializer.deserialize_map(All { taken: self, path, depth }),
            Some(b'[') if depth < DEPTH_MAX => deserializer.deserialize_seq(All { taken: self, path, depth }),
            Some(b'{' | b'[') => {
                Err(serde_json::Error::custom(format!("objects within objects, {DEPTH_MAX} times")))
            }
            _ => {
                if let Some(value) = self.put(json)? {
                    let start = self.text.len();
                    self.text.extend_from_slice(path.as_bytes());
                    self.all.push((start..self.text.len(), value));
                }
                Ok(())
            }
        }
    }
}

/// Takes the wanted members of an object.
struct Object<'n, 't, 's> {
    node: &'n Node,
    taken: &'t mut Taken<'s>,
    wants_all: bool,
}

impl<'de> Visitor<'de> for Object<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let node = self.node.member(&name);
            if node.is_none() && !self.wants_all {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let json = map.next_value::<&RawValue>()?.get();
            if let Some(node) = node {
                self.taken.take(node, &name, json).map_err(A::Error::custom)?;
            }
            if self.wants_all {
                self.taken.take_all(&mut name.into_owned(), json, 1).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// Takes the wanted elements of an array.
struct Array<'n, 't, 's> {
    node: &'n Node,
    taken: &'t mut Taken<'s>,
}

impl<'de> Visitor<'de> for Array<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(json) = array.next_element::<&RawValue>()? {
            if let Some(node) = self.node.element(index) {
                self.taken.take(node, "", json.get()).map_err(A::Error::custom)?;
            }
            index += 1;
        }
        Ok(())
    }
}

/// Takes everything.
struct All<'p, 't, 's> {
    taken: &'t mut Taken<'s>,
    path: &'p mut String,
    depth: usize,
}

impl<'de> Visitor<'de> for All<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let len = self.path.len();
        while let Some(name) = map.next_key_seed(Name)? {
            let json = map.next_value::<&RawValue>()?.get();
            self.path.push('.');
            self.path.push_str(&name);
            self.taken.take_all(self.path, json, self.depth + 1).map_err(A::Error::custom)?;
            self.path.truncate(len);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let len = self.path.len();
        let mut index = 0;
        while let Some(json) = array.next_element::<&RawValue>()? {
            self.path.push_str(&format!("[{index}]"));
            self.taken.take_all(self.path, json.get(), self.depth + 1).map_err(A::Error::custom)?;
            self.path.truncate(len);
            index += 1;
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The fields of the object that was read last.
pub(crate) struct ObjectRow<'a> {
    fields: &'a ObjectFields,
    source: &'a [u8],
}

impl Row for ObjectRow<'_> {
    #[inline]
    fn value(&self, at: usize) -> Option<&[u8]> {
        let (place, _) = self.fields.values.get(at)?.as_ref()?;
        self.fields.text.get(place.clone())
    }

    fn each(&self, filter: &FieldFilter, take: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.fields.all {
            let name = self.fields.text.get(name.clone()).unwrap_or_default();
            if filter.takes(name) {
                take(name, self.fields.text.get(value.clone()).unwrap_or_default());
            }
        }
    }

    fn source(&self) -> &[u8] {
        self.source
    }

    fn missing(&self, at: usize) -> String {
        let name = self.fields.names.get(at).map_or("", String::as_str);
        format!("the record has no field {name:?}, and the template no default for it: #{{{name}:-…}}")
    }
}
