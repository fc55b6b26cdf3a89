//! `CLIENT KILL`

use super::{super::Context, is_type, number};
use crate::{
    auth::{DEFAULT_USER, Identity},
    frontend::resp::{
        clients::Seen,
        command::{error::CommandError, is, number::integer},
        request::Request,
    },
};
use std::time::Duration;

/// Which clients are to go: those that all of it is true of.
#[derive(Debug, Default)]
struct Filter<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    /// None is of the type that was asked for.
    none: bool,
    age: Option<Duration>,
    with_me: bool,
}

/// `CLIENT KILL address`, or `CLIENT KILL filter value ...`: the one who asks is spared unless it says otherwise.
pub(super) fn kill(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let old = request.len() == 3;
    let filter = match old {
        true => Filter { peer: Some(request.argument(2)), with_me: true, ..Filter::default() },
        false => read(request)?,
    };
    let now = context.door.backend.now();
    let fits = |seen: &Seen| {
        let session = &seen.session;
        !filter.none
            && filter.id.is_none_or(|id| id == session.id)
            && filter.peer.is_none_or(|peer| peer == session.peer.as_bytes())
            && filter.local.is_none_or(|local| local == session.local.as_bytes())
            && filter.user.is_none_or(|user| {
                user == session.identity.as_ref().map_or(DEFAULT_USER, Identity::name).as_bytes()
            })
            && filter.age.is_none_or(|age| now.saturating_since(session.since) >= age)
            && (filter.with_me || session.id != context.session.id)
    };
    let ids: Vec<u64> =
        context.door.clients.list().iter().filter(|seen| fits(seen)).map(|seen| seen.session.id).collect();
    for id in &ids {
        if *id == context.session.id {
            // It is answered before it goes.
            context.session.closing = true;
        } else {
            context.door.clients.kill(*id);
        }
    }
    match (old, ids.is_empty()) {
        (true, true) => return Err(CommandError::NotOffered("No such client")),
        (true, false) => context.writer.ok(),
        (false, _) => context.writer.integer(ids.len() as i64),
    }
    Ok(())
}

fn read(request: &Request) -> Result<Filter<'_>, CommandError> {
    if !request.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let mut filter = Filter::default();
    for at in (2..request.len()).step_by(2) {
        let value = request.argument(at + 1);
        match request.argument(at) {
            name if is(name, "ID") => filter.id = Some(number(value)?),
            name if is(name, "ADDR") => filter.peer = Some(value),
            name if is(name, "LADDR") => filter.local = Some(value),
            name if is(name, "TYPE") => filter.none |= !is_type(value)?,
            name if is(name, "USER") => filter.user = Some(value),
            name if is(name, "MAXAGE") => {
                let seconds = u64::try_from(integer(value)?).map_err(|_| CommandError::NotAnInteger)?;
                filter.age = Some(Duration::from_secs(seconds));
            }
            name if is(name, "SKIPME") && is(value, "YES") => filter.with_me = false,
            name if is(name, "SKIPME") && is(value, "NO") => filter.with_me = true,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(filter)
}
