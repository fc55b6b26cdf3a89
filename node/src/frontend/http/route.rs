//! What the door serves. The router and the document at `/openapi.json` are both made of [`Route`]s, so that neither knows
//! a path, a parameter or a status that the other does not.

use super::{
    guard,
    problem::{PERMISSION_DENIED, PROBLEM, UNAUTHENTICATED},
};
use crate::{
    auth::Scope,
    frontend::{Gate, error_map::Kind},
};
use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware::map_response,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// One method of one path: all that it takes and all that it may answer. A `GET` is a `HEAD`, too.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What generated clients call it.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// What its caller must be allowed; `None` lets everybody in.
    pub(super) scope: Option<Scope>,
    pub(super) parameters: &'static [&'static [Parameter]],
    /// The forms its body may have; without any it has none.
    pub(super) body: &'static [Form],
    pub(super) answers: &'static [Answer],
    /// What may go wrong.
    pub(super) problems: &'static [&'static [Kind]],
}

/// What a request may say outside of its body.
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: fn() -> Value,
    pub(super) required: bool,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A form that a body has.
pub(super) struct Form {
    pub(super) media_type: &'static str,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// An answer that is no problem, or more than one.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) forms: &'static [Form],
    pub(super) headers: &'static [&'static [Header]],
}

/// A header of an answer.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: fn() -> Value,
    /// No answer of the kind is without it.
    pub(super) always: bool,
}

/// A route and what answers it.
pub(super) struct Served {
    pub(super) route: &'static Route,
    handler: MethodRouter,
}

impl Form {
    /// A JSON document of this type.
    pub(super) const fn json<T: JsonSchema>() -> Self {
        Self { media_type: "application/json", schema: SchemaGenerator::subschema_for::<T> }
    }

    /// A problem.
    pub(super) const fn problem<T: JsonSchema>() -> Self {
        Self { media_type: PROBLEM, schema: SchemaGenerator::subschema_for::<T> }
    }

    /// Text or bytes of any kind.
    pub(super) const fn plain(media_type: &'static str) -> Self {
        Self { media_type, schema: |_| Schema::default() }
    }
}

impl Route {
    /// The route as `handler` answers it.
    pub(super) fn by<H, T, S>(&'static self, handler: H, state: S) -> Served
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        // Fails for methods of one's own invention alone.
        let method = MethodFilter::try_from(self.method.clone()).unwrap_or(MethodFilter::GET);
        Served { route: self, handler: on(method, handler).with_state(state) }
    }

    /// Every kind of problem it may answer.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let refusals: &[Kind] = match self.scope {
            None => &[],
            Some(Scope::Read) => &[UNAUTHENTICATED],
            Some(Scope::Write) => &[UNAUTHENTICATED, PERMISSION_DENIED],
        };
        refusals.iter().chain(self.problems.iter().copied().flatten()).copied()
    }

    fn answers(&self, status: u16) -> bool {
        let mut statuses =
            self.answers.iter().map(|answer| answer.status).chain(self.kinds().map(|kind| kind.status));
        statuses.any(|known| known == status)
    }
}

impl Served {
    /// The same for those alone whom `gate` lets in.
    pub(super) fn behind(self, gate: &Gate) -> Self {
        match self.route.scope {
            Some(scope) => Self { handler: guard::guarded(self.handler, gate.clone(), scope), ..self },
            None => self,
        }
    }
}

/// Serves them all.
pub(super) fn router(served: Vec<Served>) -> Router {
    served.into_iter().fold(Router::new(), |router, Served { route, handler }| {
        let handler = if cfg!(debug_assertions) { checked(route, handler) } else { handler };
        // A parameter at the end of a path may be empty, which is another path to the router.
        let router = match route.path.split_once('{') {
            Some((without, _)) => router.route(without, handler.clone()),
            None => router,
        };
        router.route(route.path, handler)
    })
}

/// Answers that the document does not know are a mistake of ours, which every test of the door looks for.
fn checked(route: &'static Route, handler: MethodRouter) -> MethodRouter {
    handler.route_layer(map_response(async move |response: Response| {
        let status = response.status().as_u16();
        assert!(route.answers(status), "{} answers {status}, which is not written down", route.name);
        response
    }))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::ask, *};
    use axum::http::StatusCode;

    static PLAIN: Route = Route {
        method: Method::GET,
        path: "/plain/{name}",
        name: "plain",
        summary: "",
        scope: None,
        parameters: &[],
        body: &[],
        answers: &[Answer { status: 200, about: "", forms: &[], headers: &[] }],
        problems: &[&[Kind::INVALID]],
    };

    #[tokio::test]
    async fn a_parameter_may_be_empty_and_a_get_is_a_head() {
        let served = || router(vec![PLAIN.by(async || StatusCode::OK, ())]);
        for (method, path, status) in [
            ("GET", "/plain/a", 200),
            ("HEAD", "/plain/a", 200),
            ("GET", "/plain/", 200),
            ("POST", "/plain/a", 405),
            ("GET", "/plain/a/b", 404),
        ] {
            assert_eq!(ask(served(), method, path).await.status, status, "{method} {path}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "plain answers 418, which is not written down")]
    async fn an_answer_that_is_not_written_down_is_found() {
        let served = router(vec![PLAIN.by(async || StatusCode::IM_A_TEAPOT, ())]);
        ask(served, "GET", "/plain/a").await;
    }
}
