//! What the differential tests are made of: frames as bytes, both peers behind one face, random traces, comparison.

#![allow(dead_code, reason = "each test crate uses its own part of this module")]

pub(crate) mod cluster_pair;
pub(crate) mod compare;
pub(crate) mod grammar;
pub(crate) mod newer;
pub(crate) mod peers;
pub(crate) mod random;
pub(crate) mod traffic;
pub(crate) mod wire;
