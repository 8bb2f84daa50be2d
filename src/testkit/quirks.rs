//! What a node does instead of its duty when a certain command comes: it says something else, says too little or too much, hangs up.
//!
//! Real servers do such things rarely and proxies more often; a test makes them happen at a known command. Knows only which words a
//! command begins with and what is done then. Invariant: a node without quirks behaves as if this module did not exist.

use super::cluster::ModelCluster;
use super::dispatch::Exec;
use super::node::Refusals;
use super::reply::Reply;
use super::session::Life;

/// What happens to a command that a node has a [`ModelCluster::quirk`] for.
#[derive(Debug, Clone)]
pub enum Quirk {
    /// The command does not run; these bytes are its reply. None at all is a reply that never comes.
    Say(Vec<u8>),
    /// The command runs and its reply is left out.
    Mute,
    /// The command runs; these bytes stand in front of its reply.
    Before(Vec<u8>),
    /// The command runs; these bytes stand behind its reply.
    Behind(Vec<u8>),
    /// The command runs; this many bytes of its reply are said, and the connection ends.
    Cut(usize),
    /// The connection ends and the command does not run.
    HangUp,
    /// The node refuses so from now on; the command is the first to meet that.
    Refuse(Refusals),
    /// This happens to the cluster, then the command is looked at as always.
    First(fn(&mut ModelCluster)),
}

/// A quirk with the command it waits for.
#[derive(Debug)]
pub(crate) struct Planned {
    /// How the command begins.
    words: Vec<Vec<u8>>,
    times_left: usize,
    quirk: Quirk,
}

impl Planned {
    fn fits(&self, words: &[&[u8]]) -> bool {
        let same = |(own, word): (&Vec<u8>, &&[u8])| own.eq_ignore_ascii_case(word);
        words.len() >= self.words.len() && self.words.iter().zip(words).all(same)
    }
}

impl ModelCluster {
    /// The next `times` commands that begin with these words (`"CLUSTER SLOTS"`, `"GET k"`) meet this on a node. Where several fit, the one
    /// planned first is spent first.
    pub fn quirk(&mut self, node: usize, command: &str, times: usize, quirk: Quirk) {
        let words = command.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        self.nodes[node].quirks.push(Planned { words, times_left: times, quirk });
    }

    /// Takes all quirks of a node back.
    pub fn clear_quirks(&mut self, node: usize) {
        self.nodes[node].quirks.clear();
    }

    /// The node hangs up on the next connection that has sent so many bytes of a command without its end.
    pub fn hang_up_within_command(&mut self, node: usize, bytes: usize) {
        self.nodes[node].hangs_up_at = Some(bytes);
    }

    fn take_quirk(&mut self, node: usize, words: &[&[u8]]) -> Option<Quirk> {
        let quirks = &mut self.nodes[node].quirks;
        let at = quirks.iter().position(|planned| planned.fits(words))?;
        let planned = quirks.get_mut(at)?;
        planned.times_left = planned.times_left.saturating_sub(1);
        if planned.times_left == 0 { Some(quirks.remove(at).quirk) } else { Some(planned.quirk.clone()) }
    }
}

impl Exec<'_> {
    /// Takes one request to its reply, or to what a quirk makes of it.
    pub(crate) fn answer(&mut self, words: &[&[u8]], reply: &mut Reply<'_>) {
        let node = self.session.node;
        if self.cluster.nodes[node].quirks.is_empty() {
            return self.process(words, reply);
        }
        let Some(quirk) = self.cluster.take_quirk(node, words) else { return self.process(words, reply) };
        let start = reply.len();
        match quirk {
            Quirk::Say(bytes) => {
                self.node().commands_processed += 1;
                reply.raw(&bytes);
            }
            Quirk::Mute => {
                self.process(words, reply);
                reply.truncate(start);
            }
            Quirk::Before(bytes) => {
                reply.raw(&bytes);
                self.process(words, reply);
            }
            Quirk::Behind(bytes) => {
                self.process(words, reply);
                reply.raw(&bytes);
            }
            Quirk::Cut(length) => {
                self.process(words, reply);
                reply.truncate(start + length);
                self.session.life = Life::Closing;
            }
            Quirk::HangUp => self.session.life = Life::Closing,
            Quirk::Refuse(refusals) => {
                self.node().refusals = refusals;
                self.process(words, reply);
            }
            Quirk::First(change) => {
                change(self.cluster);
                self.process(words, reply);
            }
        }
    }
}
