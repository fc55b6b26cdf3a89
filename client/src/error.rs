use crate::link::describe;
use shoal_proto::ERROR_DOMAIN;
use shoal_proto::wire::kv::v1::{Failure, failure::Kind};
use std::{error::Error as _, fmt};
use tonic::Code;
use tonic_types::StatusExt as _;

/// Why an address was of no use.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// Its node does not accept the token.
    Unauthenticated(String),
    /// Anything else.
    Other(String),
}

impl From<String> for Unreached {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<tonic::Status> for Unreached {
    fn from(status: tonic::Status) -> Self {
        let message = status.message().to_owned();
        match (status.code(), status.source()) {
            (Code::Unauthenticated, _) => Self::Unauthenticated(message),
            // The transport's own word, which is short.
            (_, Some(cause)) => Self::Other(format!("{message}: {}", describe(cause))),
            _ => Self::Other(message),
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated(why) | Self::Other(why) => f.write_str(why),
        }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No node could be reached; nothing was sent.
    #[error("no node could be reached{}", list(.attempts))]
    Connect {
        /// The addresses tried, in turn, and what became of each.
        attempts: Vec<(String, String)>,
    },
    /// The node asks for a token ([`ClientConfig::token`](crate::ClientConfig::token)), or does not know the one it was
    /// shown; nothing was done.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The token does not allow this; nothing was done.
    #[error("not allowed: {0}")]
    PermissionDenied(String),
    /// Too few owners of the key could be asked.
    #[error("{message}")]
    Unavailable {
        /// What the node said.
        message: String,
        /// The write may still take effect.
        maybe: bool,
    },
    /// The call's time was up.
    #[error("{message}")]
    Timeout {
        /// Who waited for what.
        message: String,
        /// The write may still take effect.
        maybe: bool,
    },
    /// The node has too much to do; nothing was done.
    #[error("{0}")]
    Overloaded(String),
    /// The node has not joined a ring yet; nothing was done.
    #[error("{0}")]
    NotReady(String),
    /// The write's tag is further ahead of the node's clock than is allowed; nothing was done.
    #[error("{0}")]
    TagAhead(String),
    /// The cluster was flushed past the write's tag; nothing was done.
    #[error("{0}")]
    TagFlushed(String),
    /// The memory of the key's owners is full and they evict nothing.
    #[error("{message}")]
    OutOfMemory {
        /// What the node said.
        message: String,
        /// Some owners have taken the write.
        maybe: bool,
    },
    /// The call can never succeed as it is; nothing was done.
    #[error("{0}")]
    Invalid(String),
    /// The connection broke before the answer came.
    #[error("the connection to the node was lost before it answered")]
    Disconnected {
        /// The write may have taken effect.
        maybe: bool,
    },
    /// The node answered what this version does not understand. What became of the call is unknown.
    #[error("unexpected answer: {0}")]
    Protocol(String),
}

impl ClientError {
    /// Whether a write that failed with this error may have taken effect, or may still do so.
    #[must_use]
    pub fn maybe(&self) -> bool {
        match self {
            Self::Unavailable { maybe, .. }
            | Self::Timeout { maybe, .. }
            | Self::OutOfMemory { maybe, .. }
            | Self::Disconnected { maybe } => *maybe,
            Self::Protocol(_) => true,
            Self::Connect { .. }
            | Self::Unauthenticated(_)
            | Self::PermissionDenied(_)
            | Self::Overloaded(_)
            | Self::NotReady(_)
            | Self::TagAhead(_)
            | Self::TagFlushed(_)
            | Self::Invalid(_) => false,
        }
    }

    /// No address was of use. That one was, but for the token, says more than that others were not.
    pub(crate) fn unreached(attempts: Vec<(String, Unreached)>) -> Self {
        let mut tried = Vec::new();
        for (address, why) in attempts {
            match why {
                Unreached::Unauthenticated(message) => return Self::Unauthenticated(message),
                Unreached::Other(why) => tried.push((address, why)),
            }
        }
        Self::Connect { attempts: tried }
    }

    /// What a failed unary call means: what its details say, if a node has written them.
    pub(crate) fn from_status(status: &tonic::Status) -> Self {
        let message = status.message().to_owned();
        let info = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let said = info.as_ref().and_then(|info| info.metadata.get("maybe"));
        let maybe = said.is_some_and(|maybe| maybe == "true");
        if let Some(kind) = info.and_then(|info| Kind::from_str_name(&info.reason)) {
            return Failure { kind: kind.into(), message, maybe }.into();
        }
        match status.code() {
            Code::Unimplemented => Self::Protocol(message),
            Code::ResourceExhausted => Self::Overloaded(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::PermissionDenied => Self::PermissionDenied(message),
            _ => Self::Unavailable { message, maybe: false },
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        let Failure { message, maybe, .. } = failure;
        match Kind::try_from(failure.kind) {
            Ok(Kind::Invalid | Kind::TooLarge) => Self::Invalid(message),
            Ok(Kind::Unavailable) => Self::Unavailable { message, maybe },
            Ok(Kind::Timeout) => Self::Timeout { message, maybe },
            Ok(Kind::Overloaded) => Self::Overloaded(message),
            Ok(Kind::NotReady) => Self::NotReady(message),
            Ok(Kind::TagAhead) => Self::TagAhead(message),
            Ok(Kind::Unauthenticated) => Self::Unauthenticated(message),
            Ok(Kind::PermissionDenied) => Self::PermissionDenied(message),
            Ok(Kind::OutOfMemory) => Self::OutOfMemory { message, maybe },
            Ok(Kind::TagFlushed) => Self::TagFlushed(message),
            Ok(Kind::Unspecified) | Err(_) => {
                Self::Protocol(format!("failure of kind {}: {message}", failure.kind))
            }
        }
    }
}

fn list(attempts: &[(String, String)]) -> String {
    if attempts.is_empty() {
        return ": no address was given".to_owned();
    }
    attempts.iter().map(|(address, why)| format!("; {address}: {why}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_their_kind_and_whether_the_write_may_take_effect() {
        let failure = |kind: i32, maybe| ClientError::from(Failure { kind, message: "why".into(), maybe });
        assert_eq!(failure(Kind::Invalid.into(), false), ClientError::Invalid("why".into()));
        assert!(failure(Kind::Timeout.into(), true).maybe());
        assert!(!failure(Kind::Unavailable.into(), false).maybe());
        assert!(!failure(Kind::Overloaded.into(), false).maybe());
        assert_eq!(failure(Kind::NotReady.into(), false).to_string(), "why");
        assert!(failure(Kind::OutOfMemory.into(), true).maybe());
        let denied = ClientError::PermissionDenied("why".into());
        assert_eq!(failure(Kind::PermissionDenied.into(), false), denied);
        assert_eq!(failure(99, false), ClientError::Protocol("failure of kind 99: why".into()));
    }

    #[test]
    fn a_status_means_what_its_details_say_if_they_are_a_nodes() {
        let status = |domain: &str, reason: &str| {
            let maybe = [("maybe".to_owned(), "true".to_owned())];
            let details = tonic_types::ErrorDetails::with_error_info(reason, domain, maybe);
            ClientError::from_status(&tonic::Status::with_error_details(Code::Unavailable, "why", details))
        };
        assert_eq!(status("shoal", "NOT_READY"), ClientError::NotReady("why".into()));
        assert_eq!(status("shoal", "TOO_LARGE"), ClientError::Invalid("why".into()));
        assert!(status("shoal", "UNAVAILABLE").maybe());
        let unknown = ClientError::Unavailable { message: "why".into(), maybe: false };
        assert_eq!(status("shoal", "LATER_VERSION"), unknown);
        assert_eq!(status("proxy", "NOT_READY"), unknown);
    }

    #[test]
    fn a_refused_token_says_more_than_addresses_where_nobody_is() {
        let refused = tonic::Status::unauthenticated("wrong");
        let attempts =
            |last: Unreached| vec![("a:1".to_owned(), "refused".to_owned().into()), ("b:2".to_owned(), last)];
        let error = ClientError::unreached(attempts(refused.into()));
        assert_eq!(error, ClientError::Unauthenticated("wrong".into()));
        let error = ClientError::unreached(attempts(tonic::Status::internal("broken").into()));
        assert!(matches!(error, ClientError::Connect { attempts } if attempts[1].1 == "broken"));
    }

    #[test]
    fn every_address_that_was_tried_is_named() {
        let attempts =
            vec![("a:1".to_owned(), "refused".to_owned()), ("b:2".to_owned(), "timed out".to_owned())];
        let shown = ClientError::Connect { attempts }.to_string();
        assert_eq!(shown, "no node could be reached; a:1: refused; b:2: timed out");
        assert!(ClientError::Connect { attempts: vec![] }.to_string().ends_with("no address was given"));
    }
}
