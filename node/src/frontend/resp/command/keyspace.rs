//! Commands about all keys.

use super::{error::CommandError, is, number::integer};
use crate::{
    coordinator::{KeyFilter, ScanRequest},
    frontend::{
        Command,
        resp::{
            plan::{Plan, Shape},
            request::Request,
        },
    },
};
use shoal_proto::types::UnixMillis;

/// How many keys a step of a scan looks at unless it is told.
const COUNT: u32 = 10;
/// The only type there is.
const TYPE: &str = "string";

/// `FLUSHALL [ASYNC | SYNC]`: SYNC, unless told otherwise, waits until this node has its memory back.
pub(super) fn flush(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let swept = match (request.argument(1), request.len()) {
        (_, 1) => true,
        (mode, 2) if is(mode, "SYNC") => true,
        (mode, 2) if is(mode, "ASYNC") => false,
        _ => return Err(CommandError::Syntax),
    };
    Ok(Plan::one(Command::Flush { swept }, Shape::Stored))
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub(super) fn scan(request: &Request, _: UnixMillis) -> Result<Plan, CommandError> {
    let mut scan =
        ScanRequest { cursor: cursor(request.argument(1))?, count: COUNT, ..ScanRequest::default() };
    let mut is_string = true;
    for at in (2..request.len()).step_by(2) {
        if at + 1 == request.len() {
            return Err(CommandError::Syntax);
        }
        match request.argument(at) {
            option if is(option, "MATCH") => scan.filter = KeyFilter::Glob(request.shared(at + 1)),
            option if is(option, "COUNT") => scan.count = count(request.argument(at + 1))?,
            option if is(option, "TYPE") => is_string = is(request.argument(at + 1), TYPE),
            _ => return Err(CommandError::Syntax),
        }
    }
    if !is_string {
        scan.filter = KeyFilter::Nothing;
    }
    Ok(Plan::one(Command::Scan(scan), Shape::Scan))
}

fn cursor(text: &[u8]) -> Result<u64, CommandError> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(CommandError::NotOffered("invalid cursor"))
}

/// More than are looked at in one step may be asked for.
fn count(text: &[u8]) -> Result<u32, CommandError> {
    match integer(text)? {
        ..1 => Err(CommandError::Syntax),
        count => Ok(u32::try_from(count).unwrap_or(u32::MAX)),
    }
}
