use crate::fake_node::{DEFAULTS, FakeNode, PAUSE, REFUSED, k, v, within};
use futures::future::join_all;
use shoal_client::{CallOptions, ClientError, Consistency, Key, Tag, Value};
use shoal_proto::wire::kv::v1::operation::Op;
use std::time::Duration;

#[tokio::test]
async fn what_is_set_is_read_and_deleted() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    assert_eq!(client.get(k("a"), &DEFAULTS).await.unwrap().value, None);
    let stored = client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    assert_eq!((stored.outcome.reached, stored.outcome.answered), (Consistency::Quorum, 2));
    assert_eq!(client.get(k("a"), &DEFAULTS).await.unwrap().value, Some(v("1")));
    assert!(client.delete(k("a"), &DEFAULTS).await.unwrap().existed);
    assert!(!client.delete(k("a"), &DEFAULTS).await.unwrap().existed);
    assert_eq!(client.status().await.unwrap().node_id.as_str(), node.address);
}

#[tokio::test]
async fn what_a_call_chooses_reaches_the_node() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let options = CallOptions {
        consistency: Some(Consistency::All),
        timeout: Some(Duration::from_secs(4)),
        tag: Tag::from_bits(99),
    };
    client.set(k("a"), v("1"), Some(Duration::from_secs(3)), &options).await.unwrap();
    let Op::Set(set) = node.seen(|seen| seen.messages[0][0].clone()) else { panic!("not a set") };
    assert_eq!((set.consistency, set.ttl_ms, set.tag), (5, 3_000, 99));
    assert!((1..=3_800).contains(&set.deadline_ms), "{} ms", set.deadline_ms);
}

#[tokio::test]
async fn a_failure_ends_only_its_own_call() {
    let client = FakeNode::start().await.connect().await.unwrap();
    let (refused, stored) =
        tokio::join!(client.get(k(REFUSED), &DEFAULTS), client.set(k("a"), v("1"), None, &DEFAULTS));
    assert_eq!(refused, Err(ClientError::Invalid("refused as asked".into())));
    assert!(stored.is_ok());
}

#[tokio::test]
async fn concurrent_calls_travel_together_and_each_gets_its_own_answer() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let calls = (0..1_000).map(|i: u32| {
        let client = client.clone();
        async move {
            let (key, value) = (Key::new(format!("key {i}")).unwrap(), Value::new(format!("{i}")).unwrap());
            client.set(key.clone(), value.clone(), None, &DEFAULTS).await.unwrap();
            assert_eq!(client.get(key, &DEFAULTS).await.unwrap().value, Some(value));
        }
    });
    join_all(calls).await;
    let (messages, operations) =
        node.seen(|seen| (seen.messages.len(), seen.messages.iter().map(Vec::len).sum::<usize>()));
    assert_eq!(operations, 2_000);
    assert!(messages < 500, "{messages} messages for 2000 calls");
}

#[tokio::test]
async fn the_largest_values_pass_both_ways_and_never_overfill_a_message() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let largest = Value::new(vec![7; shoal_proto::types::MAX_VALUE_BYTES]).unwrap();
    let calls = (0..4).map(|i: u8| {
        let (client, value) = (client.clone(), largest.clone());
        async move {
            client.set(Key::new(vec![i]).unwrap(), value.clone(), None, &DEFAULTS).await.unwrap();
            assert_eq!(client.get(Key::new(vec![i]).unwrap(), &DEFAULTS).await.unwrap().value, Some(value));
        }
    });
    join_all(calls).await;
    let largest_message = node.seen(|seen| {
        let bytes = |op: &Op| if let Op::Set(set) = op { set.value.len() } else { 0 };
        seen.messages.iter().map(|message| message.iter().map(bytes).sum::<usize>()).max()
    });
    assert_eq!(largest_message, Some(largest.as_bytes().len()));
}

#[tokio::test]
async fn a_node_that_stops_reading_holds_calls_up_but_loses_none() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let held_up = client.get(k(PAUSE), &within(Duration::from_millis(50))).await.unwrap_err();
    assert!(matches!(held_up, ClientError::Timeout { maybe: false, .. }), "{held_up}");
    let writes = (0..3_000).map(|i: u32| {
        let client = client.clone();
        async move { client.set(Key::new(format!("{i}")).unwrap(), v("1"), None, &DEFAULTS).await }
    });
    let writes = tokio::spawn(join_all(writes));
    node.resume();
    assert!(writes.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(node.seen(|seen| (seen.values.len(), seen.streams)), (3_000, 1));
}
