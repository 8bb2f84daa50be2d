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

#[cfg(test)]
mod tests {
    use super::super::check::Difference;
    use super::super::suspects::Suspect;
    use super::*;

    /// What is left of a suspect at record `number` once the commands have been gone through, and why the others went.
    fn left(lines: &[&str], number: u64, place: Place, is_absence: bool) -> (bool, Vec<Why>) {
        let mut suspects = Suspects::default();
        let difference = Difference { place, what: String::new(), is_absence };
        suspects.add(b"k", Suspect { record: number, command: "HSET".to_owned(), difference });
        let mut pasts = Pasts::of(&suspects, Some(Duration::from_secs(60)));
        let mut reasons = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let name = line.split(' ').next().unwrap_or_default().trim_end_matches('?').to_owned();
            let is_sure = !line.ends_with('?');
            let checks = Check::of(&words, false);
            let doing = Doing { name, checks: checks.clone(), is_sure, is_about_all_keys: false };
            for check in &checks {
                pasts.note(at as u64 + 1, &doing, check, &mut suspects, |why| reasons.push(why.clone()));
            }
        }
        (!suspects.is_empty(), reasons)
    }

    #[test]
    fn a_key_that_is_gone_may_have_come_to_its_end() {
        let gone = |lines: &[&str], number| left(lines, number, Place::Part(b"f".to_vec()), true);
        let untold = |name: &str| (false, vec![Why::Untold(name.to_owned())]);
        assert_eq!(gone(&["HSET k f 1"], 1), (true, vec![]), "nothing explains it");
        for lines in [&["EXPIRE k 1", "HSET k f 1"][..], &["SET k 1 EX 5", "HSET k f 1"]] {
            assert_eq!(gone(lines, 2), (false, vec![Why::Expired]), "{lines:?}");
        }
        assert_eq!(gone(&["HSET k f 1", "EXPIRE k 1"], 1), (false, vec![Why::Expired]), "later");
        assert_eq!(gone(&["EXPIRE k 1", "SET k 1", "HSET k f 1"], 3), (true, vec![]), "its life began anew");
        assert_eq!(gone(&["EXPIRE k 1000", "HSET k f 1"], 2), (true, vec![]), "it cannot be over yet");
        assert_eq!(gone(&["GETEX k EX 1", "HSET k f 1"], 2), untold("GETEX"));
        assert_eq!(gone(&["EXPIRE k 1 GT", "HSET k f 1"], 2), (false, vec![Why::Expired]), "perhaps");
        assert_eq!(gone(&["SET k 1 EX 5", "SET k 2 ?", "HSET k f 1"], 3), (false, vec![Why::Expired]));
        assert_eq!(gone(&["LPOP k", "HSET k f 1"], 2), (true, vec![]), "gives no end to a life");
    }

    #[test]
    fn a_key_that_never_expires_may_not_have_been_there() {
        let lives = |lines: &[&str], number| left(lines, number, Place::Life, false);
        let untold = (false, vec![Why::Untold("EXPIRE".to_owned())]);
        assert_eq!(lives(&["SET k 1", "EXPIRE k 1000"], 2), (true, vec![]));
        assert_eq!(lives(&["EXPIRE k 1000", "HSET k f 1"], 1), untold);
        assert_eq!(lives(&["SET k 1", "DEL k", "EXPIRE k 1000"], 3), untold);
        assert_eq!(lives(&["SET k 1", "LPOP k", "EXPIRE k 1000"], 3), untold);
        assert_eq!(lives(&["SET k 1", "EXPIRE k 1", "HSET k f 1"], 2), (false, vec![Why::Expired]));
    }
}
