//! A connection to one server without any client: for preparing a standalone server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use anyhow::{Result, bail};

use crate::contender::Setup;
use crate::plan::Plan;

/// Writes all keys to the only node.
///
/// # Errors
/// Where it refuses one.
pub(crate) fn set_all(setup: &Setup, plan: &Plan) -> Result<()> {
    let Some(node) = setup.nodes.first() else { bail!("the target has no node") };
    let mut stream = TcpStream::connect(node)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    for key in &plan.keys {
        let mut command = format!("*3\r\n$3\r\nSET\r\n${}\r\n", key.len()).into_bytes();
        command.extend_from_slice(key);
        command.extend(format!("\r\n${}\r\n", plan.value.len()).into_bytes());
        command.extend_from_slice(&plan.value);
        command.extend_from_slice(b"\r\n");
        stream.write_all(&command)?;
        line.clear();
        answers.read_line(&mut line)?;
        if line != "+OK\r\n" {
            bail!("the target refused a value: {}", line.trim());
        }
    }
    Ok(())
}
