//! What the servers hold, against what the book says.
//!
//! Checked for every tag, over the tests' own small client:
//!
//! * every push that ran is in its list once, every one in doubt at most once, none that did not run, none twice;
//! * the pushes that ran stand in the order of their submission, and the replies to pushes and increments rise in that order too;
//! * a counter holds what ran and at most what is in doubt beyond it;
//! * a read saw the last write that ran before it, or one in doubt, and no later one: reads keep their place among the writes of their key;
//! * what is in doubt may have run at any time (*ran late*, where it ran behind a later command), unless FencedReconnect is on;
//! * the two twins, which are only ever written together, are equal.
//!
//! **Server's loss or ours.** Replication is asynchronous: a promoted replica lacks the last writes that its primary had acknowledged. These
//! are a suffix of what the old primary ran, over all keys of the shard, because replication is one stream; and the old primary ran commands
//! in the order of their submission, because a shard has one connection. So with a `Loss` given, missing pushes of the shard are counted as the
//! server's where they are one run without a gap in submission order, whose next push that ran was answered after the fault began; replies may
//! fall back there once per key, and the reads and counters of this shard are held to what is left: no value from elsewhere, from a write that
//! did not run, or from the future. Anything else that is missing is a violation. So load must not be moved between slots at the same time,
//! and every loss is checked before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::book::{Book, Kind, Op, State};
use super::load::Load;
use crate::servers::{Cluster, Value};

/// Writes may have been lost by the servers.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    /// When the fault began.
    pub(crate) at: Instant,
    /// The shard's slots.
    pub(crate) slots: Vec<(u16, u16)>,
}

impl Loss {
    pub(crate) fn of(cluster: &Cluster, primary: usize) -> Loss {
        Loss { at: Instant::now(), slots: cluster.view(primary).myself().slots.clone() }
    }

    /// The shards of other primaries than at the beginning: on a machine that stalls, servers take each other for dead without our help.
    pub(crate) fn of_others(cluster: &Cluster, before: &[(usize, Loss)], planned: &Loss) -> Vec<Loss> {
        let owners = owners(cluster);
        let has_moved = |node: usize, loss: &Loss| {
            loss.slots != planned.slots
                && loss.slots.iter().any(|(first, _)| owner_of(&owners, *first) != node)
        };
        before.iter().filter(|(node, loss)| has_moved(*node, loss)).map(|(_, loss)| loss.clone()).collect()
    }

    /// All shards, by primary.
    pub(crate) fn of_all(cluster: &Cluster) -> Vec<(usize, Loss)> {
        cluster.primaries().into_iter().map(|primary| (primary, Loss::of(cluster, primary))).collect()
    }

    pub(crate) fn hits(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

impl Load {
    /// Waits for all results, checks them, removes the keys and begins anew. Every node must be up, and all agree.
    pub(crate) fn verify(&mut self, cluster: &Cluster, losses: &[Loss]) {
        self.settle();
        let owners = owners(cluster);
        let mut lost = BTreeSet::new();
        for tag in 0..self.book.tags.len() {
            let owner = owner_of(&owners, self.book.tags[tag].slot);
            let held = Held::read(cluster, owner, &self.book, tag);
            let hit = losses.iter().find(|loss| loss.hits(self.book.tags[tag].slot));
            check_tag(&mut self.book, tag, &held, hit, &mut lost);
            cluster.call(owner, &[&["DEL"], &self.book.tags[tag].keys()[..]].concat()).expect(&"DEL");
        }
        for loss in losses {
            check_loss(&mut self.book, loss, &lost);
        }
        self.book.renew();
    }
}

type Owners = Vec<(u16, u16, usize)>;

/// Slots and their nodes, as the owners themselves say.
pub(crate) fn owners(cluster: &Cluster) -> Owners {
    let of = |node: usize| {
        let view = cluster.view(node);
        let slots = view.myself().slots.clone();
        slots.into_iter().map(move |(first, last)| (first, last, node))
    };
    cluster.primaries().into_iter().flat_map(of).collect()
}

pub(crate) fn owner_of(owners: &Owners, slot: u16) -> usize {
    let owner = owners.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
    owner.unwrap_or_else(|| panic!("slot {slot} has no owner")).2
}

/// What the servers hold behind one tag.
pub(crate) struct Held {
    pub(crate) list: Vec<u64>,
    pub(crate) count: u64,
    pub(crate) twins: [Result<u64, String>; 2],
}

impl Held {
    fn read(cluster: &Cluster, owner: usize, book: &Book, tag: usize) -> Held {
        let tag = &book.tags[tag];
        let ask = |words: &[&str]| cluster.call(owner, words).expect(&words);
        let number = |value: &Value| value.integer().map_or(0, |value| value as u64);
        let twin = |key: &str| {
            let value = ask(&["GET", key]);
            let text = value.text().unwrap_or_default();
            let number = text.strip_prefix(&tag.name).and_then(|rest| rest.strip_prefix('/')?.parse().ok());
            match number {
                Some(number) => Ok(number),
                None if value == Value::Null => Ok(0),
                None => Err(format!("{key} holds {value:?}")),
            }
        };
        Held {
            list: ask(&["LRANGE", &tag.list, "0", "-1"]).items().iter().map(number).collect(),
            count: number(&ask(&["GET", &tag.count])),
            twins: [twin(&tag.twins[0]), twin(&tag.twins[1])],
        }
    }
}

/// `lost` gets the numbers of pushes that ran and are missing.
pub(crate) fn check_tag(
    book: &mut Book,
    tag: usize,
    held: &Held,
    loss: Option<&Loss>,
    lost: &mut BTreeSet<u64>,
) {
    let base = book.base;
    let own: Vec<(u64, Op)> = (base..)
        .zip(&book.ops)
        .filter(|(_, op)| usize::from(op.tag) == tag)
        .map(|(number, op)| (number, *op))
        .collect();
    let name = book.tags[tag].list.clone();
    for (number, op) in own.iter().filter(|(_, op)| op.state == State::Pending) {
        book.tally.violation(format!("{name}: {number} has no result: {op:?}"));
    }
    let missing = check_list(book, &name, &own, &held.list);
    match loss {
        Some(_) => lost.extend(missing),
        None => {
            for number in missing {
                book.tally.violation(format!("{name}: push {number} ran, and is not in the list"));
            }
        }
    }
    for kind in [Kind::Push, Kind::Increment] {
        check_replies(book, &name, kind, &own, loss.is_some());
    }
    check_count(book, &name, &own, held.count, loss.is_some());
    check_reads(book, &name, &own, loss.is_some());
    check_twins(book, &name, &own, held, loss.is_some());
}

/// Answers which pushes ran and are not there.
fn check_list(book: &mut Book, name: &str, own: &[(u64, Op)], list: &[u64]) -> Vec<u64> {
    let pushes: BTreeMap<u64, &Op> =
        own.iter().filter(|(_, op)| op.kind == Kind::Push).map(|(number, op)| (*number, op)).collect();
    let mut seen = BTreeSet::new();
    let mut highest = 0;
    for &number in list {
        let Some(op) = pushes.get(&number) else {
            book.tally.violation(format!("{name} holds {number}, which is no push of this tag"));
            continue;
        };
        book.tally.check(seen.insert(number), || format!("{name} holds {number} twice"));
        match op.state {
            State::Executed | State::ReplyLost => {
                book.tally.check(number > highest, || format!("{name}: {number} stands behind {highest}"));
                highest = highest.max(number);
            }
            State::Unknown if number < highest => {
                book.tally.ran_late(|| format!("{name}: {number} is in doubt, and stands behind {highest}"));
            }
            State::Unknown => {}
            State::NotExecuted | State::Pending => {
                book.tally.violation(format!("{name} holds {number}, which did not run: {op:?}"));
            }
        }
    }
    pushes
        .iter()
        .filter(|(number, op)| op.ran() && !seen.contains(number))
        .map(|(number, _)| *number)
        .collect()
}

fn check_replies(book: &mut Book, name: &str, kind: Kind, own: &[(u64, Op)], is_lossy: bool) {
    let mut highest = 0;
    let mut falls = 0;
    for (number, op) in own.iter().filter(|(_, op)| op.kind == kind && op.state == State::Executed) {
        if op.reply <= highest {
            falls += 1;
            let allowed = u64::from(is_lossy);
            let reply = op.reply;
            book.tally.check(falls <= allowed, || {
                format!("{name}: {kind:?} {number} answered {reply}, after an earlier one {highest}")
            });
        }
        highest = op.reply;
    }
}

fn check_count(book: &mut Book, name: &str, own: &[(u64, Op)], count: u64, is_lossy: bool) {
    let of = |wanted: &dyn Fn(&Op) -> bool| {
        own.iter().filter(|(_, op)| op.kind == Kind::Increment && wanted(op)).count() as u64
    };
    let (ran, unknown) = (of(&Op::ran), of(&|op| op.state == State::Unknown));
    let least = if is_lossy { 0 } else { ran };
    book.tally.check((least..=ran + unknown).contains(&count), || {
        format!("{name}: the counter is {count}, {ran} ran and {unknown} are in doubt")
    });
}

fn check_reads(book: &mut Book, name: &str, own: &[(u64, Op)], is_lossy: bool) {
    let writes: BTreeMap<u64, State> =
        own.iter().filter(|(_, op)| op.kind == Kind::Write).map(|(number, op)| (*number, op.state)).collect();
    let mut floor = 0;
    for (number, op) in own {
        match op.kind {
            Kind::Write if op.ran() && !is_lossy => floor = *number,
            Kind::Read | Kind::ReadBoth if op.state == State::Executed => {
                let seen = op.reply;
                let known = seen == 0 || writes.get(&seen).is_some_and(|state| *state != State::NotExecuted);
                book.tally.check(known, || {
                    format!("{name}: {number} read {seen}, which did not run: {:?}", writes.get(&seen))
                });
                if seen < floor && writes.get(&seen) == Some(&State::Unknown) {
                    book.tally.ran_late(|| {
                        format!("{name}: {number} read {seen}, which is in doubt; {floor} had run before it")
                    });
                    continue;
                }
                book.tally.check((floor..*number).contains(&seen), || {
                    format!("{name}: {number} read {seen}; the last write that ran before it was {floor}")
                });
            }
            _ => {}
        }
    }
}

fn check_twins(book: &mut Book, name: &str, own: &[(u64, Op)], held: &Held, is_lossy: bool) {
    let value = match &held.twins {
        [Ok(a), Ok(b)] if a == b => *a,
        twins => return book.tally.violation(format!("{name}: the twins hold {twins:?}")),
    };
    let writes = own.iter().filter(|(_, op)| op.kind == Kind::Write);
    let last = writes.clone().filter(|(_, op)| op.ran()).map(|(number, _)| *number).next_back().unwrap_or(0);
    let state = writes.clone().find(|(number, _)| *number == value).map(|(_, op)| op.state);
    if state == Some(State::Unknown) && value < last && !is_lossy {
        book.tally.ran_late(|| format!("{name}: the twins hold {value}, which is in doubt; {last} had run"));
    }
    let allowed = match state {
        Some(State::Executed | State::ReplyLost) => value == last || is_lossy,
        // It may have run late.
        Some(State::Unknown) => true,
        Some(State::NotExecuted | State::Pending) => false,
        None => value == 0 && (last == 0 || is_lossy),
    };
    book.tally
        .check(allowed, || format!("{name}: the twins hold {value} ({state:?}), the last to run was {last}"));
}

/// What is missing must be what asynchronous replication loses.
pub(crate) fn check_loss(book: &mut Book, loss: &Loss, all_lost: &BTreeSet<u64>) {
    let is_hit = |number: u64| {
        let op = &book.ops[(number - book.base) as usize];
        loss.hits(book.tags[usize::from(op.tag)].slot)
    };
    let lost: BTreeSet<u64> = all_lost.iter().copied().filter(|number| is_hit(*number)).collect();
    book.tally.lost_by_server += lost.len() as u64;
    let Some((&first, &last)) = lost.first().zip(lost.last()) else { return };
    let at = book.us(loss.at);
    let ran_on_shard: Vec<(u64, Op)> = (book.base..)
        .zip(&book.ops)
        .map(|(number, op)| (number, *op))
        .filter(|(_, op)| op.kind == Kind::Push && op.ran() && loss.hits(book.tags[usize::from(op.tag)].slot))
        .collect();
    let kept_between = ran_on_shard
        .iter()
        .filter(|(number, _)| (first..last).contains(number) && !lost.contains(number))
        .count();
    book.tally.check(kept_between == 0, || {
        format!(
            "{} pushes are missing between {first} and {last}, with {kept_between} between them that are not: no server loses like this",
            lost.len()
        )
    });
    let next = ran_on_shard.iter().find(|(number, _)| *number > last);
    book.tally.check(next.is_none_or(|(_, op)| op.done_us >= at), || {
        format!("pushes {first} to {last} are missing, but {next:?} ran before the fault began")
    });
}
