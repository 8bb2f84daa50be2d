//! Random commands: mostly sensible, sometimes of the wrong arity, type or number.

use super::random::Random;
use super::wire::Words;

/// What commands look like. A word in angle brackets is a kind of argument; `[…]` may be there or not; `…|…` is a
/// choice; a trailing `*` repeats the words of the last bracket.
pub(crate) const COMMANDS: &str = "
get <s>
set <s> <v>
set <s> <v> [nx|xx] [get] [keepttl|ex <ttl>|px <ttlms>|exat <at>|pxat <atms>]
set <s> <v> <setword> [<setword>] [<oddtime>] [<setword>]
getset <s> <v>
getdel <s>
getex <s> [persist|ex <ttl>|px <ttlms>|exat <at>|pxat <atms>|<setword>] [<oddtime>]
setnx <s> <v>
setex <s> <ttl> <v>
psetex <s> <ttlms> <v>
append <s> <v>
strlen <s>
getrange <s> <i> <i>
substr <s> <i> <i>
setrange <s> <offset> <v>
mget <s> <k> [<k>]
mset <s> <v> [<s> <v>] [<k>]
msetnx <s> <v> [<s> <v>] [<k>]
incr <c>
decr <c>
incrby <c> <n>
decrby <c> <n>
incrbyfloat <f> <float>
set <c> <n>
set <f> <float>
lpush <l> <v> [<v>] [<v>]
rpush <l> <v> [<v>] [<v>]
lpushx <l> <v> [<v>]
rpushx <l> <v>
lpop <l> [<count>] [<v>]
rpop <l> [<count>]
llen <l>
lrange <l> <i> <i>
lindex <l> <i>
lset <l> <i> <v>
lrem <l> <i> <v>
ltrim <l> <i> <i>
hset <h> <m> <v> [<m> <v>] [<m>]
hset <h> <m> <n>
hmset <h> <m> <v> [<m>]
hsetnx <h> <m> <v>
hget <h> <m>
hmget <h> <m> [<m>] [<m>]
hgetall <h>
hkeys <h>
hvals <h>
hdel <h> <m> [<m>]
hexists <h> <m>
hlen <h>
hstrlen <h> <m>
hincrby <h> <m> <n>
hincrbyfloat <hf> <m> <float>
sadd <set> <m> [<m>] [<m>]
srem <set> <m> [<m>]
smembers <set>
sismember <set> <m>
smismember <set> <m> [<m>]
scard <set>
spop <set> <popcount> [<n>]
zadd <z> <score> <m> [<score> <m>] [<score>]
zadd <z> <zopt> <score> <m> [<score> <m>]
zadd <z> <zopt> <zopt> <score> <m>
zadd <z> <zopt> [<zopt>] [<zopt>] <score> <m> [<score> <m>]
zincrby <z> <score> <m>
zrem <z> <m> [<m>]
zscore <z> <m>
zmscore <z> <m> [<m>]
zcard <z>
zrange <z> <i> <i> [rev] [withscores]
zrange <z> <i> <i> <zropt> [<zropt>] [<zropt>]
zrange <z> <bound> <bound> byscore [rev] [limit <i> <i>] [withscores]
zrangebyscore <z> <bound> <bound> [withscores] [limit <i> <i>]
zrank <z> <m>
zrevrank <z> <m>
zcount <z> <bound> <bound>
del <k> [<k>] [<k>]
del <k>
unlink <k> [<k>]
exists <k> [<k>] [<k>]
touch <k> [<k>]
type <k>
expire <k> <ttl> [nx|xx]
pexpire <k> <ttlms> [nx|xx]
expireat <k> <at> [nx|xx|gt|lt] [xx|gt|lt]
pexpireat <k> <atms> [nx|xx|gt|lt|foo]
ttl <k>
pttl <k>
expiretime <k>
pexpiretime <k>
persist <k>
rename <k> <k>
renamenx <k> <k>
dbsize
keys <pattern>
scan <zero> match <pattern> count 100000 [type string|type list|type HASH|type zset|type none]
scan abc|1.5|1x|18446744073709551616|- [count 100000] [foo]
scan <zero> count|foo|type|match|count 0|-1|x|1.5
ping [<v>] [<v>]
echo <v>
select <zero>
select <n>
client getname
client setname <v>
client kill id <oddtime>
client no-evict on|off|foo
client <v>
readonly
readwrite
asking
cluster keyslot <k>
cluster countkeysinslot <slot>
cluster getkeysinslot <slot> 1000
cluster getkeysinslot <slot> 0|-1|x|-9223372036854775808
cluster <v>
cluster setslot <slot> stable|migrating|foo [<v>]
wait 0|-1|-100|x <n>
wait <i> -1|x
watch <k> [<k>]
unwatch
auth <v>
auth <v> <v>
hello <n>
config get maxmemory
multi
exec
discard
foo <v> [<v>] [<v>] [<v>]
<v> <v>
migrate 127.0.0.1 1 nokey 0 <n> [copy] [replace] [keys]
";

/// Commands whose reply has an order of its own and no clock in it: fit for a transaction.
pub(crate) fn fits_transaction(words: &Words) -> bool {
    let unfit: [&[u8]; 13] = [
        b"smembers",
        b"hkeys",
        b"hvals",
        b"keys",
        b"spop",
        b"hgetall",
        b"scan",
        b"pttl",
        b"ttl",
        b"expiretime",
        b"pexpiretime",
        b"cluster",
        b"hello",
    ];
    !unfit.contains(&words[0].to_ascii_lowercase().as_slice())
}

const TAGS: [&str; 3] = ["{a}", "{bb}", "{}x"];

const VALUES: &[&[u8]] = &[
    b"",
    b"a",
    b"hello world",
    b"\r\n\0\xff",
    b"1000000000",
    b"-7",
    b"3.5",
    b" 12",
    b"9223372036854775807",
    b"1e",
    b"inf",
    b"007",
    b"+5",
    b"-0",
    b"abcabcabc",
    b"\xc3\xa9",
    b"foo\nbar",
    b"0x10",
    b"*1\r\n$4\r\nPING\r\n",
    b"nan",
];
const NUMBERS: &str = concat!(
    r"0|1|2|-1|5|100|-100|9223372036854775807|-9223372036854775808|9223372036854775806|",
    r"9223372036854775808|abc||1.5| 1|01|+1|-0|4611686018427387904"
);
/// Never so short that it ends during the test: then the clocks would decide.
const ODD_TIMES: &str = concat!(
    r"0|-1|-100|9223372036854775807|-9223372036854775808|9223372036854775808|abc||1.5| 1|01|+1|",
    r"-0|4611686018427387904"
);
const FLOATS: &str = concat!(
    r"0|1|-1|0.1|0.2|3.3|-2.75|1e2|1e-5|5.0e3|123.456|-0.000001|10.1|abc||inf|-inf|nan| 1|1 |",
    r"0x10|+1.5|1.|.5|17179869184.25|3.0|1e|--1"
);
const SCORES: &str = concat!(
    r"0|1|-1|0.1|2|3|1.5|-2.75|1e2|1e20|1e-7|inf|-inf|abc|nan||0.30000000000000004|",
    r"12345678901234567890|-0|+inf|1.7976931348623157e308|0x1F"
);
const BOUNDS: &str = r"-inf|+inf|inf|0|(0|1|(1|2.5|-3|(100|abc|(|nan|1e5|(-inf|((1";
const INDEXES: &str = r"0|1|2|3|-1|-2|-3|-100|100|5|9223372036854775807|-9223372036854775808|x|1.0|";
const PATTERNS: &str = r"*|?|{a}*|*1|{a}s[0-9]|*[^s]*|\{a}*||nothing|*s*1*|[|{bb}[k-t]?";

/// One of the words between bars.
fn one_of(random: &mut Random, choices: &str) -> Vec<u8> {
    let choices: Vec<&str> = choices.split('|').collect();
    random.pick::<&str>(&choices).as_bytes().to_vec()
}

/// Makes one command.
pub(crate) fn command(random: &mut Random, now_ms: u64) -> Words {
    let templates: Vec<&str> = COMMANDS.lines().skip(1).collect();
    let template = *random.pick(&templates);
    let mut words = expand(template, random, now_ms);
    // Changed, these answer by chance or wait for ever.
    let is_fragile = [b"spop".as_slice(), b"scan", b"wait"].contains(&words[0].as_slice());
    match random.below(60) {
        0..3 if is_fragile => {}
        0 => drop(words.pop()),
        1 => words.push(random.pick(VALUES).to_vec()),
        2 if words.len() > 1 => {
            let at = 1 + random.below(words.len() - 1);
            words[at] = random.pick(VALUES).to_vec();
        }
        3..10 => words[0].make_ascii_uppercase(),
        _ => {}
    }
    if words.is_empty() {
        words.push(b"ping".to_vec());
    }
    words
}

fn expand(template: &str, random: &mut Random, now_ms: u64) -> Words {
    let mut words = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').expect("brackets are closed");
            if random.below(3) > 0 {
                let choices: Vec<&str> = inner[..end].split('|').collect();
                let chosen = *random.pick(&choices);
                words.extend(expand(chosen, random, now_ms));
            }
            rest = inner[end + 1..].trim_start();
        } else {
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            let choices: Vec<&str> = word.split('|').collect();
            let chosen = *random.pick(&choices);
            words.push(argument(chosen, random, now_ms));
            rest = behind.trim_start();
        }
    }
    words
}

/// A key, most of the time one that holds the kind it is meant to hold.
fn key(kind: &str, random: &mut Random) -> Vec<u8> {
    let kind = if kind == "k" || random.one_in(12) {
        *random.pick(&["s", "c", "f", "l", "h", "hf", "set", "z", "none"])
    } else {
        kind
    };
    if random.one_in(200) {
        return random.pick(&[b"".as_slice(), b"\0\r\n{a}", b"{a}\xff", b"{", b"a}b{c"]).to_vec();
    }
    // Mostly one slot, so that commands with several keys work.
    let tag = if random.one_in(15) { *random.pick(&TAGS) } else { TAGS[0] };
    format!("{tag}{kind}{}", random.below(3)).into_bytes()
}

fn argument(word: &str, random: &mut Random, now_ms: u64) -> Vec<u8> {
    let Some(kind) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) else {
        return word.as_bytes().to_vec();
    };
    let far = |random: &mut Random| *random.pick(&[100_u64, 5_000, 90_000, 2_000_000]);
    let odd = random.one_in(10);
    match kind {
        "v" if random.one_in(40) => format!("long {}", random.next()).repeat(250).into_bytes(),
        "v" => random.pick(VALUES).to_vec(),
        "m" => format!("m{}", random.below(6)).into_bytes(),
        "n" => one_of(random, NUMBERS),
        "zero" => b"0".to_vec(),
        "float" => one_of(random, FLOATS),
        "score" => one_of(random, SCORES),
        "bound" => one_of(random, BOUNDS),
        "i" | "count" => one_of(random, INDEXES),
        "offset" if odd => one_of(random, "-1|x|536870912|9223372036854775807"),
        "offset" => random.below(20).to_string().into_bytes(),
        "popcount" if odd => one_of(random, "-1|x||0"),
        "popcount" => b"1000".to_vec(),
        "pattern" => one_of(random, PATTERNS),
        "slot" if odd => one_of(random, "-1|16384|x|99999"),
        "slot" => one_of(random, "15495|0|16383"),
        "setword" => one_of(random, "nx|xx|get|keepttl|persist|ex|px|exat|foo"),
        "zopt" => one_of(random, "nx|xx|gt|lt|ch|incr|foo"),
        "zropt" => one_of(random, "rev|withscores|limit|byscore|foo|1"),
        "ttl" | "ttlms" | "at" | "atms" if odd => one_of(random, ODD_TIMES),
        "oddtime" => one_of(random, ODD_TIMES),
        "ttl" => far(random).to_string().into_bytes(),
        "ttlms" => (far(random) * 1000).to_string().into_bytes(),
        // Not the same times as the relative ones reach: which is later must not depend on milliseconds.
        "at" => (now_ms / 1000 + far(random) * 2).to_string().into_bytes(),
        "atms" => (now_ms + far(random) * 2000).to_string().into_bytes(),
        kind => key(kind, random),
    }
}
