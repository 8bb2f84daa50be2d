//! What goes wrong: with the cluster, with the connections, with the machine that the client runs on. And how it ends.
//!
//! A fault begins at a random moment and, where it lasts, has its end scheduled. Everything stays within what real clusters do: a slot
//! changes hands between nodes that are up, a node that is out of touch is no party to it.

use panpipe::engine::Timestamp;
use panpipe::testkit::{ClusterDown, Ending, ModelCluster, NetworkOptions, Quirk, Refusals, Way};

use crate::faults::Fault;
use crate::options::Theme;
use crate::world::World;

/// What ends a fault that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cure {
    Release(usize),
    Replicate(usize),
    Calm(usize),
    Accept(usize),
    Unclog(usize, Way),
    Thaw(usize),
    Restart(usize),
    AnswerAsking(usize),
    AllowMulti(usize),
}

/// Replies of every shape.
const STRAYS: [&[u8]; 4] = [b"+OK\r\n", b":1\r\n", b"$1\r\n7\r\n", b"*0\r\n"];
const READONLY: &str = "READONLY You can't write against a read only replica.";
const MASTERDOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const NOPERM: &[u8] = b"-NOPERM User default has no permissions to run the 'multi' command\r\n";
const TRYAGAIN: &str = "TRYAGAIN Multiple keys request during rehashing of slot";

impl World {
    /// One of this seed's faults, if it is possible now.
    pub(crate) fn break_something(&mut self) {
        let total: u64 = self.options.faults.iter().sum();
        let mut at = self.dice.below(total);
        let Some(place) = self.options.faults.iter().position(|&weight| {
            let hit = at < weight;
            at = at.saturating_sub(weight);
            hit
        }) else {
            return;
        };
        self.break_so(Fault::ALL[place]);
    }

    fn break_so(&mut self, fault: Fault) {
        let node = self.dice.below(self.net.cluster().nodes_len() as u64) as usize;
        let happened = self.break_cluster(fault, node)
            || self.break_node(fault, node)
            || self.break_wire(fault, node)
            || self.break_protocol(fault);
        if happened {
            self.coverage.fault(fault);
            self.trace(|| format!("fault: {} (node {node})", fault.name()));
            self.net.collect();
        }
    }

    fn break_cluster(&mut self, fault: Fault, node: usize) -> bool {
        match fault {
            Fault::BeginMigration => self.begin_migration(node),
            Fault::MigrateKey => self.migrate_key(),
            Fault::FinishMigration => self.finish_migration(),
            Fault::CancelMigration => self.cancel_migration(),
            Fault::MoveSlot => self.move_slot(node, false),
            Fault::PingPong => self.move_slot(node, true),
            Fault::StaleView if self.is_sound(node) => {
                self.hold(node);
                true
            }
            Fault::FailOver | Fault::FailOverStale | Fault::FailOverDead | Fault::FailOverFrozen => {
                self.fail_over(fault)
            }
            Fault::HoldReplication if self.net.cluster().primary_of(node).is_some() => {
                self.net.cluster_mut().hold_replication(node);
                self.cure(Cure::Replicate(node), 20, 500);
                true
            }
            _ => false,
        }
    }

    fn break_node(&mut self, fault: Fault, node: usize) -> bool {
        let mut refusals = self.net.cluster().node(node).refusals().clone();
        match fault {
            Fault::Loading => refusals.loading = true,
            Fault::ClusterDown => refusals.cluster_down = Some(ClusterDown::Everything),
            Fault::ReadsOnly => refusals.cluster_down = Some(ClusterDown::Writes),
            Fault::OutOfMemory => refusals.out_of_memory = true,
            Fault::Misconfigured => refusals.misconfigured = true,
            Fault::NoReplicas => refusals.no_replicas = true,
            Fault::Busy => refusals.busy = true,
            Fault::ReadOnly => refusals.keyed = Some(READONLY),
            Fault::PrimaryDown => refusals.keyed = Some(MASTERDOWN),
            Fault::TryAgain => refusals.keyed = Some(TRYAGAIN),
            Fault::BeforeExec => {
                self.plan_exec();
                return true;
            }
            // Connections are of one mind: a server that forbids it, or no longer does, begins anew.
            Fault::NoMulti if !self.forbidding.contains(&node) => {
                self.forbidding.insert(node);
                let cluster = self.net.cluster_mut();
                cluster.disconnect_all(node);
                cluster.quirk(node, "MULTI", usize::MAX, Quirk::Say(NOPERM.to_vec()));
                self.cure(Cure::AllowMulti(node), 50, 400);
                return true;
            }
            Fault::Freeze if !self.net.cluster().node(node).is_frozen() => {
                self.net.cluster_mut().freeze(node);
                self.cure(Cure::Thaw(node), 5, 1_500);
                return true;
            }
            Fault::Kill if self.net.cluster().node(node).is_reachable() => {
                self.net.cluster_mut().kill(node);
                self.cure(Cure::Restart(node), 5, 800);
                return true;
            }
            _ => return false,
        }
        *self.net.cluster_mut().refusals_mut(node) = refusals;
        self.cure(Cure::Calm(node), 2, 400);
        true
    }

    /// The next few EXECs of each node find that something has changed since their commands were queued.
    fn plan_exec(&mut self) {
        for node in 0..self.net.cluster().nodes_len() {
            let quirk = match self.dice.below(3) {
                0 => Quirk::First(finish_migrations),
                1 => Quirk::First(migrate_all_keys),
                _ => Quirk::Refuse(self.any_refusal()),
            };
            if !matches!(quirk, Quirk::Refuse(_)) {
                self.begin_migration(node);
            }
            self.net.cluster_mut().quirk(node, "EXEC", 4, quirk);
            self.cure(Cure::Calm(node), 50, 800);
        }
    }

    fn any_refusal(&mut self) -> Refusals {
        let none = Refusals::default();
        // The last ones are met with EXEC by other faults too.
        match self.dice.below(22) {
            0..=2 => Refusals { loading: true, ..none },
            3..=5 => Refusals { out_of_memory: true, ..none },
            6..=8 => Refusals { misconfigured: true, ..none },
            9..=11 => Refusals { no_replicas: true, ..none },
            12..=14 => Refusals { keyed: Some(READONLY), ..none },
            15..=17 => Refusals { keyed: Some(MASTERDOWN), ..none },
            18 => Refusals { cluster_down: Some(ClusterDown::Everything), ..none },
            19 => Refusals { cluster_down: Some(ClusterDown::Writes), ..none },
            20 => Refusals { busy: true, ..none },
            _ => Refusals { keyed: Some(TRYAGAIN), ..none },
        }
    }

    fn break_wire(&mut self, fault: Fault, node: usize) -> bool {
        let ending = match fault {
            Fault::Reset => Ending::Reset,
            Fault::HalfClose => Ending::HalfClosed,
            Fault::LateReset => Ending::ResetLate(self.net.now().after_ms(self.dice.between(5, 500))),
            Fault::Silence => Ending::Silent,
            Fault::LosingReset => {
                let span = self.net.horizon().since(self.net.now()).as_nanos() as u64;
                let nanos = self.net.now().as_nanos() + self.dice.below(span + 1);
                Ending::ResetLosing(Timestamp::from_nanos(nanos))
            }
            Fault::ServerClose => return self.server_close(),
            Fault::ServerCloseAll => {
                self.net.cluster_mut().disconnect_all(node);
                return true;
            }
            Fault::Refuse => {
                self.net.set_refuses(node, true);
                self.cure(Cure::Accept(node), 5, 500);
                return true;
            }
            Fault::BlackHole => {
                self.net.set_black_hole(node, true);
                self.cure(Cure::Accept(node), 5, 1_000);
                return true;
            }
            Fault::ClogToServer => return self.clog(node, Way::ToServer),
            Fault::ClogToClient => return self.clog(node, Way::ToClient),
            Fault::SwapAddresses => return self.swap_addresses(node),
            Fault::HostPause => return self.pause_host(),
            Fault::Refresh => {
                self.engine.refresh_topology(self.net.now());
                return true;
            }
            _ => return false,
        };
        let Some(conn) = self.any_connection() else { return false };
        self.net.end_connection(conn, ending, &mut self.engine);
        true
    }

    fn server_close(&mut self) -> bool {
        let session = self.any_connection().and_then(|conn| self.net.session_of(conn));
        let Some(session) = session else { return false };
        self.net.cluster_mut().disconnect(session);
        true
    }

    fn clog(&mut self, node: usize, way: Way) -> bool {
        self.net.clog(node, way);
        self.cure(Cure::Unclog(node, way), 2, 1_000);
        true
    }

    fn swap_addresses(&mut self, node: usize) -> bool {
        let cluster = self.net.cluster();
        let other = self.dice.below(cluster.nodes_len() as u64) as usize;
        // Where a server takes one client, two entries for one address, until both are known to be the same node, are one too many.
        if other == node || self.options.model.clients_max < 100 {
            return false;
        }
        self.has_swapped = true;
        self.net.tap_mut().is_relaxed = true;
        let cluster = self.net.cluster();
        let address = |node: usize| (cluster.node(node).host().to_owned(), cluster.node(node).port());
        let (ours, theirs) = (address(node), address(other));
        let cluster = self.net.cluster_mut();
        cluster.disconnect_all(node);
        cluster.disconnect_all(other);
        cluster.set_address(node, &theirs.0, theirs.1);
        cluster.set_address(other, &ours.0, ours.1);
        true
    }

    fn break_protocol(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Push => {
                let Some(conn) = self.any_connection() else { return false };
                if !self.net.tap().is_greeted(conn) {
                    return false;
                }
                self.net.inject(conn, b">2\r\n+invalidate\r\n_\r\n");
                true
            }
            Fault::ExtraReply if self.options.theme == Theme::Desync => self.say_too_much(),
            Fault::LostAsking if self.options.theme == Theme::Desync => {
                for node in 0..self.net.cluster().nodes_len() {
                    self.net.cluster_mut().set_omits_asking_reply(node, true);
                    self.cure(Cure::AnswerAsking(node), 1, 300);
                }
                true
            }
            Fault::LostReply => {
                let session = self.any_connection().and_then(|conn| self.net.session_of(conn));
                let Some(session) = session else { return false };
                self.net.cluster_mut().omit_reply(session);
                true
            }
            Fault::StrayReply => {
                let Some(conn) = self.any_connection() else { return false };
                let stray = self.dice.pick(&STRAYS);
                let is_introduced = self.net.tap().is_introduced(conn);
                self.net.inject(conn, stray.copied().filter(|_| is_introduced).unwrap_or_default());
                is_introduced
            }
            _ => false,
        }
    }

    /// A reply on a connection on which nothing waits for one: the connection must be given up at once.
    fn say_too_much(&mut self) -> bool {
        let Some(conn) = self.any_connection() else { return false };
        if !self.net.is_quiet(conn) || !self.net.tap().is_idle(conn) {
            return false;
        }
        self.net.inject_now(conn, b"+EXTRA\r\n", &mut self.engine);
        self.drive();
        if self.net.live().any(|live| live == conn) {
            self.problem("desync", format!("{conn:?} is kept after a reply that answers nothing"));
        }
        true
    }

    /// Ends a fault some time from now.
    pub(crate) fn cure(&mut self, cure: Cure, least_ms: u64, most_ms: u64) {
        let at = self
            .net
            .now()
            .after(std::time::Duration::from_micros(self.dice.between(least_ms * 1000, most_ms * 1000)));
        self.cures.insert((at, self.cures.len(), cure));
    }

    pub(crate) fn apply_cure(&mut self, cure: Cure) {
        self.trace(|| format!("cure: {cure:?}"));
        let now_ms = self.net.now_ms();
        match cure {
            Cure::Release(node) => {
                self.held.remove(&node);
                self.hush_slots_of(node);
                self.net.cluster_mut().release_gossip(node);
            }
            Cure::Replicate(node) => self.net.cluster_mut().release_replication(node),
            Cure::Calm(node) => {
                let cluster = self.net.cluster_mut();
                if !self.forbidding.contains(&node) {
                    cluster.clear_quirks(node);
                }
                *cluster.refusals_mut(node) = Refusals::default();
            }
            Cure::Accept(node) => {
                self.net.set_refuses(node, false);
                self.net.set_black_hole(node, false);
            }
            Cure::Unclog(node, way) => self.net.unclog(node, way),
            Cure::Thaw(node) => self.net.cluster_mut().thaw(node, now_ms),
            Cure::Restart(node) => self.net.cluster_mut().restart(node),
            Cure::AnswerAsking(node) => self.net.cluster_mut().set_omits_asking_reply(node, false),
            Cure::AllowMulti(node) => {
                self.forbidding.remove(&node);
                let cluster = self.net.cluster_mut();
                cluster.clear_quirks(node);
                // One of those that were left alone until now may have begun meanwhile.
                *cluster.refusals_mut(node) = Refusals::default();
                cluster.disconnect_all(node);
            }
        }
        self.net.collect();
    }

    /// Everything is as it should be.
    pub(crate) fn heal(&mut self) {
        self.trace(|| "heal".to_owned());
        for (_, _, cure) in std::mem::take(&mut self.cures) {
            self.apply_cure(cure);
        }
        // A slow network is no fault, but nobody waits for it.
        *self.net.options_mut() =
            NetworkOptions { retracts: self.options.network.retracts, ..NetworkOptions::default() };
        let now_ms = self.net.now_ms();
        for slot in self.slots.clone() {
            self.net.cluster_mut().cancel_migration(slot);
        }
        self.migrating.clear();
        for node in 0..self.net.cluster().nodes_len() {
            let cluster: &mut ModelCluster = self.net.cluster_mut();
            cluster.thaw(node, now_ms);
            cluster.restart(node);
            cluster.release_gossip(node);
        }
        self.net.collect();
    }
}

fn finish_migrations(cluster: &mut ModelCluster) {
    for slot in sound_migrations(cluster) {
        cluster.finish_migration(slot);
    }
}

fn migrate_all_keys(cluster: &mut ModelCluster) {
    for slot in sound_migrations(cluster) {
        cluster.migrate_keys(slot);
    }
}

/// The slots that migrate to a node that is up.
fn sound_migrations(cluster: &ModelCluster) -> Vec<u16> {
    let is_up = |node: usize| {
        let server = cluster.node(node);
        server.is_reachable() && !server.is_frozen() && cluster.primary_of(node).is_none()
    };
    cluster.migrations().into_iter().filter(|&(_, to)| is_up(to)).map(|(slot, _)| slot).collect()
}
