//! One command, borrowed, and its wire form.

use crate::command::arg::{Arg, payload};
use crate::command::idempotency::idempotency_of;
use crate::command::{Idempotency, Keys, Merge, Route, retry};
use crate::config::RetryUnknown;
use crate::resp::encode::{self, WireBuf};
use crate::slot::slot_of;

/// The arguments after the name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Args<'a> {
    Borrowed(&'a [Arg<'a>]),
    Encoded(Words<'a>),
}

/// Arguments that are bulk strings already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    /// The bulk strings, one behind the other.
    pub(crate) body: &'a [u8],
    /// Where each ends in `body`.
    pub(crate) ends: &'a [u32],
}

/// The arguments of a command by position, whatever holds them.
pub(crate) trait WordList<'a>: Copy {
    fn len(self) -> usize;

    /// One argument, as the caller gave it.
    fn get(self, at: usize) -> Option<&'a [u8]>;
}

impl<'a> WordList<'a> for Words<'a> {
    fn len(self) -> usize {
        self.ends.len()
    }

    fn get(self, at: usize) -> Option<&'a [u8]> {
        self.bulk(at).map(payload)
    }
}

impl<'a> WordList<'a> for &[&'a [u8]] {
    fn len(self) -> usize {
        <[_]>::len(self)
    }

    fn get(self, at: usize) -> Option<&'a [u8]> {
        <[_]>::get(self, at).copied()
    }
}

impl<'a> Words<'a> {
    #[inline(never)]
    fn slot_at(&self, at: usize) -> Option<u16> {
        self.get(at).map(slot_of)
    }

    /// One argument, as it goes on the wire.
    fn bulk(&self, at: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.body.get(start as usize..end as usize)
    }
}

/// One command, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) name: &'a str,
    pub(crate) args: Args<'a>,
    pub(crate) keys: Keys<'a>,
    pub(crate) route: Option<&'a Route>,
    /// The bits of `retry`; an entry in a queue begins with them.
    pub(crate) flags: u8,
    /// The command is a list of groups of this many arguments, key first, and may be split over slots.
    pub(crate) group: Option<usize>,
    pub(crate) merge: Merge,
}

impl<'a> Request<'a> {
    /// A command whose keys are where `keys` says. One without keys needs a [`Request::route`].
    ///
    /// Nothing is looked up: this is what the typed commands and what commands of modules stand on. [`cmd`](fn@crate::cmd) finds the
    /// keys, and refuses what would disturb the connection that others share (SUBSCRIBE, MULTI, …).
    pub fn new(name: &'a str, keys: Keys<'a>, args: &'a [Arg<'a>]) -> Self {
        Request {
            name,
            args: Args::Borrowed(args),
            keys,
            route: None,
            flags: 0,
            group: None,
            merge: Merge::PerNode,
        }
    }

    /// Marks a command that changes nothing on the server.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.flags |= retry::READ_ONLY;
        self
    }

    /// Whether this command may be sent again where its reply was lost, instead of what the configuration says of all. Comes behind
    /// [`Request::read_only`], which it counts on. See [`Cmd::retry_unknown`](crate::command::Cmd::retry_unknown).
    #[must_use]
    pub fn retry_unknown(mut self, policy: RetryUnknown) -> Self {
        self.decide_retry(policy);
        self
    }

    /// As `retry_unknown`. In place: a request that is moved is copied, and few have a policy of their own.
    #[cold]
    #[inline(never)]
    pub(crate) fn decide_retry(&mut self, policy: RetryUnknown) {
        self.flags = (self.flags & retry::READ_ONLY) | retry::decide(policy, self.idempotency());
    }

    /// Sends it there instead of where its keys belong.
    #[must_use]
    pub fn route(mut self, route: &'a Route) -> Self {
        self.route = Some(route);
        self
    }

    /// The arguments are groups of `group`, key first; over many slots they are split and the replies joined by `merge`.
    #[must_use]
    pub fn splittable(mut self, group: usize, merge: Merge) -> Self {
        self.group = Some(group);
        self.merge = merge;
        self
    }

    /// How the replies of several nodes become one.
    #[must_use]
    pub fn merged(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.flags & retry::READ_ONLY != 0
    }

    /// What happens when it runs twice, by its name and all its arguments.
    fn idempotency(&self) -> Idempotency {
        if self.is_read_only() {
            return Idempotency::ReadOnly;
        }
        match self.args {
            Args::Encoded(words) => idempotency_of(self.name.as_bytes(), words),
            Args::Borrowed(args) => {
                let (mut body, mut ends) = (Vec::new(), Vec::new());
                for arg in args {
                    arg.write(&mut body);
                    ends.push(u32::try_from(body.len()).unwrap_or(u32::MAX));
                }
                idempotency_of(self.name.as_bytes(), Words { body: &body, ends: &ends })
            }
        }
    }

    /// The command's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// How many arguments follow the name.
    #[inline]
    pub fn args_len(&self) -> usize {
        match self.args {
            Args::Borrowed(args) => args.len(),
            Args::Encoded(words) => words.len(),
        }
    }

    /// Bytes on the wire, as one array of bulk strings.
    #[inline]
    pub fn wire_len(&self) -> usize {
        let args: usize = match self.args {
            Args::Borrowed(args) => args.iter().map(Arg::wire_len).sum(),
            Args::Encoded(words) => words.body.len(),
        };
        self.head_len(self.args_len()) + args
    }

    /// Room that is enough for `write_plain`, found without counting digits: the command does not exceed it on the wire. Good below
    /// 100 KB only.
    #[inline(always)]
    pub(crate) fn wire_bound(&self) -> usize {
        const ARRAY_HEADER_MAX: usize = 8;
        let args = match self.args {
            Args::Borrowed(args) => args.iter().map(Arg::wire_bound).sum(),
            Args::Encoded(words) => words.body.len(),
        };
        ARRAY_HEADER_MAX + encode::word_bound(self.name.len()) + args + encode::SLACK_BYTES
    }

    /// Appends the command in its wire form.
    #[inline]
    pub fn write(&self, out: &mut impl WireBuf) {
        self.write_head(self.args_len(), out);
        match self.args {
            Args::Borrowed(args) => args.iter().for_each(|arg| arg.write(out)),
            Args::Encoded(words) => out.put(words.body),
        }
    }

    /// As `write`, into room of at least `wire_bound`; answers how much of it the command took. What is behind that has no
    /// meaning.
    #[inline(always)]
    pub(crate) fn write_plain(&self, room: &mut [u8]) -> usize {
        let bound = room.len();
        let mut room = encode::fill_head(room, 1 + self.args_len(), self.name.as_bytes());
        match self.args {
            Args::Borrowed(args) => {
                for arg in args {
                    room = arg.fill(room);
                }
            }
            Args::Encoded(words) => room.put(words.body),
        }
        bound - room.len()
    }

    /// Bytes of the part with these argument groups.
    pub(crate) fn part_wire_len(&self, groups: &[u32]) -> usize {
        let args: usize = self.group_args(groups).map(|at| self.arg_wire_len(at)).sum();
        self.head_len(groups.len() * self.group_len()) + args
    }

    /// Appends the part with these argument groups.
    pub(crate) fn write_part(&self, groups: &[u32], out: &mut impl WireBuf) {
        self.write_head(groups.len() * self.group_len(), out);
        for at in self.group_args(groups) {
            match self.args {
                Args::Borrowed(args) => args[at].write(out),
                Args::Encoded(words) => out.put(words.bulk(at).unwrap_or_default()),
            }
        }
    }

    #[inline(always)]
    fn head_len(&self, args: usize) -> usize {
        encode::array_header_len(1 + args) + encode::bulk_wire_len(self.name.len())
    }

    #[inline(always)]
    fn write_head(&self, args: usize, out: &mut impl WireBuf) {
        encode::put_array_header(out, 1 + args);
        encode::put_bulk(out, self.name.as_bytes());
    }

    fn group_len(&self) -> usize {
        self.group.unwrap_or(1)
    }

    /// The positions of these groups' arguments.
    fn group_args<'g>(&self, groups: &'g [u32]) -> impl Iterator<Item = usize> + use<'g> {
        let len = self.group_len();
        groups.iter().map(move |&group| group as usize * len).flat_map(move |first| first..first + len)
    }

    fn arg_wire_len(&self, at: usize) -> usize {
        match self.args {
            Args::Borrowed(args) => args[at].wire_len(),
            Args::Encoded(words) => words.bulk(at).map_or(0, <[u8]>::len),
        }
    }

    /// The slot of the argument at this position, were it a key.
    #[inline(always)]
    pub(crate) fn slot_at(&self, at: usize) -> Option<u16> {
        match self.args {
            Args::Borrowed(args) => args.get(at).map(|arg| arg.with_bytes(slot_of)),
            Args::Encoded(words) => words.slot_at(at),
        }
    }
}

#[cfg(test)]
mod tests;
