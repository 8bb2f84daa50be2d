//! The `panpipe` command line.

fn main() {}
