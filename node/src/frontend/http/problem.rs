//! Errors as HTTP says them: problem details (RFC 9457).

use crate::coordinator::CoordinatorError;
use crate::frontend::{Refusal, error_map};
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    document: Document,
    headers: HeaderMap,
}

#[derive(Debug, Serialize)]
struct Document {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    kind: &'static str,
    /// Of a failed write: it may still take effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<bool>,
    /// Of many keys, the one the problem is about, percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let document = Document {
            r#type: format!("urn:shoal:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            kind,
            maybe: None,
            key: None,
        };
        Self(Box::new(Inner { status, document, headers: HeaderMap::new() }))
    }

    /// A request that can never succeed as it is.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        CoordinatorError::Invalid(detail.into()).into()
    }

    /// A key without a value.
    pub(super) fn miss() -> Self {
        Self::new(StatusCode::NOT_FOUND, "miss", "No such key", "the key has no value")
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let shown: String = path.chars().take(64).collect();
        let slash = if path.starts_with("/cache/") { "; a slash in a key is written %2F" } else { "" };
        let detail = format!("nothing is served at {shown}{slash}");
        Self::new(StatusCode::NOT_FOUND, "no_such_path", "No such path", detail)
    }

    pub(super) fn method_not_allowed(method: &Method) -> Self {
        let detail = format!("{method} is not one of the methods in the header Allow");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method is not allowed", detail)
    }

    /// An answer in a form the client does not take, or the value does not have.
    pub(super) fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "Not acceptable", detail)
    }

    /// A body that did not arrive in time.
    pub(super) fn body_too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "Body did not arrive in time", detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large", detail)
    }

    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let title = "Unsupported media type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", title, detail)
    }

    /// A client that is not let in, or not let do this.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        if let Refusal::Forbidden { .. } = refusal {
            return Self::new(
                StatusCode::FORBIDDEN,
                "permission_denied",
                "Permission denied",
                refusal.to_string(),
            );
        }
        let title = "Authentication is required";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", title, refusal.to_string());
        // Browsers ask their user for a name and a password.
        for way in [r#"Basic realm="shoal", charset="UTF-8""#, r#"Bearer realm="shoal""#] {
            problem.0.headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
        }
        problem
    }

    /// Something HTTP knows and this door does not do.
    pub(super) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "unsupported", "Not supported", detail)
    }

    /// A fault of this node.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// What the coordinator said to a write: whether it may still take effect is part of it.
    pub(super) fn of_write(error: &CoordinatorError) -> Self {
        let mut problem = Self::from(error);
        problem.0.document.maybe = Some(error_map::http_error(error).maybe);
        problem
    }

    /// The same, about one key of many.
    pub(super) fn about(mut self, key: &str) -> Self {
        self.0.document.key = Some(key.into());
        self
    }

    /// The same, with these headers, too.
    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers.extend(headers);
        self
    }
}

impl From<&CoordinatorError> for Problem {
    fn from(error: &CoordinatorError) -> Self {
        let said = error_map::http_error(error);
        let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::new(status, said.kind, said.title, error.to_string());
        if let Some(seconds) = said.retry_after {
            problem.0.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        problem
    }
}

impl From<CoordinatorError> for Problem {
    fn from(error: CoordinatorError) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { status, document, mut headers } = *self.0;
        headers.insert(header::CONTENT_TYPE, PROBLEM);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (status, headers, Json(document)).into_response()
    }
}
