//! Every command the door knows, and what becomes of a request.

mod acl;
mod client;
mod cluster;
mod config;
mod connection;
mod consistency;
mod error;
mod hello;
mod introspection;
mod key;
mod keyspace;
mod number;
mod object;
mod refused;
mod server;
mod string;

pub(super) use error::CommandError;
pub(super) use number::is_integer;

use super::{RespDoor, plan::Plan, request::Request, session::Session, writer::Writer};
use crate::{auth::Scope, coordinator::RequestOptions, metrics::Refused};
use shoal_proto::types::UnixMillis;

/// What is to be done about a request.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Run this.
    Plan(Plan),
    /// Let the connection answer, once everything before it has been.
    Local(fn(&mut Context<'_>, &Request) -> Result<(), CommandError>, Request),
    /// Answer this error, once everything before it has been.
    Refused(CommandError),
}

/// What commands answered by the connection itself work with.
pub(super) struct Context<'a> {
    pub(super) door: &'a RespDoor,
    pub(super) session: &'a mut Session,
    pub(super) writer: Writer<'a>,
}

/// Finds the command of `request` and checks its arguments.
pub(super) fn prepare(door: &RespDoor, session: &mut Session, request: Request, now: UnixMillis) -> Prepared {
    try_prepare(door, session, request, now).unwrap_or_else(Prepared::Refused)
}

fn try_prepare(
    door: &RespDoor,
    session: &mut Session,
    mut request: Request,
    now: UnixMillis,
) -> Result<Prepared, CommandError> {
    let options = RequestOptions { consistency: session.consistency, timeout: None, tag: None };
    let spec = permitted(door, session, &request)?;
    session.command = spec.name;
    let with_outcome = session.with_outcome;
    match spec.handler {
        Handler::Data(plan) => Ok(Prepared::Plan(Plan { options, with_outcome, ..plan(&request, now)? })),
        Handler::Levelless(plan) => Ok(Prepared::Plan(Plan { options, ..plan(&request, now)? })),
        Handler::Local(handler) => Ok(Prepared::Local(handler, request)),
        Handler::Either(plan, handler) => Ok(match plan(&request)? {
            Some(plan) => Prepared::Plan(Plan { options, ..plan }),
            None => Prepared::Local(handler, request),
        }),
        Handler::Level if request.len() <= 2 => Ok(Prepared::Local(consistency::cl, request)),
        Handler::Level => {
            let options = RequestOptions { consistency: consistency::level(&request)?, ..options };
            request.skip(2);
            let spec = permitted(door, session, &request)?;
            match spec.handler {
                Handler::Data(plan) => {
                    Ok(Prepared::Plan(Plan { options, with_outcome, ..plan(&request, now)? }))
                }
                Handler::Local(_) | Handler::Either(..) | Handler::Levelless(_) | Handler::Level => {
                    Err(CommandError::NoLevel(spec.name))
                }
            }
        }
    }
}

/// One command.
#[derive(Debug)]
struct Spec {
    /// In capitals.
    name: &'static str,
    /// What follows the name, as manuals write it.
    arguments: &'static str,
    /// What it does, for people.
    summary: &'static str,
    /// How many arguments, the name included; at least that many when negative.
    arity: i64,
    flags: &'static [&'static str],
    keys: Keys,
    handler: Handler,
}

/// Which arguments are keys, as Redis tells it; the last one is counted from the end when negative.
#[derive(Debug, Clone, Copy)]
struct Keys {
    first: i64,
    last: i64,
    step: i64,
}

#[derive(Debug, Clone, Copy)]
enum Handler {
    /// Becomes a plan for the coordinator.
    Data(fn(&Request, UnixMillis) -> Result<Plan, CommandError>),
    /// Becomes a plan that no level changes.
    Levelless(fn(&Request, UnixMillis) -> Result<Plan, CommandError>),
    /// Answered by the connection.
    Local(fn(&mut Context<'_>, &Request) -> Result<(), CommandError>),
    /// One or the other, depending on the subcommand.
    Either(fn(&Request) -> Result<Option<Plan>, CommandError>, Answer),
    /// `CL`: answered by the connection, or a level before another command.
    Level,
}

impl Spec {
    fn accepts(&self, arguments: usize) -> bool {
        let (arguments, least) = (arguments as u64, self.arity.unsigned_abs());
        if self.arity < 0 { arguments >= least } else { arguments == least }
    }

    /// What a client must be allowed to do for it; `None` when it may still have to prove who it is.
    fn scope(&self) -> Option<Scope> {
        let is = |flag| self.flags.contains(&flag);
        match (is("no_auth"), is("write")) {
            (true, _) => None,
            (false, true) => Some(Scope::Write),
            (false, false) => Some(Scope::Read),
        }
    }
}

const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
const FIRST: Keys = Keys { first: 1, last: 1, step: 1 };
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };
const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

const READ: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write"];
const PLAIN: &[&str] = &["fast", "loading", "stale"];
/// Where its keys are, `COMMAND GETKEYS` tells.
const MOVABLE: &[&str] = &["fast", "loading", "stale", "movablekeys"];
const UNPROVEN: &[&str] = &["fast", "loading", "stale", "no_auth"];

/// Subcommands that change more than the client's own connection: Redis flags them `admin`, their siblings not.
const ADMIN: &[(&str, &str)] = &[
    ("CLIENT", "KILL"),
    ("CLIENT", "PAUSE"),
    ("CLIENT", "UNPAUSE"),
    ("CONFIG", "RESETSTAT"),
    ("CONFIG", "REWRITE"),
    ("CONFIG", "SET"),
];

type Translate = fn(&Request, UnixMillis) -> Result<Plan, CommandError>;
type Answer = fn(&mut Context<'_>, &Request) -> Result<(), CommandError>;

const fn read(
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    arity: i64,
    keys: Keys,
    plan: Translate,
) -> Spec {
    Spec { flags: READ, ..write(name, arguments, summary, arity, keys, plan) }
}

const fn write(
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    arity: i64,
    keys: Keys,
    plan: Translate,
) -> Spec {
    Spec { name, arguments, summary, arity, flags: WRITE, keys, handler: Handler::Data(plan) }
}

const fn local(
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    arity: i64,
    answer: Answer,
) -> Spec {
    Spec { name, arguments, summary, arity, flags: PLAIN, keys: NONE, handler: Handler::Local(answer) }
}

/// One that a client may give that has still to authenticate.
const fn unproven(
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    arity: i64,
    answer: Answer,
) -> Spec {
    Spec { flags: UNPROVEN, ..local(name, arguments, summary, arity, answer) }
}

const fn flush(name: &'static str, summary: &'static str) -> Spec {
    let handler = Handler::Levelless(keyspace::flush);
    Spec { name, arguments: "[ASYNC | SYNC]", summary, arity: -1, flags: WRITE, keys: NONE, handler }
}

const fn either(
    name: &'static str,
    summary: &'static str,
    keys: Keys,
    plan: fn(&Request) -> Result<Option<Plan>, CommandError>,
    answer: Answer,
) -> Spec {
    let (arguments, handler) = ("subcommand [argument ...]", Handler::Either(plan, answer));
    Spec { name, arguments, summary, arity: -2, flags: &["readonly"], keys, handler }
}

/// All commands, sorted by name.
const SPECS: &[Spec] = &[
    local("ACL", "WHOAMI", "Tells which user the connection is", -2, acl::acl),
    local("ASKING", "", "Accepted: every node serves every key", 1, cluster::accepted),
    unproven("AUTH", "[username] password", "Authenticates the connection", -2, acl::auth),
    Spec {
        name: "CL",
        arguments: "[level [command [argument ...]]]",
        summary: "Tells or sets the connection's consistency level, or runs one command at a level",
        arity: -1,
        flags: MOVABLE,
        keys: NONE,
        handler: Handler::Level,
    },
    local(
        "CLIENT",
        "subcommand [argument ...]",
        "Tells and sets what a connection says of itself",
        -2,
        client::client,
    ),
    either("CLUSTER", "Tells who owns which hash slots", NONE, cluster::plan, cluster::cluster),
    local(
        "COMMAND",
        "[subcommand [argument ...]]",
        "Tells which commands there are",
        -1,
        introspection::command,
    ),
    local(
        "CONFIG",
        "subcommand [argument ...]",
        "Tells settings, and changes those that can change while the node runs",
        -2,
        config::config,
    ),
    local("DBSIZE", "", "Counts the values this node holds", 1, server::dbsize),
    write("DEL", "key [key ...]", "Deletes keys, at QUORUM unless a level is chosen", -2, ALL, key::delete),
    local("ECHO", "message", "Answers the message", 2, connection::echo),
    read("EXISTS", "key [key ...]", "Counts the keys that exist", -2, ALL, key::exists),
    write(
        "EXPIRE",
        "key seconds [NX | XX | GT | LT]",
        "Lets a key expire after a time",
        -3,
        FIRST,
        key::expire,
    ),
    write(
        "EXPIREAT",
        "key unix-time-seconds [NX | XX | GT | LT]",
        "Lets a key expire at an instant",
        -3,
        FIRST,
        key::expire_at,
    ),
    read("EXPIRETIME", "key", "Tells when a key expires, in Unix seconds", 2, FIRST, key::expire_time),
    flush("FLUSHALL", "Drops all keys of the whole cluster"),
    flush("FLUSHDB", "Drops all keys of the whole cluster, which has one database"),
    read("GET", "key", "Reads a value", 2, FIRST, string::get),
    write(
        "GETEX",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        "Reads a value, and then changes when it expires",
        -2,
        FIRST,
        string::getex,
    ),
    read("GETRANGE", "key start end", "Reads a part of a value", 4, FIRST, string::getrange),
    unproven(
        "HELLO",
        "[protover [AUTH username password] [SETNAME clientname]]",
        "Greets, and chooses RESP2 or RESP3",
        -1,
        hello::hello,
    ),
    local("INFO", "[section [section ...]]", "Tells about this node", -1, server::info),
    either("MEMORY", "Tells what a key is charged", SECOND, object::memory_plan, object::memory),
    read("MGET", "key [key ...]", "Reads many values", -2, ALL, string::mget),
    write("MSET", "key value [key value ...]", "Stores many values", -3, PAIRS, string::mset),
    either("OBJECT", "Tells how a value is kept", SECOND, object::object_plan, object::object),
    write("PERSIST", "key", "Takes the expiry of a key away", 2, FIRST, key::persist),
    write(
        "PEXPIRE",
        "key milliseconds [NX | XX | GT | LT]",
        "Lets a key expire after a time",
        -3,
        FIRST,
        key::pexpire,
    ),
    write(
        "PEXPIREAT",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
        "Lets a key expire at an instant",
        -3,
        FIRST,
        key::pexpire_at,
    ),
    read("PEXPIRETIME", "key", "Tells when a key expires, in Unix milliseconds", 2, FIRST, key::pexpire_time),
    local("PING", "[message]", "Answers PONG, or the message", -1, connection::ping),
    write(
        "PSETEX",
        "key milliseconds value",
        "Stores a value that expires after a time",
        4,
        FIRST,
        string::psetex,
    ),
    read("PTTL", "key", "Tells how long a key has to live, in milliseconds", 2, FIRST, key::pttl),
    unproven("QUIT", "", "Closes the connection", -1, connection::quit),
    local("READONLY", "", "Accepted: every node serves reads and writes", 1, cluster::accepted),
    local("READWRITE", "", "Accepted: every node serves reads and writes", 1, cluster::accepted),
    unproven("RESET", "", "Makes the connection as it began", 1, connection::reset),
    Spec {
        name: "SCAN",
        arguments: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        summary: "Walks over all keys of the whole cluster",
        arity: -2,
        flags: &["readonly"],
        keys: NONE,
        handler: Handler::Levelless(keyspace::scan),
    },
    local("SELECT", "index", "Accepts database 0, the only one", 2, connection::select),
    write(
        "SET",
        "key value [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "Stores a value",
        -3,
        FIRST,
        string::set,
    ),
    write("SETEX", "key seconds value", "Stores a value that expires after a time", 4, FIRST, string::setex),
    Spec {
        name: "SHOAL.EXPLAIN",
        arguments: "key",
        summary: "Tells what every owner of a key holds, and where hints of it wait",
        arity: 2,
        flags: &["readonly"],
        keys: FIRST,
        handler: Handler::Levelless(key::explain),
    },
    local(
        "SHOAL.OUTCOME",
        "[ON | OFF]",
        "Tells or sets whether answers come with what they were worth",
        -1,
        consistency::outcome,
    ),
    read("STRLEN", "key", "Tells the length of a value", 2, FIRST, string::strlen),
    read("SUBSTR", "key start end", "Reads a part of a value, as GETRANGE does", 4, FIRST, string::getrange),
    local("TIME", "", "Tells the node's clock", 1, server::time),
    read(
        "TOUCH",
        "key [key ...]",
        "Counts the keys that exist, and counts as their use",
        -2,
        ALL,
        key::exists,
    ),
    read("TTL", "key", "Tells how long a key has to live, in seconds", 2, FIRST, key::ttl),
    read("TYPE", "key", "Tells the type of a value: string", 2, FIRST, key::type_name),
    write("UNLINK", "key [key ...]", "Deletes keys, as DEL does", -2, ALL, key::delete),
];

/// The longest name, rounded up to what fits one comparison.
const NAME_BYTES: usize = 16;

/// The names of [`SPECS`] as numbers that sort as they do.
static NAMES: [u128; SPECS.len()] = {
    let mut names = [0; SPECS.len()];
    let mut at = 0;
    while at < SPECS.len() {
        names[at] = packed(SPECS[at].name.as_bytes());
        assert!(at == 0 || names[at - 1] < names[at], "commands are sorted by name");
        at += 1;
    }
    names
};

/// The command `request` names.
fn find(request: &Request) -> Result<&'static Spec, CommandError> {
    let name = request.argument(0);
    let unknown = || refused::reason(name).unwrap_or_else(|| CommandError::unknown(request));
    let spec = lookup(name).ok_or_else(unknown)?;
    if spec.accepts(request.len()) { Ok(spec) } else { Err(CommandError::Arity(spec.name)) }
}

/// The same, if the client may give it. Every request passes here, the one after `CL` as well.
fn permitted(door: &RespDoor, session: &Session, request: &Request) -> Result<&'static Spec, CommandError> {
    let spec = match find(request) {
        Err(CommandError::Refused { .. }) if session.identity.is_none() => {
            door.gate.count(Refused::Missing);
            return Err(CommandError::Unproven);
        }
        found => found?,
    };
    // Nothing is looked up for who may do everything.
    if session.identity.as_ref().is_some_and(|identity| identity.scope() == Scope::Write) {
        return Ok(spec);
    }
    let admin = ADMIN.iter().find(|(name, sub)| *name == spec.name && is(request.argument(1), sub));
    let needed = if admin.is_some() { Some(Scope::Write) } else { spec.scope() };
    let (why, error) = match (&session.identity, needed) {
        (_, None) => return Ok(spec),
        (Some(identity), Some(scope)) if identity.scope() >= scope => return Ok(spec),
        (Some(identity), _) => {
            let user = identity.name().to_owned();
            let command = admin.map_or_else(|| spec.name.to_owned(), |(name, sub)| format!("{name}|{sub}"));
            (Refused::Forbidden, CommandError::Forbidden { user, command })
        }
        (None, _) => (Refused::Missing, CommandError::Unproven),
    };
    door.gate.count(why);
    Err(error)
}

/// The command of that name, in any case.
fn lookup(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > NAME_BYTES {
        return None;
    }
    let spec = &SPECS[NAMES.binary_search(&packed(name)).ok()?];
    // Names are padded with zeros, which a client could send too.
    (spec.name.len() == name.len()).then_some(spec)
}

/// A name of at most [`NAME_BYTES`] in capitals, as one number.
const fn packed(name: &[u8]) -> u128 {
    let mut bytes = [0; NAME_BYTES];
    let mut at = 0;
    while at < name.len() {
        bytes[at] = name[at].to_ascii_uppercase();
        at += 1;
    }
    u128::from_be_bytes(bytes)
}

/// Whether an argument is this word, in any case.
fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests;
