use crate::coordinator::CoordinatorError;

/// How long a client that is told to come back should wait, in seconds.
const COME_BACK: u16 = 1;

/// What HTTP says for what the coordinator could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpError {
    /// The status code.
    pub status: u16,
    /// The name of the kind of error, which other doors know, too.
    pub kind: &'static str,
    /// What all errors of the kind have in common.
    pub title: &'static str,
    /// Seconds after which the same request may succeed; `None` where repeating it by itself does not help.
    pub retry_after: Option<u16>,
    /// A write may still take effect.
    pub maybe: bool,
}

/// The HTTP error for a coordinator's.
///
/// | Error | Status | Why |
/// |---|---|---|
/// | not ready, overloaded | 503 with `Retry-After` | nothing was done and a moment later helps |
/// | unavailable | 503 without | trying again does not bring owners back |
/// | timeout | 504 | the owners are to this node what an upstream server is to a gateway |
/// | invalid | 400 | repeating it can never help |
/// | tag ahead, flushed | 409 | the tag conflicts with the clock, or with a flush |
/// | flush unfinished | 503 without | as unavailable |
#[must_use]
pub fn http_error(error: &CoordinatorError) -> HttpError {
    let (status, kind, title, retry_after, maybe) = match error {
        CoordinatorError::NotReady => (503, "not_ready", "Node is not ready", Some(COME_BACK), false),
        CoordinatorError::Unavailable { maybe, .. } => {
            (503, "unavailable", "Consistency level is out of reach", None, *maybe)
        }
        CoordinatorError::Timeout { maybe, .. } => {
            (504, "timeout", "Owners did not answer in time", None, *maybe)
        }
        CoordinatorError::Overloaded(_) => {
            (503, "overloaded", "Too much is in flight", Some(COME_BACK), false)
        }
        CoordinatorError::TagAhead { .. } => (409, "tag_ahead", "Tag is ahead of the clock", None, false),
        CoordinatorError::Flushed { maybe } => {
            (409, "flushed", "Write was overtaken by a flush", None, *maybe)
        }
        CoordinatorError::FlushUnfinished { maybe, .. } => {
            (503, "unavailable", "Flush is not finished", None, *maybe)
        }
        CoordinatorError::Invalid(_) => (400, "invalid", "Request is invalid", None, false),
    };
    HttpError { status, kind, title, retry_after, maybe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::Consistency;

    #[test]
    fn only_what_a_moment_mends_tells_the_client_to_come_back() {
        let level = Consistency::Quorum;
        let unavailable =
            CoordinatorError::Unavailable { level, required: 2, available: 1, replicas: 3, maybe: true };
        let timeout =
            CoordinatorError::Timeout { level, required: 2, answered: 1, waited_ms: 9, maybe: false };
        for (error, status, kind, retry_after, maybe) in [
            (CoordinatorError::NotReady, 503, "not_ready", Some(1), false),
            (unavailable, 503, "unavailable", None, true),
            (timeout, 504, "timeout", None, false),
            (CoordinatorError::Overloaded("queue"), 503, "overloaded", Some(1), false),
            (CoordinatorError::TagAhead { ahead_ms: 900, allowed_ms: 500 }, 409, "tag_ahead", None, false),
            (CoordinatorError::Invalid("key".into()), 400, "invalid", None, false),
        ] {
            let said = http_error(&error);
            assert_eq!(
                (said.status, said.kind, said.retry_after, said.maybe),
                (status, kind, retry_after, maybe)
            );
        }
    }
}
