//! Commands of every kind, for keys all over the cluster, against a model of what each must answer.

use std::collections::BTreeMap;

use panpipe::Ticket;
use panpipe::command::cmd;
use panpipe::resp::ReplyRef;
use panpipe::slot::slot_of;

use super::random::Random;
use crate::servers::{Cluster, Server, Version};
use crate::transport;

const COMMANDS: usize = 100_000;
const KEYS: u64 = 3_000;

/// What a command must answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Ok,
    Null,
    Integer(i64),
    Bytes(Vec<u8>),
    List(Vec<Vec<u8>>),
}

fn answer_of(reply: ReplyRef<'_>) -> Answer {
    if reply.is_null() {
        return Answer::Null;
    }
    if reply.frame() == b"+OK\r\n" {
        return Answer::Ok;
    }
    if reply.frame().first() == Some(&b':') {
        return Answer::Integer(reply.as_i64().expect("an integer"));
    }
    match reply.as_bytes() {
        Some(bytes) => Answer::Bytes(bytes.to_vec()),
        None => Answer::List(
            reply.elements().map(|element| element.as_bytes().expect("bytes").to_vec()).collect(),
        ),
    }
}

/// What the cluster must hold by now.
#[derive(Default)]
struct Model {
    strings: BTreeMap<String, Vec<u8>>,
    counters: BTreeMap<String, i64>,
    lists: BTreeMap<String, Vec<Vec<u8>>>,
    hashes: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Model {
    /// Queues one random command and answers what it must bring.
    fn queue(&mut self, random: &mut Random, pipe: &mut panpipe::Pipeline<'_>) -> (Ticket<()>, Answer) {
        let key = random.below(KEYS);
        let size = if random.below(200) == 0 { 40_000 } else { random.below(64) as usize };
        let value = random.bytes(size);
        match random.below(10) {
            0 | 1 => {
                let key = format!("string:{key}");
                let ticket = pipe.call(cmd("SET").key(&key).arg(&value));
                self.strings.insert(key, value);
                (ticket, Answer::Ok)
            }
            2 | 3 => {
                let key = format!("string:{key}");
                let ticket = pipe.call(cmd("GET").key(&key));
                (ticket, self.strings.get(&key).map_or(Answer::Null, |value| Answer::Bytes(value.clone())))
            }
            4 => {
                let key = format!("string:{key}");
                let ticket = pipe.call(cmd("DEL").key(&key));
                (ticket, Answer::Integer(i64::from(self.strings.remove(&key).is_some())))
            }
            5 | 6 => {
                let key = format!("counter:{key}");
                let by = random.below(1_000) as i64 - 500;
                let ticket = pipe.call(cmd("INCRBY").key(&key).arg(by));
                let counter = self.counters.entry(key).or_default();
                *counter += by;
                (ticket, Answer::Integer(*counter))
            }
            7 => {
                let key = format!("list:{}", key % 300);
                let ticket = pipe.call(cmd("RPUSH").key(&key).arg(&value));
                let list = self.lists.entry(key).or_default();
                list.push(value);
                (ticket, Answer::Integer(list.len() as i64))
            }
            8 => {
                let key = format!("list:{}", key % 300);
                let ticket = pipe.call(cmd("LRANGE").key(&key).arg(-3).arg(-1));
                let list = self.lists.get(&key).map_or(&[][..], Vec::as_slice);
                (ticket, Answer::List(list[list.len().saturating_sub(3)..].to_vec()))
            }
            _ => {
                let key = format!("hash:{}", key % 500);
                let field = format!("f{}", random.below(10));
                let ticket = pipe.call(cmd("HSET").key(&key).arg(&field).arg(&value));
                let new = self.hashes.entry(key).or_default().insert(field, value).is_none();
                (ticket, Answer::Integer(i64::from(new)))
            }
        }
    }
}

pub(crate) fn a_hundred_thousand_mixed_commands_get_their_own_replies(version: Version) {
    let cluster = Cluster::start(version, 3, 0);
    let mut client = transport::connect(&cluster.url()).expect("connect");
    let mut random = Random::from_environment();
    let mut model = Model::default();
    let mut done = 0;
    let mut pipe = client.pipeline();
    while done < COMMANDS {
        let batch = 1 + random.below(5_000) as usize;
        let expected: Vec<(Ticket<()>, Answer)> =
            (0..batch).map(|_| model.queue(&mut random, &mut pipe)).collect();
        let replies = pipe.flush().expect("flush");
        assert_eq!(replies.len(), batch);
        for (n, (reply, (ticket, expected))) in replies.iter().zip(expected).enumerate() {
            let by_order = reply.unwrap_or_else(|error| panic!("command {n} of {batch}: {error}"));
            assert_eq!(answer_of(by_order), expected, "command {n} of {batch}");
            let by_ticket = replies.reply(ticket).expect("the same reply");
            assert_eq!(by_ticket.frame(), by_order.frame(), "ticket {n} of {batch}");
        }
        done += batch;
    }
    drop(pipe);
    let stats = client.stats();
    assert_eq!((stats.in_flight, stats.queued_bytes), (0, 0), "nothing is left over");
    assert_eq!(stats.total.desyncs, 0);
}

pub(crate) fn slots_agree_with_the_server(version: Version) {
    let server = Server::start(version, &["--cluster-enabled", "yes"]);
    let mut connection = server.connect().expect("connect");
    let mut random = Random::from_environment();
    for _ in 0..2_000 {
        let len = random.below(40) as usize;
        let mut key = random.bytes(len);
        // Braces are rare among random bytes: put some in.
        for byte in &mut key {
            match random.below(8) {
                0 => *byte = b'{',
                1 => *byte = b'}',
                _ => {}
            }
        }
        let slot = connection.call(&[b"CLUSTER".as_slice(), b"KEYSLOT", &key]).expect("KEYSLOT").integer();
        assert_eq!(Some(i64::from(slot_of(&key))), slot, "{}", key.escape_ascii());
    }
}
