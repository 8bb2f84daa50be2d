//! What the callers do: submit commands of every kind, flush or not, wait, lose patience.

use panpipe::config::RetryUnknown;
use panpipe::engine::{BatchId, Engine, Timestamp};
use panpipe::error::{Error, ErrorKind};
use panpipe::{Endpoint, Outcome};
use smallvec::SmallVec;

use crate::coverage::Event;
use crate::ops::{Fate, KEYS_PER_SLOT, Key, Kind, NUMBERS_MAX, Op, Waits, Why, is_value_of};
use crate::options::Theme;
use crate::world::World;
use panpipe::resp::ReplyRef;

/// Results may be this late: deadlines are rounded up, and looked at together.
const TICK_MS: u64 = 10;

/// A pipeline under way.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    pub(crate) id: BatchId,
    pub(crate) commands: Vec<(u32, u32)>,
    pub(crate) is_flushed: bool,
}

impl World {
    /// The caller does something.
    pub(crate) fn act(&mut self) {
        match self.dice.below(100) {
            0..=4 => self.cancel(),
            5..=6 => self.abandon(),
            _ => {
                let burst = self.dice.between(1, self.options.burst_max);
                for _ in 0..burst {
                    if (self.ops.len() as u32) < self.options.commands {
                        self.submit_any();
                    }
                }
            }
        }
        if self.dice.per_mille(self.options.flushes_per_mille) {
            self.flush();
        }
    }

    fn any_key(&mut self, strings_only: bool) -> Key {
        let slot = self.dice.below(self.slots.len() as u64) as usize;
        let place = if strings_only {
            self.dice.between(1, KEYS_PER_SLOT as u64 - 1)
        } else {
            self.dice.below(KEYS_PER_SLOT as u64)
        };
        Key { slot, place: place as usize }
    }

    fn any_kind(&mut self, is_list: bool) -> Kind {
        if self.dice.per_mille(self.options.multi_key_per_mille) {
            let kinds = [Kind::MultiSet, Kind::MultiRead, Kind::SplitSet, Kind::SplitRead];
            return *self.dice.pick(&kinds).unwrap_or(&Kind::MultiSet);
        }
        if self.dice.per_mille(self.options.units_per_mille) {
            return Kind::Unit;
        }
        match self.dice.below(40) {
            0 => Kind::Echo,
            1 => Kind::PinnedEcho,
            // Its redirect, taken for another command's, would be followed: a client acts upon those at once.
            2 if self.options.theme != Theme::Integrity => Kind::PinnedRead,
            3 => Kind::EveryEcho,
            4 => Kind::WrongType,
            5 => Kind::Unheard,
            6..=20 if is_list => Kind::Push,
            _ if is_list => Kind::ListRead,
            6..=15 => Kind::Append,
            16..=22 => Kind::Set,
            _ => Kind::TextRead,
        }
    }

    fn keys_for(&mut self, kind: Kind, key: Key) -> SmallVec<[Key; 2]> {
        let in_strings = !matches!(kind, Kind::Push | Kind::ListRead);
        let first = if in_strings && key.place == 0 { Key { place: 1, ..key } } else { key };
        let mut keys = SmallVec::new();
        match kind.keys() {
            0 => {}
            1 => keys.push(first),
            _ => {
                let mut second = Key { slot: first.slot, place: 3 - first.place };
                if kind.is_split() {
                    second = self.any_key(true);
                }
                // Both keys of one slot: then it is no split command at all.
                if second == first {
                    second.place = 3 - first.place;
                }
                keys.extend([first, second]);
            }
        }
        keys
    }

    fn submit_any(&mut self) {
        let key = self.any_key(false);
        let kind = self.any_kind(key.place == 0);
        let keys = self.keys_for(kind, key);
        let is_big = self.dice.per_mille(self.options.big_values_per_mille);
        let padding = if is_big { self.dice.between(1 << 10, 40 << 10) as usize } else { 0 };
        let is_batch = self.dice.per_mille(self.options.batches_per_mille);
        let timeout_ms = self.dice.between(20, self.options.timeout_ms_max);
        self.submit(kind, keys, padding, is_batch, timeout_ms);
    }

    pub(crate) fn submit(
        &mut self,
        kind: Kind,
        keys: SmallVec<[Key; 2]>,
        padding: usize,
        is_batch: bool,
        timeout_ms: u64,
    ) -> u32 {
        let number = self.ops.len() as u32;
        assert!(number < NUMBERS_MAX, "too many commands");
        let nodes = self.net.cluster().nodes_len() as u64;
        let node = self.net.cluster().node(self.dice.below(nodes) as usize);
        let policies =
            [RetryUnknown::Never, RetryUnknown::ReadOnly, RetryUnknown::Idempotent, RetryUnknown::Always];
        let has_own = kind != Kind::Unit && self.dice.per_mille(self.options.own_policies_per_mille);
        let op = Op {
            number,
            kind,
            retry_unknown: self.dice.pick(&policies).copied().filter(|_| has_own),
            keys,
            padding,
            node: Some(Endpoint::new(node.host(), node.port())),
            waits: Waits::Stream(None),
            deadline: Timestamp::NEVER,
            fate: Fate::Pending,
            due: Timestamp::NEVER,
            submitted: self.net.now(),
            done: Timestamp::NEVER,
        };
        self.trace(|| format!("submit {number}: {kind:?} {:?} batch {is_batch}", op.keys));
        if kind == Kind::Unit {
            let (frames, slot) = (op.unit(&self.tags), self.slots[op.keys[0].slot]);
            self.ops.push(op);
            self.submit_to_batch(number, |engine, batch, now| {
                engine.submit_transaction(batch, &frames, slot, now)
            });
            self.cover_op(Event::Submitted, number);
            return number;
        }
        let command = op.command(&self.tags);
        self.ops.push(op);
        let request = command.request().expect("a good command");
        if is_batch {
            self.submit_to_batch(number, |engine, batch, now| engine.submit(batch, &request, now));
        } else {
            let now = self.net.now();
            let op = &mut self.ops[number as usize];
            (op.deadline, op.due) = (now.after_ms(timeout_ms), now.after_ms(timeout_ms));
            match self.engine.submit_stream(&request, u64::from(number), timeout_ms, now) {
                Ok(token) => {
                    self.ops[number as usize].waits = Waits::Stream(Some(token));
                    self.tokens.push((number, token));
                }
                Err(error) => self.finish(number, Err(&error)),
            }
        }
        self.cover_op(Event::Submitted, number);
        number
    }

    fn submit_to_batch(&mut self, number: u32, submit: impl FnOnce(&mut Engine, BatchId, Timestamp) -> u32) {
        if self.batches.iter().all(|batch| batch.is_flushed) {
            let id = self.engine.open_batch();
            self.batches.push(OpenBatch { id, commands: Vec::new(), is_flushed: false });
        }
        let Some(batch) = self.batches.iter_mut().find(|batch| !batch.is_flushed) else { return };
        let index = submit(&mut self.engine, batch.id, self.net.now());
        batch.commands.push((number, index));
        self.ops[number as usize].waits = Waits::Batch(batch.id, index);
    }

    pub(crate) fn flush(&mut self) {
        let now = self.net.now();
        let timeout_ms = self.engine.config().command_timeout_ms;
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_flushed) {
            batch.is_flushed = true;
            self.engine.start_deadline(batch.id, now);
            for (number, _) in &batch.commands {
                let op = &mut self.ops[*number as usize];
                (op.deadline, op.due) = (now.after_ms(timeout_ms), now.after_ms(timeout_ms));
            }
        }
        self.engine.flush();
    }

    fn cancel(&mut self) {
        let Some(&(number, token)) = self.dice.pick(&self.tokens) else { return };
        let is_pending = self.ops[number as usize].fate == Fate::Pending;
        self.trace(|| format!("cancel {number}"));
        self.cover_op(Event::Cancelled, number);
        if self.engine.cancel(token) && !is_pending {
            self.problem("completion", format!("{number} had its result and was cancelled"));
        }
    }

    fn abandon(&mut self) {
        let pick = self.dice.below(self.batches.len() as u64) as usize;
        if pick >= self.batches.len() {
            return;
        }
        self.cover(Event::Abandoned);
        let batch = self.batches.remove(pick);
        self.trace(|| format!("abandon {:?}", batch.commands));
        self.engine.abandon(batch.id);
        for (number, _) in batch.commands {
            self.ops[number as usize].fate = Fate::Abandoned;
        }
    }

    pub(crate) fn take_results(&mut self) {
        let mut done = Vec::new();
        while let Some(completion) = self.engine.next_completion() {
            let frame = completion.result.map(|reply| reply.frame().to_vec());
            done.push((completion.user_data as u32, completion.token, frame));
        }
        for (number, token, result) in done {
            self.tokens.retain(|(_, live)| *live != token);
            self.finish(number, result.as_deref());
        }
        for at in (0..self.batches.len()).rev() {
            if self.batches[at].is_flushed && self.engine.is_complete(self.batches[at].id) {
                self.take_batch(at);
            }
        }
    }

    fn take_batch(&mut self, at: usize) {
        let batch = self.batches.remove(at);
        self.engine.join_parts(batch.id);
        for (number, index) in batch.commands {
            let result = self.engine.batch_result(batch.id, index);
            let result = result.map(|result| result.map(|reply| reply.frame().to_vec()));
            match result {
                Some(result) => self.finish(number, result.as_deref()),
                None => self.problem("completion", format!("the batch of {number} is gone")),
            }
        }
        self.engine.abandon(batch.id);
    }

    /// A command has its result.
    fn finish(&mut self, number: u32, result: Result<&[u8], &Error>) {
        let now = self.net.now();
        let op = &mut self.ops[number as usize];
        op.done = now;
        let before = std::mem::replace(&mut op.fate, fate_of(result));
        let (deadline, kind, keys) = (op.deadline, op.kind, op.keys.clone());
        self.trace(|| {
            let text = result.map(|frame| frame.escape_ascii().to_string());
            format!("result {number}: {:.200}", format!("{text:?}"))
        });
        if before != Fate::Pending {
            self.problem("completion", format!("{number} completed twice: {before:?}, {result:?}"));
        }
        let limit = deadline.after_ms(TICK_MS);
        if now > limit {
            let late = now.since(deadline);
            self.problem("deadline", format!("{number} ({kind:?}) is {late:?} late: {result:?}"));
        }
        if let (Ok(frame), Kind::SplitRead) = (result, kind) {
            self.check_values(number, &keys, frame);
        }
    }

    /// Each value that was read consists of what was written to its key.
    fn check_values(&mut self, number: u32, keys: &[Key], frame: &[u8]) {
        let reply = ReplyRef::new(frame);
        let values: Vec<Vec<u8>> =
            reply.elements().map(|element| element.as_bytes().unwrap_or_default().to_vec()).collect();
        let fits = values.len() == keys.len()
            && values.iter().zip(keys).all(|(value, &key)| is_value_of(value, key));
        if !fits {
            self.problem("attribution", format!("{number}: {}", frame.escape_ascii()));
        }
    }
}

fn fate_of(result: Result<&[u8], &Error>) -> Fate {
    match result {
        Ok(frame) => Fate::Done(frame.to_vec()),
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::Overtaken { .. } => Why::Overtaken,
                ErrorKind::ConnectionLost { .. } | ErrorKind::Connect { .. } => Why::Connection,
                _ => Why::Other,
            };
            Fate::Failed { outcome: error.outcome(), why, text: error.to_string() }
        }
    }
}

impl Fate {
    /// Differs where results do, nearly always.
    pub(crate) fn fingerprint(&self) -> u64 {
        let of = |bytes: &[u8]| {
            bytes.iter().fold(bytes.len() as u64, |sum, &byte| sum.rotate_left(7) ^ u64::from(byte))
        };
        match self {
            Fate::Done(frame) => of(frame),
            Fate::Failed { outcome, text, .. } => of(text.as_bytes()) + *outcome as u64,
            Fate::Pending => 1,
            Fate::Abandoned => 2,
        }
    }

    /// Whether the caller knows that it ran.
    pub(crate) fn has_run(&self) -> bool {
        matches!(
            self,
            Fate::Done(_) | Fate::Failed { outcome: Outcome::Executed | Outcome::ExecutedReplyLost, .. }
        )
    }
}
