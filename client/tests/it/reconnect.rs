use crate::fake_node::{DEFAULTS, FakeNode, HANG_UP, IGNORED, LONG, k, v};
use shoal_client::{Client, ClientConfig, ClientError, Routing};

fn config() -> ClientConfig {
    ClientConfig { timeout: LONG, routing: Routing::Contact, ..ClientConfig::default() }
}

#[tokio::test]
async fn addresses_are_tried_in_turn() {
    let (dead, live) = (FakeNode::start().await, FakeNode::start().await);
    dead.stop();
    let dead = dead.address.clone();
    // Stopping takes a moment; then nothing listens there.
    while Client::connect(std::slice::from_ref(&dead), config()).await.is_ok() {}
    let client = Client::connect(&[dead.clone(), live.address.clone()], config()).await.unwrap();
    assert_eq!(client.status().await.unwrap().node_id.as_str(), live.address);

    let Err(ClientError::Connect { attempts }) =
        Client::connect(&[dead.clone(), "not an address".into()], config()).await
    else {
        panic!("connected to nobody");
    };
    assert_eq!(
        attempts.iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>(),
        [&dead, "not an address"]
    );
    assert!(attempts.iter().all(|(_, why)| !why.is_empty()));
    assert!(matches!(Client::connect(&[], config()).await, Err(ClientError::Connect { .. })));
}

#[tokio::test]
async fn the_next_call_goes_to_the_next_address() {
    let (first, second) = (FakeNode::start().await, FakeNode::start().await);
    let addresses = [first.address.clone(), second.address.clone()];
    let client = Client::connect(&addresses, config()).await.unwrap();
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    for (broken, next) in [(&first, &second), (&second, &first)] {
        let lost = client.set(k(HANG_UP), v("1"), None, &DEFAULTS).await.unwrap_err();
        assert_eq!(lost, ClientError::Disconnected { maybe: true });
        let before = next.seen(|seen| seen.messages.len());
        client.get(k("a"), &DEFAULTS).await.unwrap();
        assert_eq!(next.seen(|seen| seen.messages.len()), before + 1);
        assert!(!broken.seen(|seen| seen.values.contains_key(HANG_UP.as_bytes())));
    }
    assert_eq!((first.seen(|seen| seen.streams), second.seen(|seen| seen.streams)), (2, 1));
}

#[tokio::test]
async fn only_a_write_that_was_sent_may_have_taken_effect() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    let (read, write, deletion) = tokio::join!(
        client.get(k(IGNORED), &DEFAULTS),
        client.set(k(IGNORED), v("1"), None, &DEFAULTS),
        client.delete(k(HANG_UP), &DEFAULTS),
    );
    assert_eq!(read, Err(ClientError::Disconnected { maybe: false }));
    assert_eq!(write, Err(ClientError::Disconnected { maybe: true }));
    assert_eq!(deletion, Err(ClientError::Disconnected { maybe: true }));
}

#[tokio::test]
async fn with_no_node_left_calls_fail_unsent_until_one_is_back() {
    let node = FakeNode::start().await;
    let client = node.connect().await.unwrap();
    node.stop();
    loop {
        match client.set(k("a"), v("1"), None, &DEFAULTS).await {
            Ok(_) | Err(ClientError::Disconnected { .. }) => {}
            Err(ClientError::Connect { attempts }) => {
                assert_eq!(attempts.len(), 1);
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    node.restart().await;
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
}
