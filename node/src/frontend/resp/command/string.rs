//! Commands that store and read values.

use super::{
    error::CommandError,
    is,
    number::{Unit, instant, integer, time_to_live},
};
use crate::{
    coordinator::Expiry,
    frontend::{
        Command,
        resp::{
            plan::{Plan, Shape},
            request::Request,
        },
    },
};
use shoal_proto::types::{Key, UnixMillis, Value};
use std::collections::BTreeSet;

/// `GET key`
pub(super) fn get(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    Ok(Plan::one(Command::Get(Key::new(request.shared(1))?), Shape::Value))
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`: a read, and then a change of the expiry of what was read.
pub(super) fn getex(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    let key = Key::new(request.shared(1))?;
    let command = match request.len() {
        2 => Command::Get(key),
        3 if is(request.argument(2), "PERSIST") => Command::GetAndExpire(key, Expiry::Never),
        4 => Command::GetAndExpire(key, timed(request, 2, now, "GETEX")?),
        _ => return Err(CommandError::Syntax),
    };
    Ok(Plan::one(command, Shape::Value))
}

/// `GETRANGE key start end`, and `SUBSTR`, which it was called once.
pub(super) fn getrange(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let (start, end) = (integer(request.argument(2))?, integer(request.argument(3))?);
    Ok(Plan::one(Command::Get(Key::new(request.shared(1))?), Shape::Range { start, end }))
}

/// `STRLEN key`
pub(super) fn strlen(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    Ok(Plan::one(Command::Get(Key::new(request.shared(1))?), Shape::Length))
}

/// `MGET key...`
pub(super) fn mget(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let commands = (1..request.len()).map(|at| Ok(Command::Get(Key::new(request.shared(at))?)));
    Ok(Plan::many(commands.collect::<Result<_, CommandError>>()?, Shape::Values))
}

/// `SET key value [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
pub(super) fn set(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    let expiry = if request.len() == 3 { Expiry::Never } else { set_options(request, now)? };
    store(request, 2, expiry)
}

/// `SETEX key seconds value`
pub(super) fn setex(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    store(request, 3, after(request.argument(2), Unit::Seconds, now, "SETEX")?)
}

/// `PSETEX key milliseconds value`
pub(super) fn psetex(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    store(request, 3, after(request.argument(2), Unit::Millis, now, "PSETEX")?)
}

/// `MSET key value...`
pub(super) fn mset(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    if request.len().is_multiple_of(2) {
        return Err(CommandError::Arity("MSET"));
    }
    // Keys are written side by side, so of a repeated key only the last value is.
    let mut seen = BTreeSet::new();
    let mut commands = Vec::with_capacity(request.len() / 2);
    for at in (1..request.len()).step_by(2).rev() {
        if seen.insert(request.argument(at)) {
            let (key, value) = (Key::new(request.shared(at))?, Value::new(request.shared(at + 1))?);
            commands.push(Command::Set(key, value, Expiry::Never));
        }
    }
    commands.reverse();
    Ok(Plan::many(commands, Shape::Stored))
}

fn store(request: &Request, value: usize, expiry: Expiry) -> Result<Plan, CommandError> {
    let (key, value) = (Key::new(request.shared(1))?, Value::new(request.shared(value))?);
    Ok(Plan::one(Command::Set(key, value, expiry), Shape::Stored))
}

/// The options of `SET`, of which one at most is about the expiry.
fn set_options(request: &Request, now: UnixMillis) -> Result<Expiry, CommandError> {
    let mut expiry = None;
    let mut at = 3;
    while at < request.len() {
        let (taken, chosen) = match request.argument(at) {
            option if is(option, "NX") => return Err(CommandError::NeedsConsensus("SET NX")),
            option if is(option, "XX") => return Err(CommandError::NeedsConsensus("SET XX")),
            option if is(option, "GET") => return Err(CommandError::NeedsConsensus("SET GET")),
            option if is(option, "KEEPTTL") => (1, Expiry::Keep),
            _ => (2, timed(request, at, now, "SET")?),
        };
        if expiry.replace(chosen).is_some() {
            return Err(CommandError::Syntax);
        }
        at += taken;
    }
    Ok(expiry.unwrap_or(Expiry::Never))
}

/// `EX`, `PX`, `EXAT` or `PXAT` and its amount, of which the first stands at `at`.
fn timed(
    request: &Request,
    at: usize,
    now: UnixMillis,
    command: &'static str,
) -> Result<Expiry, CommandError> {
    if at + 1 >= request.len() {
        return Err(CommandError::Syntax);
    }
    let amount = request.argument(at + 1);
    match request.argument(at) {
        option if is(option, "EX") => after(amount, Unit::Seconds, now, command),
        option if is(option, "PX") => after(amount, Unit::Millis, now, command),
        option if is(option, "EXAT") => at_instant(amount, Unit::Seconds, command),
        option if is(option, "PXAT") => at_instant(amount, Unit::Millis, command),
        _ => Err(CommandError::Syntax),
    }
}

fn after(amount: &[u8], unit: Unit, now: UnixMillis, command: &'static str) -> Result<Expiry, CommandError> {
    let duration = time_to_live(integer(amount)?, unit, now, command)?;
    duration.map(Expiry::After).ok_or(CommandError::Expire(command))
}

fn at_instant(amount: &[u8], unit: Unit, command: &'static str) -> Result<Expiry, CommandError> {
    instant(integer(amount)?, unit, command)?.map(Expiry::At).ok_or(CommandError::Expire(command))
}
