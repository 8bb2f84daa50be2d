//! What is shown of an outcome.

pub(crate) mod table;
