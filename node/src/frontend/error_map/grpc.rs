//! What gRPC says for what the coordinator could not do.

use crate::{coordinator::CoordinatorError, frontend::Refusal};
use shoal_proto::wire::kv::v1::{Failure, failure::Kind};
use tonic::{Code, Status, metadata::MetadataValue};

/// Metadata of a failed unary call: the name of the [`Kind`] a pipeline would have answered.
pub(in crate::frontend) const FAILURE_KIND: &str = "shoal-failure";
/// Metadata of a failed unary call: `true` when the write may still take effect.
pub(in crate::frontend) const FAILURE_MAYBE: &str = "shoal-maybe";

/// The failure of one operation of a pipeline.
pub(in crate::frontend) fn failure(error: &CoordinatorError) -> Failure {
    let (kind, maybe) = kind(error);
    Failure { kind: kind.into(), message: error.to_string(), maybe }
}

/// The status of a failed unary call. Its metadata tells kinds apart that share a gRPC code.
pub(in crate::frontend) fn status(error: &CoordinatorError) -> Status {
    let (kind, maybe) = kind(error);
    with_code(kind, error.to_string(), maybe)
}

fn with_code(kind: Kind, message: String, maybe: bool) -> Status {
    let code = match kind {
        Kind::Unspecified => Code::Unknown,
        Kind::Invalid => Code::InvalidArgument,
        Kind::TagAhead => Code::FailedPrecondition,
        Kind::Unavailable | Kind::NotReady => Code::Unavailable,
        Kind::Timeout => Code::DeadlineExceeded,
        Kind::Overloaded => Code::ResourceExhausted,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
    };
    let mut status = Status::new(code, message);
    let metadata = status.metadata_mut();
    metadata.insert(FAILURE_KIND, MetadataValue::from_static(kind.as_str_name()));
    metadata.insert(FAILURE_MAYBE, MetadataValue::from_static(if maybe { "true" } else { "false" }));
    status
}

/// The status of a call whose caller is refused.
pub(in crate::frontend) fn refusal_status(refusal: &Refusal) -> Status {
    with_code(refusal_kind(refusal), refusal.to_string(), false)
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
        CoordinatorError::TagAhead { .. } => (Kind::TagAhead, false),
        CoordinatorError::Invalid(_) => (Kind::Invalid, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::Consistency;

    #[test]
    fn a_status_keeps_what_a_failure_says() {
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
            (
                CoordinatorError::TagAhead { ahead_ms: 900, allowed_ms: 500 },
                Code::FailedPrecondition,
                "TAG_AHEAD",
                "false",
            ),
            (CoordinatorError::Invalid("key".into()), Code::InvalidArgument, "INVALID", "false"),
        ];
        for (error, code, kind, maybe) in errors {
            let (status, failure) = (status(&error), failure(&error));
            assert_eq!((status.code(), status.message()), (code, failure.message.as_str()));
            assert_eq!(status.metadata().get(FAILURE_KIND).unwrap(), kind);
            assert_eq!(status.metadata().get(FAILURE_MAYBE).unwrap(), maybe);
            assert_eq!((failure.kind().as_str_name(), failure.maybe.to_string().as_str()), (kind, maybe));
        }
    }
}
