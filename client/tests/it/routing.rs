//! Which node a call goes to, and what a client knows of the cluster.

use crate::fake_cluster::{FakeCluster, config, eventually};
use crate::fake_node::{DEFAULTS, FakeNode, Mood, k, v, within};
use futures::future::join_all;
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Consistency, Key};
use shoal_proto::wire::kv::v1 as kv;
use shoal_proto::wire::kv::v1::operation::Op;
use std::time::Duration;

#[tokio::test]
async fn calls_go_to_the_first_owner_whichever_node_was_named() {
    let cluster = FakeCluster::start().await;
    cluster.tell(&cluster.topology(1, &[2, 0, 1]));
    let client = cluster.connect_to(1, config()).await;
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    assert_eq!(client.get(k("a"), &DEFAULTS).await.unwrap().value, Some(v("1")));
    assert_eq!(cluster.calls(), [0, 0, 2]);
    let current = client.topology().current.unwrap();
    let owners: Vec<_> = current.owners(&k("a")).map(|node| node.node_id.as_str()).collect();
    assert_eq!(owners, ["node-2", "node-0", "node-1"]);
    assert_eq!(client.status().await.unwrap().vnodes, 1_024);
}

#[tokio::test]
async fn owners_in_the_callers_zone_come_first() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect_to(0, ClientConfig { zone: Some("zone-1".into()), ..config() }).await;
    client.get(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls(), [0, 1, 0]);
}

#[tokio::test]
async fn a_new_topology_is_followed_and_the_one_before_kept_beside_it() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    client.get(k("a"), &DEFAULTS).await.unwrap();
    let mut next = cluster.topology(2, &[1, 1]);
    next.replicas = 1;
    next.nodes.remove(0);
    cluster.tell(&next);
    eventually("the client follows", || client.stats().epoch == 2).await;
    client.get(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls(), [1, 0, 1]);
    assert_eq!(client.topology().previous.unwrap().epoch, 1);
    // Who left is still asked where nobody else answers.
    cluster.nodes[1].feel(Mood::HangsUp);
    cluster.nodes[2].feel(Mood::HangsUp);
    client.get(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls()[0], 2);
}

#[tokio::test]
async fn an_older_topology_changes_nothing() {
    let cluster = FakeCluster::start().await;
    cluster.tell(&cluster.topology(5, &[0, 1, 2]));
    let client = cluster.connect().await;
    cluster.tell(&cluster.topology(4, &[2, 1, 0]));
    eventually("the older one is refused", || client.stats().topologies_refused > 0).await;
    assert_eq!(client.stats().epoch, 5);
    client.get(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn the_topology_is_followed_on_another_node_when_the_first_is_gone() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    cluster.nodes[0].stop();
    cluster.tell(&cluster.topology(2, &[1, 2, 0]));
    eventually("the client follows", || client.stats().epoch == 2).await;
}

#[tokio::test]
async fn a_node_of_another_cluster_is_never_called_though_it_has_a_members_address() {
    let cluster = FakeCluster::start().await;
    let stranger = kv::TopologyResponse { cluster_id: 8, ..cluster.topology(9, &[0, 1, 2]) };
    cluster.nodes[0].tell(stranger);
    let client = cluster.connect_to(1, config()).await;
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    assert_eq!((cluster.calls(), client.stats().moves), ([0, 1, 0], 1));
    assert_eq!(client.topology().current.unwrap().cluster_id, 7);
}

#[tokio::test]
async fn nodes_that_know_no_topology_are_called_all_the_same() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let addresses = [nodes[0].address.clone(), nodes[1].address.clone()];
    let client = Client::connect(&addresses, config()).await.unwrap();
    assert_eq!(client.topology().current, None);
    for i in 0..20 {
        client.get(Key::new(format!("{i}")).unwrap(), &DEFAULTS).await.unwrap();
    }
    let calls = nodes.map(|node| node.seen(|seen| seen.messages.len()));
    assert!(calls.iter().all(|calls| *calls > 0) && calls.iter().sum::<usize>() == 20, "{calls:?}");
}

#[tokio::test]
async fn nobody_to_connect_to_is_told_address_by_address() {
    let addresses = ["127.0.0.1:1".to_owned(), "not an address".to_owned()];
    let Err(ClientError::Connect { attempts }) = Client::connect(&addresses, config()).await else {
        panic!("connected to nobody");
    };
    assert_eq!(attempts.iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>(), addresses);
}

#[tokio::test]
async fn a_handle_has_a_level_of_its_own_which_a_call_may_override() {
    let cluster = FakeCluster::start().await;
    let careful = cluster.connect().await.with_consistency(Consistency::Quorum);
    careful.get(k("a"), &DEFAULTS).await.unwrap();
    let one = CallOptions { consistency: Some(Consistency::One), ..DEFAULTS };
    careful.get(k("a"), &one).await.unwrap();
    let levels: Vec<i32> =
        cluster.ops(0).iter().map(|op| if let Op::Get(get) = op { get.consistency } else { 0 }).collect();
    assert_eq!(levels, [4, 1]);
}

#[tokio::test]
async fn many_keys_are_answered_each_for_itself_in_their_order() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    let keys: Vec<Key> = (0..3_000).map(|i| Key::new(format!("{i}")).unwrap()).collect();
    let entries = keys.iter().step_by(2).map(|key| (key.clone(), v("1")));
    assert!(client.set_many(entries, None, &DEFAULTS).await.iter().all(Result::is_ok));
    let found = client.get_many(keys.clone(), &DEFAULTS).await;
    let hits: Vec<bool> = found.into_iter().map(|found| found.unwrap().value.is_some()).collect();
    assert_eq!(hits, (0..3_000).map(|i| i % 2 == 0).collect::<Vec<_>>());
    let deleted = client.delete_many(keys, &DEFAULTS).await;
    assert_eq!(deleted.into_iter().filter(|deleted| deleted.as_ref().unwrap().existed).count(), 1_500);
    let messages = cluster.nodes[0].seen(|seen| seen.messages.len());
    assert!(messages < 1_000, "{messages} messages for 7500 calls");
}

#[tokio::test]
async fn beyond_the_calls_a_node_may_have_in_flight_the_next_one_is_asked() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Silent);
    let client = cluster.connect_to(0, ClientConfig { in_flight_per_node: 4, ..config() }).await;
    let calls = (0..10).map(|_| client.get(k("a"), &DEFAULTS));
    let answers = tokio::time::timeout(Duration::from_secs(5), join_all(calls)).await;
    assert!(answers.unwrap().iter().all(Result::is_ok));
    let [first, ..] = cluster.calls();
    assert!(first <= 4 && client.stats().crowded >= 6, "{first} {:?}", client.stats());
}

#[tokio::test]
async fn where_every_node_has_too_many_calls_in_flight_a_call_ends_overloaded() {
    let cluster = FakeCluster::start().await;
    cluster.feel(Mood::Silent);
    let client = cluster.connect_to(0, ClientConfig { in_flight_per_node: 1, ..config() }).await;
    let holders = (0..3).map(|_| client.get(k("a"), &DEFAULTS));
    let others = async {
        eventually("every node has a call in flight", || cluster.calls() == [1, 1, 1]).await;
        let short = within(Duration::from_millis(50));
        join_all((0..10).map(|_| client.set(k("a"), v("1"), None, &short))).await
    };
    let errors = tokio::select! {
        biased;
        errors = others => errors,
        held = join_all(holders) => panic!("answered: {held:?}"),
    };
    for error in errors.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, ClientError::Overloaded(_)) && !error.maybe(), "{error}");
    }
    assert_eq!(cluster.calls(), [1, 1, 1]);
}
