//! `HELLO`

use super::{Context, acl, client, error::CommandError, is, number::integer};
use crate::frontend::resp::{request::Request, writer::Protocol};

/// `HELLO [2|3 [AUTH user password] [SETNAME name]]`
pub(super) fn hello(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let mut protocol = context.session.protocol;
    let (mut name, mut proof) = (None, None);
    if request.len() > 1 {
        protocol = match integer(request.argument(1)) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            _ => return Err(CommandError::Protocol),
        };
        let mut at = 2;
        while at < request.len() {
            match request.argument(at) {
                option if is(option, "AUTH") && at + 2 < request.len() => {
                    proof = Some((request.argument(at + 1), request.argument(at + 2)));
                    at += 3;
                }
                option if is(option, "SETNAME") && at + 1 < request.len() => {
                    name = Some(client::checked(request.shared(at + 1), "Client names")?);
                    at += 2;
                }
                _ => return Err(CommandError::Syntax),
            }
        }
    }
    if let Some((name, secret)) = proof {
        acl::prove(context, name, secret)?;
    }
    if context.session.identity.is_none() {
        return Err(CommandError::HelloUnproven);
    }
    context.session.protocol = protocol;
    context.session.name = name.unwrap_or_else(|| std::mem::take(&mut context.session.name));
    let writer = &mut context.writer;
    writer.set_protocol(protocol);
    writer.map(7);
    for (field, text) in [("server", "shoal"), ("version", env!("CARGO_PKG_VERSION"))] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    writer.bulk(b"proto");
    writer.integer(protocol.number());
    writer.bulk(b"id");
    writer.integer(context.session.id as i64);
    for (field, text) in [("mode", "cluster"), ("role", "master")] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    writer.bulk(b"modules");
    writer.array(0);
    Ok(())
}
