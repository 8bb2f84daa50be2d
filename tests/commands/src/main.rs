//! The client's table of commands, from what real servers say of their commands.
//!
//! ```text
//! cargo run -p panpipe-commands -- check     # fails where src/command/table.rs is not what the servers say
//! cargo run -p panpipe-commands -- write     # writes it
//! ```
//!
//! The servers are those of `tests/servers/install`. What the client knows better than they do is in `tests/commands/overrides`.

use std::process::ExitCode;

mod ask;
mod generate;
mod overrides;
#[path = "../../servers/mod.rs"]
mod servers;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let done = match mode.as_str() {
        "check" => generate::check(),
        "write" => generate::write(),
        _ => Err("usage: panpipe-commands check | write".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
