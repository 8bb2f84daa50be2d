//! What a seed decides before anything happens: the cluster, the network, the settings of the client, and how much of what goes wrong.

use panpipe::config::{Broken, Order, Overtaken, RetryUnknown};
use panpipe::testkit::{Dice, ModelConfig, NetworkOptions};
use panpipe::{Config, Endpoint};

use crate::faults::Fault;

/// What the caller of the simulation asks for; the same for all seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Rules that the engine breaks.
    pub broken: Broken,
    /// Print what happens.
    pub trace: bool,
    /// Of many seeds those alone that can have this kind of fault: its place in the list.
    pub fault: Option<usize>,
}

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// A few faults of any kind.
    Mixed,
    /// Slots change hands one at a time on a fast network, and nothing else goes wrong.
    HandOver,
    /// Connections break and nodes fall silent, the slots stay where they are.
    Wires,
    /// Replies that answer nothing, replies that never come, where that can be told at once.
    Desync,
    /// Replies that get lost or belong to nobody, anywhere: the client checks with every flush (`high_integrity`).
    Integrity,
}

/// Everything about one run that is decided in advance.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) model: ModelConfig,
    pub(crate) network: NetworkOptions,
    pub(crate) client: Config,
    /// Chances of each fault, by its place in `Fault::ALL`; 0 for those that this seed does not have.
    pub(crate) faults: Vec<u64>,
    /// Mean time between two faults.
    pub(crate) fault_every_us: u64,
    pub(crate) warm_up_ms: u64,
    pub(crate) storm_ms: u64,
    pub(crate) commands: u32,
    /// Mean time between two things that the caller does.
    pub(crate) act_every_us: u64,
    pub(crate) burst_max: u64,
    pub(crate) slots: usize,
    pub(crate) big_values_per_mille: u64,
    pub(crate) multi_key_per_mille: u64,
    /// Of those that are left.
    pub(crate) units_per_mille: u64,
    pub(crate) batches_per_mille: u64,
    /// Commands with a `retry_unknown` of their own.
    pub(crate) own_policies_per_mille: u64,
    pub(crate) flushes_per_mille: u64,
    /// Most time of a single command; batches have the client's.
    pub(crate) timeout_ms_max: u64,
    pub(crate) theme: Theme,
}

impl Options {
    pub(crate) fn draw(seed: u64, settings: &Settings) -> Options {
        let mut dice = Dice::new(seed ^ 0x5eed_0000_0000_0001);
        let theme = match dice.below(16) {
            0..=8 => Theme::Mixed,
            9..=11 => Theme::HandOver,
            12..=13 => Theme::Wires,
            14 => Theme::Integrity,
            _ => Theme::Desync,
        };
        let model = model(&mut dice);
        let client = client(&mut dice, &model, theme, settings.broken);
        let patient = dice.one_in(3);
        let commands = dice.between(40, 160) as u32;
        let units_per_mille = *dice.pick(&[0, 0, 50, 50, 400]).unwrap_or(&0);
        let storm_ms = dice.between(100, if theme == Theme::HandOver { 500 } else { 1500 });
        Options {
            network: network(&mut dice, theme),
            faults: faults(&mut dice, theme, units_per_mille),
            fault_every_us: fault_every_us(&mut dice, theme),
            warm_up_ms: if dice.one_in(3) { 0 } else { dice.between(1, 60) },
            storm_ms,
            commands,
            act_every_us: storm_ms * 1000 / u64::from(commands),
            burst_max: if theme == Theme::HandOver { 12 } else { dice.between(1, 12) },
            slots: dice.between(1, if theme == Theme::HandOver { 2 } else { 5 }) as usize,
            big_values_per_mille: if dice.one_in(4) { 40 } else { 0 },
            multi_key_per_mille: *dice.pick(&[0, 100, 300]).unwrap_or(&0),
            units_per_mille,
            batches_per_mille: *dice.pick(&[0, 300, 600, 1000]).unwrap_or(&0),
            own_policies_per_mille: *dice.pick(&[0, 0, 50, 300]).unwrap_or(&0),
            flushes_per_mille: *dice.pick(&[1000, 500, 200]).unwrap_or(&0),
            timeout_ms_max: if patient { 60_000 } else { dice.between(50, 3_000) },
            theme,
            model,
            client,
        }
    }
}

fn model(dice: &mut Dice) -> ModelConfig {
    ModelConfig {
        primaries: dice.between(2, 4) as usize,
        replicas_per_primary: usize::from(dice.one_in(2)),
        clients_max: if dice.one_in(10) { dice.between(1, 2) as usize } else { 1000 },
        password: dice.one_in(10).then(|| "secret".to_owned()),
        records_executions: true,
        seed: dice.roll() >> 32,
        ..ModelConfig::default()
    }
}

fn fault_every_us(dice: &mut Dice, theme: Theme) -> u64 {
    if theme == Theme::HandOver { dice.between(10_000, 60_000) } else { dice.between(2_000, 60_000) }
}

fn network(dice: &mut Dice, theme: Theme) -> NetworkOptions {
    if theme == Theme::HandOver {
        return NetworkOptions {
            latency_us: (20, dice.between(200, 2_000)),
            segment_bytes_max: *dice.pick(&[10, 20, 60]).unwrap_or(&20),
            ..NetworkOptions::default()
        };
    }
    let least = dice.between(10, 300);
    NetworkOptions {
        latency_us: (least, least + *dice.pick(&[0, 100, 2_000, 20_000]).unwrap_or(&0)),
        segment_bytes_max: *dice.pick(&[1, 5, 40, 400, 1 << 16, 1 << 16]).unwrap_or(&1),
        window_bytes: *dice.pick(&[60, 500, 4_000, 1 << 20, 1 << 20]).unwrap_or(&1),
        short_writes_per_mille: *dice.pick(&[0, 0, 100, 500]).unwrap_or(&0),
        retracts: dice.one_in(3),
        lossy_closes_per_mille: *dice.pick(&[0, 500, 1000]).unwrap_or(&0),
    }
}

fn client(dice: &mut Dice, model: &ModelConfig, theme: Theme, broken: Broken) -> Config {
    let seeds = (0..model.primaries as u16).map(|n| Endpoint::new(&*model.host, model.first_port + n));
    let mut config = Config::from_seeds(seeds.take(dice.between(1, 3) as usize));
    config.jitter_seed = dice.roll();
    config.broken = broken;
    config.password = model.password.as_deref().map(panpipe::config::Secret::new);
    config.connect_timeout_ms = dice.between(50, 400);
    config.handshake_timeout_ms = dice.between(100, 400);
    config.node_silent_ms = dice.between(200, 2_000);
    config.reconnect_min_ms = dice.between(1, 20);
    config.reconnect_max_ms = 200;
    config.refresh_interval_ms = *dice.pick(&[0, 0, 0, 0, 0, 0, 300, 60_000]).unwrap_or(&0);
    config.refresh_min_interval_ms = *dice.pick(&[5, 100, 100, 300]).unwrap_or(&100);
    config.command_timeout_ms = if dice.one_in(3) { 60_000 } else { dice.between(50, 3_000) };
    config.tryagain_wait_ms = *dice.pick(&[0, 200, 2_000]).unwrap_or(&0);
    if dice.one_in(5) {
        config.hops_max = dice.below(6) as u8;
    }
    config.retry_unknown = *dice
        .pick(&[
            RetryUnknown::ReadOnly,
            RetryUnknown::ReadOnly,
            RetryUnknown::ReadOnly,
            RetryUnknown::Never,
            RetryUnknown::Idempotent,
            RetryUnknown::Always,
        ])
        .unwrap_or(&RetryUnknown::ReadOnly);
    config.fenced_reconnect = dice.one_in(if theme == Theme::Wires { 2 } else { 4 });
    if dice.one_in(4) {
        config.sentinel_replies = dice.between(1, 20);
        config.sentinel_ms = dice.between(5, 100);
    }
    config.high_integrity = theme == Theme::Integrity || dice.one_in(12);
    if dice.one_in(6) {
        config.limits.connects_at_once_max = dice.between(1, 3) as usize;
        config.limits.reconnects_per_second_max = dice.between(5, 50) as u32;
    }
    config.order = *dice
        .pick(&[Order::PerKey, Order::PerKey, Order::PerKey, Order::PerSlot, Order::PerSlot, Order::Relaxed])
        .unwrap_or(&Order::PerKey);
    if dice.one_in(8) {
        config.overtaken = Overtaken::Retry;
    }
    if dice.one_in(6) {
        config.limits.commands_per_node_max = dice.between(4, 20) as usize;
        config.limits.bytes_total_max = dice.between(500, 4_000) as usize;
    }
    config
}

/// Few kinds of fault at a time: a storm of everything hides more than it shows.
fn faults(dice: &mut Dice, theme: Theme, units_per_mille: u64) -> Vec<u64> {
    let share = *dice.pick(&[0, 150, 300, 300, 600, 1000]).unwrap_or(&0);
    let mut weight = |fault: &Fault| {
        let fits = match theme {
            Theme::Mixed => fault.is_usual() && dice.per_mille(share),
            Theme::HandOver => fault.is_hand_over() && dice.per_mille(700),
            Theme::Wires => fault.is_of_wires() && dice.per_mille(600),
            Theme::Desync => fault.is_of_replies(),
            Theme::Integrity => fault.is_of_integrity(),
        };
        if fits { dice.between(1, 10) } else { 0 }
    };
    let mut weights: Vec<u64> = Fault::ALL.iter().map(&mut weight).collect();
    if theme == Theme::Mixed && units_per_mille > 100 {
        for (fault, weight) in [(Fault::BeforeExec, 20), (Fault::BeginMigration, 8), (Fault::NoMulti, 1)] {
            weights[fault as usize] += weight;
        }
    }
    // One that is lost and one too many make each other unseen.
    let absent = if dice.one_in(2) { Fault::LostReply } else { Fault::StrayReply };
    weights[absent as usize] = 0;
    weights
}
