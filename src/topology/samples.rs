//! Replies for the tests, in the shapes that a Redis 7.0 cluster of three primaries with a replica each sent.

use crate::config::{Endpoint, FrameLimits};
use crate::resp::{ReplyRef, Scan, Scanner};
use crate::topology::{Snapshot, SnapshotNode};

/// Node ids: A to C are primaries, D replicates B, E replicates C, F replicates A.
pub(super) const A: &str = "d0c407fdb8ac571ec33b46c2036c542d36df1db2";
pub(super) const B: &str = "5ead8530660b726d902581e2dc15438dd8c0db1c";
pub(super) const C: &str = "cd9e73d23046717f0bcce190dd04f0c019f99947";
pub(super) const D: &str = "4693885becbe28399f79b261a88e796bcc7f1d2e";
pub(super) const E: &str = "00b15599028a445dff44d29950f5a41cd7428ec8";
pub(super) const F: &str = "97be29a53023f65d4eb163c673daebb8f4a716a9";

/// A small generator (xorshift64*): the same numbers for the same seed, on every machine.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as usize;
        high % bound
    }
}

/// Where the question went.
pub(super) fn asked() -> Endpoint {
    Endpoint::new("seed.example", 31870)
}

/// Replaces `{A}` to `{F}` by the ids.
pub(super) fn with_ids(text: &str) -> String {
    [("{A}", A), ("{B}", B), ("{C}", C), ("{D}", D), ("{E}", E), ("{F}", F)]
        .iter()
        .fold(text.to_owned(), |text, (mark, id)| text.replace(mark, id))
}

/// The bytes of a reply. Words are separated by spaces; `'word` is a bulk string, all else a line of its own.
pub(super) fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in with_ids(text).split_whitespace() {
        match word.strip_prefix('\'') {
            Some(bulk) => bytes.extend(format!("${}\r\n{bulk}\r\n", bulk.len()).bytes()),
            None => bytes.extend(format!("{word}\r\n").bytes()),
        }
    }
    match Scanner::new(FrameLimits::default()).scan(&bytes) {
        Ok(Scan::Complete(frame)) if frame.len == bytes.len() => bytes,
        other => panic!("the sample is no reply: {other:?}"),
    }
}

/// What a parser makes of a reply.
pub(super) fn read<T>(text: &str, parser: fn(ReplyRef<'_>, &Endpoint) -> T) -> T {
    parser(ReplyRef::new(&wire(text)), &asked())
}

/// Ranges with the primary's endpoint, as text.
pub(super) fn ranges(snapshot: &Snapshot) -> Vec<String> {
    snapshot
        .ranges
        .iter()
        .map(|range| {
            let node = &snapshot.nodes[range.primary];
            let place = node.endpoint.as_ref().map_or_else(|| node.id.clone(), Endpoint::to_string);
            format!("{}-{} {place}", range.start, range.end)
        })
        .collect()
}

/// The node with this id.
pub(super) fn node<'a>(snapshot: &'a Snapshot, id: &str) -> &'a SnapshotNode {
    snapshot.nodes.iter().find(|node| node.id == id).expect("no such node")
}

/// The node's other addresses, as text.
pub(super) fn aliases(node: &SnapshotNode) -> Vec<String> {
    node.aliases.iter().map(Endpoint::to_string).collect()
}

pub(super) const SLOTS_RESP2: &str = "
*3 *4 :0 :5460 *4 '127.0.0.1 :31870 '{A} *0 *4 '127.0.0.1 :31875 '{F} *0
   *4 :5461 :10922 *4 '127.0.0.1 :31871 '{B} *0 *4 '127.0.0.1 :31873 '{D} *0
   *4 :10923 :16383 *4 '127.0.0.1 :31872 '{C} *0 *4 '127.0.0.1 :31874 '{E} *0";

/// Host names announced; the IP is preferred.
pub(super) const SLOTS_HOSTNAMES_RESP3: &str = "
*3 *4 :0 :5460 *4 '127.0.0.1 :31870 '{A} %1 'hostname 'h31870.example
               *4 '127.0.0.1 :31875 '{F} %1 'hostname 'h31875.example
   *4 :5461 :10922 *4 '127.0.0.1 :31871 '{B} %1 'hostname 'h31871.example
               *4 '127.0.0.1 :31873 '{D} %1 'hostname 'h31873.example
   *4 :10923 :16383 *4 '127.0.0.1 :31872 '{C} %1 'hostname 'h31872.example
               *4 '127.0.0.1 :31874 '{E} %1 'hostname 'h31874.example";

/// Host names preferred; two replicas have none.
pub(super) const SLOTS_QUESTION_MARK_RESP2: &str = "
*3 *4 :0 :5460 *4 'h31870.example :31870 '{A} *2 'ip '127.0.0.1 *4 'h31875.example :31875 '{F} *2 'ip '127.0.0.1
   *4 :5461 :10922 *4 'h31871.example :31871 '{B} *2 'ip '127.0.0.1 *4 '? :31873 '{D} *2 'ip '127.0.0.1
   *4 :10923 :16383 *4 'h31872.example :31872 '{C} *2 'ip '127.0.0.1 *4 '? :31874 '{E} *2 'ip '127.0.0.1";

/// `cluster-preferred-endpoint-type unknown-endpoint`.
pub(super) const SLOTS_UNKNOWN_ENDPOINT_RESP3: &str = "
*3 *4 :0 :5460 *4 _ :31870 '{A} %2 'ip '127.0.0.1 'hostname 'h31870.example
               *4 _ :31875 '{F} %2 'ip '127.0.0.1 'hostname 'h31875.example
   *4 :5461 :10922 *4 _ :31871 '{B} %2 'ip '127.0.0.1 'hostname 'h31871.example
               *4 _ :31873 '{D} %1 'ip '127.0.0.1
   *4 :10923 :16383 *4 _ :31872 '{C} %2 'ip '127.0.0.1 'hostname 'h31872.example
               *4 _ :31874 '{E} %1 'ip '127.0.0.1";

/// A node alone that does not know its own IP.
pub(super) const SLOTS_LONE_RESP2: &str = "
*2 *3 :0 :100 *4 ' :31876 '{A} *0 *3 :200 :16383 *4 ' :31876 '{A} *0";

pub(super) const SLOTS_IPV6_RESP3: &str = "
*2 *3 :0 :100 *4 '::1 :31876 '{A} %0 *3 :200 :16383 *4 '::1 :31876 '{A} %0";

/// Host names preferred.
pub(super) const SHARDS_HOSTNAMES_RESP2: &str = "
*2 *4 'slots *2 :0 :5460 'nodes *2
     *16 'id '{A} 'port :31870 'ip '127.0.0.1 'endpoint 'h31870.example 'hostname 'h31870.example
         'role 'master 'replication-offset :42 'health 'online
     *16 'id '{F} 'port :31875 'ip '127.0.0.1 'endpoint 'h31875.example 'hostname 'h31875.example
         'role 'replica 'replication-offset :42 'health 'online
   *4 'slots *4 :5461 :10922 :12000 :12000 'nodes *2
     *16 'id '{D} 'port :31873 'ip '127.0.0.1 'endpoint 'h31873.example 'hostname 'h31873.example
         'role 'replica 'replication-offset :42 'health 'loading
     *16 'id '{B} 'port :31871 'ip '127.0.0.1 'endpoint 'h31871.example 'hostname 'h31871.example
         'role 'master 'replication-offset :42 'health 'online";

/// C failed and E took over; unknown endpoints.
pub(super) const SHARDS_FAILED_OVER_RESP3: &str = "
*3 %2 'slots *2 :10923 :16383 'nodes *1
     %7 'id '{E} 'port :31874 'ip '127.0.0.1 'endpoint ' 'role 'master 'replication-offset :112 'health 'online
   %2 'slots *2 :0 :5460 'nodes *1
     %8 'id '{A} 'port :31870 'ip '127.0.0.1 'endpoint ' 'hostname 'h31870.example 'role 'master
        'replication-offset :126 'health 'online
   %2 'slots *0 'nodes *1
     %8 'id '{C} 'port :31872 'ip '127.0.0.1 'endpoint ' 'hostname 'h31872.example 'role 'master
        'replication-offset :112 'health 'fail";

/// A migrates slot 93 to B and imports 6000 from it; A, B, C and F announce host names.
pub(super) const NODES_MIGRATING: &str = "\
{E} 127.0.0.1:31874@41874 slave {C} 0 1795237196584 3 connected
{D} 127.0.0.1:31873@41873 slave {B} 0 1795237197087 2 connected
{A} 127.0.0.1:31870@41870,h31870.example myself,master - 0 1795237197000 1 connected 0-5460 [93->-{B}] [6000-<-{B}]
{B} 127.0.0.1:31871@41871,h31871.example master - 0 1795237197287 2 connected 5461-10922
{C} 127.0.0.1:31872@41872,h31872.example master - 0 1795237197087 3 connected 10923-16383
{F} 127.0.0.1:31875@41875,h31875.example slave {A} 0 1795237197087 1 connected
";

/// C failed and E took over.
pub(super) const NODES_FAILED_OVER: &str = "\
{E} 127.0.0.1:31874@41874 master - 0 1795237212673 7 connected 10923-16383
{A} 127.0.0.1:31870@41870 myself,master - 0 1795237212000 1 connected 0-5460
{B} 127.0.0.1:31871@41871 master - 0 1795237212372 2 connected 5461-10922
{C} 127.0.0.1:31872@41872 master,fail - 1795237200001 1795237199000 3 disconnected
{F} 127.0.0.1:31875@41875 slave,fail? {A} 0 1795237212070 1 connected
";
