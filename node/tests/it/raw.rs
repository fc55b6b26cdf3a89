//! Bytes over TCP, for what no well-behaved client sends.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Raw(BufReader<TcpStream>);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("no answer").unwrap();
        assert!(line.ends_with("\r\n"), "cut short: {line:?}");
        line.trim_end().to_owned()
    }

    /// Sends words as a command and reads one line of the answer.
    pub(crate) async fn ask(&mut self, words: &[&[u8]]) -> String {
        self.send(&command(words)).await;
        self.line().await
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("not closed").unwrap();
        String::from_utf8(rest).unwrap()
    }
}

/// Words as RESP.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Status and body of an HTTP request; status 0 when nobody listens.
pub(crate) async fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let Ok(stream) = TcpStream::connect(address).await else { return (0, String::new()) };
    let mut raw = Raw(BufReader::new(stream));
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let reply = raw.rest().await;
    let (head, body) = reply.split_once("\r\n\r\n").expect("no end of the head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("no status"), body.to_owned())
}

/// One counter or gauge of a node; its name with its labels, if it has any.
pub(crate) fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// The sum of a metric over all samples with this label; at least one must be there.
pub(crate) fn metric_sum(text: &str, name: &str, label: &str) -> u64 {
    let value = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
        labels.split(',').any(|found| found == label).then(|| value.parse::<u64>().unwrap())
    };
    let values: Vec<u64> = text.lines().filter_map(value).collect();
    assert!(!values.is_empty(), "no {name} with {label} in\n{text}");
    values.into_iter().sum()
}
