//! `AUTH`, and `ACL` as far as it tells who one is.

use super::{Context, error::CommandError, is};
use crate::{auth::DEFAULT_USER, frontend::resp::request::Request};

/// `AUTH [username] password`
pub(super) fn auth(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match request.len() {
        // Without a password there is nothing that the client can have meant.
        2 if context.door.gate.anonymous().is_some() => return Err(CommandError::NoPassword),
        2 => prove(context, DEFAULT_USER.as_bytes(), request.argument(1))?,
        3 => prove(context, request.argument(1), request.argument(2))?,
        _ => return Err(CommandError::Syntax),
    }
    context.writer.ok();
    Ok(())
}

/// Makes the connection that of a user. Where nobody has to prove anything, any password is the default user's.
pub(super) fn prove(context: &mut Context<'_>, name: &[u8], secret: &[u8]) -> Result<(), CommandError> {
    let gate = &context.door.gate;
    let anybody = gate.anonymous().filter(|anybody| anybody.name().as_bytes() == name);
    let identity = match anybody {
        Some(anybody) => anybody,
        None => gate.prove(name, secret).map_err(|_| CommandError::WrongPassword)?,
    };
    context.session.identity = Some(identity);
    Ok(())
}

/// `ACL WHOAMI`
pub(super) fn acl(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "WHOAMI") => {
            let name = context.session.identity.as_ref().map_or(DEFAULT_USER, |identity| identity.name());
            context.writer.bulk(name.as_bytes());
            Ok(())
        }
        (sub, _) if is(sub, "WHOAMI") => Err(CommandError::Arity("ACL")),
        _ => Err(CommandError::subcommand("ACL", request)),
    }
}
