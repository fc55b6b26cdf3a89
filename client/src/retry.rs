//! Decides what follows a failed attempt.

use crate::ClientError;

/// How often a call is sent at most.
pub(crate) const ATTEMPTS: u32 = 4;

/// What a call asks for, as far as repeating it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes nothing.
    Read,
    /// A write or delete with a tag: a repeat is the same write.
    Tagged(TagOrigin),
    /// A write or delete whose tag the node makes: a repeat would be another write.
    Untagged,
    /// A change of expiry, counted from when it arrives: a repeat would be another change.
    Expire,
}

/// Who made a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagOrigin {
    /// The caller, who alone may change it.
    Caller,
    /// This crate.
    Client,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: the caller is told.
    Fail,
    /// The same on another node.
    Retry,
    /// The same on the same node, which makes the tag this time.
    RetryUntagged,
}

/// Decides after `error`. `maybe` says whether an earlier attempt may have taken effect.
pub(crate) fn decide(kind: Kind, error: &ClientError, maybe: bool) -> Verdict {
    let is_safe = !error.maybe() || matches!(kind, Kind::Read | Kind::Tagged(_));
    match (error, kind) {
        // No node would do it.
        (ClientError::Invalid(_) | ClientError::PermissionDenied(_) | ClientError::OutOfMemory { .. }, _) => {
            Verdict::Fail
        }
        (ClientError::TagAhead(_) | ClientError::TagFlushed(_), Kind::Tagged(TagOrigin::Client))
            if !maybe =>
        {
            Verdict::RetryUntagged
        }
        (ClientError::TagAhead(_), Kind::Tagged(TagOrigin::Caller)) => Verdict::Fail,
        // No node takes the tag any more.
        (ClientError::TagFlushed(_), _) => Verdict::Fail,
        _ if is_safe => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

/// What the caller is told when `error` was the last: that something may have taken effect, if an earlier attempt may
/// have.
pub(crate) fn last(error: ClientError, maybe: bool) -> ClientError {
    if !maybe || error.maybe() {
        return error;
    }
    match error {
        ClientError::Unavailable { message, .. } => ClientError::Unavailable { message, maybe },
        ClientError::Timeout { message, .. } => ClientError::Timeout { message, maybe },
        ClientError::OutOfMemory { message, .. } => ClientError::OutOfMemory { message, maybe },
        ClientError::Disconnected { .. } => ClientError::Disconnected { maybe },
        other => {
            let message = format!("an earlier attempt may have succeeded; the last one failed: {other}");
            ClientError::Unavailable { message, maybe }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Kind = Kind::Tagged(TagOrigin::Client);
    const CALLERS: Kind = Kind::Tagged(TagOrigin::Caller);
    const KINDS: [Kind; 5] = [Kind::Read, MINE, CALLERS, Kind::Untagged, Kind::Expire];

    fn undone() -> Vec<ClientError> {
        vec![
            ClientError::Connect { attempts: vec![] },
            ClientError::Unavailable { message: String::new(), maybe: false },
            ClientError::Timeout { message: String::new(), maybe: false },
            ClientError::Overloaded(String::new()),
            ClientError::NotReady(String::new()),
            ClientError::Disconnected { maybe: false },
            // Another node may know a token already, or still.
            ClientError::Unauthenticated(String::new()),
        ]
    }

    fn unknown() -> Vec<ClientError> {
        vec![
            ClientError::Unavailable { message: String::new(), maybe: true },
            ClientError::Timeout { message: String::new(), maybe: true },
            ClientError::Disconnected { maybe: true },
            ClientError::Protocol(String::new()),
        ]
    }

    #[test]
    fn what_was_not_done_is_tried_elsewhere() {
        for error in undone() {
            assert!(KINDS.iter().all(|kind| decide(*kind, &error, false) == Verdict::Retry), "{error}");
        }
    }

    #[test]
    fn what_may_have_been_done_is_repeated_only_if_the_repeat_is_the_same() {
        for error in unknown() {
            let verdicts = KINDS.map(|kind| decide(kind, &error, false));
            use Verdict::{Fail, Retry};
            assert_eq!(verdicts, [Retry, Retry, Retry, Fail, Fail], "{error}");
        }
    }

    #[test]
    fn what_no_node_would_do_is_not_repeated() {
        for error in [ClientError::Invalid(String::new()), ClientError::PermissionDenied(String::new())] {
            assert!(KINDS.iter().all(|kind| decide(*kind, &error, false) == Verdict::Fail));
        }
    }

    #[test]
    fn a_tag_is_given_up_only_if_it_is_ours_and_nobody_can_have_used_it() {
        let error = ClientError::TagAhead(String::new());
        assert_eq!(decide(MINE, &error, false), Verdict::RetryUntagged);
        assert_eq!(decide(MINE, &error, true), Verdict::Retry);
        assert_eq!(decide(CALLERS, &error, false), Verdict::Fail);
    }

    #[test]
    fn a_tag_that_was_flushed_is_never_sent_again() {
        let error = ClientError::TagFlushed(String::new());
        assert_eq!(decide(MINE, &error, false), Verdict::RetryUntagged);
        assert_eq!(decide(MINE, &error, true), Verdict::Fail);
        assert_eq!(decide(CALLERS, &error, false), Verdict::Fail);
    }

    #[test]
    fn an_earlier_doubt_is_never_forgotten() {
        for error in undone().into_iter().chain(unknown()) {
            assert!(last(error.clone(), true).maybe(), "{error}");
            assert_eq!(last(error.clone(), false), error);
        }
        assert!(last(ClientError::TagAhead("far".into()), true).to_string().contains("far"));
    }
}
