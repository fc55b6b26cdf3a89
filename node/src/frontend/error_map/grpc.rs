//! What gRPC says for what the coordinator could not do.

use crate::{coordinator::CoordinatorError, frontend::Refusal};
use shoal_proto::ERROR_DOMAIN;
use shoal_proto::wire::kv::v1::{Failure, failure::Kind};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, PreconditionFailure, PreconditionViolation, RetryInfo, StatusExt as _,
};

/// How long a client that is told to come back should wait.
const COME_BACK: Duration = Duration::from_secs(1);

/// The failure of one operation of a pipeline.
pub(in crate::frontend) fn failure(error: &CoordinatorError) -> Failure {
    let (kind, maybe) = kind(error);
    Failure { kind: kind.into(), message: error.to_string(), maybe }
}

/// The status of a failed unary call. Its details (`google.rpc`) say what a pipeline's [`Failure`] would, with numbers:
///
/// | Detail | |
/// |---|---|
/// | `ErrorInfo` | the kind as its reason; whether a write may still take effect; what was needed and what was there |
/// | `RetryInfo` | where a moment mends it |
/// | `BadRequest` | the field that is wrong: see [`fault`] |
/// | `PreconditionFailure` | a tag ahead of the clock |
pub(in crate::frontend) fn status(error: &CoordinatorError) -> Status {
    let (kind, maybe) = kind(error);
    let mut details = vec![info(kind, facts(error, maybe))];
    match error {
        CoordinatorError::NotReady | CoordinatorError::Overloaded(_) => {
            details.push(RetryInfo::new(Some(COME_BACK)).into());
        }
        CoordinatorError::TagAhead { .. } => {
            let violation = PreconditionViolation::new(kind.as_str_name(), "tag", error.to_string());
            details.push(PreconditionFailure::new([violation]).into());
        }
        _ => {}
    }
    Status::with_error_details_vec(code(kind), error.to_string(), details)
}

/// The status of a call with something wrong in one `field` of its request.
pub(in crate::frontend) fn fault(field: &'static str, why: String) -> Status {
    let violation = BadRequest::with_violation(field, why.as_str());
    let details = vec![info(Kind::Invalid, vec![said("maybe", false)]), violation.into()];
    Status::with_error_details_vec(code(Kind::Invalid), why, details)
}

fn info(kind: Kind, facts: Vec<(String, String)>) -> ErrorDetail {
    let (reason, domain) = (kind.as_str_name().into(), ERROR_DOMAIN.into());
    ErrorInfo { reason, domain, metadata: facts.into_iter().collect() }.into()
}

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Unspecified => Code::Unknown,
        Kind::Invalid => Code::InvalidArgument,
        Kind::TagAhead | Kind::TagFlushed => Code::FailedPrecondition,
        Kind::Unavailable | Kind::NotReady => Code::Unavailable,
        Kind::Timeout => Code::DeadlineExceeded,
        Kind::Overloaded | Kind::TooLarge | Kind::OutOfMemory => Code::ResourceExhausted,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
    }
}

/// The status of a call whose caller is refused.
pub(in crate::frontend) fn refusal_status(refusal: &Refusal) -> Status {
    let kind = refusal_kind(refusal);
    let details = vec![info(kind, vec![said("maybe", false)])];
    Status::with_error_details_vec(code(kind), refusal.to_string(), details)
}

/// The failure of an operation of a pipeline whose caller is refused.
pub(in crate::frontend) fn refusal_failure(refusal: &Refusal) -> Failure {
    Failure { kind: refusal_kind(refusal).into(), message: refusal.to_string(), maybe: false }
}

fn refusal_kind(refusal: &Refusal) -> Kind {
    match refusal {
        Refusal::Missing | Refusal::Wrong | Refusal::Revoked => Kind::Unauthenticated,
        Refusal::Forbidden { .. } => Kind::PermissionDenied,
    }
}

fn kind(error: &CoordinatorError) -> (Kind, bool) {
    match error {
        CoordinatorError::NotReady => (Kind::NotReady, false),
        CoordinatorError::Unavailable { maybe, .. } => (Kind::Unavailable, *maybe),
        CoordinatorError::Timeout { maybe, .. } => (Kind::Timeout, *maybe),
        CoordinatorError::Overloaded(_) => (Kind::Overloaded, false),
        CoordinatorError::TooLarge(_) => (Kind::TooLarge, false),
        CoordinatorError::TagAhead { .. } => (Kind::TagAhead, false),
        CoordinatorError::Flushed { maybe: false } => (Kind::TagFlushed, false),
        CoordinatorError::Flushed { maybe: true } => (Kind::Unavailable, true),
        CoordinatorError::FlushUnfinished { maybe, .. } => (Kind::Unavailable, *maybe),
        CoordinatorError::Full { maybe } => (Kind::OutOfMemory, *maybe),
        CoordinatorError::Invalid(_) => (Kind::Invalid, false),
    }
}

/// What the error counts, by name.
fn facts(error: &CoordinatorError, maybe: bool) -> Vec<(String, String)> {
    let mut facts = vec![said("maybe", maybe)];
    match error {
        CoordinatorError::Unavailable { level, required, available, replicas, .. } => facts.extend([
            said("level", level),
            said("required", required),
            said("available", available),
            said("replicas", replicas),
        ]),
        CoordinatorError::Timeout { level, required, answered, waited_ms, .. } => facts.extend([
            said("level", level),
            said("required", required),
            said("answered", answered),
            said("waited_ms", waited_ms),
        ]),
        CoordinatorError::TagAhead { ahead_ms, allowed_ms } => {
            facts.extend([said("ahead_ms", ahead_ms), said("allowed_ms", allowed_ms)]);
        }
        CoordinatorError::NotReady
        | CoordinatorError::Overloaded(_)
        | CoordinatorError::TooLarge(_)
        | CoordinatorError::Flushed { .. }
        | CoordinatorError::FlushUnfinished { .. }
        | CoordinatorError::Full { .. }
        | CoordinatorError::Invalid(_) => {}
    }
    facts
}

fn said(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::Consistency;

    #[test]
    fn the_details_of_a_status_keep_what_a_failure_says() {
        let level = Consistency::Quorum;
        let errors = [
            (CoordinatorError::NotReady, Code::Unavailable, "NOT_READY", "false"),
            (
                CoordinatorError::Unavailable { level, required: 2, available: 1, replicas: 3, maybe: false },
                Code::Unavailable,
                "UNAVAILABLE",
                "false",
            ),
            (
                CoordinatorError::Timeout { level, required: 2, answered: 1, waited_ms: 9, maybe: true },
                Code::DeadlineExceeded,
                "TIMEOUT",
                "true",
            ),
            (CoordinatorError::Overloaded("queue"), Code::ResourceExhausted, "OVERLOADED", "false"),
            (CoordinatorError::TooLarge("values"), Code::ResourceExhausted, "TOO_LARGE", "false"),
            (
                CoordinatorError::TagAhead { ahead_ms: 900, allowed_ms: 500 },
                Code::FailedPrecondition,
                "TAG_AHEAD",
                "false",
            ),
            (CoordinatorError::Flushed { maybe: false }, Code::FailedPrecondition, "TAG_FLUSHED", "false"),
            (CoordinatorError::Flushed { maybe: true }, Code::Unavailable, "UNAVAILABLE", "true"),
            (CoordinatorError::Full { maybe: true }, Code::ResourceExhausted, "OUT_OF_MEMORY", "true"),
            (CoordinatorError::Invalid("key".into()), Code::InvalidArgument, "INVALID", "false"),
        ];
        for (error, code, kind, maybe) in errors {
            let (status, failure) = (status(&error), failure(&error));
            assert_eq!((status.code(), status.message()), (code, failure.message.as_str()));
            let info = status.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (kind, "shoal"));
            assert_eq!(info.metadata["maybe"], maybe);
            assert_eq!((failure.kind().as_str_name(), failure.maybe.to_string().as_str()), (kind, maybe));
            let mended = matches!(error, CoordinatorError::NotReady | CoordinatorError::Overloaded(_));
            assert_eq!(status.get_details_retry_info().is_some(), mended, "{kind}");
        }
    }

    #[test]
    fn numbers_and_fields_are_told_by_name() {
        let ahead = status(&CoordinatorError::TagAhead { ahead_ms: 900, allowed_ms: 500 });
        assert_eq!(ahead.get_details_error_info().unwrap().metadata["ahead_ms"], "900");
        assert_eq!(ahead.get_details_precondition_failure().unwrap().violations[0].subject, "tag");
        let refused = fault("ttl_ms", "ttl_ms 9 is out of range".into());
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "ttl_ms 9 is out of range"));
        let request = refused.get_details_bad_request().unwrap();
        assert_eq!(request.field_violations[0].field, "ttl_ms");
        assert_eq!(refused.get_details_error_info().unwrap().reason, "INVALID");
    }
}
