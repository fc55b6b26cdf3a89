//! A RESP2 connection without a task of its own: requests and bytes are moved by the worker that waits for them. At
//! sixteen requests in a pipeline the generator takes about a sixth less processor time than with a channel to a
//! connection's task, and load that is cheap to make is load that leaves the machine to the server.

use super::{
    CONNECT_TIMEOUT, Failure,
    reply::{self, Reply},
};
use crate::cli::{bench::options::Plan, token::HINT};
use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use shoal_node::tls::{self, Connector, Stream};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{pending, poll_fn},
    io::Write as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

const READ_BYTES: usize = 16 * 1024;

/// A connection to one node.
pub(crate) struct Connection(Mutex<State>);

/// Touched by one task alone, so the lock is never waited for.
struct State {
    socket: Stream<TcpStream>,
    output: BytesMut,
    input: BytesMut,
    buffer: Box<[u8; READ_BYTES]>,
    /// Those who wait for replies, in the order of their commands: as many as the worker has requests under way.
    waiting: VecDeque<oneshot::Sender<Result<Reply, Failure>>>,
    /// Why there will be no more replies.
    lost: Option<Failure>,
}

impl Connection {
    /// Connects to a node, proves what it asks for, and sets the level if there is one.
    ///
    /// # Errors
    /// When it cannot be reached, asks for another password, or does not know levels.
    pub(crate) async fn open(plan: &Plan, node: usize, tls: Option<&Connector>) -> anyhow::Result<Self> {
        let node = &plan.nodes[node].to_string();
        let reach = || format!("cannot reach {node}");
        let socket = timeout(CONNECT_TIMEOUT, TcpStream::connect(node)).await.with_context(reach)?;
        let socket = socket.with_context(reach)?;
        socket.set_nodelay(true)?;
        let socket = match tls {
            None => Stream::Plain(socket),
            Some(tls) => secure(node, socket, tls).await.with_context(reach)?,
        };
        let connection = Self(Mutex::new(State {
            socket,
            output: BytesMut::new(),
            input: BytesMut::new(),
            buffer: Box::new([0; READ_BYTES]),
            waiting: VecDeque::new(),
            lost: None,
        }));
        connection.greet(plan).await.with_context(reach)?;
        if let Some(level) = plan.consistency {
            let command: [&[u8]; 2] = [b"CL", level.name().as_bytes()];
            connection.settle(&command).await.with_context(|| {
                format!("{node} does not take a consistency level (leave out --consistency for Redis)")
            })?;
        }
        Ok(connection)
    }

    async fn greet(&self, plan: &Plan) -> anyhow::Result<()> {
        let user = plan.user.as_bytes();
        let done = match &plan.secret {
            None => self.settle(&[b"PING"]).await,
            Some(secret) => self.settle(&[b"AUTH", user, secret.reveal().as_bytes()]).await,
        };
        done.map_err(|error| match error.to_string().as_str() {
            "NOAUTH" | "WRONGPASS" => error.context(HINT),
            _ => error,
        })
    }

    /// Gives a command before all others.
    async fn settle(&self, command: &[&[u8]]) -> anyhow::Result<()> {
        let answer = async {
            tokio::select! {
                biased;
                reply = self.call(command) => reply,
                never = self.drive() => match never {},
            }
        };
        match timeout(CONNECT_TIMEOUT, answer).await {
            Ok(Ok(Reply::Done)) => Ok(()),
            Ok(Ok(Reply::Error(code))) => anyhow::bail!("{code}"),
            Ok(Ok(_)) => anyhow::bail!("unexpected answer"),
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => anyhow::bail!("no answer in time"),
        }
    }

    /// Reads a key; `None` on a miss.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        match self.call(&[b"GET", key.as_bytes()]).await? {
            Reply::Value(value) => Ok(Some(value)),
            Reply::Nothing => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// Writes a key.
    pub(crate) async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Failure> {
        let reply = match ttl {
            None => self.call(&[b"SET", key.as_bytes(), value]).await?,
            Some(ttl) => {
                let ms = ttl.as_millis().max(1).to_string();
                self.call(&[b"SET", key.as_bytes(), value, b"PX", ms.as_bytes()]).await?
            }
        };
        if reply == Reply::Done { Ok(()) } else { Err(unexpected(reply)) }
    }

    /// Sends commands and takes replies until the connection is lost, then waits for ever.
    pub(crate) async fn drive(&self) -> Infallible {
        poll_fn(|context| self.0.lock().poll(context)).await;
        pending().await
    }

    /// Fails whatever waits.
    pub(crate) fn abandon(&self) {
        self.0.lock().fail(Failure::lost("connection given up"));
    }

    async fn call(&self, words: &[&[u8]]) -> Result<Reply, Failure> {
        let reply = self.0.lock().send(words)?;
        reply.await.unwrap_or_else(|_| Err(Failure::lost("connection lost")))
    }
}

impl State {
    fn send(&mut self, words: &[&[u8]]) -> Result<oneshot::Receiver<Result<Reply, Failure>>, Failure> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        encode(&mut self.output, words);
        let (waiting, reply) = oneshot::channel();
        self.waiting.push_back(waiting);
        Ok(reply)
    }

    /// Ready when the connection is lost.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.lost.is_none() {
            let lost = ready!(self.exchange(context));
            self.fail(lost);
        }
        Poll::Ready(())
    }

    fn fail(&mut self, lost: Failure) {
        for waiting in self.waiting.drain(..) {
            // Whoever has given up does not care.
            let _ = waiting.send(Err(lost.clone()));
        }
        self.lost = Some(lost);
    }

    fn exchange(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        while !self.output.is_empty() {
            match Pin::new(&mut self.socket).poll_write(context, &self.output) {
                Poll::Ready(Ok(sent)) => self.output.advance(sent),
                Poll::Ready(Err(_)) => return Poll::Ready(Failure::lost("connection lost")),
                Poll::Pending => break,
            }
        }
        // TLS may hold some of it back; a plain socket does nothing here.
        if let Poll::Ready(Err(_)) = Pin::new(&mut self.socket).poll_flush(context) {
            return Poll::Ready(Failure::lost("connection lost"));
        }
        loop {
            let mut read = ReadBuf::new(&mut self.buffer[..]);
            match ready!(Pin::new(&mut self.socket).poll_read(context, &mut read)) {
                Ok(()) if !read.filled().is_empty() => self.input.extend_from_slice(read.filled()),
                Ok(()) | Err(_) => return Poll::Ready(Failure::lost("connection lost")),
            }
            loop {
                match reply::next(&mut self.input) {
                    Ok(None) => break,
                    Ok(Some(reply)) => match self.waiting.pop_front() {
                        Some(waiting) => drop(waiting.send(Ok(reply))),
                        None => return Poll::Ready(Failure::lost("an answer that nobody asked for")),
                    },
                    Err(reply::Malformed) => return Poll::Ready(Failure::lost("malformed answer")),
                }
            }
        }
    }
}

async fn secure(node: &str, socket: TcpStream, tls: &Connector) -> anyhow::Result<Stream<TcpStream>> {
    let secured = timeout(CONNECT_TIMEOUT, tls.connect(node, socket)).await?;
    secured.map_err(|error| match tls::fault(&error) {
        Some(fault) => anyhow::Error::msg(fault),
        None => error.into(),
    })
}

fn encode(output: &mut BytesMut, words: &[&[u8]]) {
    const INFALLIBLE: &str = "writing into memory does not fail";
    let mut output = output.writer();
    write!(output, "*{}\r\n", words.len()).expect(INFALLIBLE);
    for word in words {
        write!(output, "${}\r\n", word.len()).expect(INFALLIBLE);
        output.write_all(word).and_then(|()| output.write_all(b"\r\n")).expect(INFALLIBLE);
    }
}

fn unexpected(reply: Reply) -> Failure {
    match reply {
        Reply::Error(code) => Failure::refused(code),
        _ => Failure::lost("malformed answer"),
    }
}
