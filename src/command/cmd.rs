//! The raw door: any command by name.

use std::fmt;

use smallvec::SmallVec;

use crate::command::arg::{Arg, ToArg};
use crate::command::locate::{Located, locate};
use crate::command::request::{Args, WordList, Words};
use crate::command::spec::{self, Admission, Spec};
use crate::command::{Keys, Merge, Request, Route, retry};
use crate::config::RetryUnknown;
use crate::error::{Error, ErrorKind, Result};

/// Starts a command by name; see [`Cmd`]. Words behind the first are arguments: `cmd("CONFIG GET")` is
/// `cmd("CONFIG").arg("GET")`.
#[inline]
pub fn cmd(name: &str) -> Cmd {
    let (name, words) = Name::of(name);
    let command = Cmd {
        name,
        body: SmallVec::new(),
        ends: SmallVec::new(),
        keys: SmallVec::new(),
        route: None,
        merge: None,
        marks: 0,
    };
    if words.is_empty() { command } else { command.args(words.split_ascii_whitespace()) }
}

/// A command's name in upper case: that of its row in the table, which costs no allocation, or an unknown one.
#[derive(Debug, Clone)]
enum Name {
    Known(&'static Spec),
    Unknown(String),
}

impl Name {
    /// The name that a text begins with, and what stands behind it.
    fn of(text: &str) -> (Name, &str) {
        let text = text.trim_ascii();
        let end = text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
        let (word, words) = text.split_at(end);
        match spec::lookup(word, None) {
            Some(spec) => (Name::Known(spec), words),
            None => (Name::Unknown(word.to_ascii_uppercase()), words),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Name::Known(spec) => spec.name,
            Name::Unknown(name) => name,
        }
    }
}

/// A command that owns its arguments.
///
/// ```
/// use panpipe::command::{Route, cmd};
///
/// let hits = cmd("INCRBY").key("hits").arg(3);
/// let page = cmd("ZRANGE").key("board").args([0, 9]).arg("WITHSCORES");
/// let everywhere = cmd("CONFIG SET").args(["maxmemory-policy", "allkeys-lru"]);
/// let of_a_module = cmd("JSON.GET").key("doc").arg("$.name").read_only();
/// let one_node = cmd("SLOWLOG GET").route(Route::AnyPrimary);
/// ```
///
/// A command that the client knows (see [`known_commands`](crate::command::known_commands)) finds its own keys, whether
/// they were added with [`Cmd::key`] or [`Cmd::arg`], and is routed by their slot. One without keys goes where its
/// [`Spec::route`] says: DBSIZE to all primaries, CONFIG SET to all nodes, PING to one. An unknown command must mark
/// its keys or be given a [`Cmd::route`].
///
/// Commands that would disturb the connection that all commands of a node share (SUBSCRIBE, MULTI, BLPOP, …) are refused with the
/// reason; a few that make sense on one node only (SCAN, SHUTDOWN, …) are refused without a route.
#[derive(Clone)]
pub struct Cmd {
    name: Name,
    body: SmallVec<[u8; 96]>,
    ends: SmallVec<[u32; 8]>,
    keys: SmallVec<[u32; 4]>,
    route: Option<Route>,
    merge: Option<Merge>,
    /// Bits of `retry`. One field: a command under construction is moved with every argument.
    marks: u8,
}

impl Cmd {
    /// Adds an argument.
    #[must_use]
    #[inline]
    pub fn arg(mut self, value: impl ToArg) -> Self {
        self.push(value);
        self
    }

    /// Adds an argument that is a key. For a command whose keys the client finds itself the mark changes nothing.
    #[must_use]
    #[inline]
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

    /// Joins the replies of several nodes by this rule instead of the command's own; [`Merge::PerNode`] keeps them apart.
    #[must_use]
    pub fn merge(mut self, merge: Merge) -> Self {
        self.merge = Some(merge);
        self
    }

    /// Marks a command that changes nothing on the server, so that it may be sent again where its reply was lost. Of
    /// known commands the client knows it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.marks |= retry::READ_ONLY;
        self
    }

    /// Whether this command may be sent again where its reply was lost, instead of what
    /// [`Config::retry_unknown`](crate::Config) says of all.
    ///
    /// ```
    /// use panpipe::cmd;
    /// use panpipe::config::RetryUnknown;
    ///
    /// // Counting a visit twice does no harm.
    /// let visit = cmd("INCR").key("visits").retry_unknown(RetryUnknown::Always);
    /// ```
    #[must_use]
    pub fn retry_unknown(mut self, policy: RetryUnknown) -> Self {
        self.marks = (self.marks & retry::READ_ONLY) | retry::mark(policy);
        self
    }

    #[inline]
    fn push(&mut self, value: impl ToArg) {
        self.push_arg(&value.to_arg());
    }

    fn push_arg(&mut self, arg: &Arg<'_>) {
        arg.write(&mut self.body);
        self.ends.push(self.body.len() as u32);
    }

    /// The command's name, in upper case.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the client knows of it.
    fn spec(&self, words: Words<'_>) -> Option<&'static Spec> {
        match self.name {
            Name::Known(spec) if spec.container => spec::lookup(spec.name, words.get(0)),
            Name::Known(spec) => Some(spec),
            Name::Unknown(_) => None,
        }
    }

    /// The command as the engine takes it.
    ///
    /// # Errors
    /// `NotAllowed` for commands that do not belong on a shared connection, or only with a route; `UnknownCommand`
    /// where neither the client nor the caller knows where the keys are; `NoKey` where the keys are not where the
    /// command has them; `TooLarge` over 4 GiB of arguments.
    pub fn request(&self) -> Result<Request<'_>> {
        let words = Words { body: &self.body, ends: &self.ends };
        if u32::try_from(self.body.len()).is_err() {
            let (command, limit) = (self.name().to_owned(), u64::from(u32::MAX));
            return Err(Error::not_executed(ErrorKind::TooLarge {
                command,
                what: "its encoded size",
                limit,
            }));
        }
        let mut request =
            Request { args: Args::Encoded(words), ..Request::new(self.name(), Keys::None, &[]) };
        request.route = self.route.as_ref();
        match self.spec(words) {
            Some(spec) => self.apply(spec, words, &mut request)?,
            None if self.has_a_place() => request.keys = Keys::Marked(&self.keys),
            None => return Err(self.unknown(words)),
        }
        request.flags |= self.marks & retry::READ_ONLY;
        request.merge = self.merge.unwrap_or(request.merge);
        if let Some(policy) = retry::marked(self.marks) {
            request.decide_retry(policy);
        }
        Ok(request)
    }

    /// Whether the caller said where the command goes.
    fn has_a_place(&self) -> bool {
        self.route.is_some() || !self.keys.is_empty()
    }

    fn apply<'a>(&'a self, spec: &'static Spec, words: Words<'_>, request: &mut Request<'a>) -> Result<()> {
        let not_allowed =
            |why| Err(Error::not_executed(ErrorKind::NotAllowed { command: spec.name.to_owned(), why }));
        match spec.admission {
            Admission::Refused(why) => return not_allowed(why),
            Admission::NeedsRoute(why) if !self.has_a_place() => return not_allowed(why),
            Admission::NeedsRoute(_) | Admission::Open => {}
        }
        request.flags = spec.flags & retry::READ_ONLY;
        request.group = spec.group;
        request.merge = spec.merge;
        match locate(spec.keys, words) {
            Located::Keys(keys) => request.keys = keys,
            Located::Blocking(_) => return not_allowed(BLOCK_OPTION),
            Located::Keyless | Located::Missing if !self.keys.is_empty() => {
                request.keys = Keys::Marked(&self.keys);
            }
            // A script without keys touches nothing that has a slot; its row says any primary.
            Located::Keyless => request.route = request.route.or(Some(spec.route)),
            Located::Missing if self.route.is_some() => {}
            Located::Missing => {
                return Err(Error::not_executed(ErrorKind::NoKey { command: spec.name.to_owned() }));
            }
        }
        Ok(())
    }

    /// The error for a command that nobody knows the keys of; of a container it names the subcommand.
    fn unknown(&self, words: Words<'_>) -> Error {
        let container = matches!(self.name, Name::Known(_));
        let command = match words.get(0) {
            Some(subcommand) if container => format!("{} {}", self.name(), shown(subcommand)),
            _ => shown(self.name().as_bytes()),
        };
        Error::not_executed(ErrorKind::UnknownCommand { command })
    }
}

/// A word that may be anything, for a message.
fn shown(word: &[u8]) -> String {
    const SHOWN_MAX: usize = 32;
    word.iter().take(SHOWN_MAX).flat_map(|byte| byte.escape_ascii()).map(char::from).collect()
}

const BLOCK_OPTION: &str = "with BLOCK it would hold up every command of this node; ask again without BLOCK";

/// Which arguments of a command are keys: found by its name, or marked by the caller. Nothing for commands without keys.
///
/// ```
/// use panpipe::command::{cmd, keys_of};
///
/// let union = cmd("ZUNIONSTORE").args(["all", "2", "one", "two", "WEIGHTS", "1", "3"]);
/// assert_eq!(keys_of(&union)?, ["all", "one", "two"].map(|key| key.as_bytes().to_vec()));
/// # Ok::<(), panpipe::Error>(())
/// ```
///
/// # Errors
/// Those of [`Cmd::request`].
pub fn keys_of(command: &Cmd) -> Result<Vec<Vec<u8>>> {
    let request = command.request()?;
    let words = Words { body: &command.body, ends: &command.ends };
    let positions = request.keys.positions(words.len());
    Ok(positions.filter_map(|at| words.get(at)).map(<[u8]>::to_vec).collect())
}

impl fmt::Debug for Cmd {
    /// The name and the sizes; values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cmd")
            .field("name", &self.name())
            .field("args", &self.ends.len())
            .field("bytes", &self.body.len())
            .field("keys", &self.keys.len())
            .field("route", &self.route)
            .finish()
    }
}

#[cfg(test)]
mod tests;
