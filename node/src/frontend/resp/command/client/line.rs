//! Clients as `CLIENT LIST` tells of them: the fields that tools of Redis read, and the level.

use crate::{
    auth::{DEFAULT_USER, Identity},
    frontend::resp::{RespDoor, clients::Seen, session::Session},
};
use shoal_proto::types::UnixMillis;
use std::fmt::Write as _;

/// What a connection takes beside what it holds, roughly.
const CONNECTION_BYTES: usize = 4 * 1024;

/// The line of the client that asks.
pub(super) fn of_this(door: &RespDoor, session: &Session) -> String {
    of_all(door, session, |id| id == session.id)
}

/// The lines of the clients that are chosen; `session` is the one that asks, as of now.
pub(super) fn of_all(door: &RespDoor, session: &Session, chosen: impl Fn(u64) -> bool) -> String {
    let mut text = String::new();
    for seen in door.clients.list().into_iter().filter(|seen| chosen(seen.session.id)) {
        let is_this = seen.session.id == session.id;
        let seen = if is_this { Seen { session: session.clone(), ..seen } } else { seen };
        write(&mut text, &seen, door.backend.now());
    }
    text
}

fn write(text: &mut String, seen: &Seen, now: UnixMillis) {
    let Seen { session, holding, active } = seen;
    let name = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let user = session.identity.as_ref().map_or(DEFAULT_USER, Identity::name);
    let flags = match (session.no_evict, session.no_touch) {
        (false, false) => "N",
        (true, false) => "e",
        (false, true) => "T",
        (true, true) => "eT",
    };
    let fields: [(&str, &dyn std::fmt::Display); 28] = [
        ("id", &session.id),
        ("addr", &session.peer),
        ("laddr", &session.local),
        ("fd", &-1),
        ("name", &name(&session.name)),
        ("age", &now.saturating_since(session.since).as_secs()),
        ("idle", &now.saturating_since(*active).as_secs()),
        ("flags", &flags),
        ("db", &0),
        ("sub", &0),
        ("psub", &0),
        ("ssub", &0),
        ("multi", &-1),
        ("qbuf", &holding.unread),
        ("qbuf-free", &holding.input.saturating_sub(holding.unread)),
        ("argv-mem", &holding.under_way),
        ("obl", &holding.unsent),
        ("oll", &holding.running),
        ("omem", &holding.output),
        ("tot-mem", &(CONNECTION_BYTES + holding.bytes())),
        ("events", &if holding.unsent > 0 { "rw" } else { "r" }),
        ("cmd", &session.command.to_ascii_lowercase()),
        ("user", &user),
        ("redir", &-1),
        ("resp", &session.protocol.number()),
        ("lib-name", &name(&session.library)),
        ("lib-ver", &name(&session.library_version)),
        ("consistency", &session.consistency.map_or("DEFAULT", |level| level.name())),
    ];
    let fields = fields.map(|(name, value)| format!("{name}={value}"));
    let _ = writeln!(text, "{}", fields.join(" "));
}
