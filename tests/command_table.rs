//! The client's table of commands against real servers: names, `readonly` flags, key positions, and where the servers'
//! own tips send what has no keys.
//!
//! Differences that are meant are listed here, each with its reason; every other difference fails.

#[path = "command_table/arguments.rs"]
mod arguments;
#[path = "commands/src/ask.rs"]
#[allow(dead_code, reason = "the generator uses the rest of it")]
mod ask;
#[path = "command_table/drawn.rs"]
mod drawn;
#[path = "commands/src/generate.rs"]
mod generate;
#[path = "commands/src/overrides.rs"]
mod overrides;
#[path = "model/random.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod random;
mod servers;

use std::collections::{BTreeMap, BTreeSet};

use panpipe::command::{Cmd, Merge, Route, Spec, cmd, keys_of, known_commands};
use panpipe::error::ErrorKind;
use servers::{Server, Value, Version};

/// What one server says of one command.
struct Known {
    flags: Vec<String>,
    /// Positions of the first and the last key, and the step; 0 without keys.
    first_key: i64,
    /// Words with the name; negative where there may be more.
    arity: i64,
    tips: Vec<String>,
}

impl Known {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have == flag)
    }

    fn tip(&self, name: &str) -> Option<&str> {
        self.tips.iter().find_map(|tip| tip.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// All that COMMAND lists, subcommands as `CONFIG SET`; server 6.2 has neither subcommands nor tips in it.
fn commands(server: &Server) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for entry in server.call(&["COMMAND"]).items() {
        add(&mut known, entry);
        for subcommand in entry.items().get(9).map_or(&[][..], Value::items) {
            add(&mut known, subcommand);
        }
    }
    assert!(known.len() > 200, "COMMAND lists {} commands", known.len());
    known
}

fn add(known: &mut BTreeMap<String, Known>, entry: &Value) {
    let fields = entry.items();
    let name = fields[0].text().expect("a name").to_ascii_uppercase().replace('|', " ");
    let texts = |at: usize| -> Vec<String> {
        let items = fields.get(at).map_or(&[][..], Value::items);
        items.iter().filter_map(Value::text).map(str::to_owned).collect()
    };
    let number = |at: usize| fields[at].integer().expect("a number");
    let command = Known { flags: texts(2), first_key: number(3), arity: number(1), tips: texts(7) };
    known.insert(name, command);
}

fn row(name: &str) -> Option<&'static Spec> {
    known_commands().find(|spec| spec.name() == name)
}

/// Runs a check against what each server says of its commands; fails with everything that it finds wrong.
fn each_server(check: impl Fn(Version, &BTreeMap<String, Known>, &mut Vec<String>)) {
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let mut here = Vec::new();
        check(version, &commands(&Server::start(version, &[])), &mut here);
        wrong.extend(here.into_iter().map(|what| format!("{}: {what}", version.name())));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Runs a check against the rows of each server's commands that are not refused.
fn each_open_row(check: impl Fn(&str, &'static Spec, &Known) -> Result<(), String>) {
    each_server(|_, known, wrong| {
        for (name, known) in known {
            let open = row(name).filter(|spec| spec.refusal().is_none());
            if let Some(Err(what)) = open.map(|spec| check(name, spec, known)) {
                wrong.push(format!("{name}: {what}"));
            }
        }
    });
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: ours {ours:?}, the server's {theirs:?}")) }
}

/// Whether a list of names, with commas between them, has this one.
fn lists(names: &str, name: &str) -> bool {
    names.split(", ").any(|listed| listed == name)
}

/// The first of our servers that has the command.
fn since(name: &str) -> Version {
    const REDIS_82: &str = "CLIENT NO-TOUCH, CLIENT SETINFO, CLUSTER MYSHARDID, CLUSTER SLOT-STATS, HEXPIRE, HEXPIREAT, \
        HEXPIRETIME, HGETDEL, HGETEX, HPERSIST, HPEXPIRE, HPEXPIREAT, HPEXPIRETIME, HPTTL, HSETEX, \
        HTTL, WAITAOF";
    const REDIS_70: &str = "BLMPOP, BZMPOP, EVALSHA_RO, EVAL_RO, EXPIRETIME, FCALL, FCALL_RO, FUNCTION, LCS, LMPOP, \
        PEXPIRETIME, QUIT, SINTERCARD, SORT_RO, SPUBLISH, SSUBSCRIBE, SUNSUBSCRIBE, ZINTERCARD, \
        ZMPOP";
    if lists(REDIS_82, name) {
        Version::Redis82
    } else if lists(REDIS_70, name) || name.contains(' ') {
        Version::Redis70
    } else {
        Version::Redis62
    }
}

/// Rows that not every newer server has, and which ones do.
fn only_on(name: &str) -> Option<&'static [Version]> {
    const REDIS_ONLY: &str = "XACKDEL, XDELEX";
    const VALKEY_ONLY: &str = "CLIENT CAPA, CLIENT IMPORT-SOURCE, CLUSTERSCAN, CLUSTER CANCELSLOTMIGRATIONS, \
        CLUSTER FLUSHSLOT, CLUSTER GETSLOTMIGRATIONS, CLUSTER MIGRATESLOTS, CLUSTER SYNCSLOTS, \
        COMMANDLOG, COMMANDLOG GET, COMMANDLOG HELP, COMMANDLOG LEN, COMMANDLOG RESET, DELIFEQ, \
        MSETEX, SCRIPT SHOW";
    // Vector sets are of Redis 8 alone; the Redis 8.4 commands and SENTINEL are of no server here.
    const VECTOR_SETS: &str = "VADD, VCARD, VDIM, VEMB, VGETATTR, VINFO, VISMEMBER, VLINKS, VRANDMEMBER, VREM, VSETATTR, \
        VSIM";
    const NEWER: &str = "CLUSTER MIGRATION, DELEX, DIGEST, VRANGE";
    const ELSEWHERE: &str = "SENTINEL";
    if lists(REDIS_ONLY, name) || lists(VECTOR_SETS, name) {
        Some(&[Version::Redis82])
    } else if lists(VALKEY_ONLY, name) {
        Some(&[Version::Valkey91])
    } else if lists(NEWER, name) || lists(ELSEWHERE, name) {
        Some(&[])
    } else {
        None
    }
}

fn expected_on(name: &str, version: Version) -> bool {
    only_on(name).map_or(version >= since(name), |versions| versions.contains(&version))
}

#[test]
fn every_row_is_a_command_of_the_servers_that_should_have_it() {
    each_server(|version, known, wrong| {
        for spec in known_commands() {
            match (known.contains_key(spec.name()), expected_on(spec.name(), version)) {
                (false, true) => wrong.push(format!("{} is not there", spec.name())),
                (true, false) => wrong.push(format!("{} is there", spec.name())),
                _ => {}
            }
        }
    });
}

#[test]
fn every_command_of_the_servers_has_a_row() {
    // Traps for web browsers, and what 7.0 replaced by LCS.
    const GONE: &[&str] = &["HOST:", "POST", "STRALGO"];
    each_server(|_, known, wrong| {
        for name in known.keys() {
            // Modules that come with a server are known by their dots.
            let theirs = name.contains('.') || name.starts_with('_') || GONE.contains(&name.as_str());
            if !theirs && row(name).is_none() {
                wrong.push(format!("{name} has no row"));
            }
        }
    });
}

#[test]
fn rows_read_only_where_the_server_says_so() {
    each_open_row(|_, spec, known| {
        // In 6.2 a container has the flags of its subcommands.
        let flag = if spec.is_container() { spec.is_read_only() } else { known.has("readonly") };
        equal("read only", spec.is_read_only(), flag)
    });
}

#[test]
fn what_blocks_is_refused() {
    each_open_row(|name, _, known| {
        // These block with an option, and are refused with that.
        let with_option = matches!(name, "XREAD" | "XREADGROUP");
        equal("blocks", false, known.has("blocking") && !with_option)
    });
}

#[test]
fn rows_have_keys_where_the_server_has() {
    each_open_row(|name, spec, known| {
        let has_keys = known.first_key != 0 || known.has("movablekeys");
        match name {
            "CLUSTER COUNTKEYSINSLOT" | "CLUSTER GETKEYSINSLOT" => equal("is routed", spec.has_keys(), true),
            _ if spec.is_container() => Ok(()),
            _ => equal("has keys", spec.has_keys(), has_keys),
        }
    });
}

/// Where a tip says another thing than the row, and why.
fn differs_from_tip(name: &str) -> Option<&'static str> {
    Some(match name {
        "PING" | "RANDOMKEY" => "one answer is what they are asked for",
        "MSETNX" => "all or nothing cannot be had over several slots",
        "MSETEX" => "options stand behind the keys",
        "SCAN" | "CLUSTERSCAN" => "special: the cursor decides",
        "FUNCTION KILL" | "SCRIPT KILL" => {
            "one success is enough: there is no rule for that, so that replies are kept per node"
        }
        "LATENCY RESET" => "7.0 has another rule than its successors for the same integer",
        _ => return None,
    })
}

fn route_of(policy: &str) -> Route {
    match policy {
        "all_shards" => Route::AllPrimaries,
        "all_nodes" => Route::AllNodes,
        _ => Route::AnyPrimary,
    }
}

fn merge_of(policy: Option<&str>, split: bool) -> Merge {
    match policy {
        Some("all_succeeded") => Merge::First,
        Some("agg_sum") => Merge::Sum,
        Some("agg_logical_and") => Merge::And,
        Some("special") => Merge::PerNode,
        None if split => Merge::Elements,
        None => Merge::Concat,
        Some(other) => panic!("a policy without a rule: {other}"),
    }
}

#[test]
fn rows_follow_the_servers_tips() {
    each_open_row(|name, spec, known| {
        let Some(policy) = known.tip("request_policy").filter(|_| differs_from_tip(name).is_none()) else {
            return Ok(());
        };
        let split = policy == "multi_shard";
        equal("is split", spec.is_split(), split)?;
        equal("route", spec.route(), &route_of(policy))?;
        equal("merge", spec.merge(), merge_of(known.tip("response_policy"), split))
    });
}

/// 6.2 takes a password for the word in front of the keys.
const PASSWORD_KEYS: &str = "MIGRATE host 6379 \"\" 0 1000 AUTH KEYS KEYS a";

/// Commands whose keys are not at fixed places. `""` is an empty word.
const SAMPLES: &[&str] = &[
    "BITOP NOT d a",
    "BITOP AND d a b c",
    "EVAL script 2 a b c d",
    "EVAL script 0",
    "EVAL script 0 c d",
    "EVALSHA sha 1 a",
    "EVAL_RO script 1 a b",
    "EVALSHA_RO sha 3 a b c",
    "FCALL f 2 a b c",
    "FCALL_RO f 1 a",
    "LMPOP 2 a b LEFT COUNT 3",
    "ZMPOP 1 a MIN",
    "SINTERCARD 2 a b LIMIT 5",
    "ZINTERCARD 2 a b LIMIT 5",
    "ZDIFF 2 a b WITHSCORES",
    "ZINTER 3 a b c WEIGHTS 1 2 3 AGGREGATE MAX",
    "ZUNION 1 a",
    "ZDIFFSTORE d 2 a b",
    "ZINTERSTORE d 1 a WEIGHTS 2",
    "ZUNIONSTORE d 3 a b c AGGREGATE SUM",
    "MSETEX 2 a 1 b 2 EX 60",
    "MSETEX 1 a 1",
    "SORT a",
    "SORT a DESC ALPHA",
    "SORT a BY w_* LIMIT 0 5 GET # GET d_* STORE d",
    "SORT a STORE d",
    "SORT a STORE d STORE e",
    "SORT_RO a BY w_* LIMIT 0 5",
    "GEORADIUS a 1 2 3 km",
    "GEORADIUS a 1 2 3 km WITHCOORD COUNT 5 ANY STORE d",
    "GEORADIUS a 1 2 3 km STOREDIST d",
    "GEORADIUSBYMEMBER a m 3 km",
    "GEORADIUSBYMEMBER a m 3 km ASC STORE d",
    "GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 3 km",
    "XREAD STREAMS a 0",
    "XREAD COUNT 5 STREAMS a b c 0 0 $",
    "XREADGROUP GROUP g c STREAMS a >",
    "XREADGROUP GROUP STREAMS c COUNT 5 NOACK STREAMS a b > >",
    "MIGRATE host 6379 a 0 1000",
    "MIGRATE host 6379 a 0 1000 COPY REPLACE AUTH password",
    "MIGRATE host 6379 \"\" 0 1000 KEYS a b c",
    "MIGRATE host 6379 \"\" 0 1000 REPLACE AUTH2 user password KEYS a b",
    PASSWORD_KEYS,
    "MSET a 1 b 2 c 3",
    "MSETNX a 1 b 2",
    "MGET a b c",
    "PFMERGE d a b",
    "XINFO STREAM a FULL COUNT 5",
    "XGROUP CREATE a g $ MKSTREAM",
    "MEMORY USAGE a SAMPLES 5",
    "OBJECT ENCODING a",
];

fn command(line: &str) -> (Cmd, Vec<&str>) {
    let words: Vec<&str> = line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect();
    (cmd(words[0]).args(&words[1..]), words)
}

/// The keys that the server finds; none where it finds fault.
fn keys_by_server(server: &Server, words: &[&str]) -> Vec<Vec<u8>> {
    let reply = server.call(&[&["COMMAND", "GETKEYS"], words].concat());
    reply.items().iter().map(|key| key.bytes().expect("a key").to_vec()).collect()
}

fn compare_keys(server: &Server, line: &str) -> Result<(), String> {
    let (command, words) = command(line);
    let mut ours = keys_of(&command).map_err(|error| format!("{line}: {error}"))?;
    let mut theirs = keys_by_server(server, &words);
    // 6.2 names a destination last.
    ours.sort();
    theirs.sort();
    equal(line, ours, theirs)
}

/// An invocation of a command whose keys are at fixed places: its arity decides how many words it has.
fn sample(name: &str, arity: i64) -> String {
    let words = name.split(' ').count() as i64;
    // Pairs stay pairs.
    let args = if arity < 0 { 2 - arity - words } else { arity - words };
    let args: Vec<String> = (0..args.max(1)).map(|n| format!("arg{n}")).collect();
    format!("{name} {}", args.join(" "))
}

/// What is routed by its keys.
fn with_keys() -> impl Iterator<Item = &'static Spec> {
    known_commands().filter(|spec| spec.has_keys() && spec.refusal().is_none())
}

#[test]
fn keys_are_those_that_the_server_finds() {
    let mut compared = BTreeSet::new();
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let server = Server::start(version, &[]);
        let known = commands(&server);
        let fixed = with_keys().filter(|spec| !SAMPLES.iter().any(|line| is_of(line, spec)));
        let fixed = fixed.filter_map(|spec| Some(sample(spec.name(), known.get(spec.name())?.arity)));
        let given = SAMPLES.iter().map(|line| (*line).to_owned());
        for line in fixed.chain(given) {
            let spec = known_commands().find(|spec| is_of(&line, spec) && !spec.is_container()).expect(&line);
            let quirk = version == Version::Redis62 && line == PASSWORD_KEYS;
            if !known.contains_key(spec.name()) || routed_without_keys(spec.name()) || quirk {
                continue;
            }
            compared.insert(spec.name());
            wrong
                .extend(compare_keys(&server, &line).err().map(|what| format!("{}: {what}", version.name())));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let of_no_server = |name: &str| Version::ALL.iter().all(|version| !expected_on(name, *version));
    for spec in with_keys().filter(|spec| !routed_without_keys(spec.name())) {
        assert!(
            compared.contains(spec.name()) || of_no_server(spec.name()),
            "{} was not compared",
            spec.name()
        );
    }
}

fn is_of(line: &str, spec: &Spec) -> bool {
    line.strip_prefix(spec.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Routed by a slot's number, or by a channel: no keys to the server.
fn routed_without_keys(name: &str) -> bool {
    matches!(
        name,
        "CLUSTER COUNTKEYSINSLOT"
            | "CLUSTER GETKEYSINSLOT"
            | "CLUSTERSCAN"
            | "SPUBLISH"
            | "SSUBSCRIBE"
            | "SUNSUBSCRIBE"
    )
}

#[test]
fn the_table_is_what_the_servers_say() {
    if let Err(why) = generate::check() {
        panic!("{why}");
    }
}

/// The ways in which a command can be taken; a row must be in exactly one.
fn routing_classes(spec: &Spec) -> Vec<&'static str> {
    let is_free = spec.refusal().is_none() && spec.needs_route().is_none() && !spec.is_container();
    let keyless = is_free && !spec.has_keys();
    let classes = [
        ("container", spec.is_container()),
        ("refused", spec.refusal().is_some()),
        ("needs a route", spec.needs_route().is_some()),
        ("by keys", is_free && spec.has_keys()),
        ("any primary", keyless && spec.route() == &Route::AnyPrimary),
        ("all primaries", keyless && spec.route() == &Route::AllPrimaries),
        ("all nodes", keyless && spec.route() == &Route::AllNodes),
    ];
    classes.into_iter().filter(|(_, is_in)| *is_in).map(|(name, _)| name).collect()
}

#[test]
fn every_command_of_every_server_is_in_exactly_one_routing_class() {
    each_server(|_, known, wrong| {
        for spec in known.keys().filter_map(|name| row(name)) {
            let classes = routing_classes(spec);
            if classes.len() != 1 {
                wrong.push(format!("{}: {classes:?}", spec.name()));
            }
            let refused = match cmd(spec.name()).request() {
                Err(error) => matches!(error.kind(), ErrorKind::NotAllowed { .. }),
                Ok(_) => false,
            };
            if refused != (spec.refusal().is_some() || spec.needs_route().is_some()) {
                wrong.push(format!("{}: {classes:?}, and refused: {refused}", spec.name()));
            }
        }
    });
}

#[test]
fn unknown_commands_without_marked_keys_or_a_route_are_refused() {
    let is_unknown = |command: &Cmd| match command.request() {
        Err(error) => matches!(error.kind(), ErrorKind::UnknownCommand { .. }),
        Ok(_) => false,
    };
    for name in ["JSON.GET", "FT.SEARCH", "NEWER", "CONFIG NEWER", "XINFO NEWER"] {
        let command = cmd(name).arg("doc");
        assert!(is_unknown(&command), "{name}");
        assert!(!is_unknown(&command.clone().key("doc")), "{name}");
        assert!(!is_unknown(&command.route(Route::AnyPrimary)), "{name}");
    }
}
