//! Which node serves which slot, at one moment; and which slots a command is about.

use panpipe::command::{Cmd, cmd, keys_of, known_commands};
use panpipe::engine::NodeInfo;
use panpipe::slot::{SLOT_COUNT, slot_of};
use panpipe::{Error, ErrorKind};

use super::frame;

/// A view of the cluster.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) nodes: Vec<String>,
    /// By slot: a place in `nodes`.
    owners: Vec<Option<usize>>,
}

impl Routes {
    pub(super) fn of(infos: &[NodeInfo]) -> Routes {
        let mut routes = Routes { nodes: Vec::new(), owners: vec![None; usize::from(SLOT_COUNT)] };
        for info in infos.iter().filter(|info| info.primary && !info.slots.is_empty()) {
            let Some(endpoint) = &info.endpoint else { continue };
            for &(first, last) in &info.slots {
                for slot in first..=last {
                    routes.owners[usize::from(slot)] = Some(routes.nodes.len());
                }
            }
            routes.nodes.push(endpoint.to_string());
        }
        routes
    }

    /// The node of a slot, as a place in `nodes`.
    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        self.owners.get(usize::from(slot)).copied().flatten()
    }
}

/// A command of these words.
pub(super) fn command_of(words: &[&[u8]]) -> Option<Cmd> {
    let (name, args) = words.split_first()?;
    let name = std::str::from_utf8(name).ok()?;
    // A name with a space in it would be taken for two words.
    (!name.contains(char::is_whitespace)).then(|| cmd(name).args(args.iter().copied()))
}

/// The slots of a frame's keys, each once and in order; none for commands without keys.
pub(super) fn slots(frame: &[u8]) -> Result<Vec<u16>, Error> {
    let mut slots = Vec::new();
    for words in frame::commands(frame) {
        let command = command_of(&words).ok_or_else(|| {
            let command = String::from_utf8_lossy(words.first().copied().unwrap_or_default()).into_owned();
            Error::not_executed(ErrorKind::UnknownCommand { command })
        })?;
        // MULTI and EXEC around the commands of a unit are no commands of their own here.
        if matches!(words.first(), Some(name) if name.eq_ignore_ascii_case(b"MULTI") || name.eq_ignore_ascii_case(b"EXEC"))
        {
            continue;
        }
        slots.extend(keys_of(&command)?.iter().map(|key| slot_of(key)));
    }
    slots.sort_unstable();
    slots.dedup();
    Ok(slots)
}

/// Whether a command whose keys are in several slots is sent as a part to each of them.
pub(super) fn is_split(frame: &[u8]) -> bool {
    let words = frame::words(frame);
    let Some(name) = words.first() else { return false };
    known_commands().any(|spec| spec.is_split() && spec.name().as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::frame;

    #[test]
    fn commands_of_pairs_or_keys_alone_are_split() {
        for (line, expected) in
            [("mset a x b y", true), ("DEL a b", true), ("RENAME a b", false), ("X", false)]
        {
            assert_eq!(is_split(&frame(line)), expected, "{line}");
        }
    }

    #[test]
    fn slots_are_those_of_all_keys() {
        assert_eq!(slots(&frame("SET foo 1")).expect("a command"), [12182]);
        assert_eq!(slots(&frame("MSET {a}1 x {a}2 y")).expect("a command").len(), 1);
        assert_eq!(slots(&frame("MSET a x b y")).expect("a command").len(), 2);
        assert!(slots(&frame("PING")).expect("a command").is_empty());
        let unit = [frame("MULTI"), frame("SET foo 1"), frame("EXEC")].concat();
        assert_eq!(slots(&unit).expect("a unit"), [12182]);
        assert!(slots(&frame("FROBNICATE a")).is_err());
    }
}
