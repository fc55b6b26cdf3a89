//! `CONFIG`: what the node was told, and what of it can be told anew.

use super::{Context, error::CommandError, is};
use crate::{coordinator::Glob, frontend::resp::request::Request};

const HELP: &[&str] = &[
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern> [<pattern> ...]",
    "    Return settings that match a pattern, by their names here and in Redis.",
    "SET <setting> <value> [<setting> <value> ...]",
    "    Change settings of this node until it stops.",
    "RESETSTAT",
    "    Let the counters of INFO begin anew; those of /metrics go on.",
    "HELP",
    "    Print this help.",
];

/// `CONFIG GET | SET | RESETSTAT | HELP`
pub(super) fn config(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let writer = &mut context.writer;
    match (request.argument(1), request.len()) {
        (sub, 3..) if is(sub, "GET") => {
            let patterns =
                request.arguments().skip(2).map(|pattern| Glob::new(&pattern.to_ascii_lowercase()));
            let patterns: Vec<Glob> = patterns.collect();
            let mut settings = context.door.live.all();
            settings.retain(|(name, _)| patterns.iter().any(|pattern| pattern.is_match(name.as_bytes())));
            writer.map(settings.len());
            for (name, value) in settings {
                writer.bulk(name.as_bytes());
                writer.bulk(value.as_bytes());
            }
        }
        (sub, 4..) if is(sub, "SET") && request.len().is_multiple_of(2) => {
            let words: Vec<_> = request.arguments().skip(2).map(String::from_utf8_lossy).collect();
            let pairs: Vec<(&str, &str)> = words.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).collect();
            context.door.live.set(&pairs)?;
            tracing::info!(?pairs, client = %context.session.peer, "settings changed");
            writer.ok();
        }
        (sub, 2) if is(sub, "RESETSTAT") => {
            context.door.reset_stats();
            writer.ok();
        }
        (sub, 2) if is(sub, "REWRITE") => {
            return Err(CommandError::NotOffered("The server is running without a config file"));
        }
        (sub, 2) if is(sub, "HELP") => writer.lines(HELP),
        (sub, _) => {
            let known = ["GET", "SET", "RESETSTAT", "REWRITE", "HELP"];
            return Err(match known.into_iter().find(|known| is(sub, known)) {
                Some(sub) => CommandError::SubcommandArity("CONFIG", sub),
                None => CommandError::subcommand("CONFIG", request),
            });
        }
    }
    Ok(())
}
