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

fn set_options(request: &Request, now: UnixMillis) -> Result<Expiry, CommandError> {
    let mut expiry = None;
    let mut at = 3;
    while at < request.len() {
        let option = request.argument(at);
        let amount = (at + 1 < request.len()).then(|| request.argument(at + 1));
        let (taken, chosen) = match (option, amount) {
            (option, _) if is(option, "NX") => return Err(CommandError::NeedsConsensus("SET NX")),
            (option, _) if is(option, "XX") => return Err(CommandError::NeedsConsensus("SET XX")),
            (option, _) if is(option, "GET") => return Err(CommandError::NeedsConsensus("SET GET")),
            (option, _) if is(option, "KEEPTTL") => (1, Expiry::Keep),
            (option, Some(amount)) if is(option, "EX") => (2, after(amount, Unit::Seconds, now, "SET")?),
            (option, Some(amount)) if is(option, "PX") => (2, after(amount, Unit::Millis, now, "SET")?),
            (option, Some(amount)) if is(option, "EXAT") => (2, at_instant(amount, Unit::Seconds)?),
            (option, Some(amount)) if is(option, "PXAT") => (2, at_instant(amount, Unit::Millis)?),
            _ => return Err(CommandError::Syntax),
        };
        if expiry.replace(chosen).is_some() {
            return Err(CommandError::Syntax);
        }
        at += taken;
    }
    Ok(expiry.unwrap_or(Expiry::Never))
}

fn after(amount: &[u8], unit: Unit, now: UnixMillis, command: &'static str) -> Result<Expiry, CommandError> {
    let duration = time_to_live(integer(amount)?, unit, now, command)?;
    duration.map(Expiry::After).ok_or(CommandError::Expire(command))
}

fn at_instant(amount: &[u8], unit: Unit) -> Result<Expiry, CommandError> {
    instant(integer(amount)?, unit, "SET")?.map(Expiry::At).ok_or(CommandError::Expire("SET"))
}
