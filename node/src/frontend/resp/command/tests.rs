use super::*;
use crate::{
    auth::{Auth, Credential, Credentials, Digest, Identity, Scope},
    coordinator::{Expiry, KeyFilter, ScanRequest},
    frontend::{
        Command,
        resp::{
            inline,
            parser::{Parsed, Parser},
            plan::{Commands, ExpiryUnit, Shape},
            testing::{MapBackend, door, value},
        },
    },
};
use bytes::BytesMut;
use shoal_proto::types::{Consistency, Key, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use std::{sync::Arc, time::Duration};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn known(name: &str, scope: Scope) -> Credential {
    Credential::new(name, scope, Digest::of(name.as_bytes()))
}

fn anybody() -> Option<Identity> {
    Auth::default().anonymous()
}

fn request(line: &str) -> Request {
    inline::split(line.as_bytes()).unwrap().unwrap()
}

fn prepared(line: &str) -> Prepared {
    let mut session = Session::new(1, "".into(), "".into(), NOW, anybody());
    prepare(&door(Arc::<MapBackend>::default()), &mut session, request(line), NOW)
}

fn plan(line: &str) -> Plan {
    match prepared(line) {
        Prepared::Plan(plan) => plan,
        other => panic!("{line}: {other:?}"),
    }
}

/// The error `line` is refused with.
fn refusal(line: &str) -> String {
    match prepared(line) {
        Prepared::Refused(error) => error.text(),
        other => panic!("{line}: {other:?}"),
    }
}

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn set(text: &str, expiry: Expiry) -> Plan {
    Plan::one(Command::Set(key("k"), value(text), expiry), Shape::Stored)
}

#[test]
fn every_name_is_found_in_any_case_and_nothing_else_is() {
    for spec in SPECS {
        assert_eq!(spec.name, spec.name.to_ascii_uppercase());
        for name in [spec.name.to_owned(), spec.name.to_ascii_lowercase()] {
            assert_eq!(lookup(name.as_bytes()).unwrap().name, spec.name);
        }
    }
    for name in ["", "G", "GETT", "GET\0", "\0", "ABCDEFGHIJKLMNOPQRS", "INCRBYFLOATINCRBYFLOAT"] {
        assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
    }
}

#[test]
fn no_command_is_reached_without_the_scope_its_flags_say() {
    let door = door(Arc::<MapBackend>::default());
    let auth =
        Auth::new(Credentials::new(vec![known("probe", Scope::Read), known("app", Scope::Write)]).unwrap());
    let (probe, app) = (auth.prove(None, b"probe"), auth.prove(None, b"app"));
    assert!(probe.is_some() && app.is_some());
    let refusal = |identity: &Option<Identity>, line: &str| {
        let mut session = Session::new(1, "".into(), "".into(), NOW, identity.clone());
        match prepare(&door, &mut session, request(line), NOW) {
            Prepared::Refused(error) => Some(error.text()).filter(|text| text.starts_with("NO")),
            Prepared::Plan(_) | Prepared::Local(..) => None,
        }
    };
    let mut reached = 0;
    for spec in SPECS {
        let arguments = std::iter::repeat_n("1", spec.arity.unsigned_abs() as usize - 1);
        let line = [spec.name].into_iter().chain(arguments).collect::<Vec<_>>().join(" ");
        let flagged = |flag| spec.flags.contains(&flag);
        let noauth = (!flagged("no_auth")).then(|| "NOAUTH Authentication required.".to_owned());
        let noperm = flagged("write").then(|| {
            let name = spec.name.to_ascii_lowercase();
            format!("NOPERM User probe has no permissions to run the '{name}' command")
        });
        assert_eq!(refusal(&None, &line), noauth, "{line}");
        assert_eq!(refusal(&probe, &line), noperm, "{line}");
        assert_eq!(refusal(&app, &line), None, "{line}");
        // A level in front makes no difference, except that commands which take none may not be given at all.
        let leveled = format!("CL ONE {line}");
        assert_eq!(refusal(&None, &leveled), Some("NOAUTH Authentication required.".into()), "{leveled}");
        assert_eq!(refusal(&probe, &leveled), noperm, "{leveled}");
        // What a command does to the data is what its flags say.
        if let Handler::Data(plan) | Handler::Levelless(plan) = spec.handler {
            let Ok(plan) = plan(&request(&line), NOW) else { continue };
            let Some(needed) = plan.commands().iter().map(Command::scope).max() else { continue };
            // GETEX without options only reads.
            let at_most = spec.name == "GETEX";
            assert!(spec.scope() == Some(needed) || at_most && spec.scope() > Some(needed), "{line}");
            reached += 1;
        }
    }
    assert!(reached > 20, "only {reached} commands reach the data");
    for name in refused::FAMILIES.iter().flat_map(|family| family.names) {
        assert_eq!(refusal(&None, name), Some("NOAUTH Authentication required.".into()), "{name}");
        assert_eq!(refusal(&probe, name), None, "{name}");
    }
    for (name, sub) in ADMIN {
        let line = format!("{name} {sub} 1 1");
        let command = format!("{name}|{sub}").to_ascii_lowercase();
        let expected = format!("NOPERM User probe has no permissions to run the '{command}' command");
        assert_eq!(refusal(&probe, &line), Some(expected));
        assert_eq!(refusal(&None, &line), Some("NOAUTH Authentication required.".into()));
        assert_eq!(refusal(&app, &line), None);
    }
}

#[test]
fn before_a_client_has_authenticated_it_may_say_what_redis_lets_it_say() {
    let names: Vec<&str> = SPECS.iter().filter(|spec| spec.scope().is_none()).map(|spec| spec.name).collect();
    assert_eq!(names, ["AUTH", "HELLO", "QUIT", "RESET"]);
}

#[test]
fn too_few_or_too_many_arguments_are_refused_for_every_command() {
    for spec in SPECS {
        let line = |count: usize| {
            [spec.name].into_iter().chain(std::iter::repeat_n("1", count - 1)).collect::<Vec<_>>().join(" ")
        };
        let arity = spec.arity.unsigned_abs() as usize;
        let mut wrong = Vec::new();
        if arity > 1 {
            wrong.push(arity - 1);
        }
        if spec.arity > 0 {
            wrong.push(arity + 1);
        }
        for count in wrong {
            let expected =
                format!("ERR wrong number of arguments for '{}' command", spec.name.to_ascii_lowercase());
            assert_eq!(refusal(&line(count)), expected);
        }
    }
    assert_eq!(refusal("MSET a 1 b"), "ERR wrong number of arguments for 'mset' command");
}

#[test]
fn unknown_commands_are_told_as_redis_does() {
    assert_eq!(refusal("FOO"), "ERR unknown command 'FOO', with args beginning with: ");
    assert_eq!(refusal("foo a 'b c'"), "ERR unknown command 'foo', with args beginning with: 'a' 'b c' ");
    assert!(refusal(&format!("foo {}", "x".repeat(5000))).len() < 300);
    assert_eq!(refusal("CL QUORUM FOO"), "ERR unknown command 'FOO', with args beginning with: ");
}

#[test]
fn commands_that_are_not_offered_say_why_whatever_their_arguments() {
    let mut names = std::collections::BTreeSet::new();
    for family in &refused::FAMILIES {
        for name in family.names {
            assert!(names.insert(*name), "{name} is in two families");
            assert_eq!(lookup(name.as_bytes()).map(|spec| spec.name), None, "{name} is offered");
            let text = format!("ERR '{name}' {}", family.reason);
            for line in [(*name).to_owned(), name.to_lowercase(), format!("CL ONE {name} a b c")] {
                assert_eq!(refusal(&line), text);
            }
        }
    }
    let text = |what| {
        format!(
            "ERR '{what}' is a read-modify-write, which needs consensus per key; this store does not offer it"
        )
    };
    for (line, what) in [
        ("INCR k", "INCR"),
        ("SET k v NX", "SET NX"),
        ("SET k v EX 5 xx", "SET XX"),
        ("SET k v GET", "SET GET"),
    ] {
        assert_eq!(refusal(line), text(what));
    }
    assert_eq!(refusal("LPUSH k v"), "ERR 'LPUSH' works on lists; this store keeps strings only");
}

/// `docs/RESP.md` has a row for every command that is offered, under its arguments, and for every one that is not.
#[test]
fn the_reference_has_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RESP.md");
    let text = std::fs::read_to_string(path).unwrap();
    let commands = text.split_once("\n## Commands\n").unwrap().1.split_once("\n## ").unwrap().0;
    let rows: Vec<&str> = commands.lines().filter(|line| line.starts_with("| `")).collect();
    let offered = SPECS.iter().map(|spec| {
        let line = [spec.name, spec.arguments].join(" ");
        format!("| `{}` | {}", line.trim_end().replace('|', "\\|"), spec.summary)
    });
    let refused = refused::FAMILIES.iter().map(|family| {
        let names: Vec<String> = family.names.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {} | {} |", family.title, names.join(" "), family.reason)
    });
    for row in offered.clone() {
        assert_eq!(rows.iter().filter(|line| line.starts_with(&row)).count(), 1, "{row}");
    }
    for row in refused {
        assert!(text.lines().any(|line| line == row), "{row}");
    }
    assert_eq!(rows.len(), offered.count(), "a command that is not offered has a row");
}

#[test]
fn set_understands_every_way_to_expire() {
    for (line, expiry) in [
        ("SET k v", Expiry::Never),
        ("set k v ex 5", Expiry::After(Duration::from_secs(5))),
        ("SET k v PX 5", Expiry::After(Duration::from_millis(5))),
        ("SET k v EXAT 1700000001", Expiry::At(UnixMillis(1_700_000_001_000))),
        ("SET k v PXAT 1700000000001", Expiry::At(UnixMillis(1_700_000_000_001))),
        ("SET k v KEEPTTL", Expiry::Keep),
        ("SETEX k 5 v", Expiry::After(Duration::from_secs(5))),
        ("PSETEX k 5 v", Expiry::After(Duration::from_millis(5))),
    ] {
        assert_eq!(plan(line), set("v", expiry), "{line}");
    }
}

#[test]
fn expiries_are_read_strictly() {
    let integer = "ERR value is not an integer or out of range";
    let expire = |command| format!("ERR invalid expire time in '{command}' command");
    for (line, error) in [
        ("SET k v EX", "ERR syntax error".to_owned()),
        ("SET k v 5", "ERR syntax error".to_owned()),
        ("SET k v EX 5 PX 5", "ERR syntax error".to_owned()),
        ("SET k v EX 5 KEEPTTL", "ERR syntax error".to_owned()),
        ("SET k v KEEPTTL KEEPTTL", "ERR syntax error".to_owned()),
        ("SET k v EX five", integer.to_owned()),
        ("SET k v EX 1.5", integer.to_owned()),
        ("SET k v EX 9223372036854775808", integer.to_owned()),
        ("SET k v EX 0", expire("set")),
        ("SET k v PX -1", expire("set")),
        ("SET k v EX 9223372036854775807", expire("set")),
        ("SET k v PX 9223372036854775807", expire("set")),
        ("SET k v PXAT 0", expire("set")),
        ("SET k v EXAT 9999999999", expire("set")),
        ("SETEX k 0 v", expire("setex")),
        ("PSETEX k -1 v", expire("psetex")),
        ("EXPIRE k x", integer.to_owned()),
        ("EXPIRE k 9223372036854775807", expire("expire")),
        ("PEXPIRE k 9223372036854775807", expire("pexpire")),
        ("EXPIREAT k 9223372036854775807", expire("expireat")),
        ("EXPIRE k 5 FOO", "ERR Unsupported option FOO".to_owned()),
    ] {
        assert_eq!(refusal(line), error, "{line}");
    }
}

#[test]
fn an_expiry_can_depend_on_the_one_it_replaces() {
    let after = Expiry::After(Duration::from_secs(5));
    for (line, exists, later, expiry) in [
        ("EXPIRE k 5 NX", Some(false), None, after),
        ("EXPIRE k 5 xx", Some(true), None, after),
        ("EXPIRE k 5 GT", None, Some(true), after),
        ("EXPIRE k 5 LT XX", Some(true), Some(false), after),
        ("PEXPIRE k 5000 GT GT", None, Some(true), after),
        ("PERSIST k", Some(true), None, Expiry::Never),
        ("EXPIRE k -1 LT", None, Some(false), Expiry::At(NOW)),
        ("PEXPIREAT k 1 LT", None, Some(false), Expiry::At(NOW)),
        ("EXPIREAT k 1700000001 LT", None, Some(false), Expiry::At(UnixMillis(1_700_000_001_000))),
    ] {
        let condition = crate::coordinator::ExpiryCondition { exists, later };
        assert_eq!(
            plan(line),
            Plan::one(Command::ExpireIf(key("k"), expiry, condition), Shape::Existed),
            "{line}"
        );
    }
    for (line, error) in [
        ("EXPIRE k 5 NX GT", "ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 5 XX NX", "ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 5 GT LT", "ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE k 5 GT NOW", "ERR Unsupported option NOW"),
    ] {
        assert_eq!(refusal(line), error, "{line}");
    }
}

#[test]
fn a_read_can_change_the_expiry_of_what_it_reads() {
    assert_eq!(plan("GETEX k"), Plan::one(Command::Get(key("k")), Shape::Value));
    for (line, expiry) in [
        ("GETEX k EX 5", Expiry::After(Duration::from_secs(5))),
        ("GETEX k px 5", Expiry::After(Duration::from_millis(5))),
        ("GETEX k EXAT 1", Expiry::At(UnixMillis(1_000))),
        ("GETEX k PXAT 1700000000001", Expiry::At(UnixMillis(1_700_000_000_001))),
        ("GETEX k PERSIST", Expiry::Never),
    ] {
        assert_eq!(plan(line), Plan::one(Command::GetAndExpire(key("k"), expiry), Shape::Value), "{line}");
    }
    for (line, error) in [
        ("GETEX k EX", "ERR syntax error"),
        ("GETEX k PERSIST EX 5", "ERR syntax error"),
        ("GETEX k KEEPTTL", "ERR syntax error"),
        ("GETEX k EX x", "ERR value is not an integer or out of range"),
        ("GETEX k EX 0", "ERR invalid expire time in 'getex' command"),
    ] {
        assert_eq!(refusal(line), error, "{line}");
    }
}

#[test]
fn to_expire_a_key_now_or_earlier_is_to_delete_it() {
    let delete = Plan::one(Command::Delete(key("k")), Shape::Existed);
    for line in [
        "EXPIRE k 0",
        "EXPIRE k -1",
        "PEXPIRE k -5",
        "EXPIREAT k 1700000000",
        "PEXPIREAT k -1",
        "DEL k",
        "UNLINK k",
    ] {
        assert_eq!(plan(line), delete, "{line}");
    }
    for (line, expiry) in [
        ("EXPIRE k 7", Expiry::After(Duration::from_secs(7))),
        ("PEXPIRE k 7", Expiry::After(Duration::from_millis(7))),
        ("EXPIREAT k 1700000001", Expiry::At(UnixMillis(1_700_000_001_000))),
        ("PEXPIREAT k 1700000000001", Expiry::At(UnixMillis(1_700_000_000_001))),
    ] {
        assert_eq!(plan(line), Plan::one(Command::Expire(key("k"), expiry), Shape::Existed), "{line}");
    }
}

#[test]
fn reads_differ_only_in_what_they_tell() {
    for (line, shape) in [
        ("GET k", Shape::Value),
        ("STRLEN k", Shape::Length),
        ("TYPE k", Shape::Type),
        ("EXISTS k", Shape::Existed),
        ("TOUCH k", Shape::Existed),
        ("GETRANGE k 0 -1", Shape::Range { start: 0, end: -1 }),
        ("SUBSTR k -2 5", Shape::Range { start: -2, end: 5 }),
        ("TTL k", Shape::Expiry(ExpiryUnit::Seconds)),
        ("PTTL k", Shape::Expiry(ExpiryUnit::Millis)),
        ("EXPIRETIME k", Shape::Expiry(ExpiryUnit::UnixSeconds)),
        ("PEXPIRETIME k", Shape::Expiry(ExpiryUnit::UnixMillis)),
    ] {
        assert_eq!(plan(line), Plan::one(Command::Get(key("k")), shape), "{line}");
    }
}

#[test]
fn an_explanation_takes_no_level_of_its_own() {
    assert_eq!(plan("shoal.explain k"), Plan::one(Command::Explain(key("k")), Shape::Explanation));
    assert_eq!(refusal("CL ALL SHOAL.EXPLAIN k"), "ERR 'SHOAL.EXPLAIN' takes no consistency level");
}

#[test]
fn of_many_keys_each_is_written_once() {
    let sets = |pairs: &[(&str, &str)]| {
        let commands = pairs.iter().map(|(k, v)| Command::Set(key(k), value(v), Expiry::Never));
        Commands::Many(commands.collect())
    };
    assert_eq!(plan("MSET a 1 b 2").commands, sets(&[("a", "1"), ("b", "2")]));
    assert_eq!(plan("MSET a 1 b 2 a 3").commands, sets(&[("b", "2"), ("a", "3")]));
    assert_eq!(
        plan("DEL a b a").commands,
        Commands::Many(vec![Command::Delete(key("a")), Command::Delete(key("b"))])
    );
    assert_eq!(plan("EXISTS a a").commands.len(), 2);
    assert_eq!(plan("MGET a b a").commands.len(), 3);
}

#[test]
fn keys_and_values_over_their_limits_are_told_by_size() {
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    for (name, before, after) in
        [("GET", 1, 0), ("SET", 1, 1), ("MGET", 2, 0), ("DEL", 2, 0), ("EXPIRE", 1, 1)]
    {
        let arguments = [name.to_owned()].into_iter().chain(std::iter::repeat_n("a".to_owned(), before - 1));
        let arguments = arguments.chain([long.clone()]).chain(std::iter::repeat_n("1".to_owned(), after));
        let line = arguments.collect::<Vec<_>>().join(" ");
        assert_eq!(refusal(&line), "ERR key of 65537 bytes exceeds the limit of 65536 bytes");
    }
    let too_long =
        ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8388609\r\n", &"v".repeat(MAX_VALUE_BYTES + 1), "\r\n"].concat();
    let Ok(Some(Parsed::TooLarge(error))) = Parser::new().next(&mut BytesMut::from(too_long.as_bytes()))
    else {
        panic!("a value over the limit was taken")
    };
    assert_eq!(
        CommandError::from(error).text(),
        "ERR value of 8388609 bytes exceeds the limit of 8388608 bytes"
    );
}

#[test]
fn a_level_is_taken_from_the_command_before_the_connection_before_the_node() {
    let door = door(Arc::<MapBackend>::default());
    let mut session = Session::new(1, "".into(), "".into(), NOW, anybody());
    let level = |session: &mut Session, line| match prepare(&door, session, request(line), NOW) {
        Prepared::Plan(plan) => plan.options.consistency,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(level(&mut session, "DEL k"), None);
    assert_eq!(level(&mut session, "cl quorum GET k"), Some(Consistency::Quorum));
    session.consistency = Some(Consistency::All);
    assert_eq!(level(&mut session, "GET k"), Some(Consistency::All));
    assert_eq!(level(&mut session, "CL ONE GET k"), Some(Consistency::One));
    assert_eq!(level(&mut session, "CL DEFAULT GET k"), None);
    assert_eq!(refusal("CL QUORUM PING"), "ERR 'PING' takes no consistency level");
    assert_eq!(refusal("CL QUORUM GET"), "ERR wrong number of arguments for 'get' command");
    assert_eq!(
        refusal("CL MOST GET k"),
        "ERR unknown consistency level 'MOST': expected one of ONE, TWO, THREE, QUORUM, ALL"
    );
}

#[test]
fn a_flush_waits_for_memory_unless_told_not_to() {
    for (line, swept) in [("FLUSHALL", true), ("flushdb sync", true), ("FLUSHALL ASYNC", false)] {
        assert_eq!(plan(line), Plan::one(Command::Flush { swept }, Shape::Stored), "{line}");
    }
    for line in ["FLUSHALL NOW", "FLUSHDB SYNC ASYNC"] {
        assert_eq!(refusal(line), "ERR syntax error", "{line}");
    }
    assert_eq!(refusal("CL ALL FLUSHALL"), "ERR 'FLUSHALL' takes no consistency level");
}

#[test]
fn a_scan_is_read_as_redis_reads_it() {
    let scan =
        |cursor, count, filter| Plan::one(Command::Scan(ScanRequest { cursor, count, filter }), Shape::Scan);
    let glob = |pattern: &'static str| KeyFilter::Glob(pattern.into());
    for (line, expected) in [
        ("SCAN 0", scan(0, 10, KeyFilter::All)),
        ("scan 17 match a* count 100", scan(17, 100, glob("a*"))),
        ("SCAN 0 COUNT 99999999999", scan(0, u32::MAX, KeyFilter::All)),
        ("SCAN 0 TYPE STRING MATCH *", scan(0, 10, glob("*"))),
        ("SCAN 0 MATCH * TYPE hash", scan(0, 10, KeyFilter::Nothing)),
    ] {
        assert_eq!(plan(line), expected, "{line}");
    }
    for (line, error) in [
        ("SCAN", "ERR wrong number of arguments for 'scan' command"),
        ("SCAN -1", "ERR invalid cursor"),
        ("SCAN +1", "ERR invalid cursor"),
        ("SCAN 18446744073709551616", "ERR invalid cursor"),
        ("SCAN 0 COUNT", "ERR syntax error"),
        ("SCAN 0 COUNT 0", "ERR syntax error"),
        ("SCAN 0 COUNT x", "ERR value is not an integer or out of range"),
        ("SCAN 0 NOVALUES 1", "ERR syntax error"),
    ] {
        assert_eq!(refusal(line), error, "{line}");
    }
    assert!(refusal("KEYS *").ends_with("use SCAN"));
}

#[test]
fn what_is_asked_of_one_key_names_it_and_the_rest_is_answered_here() {
    let get = |shape| Plan::one(Command::Get(key("k")), shape);
    assert_eq!(plan("OBJECT ENCODING k"), get(Shape::Encoding));
    assert_eq!(plan("OBJECT FREQ k"), Plan::one(Command::Explain(key("k")), Shape::Frequency));
    assert_eq!(plan("object refcount k"), get(Shape::References));
    assert_eq!(plan("MEMORY USAGE k"), Plan::one(Command::Usage(key("k")), Shape::Usage));
    assert_eq!(plan("MEMORY USAGE k SAMPLES 0"), Plan::one(Command::Usage(key("k")), Shape::Usage));
    for (line, error) in [
        ("OBJECT", "ERR wrong number of arguments for 'object' command"),
        ("MEMORY USAGE k SAMPLES -1", "ERR syntax error"),
        ("MEMORY USAGE k FOO 1", "ERR syntax error"),
    ] {
        assert_eq!(refusal(line), error, "{line}");
    }
    for line in
        ["OBJECT HELP", "OBJECT IDLETIME k", "MEMORY DOCTOR", "CLUSTER SLOTS", "CLUSTER COUNTKEYSINSLOT"]
    {
        assert!(matches!(prepared(line), Prepared::Local(..)), "{line}");
    }
    let slot = |slot, limit, shape| Plan::one(Command::Slot { slot, limit }, shape);
    assert_eq!(plan("CLUSTER COUNTKEYSINSLOT 16383"), slot(16_383, 0, Shape::KeyCount));
    assert_eq!(plan("cluster getkeysinslot 0 5"), slot(0, 5, Shape::Keys));
    assert_eq!(refusal("CLUSTER COUNTKEYSINSLOT 16384"), "ERR Invalid slot");
    assert_eq!(refusal("CLUSTER GETKEYSINSLOT 0 -1"), "ERR Invalid number of keys");
}
