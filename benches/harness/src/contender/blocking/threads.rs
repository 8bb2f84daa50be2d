//! A thread per node, which is kept: the caller routes and encodes, each thread writes, reads and scans.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};

use super::{INBOX_BYTES, Link, add, check, reply_bytes_max, settings};
use crate::contender::floor::sockets::routes;
use crate::contender::floor::{Encoder, Outbox};
use crate::contender::{Contender, Counters, Setting, Setup};
use crate::plan::Plan;

/// What a thread hands back: the emptied box, the errors among the replies, and what it has counted so far.
struct Answer {
    node: usize,
    outbox: Outbox,
    errors: Result<u64>,
    counters: Counters,
}

struct Threads {
    encoder: Encoder,
    /// By node. A channel of one place: a thread has one flush at a time.
    jobs: Vec<SyncSender<Outbox>>,
    answers: Receiver<Answer>,
    counters: Vec<Counters>,
    handles: Vec<JoinHandle<()>>,
    reply_bytes: usize,
}

/// `blocking-threads`.
pub(in crate::contender) fn start(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    let nodes = setup.nodes.len();
    let encoder = Encoder::new(plan, routes(setup)?, nodes);
    let (answer, answers) = sync_channel(nodes);
    let (mut jobs, mut handles) = (Vec::new(), Vec::new());
    for (node, link) in Link::open_all(setup, plan)?.into_iter().enumerate() {
        let (job, orders) = sync_channel(1);
        let answer = answer.clone();
        let serve = move || serve(node, link, &orders, &answer);
        handles.push(thread::Builder::new().stack_size(256 << 10).spawn(serve).context("no more threads")?);
        jobs.push(job);
    }
    let (counters, reply_bytes) = (vec![Counters::default(); nodes], reply_bytes_max(plan));
    Ok(Box::new(Threads { encoder, jobs, answers, counters, handles, reply_bytes }))
}

fn serve(node: usize, mut link: Link, orders: &Receiver<Outbox>, answer: &SyncSender<Answer>) {
    let mut inbox = vec![0; INBOX_BYTES];
    for mut outbox in orders {
        let errors = link.write(outbox.bytes()).and_then(|()| link.read(outbox.commands, &mut inbox));
        outbox.clear();
        if answer.send(Answer { node, outbox, errors, counters: link.counters }).is_err() {
            return;
        }
    }
}

impl Contender for Threads {
    fn settings(&self) -> Vec<Setting> {
        let threads = format!("1 and one per node: {}", self.handles.len() + 1);
        settings(&threads, "all nodes at once; threads are kept and woken through channels")
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        self.encoder.encode(plan, &plan.flushes[at]);
        for outbox in &self.encoder.outboxes {
            check(outbox.bytes().len(), outbox.commands, self.reply_bytes)?;
        }
        let mut busy = 0;
        for (job, outbox) in self.jobs.iter().zip(&mut self.encoder.outboxes) {
            if outbox.commands > 0 {
                job.send(std::mem::take(outbox)).context("a thread has ended")?;
                busy += 1;
            }
        }
        let mut errors = 0;
        for _ in 0..busy {
            let answer = self.answers.recv().context("all threads have ended")?;
            self.encoder.outboxes[answer.node] = answer.outbox;
            self.counters[answer.node] = answer.counters;
            errors += answer.errors?;
        }
        Ok(errors)
    }

    fn counters(&self) -> Option<Counters> {
        Some(self.counters.iter().fold(Counters::default(), |sum, &more| add(sum, more)))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Without orders they end. One that waits for a server that does not answer is not waited for: the process ends it.
        self.jobs.clear();
        self.handles.clear();
    }
}
