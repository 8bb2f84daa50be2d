//! Commands about the connection itself: HELLO, AUTH, CLIENT, READONLY, RESET.
//!
//! <https://redis.io/docs/latest/commands/?group=connection>

use super::HelloSupport;
use super::dispatch::Exec;
use super::number::parse_integer;
use super::reply::{CommandError, Done, Reply, Resp, SYNTAX};
use super::session::{Life, SessionId};
use super::table::{Command, Flags};
use super::transaction;

const ANY: Flags = Flags::ANY_STATE;
const BEFORE_AUTH: Flags = ANY.and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY);

pub(crate) const COMMANDS: &[Command] = &[
    Command::node("hello", -1, BEFORE_AUTH, hello),
    Command::node("auth", -2, BEFORE_AUTH, auth),
    Command::node("quit", -1, BEFORE_AUTH.and(Flags::NOT_QUEUED), |_, _, _| Ok(())),
    Command::node("reset", 1, BEFORE_AUTH.and(Flags::NOT_QUEUED), reset),
    Command::node("ping", -1, Flags::NONE, ping),
    Command::node("echo", 2, ANY, echo),
    Command::node("select", 2, ANY, select),
    Command::node("asking", 1, Flags::NONE, asking),
    Command::node("readonly", 1, ANY, readonly),
    Command::node("readwrite", 1, ANY, readwrite),
    Command::container("client", CLIENT),
];

const CLIENT: &[Command] = &[
    Command::node("client|id", 2, ANY, client_id),
    Command::node("client|setname", 3, ANY, client_setname),
    Command::node("client|getname", 2, ANY, client_getname),
    Command::node("client|setinfo", 4, ANY, client_setinfo),
    Command::node("client|info", 2, ANY, client_info),
    Command::node("client|kill", -3, ANY, client_kill),
    Command::node("client|no-evict", 3, ANY, client_switch),
    Command::node("client|no-touch", 3, ANY, client_switch),
];

const WRONGPASS: CommandError =
    CommandError::new("WRONGPASS invalid username-password pair or user is disabled.");

fn hello(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let wanted = match args.get(1) {
        None => None,
        Some(text) => {
            let not_integer = CommandError::new("ERR Protocol version is not an integer or out of range");
            let version = parse_integer(text).map_err(|_| not_integer)?;
            let resp3 = exec.cluster.config().hello == HelloSupport::Resp3;
            Some(match version {
                2 => Resp::Two,
                3 if resp3 => Resp::Three,
                _ => return Err(CommandError::new("NOPROTO unsupported protocol version")),
            })
        }
    };
    let (mut name, mut words) = (None, args.get(2..).unwrap_or_default());
    while let [option, rest @ ..] = words {
        match (option.to_ascii_uppercase().as_slice(), rest) {
            (b"AUTH", [user, password, rest @ ..]) => {
                authenticate(exec, user, password)?;
                words = rest;
            }
            (b"SETNAME", [value, rest @ ..]) => {
                name = Some(checked_name(value)?);
                words = rest;
            }
            _ => {
                return Err(CommandError::quoting("ERR Syntax error in HELLO option '", option, "'"));
            }
        }
    }
    if !exec.session.is_authenticated {
        return Err(CommandError::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    if let Some(name) = name {
        exec.session.name = name.to_vec();
    }
    exec.session.resp = wanted.unwrap_or(exec.session.resp);
    let mut out = Vec::new();
    describe_server(exec, &mut Reply::new(&mut out, exec.session.resp));
    reply.raw(&out);
    Ok(())
}

fn describe_server(exec: &mut Exec<'_>, reply: &mut Reply<'_>) {
    let is_replica = exec.is_replica();
    let config = exec.cluster.config();
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(config.version.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if exec.session.resp == Resp::Three { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(exec.session.client_id);
    reply.bulk(b"mode");
    reply.bulk(if config.cluster_enabled { b"cluster" } else { b"standalone" });
    reply.bulk(b"role");
    reply.bulk(if is_replica { b"replica" } else { b"master" });
    reply.bulk(b"modules");
    reply.array(0);
}

fn auth(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    match args {
        [_, password] if exec.cluster.config().password.is_some() => {
            authenticate(exec, b"default", password)?
        }
        [_, _] => {
            return Err(CommandError::new(
                "ERR AUTH <password> called without any password configured for the default user. Are you \
                 sure your configuration is correct?",
            ));
        }
        [_, user, password] => authenticate(exec, user, password)?,
        _ => return Err(SYNTAX),
    }
    reply.ok();
    Ok(())
}

/// There is one user, `default`; without a configured password it takes any.
fn authenticate(exec: &mut Exec<'_>, user: &[u8], password: &[u8]) -> Done {
    let configured = exec.cluster.config().password.as_deref();
    let fits = configured.is_none_or(|configured| configured.as_bytes() == password);
    if user != b"default" || !fits {
        return Err(WRONGPASS);
    }
    exec.session.is_authenticated = true;
    Ok(())
}

fn reset(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    transaction::drop_watches(exec);
    let is_authenticated = exec.cluster.config().password.is_none();
    exec.session.reset(is_authenticated);
    reply.status("RESET");
    Ok(())
}

fn ping(_: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    match args {
        [_] => reply.status("PONG"),
        [_, text] => reply.bulk(text),
        _ => return Err(CommandError::new("ERR wrong number of arguments for 'ping' command")),
    }
    Ok(())
}

fn echo(_: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.bulk(args[1]);
    Ok(())
}

fn select(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let index = parse_integer(args[1])?;
    if i32::try_from(index).is_err() {
        let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(CommandError::new(text));
    }
    if exec.cluster.config().cluster_enabled && index != 0 {
        return Err(CommandError::new("ERR SELECT is not allowed in cluster mode"));
    }
    if index != 0 {
        return Err(CommandError::new("ERR DB index is out of range"));
    }
    reply.ok();
    Ok(())
}

fn asking(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    exec.session.asking = true;
    reply.ok();
    Ok(())
}

fn readonly(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    exec.session.reads_replica = true;
    reply.ok();
    Ok(())
}

fn readwrite(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.needs_cluster()?;
    exec.session.reads_replica = false;
    reply.ok();
    Ok(())
}

fn client_id(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    reply.integer(exec.session.client_id);
    Ok(())
}

fn client_setname(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    exec.session.name = checked_name(args[2])?.to_vec();
    reply.ok();
    Ok(())
}

fn client_getname(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let name = exec.session.name.as_slice();
    reply.bulk_or_null(Some(name).filter(|name| !name.is_empty()));
    Ok(())
}

/// A name is one printable word.
fn checked_name(name: &[u8]) -> Result<&[u8], CommandError> {
    let text = "ERR Client names cannot contain spaces, newlines or special characters.";
    let printable = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if printable { Ok(name) } else { Err(CommandError::new(text)) }
}

/// Newer than the server whose version `HELLO` reports, but what every client sends.
fn client_setinfo(_: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let name = args[2].to_ascii_lowercase();
    if name != b"lib-name" && name != b"lib-ver" {
        return Err(CommandError::quoting("ERR Unrecognized option '", args[2], "'"));
    }
    if !args[3].iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        let name = String::from_utf8_lossy(&name).into_owned();
        return Err(format!("ERR {name} cannot contain spaces, newlines or special characters.").into());
    }
    reply.ok();
    Ok(())
}

/// The fields that a client needs to know its own connection again.
fn client_info(exec: &mut Exec<'_>, _: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let session = &exec.session;
    let name = String::from_utf8_lossy(&session.name);
    let text = format!("id={} addr={} name={name}\n", session.client_id, session.peer_address());
    reply.text(&text);
    Ok(())
}

/// `CLIENT KILL ID n [ADDR a]`: the forms a client needs to get rid of its own earlier connection.
fn client_kill(exec: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    if args.len() == 3 {
        // The old form names an address.
        return Err(CommandError::new("ERR No such client"));
    }
    let mut id = 0;
    let mut address = None;
    for filter in args[2..].chunks(2) {
        let [name, value] = filter else { return Err(SYNTAX) };
        if name.eq_ignore_ascii_case(b"addr") {
            address = Some(*value);
            continue;
        }
        if !name.eq_ignore_ascii_case(b"id") {
            return Err(SYNTAX);
        }
        let valid = parse_integer(value).ok().filter(|id| *id > 0);
        id = valid.ok_or(CommandError::new("ERR client-id should be greater than 0"))?;
    }
    if id == exec.session.client_id {
        // SKIPME is on by default.
        reply.integer(0);
        return Ok(());
    }
    let node = exec.session.node;
    let on_node = |other: &SessionId| {
        let session = exec.cluster.sessions.get(other);
        session.is_some_and(|session| {
            session.node == node
                && session.client_id == id
                && session.life == Life::Open
                && address.is_none_or(|address| session.peer_address().as_bytes() == address)
        })
    };
    let found: Option<SessionId> = exec.cluster.sessions.keys().copied().find(on_node);
    if let Some(victim) = found {
        exec.cluster.close_by_server(victim);
    }
    reply.flag(found.is_some());
    Ok(())
}

/// NO-EVICT and NO-TOUCH: accepted, without effect here.
fn client_switch(_: &mut Exec<'_>, args: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let known = args[2].eq_ignore_ascii_case(b"on") || args[2].eq_ignore_ascii_case(b"off");
    if !known {
        return Err(SYNTAX);
    }
    reply.ok();
    Ok(())
}
