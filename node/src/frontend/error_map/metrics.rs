//! What metrics say for what the coordinator could not do.

use crate::{coordinator::CoordinatorError, metrics::Failure};

/// The label under which an error is counted.
pub(in crate::frontend) fn failure_label(error: &CoordinatorError) -> Failure {
    match error {
        CoordinatorError::NotReady => Failure::NotReady,
        CoordinatorError::Unavailable { .. }
        | CoordinatorError::Flushed { .. }
        | CoordinatorError::FlushUnfinished { .. } => Failure::Unavailable,
        CoordinatorError::Timeout { .. } => Failure::Timeout,
        CoordinatorError::Overloaded(_) => Failure::Overloaded,
        CoordinatorError::TagAhead { .. } => Failure::TagAhead,
        CoordinatorError::Full { .. } => Failure::OutOfMemory,
        CoordinatorError::TooLarge(_) | CoordinatorError::Invalid(_) => Failure::Invalid,
    }
}
