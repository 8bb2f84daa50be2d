//! How a model cluster is laid out and what its servers are able to do.

/// What a server makes of `HELLO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HelloSupport {
    /// RESP2 and RESP3.
    #[default]
    Resp3,
    /// RESP2 only: `HELLO 3` draws NOPROTO.
    Resp2,
    /// An unknown command, as for an old server or a simple proxy.
    Unknown,
}

/// The layout of a [`ModelCluster`](super::ModelCluster). Primaries get the first indexes, the replicas of primary 0
/// come next, then those of primary 1; slots are dealt out evenly in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    /// Nodes that own slots. With `cluster_enabled: false` each is a server of its own.
    pub primaries: usize,
    /// Replicas of each primary.
    pub replicas_per_primary: usize,
    /// The address every node announces.
    pub host: String,
    /// Node `i` announces this port plus `i`.
    pub first_port: u16,
    /// Ports to announce instead, by node index, as far as they go.
    pub ports: Vec<u16>,
    /// The password of the user `default`, if it has one.
    pub password: Option<String>,
    /// Whether the servers run in cluster mode.
    pub cluster_enabled: bool,
    /// What the servers make of `HELLO`.
    pub hello: HelloSupport,
    /// The version they report.
    pub version: String,
    /// Connections one node accepts before it refuses further ones.
    pub clients_max: usize,
    /// Whether slots without an owner take the whole cluster down (`cluster-require-full-coverage`). Off here, on in
    /// the server's own default.
    pub full_coverage_required: bool,
    /// Whether executed writes are kept for [`ModelCluster::writes`](super::ModelCluster::writes). Costs memory
    /// without bound.
    pub records_writes: bool,
    /// Whether everything that runs is kept for [`ModelCluster::executions`](super::ModelCluster::executions), reads and
    /// replies included. Costs memory without bound.
    pub records_executions: bool,
    /// Determines the node ids: clusters with different seeds are strangers to each other.
    pub seed: u64,
}

impl Default for ModelConfig {
    /// Three primaries without replicas on 127.0.0.1, ports from 7000.
    fn default() -> Self {
        ModelConfig {
            primaries: 3,
            replicas_per_primary: 0,
            host: "127.0.0.1".into(),
            first_port: 7000,
            ports: Vec::new(),
            password: None,
            cluster_enabled: true,
            hello: HelloSupport::Resp3,
            version: "7.0.15".into(),
            clients_max: 10_000,
            full_coverage_required: false,
            records_writes: false,
            records_executions: false,
            seed: 1,
        }
    }
}

impl ModelConfig {
    /// The port node `index` announces.
    pub(crate) fn port_of(&self, index: usize) -> u16 {
        self.ports.get(index).copied().unwrap_or(self.first_port.wrapping_add(index as u16))
    }

    /// The id of node `index`: 40 hexadecimal digits that depend on the seed.
    pub(crate) fn id_of(&self, index: usize) -> String {
        let word = |n: u64| split_mix(self.seed.wrapping_mul(1009).wrapping_add(index as u64 * 8 + n));
        format!("{:016x}{:016x}{:08x}", word(0), word(1), word(2) as u32)
    }
}

/// One step of SplitMix64: neighbouring inputs give unrelated outputs.
fn split_mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
