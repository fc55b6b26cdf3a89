//! One client: bytes from the socket to the pipeline and back.

use super::{
    RespDoor,
    answer::Answer,
    command::{self, CommandError, Context, Prepared},
    parser::{Parsed, Parser},
    pipeline::Pipeline,
    session::Session,
    writer::Writer,
};
use crate::{limits, metrics::Refused};
use bytes::BytesMut;
use shoal_proto::types::UnixMillis;
use std::{
    future::pending,
    io,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::Instant,
};

/// Serves one client until it leaves, breaks the protocol, stops reading its replies, or `shutdown` completes; then
/// commands already received are still run and answered. `peer` is the client's address, for `CLIENT INFO`.
///
/// Everything a read brings runs as one batch whose replies leave in one write. While replies wait for the client,
/// further commands are read but not run, so what a client can make the node hold is bounded.
///
/// # Errors
/// When the socket fails, or the client leaves a reply unread for [`limits::RESP_STALL`].
pub async fn serve<S>(
    stream: S,
    peer: String,
    door: Arc<RespDoor>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let Some(place) = door.admit() else {
        writer.write_all(b"-ERR max number of clients reached\r\n").await?;
        writer.flush().await?;
        return writer.shutdown().await;
    };
    let session = Session::new(place.number, peer, door.backend.now(), door.gate.anonymous());
    let mut connection = Connection::new(&door, session);
    let mut prove_by = None;
    let mut shutdown = pin!(shutdown);
    loop {
        let turn = match connection.turn() {
            Turn::Rest => {
                tokio::time::sleep(door.wrong_password_pause).await;
                Turn::More
            }
            turn => turn,
        };
        if turn == Turn::Over && connection.output.is_empty() {
            return writer.shutdown().await;
        }
        let Connection { session, input, output, written, pipeline, stopping, .. } = &mut connection;
        let (stopping, idle) = (*stopping, pipeline.is_empty());
        let full = output.len() >= limits::RESP_CHUNK_BYTES;
        let (room, stall) = if session.identity.is_some() {
            prove_by = None;
            (limits::RESP_REQUEST_BYTES + limits::RESP_READ_BYTES, door.stall)
        } else {
            prove_by = prove_by.or_else(|| Instant::now().checked_add(door.unproven_patience));
            (limits::UNPROVEN_INPUT_BYTES, door.unproven_patience)
        };
        let reading = !stopping && input.len() < room;
        if reading {
            input.reserve(limits::RESP_READ_BYTES);
        }
        tokio::select! {
            biased;
            answer = pipeline.next(), if !full && !pipeline.is_empty() => connection.put(answer),
            count = writer.write(&output[*written..]), if !output.is_empty() => {
                if connection.wrote(count?)? {
                    writer.flush().await?;
                }
            }
            () = std::future::ready(()), if turn == Turn::More => tokio::task::yield_now().await,
            () = &mut shutdown, if !stopping => connection.stopping = true,
            count = reader.read_buf(input), if reading => connection.stopping = count? == 0,
            () = until(prove_by), if !stopping && idle => connection.is_late(),
            // Made when first polled: a timer costs nothing while the client reads.
            () = async { tokio::time::sleep(stall).await }, if !output.is_empty() => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "client does not read its replies"));
            }
        }
    }
}

/// Until then; forever without an instant.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => pending().await,
    }
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Bytes, an answer or the client's reading must be waited for.
    Wait,
    /// Enough for now, but there is more to run.
    More,
    /// The client was wrong about its password and is made to wait for the answer.
    Rest,
    /// Nothing is left and nothing more will come.
    Over,
}

/// A connection without its socket.
struct Connection<'a> {
    door: &'a RespDoor,
    session: Session,
    parser: Parser,
    pipeline: Pipeline<'a>,
    /// A request that must wait for those under way.
    waiting: Option<Prepared>,
    input: BytesMut,
    output: BytesMut,
    /// How much of `output` the socket has taken.
    written: usize,
    /// Nothing more is read; what was is still answered.
    stopping: bool,
    /// How often the client was wrong about its password.
    wrong_passwords: u32,
}

impl<'a> Connection<'a> {
    fn new(door: &'a RespDoor, session: Session) -> Self {
        Self {
            door,
            session,
            parser: Parser::new(),
            pipeline: Pipeline::new(door),
            waiting: None,
            input: BytesMut::with_capacity(limits::RESP_READ_BYTES),
            output: BytesMut::new(),
            written: 0,
            stopping: false,
            wrong_passwords: 0,
        }
    }

    /// Runs what has been read until something must be waited for.
    fn turn(&mut self) -> Turn {
        let now = self.door.backend.now();
        self.session.identity = self.door.gate.renewed(self.session.identity.take());
        let wrong_passwords = self.wrong_passwords;
        let mut received = 0;
        let turn = loop {
            if self.wrong_passwords > wrong_passwords {
                break Turn::Rest;
            }
            if received == limits::RESP_BATCH {
                break Turn::More;
            }
            if self.output.len() >= limits::RESP_CHUNK_BYTES {
                break Turn::Wait;
            }
            let prepared = match self.waiting.take() {
                Some(prepared) => prepared,
                None => match self.next_request(now) {
                    Some(prepared) => {
                        received += 1;
                        prepared
                    }
                    None if self.stopping && self.pipeline.is_empty() => break Turn::Over,
                    None => break Turn::Wait,
                },
            };
            match prepared {
                Prepared::Plan(plan) if self.pipeline.admits(&plan) => {
                    if let Some(answer) = self.pipeline.start(plan, now) {
                        answer.write(&mut Writer::new(&mut self.output, self.session.protocol));
                    }
                }
                prepared if self.pipeline.is_empty() => self.answer(prepared),
                prepared => {
                    self.waiting = Some(prepared);
                    break Turn::Wait;
                }
            }
        };
        self.pipeline.conclude();
        self.door.counters.commands.fetch_add(received as u64, Relaxed);
        turn
    }

    fn next_request(&mut self, now: UnixMillis) -> Option<Prepared> {
        if self.session.closing {
            return None;
        }
        self.parser.grant(self.session.identity.is_some());
        match self.parser.next(&mut self.input) {
            Ok(None) => None,
            Ok(Some(Parsed::Request(request))) => {
                Some(command::prepare(self.door, &self.session, request, now))
            }
            Ok(Some(Parsed::TooLarge(too_large))) => Some(Prepared::Refused(too_large.into())),
            Err(error) => Some(Prepared::Refused(CommandError::Stream(error))),
        }
    }

    /// Answers what needs no coordinator.
    fn answer(&mut self, prepared: Prepared) {
        let writer = Writer::new(&mut self.output, self.session.protocol);
        let mut context = Context { door: self.door, session: &mut self.session, writer };
        let result = match prepared {
            Prepared::Local(handler, request) => handler(&mut context, &request),
            Prepared::Refused(error) => Err(error),
            Prepared::Plan(_) => Ok(()),
        };
        if let Err(error) = result {
            context.writer.error(&error.text());
            self.wrong_passwords += u32::from(error == CommandError::WrongPassword);
            let too_often = self.wrong_passwords >= limits::WRONG_PASSWORDS;
            context.session.closing |= error.ends_connection() || too_often;
        }
        self.stopping |= self.session.closing;
    }

    /// The client has not authenticated in time.
    fn is_late(&mut self) {
        self.door.gate.count(Refused::Late);
        self.answer(Prepared::Refused(CommandError::Late));
    }

    /// Takes an answer that was waited for.
    fn put(&mut self, answer: Option<Answer>) {
        if let Some(answer) = answer {
            answer.write(&mut Writer::new(&mut self.output, self.session.protocol));
        }
    }

    /// Notes what the socket took; true when that was all.
    fn wrote(&mut self, count: usize) -> io::Result<bool> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += count;
        let all = self.written == self.output.len();
        if all {
            self.written = 0;
            self.output.clear();
            // One large reply or request must not keep its memory for the life of the connection.
            if self.output.capacity() > 2 * limits::RESP_CHUNK_BYTES {
                self.output = BytesMut::new();
            }
            if self.input.is_empty() && self.input.capacity() > 2 * limits::RESP_CHUNK_BYTES {
                self.input = BytesMut::new();
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod tests;
