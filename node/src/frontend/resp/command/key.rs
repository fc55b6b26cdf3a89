//! Commands about keys, whatever their values.

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
            plan::{ExpiryUnit, Plan, Shape},
            request::Request,
        },
    },
};
use shoal_proto::types::{Key, UnixMillis};
use std::collections::BTreeSet;

/// `DEL key...`
pub(super) fn delete(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    if request.len() == 2 {
        return Ok(Plan::one(Command::Delete(Key::new(request.shared(1))?), Shape::Existed));
    }
    // A key named twice is deleted once, and counted once.
    let mut seen = BTreeSet::new();
    let distinct = (1..request.len()).filter(|at| seen.insert(request.argument(*at)));
    let commands = distinct.map(|at| Ok(Command::Delete(Key::new(request.shared(at))?)));
    Ok(Plan::many(commands.collect::<Result<_, CommandError>>()?, Shape::Existed))
}

/// `EXISTS key...`: a key named twice counts twice.
pub(super) fn exists(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let get = |at| Ok(Command::Get(Key::new(request.shared(at))?));
    if request.len() == 2 {
        return Ok(Plan::one(get(1)?, Shape::Existed));
    }
    Ok(Plan::many((1..request.len()).map(get).collect::<Result<_, CommandError>>()?, Shape::Existed))
}

/// `TYPE key`
pub(super) fn type_name(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    Ok(Plan::one(Command::Get(Key::new(request.shared(1))?), Shape::Type))
}

/// `TTL key`
pub(super) fn ttl(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    told(request, ExpiryUnit::Seconds)
}

/// `PTTL key`
pub(super) fn pttl(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    told(request, ExpiryUnit::Millis)
}

/// `EXPIRETIME key`
pub(super) fn expire_time(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    told(request, ExpiryUnit::UnixSeconds)
}

/// `PEXPIRETIME key`
pub(super) fn pexpire_time(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    told(request, ExpiryUnit::UnixMillis)
}

/// `EXPIRE key seconds`
pub(super) fn expire(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    expire_after(request, Unit::Seconds, now, "EXPIRE")
}

/// `PEXPIRE key milliseconds`
pub(super) fn pexpire(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    expire_after(request, Unit::Millis, now, "PEXPIRE")
}

/// `EXPIREAT key unix-seconds`
pub(super) fn expire_at(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    expire_at_instant(request, Unit::Seconds, now, "EXPIREAT")
}

/// `PEXPIREAT key unix-milliseconds`
pub(super) fn pexpire_at(request: &Request, now: UnixMillis) -> Result<Plan, CommandError> {
    expire_at_instant(request, Unit::Millis, now, "PEXPIREAT")
}

/// `PERSIST key`: answers 1 for a key that exists, whether it had an expiry or not.
pub(super) fn persist(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    changed(request, Some(Expiry::Never))
}

/// `SHOAL.EXPLAIN key`
pub(super) fn explain(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    Ok(Plan::one(Command::Explain(Key::new(request.shared(1))?), Shape::Explanation))
}

fn told(request: &Request, unit: ExpiryUnit) -> Result<Plan, CommandError> {
    Ok(Plan::one(Command::Get(Key::new(request.shared(1))?), Shape::Expiry(unit)))
}

fn expire_after(
    request: &Request,
    unit: Unit,
    now: UnixMillis,
    command: &'static str,
) -> Result<Plan, CommandError> {
    let amount = integer(request.argument(2))?;
    refuse_conditions(request, command)?;
    changed(request, time_to_live(amount, unit, now, command)?.map(Expiry::After))
}

fn expire_at_instant(
    request: &Request,
    unit: Unit,
    now: UnixMillis,
    command: &'static str,
) -> Result<Plan, CommandError> {
    let amount = integer(request.argument(2))?;
    refuse_conditions(request, command)?;
    changed(request, instant(amount, unit, command)?.filter(|at| *at > now).map(Expiry::At))
}

/// `NX`, `XX`, `GT` and `LT` depend on the expiry they replace.
fn refuse_conditions(request: &Request, command: &'static str) -> Result<(), CommandError> {
    match request.arguments().nth(3) {
        None => Ok(()),
        Some(option) if ["NX", "XX", "GT", "LT"].iter().any(|condition| is(option, condition)) => {
            Err(CommandError::NeedsConsensus(match command {
                "EXPIRE" => "EXPIRE NX|XX|GT|LT",
                "PEXPIRE" => "PEXPIRE NX|XX|GT|LT",
                "EXPIREAT" => "EXPIREAT NX|XX|GT|LT",
                _ => "PEXPIREAT NX|XX|GT|LT",
            }))
        }
        Some(option) => Err(CommandError::option(option)),
    }
}

/// A key that is to expire no later than now is deleted.
fn changed(request: &Request, expiry: Option<Expiry>) -> Result<Plan, CommandError> {
    let key = Key::new(request.shared(1))?;
    let command = match expiry {
        Some(expiry) => Command::Expire(key, expiry),
        None => Command::Delete(key),
    };
    Ok(Plan::one(command, Shape::Existed))
}
