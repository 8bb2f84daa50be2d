//! The raw door: any command by name.

use std::fmt;

use smallvec::SmallVec;

use crate::command::arg::ToArg;
use crate::command::table::{self, KeySpec, Spec};
use crate::command::{Args, Keys, Request, Route};
use crate::error::{Error, ErrorKind};

/// Starts a command by name; see [`Cmd`].
pub fn cmd(name: &str) -> Cmd {
    Cmd {
        name: name.to_ascii_uppercase(),
        body: SmallVec::new(),
        ends: SmallVec::new(),
        keys: SmallVec::new(),
        route: None,
    }
}

/// A command that owns its arguments.
///
/// ```
/// use panpipe::command::cmd;
///
/// let hits = cmd("INCRBY").key("hits").arg(3);
/// let page = cmd("ZRANGE").key("board").arg(0).arg(9).arg("WITHSCORES");
/// ```
///
/// Keys are routed by slot. A command that the table knows finds its own keys, also where they are added with [`Cmd::arg`]; an
/// unknown one must mark them with [`Cmd::key`] or be given a [`Cmd::route`].
#[derive(Clone)]
pub struct Cmd {
    name: String,
    body: SmallVec<[u8; 96]>,
    ends: SmallVec<[u32; 8]>,
    keys: SmallVec<[u32; 4]>,
    route: Option<Route>,
}

impl Cmd {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, value: impl ToArg) -> Self {
        self.push(value);
        self
    }

    /// Adds an argument that is a key.
    #[must_use]
    pub fn key(mut self, key: impl ToArg) -> Self {
        self.keys.push(self.ends.len() as u32);
        self.push(key);
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args(mut self, values: impl IntoIterator<Item: ToArg>) -> Self {
        for value in values {
            self.push(value);
        }
        self
    }

    /// Sends the command there instead of where its keys belong.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    fn push(&mut self, value: impl ToArg) {
        value.to_arg().write(&mut self.body);
        self.ends.push(self.body.len() as u32);
    }

    /// The command's name, in upper case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command as the engine takes it.
    ///
    /// # Errors
    /// `NotAllowed` for commands that do not belong on a shared connection, `UnknownCommand` where neither the table nor the caller
    /// says where the keys are, `TooLarge` over 4 GiB of arguments.
    pub fn request(&self) -> Result<Request<'_>, Error> {
        let spec = table::lookup(&self.name);
        if let Some(why) = spec.and_then(|spec| spec.refused) {
            return Err(Error::not_executed(ErrorKind::NotAllowed { command: self.name.clone(), why }));
        }
        if u32::try_from(self.body.len()).is_err() {
            let limit = u64::from(u32::MAX);
            return Err(Error::not_executed(ErrorKind::TooLarge {
                command: self.name.clone(),
                what: "its encoded size",
                limit,
            }));
        }
        let args = Args::Encoded { body: &self.body, ends: &self.ends };
        let mut request = Request { args, ..Request::new(&self.name, Keys::None, &[]) };
        request.route = self.route.as_ref();
        match spec {
            Some(spec) => self.apply(spec, &mut request)?,
            None if self.keys.is_empty() && self.route.is_none() => {
                return Err(Error::not_executed(ErrorKind::UnknownCommand { command: self.name.clone() }));
            }
            None => {}
        }
        if !self.keys.is_empty() {
            request.keys = Keys::Marked(&self.keys);
        }
        Ok(request)
    }

    fn apply<'a>(&'a self, spec: &'static Spec, request: &mut Request<'a>) -> Result<(), Error> {
        request.read_only = spec.read_only;
        request.group = spec.group;
        request.merge = spec.merge;
        match spec.keys {
            KeySpec::None => {
                if request.route.is_none() && self.keys.is_empty() {
                    request.route = Some(spec.route);
                }
            }
            KeySpec::Range { first, last, step } => {
                let count = key_count(self.ends.len(), first, last, step);
                request.keys = Keys::Range { first, step, count };
            }
            KeySpec::Counted { at } => {
                if self.keys.is_empty() && request.route.is_none() {
                    let count = self.counted_keys(at)?;
                    // A script without keys touches nothing that has a slot: any primary will do.
                    if count == 0 {
                        request.route = Some(&table::ANY_PRIMARY);
                    }
                    request.keys = Keys::Range { first: at + 1, step: 1, count };
                }
            }
        }
        Ok(())
    }

    /// The number that argument `at` holds, where that many arguments follow it.
    fn counted_keys(&self, at: usize) -> Result<usize, Error> {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).map_or(0, |&end| end as usize) };
        let count = self.ends.get(at).and_then(|&end| {
            let bulk = self.body.get(start..end as usize)?;
            std::str::from_utf8(super::payload(bulk)).ok()?.parse::<usize>().ok()
        });
        match count {
            Some(count) if at + 1 + count <= self.ends.len() => Ok(count),
            _ => Err(Error::not_executed(ErrorKind::NoKey { command: self.name.clone() })),
        }
    }
}

/// How many keys stand in `first, first + step, … last`; `last` < 0 counts from the end of `args`.
fn key_count(args: usize, first: usize, last: isize, step: usize) -> usize {
    let last = if last < 0 { args as isize + last } else { last.min(args as isize - 1) };
    if last < first as isize { 0 } else { (last as usize - first) / step + 1 }
}

impl fmt::Debug for Cmd {
    /// The name and the sizes; values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cmd")
            .field("name", &self.name)
            .field("args", &self.ends.len())
            .field("bytes", &self.body.len())
            .field("keys", &self.keys.len())
            .field("route", &self.route)
            .finish()
    }
}
