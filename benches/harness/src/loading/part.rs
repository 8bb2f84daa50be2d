//! `load-part`: the programs of a race that are parts of this one. Each does what it does and says how many records there were.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::parse;
#[cfg(feature = "peers")]
use super::redis_rs;

/// Which one, and what it is told.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Part {
    name: String,
    file: PathBuf,
    #[arg(short = 'h')]
    host: String,
    #[arg(short)]
    port: u16,
}

impl Part {
    /// Does it.
    ///
    /// # Errors
    /// Where the file cannot be read, or the records cannot be written.
    pub(crate) fn run(&self) -> Result<()> {
        let seed = format!("redis://{}:{}", self.host, self.port);
        let records = match self.name.as_str() {
            parse::CSV => parse::csv(&self.file)?,
            parse::JSON => parse::json(&self.file)?,
            parse::JSON_TYPED => parse::json_typed(&self.file)?,
            #[cfg(feature = "peers")]
            redis_rs::NODES => redis_rs::by_node(&self.file, &seed)?,
            #[cfg(feature = "peers")]
            redis_rs::CLUSTER => redis_rs::by_cluster(&self.file, &seed)?,
            name => bail!("there is no part {name:?} in this build; nothing was sent to {seed}"),
        };
        println!("records: {records}");
        Ok(())
    }
}
