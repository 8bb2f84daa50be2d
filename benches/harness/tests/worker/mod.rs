//! A contender's process, driven by lines of JSON as a race drives it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The version of orders and answers that these tests speak.
const PROTOCOL: u32 = 1;

/// Longer than any order of these tests takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process; it ends with this value.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    /// Connects a contender.
    pub(crate) fn start(contender: &str, setup: &Value, workload: &Value) -> Worker {
        Worker::try_start(contender, setup, workload)
            .unwrap_or_else(|reason| panic!("{contender} does not start: {reason}"))
    }

    /// The same; the error is what it said.
    pub(crate) fn try_start(contender: &str, setup: &Value, workload: &Value) -> Result<Worker, String> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_panpipe-bench"))
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (sender, receiver) = channel();
        // Reading has no timeout, a channel has.
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut worker = Worker { process, orders, answers: receiver };
        let start = json!({
            "protocol": PROTOCOL, "contender": contender, "setup": setup, "workload": workload, "seed": 1
        });
        let answer = worker.ask(&json!({ "start": start }));
        match answer["failed"]["reason"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(worker),
        }
    }

    /// One round; its figures.
    pub(crate) fn round(&mut self, load: &Value) -> Value {
        let mut answer = self.ask_round(load);
        assert!(answer["round"].is_object(), "{load} is answered with {answer}");
        answer["round"].take()
    }

    /// One round; whatever is answered.
    pub(crate) fn ask_round(&mut self, load: &Value) -> Value {
        self.ask(&json!({ "round": { "load": load, "seed": 1, "count": false } }))
    }

    fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.unwrap_or_else(|error| panic!("{order} is not answered: {error}"));
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
