//! `COMMAND`: the table of commands, as clients and people read it.

use super::{Context, Handler, Keys, SPECS, Spec, error::CommandError, is, lookup};
use crate::{
    coordinator::Glob,
    frontend::resp::{request::Request, writer::Writer},
};

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Describe every command.",
    "COUNT",
    "    Tell how many there are.",
    "LIST [FILTERBY <MODULE module | ACLCAT category | PATTERN pattern>]",
    "    Name them.",
    "INFO [<command> ...]",
    "    Describe some of them.",
    "DOCS [<command> ...]",
    "    Say what some of them are for.",
    "GETKEYS <full-command>",
    "GETKEYSANDFLAGS <full-command>",
    "    Tell which arguments are keys, and what becomes of them.",
    "HELP",
    "    Print this help.",
];

/// `COMMAND [COUNT | LIST | INFO [name...] | DOCS [name...] | GETKEYS command [argument...]]`
pub(super) fn command(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let writer = &mut context.writer;
    match request.argument(1) {
        _ if request.len() == 1 => {
            writer.array(SPECS.len());
            SPECS.iter().for_each(|spec| describe(spec, writer));
        }
        sub if is(sub, "COUNT") && request.len() == 2 => writer.integer(SPECS.len() as i64),
        sub if is(sub, "LIST") && request.len() == 2 => {
            writer.array(SPECS.len());
            SPECS.iter().for_each(|spec| writer.bulk(spec.name.to_ascii_lowercase().as_bytes()));
        }
        sub if is(sub, "LIST") && request.len() == 5 && is(request.argument(2), "FILTERBY") => {
            let (by, what) = (request.argument(3), request.argument(4).to_ascii_lowercase());
            let chosen: fn(&Spec, &[u8]) -> bool = match by {
                by if is(by, "MODULE") => |_, _| false,
                by if is(by, "ACLCAT") => {
                    |spec, what| categories(spec).iter().any(|category| category.as_bytes()[1..] == *what)
                }
                by if is(by, "PATTERN") => {
                    |spec, what| Glob::new(what).is_match(spec.name.to_ascii_lowercase().as_bytes())
                }
                _ => return Err(CommandError::Syntax),
            };
            let chosen: Vec<&Spec> = SPECS.iter().filter(|spec| chosen(spec, &what)).collect();
            writer.array(chosen.len());
            chosen.iter().for_each(|spec| writer.bulk(spec.name.to_ascii_lowercase().as_bytes()));
        }
        sub if is(sub, "INFO") && request.len() == 2 => {
            writer.array(SPECS.len());
            SPECS.iter().for_each(|spec| describe(spec, writer));
        }
        sub if is(sub, "INFO") => {
            writer.array(request.len() - 2);
            for name in request.arguments().skip(2) {
                match lookup(name) {
                    Some(spec) => describe(spec, writer),
                    None => writer.null_array(),
                }
            }
        }
        sub if is(sub, "DOCS") => {
            let asked = |spec: &&Spec| {
                request.len() == 2
                    || request.arguments().skip(2).any(|name| name.eq_ignore_ascii_case(spec.name.as_bytes()))
            };
            writer.map(SPECS.iter().filter(asked).count());
            SPECS.iter().filter(asked).for_each(|spec| document(spec, writer));
        }
        sub if (is(sub, "GETKEYS") || is(sub, "GETKEYSANDFLAGS")) && request.len() > 2 => {
            let mut inner = request.clone();
            inner.skip(2);
            // Keys behind `CL level` are those of the command that follows.
            let levelled =
                lookup(inner.argument(0)).is_some_and(|spec| matches!(spec.handler, Handler::Level));
            if levelled && inner.len() > 2 {
                inner.skip(2);
            }
            let spec = lookup(inner.argument(0));
            let keys = keys(spec, inner.len())?;
            let flags = spec.filter(|_| is(sub, "GETKEYSANDFLAGS")).map(key_flags);
            writer.array(keys.len());
            for at in keys {
                if let Some(flags) = flags {
                    writer.array(2);
                    writer.bulk(inner.argument(at));
                    writer.set(flags.len());
                    flags.iter().for_each(|flag| writer.simple(flag));
                } else {
                    writer.bulk(inner.argument(at));
                }
            }
        }
        sub if is(sub, "HELP") && request.len() == 2 => writer.lines(HELP),
        sub if is(sub, "LIST") && request.len() == 5 => return Err(CommandError::Syntax),
        sub => {
            let known = ["COUNT", "LIST", "GETKEYS", "GETKEYSANDFLAGS", "HELP"];
            return Err(match known.into_iter().find(|known| is(sub, known)) {
                Some(sub) => CommandError::SubcommandArity("COMMAND", sub),
                None => CommandError::subcommand("COMMAND", request),
            });
        }
    }
    Ok(())
}

/// All ten elements that Redis has had since version 7: libraries read them by position. There are no tips about spreading a
/// command over several nodes, since any node takes it whole.
fn describe(spec: &Spec, writer: &mut Writer<'_>) {
    writer.array(10);
    writer.bulk(spec.name.to_ascii_lowercase().as_bytes());
    writer.integer(spec.arity);
    writer.set(spec.flags.len());
    spec.flags.iter().for_each(|flag| writer.simple(flag));
    writer.integer(spec.keys.first);
    writer.integer(spec.keys.last);
    writer.integer(spec.keys.step);
    let categories = categories(spec);
    writer.set(categories.len());
    categories.iter().for_each(|category| writer.simple(category));
    writer.array(0);
    writer.array(usize::from(spec.keys.step > 0));
    if spec.keys.step > 0 {
        describe_keys(spec, writer);
    }
    writer.array(0);
}

/// The classes by which Redis gives access to commands.
fn categories(spec: &Spec) -> Vec<&'static str> {
    let has = |flag| spec.flags.contains(&flag);
    let kind = [("readonly", "@read"), ("write", "@write")].into_iter().find(|(flag, _)| has(flag));
    vec![kind.map_or("@connection", |(_, kind)| kind), if has("fast") { "@fast" } else { "@slow" }]
}

/// Where the keys are, as a key specification of Redis: an index, and a range that starts there.
fn describe_keys(spec: &Spec, writer: &mut Writer<'_>) {
    let Keys { first, last, step } = spec.keys;
    let search = |writer: &mut Writer<'_>, name: &str, kind: &str, fields: &[(&str, i64)]| {
        writer.bulk(name.as_bytes());
        writer.map(2);
        [b"type".as_slice(), kind.as_bytes(), b"spec"].iter().for_each(|text| writer.bulk(text));
        writer.map(fields.len());
        for (field, value) in fields {
            writer.bulk(field.as_bytes());
            writer.integer(*value);
        }
    };
    let flags = key_flags(spec);
    writer.map(3);
    writer.bulk(b"flags");
    writer.set(flags.len());
    flags.iter().for_each(|flag| writer.simple(flag));
    search(writer, "begin_search", "index", &[("index", first)]);
    // A last key that is not counted from the end is counted from the first.
    let last = if last < 0 { last } else { last - first };
    search(writer, "find_keys", "range", &[("lastkey", last), ("keystep", step), ("limit", 0)]);
}

/// What a command does with its keys, in the words of Redis.
fn key_flags(spec: &Spec) -> [&'static str; 2] {
    match spec.name {
        "DEL" | "UNLINK" => ["RM", "delete"],
        "MSET" | "PSETEX" | "SET" | "SETEX" => ["OW", "update"],
        _ if spec.flags.contains(&"write") => ["RW", "update"],
        _ => ["RO", "access"],
    }
}

/// What `redis-cli` shows as help and as a hint while one types.
fn document(spec: &Spec, writer: &mut Writer<'_>) {
    writer.bulk(spec.name.to_ascii_lowercase().as_bytes());
    let group = if spec.keys.step > 0 { "generic" } else { "server" };
    writer.map(3);
    for (field, text) in [("summary", spec.summary), ("group", group)] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    writer.bulk(b"arguments");
    let arguments = split(spec.arguments);
    writer.array(arguments.len());
    for argument in arguments {
        let optional = argument.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let name = optional.unwrap_or(argument);
        writer.map(2 + usize::from(optional.is_some()));
        for (field, text) in [("name", name), ("type", if name == "key" { "key" } else { "string" })] {
            writer.bulk(field.as_bytes());
            writer.bulk(text.as_bytes());
        }
        if optional.is_some() {
            writer.bulk(b"flags");
            writer.array(1);
            writer.simple("optional");
        }
    }
}

/// The arguments of a manual's line: words, and brackets with all that is in them.
fn split(line: &'static str) -> Vec<&'static str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Which of the arguments of a command are its keys.
fn keys(spec: Option<&Spec>, arguments: usize) -> Result<Vec<usize>, CommandError> {
    let spec = spec.ok_or(CommandError::NotOffered("Invalid command specified"))?;
    if !spec.accepts(arguments) {
        return Err(CommandError::NotOffered("Invalid number of arguments specified for command"));
    }
    let Keys { first, last, step } = spec.keys;
    let end = if last < 0 { arguments as i64 + last } else { last };
    if step <= 0 || end < first {
        return Err(CommandError::NotOffered("The command has no key arguments"));
    }
    Ok((first..=end).step_by(step as usize).filter_map(|at| usize::try_from(at).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manuals_line_is_split_at_its_blanks_outside_of_brackets() {
        assert_eq!(split("key value [EX seconds | PX [a b]]"), ["key", "value", "[EX seconds | PX [a b]]"]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn keys_are_found_where_the_table_says() {
        let of = |name: &str, arguments| keys(lookup(name.as_bytes()), arguments);
        assert_eq!(of("GET", 2), Ok(vec![1]));
        assert_eq!(of("MSET", 5), Ok(vec![1, 3]));
        assert_eq!(of("DEL", 4), Ok(vec![1, 2, 3]));
        for (name, arguments, why) in [
            ("NOBODY", 1, "Invalid command specified"),
            ("GET", 3, "Invalid number of arguments specified for command"),
            ("PING", 1, "The command has no key arguments"),
        ] {
            assert_eq!(of(name, arguments), Err(CommandError::NotOffered(why)), "{name}");
        }
    }
}
