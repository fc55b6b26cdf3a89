//! What a client repeats, how often, and under which tag.

use crate::fake_cluster::{FakeCluster, config, eventually};
use crate::fake_node::{DEFAULTS, Mood, k, v, within};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Tag};
use shoal_proto::wire::kv::v1::failure::Kind;
use shoal_proto::wire::kv::v1::operation::Op;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_write_whose_node_dies_is_repeated_elsewhere_as_the_same_write() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::HangsUp);
    let client = cluster.connect().await;
    let ttl = Some(Duration::from_secs(60));
    client.set(k("a"), v("1"), ttl, &DEFAULTS).await.unwrap();
    client.delete(k("a"), &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls(), [2, 2, 0]);
    let (lost, repeated) = (cluster.tags(0), cluster.tags(1));
    assert_eq!(lost, repeated);
    let tags: Vec<Tag> = lost.into_iter().filter_map(Tag::from_bits).collect();
    assert!(tags.len() == 2 && tags[0] < tags[1] && tags.iter().all(|tag| tag.writer().is_client()));
    let Op::Set(set) = &cluster.ops(0)[0] else { panic!("not a set") };
    assert_eq!(
        cluster.ops(1)[0],
        Op::Set(shoal_proto::wire::kv::v1::SetRequest {
            deadline_ms: if let Op::Set(set) = &cluster.ops(1)[0] { set.deadline_ms } else { 0 },
            ..set.clone()
        })
    );
    assert!(set.expires_at >= 1_700_000_060_000, "the expiry is part of the version: {}", set.expires_at);
    assert_eq!(client.stats().retries, 2);
}

#[tokio::test]
async fn a_life_shorter_than_a_millisecond_does_not_end_before_it_begins() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    // The tag may be made a moment later, but not every time.
    let mut lived = 0;
    for _ in 0..50 {
        client.set(k("k"), v("v"), Some(Duration::from_nanos(1)), &DEFAULTS).await.unwrap();
    }
    for op in cluster.ops(0) {
        let Op::Set(set) = op else { panic!("not a set") };
        let made = Tag::from_bits(set.tag).unwrap().millis().0;
        assert!(set.ttl_ms == 1 && set.expires_at + 1_000 > made, "{set:?}, made at {made}");
        lived += usize::from(set.expires_at > made);
    }
    assert!(lived > 0);
}

#[tokio::test]
async fn tags_count_from_the_clusters_time() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    for _ in 0..50 {
        client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    }
    let tags: Vec<Tag> = cluster.tags(0).into_iter().filter_map(Tag::from_bits).collect();
    assert_eq!(tags.len(), 50);
    assert!(tags.is_sorted_by(|a, b| a < b));
    let told = 1_700_000_000_000;
    assert!(tags.iter().all(|tag| (told..told + 60_000).contains(&tag.millis().0)));
}

#[tokio::test]
async fn reads_are_repeated_whatever_a_node_says() {
    for kind in [Kind::Unavailable, Kind::Timeout, Kind::Overloaded, Kind::NotReady] {
        let cluster = FakeCluster::start().await;
        cluster.nodes[0].feel(Mood::Fails(kind, false));
        cluster.nodes[1].feel(Mood::Fails(kind, false));
        let client = cluster.connect().await;
        client.get(k("a"), &DEFAULTS).await.unwrap();
        assert_eq!((cluster.calls(), client.stats().retries), ([1, 1, 1], 2), "{kind:?}");
    }
}

#[tokio::test]
async fn a_change_of_expiry_is_repeated_only_if_nothing_was_done() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    cluster.nodes[0].feel(Mood::Fails(Kind::Unavailable, false));
    client.expire(k("a"), None, &DEFAULTS).await.unwrap();
    cluster.nodes[0].feel(Mood::Fails(Kind::Unavailable, true));
    let error = client.expire(k("a"), None, &DEFAULTS).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { maybe: true, .. }), "{error}");
    cluster.nodes[0].feel(Mood::HangsUp);
    let error = client.expire(k("a"), None, &DEFAULTS).await.unwrap_err();
    assert_eq!(error, ClientError::Disconnected { maybe: true });
    assert_eq!(cluster.calls(), [3, 1, 0]);
}

#[tokio::test]
async fn what_no_node_would_do_is_asked_once() {
    let cluster = FakeCluster::start().await;
    cluster.feel(Mood::Fails(Kind::Invalid, false));
    let client = cluster.connect().await;
    assert!(matches!(client.get(k("a"), &DEFAULTS).await, Err(ClientError::Invalid(_))));
    assert_eq!(cluster.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn a_tag_too_far_ahead_is_left_to_the_node_unless_it_is_the_callers() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::RefusesTags);
    let client = cluster.connect().await;
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    let tags = cluster.tags(0);
    assert!(tags.len() == 2 && tags[0] != 0 && tags[1] == 0, "{tags:?}");
    assert_eq!((client.stats().tags_refused, client.stats().retries), (1, 0));
    let mine = CallOptions { tag: Tag::from_bits(99), ..DEFAULTS };
    let error = client.set(k("a"), v("1"), None, &mine).await.unwrap_err();
    assert!(matches!(error, ClientError::TagAhead(_)), "{error}");
    assert_eq!(cluster.tags(0)[2..], [99]);
    assert_eq!(cluster.calls(), [3, 0, 0]);
}

#[tokio::test]
async fn a_tag_that_may_have_been_used_is_never_given_up() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::HangsUp);
    cluster.nodes[1].feel(Mood::RefusesTags);
    let client = cluster.connect().await;
    client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    assert_eq!(cluster.calls(), [1, 1, 1]);
    assert!(
        cluster.tags(0)[0] != 0 && cluster.tags(0) == cluster.tags(2) && cluster.tags(1) == cluster.tags(2)
    );
}

#[tokio::test]
async fn what_an_earlier_attempt_may_have_done_is_told_in_the_end() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Fails(Kind::Unavailable, true));
    cluster.nodes[1].feel(Mood::Fails(Kind::Overloaded, false));
    cluster.nodes[2].feel(Mood::Fails(Kind::Overloaded, false));
    let client = cluster.connect().await;
    let error = client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap_err();
    assert!(error.maybe(), "{error}");
    assert_eq!(cluster.calls().iter().sum::<usize>(), 4);
}

#[tokio::test]
async fn a_silent_node_is_overtaken_in_time() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Silent);
    let client = cluster.connect().await;
    let timeout = within(Duration::from_secs(2));
    let begin = Instant::now();
    client.set(k("a"), v("1"), None, &timeout).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(cluster.tags(0), cluster.tags(1));
    assert_eq!((cluster.calls(), client.stats().hedges), ([1, 1, 0], 0));
}

#[tokio::test]
async fn a_silent_node_and_one_that_fails_leave_the_third() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Silent);
    cluster.nodes[1].feel(Mood::HangsUp);
    let client = cluster.connect().await;
    client.set(k("a"), v("1"), None, &within(Duration::from_millis(800))).await.unwrap();
    assert!(cluster.tags(0) == cluster.tags(1) && cluster.tags(1) == cluster.tags(2));
    assert_eq!((cluster.calls(), client.stats().retries), ([1, 1, 1], 2));
}

#[tokio::test]
async fn a_read_asks_a_second_node_after_a_while_if_it_is_told_to() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Silent);
    let hedge_after = Some(Duration::from_millis(20));
    let client = cluster.connect_to(0, ClientConfig { hedge_after, ..config() }).await;
    client.get(k("a"), &within(Duration::from_secs(5))).await.unwrap();
    assert_eq!((cluster.calls(), client.stats().hedges, client.stats().retries), ([1, 1, 0], 1, 0));
    // A write is not hedged; it is overtaken, later.
    client.set(k("a"), v("1"), None, &within(Duration::from_millis(400))).await.unwrap();
    assert_eq!((client.stats().hedges, client.stats().retries), (1, 1));
}

#[tokio::test]
async fn retries_are_at_most_a_tenth_of_the_calls_beyond_the_burst() {
    let cluster = FakeCluster::start().await;
    cluster.feel(Mood::Fails(Kind::Unavailable, false));
    let client = cluster.connect_to(0, ClientConfig { in_flight_per_node: 20, ..config() }).await;
    for _ in 0..500 {
        client.get(k("a"), &DEFAULTS).await.unwrap_err();
    }
    let stats = client.stats();
    let sent = cluster.calls().iter().sum::<usize>() as u64;
    assert_eq!((stats.calls, stats.failures, sent), (500, 500, 500 + stats.retries));
    assert!((50..=70).contains(&stats.retries), "{stats:?}");
    assert!(stats.budget_exhausted > 400, "{stats:?}");
}

#[tokio::test]
async fn everything_in_flight_to_a_node_that_dies_succeeds_elsewhere() {
    let cluster = FakeCluster::start().await;
    cluster.nodes[0].feel(Mood::Silent);
    let client = cluster.connect().await;
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.set(k("a"), v("1"), None, &DEFAULTS).await })
        })
        .collect();
    eventually("all are in flight", || cluster.calls()[0] == 1_000).await;
    cluster.nodes[0].stop();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((client.stats().retries, client.stats().failures), (1_000, 0));
    assert_eq!(client.stats().breaker_openings, 1);
}

#[tokio::test]
async fn a_node_that_is_cut_off_and_takes_the_others_for_dead_is_soon_left_alone() {
    let cluster = FakeCluster::start().await;
    let mut told = cluster.topology(1, &[0, 1, 2]);
    told.nodes[1].live = false;
    told.nodes[2].live = false;
    cluster.nodes[0].tell(told);
    cluster.nodes[0].feel(Mood::Fails(Kind::Unavailable, true));
    let client = cluster.connect().await;
    for _ in 0..300 {
        client.set(k("a"), v("1"), None, &DEFAULTS).await.unwrap();
    }
    assert!(cluster.calls()[0] <= 11, "{:?}", cluster.calls());
}

#[tokio::test]
async fn an_open_breaker_keeps_calls_away_from_a_dead_node() {
    let cluster = FakeCluster::start().await;
    let client = cluster.connect().await;
    cluster.nodes[0].stop();
    let dead: Client = client.clone();
    while dead.stats().breaker_openings == 0 {
        client.get(k("a"), &DEFAULTS).await.unwrap();
    }
    let before = client.stats();
    for _ in 0..100 {
        client.get(k("a"), &DEFAULTS).await.unwrap();
    }
    assert_eq!((client.stats().moves, client.stats().retries), (before.moves, before.retries));
}
