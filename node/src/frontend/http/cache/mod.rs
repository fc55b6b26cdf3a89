//! The cache over REST.
//!
//! A request that has begun runs to its end even if its client hangs up, so that owners it could not reach get hints.

mod accept;
mod answer;
mod body;
mod many;
mod request;

use super::{buffers::Buffers, problem::Problem};
use crate::coordinator::{CoordinatorError, RequestOptions, SetReply};
use crate::frontend::{Command, Door, Reply};
use accept::Format;
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use request::{Query, no_conditions};

pub(super) fn routes(door: Door) -> Router {
    let one = get(read).post(create).put(replace).patch(touch).delete(delete);
    Router::new()
        .route("/cache", get(read_many))
        // The empty key is a key.
        .route("/cache/", one.clone())
        .route("/cache/{key}", one)
        .with_state(Cache { door, buffers: Buffers::default() })
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
    let door = cache.door.clone();
    let running = tokio::spawn(async move { many::read(&door, keys, options).await });
    many::answer(running.await.map_err(|_| aborted())?, &cache.buffers)
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
