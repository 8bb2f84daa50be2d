//! Views of the topology that reached the client, and whether it hears several nodes only where there is a reason.
//!
//! A view is as old as its question. A MOVED that came after that is newer, whatever the view says: nothing is in doubt, and nobody has to
//! be heard about it. Where a client forgets that, every slot that changes hands while a view is on its way costs each of three nodes a
//! CLUSTER NODES; hardest where many slots change hands and many clients ask, in a failover.
//!
//! Knows what the wire has shown. What the client makes of a view of which there is nothing to doubt is seen where its commands go (`monitor`).

use panpipe::engine::Timestamp;
use panpipe::resp::ReplyRef;
use panpipe::slot::SLOT_COUNT;

use crate::options::Theme;
use crate::world::World;

/// So long one node's word is not enough against another's.
const FRESH_MS: u64 = 2_000;

/// Who owns a slot, as a MOVED told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) at: Timestamp,
    pub(crate) slot: u16,
    pub(crate) port: u16,
}

/// An answer to CLUSTER SLOTS.
#[derive(Debug)]
pub(crate) struct Heard {
    /// When the socket took the question: not before the client asked it.
    pub(crate) asked: Timestamp,
    /// The port of the node that answered.
    pub(crate) source: u16,
    pub(crate) frame: Vec<u8>,
}

impl Heard {
    /// The port of each slot's owner, none where the view names nobody.
    fn owners(&self) -> Vec<Option<u16>> {
        let mut owners = vec![None; usize::from(SLOT_COUNT)];
        for range in ReplyRef::new(&self.frame).elements() {
            let mut elements = range.elements();
            let mut slot = || elements.next()?.as_i64().and_then(|number| usize::try_from(number).ok());
            let (Some(first), Some(last)) = (slot(), slot()) else { continue };
            let port = elements.next().and_then(|node| node.elements().nth(1)?.as_i64());
            let port = port.and_then(|port| u16::try_from(port).ok());
            owners.get_mut(first..=last).into_iter().flatten().for_each(|owner| *owner = port);
        }
        owners
    }

    /// Why it may be doubted: it contradicts what was known when it was asked for, or leaves slots out.
    fn is_doubtful(&self, moves: &[Move], before: Option<&Heard>) -> bool {
        let owners = self.owners();
        let contradicts = |told: &Move| {
            told.at < self.asked && owners.get(usize::from(told.slot)) != Some(&Some(told.port))
        };
        let is_rival =
            |before: &&Heard| before.source != self.source && self.asked < before.asked.after_ms(FRESH_MS);
        owners.contains(&None)
            || moves.iter().any(contradicts)
            || before.filter(is_rival).is_some_and(|before| before.owners() != owners)
    }
}

impl World {
    /// Looks at a view that has just reached the client, if one has, and at what came of it.
    pub(crate) fn check_view(&mut self) {
        let Some(view) = self.net.tap_mut().heard.take() else { return };
        let stats = self.engine.stats();
        if std::mem::replace(&mut self.views, stats.refreshes) == stats.refreshes {
            return;
        }
        let arbitrated = stats.refreshes_arbitrated;
        let is_heard_out = std::mem::replace(&mut self.arbitrated, arbitrated) != arbitrated;
        // Where replies are out of step, or an address is not that of the node it was, the wire does not show who is meant.
        let is_plain = !matches!(self.options.theme, Theme::Desync | Theme::Integrity) && !self.has_swapped;
        let before = self.view_before.as_ref();
        if is_heard_out && is_plain && !view.is_doubtful(&self.net.tap().moves, before) {
            let text = format!(
                "several nodes are heard about the view of {}, asked for at {:?}: nothing older contradicts it",
                view.source, view.asked
            );
            self.problem("questions", text);
        }
        self.view_before = Some(view);
    }
}
