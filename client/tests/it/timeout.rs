use crate::fake_node::{DEFAULTS, FakeNode, IGNORED, LONG, PAUSE, k, v, within};
use futures::future::join_all;
use shoal_client::{Client, ClientConfig, ClientError, Key, Routing};
use std::time::Duration;
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_call_ends_by_its_timeout_and_others_go_on() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let begin = Instant::now();
    let write = client.set(k(IGNORED), v("1"), None, &within(SHORT)).await.unwrap_err();
    assert!(begin.elapsed() >= SHORT && begin.elapsed() < LONG);
    assert!(matches!(write, ClientError::Timeout { maybe: true, .. }), "{write}");
    let read = client.get(k(IGNORED), &within(SHORT)).await.unwrap_err();
    assert!(matches!(read, ClientError::Timeout { maybe: false, .. }), "{read}");
    client.get(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(node.seen(|seen| seen.streams), 1);
}

#[tokio::test]
async fn a_write_that_was_never_sent_did_not_take_effect() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    // The node answers nothing more; once too many calls wait for it, further ones stay in the client.
    client.get(k(PAUSE), &within(SHORT)).await.unwrap_err();
    let calls = (0..2_000).map(|i: u32| {
        let (client, key) = (client.clone(), Key::new(format!("{i}")).unwrap());
        async move { (client.set(key.clone(), v("1"), None, &within(SHORT)).await.unwrap_err(), key) }
    });
    let mut unsent = Vec::new();
    for (error, key) in join_all(calls).await {
        assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
        if !error.maybe() {
            unsent.push(key);
        }
    }
    assert!(!unsent.is_empty());
    node.resume();
    client.set(k("last"), v("1"), None, &DEFAULTS).await.unwrap();
    assert!(unsent.iter().all(|key| node.seen(|seen| !seen.values.contains_key(key.as_bytes()))));
}

#[tokio::test]
async fn a_node_that_falls_silent_is_left() {
    let (silent, other) = (FakeNode::start().await, FakeNode::start().await);
    let addresses = [silent.address.clone(), other.address.clone()];
    let config = ClientConfig { timeout: SHORT, routing: Routing::Contact, ..Default::default() };
    let client = Client::connect(&addresses, config).await.unwrap();
    let begin = Instant::now();
    while client.get(k(PAUSE), &DEFAULTS).await.is_err() {
        other.resume();
        assert!(begin.elapsed() < LONG, "the client stays with a node that does not answer");
    }
    assert_eq!(other.seen(|seen| seen.streams), 1);
}

#[tokio::test]
async fn a_timeout_of_any_length_is_taken() {
    let client = FakeNode::start().await.connect().await.unwrap();
    assert!(client.get(k("a"), &within(Duration::MAX)).await.is_ok());
}
