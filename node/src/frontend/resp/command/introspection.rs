//! `COMMAND`: the table of commands, as clients read it.

use super::{Context, SPECS, Spec, error::CommandError, is, lookup};
use crate::frontend::resp::{request::Request, writer::Writer};

/// `COMMAND [COUNT | LIST | INFO [name...] | DOCS [name...]]`
pub(super) fn command(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let writer = &mut context.writer;
    let offered = || SPECS.iter().filter(|spec| spec.is_offered());
    match request.argument(1) {
        _ if request.len() == 1 => {
            writer.array(offered().count());
            offered().for_each(|spec| describe(spec, writer));
        }
        sub if is(sub, "COUNT") && request.len() == 2 => writer.integer(offered().count() as i64),
        sub if is(sub, "LIST") && request.len() == 2 => {
            writer.array(offered().count());
            offered().for_each(|spec| writer.bulk(spec.name.to_ascii_lowercase().as_bytes()));
        }
        sub if is(sub, "INFO") && request.len() == 2 => {
            writer.array(offered().count());
            offered().for_each(|spec| describe(spec, writer));
        }
        sub if is(sub, "INFO") => {
            writer.array(request.len() - 2);
            for name in request.arguments().skip(2) {
                match lookup(name).filter(|spec| spec.is_offered()) {
                    Some(spec) => describe(spec, writer),
                    None => writer.null_array(),
                }
            }
        }
        sub if is(sub, "DOCS") => writer.map(0),
        sub if is(sub, "COUNT") || is(sub, "LIST") => return Err(CommandError::Arity("COMMAND")),
        _ => return Err(CommandError::subcommand("COMMAND", request)),
    }
    Ok(())
}

fn describe(spec: &Spec, writer: &mut Writer<'_>) {
    writer.array(6);
    writer.bulk(spec.name.to_ascii_lowercase().as_bytes());
    writer.integer(spec.arity);
    writer.set(spec.flags.len());
    spec.flags.iter().for_each(|flag| writer.simple(flag));
    writer.integer(spec.keys.first);
    writer.integer(spec.keys.last);
    writer.integer(spec.keys.step);
}
