//! The routes as a document for programs: OpenAPI 3.1.

use super::{
    problem::{Document, UNAUTHENTICATED},
    route::{Answer, Form, Header, Parameter, Place, Route, Served},
};
use crate::{auth::Scope, frontend::error_map::Kind};
use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Method, header},
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

static DOCUMENT: Route = Route {
    method: Method::GET,
    path: "/openapi.json",
    name: "describe",
    summary: "This document",
    scope: Some(Scope::Read),
    parameters: &[],
    body: &[],
    answers: &[Answer {
        status: 200,
        about: "All routes, their parameters and their answers.",
        forms: &[Form::json::<Map<String, Value>>()],
        headers: &[],
    }],
    problems: &[],
};

const ABOUT: &str = "A node of Shoal, a leaderless distributed in-memory cache. Any node serves any key, and every request \
    may choose how many owners of its key must take part (`consistency`). Answers say in `Shoal-*` headers what they were \
    worth; errors are problems (RFC 9457). A node that has neither a password nor tokens asks nobody who they are.";

/// What the HTTP library itself answers to any request, without a body.
const REFUSALS: [(u16, &str); 2] =
    [(414, "The target is longer than 65,534 bytes."), (431, "The head is longer than 128 KiB.")];

/// Adds the document of the routes to them.
pub(super) fn with_document(mut served: Vec<Served>) -> Vec<Served> {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let routes: Vec<&Route> = served.iter().map(|served| served.route).chain([&DOCUMENT]).collect();
    let document = Bytes::from(document(&routes).to_string());
    let answer: ([(HeaderName, HeaderValue); 2], Bytes) = (headers, document);
    served.push(DOCUMENT.by(async move || answer, ()));
    served
}

fn document(routes: &[&Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let operations = paths.entry(route.path).or_default();
        let operation = operation(route, &mut schemas);
        if route.method == Method::GET {
            operations.insert("head".into(), head(operation.clone()));
        }
        operations.insert(route.method.as_str().to_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Shoal",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "password": { "type": "http", "scheme": "basic" },
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> = route.parameters.iter().copied().flatten().map(parameter).collect();
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    let mut kinds: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in route.kinds() {
        kinds.entry(kind.status).or_default().push(kind);
    }
    responses.extend(kinds.iter().map(|(status, kinds)| (status.to_string(), problem(kinds, schemas))));
    responses.extend(REFUSALS.map(|(status, about)| (status.to_string(), json!({ "description": about }))));
    let answers = route.answers.iter();
    responses.extend(answers.map(|answer| (answer.status.to_string(), response(answer, schemas))));
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
        "security": security(route),
    });
    if !route.body.is_empty() {
        operation["requestBody"] = json!({ "required": true, "content": content(route.body, schemas) });
    }
    operation
}

/// Either way is good, where the node asks for any.
fn security(route: &Route) -> Value {
    match route.scope {
        Some(_) => json!([{ "token": [] }, { "password": [] }]),
        None => json!([]),
    }
}

/// The same without bodies.
fn head(mut operation: Value) -> Value {
    operation["operationId"] =
        format!("{}Head", operation["operationId"].as_str().unwrap_or_default()).into();
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        response.as_object_mut().and_then(|response| response.remove("content"));
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let mut described = json!({
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "required": parameter.required,
        "schema": (parameter.schema)(),
    });
    if described["schema"]["type"] == "array" {
        // Commas between the items, not the name before each.
        described["explode"] = false.into();
    }
    described
}

fn response(answer: &Answer, schemas: &mut SchemaGenerator) -> Value {
    let headers = answer.headers.iter().copied().flatten().map(|header| (header.name, described(header)));
    let mut response = json!({
        "description": answer.about,
        "headers": headers.collect::<BTreeMap<&str, Value>>(),
    });
    if !answer.forms.is_empty() {
        response["content"] = content(answer.forms, schemas);
    }
    response
}

fn described(header: &Header) -> Value {
    json!({ "description": header.about, "required": header.always, "schema": (header.schema)() })
}

fn content(forms: &[Form], schemas: &mut SchemaGenerator) -> Value {
    let mut content = Map::new();
    for form in forms {
        content.insert(form.media_type.into(), json!({ "schema": (form.schema)(schemas) }));
    }
    content.into()
}

/// The problems that share a status.
fn problem(kinds: &[Kind], schemas: &mut SchemaGenerator) -> Value {
    let form = Form::problem::<Document>();
    let titles: Vec<&str> = kinds.iter().map(|kind| kind.title).collect();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let mut schema = Value::from((form.schema)(schemas));
    schema["properties"] = json!({ "kind": { "enum": names }, "status": { "const": kinds[0].status } });
    let mut response = json!({
        "description": titles.join(", or: "),
        "content": { form.media_type: { "schema": schema } },
    });
    if kinds.contains(&UNAUTHENTICATED) {
        response["headers"] = json!({ "WWW-Authenticate": {
            "description": "The ways to authenticate.",
            "required": true,
            "schema": { "type": "string" },
        } });
    }
    if kinds.iter().any(|kind| [Kind::NOT_READY, Kind::OVERLOADED].contains(kind)) {
        response["headers"] = json!({ "Retry-After": {
            "description": "Seconds after which the same request may succeed; missing where that does not help.",
            "required": false,
            "schema": { "type": "integer", "minimum": 1 },
        } });
    }
    response
}
