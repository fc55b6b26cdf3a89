//! The cache over REST.
//!
//! A request that has begun runs to its end even if its client hangs up, so that owners it could not reach get hints.

mod accept;
mod answer;
mod body;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod list;
mod many;
mod request;
mod routes;

use super::{buffers::Buffers, problem::Problem, route::Served};
use crate::coordinator::{CoordinatorError, RequestOptions, SetReply};
use crate::frontend::{Command, Door, Reply};
use crate::limits;
use accept::Format;
use axum::{
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use request::{Query, no_conditions};
use shoal_proto::types::Key;

pub(super) fn routes(door: Door) -> Vec<Served> {
    let cache = Cache { door, buffers: Buffers::default() };
    vec![
        routes::READ.by(read, cache.clone()),
        routes::CREATE.by(create, cache.clone()),
        routes::REPLACE.by(replace, cache.clone()),
        routes::TOUCH.by(touch, cache.clone()),
        routes::DELETE.by(delete, cache.clone()),
        routes::READ_MANY.by(read_many, cache.clone()),
        routes::STORE_MANY.by(store_many, cache.clone()),
        routes::DELETE_MANY.by(delete_many, cache),
    ]
}

#[derive(Clone)]
struct Cache {
    door: Door,
    buffers: Buffers,
}

impl Cache {
    async fn run(&self, command: Command, options: RequestOptions) -> Result<Reply, Problem> {
        let problem = if command.is_read() { |error| Problem::from(&error) } else { of_write };
        let answer = match self.door.try_execute_one(command, &options) {
            Ok(answer) => answer,
            Err(command) => {
                let door = self.door.clone();
                let running = tokio::spawn(async move { door.execute(command, &options).await });
                running.await.map_err(|_| aborted())?
            }
        };
        answer.map_err(problem)
    }

    /// Runs commands on keys that are not the same.
    async fn run_all(
        &self,
        commands: Vec<many::Keyed>,
        options: RequestOptions,
    ) -> Result<Vec<(Key, Result<Reply, CoordinatorError>)>, Problem> {
        let door = self.door.clone();
        let running = tokio::spawn(async move { many::run(&door, commands, options).await });
        running.await.map_err(|_| aborted())
    }

    /// Stores what the request carries.
    async fn store(&self, request: Request) -> Result<SetReply, Problem> {
        let (head, body) = request.into_parts();
        no_conditions(&head.headers)?;
        let query = Query::parse(&head, &["ttlSeconds"])?;
        let (options, key) = (query.options(&head.headers)?, request::key(&head.uri)?);
        let stored = body::stored(&head.headers, body, query.ttl_seconds()?, &self.buffers).await?;
        let expiry = request::expiry(stored.ttl_seconds, self.door.now())?;
        match self.run(Command::Set(key, stored.value, expiry), options).await? {
            Reply::Stored(reply) => Ok(reply),
            _ => Err(mismatch()),
        }
    }
}

async fn read(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let options = Query::parse(&head, &[])?.options(&head.headers)?;
    let format = accept::negotiate(&head.headers, &[Format::Json, Format::Bytes])?;
    let command = Command::Get(request::key(&head.uri)?);
    match cache.run(command, options).await? {
        Reply::Value(reply) => answer::value(reply, format, &head.headers, &cache.buffers),
        _ => Err(mismatch()),
    }
}

async fn create(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let reply = cache.store(request).await?;
    answer::stored(&reply)
}

/// Answers without a body, which is what HTTP has for a `PUT` that does not know whether it created or replaced.
async fn replace(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let reply = cache.store(request).await?;
    Ok(answer::replaced(&reply))
}

async fn touch(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    no_conditions(&head.headers)?;
    let options = Query::parse(&head, &[])?.options(&head.headers)?;
    let key = request::key(&head.uri)?;
    let ttl_seconds = body::touched(&head.headers, body, &cache.buffers).await?;
    let expiry = request::expiry(ttl_seconds, cache.door.now())?;
    match cache.run(Command::Expire(key, expiry), options).await? {
        Reply::Touched(reply) => answer::touched(&reply),
        _ => Err(mismatch()),
    }
}

async fn delete(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    no_conditions(&head.headers)?;
    let options = Query::parse(&head, &[])?.options(&head.headers)?;
    match cache.run(Command::Delete(request::key(&head.uri)?), options).await? {
        Reply::Deleted(reply) => answer::deleted(&reply),
        _ => Err(mismatch()),
    }
}

async fn read_many(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let query = Query::parse(&head, &["keys"])?;
    let options = query.options(&head.headers)?;
    accept::negotiate(&head.headers, &[Format::Json])?;
    let keys = many::keys(query.keys()?)?;
    let reads = keys.into_iter().map(|key| (key.clone(), Command::Get(key))).collect();
    many::found(cache.run_all(reads, options).await?, &cache.buffers)
}

async fn store_many(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (options, headers, body) = write_of_many(request)?;
    let limit = limits::HTTP_JSON_BYTES;
    let (document, room) = body::json_alone(&headers, body, limit, &cache.buffers).await?;
    let commands = many::stores(document, cache.door.now())?;
    let answers = cache.run_all(commands, options).await?;
    drop(room);
    many::written(answers, &cache.buffers)
}

async fn delete_many(State(cache): State<Cache>, request: Request) -> Result<Response, Problem> {
    let (options, headers, body) = write_of_many(request)?;
    let limit = limits::HTTP_KEYS_JSON_BYTES;
    let (document, room) = body::json_alone(&headers, body, limit, &cache.buffers).await?;
    let answers = cache.run_all(many::deletes(document)?, options).await?;
    drop(room);
    many::written(answers, &cache.buffers)
}

/// What a write of many keys says outside of its body, and the body.
fn write_of_many(request: Request) -> Result<(RequestOptions, HeaderMap, Body), Problem> {
    let (head, body) = request.into_parts();
    no_conditions(&head.headers)?;
    let options = Query::parse(&head, &[])?.options(&head.headers)?;
    Ok((options, head.headers, body))
}

fn of_write(error: CoordinatorError) -> Problem {
    Problem::of_write(&error)
}

fn aborted() -> Problem {
    Problem::internal("the request was aborted")
}

fn mismatch() -> Problem {
    Problem::internal("the coordinator answered another kind of request")
}
