//! A model of a cluster, for tests and demonstrations.
