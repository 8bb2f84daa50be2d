//! The engine decides and remembers.
