//! Requests over HTTP/1.1, byte by byte as a test wants them.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const BYTES: (&str, &str) = ("content-type", "application/octet-stream");

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header, empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The kind and the detail of a problem.
    pub(crate) fn problem(&self) -> (String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["type"], format!("urn:shoal:problem:{}", document["kind"].as_str().unwrap()));
        let text = |name: &str| document[name].as_str().unwrap().to_owned();
        (text("kind"), text("detail"))
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{length}{headers}\r\n");
    exchange(address, &[head.as_bytes(), body].concat()).await
}

/// Sends bytes and reads an answer to its end.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut reply = Vec::new();
    let talk = async {
        // A server that has answered already need not read the rest.
        let (_, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut reply));
        read
    };
    // A reset after the answer is that server closing on what it did not read.
    let _ = timeout(PATIENCE, talk).await.expect("no answer");
    parse(&reply)
}

fn parse(reply: &[u8]) -> Reply {
    let end = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("no end of the head");
    let head = std::str::from_utf8(&reply[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("no colon");
        (name.to_lowercase(), value.to_owned())
    });
    Reply { status: status.expect("no status"), headers: headers.collect(), body: reply[end + 4..].to_vec() }
}
