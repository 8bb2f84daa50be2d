//! One command's way through a node, in the order of the server's `processCommand`.
//!
//! Unknown command or arity → NOAUTH → redirect → OOM → MISCONF → NOREPLICAS → READONLY → MASTERDOWN → LOADING →
//! BUSY → queue or execute. Whatever answers before "execute" proves that the command did not run.
//! Permissions (NOPERM) are not part of the model.

use smallvec::SmallVec;

use super::cluster::ModelCluster;
use super::keyspace::Keyspace;
use super::node::ModelNode;
use super::redirect;
use super::reply::{CommandError, Done, Reply};
use super::session::{Life, QueuedCommand, Session};
use super::table::{self, Command, Flags, Handler};

/// What a handler may touch: the cluster (its own node first of all), the session, the time.
#[derive(Debug)]
pub(crate) struct Exec<'a> {
    pub(crate) cluster: &'a mut ModelCluster,
    pub(crate) session: &'a mut Session,
    pub(crate) now_ms: u64,
}

const NOAUTH: CommandError = CommandError::new("NOAUTH Authentication required.");
const OOM: CommandError = CommandError::new("OOM command not allowed when used memory > 'maxmemory'.");
const MISCONF: CommandError = CommandError::new(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands \
     that may modify the data set are disabled, because this instance is configured to report errors during \
     writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
     details about the RDB error.",
);
const NOREPLICAS: CommandError = CommandError::new("NOREPLICAS Not enough good replicas to write.");
const READONLY: CommandError = CommandError::new("READONLY You can't write against a read only replica.");
const MASTERDOWN: CommandError =
    CommandError::new("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
const LOADING: CommandError = CommandError::new("LOADING Redis is loading the dataset in memory");
const BUSY: CommandError = CommandError::new(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);

impl Exec<'_> {
    /// The node that executes.
    pub(crate) fn node(&mut self) -> &mut ModelNode {
        &mut self.cluster.nodes[self.session.node]
    }

    /// Whether that node is a replica, as far as it knows.
    pub(crate) fn is_replica(&self) -> bool {
        self.cluster.nodes[self.session.node].view.primary_of(self.session.node).is_some()
    }

    /// The keys of that node, at this moment.
    pub(crate) fn keyspace(&mut self) -> &mut Keyspace {
        let now_ms = self.now_ms;
        let keyspace = &mut self.node().keyspace;
        keyspace.set_time(now_ms);
        keyspace
    }

    /// Takes one request to its reply.
    pub(crate) fn process(&mut self, words: &[&[u8]], reply: &mut Reply<'_>) {
        self.node().commands_processed += 1;
        if words[0].eq_ignore_ascii_case(b"quit") {
            self.session.life = Life::Closing;
            return reply.ok();
        }
        let start = reply.len();
        let is_asking = match self.find(words) {
            Ok(command) => {
                match self.admit(command, words) {
                    Ok(()) => self.queue_or_execute(command, words, reply),
                    Err(refusal) => self.refuse(words[0], refusal, reply),
                }
                command.name == "asking"
            }
            Err(refusal) => {
                self.refuse(words[0], refusal, reply);
                false
            }
        };
        self.omit_asking_reply(is_asking, start, reply);
        self.omit_reply(words, start, reply);
        // One-shot, but for a transaction: one ASKING in front of MULTI covers it all.
        if self.session.transaction.is_none() && !is_asking {
            self.session.asking = false;
        }
    }

    /// A fault: the reply to a command with keys is swallowed.
    fn omit_reply(&mut self, words: &[&[u8]], start: usize, reply: &mut Reply<'_>) {
        if self.session.omits > 0 && self.find(words).is_ok_and(|command| command.keys.first != 0) {
            self.session.omits -= 1;
            reply.truncate(start);
        }
    }

    /// A fault: the reply to ASKING is held back, and given only where the next reply could not be told from it.
    fn omit_asking_reply(&mut self, is_asking: bool, start: usize, reply: &mut Reply<'_>) {
        if is_asking && self.node().omits_asking_reply {
            reply.truncate(start);
            self.session.owes_asking_reply = true;
        } else if std::mem::take(&mut self.session.owes_asking_reply) {
            let answer = reply.since(start).to_vec();
            if answer.starts_with(b"-") || answer == b"+OK\r\n" {
                reply.truncate(start);
                reply.ok();
                reply.raw(&answer);
            }
        }
    }

    fn find(&self, words: &[&[u8]]) -> Result<&'static Command, CommandError> {
        let hello_is_known = self.cluster.config().hello != super::HelloSupport::Unknown;
        let known = |command: &&Command| hello_is_known || command.name != "hello";
        let Some(mut command) = table::find(words[0]).filter(known) else {
            return Err(unknown_command(words));
        };
        if let (Handler::Container(_), Some(word)) = (command.handler, words.get(1)) {
            command = command.subcommand(word).ok_or_else(|| unknown_subcommand(words[0], word))?;
        }
        if !command.accepts(words.len()) {
            return Err(format!("ERR wrong number of arguments for '{}' command", command.name).into());
        }
        Ok(command)
    }

    /// Every reason not to run a command now, in the server's order.
    fn admit(&mut self, command: &'static Command, words: &[&[u8]]) -> Done {
        if !self.session.is_authenticated && !command.flags.has(Flags::NO_AUTH) {
            return Err(NOAUTH);
        }
        if let Err(refusal) = self.route(command, words) {
            // The server forgets the transaction at a redirected EXEC, and breaks it at any other command.
            if command.name == "exec" {
                super::transaction::forget(self);
            }
            return Err(refusal);
        }
        let flags = Combined::of(command, self.session);
        let node = &self.cluster.nodes[self.session.node];
        let refusals = &node.refusals;
        let is_replica = node.view.primary_of(self.session.node).is_some();
        let refused = |condition: bool, error: CommandError| if condition { Err(error) } else { Ok(()) };
        // What is queued takes memory as well.
        let is_queued = self.session.transaction.is_some() && !command.flags.has(Flags::NOT_QUEUED);
        refused(refusals.out_of_memory && (is_queued || flags.any.has(Flags::DENY_OOM)), OOM)?;
        refused(refusals.misconfigured && flags.any.has(Flags::WRITE) && !is_replica, MISCONF)?;
        refused(refusals.no_replicas && flags.any.has(Flags::WRITE) && !is_replica, NOREPLICAS)?;
        refused(is_replica && flags.any.has(Flags::WRITE), READONLY)?;
        let is_keyed = |command: &Command| command.keys.first != 0;
        let has_keys = match &self.session.transaction {
            Some(transaction) if command.name == "exec" => {
                transaction.queue.iter().any(|queued| is_keyed(queued.command))
            }
            _ => is_keyed(command),
        };
        if let (Some(text), true) = (refusals.keyed, has_keys) {
            return Err(CommandError::new(text));
        }
        refused(refusals.primary_link_down && is_replica && !flags.all.has(Flags::STALE), MASTERDOWN)?;
        refused(refusals.loading && !flags.all.has(Flags::LOADING), LOADING)?;
        refused(refusals.busy && !command.flags.has(Flags::ALLOW_BUSY), BUSY)
    }

    /// Whether this node serves the command's keys; for EXEC, the keys of everything queued.
    fn route(&mut self, command: &'static Command, words: &[&[u8]]) -> Done {
        if !self.cluster.config().cluster_enabled {
            return Ok(());
        }
        let flags = Combined::of(command, self.session).any;
        let keys: SmallVec<[&[u8]; 8]> = match (&self.session.transaction, command.name) {
            (Some(transaction), "exec") => {
                transaction.queue.iter().flat_map(|queued| queued.command.keys_of(&queued.words)).collect()
            }
            _ => command.keys_of(words),
        };
        if keys.is_empty() {
            return Ok(());
        }
        let query = redirect::Query {
            keys: &keys,
            is_write: flags.has(Flags::WRITE),
            is_migrate: command.name == "migrate",
            asking: self.session.asking,
            reads_replica: self.session.reads_replica,
        };
        let (node, now_ms) = (self.session.node, self.now_ms);
        redirect::check(self.cluster, node, &query, now_ms)
    }

    fn refuse(&mut self, name: &[u8], refusal: CommandError, reply: &mut Reply<'_>) {
        let is_exec = name.eq_ignore_ascii_case(b"exec");
        if is_exec {
            super::transaction::forget(self);
        }
        if is_exec && !refusal.is_redirect() {
            let reason = refusal.text();
            let reason = reason.strip_prefix(b"ERR ").unwrap_or(&reason);
            let text = [b"EXECABORT Transaction discarded because of: ".as_slice(), reason].concat();
            return reply.error(&text.into());
        }
        self.session.break_transaction();
        reply.error(&refusal);
    }

    fn queue_or_execute(&mut self, command: &'static Command, words: &[&[u8]], reply: &mut Reply<'_>) {
        match &mut self.session.transaction {
            Some(transaction) if !command.flags.has(Flags::NOT_QUEUED) => {
                // Nothing is kept for a transaction that will not run.
                if !transaction.is_broken && !self.session.watch_is_broken {
                    let words = words.iter().map(|word| word.to_vec()).collect();
                    transaction.queue.push(QueuedCommand { command, words });
                }
                reply.status("QUEUED");
            }
            _ => self.execute(command, words, reply),
        }
    }

    /// Runs a command that nothing refuses any more.
    pub(crate) fn execute(&mut self, command: &'static Command, words: &[&[u8]], reply: &mut Reply<'_>) {
        let start = reply.len();
        let has_watchers = !self.node().watchers.is_empty();
        let changes = self.node().keyspace.changes();
        self.node().keyspace.track_keys(has_watchers);
        let done = match command.handler {
            Handler::Keys(handler) => handler(self.keyspace(), words, reply),
            Handler::Node(handler) => handler(self, words, reply),
            Handler::Container(_) => Ok(()),
        };
        let executed = done.is_ok();
        if let Err(error) = done {
            reply.truncate(start);
            reply.error(&error);
        }
        let tells = matches!(command.handler, Handler::Keys(_)) || command.name == "echo";
        if tells && self.cluster.config().records_executions {
            self.record_execution(words, reply.since(start), command.flags.has(Flags::WRITE));
        }
        if command.flags.has(Flags::WRITE) {
            let changed = self.node().keyspace.changes() != changes;
            self.after_write(command, words, executed, changed);
        }
    }

    fn after_write(&mut self, command: &'static Command, words: &[&[u8]], executed: bool, changed: bool) {
        let node = self.session.node;
        if executed {
            self.cluster.record_write(self.session.id, node, command, words, changed);
        }
        if changed {
            super::transaction::break_watches(self);
            self.cluster.replicate(node, command, words, self.now_ms);
        }
    }
}

/// The flags of a command, and for EXEC those of everything queued.
struct Combined {
    any: Flags,
    all: Flags,
}

impl Combined {
    fn of(command: &Command, session: &Session) -> Self {
        let mut combined = Combined { any: command.flags, all: command.flags };
        if let (Some(transaction), "exec") = (&session.transaction, command.name) {
            for queued in &transaction.queue {
                combined.any = combined.any | queued.command.flags;
                combined.all = combined.all.intersection(queued.command.flags);
            }
        }
        combined
    }
}

/// The server prints at most this much of a word, and of all arguments together.
const QUOTED_BYTES_MAX: usize = 128;

/// A word as C prints it: up to the first NUL.
fn quotable(word: &[u8], bytes_max: usize) -> &[u8] {
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    &word[..end.min(bytes_max)]
}

fn unknown_command(words: &[&[u8]]) -> CommandError {
    let mut arguments = Vec::new();
    for word in &words[1..] {
        if arguments.len() >= QUOTED_BYTES_MAX {
            break;
        }
        let part = quotable(word, QUOTED_BYTES_MAX - arguments.len());
        arguments.extend([b"'".as_slice(), part, b"' "].concat());
    }
    let name = quotable(words[0], QUOTED_BYTES_MAX);
    [b"ERR unknown command '".as_slice(), name, b"', with args beginning with: ", &arguments].concat().into()
}

fn unknown_subcommand(name: &[u8], word: &[u8]) -> CommandError {
    let (name, word) = (name.to_ascii_uppercase(), quotable(word, QUOTED_BYTES_MAX));
    [b"ERR unknown subcommand '".as_slice(), word, b"'. Try ", &name, b" HELP."].concat().into()
}
