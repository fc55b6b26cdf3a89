//! What peers may send before they have proven themselves: the messages of a handshake and no more.

use crate::{limits, replica::Proof};
use futures::StreamExt as _;
use http::Request;
use http_body_util::{BodyStream, StreamBody};
use std::task::{Context, Poll};
use tonic::{Status, body::Body, codegen::Service, server::NamedService};

/// A service whose calls end if they carry more than [`limits::UNPROVEN_PEER_BYTES`] before their [`Proof`] is given.
#[derive(Clone)]
pub(super) struct Unproven<S>(pub(super) S);

impl<S: NamedService> NamedService for Unproven<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Unproven<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let proof = Proof::default();
        let mut request = request.map(|body| bounded(body, proof.clone()));
        request.extensions_mut().insert(proof);
        self.0.call(request)
    }
}

fn bounded(body: Body, proof: Proof) -> Body {
    let mut left = limits::UNPROVEN_PEER_BYTES;
    let frames = BodyStream::new(body).map(move |frame| {
        let frame = frame?;
        if !proof.is_given() {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            left = left.checked_sub(bytes).ok_or_else(too_much)?;
        }
        Ok::<_, Status>(frame)
    });
    Body::new(StreamBody::new(frames))
}

fn too_much() -> Status {
    let limit = limits::UNPROVEN_PEER_BYTES;
    Status::resource_exhausted(format!("more than {limit} bytes from a peer that has not proven itself"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use hyper::body::Frame;

    fn chunks(bytes: usize, count: usize) -> Body {
        let chunk = Bytes::from(vec![0; bytes]);
        let frames = std::iter::repeat_n(chunk, count).map(|chunk| Ok::<_, Status>(Frame::data(chunk)));
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_peer_may_send_so_much_before_its_proof_and_anything_after_it() {
        let limit = limits::UNPROVEN_PEER_BYTES;
        let proof = Proof::default();
        assert!(bounded(chunks(limit, 1), proof.clone()).collect().await.is_ok());
        let error = bounded(chunks(limit / 4, 5), proof.clone()).collect().await.unwrap_err();
        assert!(error.message().contains("has not proven itself"), "{error}");
        let mut body = bounded(chunks(limit / 2, 9), proof.clone());
        assert!(body.frame().await.unwrap().is_ok());
        proof.give();
        assert!(body.collect().await.is_ok());
    }
}
