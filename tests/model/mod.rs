//! What the differential test is made of: frames as bytes, both peers behind one face, random traces, comparison.

pub(crate) mod compare;
pub(crate) mod grammar;
pub(crate) mod peers;
pub(crate) mod random;
pub(crate) mod wire;
