//! Commands: what the caller wants, and how it is routed.
