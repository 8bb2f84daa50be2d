//! Any bytes as replies that describe a cluster, one view after the other: read or refused, and what is believed is consistent, however the
//! views contradict each other.
//!
//! ```text
//! for each view:   flags   then either bytes as they are (their number as a word before them), or choices of which a reply is built
//!   bits 0-1: CLUSTER SLOTS, SHARDS, NODES, or the bytes given to each decoder    bit 2: bytes as they are    bit 3: as RESP3
//!   bits 4-7: what all said is joined where 12; not merged where 0 to 12, else asked for at this time: merging looks at every slot, and takes longer than all else
//! ```

mod build;

use panpipe::config::{Endpoint, FrameLimits};
use panpipe::resp::{ReplyRef, Scan, Scanner};
use panpipe::topology::{
    Doubt, NODES_MAX, NodeTable, SlotKnowledge, Snapshot, SnapshotError, Testimony, View, join, merge,
    parse_nodes, parse_shards, parse_slots, state_ok, trusted,
};

use crate::input::Input;

const VIEWS_MAX: usize = 4;

/// Takes one input.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let asked = Endpoint::new("seed.example", 7000);
    let mut cluster = Cluster { table: NodeTable::new(), known: None, heard: Vec::new() };
    for _ in 0..VIEWS_MAX {
        if input.is_empty() {
            return;
        }
        let flags = input.byte();
        for snapshot in snapshots(flags, &mut input, &asked) {
            check(&snapshot);
            match flags >> 4 {
                time @ 13.. => cluster.adopt(&snapshot, u64::from(time), input.byte()),
                12 => cluster.judge(snapshot, &mut input),
                _ => drop(cluster.meet(&snapshot)),
            }
        }
    }
}

fn snapshots(flags: u8, input: &mut Input<'_>, asked: &Endpoint) -> Vec<Snapshot> {
    let built;
    let bytes = if flags & 4 != 0 {
        let len = usize::from(input.word());
        input.take(len)
    } else {
        built = build::reply(flags & 3, flags & 8 != 0, input);
        &built[..]
    };
    let nodes = |bytes| believed(parse_nodes(bytes, asked));
    // The engine reads what a scanner has accepted; other bytes must do no harm.
    let scanned = matches!(Scanner::new(FrameLimits::default()).scan(bytes), Ok(Scan::Complete(_)));
    let reply = ReplyRef::new(bytes);
    match flags & 3 {
        0 => believed(parse_slots(reply, asked)).into_iter().collect(),
        1 => believed(parse_shards(reply, asked)).into_iter().collect(),
        2 if scanned => nodes(reply.as_bytes().unwrap_or_default()).into_iter().collect(),
        2 => nodes(bytes).into_iter().collect(),
        _ => [believed(parse_slots(reply, asked)), believed(parse_shards(reply, asked)), nodes(bytes)]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn believed(parsed: Result<Snapshot, SnapshotError>) -> Option<Snapshot> {
    match parsed {
        Ok(snapshot) => Some(snapshot),
        Err(error) => {
            assert!(error.to_string().len() < 200);
            None
        }
    }
}

/// What every decoder promises.
fn check(snapshot: &Snapshot) {
    assert_eq!(snapshot.validate(), Ok(()));
    assert!(snapshot.nodes.len() <= NODES_MAX);
    let holes: u32 = snapshot.holes().iter().map(|&(start, end)| u32::from(end - start) + 1).sum();
    assert_eq!(holes + snapshot.covered(), 16384);
    for node in &snapshot.nodes {
        assert!(!node.id.is_empty() || node.endpoint.is_some(), "a node that nothing names");
        for endpoint in node.endpoint.iter().chain(&node.aliases) {
            assert!(endpoint.port > 0 && !endpoint.host.is_empty() && endpoint.host.len() <= 253);
            assert!(!endpoint.host.contains([' ', '/', '@', '\r', '\n', '\0']));
        }
    }
}

/// Every node is well, and has an id and an address that no other has. (One that is not well does not get the address of one that is, and
/// which that is may be told further down.)
fn is_plain(snapshot: &Snapshot) -> bool {
    let mut endpoints: Vec<_> = snapshot.nodes.iter().map(|node| node.endpoint.as_ref()).collect();
    endpoints.sort_unstable();
    let differ = endpoints.windows(2).all(|pair| pair[0] != pair[1]);
    differ
        && snapshot.nodes.iter().all(|node| node.health_ok && !node.id.is_empty() && node.endpoint.is_some())
}

struct Cluster {
    table: NodeTable,
    /// Made when it is needed: it is large.
    known: Option<SlotKnowledge>,
    heard: Vec<Testimony>,
}

impl Cluster {
    /// The view's nodes become known.
    fn meet(&mut self, snapshot: &Snapshot) -> Vec<Option<u16>> {
        let indices = self.table.resolve_all(snapshot);
        assert_eq!(indices.len(), snapshot.nodes.len());
        for (index, named) in indices.iter().zip(&snapshot.nodes) {
            let Some(index) = *index else { continue };
            let node = self.table.get(index).expect("it has just been resolved");
            assert!(self.table.is_live(index) && node.endpoint().is_some());
            assert!(named.id.is_empty() || self.table.by_id(&named.id) == Some(index), "{named:?}");
        }
        // The same view again means the same nodes, where it does not contradict itself.
        if is_plain(snapshot) {
            assert_eq!(self.table.resolve_all(snapshot), indices);
        }
        let absent = self.table.absent_from(&indices);
        let present = self.table.iter().filter(|(index, _)| indices.contains(&Some(*index))).count();
        assert_eq!(absent.len() + present, self.table.len());
        indices
    }

    /// The view is one of several that are held against each other.
    fn judge(&mut self, view: Snapshot, input: &mut Input<'_>) {
        let info = [&b"cluster_state:ok\r\n"[..], b"cluster_state:fail", b"", input.take(24)];
        self.heard.push(Testimony { state_ok: state_ok(info[input.below(4)]), view });
        let trusted = trusted(&self.heard);
        assert!(trusted.is_sorted() && trusted.iter().all(|&at| at < self.heard.len()));
        let Some(joined) = join(trusted.iter().map(|&at| &self.heard[at].view)) else { return };
        check(&joined);
        let covered = |snapshot: &Snapshot| snapshot.covered();
        assert!(trusted.iter().map(|&at| covered(&self.heard[at].view)).sum::<u32>() >= covered(&joined));
        self.meet(&joined);
    }

    /// The view is merged into what is known: as the word of one node that is doubted, or of several, or neither.
    fn adopt(&mut self, snapshot: &Snapshot, sent_at_ns: u64, how: u8) {
        let indices = self.meet(snapshot);
        let known = self.known.get_or_insert_default();
        let mut view = View::new(snapshot, &indices, sent_at_ns);
        if how & 1 != 0 {
            view = view.confirmed();
        }
        if how & 2 != 0 {
            let rival_ns = (how & 4 != 0).then_some(14);
            view = view.doubted(Doubt {
                source: u16::from(how >> 4),
                fresh_ns: u64::from(how >> 3 & 1),
                rival_ns,
            });
        }
        let mut changes = Vec::new();
        let found = merge(known, &view, &mut changes);
        let written = known.adopt(&view);
        assert_eq!(written, found, "merging and adopting decide the same");
        let changed: usize = changes.iter().map(|change| change.slots().len()).sum();
        assert_eq!((found.changed + found.removed) as usize, changed);
        assert!(changes.windows(2).all(|pair| pair[0].end < pair[1].start), "in order, each slot once");
        for change in &changes {
            assert!(change.to != change.from && change.slots().all(|slot| known.owner(slot) == change.to));
            assert!(change.to.is_none_or(|owner| self.table.is_live(owner)));
            if let Some(owner) = change.to.filter(|_| how & 8 != 0) {
                // A MOVED says the same, or something else.
                known.learn(change.start, owner ^ u16::from(how >> 7), u16::from(how >> 4), sent_at_ns);
                return;
            }
        }
        let again = known.adopt(&view);
        assert_eq!((again.changed, again.removed), (0, 0), "the same view changes nothing");
        for index in self.table.absent_from(&indices) {
            if known.owners().count_owned(index) == 0 {
                assert!(self.table.remove(index) && !self.table.is_live(index));
                assert!(self.table.release(index));
            }
        }
    }
}
