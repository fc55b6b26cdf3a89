//! `CLIENT`: what a connection says of itself.

use super::{Context, error::CommandError, is};
use crate::frontend::resp::{request::Request, session::Session};
use bytes::Bytes;
use shoal_proto::types::UnixMillis;

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
                field => return Err(CommandError::option(field)),
            }
            writer.ok();
        }
        // A connection knows of no other; each answers for itself.
        (sub, 2) if is(sub, "INFO") || is(sub, "LIST") => {
            writer.text(&description(session, door.backend.now()));
        }
        (sub, 3) if is(sub, "NO-EVICT") || is(sub, "NO-TOUCH") => match request.argument(2) {
            switch if is(switch, "ON") || is(switch, "OFF") => writer.ok(),
            _ => return Err(CommandError::Syntax),
        },
        (sub, 3) if is(sub, "REPLY") => match request.argument(2) {
            mode if is(mode, "ON") => writer.ok(),
            mode if is(mode, "OFF") || is(mode, "SKIP") => {
                return Err(CommandError::NotOffered(
                    "every command is answered: only CLIENT REPLY ON is offered",
                ));
            }
            _ => return Err(CommandError::Syntax),
        },
        (sub, _) if SUBCOMMANDS.iter().any(|known| is(sub, known)) => {
            return Err(CommandError::Arity("CLIENT"));
        }
        _ => return Err(CommandError::subcommand("CLIENT", request)),
    }
    Ok(())
}

const SUBCOMMANDS: [&str; 9] =
    ["ID", "GETNAME", "SETNAME", "SETINFO", "INFO", "LIST", "NO-EVICT", "NO-TOUCH", "REPLY"];

/// A name that can stand in a line of `CLIENT LIST`: printable and without blanks.
pub(super) fn checked(name: Bytes, what: &'static str) -> Result<Bytes, CommandError> {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(CommandError::Name(what));
    }
    // A copy, so that a name does not keep alive the buffer it was read into.
    Ok(Bytes::copy_from_slice(&name))
}

fn description(session: &Session, now: UnixMillis) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "id={} addr={} name={} age={} db=0 lib-name={} lib-ver={} resp={} consistency={}\n",
        session.id,
        session.peer,
        text(&session.name),
        now.saturating_since(session.since).as_secs(),
        text(&session.library),
        text(&session.library_version),
        session.protocol.number(),
        session.consistency.map_or("DEFAULT", |level| level.name()),
    )
}
