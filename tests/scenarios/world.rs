//! The interpreter of scenarios: a model cluster, a client of it, and the steps one by one.
//!
//! Waits are for results, counters and states of the model, never for a time that is hoped to be enough. In the end nothing may be left:
//! every submitted command has a result, and the client holds no bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use panpipe::bulk::RawKeys;
use panpipe::engine::Timestamp;
use panpipe::prelude::*;
use panpipe::testkit::{EmbeddedCluster, Memory, ModelCluster, ModelConfig};
use panpipe::transport::Transport as _;

use crate::names::{key, slot, words};
use crate::results::{check, shown_error, shown_result};
use crate::script::{Count, Scenario, Step};
use crate::transport;

/// How long something is waited for: real time, and virtual time.
const PATIENCE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(200)];

/// The client over one or the other.
pub(crate) enum AnyClient {
    Net(Box<Client>),
    Memory(Box<Client<Memory>>),
    /// Dropped by a step.
    Gone,
}

/// Runs the same with whichever client it is.
macro_rules! with_client {
    ($world:expr, $client:ident => $body:expr) => {
        match &mut $world.client {
            $crate::world::AnyClient::Net($client) => $body,
            $crate::world::AnyClient::Memory($client) => $body,
            $crate::world::AnyClient::Gone => panic!("the client is gone"),
        }
    };
}
pub(crate) use with_client;

/// A scenario that is being played.
pub(crate) struct World {
    pub(crate) client: AnyClient,
    /// The cluster behind sockets; under virtual time it is in the client's transport.
    cluster: Option<EmbeddedCluster>,
    tokens: Vec<panpipe::engine::Token>,
    done: BTreeMap<usize, String>,
    marked: Marked,
}

struct Marked {
    at: Timestamp,
    stats: panpipe::engine::Stats,
    looked_at: Vec<u64>,
}

/// Plays a scenario from its beginning to its end.
pub(crate) fn run(scenario: &Scenario) {
    let Some(mut world) = World::begin(scenario) else { return };
    for (number, step) in scenario.steps.iter().enumerate() {
        world.take(number, step);
    }
    world.end();
}

impl World {
    fn begin(scenario: &Scenario) -> Option<World> {
        let mut layout = ModelConfig { records_writes: true, ..ModelConfig::default() };
        (scenario.cluster)(&mut layout);
        let (connected, cluster) = match scenario.virtual_time {
            Some(_) => {
                let mut memory = Memory::new(layout);
                (scenario.before)(memory.cluster_mut());
                let config = configure(memory.client_config(), memory.cluster(), scenario);
                let client = Client::with_transport(config, memory);
                (client.map(|client| AnyClient::Memory(Box::new(client))), None)
            }
            None => {
                let builder = EmbeddedCluster::builder().configure(|config| *config = layout);
                let cluster = builder.start().expect("loopback sockets");
                cluster.with(scenario.before);
                let config = Config::from_url(&cluster.url()).expect("an address of its own");
                let config = cluster.with(|model| configure(config, model, scenario));
                let client = transport::connect_with(config);
                (client.map(|client| AnyClient::Net(Box::new(client))), Some(cluster))
            }
        };
        match (connected, scenario.refused) {
            (Ok(client), None) => Some(World::new(client, cluster)),
            (Err(error), Some(expected)) => {
                check("connecting", &shown_error(&error), expected);
                None
            }
            (Ok(_), Some(expected)) => panic!("connected, and not {expected}"),
            (Err(error), None) => panic!("not connected: {error:?}"),
        }
    }

    fn new(client: AnyClient, cluster: Option<EmbeddedCluster>) -> World {
        let marked =
            Marked { at: Timestamp::ZERO, stats: panpipe::engine::Stats::default(), looked_at: Vec::new() };
        let mut world = World { client, cluster, tokens: Vec::new(), done: BTreeMap::new(), marked };
        world.mark();
        world
    }

    fn take(&mut self, number: usize, step: &Step) {
        let place = format!("step {number}");
        match *step {
            Step::Cluster(change) => self.model(change),
            Step::Thaw(node) => self.thaw(node),
            Step::Late(node, ms) => self.delay(node, ms),
            Step::Flush(commands) => self.flush(&place, 5_000, commands),
            Step::FlushWithin(ms, commands) => self.flush(&place, ms, commands),
            Step::Unit(commands, expected) => check(&place, &self.unit(commands), expected),
            Step::Submit(commands) => self.submit(5_000, commands),
            Step::SubmitWithin(ms, commands) => self.submit(ms, commands),
            Step::Results(expected) => self.expect_results(&place, expected),
            Step::Pending(numbers) => self.expect_pending(&place, numbers),
            Step::Until(condition) => self.until(&place, condition),
            Step::Pass(ms) => self.pass(ms),
            Step::Mark => self.mark(),
            Step::Counts(expected) => {
                for (count, range) in expected {
                    let found = self.count(*count);
                    assert!(range.contains(&found), "{place}: {count:?} is {found}, not {range:?}");
                }
            }
            Step::Took(ref range) => {
                let ms = self.elapsed_ms();
                assert!(range.contains(&ms), "{place}: took {ms} ms, not {range:?}");
            }
            Step::Log(name, expected) => {
                let expected: Vec<Vec<String>> = expected.iter().map(|text| words(text)).collect();
                assert_eq!(self.log(name), expected, "{place}: what was executed on {name}");
            }
            Step::Do(work) => work(self),
        }
    }

    /// Nothing may be left.
    fn end(&mut self) {
        if matches!(self.client, AnyClient::Gone) {
            return;
        }
        self.until("the end", |world| world.stats().in_flight == 0);
        self.drain();
        let missing: Vec<usize> =
            (0..self.tokens.len()).filter(|number| !self.done.contains_key(number)).collect();
        assert_eq!(missing, [0; 0], "commands without a result");
        let stats = self.stats();
        assert_eq!((stats.parked, stats.queued_bytes), (0, 0), "something is left: {stats:?}");
    }

    // What can be done.

    /// Looks at the model, or changes it.
    pub(crate) fn model<R>(&mut self, look: impl FnOnce(&mut ModelCluster) -> R) -> R {
        match (&self.cluster, &mut self.client) {
            (Some(cluster), _) => cluster.with(look),
            (None, AnyClient::Memory(client)) => look(client.transport_mut().cluster_mut()),
            (None, _) => panic!("there is no cluster any more"),
        }
    }

    /// The cluster behind sockets.
    pub(crate) fn sockets(&self) -> &EmbeddedCluster {
        self.cluster.as_ref().expect("this scenario runs over sockets")
    }

    /// The client under virtual time.
    pub(crate) fn memory(&mut self) -> &mut Memory {
        match &mut self.client {
            AnyClient::Memory(client) => client.transport_mut(),
            _ => panic!("this scenario runs under virtual time"),
        }
    }

    fn thaw(&mut self, node: usize) {
        match &self.cluster {
            Some(cluster) => cluster.thaw(node),
            None => {
                let now_ms = self.memory().now_ms();
                self.model(|model| model.thaw(node, now_ms));
            }
        }
    }

    fn delay(&mut self, node: usize, ms: u64) {
        match &self.cluster {
            Some(cluster) => cluster.set_delay_ms(node, ms),
            // There and back.
            None => self.memory().set_latency(node, Duration::from_micros(ms * 500)),
        }
    }

    /// The results of a pipeline.
    pub(crate) fn pipeline(&mut self, timeout_ms: u64, commands: &[Vec<String>]) -> Vec<String> {
        let shown = with_client!(self, client => {
            let mut pipe = client.pipeline();
            pipe.deadline_ms(timeout_ms);
            for words in commands {
                pipe.call::<()>(command(words));
            }
            let replies = pipe.flush().expect("a client that can wait");
            replies.iter().map(|result| shown_result(result)).collect()
        });
        self.drain();
        shown
    }

    fn flush(&mut self, place: &str, timeout_ms: u64, expected: &[(&str, &str)]) {
        let commands: Vec<Vec<String>> = expected.iter().map(|(text, _)| words(text)).collect();
        let results = self.pipeline(timeout_ms, &commands);
        assert_eq!(results.len(), expected.len(), "{place}: as many results as commands");
        for ((text, expected), found) in expected.iter().zip(results) {
            println!("{place}, {text}: {found}");
            check(&format!("{place}, {text}"), &found, expected);
        }
    }

    /// What becomes of a transaction that is loaded.
    pub(crate) fn unit(&mut self, commands: &[&str]) -> String {
        let wire = |text: &str| {
            let words = words(text);
            let word = |word: &String| format!("${}\r\n{word}\r\n", word.len());
            format!("*{}\r\n{}", words.len(), words.iter().map(word).collect::<String>())
        };
        let commands: String = commands.iter().map(|text| wire(text)).collect();
        let frames = [wire("MULTI"), commands, wire("EXEC")].concat();
        let options = LoadOptions {
            on_error: OnError::Skip { count_max: None, percent_max: None },
            ..LoadOptions::default()
        };
        with_client!(self, client => {
            let mut loader = client.loader(options).expect("options that make sense");
            match loader.push_unit(frames.as_bytes(), RawKeys::Find, 0) {
                Err(PushError::Refused(error)) => return shown_error(&error),
                pushed => pushed.expect("there is room"),
            }
            loader.finish(Duration::from_secs(10)).expect("a client that can wait");
            loader.next_problem().map_or_else(|| "written".to_owned(), |problem| shown_error(&problem.error))
        })
    }

    /// Queues a command of the event-driven use; answers its number.
    pub(crate) fn queue(&mut self, timeout_ms: u64, text: &str) -> usize {
        let number = self.tokens.len();
        let command = command(&words(text));
        let token =
            with_client!(self, client => client.submit_with_timeout(command, number as u64, timeout_ms));
        self.tokens.push(token.expect("it can be queued"));
        number
    }

    fn submit(&mut self, timeout_ms: u64, commands: &[&str]) {
        for text in commands {
            self.queue(timeout_ms, text);
        }
        with_client!(self, client => client.flush());
    }

    /// Gives a command up.
    pub(crate) fn cancel(&mut self, number: usize) -> bool {
        let token = self.tokens[number];
        with_client!(self, client => client.cancel(token))
    }

    fn expect_results(&mut self, place: &str, expected: &[(usize, &str)]) {
        for &(number, expected) in expected {
            let found = self.result(number);
            check(&format!("{place}, number {number}"), &found, expected);
        }
    }

    /// Waits for the result of a command.
    pub(crate) fn result(&mut self, number: usize) -> String {
        self.until(&format!("the result of number {number}"), move |world| world.done.contains_key(&number));
        self.done[&number].clone()
    }

    fn expect_pending(&mut self, place: &str, numbers: &[usize]) {
        self.work(Duration::ZERO);
        for number in numbers {
            assert_eq!(self.done.get(number), None, "{place}: number {number} has a result already");
        }
    }

    /// Lets the client work until this is so.
    pub(crate) fn until(&mut self, place: &str, condition: impl Fn(&mut World) -> bool) {
        let limit = self.now().after_ms(PATIENCE[usize::from(self.cluster.is_none())].as_millis() as u64);
        while !condition(self) {
            assert!(self.now() < limit, "{place}: waited in vain, {:?}", self.stats());
            self.work(Duration::from_millis(2));
        }
    }

    /// Lets time go by while the client works.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now().after_ms(ms);
        while self.now() < until {
            let left = until.since(self.now());
            self.work(left);
        }
    }

    /// The client works until something happens, at most so long.
    pub(crate) fn work(&mut self, limit: Duration) {
        with_client!(self, client => client.wait(Some(limit))).expect("a client that can wait");
        self.drain();
    }

    fn drain(&mut self) {
        with_client!(self, client => while let Some(completion) = client.next_completion() {
            let shown = shown_result(completion.result.as_ref().copied());
            let earlier = self.done.insert(completion.user_data as usize, shown);
            assert_eq!(earlier, None, "number {} has two results", completion.user_data);
        });
    }

    // What can be seen.

    pub(crate) fn stats(&mut self) -> panpipe::engine::Stats {
        with_client!(self, client => client.stats())
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        with_client!(self, client => client.transport().now())
    }

    /// Milliseconds since the mark.
    pub(crate) fn elapsed_ms(&mut self) -> u64 {
        self.now().since(self.marked.at).as_millis() as u64
    }

    /// Counters and clock start from zero.
    pub(crate) fn mark(&mut self) {
        let looked_at = self.looked_at();
        self.marked = Marked { at: self.now(), stats: self.stats(), looked_at };
    }

    fn looked_at(&mut self) -> Vec<u64> {
        self.model(|model| (0..model.nodes_len()).map(|node| model.node(node).commands_processed()).collect())
    }

    pub(crate) fn count(&mut self, count: Count) -> u64 {
        let stats = self.stats();
        let (now, then) = (&stats.total, &self.marked.stats.total);
        match count {
            Count::Moved => now.moved - then.moved,
            Count::Asks => now.asks - then.asks,
            Count::Retries => now.retries - then.retries,
            Count::Connects => now.connects - then.connects,
            Count::Disconnects => now.disconnects - then.disconnects,
            Count::Timeouts => now.timeouts - then.timeouts,
            Count::Desyncs => now.desyncs - then.desyncs,
            Count::Pushes => now.pushes - then.pushes,
            Count::Refreshes => stats.refreshes - self.marked.stats.refreshes,
            Count::At(node) => self.looked_at()[node] - self.marked.looked_at.get(node).copied().unwrap_or(0),
        }
    }

    /// Whether the client's map has this node for the slot.
    pub(crate) fn maps(&mut self, name: &str, node: usize) -> bool {
        let at = self.model(|model| Endpoint::new(model.node(node).host(), model.node(node).port()));
        with_client!(self, client => client.engine().slot_owner(slot(name)) == Some(&at))
    }

    /// The writes that were executed on a key, as words.
    pub(crate) fn log(&mut self, name: &str) -> Vec<Vec<String>> {
        let key = key(name);
        let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
        self.model(|model| {
            model.writes(key.as_bytes()).iter().map(|write| write.words.iter().map(text).collect()).collect()
        })
    }
}

fn configure(mut config: Config, model: &ModelCluster, scenario: &Scenario) -> Config {
    config.refresh_interval_ms = 0;
    config.jitter_seed = 1;
    config.flush_policy = FlushPolicy::Explicit;
    let ports: Vec<u16> = (0..model.nodes_len()).map(|node| model.node(node).port()).collect();
    (scenario.config)(&mut config, &ports);
    config
}

/// A command of these words, as somebody writes it who knows no typed methods.
pub(crate) fn command(words: &[String]) -> Cmd {
    words[1..].iter().fold(cmd(&words[0]), |command, word| command.arg(word))
}
