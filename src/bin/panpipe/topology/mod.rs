//! `panpipe topology`: who serves which slots, and does everybody answer.

mod print;
mod survey;

use clap::Args;
use panpipe::slot::SLOT_COUNT;

use crate::failure::Failure;
use crate::output::Output;
use crate::target::{self, TransportChoice, URL_HELP};
use survey::{Answer, Survey};

const EXAMPLES: &str = "\
Examples:
  panpipe topology --url redis://10.0.0.1:7000
  panpipe topology --url redis://ada:p%40ss@10.0.0.1:7000,10.0.0.2:7000
  panpipe topology --url @url.txt --json | jq '.nodes[] | select(.primary)'";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", crate::EXIT_CODES))]
pub(crate) struct Options {
    #[arg(long, value_name = "URL", help = URL_HELP)]
    url: Option<String>,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(
    options: &Options,
    transport: Option<TransportChoice>,
    out: &mut Output,
) -> Result<(), Failure> {
    let Some(url) = &options.url else {
        return Err(Failure::usage("which cluster? The address of any one node is enough:")
            .hint("panpipe topology --url redis://127.0.0.1:7000"));
    };
    let mut client = target::connect(target::configuration(url, transport)?)?;
    let survey = Survey::of(&mut client)?;
    let verdict = verdict(&survey);
    if options.json {
        out.line(&print::json(&survey, verdict.is_ok()).to_string());
    } else {
        print::table(out, &survey);
        out.line("");
        print::summary(out, &survey);
    }
    verdict
}

/// A cluster with holes or silent nodes is worth an exit code.
fn verdict(survey: &Survey) -> Result<(), Failure> {
    let unserved = u32::from(SLOT_COUNT) - survey.slots_served();
    if unserved > 0 {
        return Err(Failure::check(format!("{unserved} of {SLOT_COUNT} slots are served by no node"))
            .hint("Bring the node back that had them, or see `redis-cli --cluster fix`"));
    }
    let silent: Vec<&str> = survey
        .nodes
        .iter()
        .filter(|node| matches!(node.answer, Answer::Failed(_)))
        .map(|node| node.address())
        .collect();
    match silent.len() {
        0 => return Ok(()),
        1 => Err(Failure::check(format!("1 node does not answer: {}", silent[0]))),
        many => Err(Failure::check(format!("{many} nodes do not answer: {}", silent.join(", ")))),
    }
    .map_err(|failure| {
        failure.hint("Those are the addresses that the cluster names; can this machine reach them?")
    })
}
