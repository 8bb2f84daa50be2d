//! Where the keys of a command are, by its name: the library's table, looked at once per name.
//!
//! Invariant: "the first argument is the only key" is said of commands for which that holds whatever their arguments are.

use panpipe::command::{Spec, known_commands};
use panpipe::slot::slot_of;

/// What a name says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyRule {
    /// The first argument, and no other.
    First,
    /// To be found among the arguments.
    Listed(&'static Spec),
    /// A command that the library does not know.
    Unknown,
    /// SELECT, MULTI, EXEC, DISCARD: about the commands around it.
    Bracket(Bracket),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bracket {
    Select,
    Multi,
    Exec,
    Discard,
}

/// The slot of a command's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySlot {
    One(u16),
    Several,
    Keyless,
    /// The command is not known, or its keys are not where they should be.
    Unknown,
}

/// Commands of modules that keep to one key, their first argument. The library's table has the server's own commands only.
const MODULES: [&str; 7] = ["JSON.", "TS.", "BF.", "CF.", "CMS.", "TOPK.", "TDIGEST."];
/// Those of them that do not.
const MODULES_NOT: [&str; 11] = [
    "JSON.MGET",
    "JSON.MSET",
    "JSON.DEBUG",
    "TS.MADD",
    "TS.MGET",
    "TS.MRANGE",
    "TS.MREVRANGE",
    "TS.QUERYINDEX",
    "TS.CREATERULE",
    "TS.DELETERULE",
    "CMS.MERGE",
];
/// An option can name a second key.
const WITH_STORE: [&str; 3] = ["SORT", "GEORADIUS", "GEORADIUSBYMEMBER"];

/// The longest name that is remembered.
const NAME_BYTES_MAX: usize = 24;

/// Rules by name. Files repeat a few names, mostly one: the last answer is kept.
pub(crate) struct KeyRules {
    /// Sorted by name.
    specs: Vec<&'static Spec>,
    last: [u8; NAME_BYTES_MAX],
    last_len: usize,
    last_rule: KeyRule,
}

impl KeyRules {
    pub(crate) fn new() -> KeyRules {
        let mut specs: Vec<&'static Spec> = known_commands().collect();
        specs.sort_unstable_by_key(|spec| spec.name());
        KeyRules { specs, last: [0; NAME_BYTES_MAX], last_len: 0, last_rule: KeyRule::Unknown }
    }

    #[inline(always)]
    pub(crate) fn rule(&mut self, name: &[u8]) -> KeyRule {
        if self.last.get(..self.last_len) == Some(name) {
            return self.last_rule;
        }
        self.look_up(name)
    }

    #[inline(never)]
    fn look_up(&mut self, name: &[u8]) -> KeyRule {
        let rule = self.rule_of(name);
        if let Some(room) = self.last.get_mut(..name.len()) {
            room.copy_from_slice(name);
            self.last_len = name.len();
            self.last_rule = rule;
        }
        rule
    }

    fn rule_of(&self, name: &[u8]) -> KeyRule {
        let upper = name.to_ascii_uppercase();
        let Ok(upper) = std::str::from_utf8(&upper) else { return KeyRule::Unknown };
        match upper {
            "SELECT" => return KeyRule::Bracket(Bracket::Select),
            "MULTI" => return KeyRule::Bracket(Bracket::Multi),
            "EXEC" => return KeyRule::Bracket(Bracket::Exec),
            "DISCARD" => return KeyRule::Bracket(Bracket::Discard),
            _ => {}
        }
        match self.find(upper) {
            Some(spec) if is_first_only(spec) => KeyRule::First,
            Some(spec) => KeyRule::Listed(spec),
            None => {
                let is_keyed = MODULES.iter().any(|module| upper.starts_with(module));
                let first = is_keyed && !MODULES_NOT.contains(&upper);
                if first { KeyRule::First } else { KeyRule::Unknown }
            }
        }
    }

    /// Whether the library knows a command of this name.
    pub(crate) fn knows(&self, name: &[u8]) -> bool {
        !matches!(self.rule_of(name), KeyRule::Unknown)
    }

    /// How many words it has with its name, negative where there may be more; nothing for commands with subcommands and unknown ones.
    pub(crate) fn arity(&self, name: &[u8]) -> Option<isize> {
        let upper = String::from_utf8_lossy(name).to_ascii_uppercase();
        self.find(&upper).filter(|spec| !spec.is_container()).map(|spec| isize::from(spec.arity()))
    }

    fn find(&self, upper: &str) -> Option<&'static Spec> {
        let at = self.specs.binary_search_by_key(&upper, |spec| spec.name()).ok()?;
        Some(self.specs[at])
    }

    /// The positions of all keys among all words; nothing where that cannot be told.
    pub(crate) fn positions(&mut self, words: &[&[u8]]) -> Option<Vec<usize>> {
        let (name, args) = words.split_first()?;
        let spec = match self.rule(name) {
            KeyRule::First => return (!args.is_empty()).then(|| vec![1]),
            KeyRule::Listed(spec) if spec.is_container() => {
                let name = format!("{} {}", spec.name(), String::from_utf8_lossy(args.first()?));
                self.find(&name.to_ascii_uppercase())?
            }
            KeyRule::Listed(spec) => spec,
            KeyRule::Unknown | KeyRule::Bracket(_) => return None,
        };
        let positions = spec.key_positions(args)?;
        Some(positions.into_iter().map(|at| at + 1).collect())
    }

    /// The slot of all keys of a command.
    pub(crate) fn slot(&mut self, words: &[&[u8]]) -> KeySlot {
        let Some(positions) = self.positions(words) else { return KeySlot::Unknown };
        let mut slots = positions.iter().filter_map(|&at| words.get(at)).map(|key| slot_of(key));
        match slots.next() {
            None => KeySlot::Keyless,
            Some(slot) if slots.all(|other| other == slot) => KeySlot::One(slot),
            Some(_) => KeySlot::Several,
        }
    }
}

fn is_first_only(spec: &Spec) -> bool {
    // What cannot depend on the arguments does not change with their number; what is counted or named finds nothing in these.
    let args: [&[u8]; 7] = [b"x"; 7];
    let always = (1..=args.len()).all(|count| spec.key_positions(&args[..count]).as_deref() == Some(&[0]));
    always && !spec.is_container() && !WITH_STORE.contains(&spec.name())
}
