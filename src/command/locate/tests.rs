use super::*;
use crate::command::spec::lookup;
use crate::command::{Cmd, cmd, keys_of};
use crate::error::ErrorKind;

/// The command in a line of words; `""` is an empty word.
fn command(line: &str) -> Cmd {
    let mut words = line.split(' ').map(|word| if word == "\"\"" { "" } else { word });
    let name = words.next().expect("a name");
    cmd(name).args(words)
}

/// The keys that are found, with spaces between them.
fn keys(line: &str) -> String {
    let keys = keys_of(&command(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
    let keys: Vec<String> = keys.iter().map(|key| key.escape_ascii().to_string()).collect();
    keys.join(" ")
}

fn refusal(line: &str) -> ErrorKind {
    keys_of(&command(line)).expect_err(line).kind().clone()
}

#[test]
fn ranges() {
    assert_eq!(keys("GET a"), "a");
    assert_eq!(keys("GET a b c"), "a", "what is too much is for the server to refuse");
    assert_eq!(keys("MGET a b c"), "a b c");
    assert_eq!(keys("MSET a 1 b 2"), "a b");
    assert_eq!(keys("MSET a 1 b"), "a b");
    assert_eq!(keys("RENAME a b"), "a b");
    assert_eq!(keys("RENAME a"), "a");
    assert_eq!(keys("BITOP AND d a b"), "d a b");
    assert_eq!(keys("OBJECT ENCODING a"), "a");
    assert_eq!(keys("xgroup create s g $ MKSTREAM"), "s");
    assert_eq!(range(0, -2, 1, 4), Located::Keys(Keys::Range { first: 0, step: 1, count: 3 }));
    assert_eq!(range(0, -2, 1, 1), Located::Missing);
    assert_eq!(range(2, -1, 3, 8), Located::Keys(Keys::Range { first: 2, step: 3, count: 2 }));
}

#[test]
fn counted_keys() {
    assert_eq!(keys("EVAL return 2 a b c"), "a b");
    assert_eq!(keys("EVAL return 0 x"), "");
    assert_eq!(keys("FCALL_RO f 1 a"), "a");
    assert_eq!(keys("ZUNION 2 a b WITHSCORES"), "a b");
    assert_eq!(keys("LMPOP 1 a LEFT COUNT 2"), "a");
    assert_eq!(keys("ZUNIONSTORE d 2 a b WEIGHTS 1 2"), "d a b");
    assert_eq!(keys("MSETEX 2 a 1 b 2 EX 5"), "a b");
    for line in
        ["EVAL return 3 a b", "EVAL return -1 a", "EVAL return x a", "EVAL return", "EVAL return \"\""]
    {
        assert!(matches!(refusal(line), ErrorKind::NoKey { .. }), "{line}");
    }
    for line in ["ZUNIONSTORE d 3 a b", "ZUNIONSTORE d", "MSETEX 2 a 1 b", "ZUNION 18446744073709551615 a"] {
        assert!(matches!(refusal(line), ErrorKind::NoKey { .. }), "{line}");
    }
}

#[test]
fn destinations_among_the_options() {
    assert_eq!(keys("SORT a"), "a");
    assert_eq!(keys("SORT a BY w_* LIMIT 0 5 GET # GET d_* ASC ALPHA STORE d"), "a d");
    assert_eq!(keys("SORT a STORE d store e"), "a e", "the last counts");
    assert_eq!(keys("SORT a BY STORE GET STORE LIMIT STORE STORE"), "a", "values of options are no options");
    assert_eq!(keys("SORT a STORE"), "a");
    assert_eq!(keys("SORT_RO a BY w_*"), "a");
    assert_eq!(keys("GEORADIUS a 1 2 3 km COUNT 5 STORE d"), "a d");
    assert_eq!(keys("GEORADIUS a 1 2 3 km storedist d WITHCOORD"), "a d");
    assert_eq!(keys("GEORADIUSBYMEMBER a STORE 3 km"), "a", "a member may be called anything");
    assert_eq!(keys("GEORADIUSBYMEMBER a m 3 km STORE d"), "a d");
    assert!(matches!(refusal("SORT"), ErrorKind::NoKey { .. }));
}

#[test]
fn streams_stand_behind_their_word() {
    assert_eq!(keys("XREAD STREAMS a b 0 0"), "a b");
    assert_eq!(keys("XREAD COUNT 2 streams a 0"), "a");
    assert_eq!(keys("XREADGROUP GROUP STREAMS BLOCK COUNT 1 NOACK STREAMS a b > >"), "a b");
    assert_eq!(keys("XREADGROUP GROUP g c CLAIM 5 STREAMS a >"), "a");
    assert_eq!(keys("XREAD STREAMS STREAMS 0"), "STREAMS");
    for line in ["XREAD", "XREAD COUNT 2", "XREAD STREAMS", "XREAD STREAMS a", "XREAD COUNT STREAMS"] {
        assert!(matches!(refusal(line), ErrorKind::NoKey { .. }), "{line}");
    }
    for line in ["XREAD BLOCK 0 STREAMS a 0", "XREADGROUP GROUP g c block 5 STREAMS a >"] {
        assert!(matches!(refusal(line), ErrorKind::NotAllowed { .. }), "{line}");
    }
    assert_eq!(keys("XREAD STREAMS BLOCK 0"), "BLOCK", "behind STREAMS it is a key");
}

#[test]
fn migrate_names_one_key_or_several() {
    assert_eq!(keys("MIGRATE host 6379 a 0 1000"), "a");
    assert_eq!(keys("MIGRATE host 6379 a 0 1000 COPY KEYS b"), "a", "the server refuses both");
    assert_eq!(keys("MIGRATE host 6379 \"\" 0 1000 REPLACE AUTH KEYS KEYS a b"), "a b");
    assert_eq!(keys("MIGRATE host 6379 \"\" 0 1000 AUTH2 KEYS KEYS keys a"), "a");
    assert_eq!(keys("MIGRATE host 6379 \"\" 0 1000"), "");
    assert!(matches!(refusal("MIGRATE host 6379"), ErrorKind::NoKey { .. }));
}

#[test]
fn a_slots_number_decides_where_it_is_asked() {
    use crate::command::plan::Plan;
    let plan = |line| command(line).request().unwrap().plan();
    assert_eq!(plan("CLUSTER COUNTKEYSINSLOT 866"), Ok(Plan::Slot(866)));
    assert_eq!(plan("CLUSTER GETKEYSINSLOT 16383 10"), Ok(Plan::Slot(16383)));
    for line in ["CLUSTER COUNTKEYSINSLOT 16384", "CLUSTER COUNTKEYSINSLOT 99999999"] {
        assert!(matches!(plan(line).unwrap_err().kind(), ErrorKind::Config { .. }), "{line}");
    }
    assert!(matches!(refusal("CLUSTER COUNTKEYSINSLOT x"), ErrorKind::NoKey { .. }));
    assert_eq!(keys("CLUSTER COUNTKEYSINSLOT 5"), "");
}

#[test]
fn no_words_of_any_number_are_out_of_bounds() {
    let mut random = crate::command::testing::Random(7);
    let vocabulary =
        ["0", "1", "2", "9", "", "a", "STORE", "STREAMS", "KEYS", "COUNT", "GROUP", "AUTH2", "LIMIT"];
    for spec in crate::command::known_commands() {
        for _ in 0..60 {
            let args = (0..random.below(9)).map(|_| vocabulary[random.below(vocabulary.len())]);
            let command = cmd(spec.name()).args(args.collect::<Vec<_>>());
            if let Ok(request) = command.request() {
                let _ = request.plan();
                assert!(keys_of(&command).unwrap().len() <= request.args_len());
            }
        }
    }
    assert!(lookup("GET", None).is_some());
}
