//! Turns corpora into files for a fuzzer and back, and runs inputs.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io, panic};

use panpipe::config::{Broken, Rule};
use panpipe_fuzz::{Target, corpus, engine};

const USAGE: &str =
    "panpipe-fuzz unpack TARGET FOLDER   writes the corpus and the seeds, a file for each input
panpipe-fuzz pack TARGET FOLDER     writes the folder's files as the corpus that is committed
panpipe-fuzz run TARGET FILE...     gives files to a target
panpipe-fuzz show FILE...           prints files as lines of a corpus
panpipe-fuzz mutants                breaks each rule of the engine, and counts the inputs of the corpus that notice

targets: scanner, error_line, topology, engine";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match (&words[..], words.get(1).and_then(|name| Target::named(name))) {
        (["unpack", _, folder], Some(target)) => unpack(&target, Path::new(folder)),
        (["pack", _, folder], Some(target)) => pack(&target, Path::new(folder)),
        (["run", _, files @ ..], Some(target)) => {
            files.iter().try_for_each(|file| fs::read(file).map(|input| (target.run)(&input)))
        }
        (["show", files @ ..], _) => files.iter().try_for_each(|file| {
            println!("{}", corpus::line(&fs::read(file)?));
            Ok(())
        }),
        (["mutants"], _) => mutants(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("panpipe-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn unpack(target: &Target, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let committed = match fs::read_to_string(target.corpus_file()) {
        Ok(text) => corpus::parse(&text),
        // A target that has no corpus yet starts from its seeds.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    for (number, input) in committed.iter().chain(&(target.seeds)()).enumerate() {
        fs::write(folder.join(format!("{number:05}")), input)?;
    }
    Ok(())
}

fn mutants() -> io::Result<()> {
    let target = Target::named("engine").expect("there is one");
    let inputs = corpus::parse(&fs::read_to_string(target.corpus_file())?);
    panic::set_hook(Box::new(|_| {}));
    let mut noticed = 0;
    for &rule in Rule::ALL {
        let fails =
            |input: &&Vec<u8>| panic::catch_unwind(|| engine::run_broken(input, Broken::only(rule))).is_err();
        let count = inputs.iter().filter(fails).count();
        noticed += usize::from(count > 0);
        println!("{:<16} {count:>4} of {} inputs", format!("{rule:?}"), inputs.len());
    }
    println!("{noticed} of {} rules are noticed", Rule::ALL.len());
    Ok(())
}

fn pack(target: &Target, folder: &Path) -> io::Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        lines.push(corpus::line(&fs::read(entry?.path())?));
    }
    // Short ones first: they are read first when one fails.
    lines.sort_by_key(|line| (line.len(), line.clone()));
    lines.dedup();
    fs::write(target.corpus_file(), lines.join("\n") + "\n")
}
