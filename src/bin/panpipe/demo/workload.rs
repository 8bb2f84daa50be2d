//! The work: every record written and read back in batches, every value compared.

use std::time::Instant;

use panpipe::config::Transport;
use panpipe::prelude::*;

use super::measure::{Flush, Measured, Syscalls};
use super::{Cleaned, Options};
use crate::failure::Failure;
use crate::output::{excerpt, plural};
use crate::progress::Progress;
use crate::records::{Record, Records};

/// Keys of somebody's cluster go away by themselves if we do not come to delete them.
const EXPIRE_S: u64 = 3600;

/// A batch ends early when it has so many bytes, whatever its commands.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Failures told one by one.
const FAILURES_TOLD_MAX: usize = 3;

pub(crate) struct Workload<'a> {
    client: Client,
    records: &'a Records,
    batches: Vec<&'a [Record]>,
    expire: bool,
    /// Values that came back as they were written.
    pub(crate) checked: u64,
}

impl<'a> Workload<'a> {
    pub(crate) fn new(client: Client, records: &'a Records, options: &Options) -> Self {
        let expire = options.url.is_some() && !options.keep;
        Workload { client, records, batches: cut(records, options.batch), expire, checked: 0 }
    }

    pub(crate) fn records(&self) -> &'a Records {
        self.records
    }

    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// What moves its bytes.
    pub(crate) fn transport(&self) -> Transport {
        self.client.transport().kind()
    }

    pub(crate) fn primaries(&self) -> usize {
        self.client.nodes().iter().filter(|node| node.primary).count()
    }

    pub(crate) fn replicas(&self) -> usize {
        self.client.nodes().iter().filter(|node| !node.primary).count()
    }

    /// How many nodes the keys belong to.
    pub(crate) fn nodes_of_keys(&self) -> usize {
        let owners: std::collections::HashSet<_> = self
            .records
            .rows
            .iter()
            .filter_map(|record| self.client.engine().slot_owner(panpipe::slot::slot_of(&record.key)))
            .collect();
        owners.len()
    }

    /// The progress of a first load and so many rounds of both ways.
    pub(crate) fn progress(&self, rounds: usize) -> Progress {
        Progress::new((self.records.rows.len() * 2 * (1 + 2 * rounds)) as u64)
    }

    /// Writes all records, then reads them back and compares.
    pub(crate) fn write_and_read(
        &mut self,
        fanout: Fanout,
        measured: &mut Measured,
        progress: &mut Progress,
        part: &str,
    ) -> Result<(), Failure> {
        for at in 0..self.batches.len() {
            measured.add(self.write(self.batches[at], fanout)?);
            progress.advance(self.batches[at].len() as u64, part);
        }
        for at in 0..self.batches.len() {
            measured.add(self.read(self.batches[at], fanout)?);
            progress.advance(self.batches[at].len() as u64, part);
        }
        Ok(())
    }

    fn write(&mut self, batch: &[Record], fanout: Fanout) -> Result<Flush, Failure> {
        let before = self.client.transport_stats();
        let began = Instant::now();
        let mut pipe = self.client.pipeline();
        pipe.fanout(fanout).with_timeline();
        let mut tickets: Vec<Ticket<()>> = Vec::with_capacity(batch.len());
        for record in batch {
            let value = self.records.value(record);
            tickets.push(if self.expire {
                pipe.setex(&record.key, EXPIRE_S, value)
            } else {
                pipe.set(&record.key, value)
            });
        }
        let flushing = Instant::now();
        let replies = pipe.flush().map_err(|error| Failure::from_library("flush", &error))?;
        let took = flushing.elapsed();
        let timeline = replies.timeline().cloned();
        let mut failures = Failures::default();
        for (record, ticket) in batch.iter().zip(tickets) {
            if let Err(error) = replies.get(ticket) {
                failures.add(|| {
                    let what = format!("{} could not be written", name(record));
                    Failure::from_library(&what, &error)
                });
            }
        }
        failures.finish(batch.len())?;
        drop(pipe);
        let syscalls = Syscalls::between(before, self.client.transport_stats());
        Ok(Flush {
            commands: batch.len(),
            queueing: flushing - began,
            took,
            timeline,
            syscalls,
            reads: false,
        })
    }

    fn read(&mut self, batch: &[Record], fanout: Fanout) -> Result<Flush, Failure> {
        let before = self.client.transport_stats();
        let began = Instant::now();
        let mut pipe = self.client.pipeline();
        pipe.fanout(fanout).with_timeline();
        let tickets: Vec<_> = batch.iter().map(|record| pipe.get(&record.key)).collect();
        let flushing = Instant::now();
        let replies = pipe.flush().map_err(|error| Failure::from_library("flush", &error))?;
        let took = flushing.elapsed();
        let timeline = replies.timeline().cloned();
        let mut failures = Failures::default();
        for (record, ticket) in batch.iter().zip(tickets) {
            let written = self.records.value(record);
            match replies.reply(ticket) {
                Ok(reply) if reply.as_bytes() == Some(written) => self.checked += 1,
                Ok(reply) => failures.add(|| {
                    let came = reply.as_bytes().map_or_else(|| format!("{reply:?}"), excerpt);
                    Failure::check(format!(
                        "{} came back different: written {}, read {came}",
                        name(record),
                        excerpt(written)
                    ))
                    .hint("Does somebody else write keys that begin with panpipe:demo: ?")
                }),
                Err(error) => failures.add(|| {
                    let what = format!("{} could not be read", name(record));
                    Failure::from_library(&what, error)
                }),
            }
        }
        failures.finish(batch.len())?;
        drop(pipe);
        let syscalls = Syscalls::between(before, self.client.transport_stats());
        Ok(Flush { commands: batch.len(), queueing: flushing - began, took, timeline, syscalls, reads: true })
    }

    /// Deletes what was written.
    pub(crate) fn delete_all(&mut self) -> Cleaned {
        let mut deleted = 0;
        let mut problem = None;
        for batch in &self.batches {
            let mut pipe = self.client.pipeline();
            let tickets: Vec<_> = batch.iter().map(|record| pipe.del([&record.key])).collect();
            match pipe.flush() {
                Ok(replies) => {
                    for ticket in tickets {
                        match replies.get(ticket) {
                            Ok(keys) => deleted += keys,
                            Err(error) => _ = problem.get_or_insert_with(|| error.to_string()),
                        }
                    }
                }
                Err(error) => _ = problem.get_or_insert_with(|| error.to_string()),
            }
            // A cluster that is gone is not asked again for every batch.
            if problem.is_some() {
                break;
            }
        }
        Cleaned::Deleted { deleted, problem }
    }
}

/// Cuts the records into batches of so many commands.
fn cut(records: &Records, commands_max: usize) -> Vec<&[Record]> {
    let mut batches = Vec::new();
    let mut rest = records.rows.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(commands_max).take_while(|record| {
            bytes += record.key.len() + records.value(record).len();
            bytes <= BATCH_BYTES_MAX
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

fn name(record: &Record) -> String {
    format!("line {}, key {}", record.line, excerpt(&record.key))
}

/// The failures of one flush; the first few are told.
#[derive(Default)]
struct Failures {
    first: Vec<Failure>,
    count: usize,
}

impl Failures {
    fn add(&mut self, failure: impl FnOnce() -> Failure) {
        self.count += 1;
        if self.first.len() < FAILURES_TOLD_MAX {
            self.first.push(failure());
        }
    }

    fn finish(self, commands: usize) -> Result<(), Failure> {
        let Some(failure) = self.first.into_iter().reduce(Failure::join) else { return Ok(()) };
        match self.count {
            1 => Err(failure),
            count => {
                Err(failure.also(&format!("{count} of {} of this flush failed", plural(commands, "command"))))
            }
        }
    }
}
