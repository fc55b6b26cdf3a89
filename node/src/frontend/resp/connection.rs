//! One client: bytes from the socket to the pipeline and back.

use super::{
    RespDoor,
    answer::Answer,
    clients::{Holding, Present},
    command::{self, CommandError, Context, Prepared},
    output::Output,
    parser::{Parsed, Parser},
    patience::{Awaited, Patience},
    pipeline::Pipeline,
    plan::Plan,
    session::{Replies, Session},
    writer::Writer,
};
use crate::{
    limits,
    metrics::{Ending, Refused},
};
use bytes::{BufMut as _, BytesMut};
use futures::FutureExt as _;
use shoal_proto::types::UnixMillis;
use std::{
    future::{pending, poll_fn},
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, WriteHalf},
    time::{Instant, timeout},
};

/// Both ends of a connection, for `CLIENT LIST`.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The client's address.
    pub peer: String,
    /// The address it has connected to.
    pub local: String,
}

/// Serves one client until it leaves, breaks the protocol, takes too long, holds too much or is told to go, or until
/// `shutdown` completes; then commands already received are still run and answered.
///
/// Everything a read brings runs as one batch whose replies leave in one write. While replies wait for the client,
/// further commands are read but not run, so what a client can make the node hold is bounded.
///
/// # Errors
/// When the socket fails.
pub async fn serve<S>(
    stream: S,
    ends: Ends,
    door: Arc<RespDoor>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let Some(mut place) = door.admit() else {
        writer.write_all(b"-ERR max number of clients reached\r\n").await?;
        writer.flush().await?;
        return writer.shutdown().await;
    };
    let Ends { peer, local } = ends;
    let identity = door.gate.anonymous();
    let session = Session::new(place.number, peer.into(), local.into(), door.backend.now(), identity);
    let present = door.clients.enter(&session);
    let mut connection = Connection::new(&door, &present, session);
    let ended = connection.run(&mut reader, &mut writer, shutdown).await;
    place.ending = *ended.as_ref().unwrap_or(&Ending::Failed);
    let (peer, ending) = (&connection.session.peer, place.ending.name());
    match place.ending {
        Ending::OutputLimit | Ending::ClientMemory => {
            let holding = connection.holding();
            tracing::warn!(%peer, ending, unsent = holding.unsent, bytes = holding.bytes(), "RESP client let go");
        }
        _ => tracing::debug!(%peer, ending, "RESP connection ended"),
    }
    ended.map(drop)
}

/// Gives the next bytes to the socket, or without any what TLS still holds. Returns how many it took.
async fn push(writer: &mut (impl AsyncWrite + Unpin), output: &Output) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); limits::RESP_PIECES];
    match output.next(&mut pieces) {
        [] => writer.flush().await.map(|()| 0),
        [piece] => writer.write(piece).await,
        pieces => writer.write_vectored(pieces).await,
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
    present: &'a Present<'a>,
    session: Session,
    parser: Parser,
    pipeline: Pipeline<'a>,
    /// A request that must wait for those under way.
    waiting: Option<Prepared>,
    input: BytesMut,
    output: Output,
    patience: Patience,
    /// Bytes that came and went since others had their turn.
    moved: usize,
    /// The socket has taken all, and TLS still holds some of it.
    unflushed: bool,
    /// Nothing more is read; what was is still answered.
    stopping: Option<Ending>,
    /// How often the client was wrong about its password.
    wrong_passwords: u32,
}

impl<'a> Connection<'a> {
    fn new(door: &'a RespDoor, present: &'a Present<'a>, session: Session) -> Self {
        Self {
            door,
            present,
            session,
            parser: Parser::new(),
            pipeline: Pipeline::new(door),
            waiting: None,
            input: BytesMut::new(),
            output: Output::default(),
            unflushed: false,
            patience: Patience::new(),
            moved: 0,
            stopping: None,
            wrong_passwords: 0,
        }
    }

    /// Moves bytes until the connection is over; says why it is.
    async fn run<S: AsyncRead + AsyncWrite>(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut WriteHalf<S>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<Ending> {
        let mut shutdown = pin!(shutdown);
        let mut let_go = pin!(self.present.ended());
        let mut prove_by = None;
        loop {
            if self.moved >= limits::RESP_TURN_BYTES {
                self.moved = 0;
                tokio::task::yield_now().await;
            }
            let turn = match self.turn() {
                Turn::Rest => {
                    tokio::time::sleep(self.door.wrong_password_pause).await;
                    Turn::More
                }
                turn => turn,
            };
            if self.holding().unsent > self.door.live.output_limit() {
                return Ok(Ending::OutputLimit);
            }
            if turn == Turn::Over && self.output.is_empty() {
                timeout(self.door.stall, writer.shutdown()).await??;
                return Ok(self.stopping.unwrap_or_default());
            }
            let Self { door, session, input, output, unflushed, pipeline, stopping, patience, .. } =
                &mut *self;
            let (stopping, unflushed, idle) = (stopping.is_some(), *unflushed, pipeline.is_empty());
            let full = output.len() >= limits::RESP_CHUNK_BYTES;
            let (room, stall) = if session.identity.is_some() {
                prove_by = None;
                (limits::RESP_REQUEST_BYTES + limits::RESP_READ_BYTES, door.stall)
            } else {
                prove_by = prove_by.or_else(|| Instant::now().checked_add(door.unproven_patience));
                (limits::UNPROVEN_INPUT_BYTES, door.unproven_patience)
            };
            let reading = !stopping && input.len() < room;
            let waiting = match patience.awaited() {
                Awaited::Nothing => false,
                // Who has still to authenticate is told when that took too long.
                Awaited::Request => prove_by.is_none(),
                Awaited::Reader => true,
            };
            tokio::select! {
                biased;
                ending = &mut let_go => return Ok(ending),
                answer = pipeline.next(), if !full && !pipeline.is_empty() => self.put(answer),
                count = push(writer, output), if unflushed || !output.is_empty() => {
                    if self.wrote(count?)? {
                        // At once, but for TLS that waits for its socket.
                        self.unflushed = writer.flush().now_or_never().transpose()?.is_none();
                    }
                }
                () = std::future::ready(()), if turn == Turn::More => tokio::task::yield_now().await,
                () = &mut shutdown, if !stopping => self.stopping = Some(Ending::Shutdown),
                count = receive(reader, input), if reading => match count? {
                    0 => self.stopping = Some(Ending::Left),
                    count => self.moved(count),
                },
                () = until(prove_by), if !stopping && idle => self.is_late(),
                // Made when first polled: a timer costs nothing while the client is quick.
                () = patience.over(stall), if waiting => {
                    let is_reader = self.patience.awaited() == Awaited::Reader;
                    return Ok(if is_reader { Ending::SlowReader } else { Ending::SlowRequest });
                }
            }
        }
    }

    /// Runs what has been read until something must be waited for.
    fn turn(&mut self) -> Turn {
        let now = self.door.backend.now();
        self.session.identity = self.door.gate.renewed(self.session.identity.take());
        let wrong_passwords = self.wrong_passwords;
        let mut received = 0;
        if !self.input.is_empty() {
            self.output.prepare();
        }
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
                    None if self.stopping.is_some() && self.pipeline.is_empty() => break Turn::Over,
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
        self.settle((received > 0).then_some((self.session.command, now)));
        turn
    }

    /// Notes what a turn has left.
    fn settle(&mut self, sent: Option<(&'static str, UnixMillis)>) {
        if self.input.is_empty() {
            // Idle connections hold no room for requests.
            self.input = BytesMut::new();
        }
        let awaited = match () {
            () if self.unflushed || !self.output.is_empty() => Awaited::Reader,
            () if !self.pipeline.is_empty() || self.waiting.is_some() => Awaited::Nothing,
            () if self.parser.is_within() || !self.input.is_empty() => Awaited::Request,
            () => Awaited::Nothing,
        };
        if sent.is_some() && awaited == Awaited::Request {
            self.patience.renew();
        }
        self.patience.awaits(awaited);
        self.present.note(self.holding(), sent, self.door.live.client_memory());
    }

    fn holding(&self) -> Holding {
        Holding {
            unread: self.input.len(),
            input: self.input.capacity() + self.parser.held_bytes(),
            unsent: self.output.unsent(),
            output: self.output.held_bytes(),
            running: self.pipeline.len(),
            under_way: self.pipeline.held_bytes(),
        }
    }

    fn next_request(&mut self, now: UnixMillis) -> Option<Prepared> {
        if self.session.closing {
            return None;
        }
        self.parser.grant(self.session.identity.is_some());
        let parsed = self.parser.next(&mut self.input).transpose()?;
        self.session.begin();
        Some(match parsed {
            Ok(Parsed::Request(request)) => {
                match command::prepare(self.door, &mut self.session, request, now) {
                    Prepared::Plan(plan) => Prepared::Plan(Plan { mute: self.session.is_mute(), ..plan }),
                    prepared => prepared,
                }
            }
            Ok(Parsed::TooLarge(too_large)) => Prepared::Refused(too_large.into()),
            Err(error) => Prepared::Refused(CommandError::Stream(error)),
        })
    }

    /// Answers what needs no coordinator.
    fn answer(&mut self, prepared: Prepared) {
        let (mute, place) = (self.session.is_mute(), self.output.place());
        let writer = Writer::new(&mut self.output, self.session.protocol);
        let mut context = Context { door: self.door, session: &mut self.session, writer };
        let result = match prepared {
            Prepared::Local(handler, request) => {
                let result = handler(&mut context, &request);
                self.present.agree(context.session);
                result
            }
            Prepared::Refused(error) => Err(error),
            Prepared::Plan(_) => Ok(()),
        };
        let mut ending = Ending::Left;
        if let Err(error) = result {
            context.writer.error(&error.text());
            self.wrong_passwords += u32::from(error == CommandError::WrongPassword);
            let too_often = self.wrong_passwords >= limits::WRONG_PASSWORDS;
            if error.ends_connection() || too_often {
                let unproven = too_often || error == CommandError::Late;
                ending = if unproven { Ending::Unproven } else { Ending::Protocol };
                context.session.closing = true;
            }
        }
        // `CLIENT REPLY ON` ends the silence, and is itself answered.
        if mute && self.session.replies != Replies::On {
            self.output.forget(place);
        }
        if self.session.closing {
            self.stopping.get_or_insert(ending);
        }
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
        if self.output.is_empty() {
            self.unflushed = false;
            return Ok(false);
        }
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.moved(count);
        let all = self.output.took(count);
        if all {
            self.patience.renew();
        }
        Ok(all)
    }

    fn moved(&mut self, count: usize) {
        self.patience.moved(count);
        self.moved += count;
    }
}

/// Reads what has come. An empty buffer is given room only once there is something to put there.
async fn receive(reader: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) -> io::Result<usize> {
    if !input.is_empty() {
        input.reserve(limits::RESP_READ_BYTES);
        return reader.read_buf(&mut input.limit(limits::RESP_TURN_BYTES)).await;
    }
    poll_fn(|context| {
        let mut bytes = [const { MaybeUninit::uninit() }; limits::RESP_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut read))?;
        input.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    })
    .await
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod tests;
