//! Frames that the compiler inlined, put back into the stacks that perf prints.
//!
//! Link-time optimisation leaves a handful of functions; the program's line table still knows which source function each address came
//! from. This knows `perf script`'s text, the program's mappings and how source paths become module paths; it counts nothing.

use std::collections::HashMap;
use std::path::Path;

use addr2line::Loader;
use anyhow::{Result, anyhow};

/// Resolves addresses of one program.
pub(super) struct Resolver {
    loader: Loader,
    program: String,
    project: String,
    mappings: Vec<Mapping>,
    /// By address: the inlined functions, innermost first.
    known: HashMap<u64, Vec<String>>,
}

/// A part of the program's file in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
}

impl Resolver {
    /// For a program that runs as `pid`: its mappings are read now.
    ///
    /// # Errors
    /// Where its file cannot be read or has no line table.
    pub(super) fn new(program: &Path, pid: u32, project: &Path) -> Result<Resolver> {
        let loader = Loader::new(program)
            .map_err(|error| anyhow!("the line table of {} cannot be read: {error}", program.display()))?;
        let program = program.canonicalize()?.display().to_string();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let mappings = mappings(&maps, &program);
        let project = project.display().to_string();
        Ok(Resolver { loader, program, project, mappings, known: HashMap::new() })
    }

    /// The text of `perf script` with a line more for each inlined frame.
    pub(super) fn expand(&mut self, script: &str) -> String {
        let mut text = String::with_capacity(2 * script.len());
        let mut innermost = true;
        for line in script.lines() {
            match stack_line(line) {
                Some((address, module)) => {
                    if module == self.program {
                        // An outer frame holds the address to return to: the call is before it.
                        for name in self.inlined(address, innermost) {
                            text.push_str(&format!("\t{address:x} {name}_[i] (inlined)\n"));
                        }
                    }
                    innermost = false;
                }
                None => innermost = true,
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn inlined(&mut self, address: u64, innermost: bool) -> &[String] {
        let virtual_address = to_virtual(&self.mappings, address).unwrap_or(address);
        let probe = if innermost { virtual_address } else { virtual_address.saturating_sub(1) };
        let (loader, project) = (&self.loader, &self.project);
        self.known.entry(probe).or_insert_with(|| names(loader, probe, project).unwrap_or_default())
    }
}

/// All functions at an address but the outermost, which perf names itself.
fn names(loader: &Loader, address: u64, project: &str) -> Option<Vec<String>> {
    let mut frames = loader.find_frames(address).ok()?;
    let mut names = Vec::new();
    while let Some(frame) = frames.next().ok()? {
        let function =
            frame.function.as_ref().and_then(|function| Some(function.demangle().ok()?.into_owned()));
        let file = frame.location.as_ref().and_then(|location| location.file).unwrap_or_default();
        names.push(path_of(file, function.as_deref().unwrap_or("unknown"), project));
    }
    names.pop();
    Some(names)
}

/// Address and module of a line `\t address symbol (module)`.
fn stack_line(line: &str) -> Option<(u64, &str)> {
    let rest = line.strip_prefix(['\t', ' '])?.trim_start();
    let (address, rest) = rest.split_once(' ')?;
    let (_, module) = rest.rsplit_once(" (")?;
    Some((u64::from_str_radix(address, 16).ok()?, module.strip_suffix(')')?))
}

/// Those of a file, from the text of `/proc/PID/maps`.
fn mappings(maps: &str, program: &str) -> Vec<Mapping> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let mapping = |line: &str| {
        let (fields, _) = line.split_once(program)?;
        let mut fields = fields.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        Some(Mapping { start: hex(start)?, end: hex(end)?, offset: hex(offset)? })
    };
    maps.lines().filter(|line| line.ends_with(program)).filter_map(mapping).collect()
}

/// perf prints offsets in the file, or addresses in memory, by its version; line tables have addresses relative to the first mapping.
fn to_virtual(mappings: &[Mapping], address: u64) -> Option<u64> {
    let first = mappings.iter().map(|mapping| mapping.start).min()?;
    if mappings.iter().any(|mapping| (mapping.start..mapping.end).contains(&address)) {
        return Some(address - first);
    }
    // Of segments that share a page of the file the last one holds the text that begins there.
    let inside = |mapping: &&Mapping| {
        (mapping.offset..mapping.offset + (mapping.end - mapping.start)).contains(&address)
    };
    let mapping = mappings.iter().rfind(inside)?;
    Some(mapping.start + (address - mapping.offset) - first)
}

/// A source file and a function in it as a path: `…/src/engine/submit.rs` and `place_on` are `panpipe::engine::submit::place_on`.
fn path_of(file: &str, function: &str, project: &str) -> String {
    let function = match function.split_once('<') {
        Some((name, _)) if !name.is_empty() => name,
        _ => function,
    };
    let Some((package, path)) = package_of(file, project) else { return function.to_owned() };
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let modules = path.split('/').filter(|&module| !matches!(module, "lib" | "main" | ""));
    let mut name = package.replace('-', "_");
    for module in modules {
        name.push_str("::");
        name.push_str(module);
    }
    format!("{name}::{function}")
}

/// The package of a source file, and the file's path below its `src`.
fn package_of<'a>(file: &'a str, project: &str) -> Option<(&'a str, &'a str)> {
    if let Some(own) = file.strip_prefix(project) {
        let harness = own.strip_prefix("/benches/harness/src/").map(|path| ("panpipe_bench", path));
        return harness.or_else(|| own.strip_prefix("/src/").map(|path| ("panpipe", path)));
    }
    // The package's own `src`: registries have one further out.
    let (directory, path) = file.rsplit_once("/src/")?;
    let package = directory.rsplit('/').next()?;
    // Without its version.
    let name =
        package.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    Some((name.map_or(package, |(name, _)| name), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_files_become_module_paths() {
        let path = |file, function| path_of(file, function, "/sources/panpipe");
        assert_eq!(
            path("/sources/panpipe/src/engine/submit.rs", "place_on"),
            "panpipe::engine::submit::place_on"
        );
        assert_eq!(path("/sources/panpipe/src/engine/mod.rs", "unsent"), "panpipe::engine::unsent");
        assert_eq!(path("/sources/panpipe/src/lib.rs", "f"), "panpipe::f");
        assert_eq!(
            path("/sources/panpipe/benches/harness/src/load.rs", "closed<T>"),
            "panpipe_bench::load::closed"
        );
        assert_eq!(
            path("/cargo/registry/src/index-1949/serde-json-1.0.1/src/de.rs", "parse<A, B>"),
            "serde_json::de::parse"
        );
        assert_eq!(path("/rustc/abc/library/core/src/slice/index.rs", "get"), "core::slice::index::get");
        assert_eq!(path("", "{closure#1}"), "{closure#1}");
    }

    #[test]
    fn offsets_and_addresses_become_the_line_tables_addresses() {
        let maps = "560000000000-56000006d000 r--p 00000000 fe:00 55 /a/bench\n\
            56000006d000-560000255000 r-xp 0006c000 fe:00 55 /a/bench\n\
            7f0000000000-7f0000001000 r-xp 00000000 fe:00 56 /lib/libc.so.6\n";
        let mappings = mappings(maps, "/a/bench");
        assert_eq!(mappings.len(), 2);
        assert_eq!(to_virtual(&mappings, 0x1f_d8a4), Some(0x1f_e8a4));
        assert_eq!(to_virtual(&mappings, 0x5600_001f_e8a4), Some(0x1f_e8a4));
        assert_eq!(to_virtual(&mappings, 0x7f00_0000_0010), None);
        assert_eq!(to_virtual(&[], 1), None);
    }

    #[test]
    fn lines_of_a_stack_are_known_by_their_shape() {
        assert_eq!(
            stack_line("\t          1fd8a4 <impl a::B<c> as d>::e (f) (/a/b c)"),
            Some((0x1f_d8a4, "/a/b c"))
        );
        assert_eq!(stack_line("panpipe-bench 1/1 12.3: cpu-clock: "), None);
        assert_eq!(stack_line(""), None);
    }
}
