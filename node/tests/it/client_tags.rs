//! Tags that clients make, through the real client.

use crate::cluster::TestCluster;
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Key, Tag, UnixMillis, Value};
use shoal_membership::{WallClock as _, env::SystemClock};
use shoal_proto::types::WriterId;
use std::time::Duration;

fn tag(ahead_ms: u64, writer: WriterId) -> Tag {
    let at = UnixMillis(SystemClock.now().0 + ahead_ms);
    Tag::from_ticks(Tag::first_tick(at), writer).unwrap()
}

async fn set(client: &Client, tag: Tag) -> Result<Tag, ClientError> {
    let options = CallOptions { tag: Some(tag), ..CallOptions::default() };
    let (key, value) = (Key::new("k").unwrap(), Value::new("v").unwrap());
    client.set(key, value, None, &options).await.map(|stored| stored.outcome.tag.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_tag_is_kept_and_cannot_push_the_clock_ahead_step_by_step() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.nodes[0].config.listen.grpc.to_string();
    let config = ClientConfig { timeout: Duration::from_secs(5), ..ClientConfig::default() };
    let client = Client::connect(&[address], config).await.unwrap();
    let writer = WriterId::client(7);

    let mine = tag(0, writer);
    assert_eq!(set(&client, mine).await.unwrap(), mine);
    // Each of these would be within bounds of the one before, and all but the first are far from the clock.
    let mut refused = 0;
    for step in 1..=20 {
        match set(&client, tag(step * 400, writer)).await {
            Ok(_) => assert!(step <= 2, "a tag {} ms ahead was taken", step * 400),
            Err(ClientError::TagAhead(why)) => {
                assert!(why.contains("ahead of this node's clock"), "{why}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused >= 18, "{refused}");

    let member = WriterId::member(1).unwrap();
    let error = set(&client, tag(0, member)).await.unwrap_err();
    assert!(matches!(&error, ClientError::Invalid(why) if why.contains("member's writer id")), "{error}");
}
