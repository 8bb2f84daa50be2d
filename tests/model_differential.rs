//! The model against a real server: the same commands, the same replies, byte for byte.
//!
//! Redis 7.0 is the reference; random traces run on Redis 8.2 and Valkey 9.1 too, without the corners that `model::newer` names.
//! Seeds are fixed; `MODEL_SEED=n` tries another one. A difference is the model's fault.

#![cfg(feature = "testkit")]

mod model;
mod servers;

use panpipe::testkit::{ModelCluster, ModelConfig, SessionId};

use model::compare::{same, same_on_newer, shown, shown_words};
use model::grammar;
use model::newer;
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
    /// Newer than what the model is a model of: see `model::newer`.
    is_newer: bool,
    history: Vec<Words>,
    seed: u64,
    /// What went apart. The first one counts, the others may follow from it.
    differences: Vec<String>,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        Pair::on(Version::Redis70, seed)
    }

    fn on(version: Version, seed: u64) -> Pair {
        let server = Server::start(version, &["--cluster-enabled", "yes"]);
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
        let is_newer = version != Version::Redis70;
        Pair { server, real, model, session, is_newer, history: Vec::new(), seed, differences: Vec::new() }
    }

    /// Runs commands on both sides and compares every reply.
    fn compare(&mut self, commands: &[Words]) {
        let now_ms = unix_ms();
        let real = self.real.batch(commands);
        let model = model_batch(&mut self.model, self.session, commands, now_ms);
        let same = if self.is_newer { same_on_newer } else { same };
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
                if self.is_newer && !newer::is_as_before(&command, in_transaction) {
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
    for version in [Version::Redis70, Version::Redis82, Version::Valkey91] {
        for seed in seeds(&[1, 2, 3]) {
            println!("{}, seed {seed}, RESP{resp}", version.name());
            let mut pair = Pair::on(version, seed);
            pair.lines(&[&format!("hello {resp}")]);
            pair.trace(resp, 10_000);
            pair.assert_alike();
        }
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

/// Decimal numbers of all lengths, and some that fall on the borders of the 64-bit mantissa.
fn decimal(random: &mut Random) -> String {
    let borders =
        ["18446744073709551616", "9223372036854775807", "36893488147419103232", "0.5", "1.5", "3", "-3"];
    if random.one_in(4) {
        return (*random.pick(&borders)).to_owned();
    }
    let sign = if random.one_in(3) { "-" } else { "" };
    let digits = |random: &mut Random, count: usize| -> String {
        (0..count).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
    };
    let (whole, fraction) = (random.below(16), random.below(18));
    format!("{sign}0{}.{}0", digits(random, whole), digits(random, fraction))
}

#[test]
fn floating_point_sums_have_the_same_digits() {
    for seed in seeds(&[1]) {
        let mut pair = Pair::new(seed);
        let mut random = Random::new(seed);
        for _ in 0..100 {
            let mut batch = Vec::new();
            for _ in 0..20 {
                batch.push(words(&format!("set {{a}}f {}", decimal(&mut random))));
                batch.push(words(&format!("incrbyfloat {{a}}f {}", decimal(&mut random))));
                batch.push(words(&format!("incrbyfloat {{a}}f {}", decimal(&mut random))));
                batch.push(words(&format!("hincrbyfloat {{a}}h f {}", decimal(&mut random))));
                batch.push(words(&format!("zincrby {{a}}z {} m", decimal(&mut random))));
            }
            pair.compare(&batch);
        }
        pair.assert_alike();
    }
}

#[test]
fn every_arity_and_every_key_position_answers_alike() {
    let mut pair = Pair::new(0);
    let mut names: Vec<&str> = grammar::COMMANDS.lines().filter_map(|line| line.split(' ').next()).collect();
    names.retain(|name| !name.is_empty() && !name.starts_with('<') && *name != "time" && *name != "wait");
    names.extend(["flushall", "flushdb", "randomkey", "wait"]);
    names.dedup();
    // Words of one slot first, then of a slot each: the second round shows which words are keys.
    for tag in ["{a}", ""] {
        for name in &names {
            for count in 0..7 {
                let arguments = (1000..1000 + count).map(|i| format!("{tag}{i}").into_bytes());
                let command: Words = [name.as_bytes().to_vec()].into_iter().chain(arguments).collect();
                let waits = *name == "wait" && count == 2;
                // INFO and COMMAND are shorter here than there, SPOP pops what it likes.
                if !waits && !["info", "command", "spop"].contains(name) {
                    pair.compare(&[command, words("discard")]);
                }
            }
        }
    }
    pair.assert_alike();
}

#[test]
fn malformed_requests_are_answered_alike_and_end_the_connection() {
    let mut pair = Pair::new(0);
    let long = [b"*1\r\n$".as_slice(), &[b'1'; 70_000]].concat();
    let cases: Vec<&[u8]> = vec![
        b"*1\r\n+a\r\n",
        b"*1\r\n\r\n",
        b"*x\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$ 1\r\n",
        b"*01\r\n",
        b"*99999999999\r\n",
        b"*1\r\n$999999999999\r\n",
        b"*0\r\n*-1\r\n*-9\r\n*1\r\n$4\r\nPINGxx*1\r\n$4\r\nQUIT\r\n",
        b"*1\r\n$4\r\nPING\r\n*1\r\n?4\r\nPING\r\n",
        &long,
    ];
    for bytes in cases {
        let real = Real::open(pair.server.address()).raw_until_closed(bytes);
        let session = pair.model.open(0, 0).expect("the model is up");
        pair.model.feed(session, bytes, 0);
        let mut model = Vec::new();
        pair.model.take_output(session, &mut model);
        assert_eq!(shown(&real), shown(&model), "{}", shown(bytes));
        assert!(pair.model.session_closed_by_server(session));
        pair.model.close(session);
    }
}

/// With and without a password, right and wrong, in every order that differs.
const PASSWORDS: &[&str] = &[
    "ping",
    "get a",
    "foo",
    "get",
    "auth",
    "auth a b c",
    "auth wrong",
    "auth default wrong",
    "auth other secret",
    "hello",
    "hello 2",
    "hello 3",
    "hello 9",
    "hello 3 auth default wrong",
    "hello 3 auth default",
    "hello 3 setname x",
    "multi",
    "exec",
    "client id",
    "command",
    "cluster slots",
    "reset",
    "auth secret",
    "ping",
    "hello 3",
    "reset",
    "ping",
    "auth default secret",
    "ping",
    "reset",
    "hello 3 auth default secret setname me",
    "client getname",
    "hello 2 setname",
    "hello 2 foo bar",
    "client setname",
    "auth wrong",
    "ping",
    "multi",
    "auth secret",
    "exec",
];

#[test]
fn a_password_is_asked_for_alike() {
    let server = Server::start(Version::Redis70, &["--cluster-enabled", "yes", "--requirepass", "secret"]);
    server.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let config = ModelConfig {
        primaries: 1,
        ports: vec![server.port()],
        password: Some("secret".into()),
        ..ModelConfig::default()
    };
    let mut model = ModelCluster::new(config);
    let mut real = Real::open(server.address());
    let session = model.open(0, 0).expect("the model is up");
    for line in PASSWORDS {
        let words = words(line);
        let answer = real.call(&words);
        let modelled =
            model_batch(&mut model, session, std::slice::from_ref(&words), 0).remove(0).expect("a reply");
        assert!(same(&words, &answer, &modelled), "{line}\n{}\n{}", shown(&answer), shown(&modelled));
    }
    let (long, many) = (b"*1\r\n$20000\r\n".as_slice(), b"*11\r\n".as_slice());
    for bytes in [long, many] {
        let answer = Real::open(server.address()).raw_until_closed(bytes);
        let session = model.open(0, 0).expect("the model is up");
        model.feed(session, bytes, 0);
        let mut modelled = Vec::new();
        model.take_output(session, &mut modelled);
        assert_eq!(shown(&answer), shown(&modelled));
    }
}

#[test]
fn a_server_outside_of_cluster_mode_answers_alike() {
    let server = Server::start(Version::Redis70, &[]);
    let config = ModelConfig { primaries: 1, cluster_enabled: false, ..ModelConfig::default() };
    let mut model = ModelCluster::new(config);
    let script = [
        "hello 2",
        "hello 3",
        "cluster slots",
        "cluster nodes",
        "cluster keyslot a",
        "cluster foo",
        "cluster",
        "asking",
        "readonly",
        "readwrite",
        "mset a 1 b 2",
        "mget a b",
        "select 0",
        "select 99",
        "select x",
        "rename a c",
        "dbsize",
        "config get cluster-enabled",
        "wait 0 0",
        "flushall",
    ];
    let mut real = Real::open(server.address());
    let session = model.open(0, 0).expect("the model is up");
    for line in script {
        let words = words(line);
        let answer = real.call(&words);
        let modelled =
            model_batch(&mut model, session, std::slice::from_ref(&words), 0).remove(0).expect("a reply");
        assert!(same(&words, &answer, &modelled), "{line}\n{}\n{}", shown(&answer), shown(&modelled));
    }
}
