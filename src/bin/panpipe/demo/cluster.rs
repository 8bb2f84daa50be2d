//! The cluster that the demonstration runs on: the user's, or one of our own for as long as it lasts.

use panpipe::Config;
use panpipe::testkit::EmbeddedCluster;

use super::Options;
use crate::failure::{CLUSTER, Failure};
use crate::output::plural;
use crate::target::{self, TransportChoice};

/// A cluster to run on.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    /// Serves as long as it lives.
    embedded: Option<EmbeddedCluster>,
}

impl Cluster {
    pub(crate) fn start(options: &Options, transport: Option<TransportChoice>) -> Result<Self, Failure> {
        if let Some(url) = &options.url {
            return Ok(Cluster { config: target::configuration(url, transport)?, embedded: None });
        }
        let embedded = EmbeddedCluster::builder()
            .primaries(options.nodes)
            .replicas(1)
            .delay_ms(options.delay_ms)
            .start()
            .map_err(|error| {
                Failure::new(CLUSTER, format!("the embedded cluster cannot start: {error}"))
                    .hint("It needs free ports on 127.0.0.1; a cluster of your own: --url redis://host:port")
            })?;
        let config = target::configuration(&embedded.url(), transport)?;
        Ok(Cluster { config, embedded: Some(embedded) })
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// In words.
    pub(crate) fn describe(&self, options: &Options, primaries: usize, replicas: usize) -> String {
        let primaries =
            if primaries == 1 { "1 primary".to_owned() } else { format!("{primaries} primaries") };
        let nodes = format!("{primaries} and {}", plural(replicas, "replica"));
        if self.is_embedded() {
            let answers = match options.delay_ms {
                0 => "which answer at once".to_owned(),
                delay_ms => format!("each waits {delay_ms} ms before it answers"),
            };
            return format!("embedded: {nodes} in this process, {answers}");
        }
        let seeds: Vec<String> = self.config.seeds.iter().map(ToString::to_string).collect();
        format!("yours: {nodes}, found through {}", seeds.join(", "))
    }
}
