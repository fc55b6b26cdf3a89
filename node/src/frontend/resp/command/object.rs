//! `OBJECT` and `MEMORY`: how values are kept.

use super::{Context, error::CommandError, is};
use crate::frontend::{
    Command,
    resp::{
        plan::{Plan, Shape},
        request::Request,
    },
};
use shoal_proto::types::Key;

const OBJECT_HELP: [&str; 11] = [
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation Redis would use for the value.",
    "REFCOUNT <key>",
    "    Return 1 for a key that exists.",
    "FREQ <key>",
    "    Return how often the key was used lately, 15 at most, under a policy that counts.",
    "IDLETIME <key>",
    "    Refused: the times at which keys were used are not kept.",
    "HELP",
    "    Print this help.",
];
const MEMORY_HELP: [&str; 5] = [
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "USAGE <key> [SAMPLES <count>]",
    "    Return what each owner is charged for the key, its value and what it takes to keep them.",
    "HELP",
    "    Print this help.",
];
const NO_IDLE_TIME: &str =
    "idle time is not tracked: keys are kept in order of use, without the times at which they were used";
const NO_MEMORY_REPORT: &str = "MEMORY has USAGE alone: INFO memory and the metrics tell what a node holds";

/// `OBJECT ENCODING | REFCOUNT | FREQ key`
pub(super) fn object_plan(request: &Request) -> Result<Option<Plan>, CommandError> {
    let shape = match (request.argument(1), request.len()) {
        (sub, 3) if is(sub, "ENCODING") => Shape::Encoding,
        (sub, 3) if is(sub, "REFCOUNT") => Shape::References,
        (sub, 3) if is(sub, "FREQ") => {
            let key = Key::new(request.shared(2))?;
            return Ok(Some(Plan::one(Command::Explain(key), Shape::Frequency)));
        }
        _ => return Ok(None),
    };
    Ok(Some(Plan::one(Command::Get(Key::new(request.shared(2))?), shape)))
}

/// The other subcommands of `OBJECT`.
pub(super) fn object(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "HELP") => help(&OBJECT_HELP, context),
        (sub, 3) if is(sub, "IDLETIME") => return Err(CommandError::NotOffered(NO_IDLE_TIME)),
        (sub, _)
            if ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ", "HELP"].iter().any(|known| is(sub, known)) =>
        {
            return Err(CommandError::Arity("OBJECT"));
        }
        _ => return Err(CommandError::subcommand("OBJECT", request)),
    }
    Ok(())
}

/// `MEMORY USAGE key [SAMPLES count]`: a value has no parts to sample.
pub(super) fn memory_plan(request: &Request) -> Result<Option<Plan>, CommandError> {
    match (request.argument(1), request.len()) {
        (sub, 3) if is(sub, "USAGE") => {}
        (sub, 5) if is(sub, "USAGE") && is(request.argument(3), "SAMPLES") => {
            if super::number::integer(request.argument(4))? < 0 {
                return Err(CommandError::Syntax);
            }
        }
        (sub, 4..) if is(sub, "USAGE") => return Err(CommandError::Syntax),
        _ => return Ok(None),
    }
    Ok(Some(Plan::one(Command::Usage(Key::new(request.shared(2))?), Shape::Usage)))
}

/// The other subcommands of `MEMORY`.
pub(super) fn memory(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "HELP") => help(&MEMORY_HELP, context),
        (sub, 2) if ["STATS", "DOCTOR", "PURGE", "MALLOC-STATS"].iter().any(|known| is(sub, known)) => {
            return Err(CommandError::NotOffered(NO_MEMORY_REPORT));
        }
        (sub, _) if is(sub, "USAGE") || is(sub, "HELP") => return Err(CommandError::Arity("MEMORY")),
        _ => return Err(CommandError::subcommand("MEMORY", request)),
    }
    Ok(())
}

fn help(lines: &[&str], context: &mut Context<'_>) {
    context.writer.array(lines.len());
    lines.iter().for_each(|line| context.writer.simple(line));
}
