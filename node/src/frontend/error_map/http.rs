use crate::coordinator::CoordinatorError;

/// How long a client that is told to come back should wait, in seconds.
const COME_BACK: u16 = 1;

/// What all problems of one kind have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The status code.
    pub status: u16,
    /// Its name, which other doors know, too.
    pub name: &'static str,
    /// The same for people.
    pub title: &'static str,
}

impl Kind {
    /// The node has no ring yet.
    pub const NOT_READY: Self = Self::new(503, "not_ready", "Node is not ready");
    /// Too few owners can be asked.
    pub const UNAVAILABLE: Self = Self::new(503, "unavailable", "Consistency level is out of reach");
    /// Too few owners answered.
    pub const TIMEOUT: Self = Self::new(504, "timeout", "Owners did not answer in time");
    /// Nothing was done.
    pub const OVERLOADED: Self = Self::new(503, "overloaded", "Too much is in flight");
    /// What was asked for, or its answer, exceeds a limit.
    pub const TOO_LARGE: Self = Self::new(413, "too_large", "Too large");
    /// The client's tag is ahead of the clock.
    pub const TAG_AHEAD: Self = Self::new(409, "tag_ahead", "Tag is ahead of the clock");
    /// A flush has taken what the write did.
    pub const FLUSHED: Self = Self::new(409, "flushed", "Write was overtaken by a flush");
    /// Owners have no room for the write and evict nothing.
    pub const OUT_OF_MEMORY: Self = Self::new(507, "out_of_memory", "Memory is full");
    /// The request can never succeed as it is.
    pub const INVALID: Self = Self::new(400, "invalid", "Request is invalid");

    /// A kind.
    #[must_use]
    pub const fn new(status: u16, name: &'static str, title: &'static str) -> Self {
        Self { status, name, title }
    }
}

/// What HTTP says for what the coordinator could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpError {
    /// What went wrong.
    pub kind: Kind,
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
/// | too large | 413 | asking for less helps |
/// | tag ahead, flushed | 409 | the tag conflicts with the clock, or with a flush |
/// | flush unfinished | 503 without | as unavailable |
/// | full | 507 | there is no room, and no telling when there will be |
#[must_use]
pub fn http_error(error: &CoordinatorError) -> HttpError {
    let (kind, retry_after, maybe) = match error {
        CoordinatorError::NotReady => (Kind::NOT_READY, Some(COME_BACK), false),
        CoordinatorError::Unavailable { maybe, .. } => (Kind::UNAVAILABLE, None, *maybe),
        CoordinatorError::Timeout { maybe, .. } => (Kind::TIMEOUT, None, *maybe),
        CoordinatorError::Overloaded(_) => (Kind::OVERLOADED, Some(COME_BACK), false),
        CoordinatorError::TooLarge(_) => (Kind::TOO_LARGE, None, false),
        CoordinatorError::TagAhead { .. } => (Kind::TAG_AHEAD, None, false),
        CoordinatorError::Flushed { maybe } => (Kind::FLUSHED, None, *maybe),
        CoordinatorError::FlushUnfinished { maybe, .. } => (Kind::UNAVAILABLE, None, *maybe),
        CoordinatorError::Full { maybe } => (Kind::OUT_OF_MEMORY, None, *maybe),
        CoordinatorError::Invalid(_) => (Kind::INVALID, None, false),
    };
    HttpError { kind, retry_after, maybe }
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
            (CoordinatorError::TooLarge("values"), 413, "too_large", None, false),
            (CoordinatorError::TagAhead { ahead_ms: 900, allowed_ms: 500 }, 409, "tag_ahead", None, false),
            (CoordinatorError::Full { maybe: true }, 507, "out_of_memory", None, true),
            (CoordinatorError::Invalid("key".into()), 400, "invalid", None, false),
        ] {
            let said = http_error(&error);
            assert_eq!(
                (said.kind.status, said.kind.name, said.retry_after, said.maybe),
                (status, kind, retry_after, maybe)
            );
        }
    }
}
