//! `CL`: how many owners must take part; `SHOAL.OUTCOME`: whether it is told how many did.

use super::{Context, error::CommandError, is};
use crate::frontend::resp::request::Request;
use shoal_proto::types::Consistency;

/// What stands for leaving the level to the node.
const DEFAULT: &str = "DEFAULT";

/// `CL` tells the connection's level, `CL level` sets it.
pub(super) fn cl(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    if request.len() == 1 {
        context.writer.simple(context.session.consistency.map_or(DEFAULT, Consistency::name));
    } else {
        context.session.consistency = level(request)?;
        context.writer.ok();
    }
    Ok(())
}

/// `SHOAL.OUTCOME` tells whether answers come with what they were worth, `SHOAL.OUTCOME ON|OFF` sets it.
pub(super) fn outcome(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match request.argument(1) {
        _ if request.len() > 2 => return Err(CommandError::Arity("SHOAL.OUTCOME")),
        _ if request.len() == 1 => {
            context.writer.simple(if context.session.with_outcome { "ON" } else { "OFF" });
            return Ok(());
        }
        switch if is(switch, "ON") => context.session.with_outcome = true,
        switch if is(switch, "OFF") => context.session.with_outcome = false,
        _ => return Err(CommandError::Syntax),
    }
    context.writer.ok();
    Ok(())
}

/// The level named after `CL`; `None` for `DEFAULT`.
pub(super) fn level(request: &Request) -> Result<Option<Consistency>, CommandError> {
    let name = request.argument(1);
    if is(name, DEFAULT) { Ok(None) } else { Ok(Some(String::from_utf8_lossy(name).parse()?)) }
}
