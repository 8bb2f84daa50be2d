//! The load that runs while something breaks: pipelines and the event-driven use in turn, over one client.

use std::thread;
use std::time::{Duration, Instant};

use panpipe::engine::Event;
use panpipe::{Client, Error, ErrorKind};

use super::book::Book;

/// How long the last results may take; longer than any deadline of a command.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Load {
    pub(crate) client: Client,
    pub(crate) book: Book,
    /// Commands of a round.
    pub(crate) batch: usize,
    /// Event-driven commands that may be under way.
    pub(crate) window: usize,
    /// Between two rounds, for the others on this machine.
    pub(crate) pause: Duration,
    /// Pipelines wait for the slowest node; without them the load goes on elsewhere.
    pub(crate) pipelines: bool,
    /// Events that say that something is wrong.
    pub(crate) alarms: Vec<Event>,
    open: usize,
}

impl Load {
    pub(crate) fn new(client: Client, book: Book) -> Load {
        let (batch, window) = (300, 1_000);
        let (pause, alarms) = (Duration::from_millis(1), Vec::new());
        Load { client, book, batch, window, pause, pipelines: true, alarms, open: 0 }
    }

    /// Runs until `work`, on a thread of its own, is done or has failed.
    pub(crate) fn during<R: Send>(&mut self, work: impl FnOnce() -> R + Send) -> R {
        let result = thread::scope(|scope| {
            let worker = scope.spawn(work);
            while !worker.is_finished() {
                self.round();
            }
            worker.join()
        });
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub(crate) fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.round();
        }
    }

    pub(crate) fn round(&mut self) {
        if self.pipelines && self.book.chance(2) {
            self.pipeline();
        } else {
            self.events();
        }
        self.take_alarms();
        thread::sleep(self.pause);
    }

    fn pipeline(&mut self) {
        let Load { client, book, .. } = self;
        let mut pipe = client.pipeline();
        book.look_at_clock();
        let mut first = None;
        for _ in 0..self.batch {
            let (number, command) = book.next();
            first.get_or_insert(number);
            pipe.call::<()>(command);
        }
        let replies = pipe.flush().expect("the system lets the client wait");
        book.look_at_clock();
        for (number, result) in (first.unwrap_or_default()..).zip(replies.iter()) {
            book.finish(number, result);
        }
    }

    fn events(&mut self) {
        let mut left = self.batch;
        self.book.look_at_clock();
        while left > 0 && self.open < self.window {
            let (number, command) = self.book.next();
            match self.client.submit(command, number) {
                Ok(_) => self.open += 1,
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => {
                    self.book.take_back(number);
                    break;
                }
                Err(error) => self.book.finish(number, Err(&error)),
            }
            left -= 1;
        }
        self.client.wait(Some(Duration::from_millis(5))).expect("the system lets the client wait");
        self.collect();
    }

    pub(crate) fn take_alarms(&mut self) {
        while let Some(event) = self.client.next_event() {
            if matches!(event, Event::Desync { .. } | Event::FenceRefused { .. }) {
                self.alarms.push(event);
            }
        }
    }

    /// Takes what is there.
    pub(crate) fn collect(&mut self) {
        self.book.look_at_clock();
        while let Some(done) = self.client.next_completion() {
            self.open -= 1;
            let result = done.result.as_ref().map(|reply| *reply);
            self.book.finish(done.user_data, result);
        }
    }

    /// Waits until everything has a result.
    pub(crate) fn settle(&mut self) {
        self.settle_where(|_| ());
    }

    /// Like `settle`, with a look at the client after every turn.
    pub(crate) fn settle_where(&mut self, mut look: impl FnMut(&mut Client)) {
        let began = Instant::now();
        while self.open > 0 {
            self.client.wait(Some(Duration::from_millis(20))).expect("the system lets the client wait");
            self.collect();
            look(&mut self.client);
            if began.elapsed() > PATIENCE {
                let open = self.open;
                self.book.tally.violation(format!("{open} commands without result after {PATIENCE:?}"));
                self.open = 0;
            }
        }
    }

    /// One command of the test itself, tried until it runs.
    pub(crate) fn eventually<R: panpipe::resp::FromReply>(
        &mut self,
        command: impl Fn() -> panpipe::command::Cmd,
        patience: Duration,
    ) -> Result<R, Error> {
        let began = Instant::now();
        loop {
            match self.client.call::<R>(command()) {
                Err(_) if began.elapsed() < patience => thread::sleep(Duration::from_millis(20)),
                result => return result,
            }
        }
    }
}
