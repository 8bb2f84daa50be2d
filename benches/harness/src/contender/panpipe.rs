//! panpipe itself: a pipeline per flush, a typed call where the flush has one command, the event-driven use for streams.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use panpipe::command::{Arg, Commands as _, Keys, Request};
use panpipe::resp::from_reply::FromReply;
use panpipe::resp::reply::{ReplyKind, ReplyRef};
use panpipe::{Client, Config, ErrorKind, FlushPolicy, Ticket};

use super::{Contender, Counters, Done, Flush, Setting, Setup};
use crate::measure::Latencies;
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// A service is configured with a few addresses, not with all.
const SEEDS_MAX: usize = 3;

/// Connects over mio.
pub(crate) fn start(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    if !setup.cluster {
        bail!("panpipe is a client of clusters");
    }
    let seeds = setup
        .nodes
        .iter()
        .take(SEEDS_MAX)
        .map(|node| panpipe::config::Endpoint::new(node.ip().to_string(), node.port()));
    let mut config = Config::from_seeds(seeds);
    config.spin_us = setup.spin_us;
    config.flush_policy = policy(setup.flush_policy);
    if let Some((user, password)) = &setup.credentials {
        config.username.clone_from(user);
        config.password = Some(panpipe::config::Secret::new(password.clone()));
    }
    let client = Client::connect_with(config).context("panpipe cannot connect")?;
    let (spin_us, policy) = (setup.spin_us, setup.flush_policy);
    Ok(Box::new(Panpipe { client, tickets: Vec::new(), spin_us, policy, taken: VecDeque::new() }))
}

fn policy(flush: Flush) -> FlushPolicy {
    match flush {
        Flush::Explicit => FlushPolicy::Explicit,
        Flush::EachCommand => FlushPolicy::EachCommand,
        Flush::EachTurn => FlushPolicy::EachTurn,
        Flush::Threshold { bytes, commands } => FlushPolicy::Threshold { bytes, commands },
    }
}

struct Panpipe {
    client: Client,
    tickets: Vec<Ticket<Seen>>,
    spin_us: u32,
    policy: Flush,
    /// Lanes whose batch is complete, in a stress run.
    taken: VecDeque<usize>,
}

/// A reply that was looked at where it lies: its kind is one that the workload's commands have.
struct Seen;

impl FromReply for Seen {
    const EXPECTED: &'static str = "a status, an integer, a string or null";

    fn from_reply(reply: ReplyRef<'_>) -> panpipe::Result<Self> {
        match reply.kind() {
            ReplyKind::Status | ReplyKind::Integer | ReplyKind::Bulk | ReplyKind::Null => Ok(Seen),
            _ => <()>::from_reply(reply).map(|()| Seen),
        }
    }
}

/// Builds the command as a typed method does, its arguments on the stack, and gives it to `send`.
fn with_request<R>(plan: &Plan, op: Op, send: impl FnOnce(Request<'_>) -> R) -> R {
    let key = Arg::Bytes(plan.key(op));
    match op.verb {
        Verb::Set => send(Request::new("SET", Keys::FIRST, &[key, Arg::Bytes(&plan.value)])),
        Verb::Get => send(Request::new("GET", Keys::FIRST, &[key]).read_only()),
        Verb::IncrBy => send(Request::new("INCRBY", Keys::FIRST, &[key, Arg::Integer(INCREMENT)])),
        Verb::Expire => send(Request::new("EXPIRE", Keys::FIRST, &[key, Arg::Integer(EXPIRE_S)])),
    }
}

impl Contender for Panpipe {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("version".into(), env!("VERSION_OF_PANPIPE").into()),
            ("threads".into(), "1".into()),
            ("connections per node".into(), "1".into()),
            ("transport".into(), "mio".into()),
            ("spin".into(), format!("{} us", self.spin_us)),
            ("streams".into(), "event-driven; refilled when half of the window is free".into()),
            ("flush policy of streams".into(), format!("{:?}", self.policy)),
        ]
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        let ops = &plan.flushes[at];
        if let [op] = ops.as_slice() {
            let seen: Seen = with_request(plan, *op, |request| self.client.request(request))?;
            let Seen = seen;
            return Ok(0);
        }
        let mut pipeline = self.client.pipeline();
        self.tickets.clear();
        for &op in ops {
            self.tickets.push(with_request(plan, op, |request| pipeline.request(request)));
        }
        let replies = pipeline.flush()?;
        Ok(self.tickets.iter().filter(|ticket| replies.get(**ticket).is_err()).count() as u64)
    }

    fn stream(&mut self, plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let mut ops = plan.flushes.iter().flatten().cycle();
        let (mut done, mut submitted) = (Done::default(), 0);
        while done.commands < commands {
            // Half a window at a time: commands that leave together cost less than commands that leave as soon as they may.
            let room = submitted - done.commands <= window as u64 / 2;
            while room && submitted < commands && submitted - done.commands < window as u64 {
                let Some(&op) = ops.next() else { bail!("the plan is empty") };
                match with_request(plan, op, |request| self.client.submit(request, 0)) {
                    Ok(_token) => submitted += 1,
                    Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if room && matches!(self.policy, Flush::Explicit | Flush::Threshold { .. }) {
                self.client.flush();
            }
            self.client.wait(None)?;
            done.flushes += 1;
            while let Some(completion) = self.client.next_completion() {
                done.commands += 1;
                done.errors +=
                    u64::from(!completion.result.is_ok_and(|reply| Seen::from_reply(reply).is_ok()));
            }
        }
        Ok(done)
    }

    fn stress(
        &mut self,
        plan: &Plan,
        lanes: usize,
        time: Duration,
        latencies: &mut Latencies,
    ) -> Result<Option<Done>> {
        let end = super::until(time);
        let mut done = Done::default();
        // Per lane: commands that are not answered yet, and when the batch began.
        let mut state = vec![(0_usize, Instant::now()); lanes];
        self.taken.extend(0..lanes);
        let mut next = 0;
        let mut busy = 0;
        loop {
            let now = Instant::now();
            while now < end
                && let Some(lane) = self.taken.pop_front()
            {
                let ops = &plan.flushes[next % plan.flushes.len()];
                next += 1;
                for &op in ops {
                    with_request(plan, op, |request| self.client.submit(request, lane as u64))?;
                }
                state[lane] = (ops.len(), now);
                busy += 1;
            }
            if busy == 0 {
                self.taken.clear();
                return Ok(Some(done));
            }
            self.client.flush();
            self.client.wait(None)?;
            let now = Instant::now();
            while let Some(completion) = self.client.next_completion() {
                let (lane, answered) = (completion.user_data as usize, completion.result.is_ok());
                done.commands += 1;
                done.errors += u64::from(!answered);
                state[lane].0 -= 1;
                if state[lane].0 == 0 {
                    latencies.record(now - state[lane].1);
                    done.flushes += 1;
                    busy -= 1;
                    self.taken.push_back(lane);
                }
            }
        }
    }

    fn counters(&self) -> Option<Counters> {
        let (calls, stats) = (self.client.transport_stats(), self.client.stats());
        Some(Counters {
            writes: calls.writes,
            reads: calls.reads,
            waits: calls.waits,
            bytes_written: stats.total.bytes_sent,
            bytes_read: stats.total.bytes_received,
            redirects: stats.total.moved + stats.total.asks,
        })
    }
}
