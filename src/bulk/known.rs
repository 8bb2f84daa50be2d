//! Where a command that is encoded already goes: by its name and words, from the table of commands.
//!
//! A load has few kinds of commands, and nearly always the next is of the kind of the last: that one is remembered. Knows names; refuses to
//! know nodes. Invariant: what the raw door of the library refuses is refused here.

use crate::bulk::frame::{self, Frame};
use crate::command::spec::{self, Admission, KeySpec, Spec};
use crate::command::{Cmd, cmd, retry};
use crate::error::{Error, ErrorKind, Result};

/// Names longer than this are looked up each time.
const NAME_BYTES_MAX: usize = 15;

/// The command that was seen last.
#[derive(Debug, Default)]
pub(super) struct Known {
    name: [u8; NAME_BYTES_MAX],
    name_len: u8,
    /// Its only key is its first argument, as long as it has no more words than this.
    words_max: usize,
    pub(super) flags: u8,
    spec: Option<&'static Spec>,
}

impl Known {
    /// Whether the command's first argument is its only key, and nothing is to be said against it.
    #[inline(always)]
    pub(super) fn has_one_key(&mut self, name: &[u8], words: usize) -> bool {
        if self.name.get(..usize::from(self.name_len)) != Some(name) && !self.look_up(name) {
            return false;
        }
        words >= 2 && words <= self.words_max
    }

    /// Its name, as messages have it.
    pub(super) fn name(&self) -> &'static str {
        self.spec.map_or("", Spec::name)
    }

    #[cold]
    fn look_up(&mut self, name: &[u8]) -> bool {
        *self = Known::default();
        let spec = spec::lookup_bytes(name, None);
        let Some(spec) = spec.filter(|spec| !spec.container && spec.admission == Admission::Open) else {
            return false;
        };
        let words_max = match spec.keys {
            KeySpec::Range { first: 0, last: 0, .. } => usize::MAX,
            // As many words as one group has: DEL with one key, MSET with one pair.
            KeySpec::Range { first: 0, last: -1, step } => 1 + step,
            _ => return false,
        };
        let Some(place) = self.name.get_mut(..name.len()) else { return false };
        place.copy_from_slice(name);
        self.name_len = name.len() as u8;
        self.words_max = words_max;
        self.flags = spec.flags & retry::READ_ONLY;
        self.spec = Some(spec);
        true
    }
}

/// The command as the raw door of the library takes it. `keys` says that the first argument is a key, where nobody else does.
pub(super) fn rebuild(bytes: &[u8], frame: &Frame, key: Option<&[u8]>) -> Result<Cmd> {
    let name = bytes.get(frame.name.clone()).unwrap_or_default();
    let text = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        let command = name.escape_ascii().to_string();
        return Err(Error::not_executed(ErrorKind::UnknownCommand { command }));
    };
    let mut command = cmd(text);
    let mut marked = key.is_none();
    for word in frame::words(bytes).iter().skip(1) {
        let is_key = !marked && key.is_some_and(|key| std::ptr::eq(key, *word));
        marked |= is_key;
        command = if is_key { command.key(*word) } else { command.arg(*word) };
    }
    Ok(command)
}
