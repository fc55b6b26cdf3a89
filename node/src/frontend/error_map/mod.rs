//! What each protocol says when the coordinator could not answer: one exhaustive match per protocol.

mod grpc;
mod http;
mod metrics;
mod resp;

pub(in crate::frontend) use grpc::{failure, fault, refusal_failure, refusal_status, status};
pub use http::{HttpError, Kind, http_error};
pub(in crate::frontend) use metrics::failure_label;
pub use resp::resp_error;
