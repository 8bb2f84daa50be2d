//! The model against a real server: the same commands, the same replies, byte for byte.
//!
//! Redis 7.0 is the reference. Seeds are fixed; `MODEL_SEED=n` tries another one. A difference is the model's fault.

#![cfg(feature = "testkit")]

mod model;
mod servers;

use panpipe::testkit::{ModelCluster, ModelConfig, SessionId};

use model::compare::{same, shown, shown_words};
use model::grammar;
use model::peers::{Real, model_batch, unix_ms};
use model::random::Random;
use model::wire::{Words, words};
use servers::{Server, Version, wait_until};

const BATCH_COMMANDS: usize = 50;

/// One real node that owns every slot, and the same as a model.
struct Pair {
    server: Server,
    real: Real,
    model: ModelCluster,
    session: SessionId,
    history: Vec<Words>,
    seed: u64,
    /// What went apart. The first one counts, the others may follow from it.
    differences: Vec<String>,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let server = Server::start(Version::Redis70, &["--cluster-enabled", "yes"]);
        server.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        wait_until("the cluster to be ok", servers::PATIENCE, || {
            let info = server.call(&["CLUSTER", "INFO"]);
            let text = info.text().unwrap_or_default();
            if text.contains("cluster_state:ok") { Ok(()) } else { Err(text.to_owned()) }
        });
        let config = ModelConfig { primaries: 1, ports: vec![server.port()], ..ModelConfig::default() };
        let mut model = ModelCluster::new(config);
        let session = model.open(0, unix_ms()).expect("the model is up");
        let real = Real::open(server.address());
        Pair { server, real, model, session, history: Vec::new(), seed, differences: Vec::new() }
    }

    /// Runs commands on both sides and compares every reply.
    fn compare(&mut self, commands: &[Words]) {
        let now_ms = unix_ms();
        let real = self.real.batch(commands);
        let model = model_batch(&mut self.model, self.session, commands, now_ms);
        for ((command, real), model) in commands.iter().zip(real).zip(model) {
            if !same(command, &real, &model) {
                let report = self.report(command, &real, &model);
                self.differences.push(report);
            }
            self.history.push(command.clone());
        }
    }

    fn report(&self, command: &Words, real: &[u8], model: &[u8]) -> String {
        let keys: Vec<_> = command.iter().skip(1).take(2).collect();
        // A transaction may have met any of the last commands.
        let is_related =
            |earlier: &&Words| keys.is_empty() || earlier.iter().skip(1).any(|word| keys.contains(&word));
        let related = self.history.iter().filter(is_related);
        let mut related: Vec<String> = related.rev().take(25).map(shown_words).collect();
        related.reverse();
        format!(
            "seed {}, command {}: {}\n  real:  {}\n  model: {}\nbefore:\n  {}",
            self.seed,
            self.history.len(),
            shown_words(command),
            shown(real),
            shown(model),
            related.join("\n  "),
        )
    }

    fn lines(&mut self, lines: &[&str]) {
        let commands: Vec<Words> = lines.iter().map(|line| words(line)).collect();
        self.compare(&commands);
    }

    #[track_caller]
    fn assert_alike(&self) {
        assert!(self.differences.is_empty(), "replies differ\n\n{}", self.differences.join("\n\n"));
    }

    /// A random trace. Transactions come on purpose as well as by accident.
    fn trace(&mut self, resp: u8, commands: usize) {
        let mut random = Random::new(self.seed);
        let mut in_transaction = false;
        let mut done = 0;
        while done < commands {
            let now_ms = unix_ms();
            let mut batch = Vec::new();
            while batch.len() < BATCH_COMMANDS {
                let command = grammar::command(&mut random, now_ms);
                let name = command[0].to_ascii_lowercase();
                if in_transaction && !grammar::fits_transaction(&command) {
                    continue;
                }
                // The protocol stays what the trace is about, and nobody leaves.
                if [b"hello".as_slice(), b"quit", b"reset"].contains(&name.as_slice()) && command.len() < 2 {
                    continue;
                }
                in_transaction = match name.as_slice() {
                    b"multi" if command.len() == 1 => true,
                    b"exec" | b"discard" => false,
                    _ => in_transaction,
                };
                batch.push(command);
                if random.one_in(100) && !in_transaction {
                    batch.push(words(&format!("hello {resp}")));
                }
            }
            if in_transaction {
                batch.push(words("exec"));
                in_transaction = false;
            }
            done += batch.len();
            self.compare(&batch);
            if !self.differences.is_empty() {
                return;
            }
        }
    }
}

fn seeds(fixed: &[u64]) -> Vec<u64> {
    let chosen = std::env::var("MODEL_SEED").ok().map(|text| text.parse().expect("MODEL_SEED is a number"));
    chosen.map_or_else(|| fixed.to_vec(), |seed| vec![seed])
}

fn traces(resp: u8) {
    for seed in seeds(&[1, 2, 3]) {
        println!("seed {seed}, RESP{resp}");
        let mut pair = Pair::new(seed);
        pair.lines(&[&format!("hello {resp}")]);
        pair.trace(resp, 10_000);
        pair.assert_alike();
    }
}

#[test]
fn random_commands_answer_alike_in_resp2() {
    traces(2);
}

#[test]
fn random_commands_answer_alike_in_resp3() {
    traces(3);
}
