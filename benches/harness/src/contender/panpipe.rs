//! panpipe itself: a pipeline per flush, a typed call where the flush has one command, the event-driven use for streams.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use panpipe::command::{Arg, Commands as _, Keys, Request};
use panpipe::config::Transport;
use panpipe::resp::from_reply::FromReply;
use panpipe::resp::reply::{ReplyKind, ReplyRef};
use panpipe::{Client, Config, ErrorKind, FlushPolicy, Ticket};

use super::{Contender, Counters, Done, Flush, Setting, Setup};
use crate::measure::Latencies;
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// A service is configured with a few addresses, not with all.
const SEEDS_MAX: usize = 3;

/// `panpipe`.
pub(crate) fn over_mio(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    start(setup, Transport::Mio)
}

/// `panpipe-uring`. Where the system refuses io_uring it fails with the reason; it is never something else under that name.
#[cfg(target_os = "linux")]
pub(crate) fn over_uring(setup: &Setup, _plan: &Plan) -> Result<Box<dyn Contender>> {
    start(setup, Transport::Uring)
}

/// The transport of the contender of this name.
///
/// # Errors
/// Where it is not this library.
pub(crate) fn transport_of(contender: &str) -> Result<Transport> {
    match contender {
        "panpipe" => Ok(Transport::Mio),
        "panpipe-uring" => Ok(Transport::Uring),
        other => bail!("panpipe and panpipe-uring can be looked into like this, {other} cannot"),
    }
}

/// How the library connects to a target; all of its nodes are seeds.
pub(crate) fn configuration(setup: &Setup) -> Config {
    let seeds =
        setup.nodes.iter().map(|node| panpipe::config::Endpoint::new(node.ip().to_string(), node.port()));
    let mut config = Config::from_seeds(seeds);
    if let Some((user, password)) = &setup.credentials {
        config.username.clone_from(user);
        config.password = Some(panpipe::config::Secret::new(password.clone()));
    }
    config
}

fn start(setup: &Setup, transport: Transport) -> Result<Box<dyn Contender>> {
    if !setup.cluster {
        bail!("panpipe is a client of clusters");
    }
    let mut config = configuration(setup);
    config.seeds.truncate(SEEDS_MAX);
    config.spin_us = setup.spin_us;
    config.flush_policy = policy(setup.flush_policy);
    config.transport = transport;
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

/// The kind of a reply that was looked at where it lies.
struct Seen(ReplyKind);

impl FromReply for Seen {
    const EXPECTED: &'static str = "any reply";

    fn from_reply(reply: ReplyRef<'_>) -> panpipe::Result<Self> {
        Ok(Seen(reply.kind()))
    }
}

/// Whether the reply is none of those that the command may have: 1, or 0.
fn wrong(verb: Verb, reply: panpipe::Result<Seen>) -> u64 {
    let right = match (verb, reply) {
        (_, Err(_)) => false,
        (Verb::Set, Ok(Seen(kind))) => kind == ReplyKind::Status,
        (Verb::Get, Ok(Seen(kind))) => matches!(kind, ReplyKind::Bulk | ReplyKind::Null),
        (Verb::IncrBy | Verb::Expire, Ok(Seen(kind))) => kind == ReplyKind::Integer,
    };
    u64::from(!right)
}

const VERBS: [Verb; 4] = [Verb::Set, Verb::Get, Verb::IncrBy, Verb::Expire];

/// What comes back with a result: whose it is, and to which command.
fn tag(lane: usize, verb: Verb) -> u64 {
    (lane * VERBS.len() + verb as usize) as u64
}

fn tagged(tag: u64) -> (usize, Verb) {
    let tag = tag as usize;
    (tag / VERBS.len(), VERBS[tag % VERBS.len()])
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
        let transport = match self.client.transport().kind() {
            Transport::Uring => "uring: requests through io_uring",
            _ => "mio: nonblocking sockets, epoll",
        };
        vec![
            ("version".into(), env!("VERSION_OF_PANPIPE").into()),
            ("threads".into(), "1".into()),
            ("connections per node".into(), "1".into()),
            ("transport".into(), transport.into()),
            ("spin".into(), format!("{} us", self.spin_us)),
            ("streams".into(), "event-driven; refilled when half of the window is free".into()),
            ("flush policy of streams".into(), format!("{:?}", self.policy)),
        ]
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        let ops = &plan.flushes[at];
        if let [op] = ops.as_slice() {
            return Ok(wrong(op.verb, with_request(plan, *op, |request| self.client.request(request))));
        }
        let mut pipeline = self.client.pipeline();
        self.tickets.clear();
        for &op in ops {
            self.tickets.push(with_request(plan, op, |request| pipeline.request(request)));
        }
        let replies = pipeline.flush()?;
        Ok(ops.iter().zip(&self.tickets).map(|(op, ticket)| wrong(op.verb, replies.get(*ticket))).sum())
    }

    fn stream(&mut self, plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let mut ops = plan.flushes.iter().flatten().cycle();
        let (mut done, mut submitted) = (Done::default(), 0);
        while done.commands < commands {
            // Half a window at a time: commands that leave together cost less than commands that leave as soon as they may.
            let room = submitted - done.commands <= window as u64 / 2;
            while room && submitted < commands && submitted - done.commands < window as u64 {
                let Some(&op) = ops.next() else { bail!("the plan is empty") };
                match with_request(plan, op, |request| self.client.submit(request, tag(0, op.verb))) {
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
                let (_, verb) = tagged(completion.user_data);
                done.errors += wrong(verb, completion.result.and_then(Seen::from_reply));
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
                    with_request(plan, op, |request| self.client.submit(request, tag(lane, op.verb)))?;
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
                let (lane, verb) = tagged(completion.user_data);
                done.commands += 1;
                done.errors += wrong(verb, completion.result.and_then(Seen::from_reply));
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
        // Over io_uring writes and reads are requests; the enters that carry them are the system calls.
        let [writes, reads, waits] = match calls.enters {
            0 => [calls.writes, calls.reads, calls.waits],
            enters => [0, 0, enters],
        };
        Some(Counters {
            writes,
            reads,
            waits,
            sleeps: Some(calls.sleeps),
            bytes_written: stats.total.bytes_sent,
            bytes_read: stats.total.bytes_received,
            redirects: stats.total.moved + stats.total.asks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_the_lane_and_the_command() {
        for verb in VERBS {
            assert_eq!(tagged(tag(199, verb)), (199, verb));
        }
    }

    #[test]
    fn a_reply_of_another_kind_is_wrong() {
        assert_eq!(wrong(Verb::Get, Ok(Seen(ReplyKind::Null))), 0);
        assert_eq!(wrong(Verb::Get, Ok(Seen(ReplyKind::Status))), 1);
        assert_eq!(wrong(Verb::Set, Ok(Seen(ReplyKind::Integer))), 1);
        assert_eq!(wrong(Verb::Expire, Err(panpipe::Error::config("x"))), 1);
    }
}
