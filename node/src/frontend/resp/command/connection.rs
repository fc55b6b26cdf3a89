//! Commands about the connection itself.

use super::{Context, error::CommandError, number::integer};
use crate::frontend::resp::request::Request;

/// `PING [message]`
pub(super) fn ping(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match request.len() {
        1 => context.writer.simple("PONG"),
        2 => context.writer.bulk(request.argument(1)),
        _ => return Err(CommandError::Arity("PING")),
    }
    Ok(())
}

/// `ECHO message`
pub(super) fn echo(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    context.writer.bulk(request.argument(1));
    Ok(())
}

/// `SELECT 0`: there is one keyspace.
pub(super) fn select(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    if integer(request.argument(1))? != 0 {
        return Err(CommandError::Database);
    }
    context.writer.ok();
    Ok(())
}

/// `QUIT`
pub(super) fn quit(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    context.session.closing = true;
    context.writer.ok();
    Ok(())
}

/// `RESET`: the connection is as it began.
pub(super) fn reset(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    context.session.reset();
    context.session.identity = context.door.gate.anonymous();
    context.writer.set_protocol(context.session.protocol);
    context.writer.simple("RESET");
    Ok(())
}
