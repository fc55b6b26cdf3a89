//! What the cache takes and answers over REST.

use super::super::{
    problem::{BODY_TOO_SLOW, Document, INTERNAL, MISS, NOT_ACCEPTABLE, UNSUPPORTED, UNSUPPORTED_MEDIA_TYPE},
    route::{Answer, Form, Header, Parameter, Place, Route},
};
use super::{
    accept::BYTES,
    answer::{Read, Written},
    body::{DeletedManyDocument, StoredDocument, StoredManyDocument, TouchedDocument},
    many::{Found, Results},
    request::MOST_TTL_SECONDS,
};
use crate::{auth::Scope, frontend::error_map::Kind, limits};
use axum::http::Method;
use serde_json::{Value, json};

pub(super) static READ: Route = Route {
    method: Method::GET,
    path: "/cache/{key}",
    name: "read",
    summary: "Reads a value",
    scope: Some(Scope::Read),
    parameters: &[&[KEY], &CHOICES, &[IF_NONE_MATCH]],
    body: &[],
    answers: &[
        Answer {
            status: 200,
            about: "The value, as JSON if it is text, or as it is.",
            forms: &[Form::json::<Read<'_>>(), Form::plain(BYTES)],
            headers: &[&[CACHE_CONTROL, ETAG, VARY], &OUTCOME],
        },
        Answer {
            status: 304,
            about: "The value that the client has already.",
            forms: &[],
            headers: &[&[CACHE_CONTROL, ETAG, VARY], &OUTCOME],
        },
        NO_VALUE,
    ],
    problems: &[&COORDINATING, &[MISS, NOT_ACCEPTABLE]],
};

pub(super) static CREATE: Route = Route {
    method: Method::POST,
    path: "/cache/{key}",
    name: "store",
    summary: "Stores a value",
    scope: Some(Scope::Write),
    parameters: &[&[KEY], &CHOICES, &[TTL_SECONDS]],
    body: &[Form::json::<StoredDocument>(), Form::plain(BYTES)],
    answers: &[written(201, "The value is stored.")],
    problems: &[&COORDINATING, &WRITING],
};

pub(super) static REPLACE: Route = Route {
    method: Method::PUT,
    path: "/cache/{key}",
    name: "replace",
    summary: "Stores a value, and says no more than that",
    scope: Some(Scope::Write),
    parameters: &[&[KEY], &CHOICES, &[TTL_SECONDS]],
    body: &[Form::json::<StoredDocument>(), Form::plain(BYTES)],
    answers: &[Answer { status: 204, about: "The value is stored.", forms: &[], headers: &[&OUTCOME] }],
    problems: &[&COORDINATING, &WRITING],
};

pub(super) static TOUCH: Route = Route {
    method: Method::PATCH,
    path: "/cache/{key}",
    name: "touch",
    summary: "Changes when a value expires",
    scope: Some(Scope::Write),
    parameters: &[&[KEY], &CHOICES],
    body: &[Form::json::<TouchedDocument>()],
    answers: &[written(200, "The value expires at another time."), NO_VALUE],
    problems: &[&COORDINATING, &WRITING, &[MISS]],
};

pub(super) static DELETE: Route = Route {
    method: Method::DELETE,
    path: "/cache/{key}",
    name: "delete",
    summary: "Deletes a key, whether it has a value or not",
    scope: Some(Scope::Write),
    parameters: &[&[KEY], &CHOICES],
    body: &[],
    answers: &[written(200, "The key has no value.")],
    problems: &[&COORDINATING, &[UNSUPPORTED]],
};

pub(super) static READ_MANY: Route = Route {
    method: Method::GET,
    path: "/cache",
    name: "readMany",
    summary: "Reads many values, all of them text",
    scope: Some(Scope::Read),
    parameters: &[&[KEYS], &CHOICES],
    body: &[],
    answers: &[Answer {
        status: 200,
        about: "Every key, with `null` for one without a value.",
        forms: &[Form::json::<Found>()],
        headers: &[&OUTCOME],
    }],
    problems: &[&COORDINATING, &[NOT_ACCEPTABLE, Kind::TOO_LARGE]],
};

pub(super) static STORE_MANY: Route = Route {
    method: Method::POST,
    path: "/cache",
    name: "storeMany",
    summary: "Stores many values",
    scope: Some(Scope::Write),
    parameters: &[&CHOICES],
    body: &[Form::json::<StoredManyDocument>()],
    answers: &[
        many(200, "All values are stored.", &[&OUTCOME]),
        many(207, "Some values may not be stored: see each key.", &[&OUTCOME_IF_ANY]),
    ],
    problems: &[&COORDINATING, &WRITING],
};

pub(super) static DELETE_MANY: Route = Route {
    method: Method::DELETE,
    path: "/cache",
    name: "deleteMany",
    summary: "Deletes many keys, whether they have values or not",
    scope: Some(Scope::Write),
    parameters: &[&CHOICES],
    body: &[Form::json::<DeletedManyDocument>()],
    answers: &[
        many(200, "No key has a value.", &[&OUTCOME]),
        many(207, "Some keys may still have one: see each key.", &[&OUTCOME_IF_ANY]),
    ],
    problems: &[&COORDINATING, &WRITING],
};

/// What may go wrong with every request.
const COORDINATING: [Kind; 6] =
    [Kind::INVALID, INTERNAL, Kind::NOT_READY, Kind::OVERLOADED, Kind::UNAVAILABLE, Kind::TIMEOUT];
/// What may, of more than that, with a request that carries something.
const WRITING: [Kind; 5] =
    [BODY_TOO_SLOW, Kind::TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED, Kind::OUT_OF_MEMORY];

const NO_VALUE: Answer = Answer {
    status: MISS.status,
    about: "The key has no value.",
    forms: &[Form::problem::<Document>()],
    headers: &[&OUTCOME],
};

const WRITTEN: &[Form] = &[Form::json::<Written>()];
const RESULTS: &[Form] = &[Form::json::<Results>()];

const fn written(status: u16, about: &'static str) -> Answer {
    Answer { status, about, forms: WRITTEN, headers: &[&OUTCOME] }
}

const fn many(status: u16, about: &'static str, headers: &'static [&'static [Header]]) -> Answer {
    Answer { status, about, forms: RESULTS, headers }
}

const KEY: Parameter = Parameter {
    place: Place::Path,
    name: "key",
    about: "Any bytes, percent-encoded as one segment; the empty key is `/cache/`.",
    schema: text,
    required: true,
};

const KEYS: Parameter = Parameter {
    place: Place::Query,
    name: "keys",
    about: "Keys that are text, each percent-encoded, with commas between them.",
    schema: || json!({ "type": "array", "items": text(), "minItems": 1, "maxItems": limits::BATCH_KEYS }),
    required: true,
};

const TTL_SECONDS: Parameter = Parameter {
    place: Place::Query,
    name: "ttlSeconds",
    about: "When the value expires, unless the body says it; without either it stays.",
    schema: || json!({ "type": "integer", "minimum": 1, "maximum": MOST_TTL_SECONDS }),
    required: false,
};

const IF_NONE_MATCH: Parameter = Parameter {
    place: Place::Header,
    name: "If-None-Match",
    about: "The `ETag` of a value that the client has already.",
    schema: text,
    required: false,
};

/// How many owners must take part, and how long they have for it. Query and header must agree.
const CHOICES: [Parameter; 4] = [
    Parameter {
        place: Place::Query,
        name: "consistency",
        about: "The consistency level; without it the node's default.",
        schema: level,
        required: false,
    },
    Parameter {
        place: Place::Header,
        name: "Shoal-Consistency",
        about: "The same as `consistency`, which it must not contradict.",
        schema: level,
        required: false,
    },
    Parameter {
        place: Place::Query,
        name: "timeoutMs",
        about: "How long the owners have to answer, up to a minute; without it the node's default.",
        schema: millis,
        required: false,
    },
    Parameter {
        place: Place::Header,
        name: "Shoal-Timeout-Ms",
        about: "The same as `timeoutMs`, which it must not contradict.",
        schema: millis,
        required: false,
    },
];

/// What an answer was worth.
const OUTCOME: [Header; 8] = outcome(true);
/// The same where everything may have failed.
const OUTCOME_IF_ANY: [Header; 8] = outcome(false);

const fn outcome(always: bool) -> [Header; 8] {
    [
        header("Shoal-Reached", "The level that was met.", reached, always),
        header("Shoal-Asked", "Owners that were asked.", count, always),
        header("Shoal-Answered", "Owners whose answers were counted.", count, always),
        header("Shoal-Version", "The tag of the version read or written.", count, false),
        header("Shoal-Superseded-By", "The tag of a newer version that stood in the way.", count, false),
        header(
            "Shoal-Flags",
            "Of `repaired`, `hinted`, `degraded`, `superseded` those that hold.",
            text,
            false,
        ),
        header("Shoal-Expires-At", "When the version expires, in Unix milliseconds.", count, false),
        header("Shoal-Ttl-Ms", "How long that is from now.", count, false),
    ]
}

const ETAG: Header = header("ETag", "Names version and expiry.", text, true);
const CACHE_CONTROL: Header = header("Cache-Control", "What the client may keep, and how long.", text, true);
const VARY: Header = header("Vary", "What the answer depends on.", text, true);

const fn header(name: &'static str, about: &'static str, schema: fn() -> Value, always: bool) -> Header {
    Header { name, about, schema, always }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn millis() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": u64::MAX })
}

fn reached() -> Value {
    json!({ "enum": ["ONE", "TWO", "THREE", "QUORUM", "ALL"] })
}

fn level() -> Value {
    json!({ "enum": ["one", "two", "three", "quorum", "all"] })
}
