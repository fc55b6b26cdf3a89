//! Commands about keys, whatever their values.

use super::{
    error::CommandError,
    is,
    number::{Unit, instant, integer, time_to_live},
};
use crate::{
    coordinator::{Expiry, ExpiryCondition},
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

/// `PERSIST key`
pub(super) fn persist(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let expires = ExpiryCondition { exists: Some(true), later: None };
    let key = Key::new(request.shared(1))?;
    Ok(Plan::one(Command::ExpireIf(key, Expiry::Never, expires), Shape::Existed))
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
    let condition = condition(request)?;
    changed(request, time_to_live(amount, unit, now, command)?.map(Expiry::After), condition, now)
}

fn expire_at_instant(
    request: &Request,
    unit: Unit,
    now: UnixMillis,
    command: &'static str,
) -> Result<Plan, CommandError> {
    let amount = integer(request.argument(2))?;
    let condition = condition(request)?;
    let expiry = instant(amount, unit, command)?.filter(|at| *at > now).map(Expiry::At);
    changed(request, expiry, condition, now)
}

/// `NX`, `XX`, `GT` and `LT`, if there are any.
fn condition(request: &Request) -> Result<Option<ExpiryCondition>, CommandError> {
    const NAMES: [&str; 4] = ["NX", "XX", "GT", "LT"];
    let mut named = [false; NAMES.len()];
    for option in request.arguments().skip(3) {
        let place = NAMES.iter().position(|name| is(option, name));
        named[place.ok_or_else(|| CommandError::option(option))?] = true;
    }
    let condition = match named {
        [true, false, false, false] => ExpiryCondition { exists: Some(false), later: None },
        [true, ..] => {
            let clash = "NX and XX, GT or LT options at the same time are not compatible";
            return Err(CommandError::NotOffered(clash));
        }
        [_, _, true, true] => {
            return Err(CommandError::NotOffered("GT and LT options at the same time are not compatible"));
        }
        [_, xx, gt, lt] => ExpiryCondition { exists: xx.then_some(true), later: (gt || lt).then_some(gt) },
    };
    Ok((condition != ExpiryCondition::default()).then_some(condition))
}

/// A key that is to expire no later than now is deleted. Under a condition it expires at once instead: that ends the
/// very version that was looked at, and none that was written since.
fn changed(
    request: &Request,
    expiry: Option<Expiry>,
    condition: Option<ExpiryCondition>,
    now: UnixMillis,
) -> Result<Plan, CommandError> {
    let key = Key::new(request.shared(1))?;
    let command = match (expiry, condition) {
        (expiry, Some(condition)) => Command::ExpireIf(key, expiry.unwrap_or(Expiry::At(now)), condition),
        (Some(expiry), None) => Command::Expire(key, expiry),
        (None, None) => Command::Delete(key),
    };
    Ok(Plan::one(command, Shape::Existed))
}
