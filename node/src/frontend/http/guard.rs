//! Who asks: known from the head of a request, before its body is read.

use super::problem::Problem;
use crate::{
    auth::Scope,
    frontend::{Gate, Refusal},
    limits,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header::AUTHORIZATION},
    middleware::{self, Next},
    response::Response,
    routing::MethodRouter,
};

/// Puts a handler behind `gate`: it answers those whose scope includes `scope`.
pub(super) fn guarded(handler: MethodRouter, gate: Gate, scope: Scope) -> MethodRouter {
    handler.route_layer(middleware::from_fn_with_state((gate, scope), check))
}

async fn check(
    State((gate, scope)): State<(Gate, Scope)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let mut identity = match gate.enter(header) {
        Ok(identity) => identity,
        Err(refusal) => {
            if refusal == Refusal::Wrong {
                tokio::time::sleep(limits::WRONG_PASSWORD_PAUSE).await;
            }
            return Err(Problem::refused(&refusal));
        }
    };
    gate.allow(&mut identity, scope).map_err(|refusal| Problem::refused(&refusal))?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{
        auth::{Auth, Credential, Credentials, Digest},
        metrics::{DoorName, Metrics},
    };
    use axum::{
        Router,
        body::Body,
        routing::{get, post},
    };
    use std::{future::pending, sync::Arc};

    fn router(secrets: &[(&str, Scope)]) -> Router {
        let each = |(name, scope): &(&str, Scope)| Credential::new(name, *scope, Digest::of(name.as_bytes()));
        let auth = Auth::new(Credentials::new(secrets.iter().map(each).collect()).unwrap());
        let gate = Gate::new(Arc::new(auth), Metrics::default().auth_refused.door(DoorName::Rest));
        let read = guarded(get(async || "read"), gate.clone(), Scope::Read);
        let write = post(async |body: String| body).delete(async || "gone");
        Router::new().route("/", read.merge(guarded(write, gate, Scope::Write)))
    }

    fn request(method: &str, authorization: Option<&str>) -> Request {
        let request = Request::builder().method(method).uri("/");
        let request =
            authorization.into_iter().fold(request, |request, value| request.header(AUTHORIZATION, value));
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_request_needs_a_secret_whose_scope_includes_its_method() {
        let known = || router(&[("default", Scope::Write), ("probe", Scope::Read)]);
        // Basic: "default:default", "probe:probe", "default:probe".
        for (method, authorization, status) in [
            ("GET", None, 401),
            ("GET", Some("Bearer nobody"), 401),
            ("GET", Some("nonsense"), 401),
            ("GET", Some("Basic ZGVmYXVsdDpwcm9iZQ=="), 401),
            ("GET", Some("Bearer probe"), 200),
            ("HEAD", Some("Basic cHJvYmU6cHJvYmU="), 200),
            ("POST", Some("Bearer probe"), 403),
            ("DELETE", Some("Basic cHJvYmU6cHJvYmU="), 403),
            ("POST", Some("Bearer default"), 200),
            ("DELETE", Some("Basic ZGVmYXVsdDpkZWZhdWx0"), 200),
        ] {
            let answer = send(known(), request(method, authorization)).await;
            assert_eq!(answer.status, status, "{method} {authorization:?}: {}", answer.body);
            let asks: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            let expected = [r#"Basic realm="shoal", charset="UTF-8""#, r#"Bearer realm="shoal""#];
            assert_eq!(asks, if status == 401 { &expected[..] } else { &[] });
            if status >= 400 {
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert!(!answer.body.contains("nobody"), "{}", answer.body);
            }
            assert_eq!(send(router(&[]), request(method, authorization)).await.status, 200);
        }
    }

    #[tokio::test]
    async fn a_body_is_not_waited_for_before_its_sender_is_known() {
        let endless = Body::from_stream(futures::stream::once(pending::<Result<String, std::io::Error>>()));
        let request = Request::builder().method("POST").uri("/").body(endless).unwrap();
        let answer = send(router(&[("default", Scope::Write)]), request).await;
        assert_eq!(answer.status, 401);
        assert!(answer.body.contains(r#""kind":"unauthenticated""#), "{}", answer.body);
    }
}
