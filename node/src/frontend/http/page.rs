use super::route::{Answer, Form, Route, Served};
use crate::auth::Scope;
use axum::{
    http::{HeaderMap, HeaderValue, Method, header},
    response::{Html, IntoResponse as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("page.html");

static SHOW: Route = Route {
    method: Method::GET,
    path: "/",
    name: "page",
    summary: "The cluster, live, for people",
    scope: Some(Scope::Read),
    parameters: &[],
    body: &[],
    answers: &[Answer { status: 200, about: "A page.", forms: &[Form::plain("text/html")], headers: &[] }],
    problems: &[],
};

pub(super) fn routes() -> Vec<Served> {
    let headers = headers();
    vec![SHOW.by(async move || (headers, Html(PAGE)).into_response(), ())]
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]);
    // Hashes in Base64 are text that every header takes.
    if let Ok(policy) = HeaderValue::try_from(policy(PAGE)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers
}

/// What the browser lets the page do: run its own script, use its own style, ask the node that served it. A script that
/// found its way into the page does not have the hash of its own.
fn policy(page: &str) -> String {
    let (script, style) = (hash(inside(page, "script")), hash(inside(page, "style")));
    format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// The text of the page's only element of this name; empty if there is none.
fn inside<'a>(page: &'a str, element: &str) -> &'a str {
    let after = page.split_once(&format!("<{element}>")).map_or("", |(_, after)| after);
    after.split_once(&format!("</{element}>")).map_or("", |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{route::router, testing::*},
        *,
    };

    #[tokio::test]
    async fn the_page_may_run_its_own_script_and_nothing_else() {
        let answer = ask(router(routes()), "GET", "/").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
            assert!(inside(PAGE, element).len() > 100, "{element}");
        }
    }

    #[test]
    fn the_page_names_nothing_outside_and_no_style_or_handler_that_the_policy_would_block() {
        for blocked in ["http://", "https://", " style=", " onclick=", " onload=", "innerHTML", "eval("] {
            let allowed = "http://www.w3.org/2000/svg";
            assert!(!PAGE.replace(allowed, "").contains(blocked), "{blocked}");
        }
    }

    #[test]
    fn hashes_are_those_that_browsers_compute() {
        // The example of the specification: https://www.w3.org/TR/CSP2/#script-src-hash-usage.
        let expected = "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=";
        assert_eq!(hash("alert('Hello, world.');"), expected);
    }
}
