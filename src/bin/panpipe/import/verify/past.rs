//! What the whole input does to keys that are not as they should be: some of it explains why, and then it is no fault of the load.
//!
//! A key that is gone may have come to the end of its life, which some other record has given it; a key that never expires may not have been
//! there when a record said that it should. Nobody could remember that of every key, so it is found out when it is needed, by reading the
//! input once more. Invariant: in doubt the answer is that there is an explanation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{Check, Expected, Place, Reach};
use super::doings::Doing;
use super::suspects::Suspects;
use super::told;

/// Why a key may not be as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// Its life may be over.
    Expired,
    /// A command may have ended its life, or come too early; nobody can tell.
    Untold(String),
}

#[derive(Debug, Default)]
struct Past {
    /// For sure: it was written, and nothing has been done to it since that could have removed it.
    is_there: bool,
    /// Since when it is, if it is, another one.
    gone: Option<Why>,
}

/// The past of some keys.
#[derive(Debug)]
pub(super) struct Pasts {
    by_key: BTreeMap<Vec<u8>, Past>,
    /// How long ago the load began.
    age: Option<Duration>,
}

impl Pasts {
    /// Of these, before the first record.
    pub(super) fn of(suspects: &Suspects, age: Option<Duration>) -> Pasts {
        Pasts { by_key: suspects.keys().map(|key| (key.to_vec(), Past::default())).collect(), age }
    }

    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.by_key.contains_key(key)
    }

    /// A command of the input, in order, and one of the keys that it writes. What it explains is dropped, with the reason to `explain`.
    pub(super) fn note(
        &mut self,
        record: u64,
        Doing { name, is_sure, .. }: &Doing,
        check: &Check,
        suspects: &mut Suspects,
        mut explain: impl FnMut(&Why),
    ) {
        let Some(past) = self.by_key.get_mut(&check.key) else { return };
        let was_there = past.is_there && past.gone.is_none();
        past.go_on(name, check, *is_sure, self.age);
        let gone = past.gone.clone();
        suspects.drop_where(&check.key, |suspect| {
            let why = match (&suspect.difference.place, &gone) {
                _ if suspect.record > record => None,
                // It ended as it was told to, and is there anew.
                (Place::Life, Some(why)) => Some(why.clone()),
                (Place::Life, None)
                    if suspect.record == record && check.reach() == Reach::Life && !was_there =>
                {
                    Some(Why::Untold(name.clone()))
                }
                (_, Some(why)) if suspect.difference.is_absence => Some(why.clone()),
                _ => None,
            };
            why.is_some_and(|why| {
                explain(&why);
                true
            })
        });
    }

    /// All keys are gone, or may be.
    pub(super) fn forget(&mut self) {
        self.by_key.values_mut().for_each(|past| *past = Past::default());
    }
}

impl Past {
    fn go_on(&mut self, name: &str, check: &Check, is_sure: bool, age: Option<Duration>) {
        let may_be_over = check.life.is_some_and(|life| life.may_be_over(age));
        let is_anew =
            is_sure && !check.keeps_life && matches!(check.expected, Expected::Value(_) | Expected::Nothing);
        if is_anew {
            self.gone = None;
        }
        if may_be_over {
            self.gone = Some(Why::Expired);
        } else if self.gone.is_none() && told::may_give_life(name) {
            self.gone = Some(Why::Untold(name.to_owned()));
        }
        self.is_there = match check.expected {
            _ if !is_sure => false,
            Expected::Mortal(_) | Expected::LifeUntold => self.is_there,
            Expected::Nothing | Expected::Untold | Expected::FieldsGone(_) | Expected::MembersGone(_) => {
                false
            }
            _ => true,
        };
    }
}
