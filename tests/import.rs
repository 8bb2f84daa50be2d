//! `panpipe import` as a process, against an embedded cluster: what it loads, what it rejects, how it ends, and how it goes on. Exact counts.
#![cfg(feature = "cli")]

#[path = "import/checks.rs"]
mod checks;
#[path = "import/damage.rs"]
mod damage;
#[path = "import/endings.rs"]
mod endings;
#[path = "import/formats.rs"]
mod formats;
#[path = "import/output.rs"]
mod output;
#[path = "import/rejects.rs"]
mod rejects;
#[path = "import/resume.rs"]
mod resume;
#[path = "import/terminal.rs"]
mod terminal;
#[path = "import/together.rs"]
mod together;
#[path = "import/tool.rs"]
mod tool;
#[path = "support/transport.rs"]
mod transport;
#[path = "import/verified.rs"]
mod verified;
