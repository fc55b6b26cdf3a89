//! What each protocol says for what the coordinator could not do.

use crate::coordinator::CoordinatorError;

/// Added where a write was sent to some owners but its level was not met.
const MAYBE: &str = "; the write may still take effect";

/// As Redis says it.
const FULL: &str = "command not allowed when used memory > 'maxmemory'.";

/// The error line of a RESP reply, without the leading `-`: a code, a blank, the text.
///
/// The codes are chosen by what clients do on their own when they see them:
///
/// | Error | Code | Why |
/// |---|---|---|
/// | not ready | `LOADING` | clients know it as "just started" and try again |
/// | overloaded | `TRYAGAIN` | nothing was done and a moment later helps: clients try again with a pause |
/// | unavailable | `NOQUORUM` | no client repeats it unasked: trying again does not bring owners back |
/// | timeout | `TIMEOUT` | the same; and a write may have been done |
/// | flushed | `TRYAGAIN` | whatever the write did is gone: to send it again is to write after the flush |
/// | flush unfinished | `NOQUORUM` | the same as unavailable |
/// | full | `OOM` | as Redis says it: clients know it and do not repeat it |
/// | invalid, too large, tag ahead | `ERR` | repeating it can never help |
///
/// `CLUSTERDOWN` is avoided: cluster clients answer it with retries and a reload of the slots.
#[must_use]
pub fn resp_error(error: &CoordinatorError) -> String {
    match error {
        CoordinatorError::NotReady => format!("LOADING {error}"),
        CoordinatorError::Unavailable { maybe, .. } => {
            format!("NOQUORUM {error}{}", if *maybe { MAYBE } else { "" })
        }
        CoordinatorError::Timeout { maybe, .. } => {
            format!("TIMEOUT {error}{}", if *maybe { MAYBE } else { "" })
        }
        CoordinatorError::Full { maybe } => format!("OOM {FULL}{}", if *maybe { MAYBE } else { "" }),
        CoordinatorError::FlushUnfinished { .. } => format!("NOQUORUM {error}"),
        CoordinatorError::Overloaded(_) | CoordinatorError::Flushed { .. } => format!("TRYAGAIN {error}"),
        CoordinatorError::TooLarge(_) | CoordinatorError::TagAhead { .. } | CoordinatorError::Invalid(_) => {
            format!("ERR {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::Consistency;

    #[test]
    fn a_resp_error_has_a_code_and_the_counts_and_says_when_a_write_may_have_been_done() {
        let unavailable = |maybe| CoordinatorError::Unavailable {
            level: Consistency::Quorum,
            required: 2,
            available: 1,
            replicas: 3,
            maybe,
        };
        assert_eq!(resp_error(&unavailable(false)), "NOQUORUM QUORUM needs 2 of 3 owners, 1 can be asked");
        assert!(resp_error(&unavailable(true)).ends_with("asked; the write may still take effect"));
        let timeout = CoordinatorError::Timeout {
            level: Consistency::All,
            required: 3,
            answered: 2,
            waited_ms: 50,
            maybe: false,
        };
        assert_eq!(resp_error(&timeout), "TIMEOUT ALL needs 3 owners, 2 answered within 50 ms");
        assert!(resp_error(&CoordinatorError::NotReady).starts_with("LOADING this node"));
        assert_eq!(resp_error(&CoordinatorError::Overloaded("queue")), "TRYAGAIN overloaded: queue");
        assert_eq!(resp_error(&CoordinatorError::Invalid("no".into())), "ERR no");
        assert_eq!(
            resp_error(&CoordinatorError::Full { maybe: false }),
            "OOM command not allowed when used memory > 'maxmemory'."
        );
        assert!(resp_error(&CoordinatorError::Full { maybe: true }).ends_with(MAYBE));
    }
}
