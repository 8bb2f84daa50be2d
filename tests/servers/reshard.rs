//! Slots change owner: by hand, by the servers themselves, and by failover.

use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::form;
use super::resp::Value;
use super::server::lock;
use super::wait::{PATIENCE, wait_until};

/// A manual failover that is not done after this was given up by the server (it allows itself five seconds).
const FAILOVER_AGAIN_AFTER: Duration = Duration::from_secs(6);

/// Messages between servers are late by less than this.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(4);

const KEYS_AT_ONCE: usize = 100;

impl Cluster {
    /// Begins to move a slot: IMPORTING at `to`, then MIGRATING at `from`. No key is moved.
    pub(crate) fn set_migrating(&self, slot: u16, from: usize, to: usize) {
        self.set_slot(to, slot, &["IMPORTING", &self.nodes()[from].id]);
        self.set_slot(from, slot, &["MIGRATING", &self.nodes()[to].id]);
        lock(&self.moves).insert(slot, (from, to));
    }

    /// Moves up to `keys_max` keys of a slot that `set_migrating` began to move. How many it moved is the answer.
    pub(crate) fn migrate_keys(&self, slot: u16, keys_max: usize) -> usize {
        let (from, to) = self.ends(slot);
        let asked = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &keys_max.to_string()];
        let keys = self.call(from, &asked).expect(&asked);
        let keys: Vec<&[u8]> = keys.items().iter().map(|key| key.bytes().expect("a key")).collect();
        if keys.is_empty() {
            return 0;
        }
        let port = self.nodes()[to].server.port().to_string();
        let mut command: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000"];
        if let Some(password) = self.nodes()[to].server.password() {
            command.extend([b"AUTH", password.as_bytes()]);
        }
        command.push(b"KEYS");
        command.extend(&keys);
        self.call(from, &command).expect(&format!("MIGRATE of {} keys of slot {slot}", keys.len()));
        keys.len()
    }

    /// Moves the keys that are left, then tells the new owner, the old one, and everybody else.
    /// Does not wait for the replicas: they learn it by gossip (see `wait_agreed`).
    pub(crate) fn finish(&self, slot: u16) {
        while self.migrate_keys(slot, KEYS_AT_ONCE) > 0 {}
        let (from, to) = self.ends(slot);
        let owner = ["NODE", &self.nodes()[to].id];
        self.set_slot(to, slot, &owner);
        let told = self.patient_call(from, &["CLUSTER", "SETSLOT", &slot.to_string(), owner[0], owner[1]]);
        // Who has lost its last slot may follow the new owner already.
        let follows = told.error().is_some_and(|error| error.contains("only with master"));
        assert!(follows || told == Value::Status("OK".into()), "SETSLOT at the old owner: {told:?}");
        lock(&self.moves).remove(&slot);
        for other in self.responsive() {
            if other != from && other != to {
                // A replica refuses this, and a node that dies just now does not answer.
                let _ = self.try_call(other, &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", owner[1]]);
            }
        }
    }

    /// Waits until all agree, as `wait_agreed` does, about slots that were moved to and fro. A server, and the owner itself, can hear of a
    /// move, and then an older message of one that the slot has left since, with a newer epoch: then it is nobody's, each naming another,
    /// until the owner is told again; and replicas, which cannot be told, believe it when its epoch is the newest.
    pub(crate) fn wait_agreed_on(&self, owners: &[(u16, usize)]) {
        let mut told = Instant::now();
        // One after the other: epochs that are raised at once are the same.
        let mut next = owners.iter().cycle();
        wait_until("the nodes to agree", PATIENCE, || {
            let agreed = form::agreed(self).map(|_| ());
            if agreed.is_err() && told.elapsed() > TELL_AGAIN_AFTER {
                told = Instant::now();
                for &(slot, owner) in owners {
                    let owned = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &self.nodes()[owner].id];
                    for node in [owner].into_iter().chain(self.responsive()) {
                        let _ = self.try_call(node, &owned);
                    }
                }
                if let Some(&(_, owner)) = next.next() {
                    let _ = self.try_call(owner, &["CLUSTER", "BUMPEPOCH"]);
                }
            }
            agreed
        });
    }

    /// Takes a beginning back: the slot stays, and keys that have moved already are lost to their readers.
    pub(crate) fn cancel(&self, slot: u16) {
        let (from, to) = self.ends(slot);
        self.set_slot(from, slot, &["STABLE"]);
        self.set_slot(to, slot, &["STABLE"]);
        lock(&self.moves).remove(&slot);
    }

    /// All of it: `set_migrating`, the keys, `finish`.
    pub(crate) fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.set_migrating(slot, from, to);
        self.finish(slot);
    }

    /// Lets the servers move a range of slots, where they can (`Version::moves_slots_atomically`), and waits.
    pub(crate) fn move_slots_atomically(&self, first: u16, last: u16, from: usize, to: usize) {
        let range = [first.to_string(), last.to_string()];
        let asked =
            ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &range[0], &range[1], "NODE", &self.nodes()[to].id];
        self.call(from, &asked).expect(&asked);
        wait_until("the slots to move", PATIENCE, || {
            let view = self.view(to);
            let moved = (first..=last).all(|slot| view.myself().owns(slot));
            if moved {
                Ok(())
            } else {
                Err(format!("{:?}", self.call(from, &["CLUSTER", "GETSLOTMIGRATIONS"])))
            }
        });
    }

    /// Promotes a replica while its primary lives (which then follows it), and waits until all nodes know.
    pub(crate) fn failover(&self, replica: usize) {
        let mut asked: Option<Instant> = None;
        wait_until("a manual failover", PATIENCE, || {
            if self.view(replica).myself().is_primary() {
                return Ok(());
            }
            if asked.is_none_or(|asked| asked.elapsed() > FAILOVER_AGAIN_AFTER) {
                if let Some(error) = self.call(replica, &["CLUSTER", "FAILOVER"]).error() {
                    // Its wire to the primary is just being made anew.
                    return Err(error.to_owned());
                }
                asked = Some(Instant::now());
            }
            Err(format!("node {replica} is still a replica"))
        });
        self.wait_promoted(replica);
    }

    /// Waits until a node is a primary and all responsive nodes agree on that.
    pub(crate) fn wait_promoted(&self, replica: usize) {
        wait_until("a replica to be promoted", PATIENCE, || {
            let view = self.view(replica);
            let promoted = view.myself().is_primary() && !view.myself().slots.is_empty();
            if promoted { Ok(()) } else { Err(format!("{:?}", view.myself())) }
        });
        self.wait_agreed();
    }

    fn ends(&self, slot: u16) -> (usize, usize) {
        *lock(&self.moves).get(&slot).unwrap_or_else(|| panic!("slot {slot} is not being moved"))
    }

    fn set_slot(&self, node: usize, slot: u16, what: &[&str]) {
        let slot = slot.to_string();
        let command = [&["CLUSTER", "SETSLOT", &slot], what].concat();
        let reply = self.patient_call(node, &command);
        assert_eq!(reply, Value::Status("OK".into()), "{command:?} at node {node}");
    }

    /// Valkey takes a change of slots only where a replica is at hand, which on a busy machine may be late with its word for it.
    fn patient_call(&self, node: usize, command: &[&str]) -> Value {
        wait_until("a replica at hand", PATIENCE, || match self.call(node, command) {
            reply if reply.error().is_some_and(|error| error.starts_with("NOREPLICAS")) => {
                Err(format!("{reply:?}"))
            }
            reply => Ok(reply),
        })
    }
}
