//! Errors as HTTP says them: problem details (RFC 9457).

use crate::coordinator::CoordinatorError;
use crate::frontend::{
    Refusal,
    error_map::{self, Kind},
};
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type of problems.
pub(super) const PROBLEM: &str = "application/problem+json";

/// What goes wrong at this door alone.
pub(super) const UNAUTHENTICATED: Kind = Kind::new(401, "unauthenticated", "Authentication is required");
pub(super) const PERMISSION_DENIED: Kind = Kind::new(403, "permission_denied", "Permission denied");
pub(super) const MISS: Kind = Kind::new(404, "miss", "No such key");
pub(super) const NO_SUCH_PATH: Kind = Kind::new(404, "no_such_path", "No such path");
pub(super) const METHOD_NOT_ALLOWED: Kind = Kind::new(405, "method_not_allowed", "Method is not allowed");
pub(super) const NOT_ACCEPTABLE: Kind = Kind::new(406, "not_acceptable", "Not acceptable");
pub(super) const BODY_TOO_SLOW: Kind = Kind::new(408, "body_too_slow", "Body did not arrive in time");
pub(super) const UNSUPPORTED_MEDIA_TYPE: Kind =
    Kind::new(415, "unsupported_media_type", "Unsupported media type");
pub(super) const INTERNAL: Kind = Kind::new(500, "internal", "Internal error");
pub(super) const UNSUPPORTED: Kind = Kind::new(501, "unsupported", "Not supported");

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    document: Document,
    headers: HeaderMap,
}

/// A problem as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document {
    /// `urn:shoal:problem:` and the kind.
    r#type: String,
    /// The kind, for people.
    title: &'static str,
    /// The status code.
    status: u16,
    /// What was wrong.
    detail: String,
    /// What kind of problem it is, for programs.
    kind: &'static str,
    /// Of a failed write: it may still take effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<bool>,
    /// Of many keys, the one the problem is about, percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let document = Document {
            r#type: format!("urn:shoal:problem:{}", kind.name),
            title: kind.title,
            status: kind.status,
            detail: detail.into(),
            kind: kind.name,
            maybe: None,
            key: None,
        };
        Self(Box::new(Inner { document, headers: HeaderMap::new() }))
    }

    /// A request that can never succeed as it is.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::INVALID, detail)
    }

    /// A key without a value.
    pub(super) fn miss() -> Self {
        Self::new(MISS, "the key has no value")
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let shown: String = path.chars().take(64).collect();
        let slash = if path.starts_with("/cache/") { "; a slash in a key is written %2F" } else { "" };
        Self::new(NO_SUCH_PATH, format!("nothing is served at {shown}{slash}"))
    }

    pub(super) fn method_not_allowed(method: &Method) -> Self {
        Self::new(METHOD_NOT_ALLOWED, format!("{method} is not one of the methods in the header Allow"))
    }

    /// An answer in a form the client does not take, or the value does not have.
    pub(super) fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(NOT_ACCEPTABLE, detail)
    }

    /// A body that did not arrive in time.
    pub(super) fn body_too_slow(detail: impl Into<String>) -> Self {
        Self::new(BODY_TOO_SLOW, detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(Kind::TOO_LARGE, detail)
    }

    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// A client that is not let in, or not let do this.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        if let Refusal::Forbidden { .. } = refusal {
            return Self::new(PERMISSION_DENIED, refusal.to_string());
        }
        let mut problem = Self::new(UNAUTHENTICATED, refusal.to_string());
        // Browsers ask their user for a name and a password.
        for way in [r#"Basic realm="shoal", charset="UTF-8""#, r#"Bearer realm="shoal""#] {
            problem.0.headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
        }
        problem
    }

    /// Something HTTP knows and this door does not do.
    pub(super) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(UNSUPPORTED, detail)
    }

    /// A fault of this node.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(INTERNAL, detail)
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

    /// The document alone, to be part of another.
    pub(super) fn into_document(self) -> Document {
        self.0.document
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
        let mut problem = Self::new(said.kind, error.to_string());
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
        let Inner { document, mut headers } = *self.0;
        let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (status, headers, Json(document)).into_response()
    }
}
