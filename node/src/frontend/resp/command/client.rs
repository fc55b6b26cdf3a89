//! `CLIENT`: what connections say of themselves, and of each other.

mod kill;
mod line;

use super::{Context, error::CommandError, is, number::integer};
use crate::frontend::resp::{request::Request, session::Replies};
use bytes::Bytes;
use std::collections::BTreeSet;

const HELP: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME | SETNAME <name> | SETINFO <LIB-NAME name | LIB-VER version> | ID",
    "    What this connection is called.",
    "INFO",
    "    Describe this connection.",
    "LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID <id> [<id> ...]]",
    "    Describe the connections of this node.",
    "KILL <ip:port>",
    "KILL <ID id | ADDR ip:port | LADDR ip:port | TYPE type | USER name | MAXAGE seconds | SKIPME yes/no> ...",
    "    Close connections of this node.",
    "REPLY <ON | OFF | SKIP>",
    "    Choose which commands are answered.",
    "NO-EVICT <ON | OFF>",
    "    Whether this connection stays when clients hold too much.",
    "NO-TOUCH <ON | OFF>",
    "    Accepted; reads count as use of a key all the same.",
    "GETREDIR | TRACKINGINFO | TRACKING OFF | UNBLOCK <id>",
    "    Nothing is tracked here and nothing blocks.",
    "HELP",
    "    Print this help.",
];

const SUBCOMMANDS: [&str; 18] = [
    "CACHING",
    "GETNAME",
    "GETREDIR",
    "HELP",
    "ID",
    "INFO",
    "KILL",
    "LIST",
    "NO-EVICT",
    "NO-TOUCH",
    "PAUSE",
    "REPLY",
    "SETINFO",
    "SETNAME",
    "TRACKING",
    "TRACKINGINFO",
    "UNBLOCK",
    "UNPAUSE",
];

/// `CLIENT subcommand`
pub(super) fn client(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let Context { door, session, writer } = context;
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "ID") => writer.integer(session.id as i64),
        (sub, 2) if is(sub, "GETNAME") => {
            if session.name.is_empty() {
                writer.null()
            } else {
                writer.bulk(&session.name)
            }
        }
        (sub, 3) if is(sub, "SETNAME") => {
            session.name = checked(request.shared(2), "Client names")?;
            writer.ok();
        }
        (sub, 4) if is(sub, "SETINFO") => {
            match request.argument(2) {
                field if is(field, "LIB-NAME") => session.library = checked(request.shared(3), "lib-name")?,
                field if is(field, "LIB-VER") => {
                    session.library_version = checked(request.shared(3), "lib-ver")?
                }
                field => return Err(CommandError::unrecognized(field)),
            }
            writer.ok();
        }
        (sub, 2) if is(sub, "INFO") => writer.text(&line::of_this(door, session)),
        (sub, _) if is(sub, "LIST") => {
            let chosen = Chosen::read(request)?;
            writer.text(&line::of_all(door, session, |id| chosen.has(id)));
        }
        (sub, 3..) if is(sub, "KILL") => kill::kill(context, request)?,
        (sub, 3) if is(sub, "REPLY") => match request.argument(2) {
            mode if is(mode, "ON") => {
                session.replies = Replies::On;
                writer.ok();
            }
            mode if is(mode, "OFF") => session.replies = Replies::Off,
            mode if is(mode, "SKIP") && session.replies != Replies::Off => {
                session.replies = Replies::SkipNext
            }
            mode if is(mode, "SKIP") => {}
            _ => return Err(CommandError::Syntax),
        },
        (sub, 3) if is(sub, "NO-EVICT") => {
            session.no_evict = switch(request.argument(2))?;
            writer.ok();
        }
        (sub, 3) if is(sub, "NO-TOUCH") => {
            session.no_touch = switch(request.argument(2))?;
            writer.ok();
        }
        (sub, 2) if is(sub, "GETREDIR") => writer.integer(-1),
        (sub, 2) if is(sub, "TRACKINGINFO") => {
            writer.map(3);
            writer.bulk(b"flags");
            writer.set(1);
            writer.bulk(b"off");
            writer.bulk(b"redirect");
            writer.integer(-1);
            writer.bulk(b"prefixes");
            writer.array(0);
        }
        (sub, 3..) if is(sub, "TRACKING") => {
            if switch(request.argument(2))? {
                return Err(CommandError::NotOffered(
                    "client-side caching needs word of every change, which this store does not send",
                ));
            }
            writer.ok();
        }
        (sub, 3) if is(sub, "CACHING") => {
            return Err(CommandError::NotOffered(
                "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
            ));
        }
        (sub, 3 | 4) if is(sub, "UNBLOCK") => {
            integer(request.argument(2))?;
            // No command blocks.
            writer.integer(0);
        }
        (sub, _) if is(sub, "PAUSE") || is(sub, "UNPAUSE") => {
            return Err(CommandError::NotOffered(
                "clients are not paused: a pause on one node would not hold back those of the others",
            ));
        }
        (sub, 2) if is(sub, "HELP") => writer.lines(HELP),
        (sub, _) => {
            return Err(match SUBCOMMANDS.into_iter().find(|known| is(sub, known)) {
                Some(sub) => CommandError::SubcommandArity("CLIENT", sub),
                None => CommandError::subcommand("CLIENT", request),
            });
        }
    }
    Ok(())
}

/// Which clients `CLIENT LIST` is to tell of.
struct Chosen {
    /// Clients are there but of one type.
    any: bool,
    ids: Option<BTreeSet<u64>>,
}

impl Chosen {
    fn read(request: &Request) -> Result<Self, CommandError> {
        let mut chosen = Self { any: true, ids: None };
        let mut at = 2;
        while at < request.len() {
            match request.argument(at) {
                option if is(option, "TYPE") && at + 1 < request.len() => {
                    chosen.any = is_type(request.argument(at + 1))?;
                    at += 2;
                }
                option if is(option, "ID") && at + 1 < request.len() => {
                    let ids = (at + 1..request.len()).map(|at| number(request.argument(at)));
                    chosen.ids = Some(ids.collect::<Result<_, _>>()?);
                    at = request.len();
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(chosen)
    }

    fn has(&self, id: u64) -> bool {
        self.any && self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

/// Whether clients are of this type: all are normal ones.
fn is_type(name: &[u8]) -> Result<bool, CommandError> {
    match name {
        name if is(name, "NORMAL") => Ok(true),
        name if ["MASTER", "REPLICA", "SLAVE", "PUBSUB"].iter().any(|other| is(name, other)) => Ok(false),
        name => Err(CommandError::client_type(name)),
    }
}

/// The number of a client.
fn number(text: &[u8]) -> Result<u64, CommandError> {
    let number = integer(text).ok().and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(CommandError::NotOffered("Invalid client ID"))
}

fn switch(text: &[u8]) -> Result<bool, CommandError> {
    match text {
        text if is(text, "ON") => Ok(true),
        text if is(text, "OFF") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

/// A name that can stand in a line of `CLIENT LIST`: printable and without blanks.
pub(super) fn checked(name: Bytes, what: &'static str) -> Result<Bytes, CommandError> {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(CommandError::Name(what));
    }
    // A copy, so that a name does not keep alive the buffer it was read into.
    Ok(Bytes::copy_from_slice(&name))
}
