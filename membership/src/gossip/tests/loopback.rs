//! Nodes in one process, on loopback: real sockets in a plain build, simulated ones under simulation.

use super::*;
use crate::ring;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use seal::Sealer;
use std::collections::BTreeSet;

const INTERVAL: Duration = Duration::from_millis(50);

struct Node {
    cluster: Arc<Cluster>,
    gossip: Gossip,
}

fn settings(seeds: &[&Node]) -> GossipSettings {
    GossipSettings {
        cluster: "test".into(),
        secrets: Secrets::new([SECRET]),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: "127.0.0.1:0".parse().unwrap(),
        seeds: seeds.iter().map(|seed| seed.gossip.advertised().to_string()).collect(),
        timing: timing(INTERVAL),
    }
}

async fn start(node: NodeInfo, settings: GossipSettings) -> Node {
    let cluster = Arc::new(Cluster::new(node));
    let gossip = Gossip::start(settings, cluster.clone(), &env(1)).await.unwrap();
    Node { cluster, gossip }
}

/// Waits until `condition` holds for the counters.
async fn counted(node: &Node, condition: impl Fn(GossipCounts) -> bool) {
    let start = Instant::now();
    let counters = node.gossip.counters();
    while !condition(counters.snapshot()) {
        assert!(start.elapsed() < PATIENCE, "never counted: {:?}", counters.snapshot());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn nodes_find_each_other_with_all_that_they_publish() {
    let one = start(node("n1", 1), settings(&[])).await;
    let two = start(node("n2", 5), settings(&[&one])).await;
    let three = start(node("n3", 9), settings(&[&two])).await;
    for cluster in [&one.cluster, &two.cluster, &three.cluster] {
        eventually(cluster, "all are live", |view| ["n1", "n2", "n3"].iter().all(|name| is_live(view, name)))
            .await;
    }
    let view = one.cluster.view();
    let expected = NodeInfo {
        addresses: Addresses { gossip: three.gossip.advertised().to_string(), ..node("n3", 9).addresses },
        ..node("n3", 9)
    };
    assert_eq!(heard(&view, "n3"), Some(&expected));
    assert!(one.gossip.counters().snapshot().opened > 0);
    assert_eq!(*one.gossip.events().borrow(), None);
}

#[tokio::test]
async fn a_stopped_node_stays_in_the_view_as_not_live() {
    let one = start(node("n1", 1), settings(&[])).await;
    let two = start(node("n2", 1), settings(&[&one])).await;
    eventually(&one.cluster, "n2 is live", |view| is_live(view, "n2")).await;
    two.gossip.shutdown().await;
    eventually(&one.cluster, "n2 is not live", |view| heard(view, "n2").is_some_and(|node| !node.live)).await;
    assert_eq!(*one.gossip.events().borrow(), None);
}

#[tokio::test]
async fn the_record_and_readiness_follow_their_changes() {
    let one = start(node("n1", 1), settings(&[])).await;
    let two = start(node("n2", 1), settings(&[&one])).await;
    for epoch in [1, 2] {
        one.cluster.publish_record(record(epoch));
        let digest = ring::digest(&record(epoch));
        let expected = crate::node_info::RingDigest { epoch, phase: Phase::New, digest };
        eventually(&two.cluster, "n1 has the record", |view| {
            heard(view, "n1").is_some_and(|node| node.ring == Some(expected))
        })
        .await;
    }
    for ready in [true, false] {
        one.cluster.set_ready(ready);
        eventually(&two.cluster, "n1 changed", |view| {
            heard(view, "n1").is_some_and(|node| node.ready == ready)
        })
        .await;
    }
}

#[tokio::test]
async fn a_restarted_node_replaces_its_past() {
    let one = start(node("n1", 1), settings(&[])).await;
    let two = start(node("n2", 1), settings(&[&one])).await;
    eventually(&one.cluster, "n2 is live", |view| is_live(view, "n2")).await;
    two.gossip.shutdown().await;
    let again = start(node("n2", 2), settings(&[&one])).await;
    eventually(&one.cluster, "the new n2 is live", |view| {
        heard(view, "n2").is_some_and(|node| node.live && node.generation == 2)
    })
    .await;
    assert_eq!(*again.gossip.events().borrow(), None);
}

#[tokio::test]
async fn strangers_are_counted_and_never_seen() {
    let one = start(node("n1", 1), settings(&[])).await;
    let wrong_secret = GossipSettings { secrets: Secrets::new(["battery staple"]), ..settings(&[&one]) };
    let other_cluster = GossipSettings { cluster: "other".into(), ..settings(&[&one]) };
    let no_secret = GossipSettings { secrets: Secrets::default(), ..settings(&[&one]) };
    let strangers = [
        start(node("s1", 1), wrong_secret).await,
        start(node("s2", 1), other_cluster).await,
        start(node("s3", 1), no_secret).await,
    ];
    let two = start(node("n2", 1), settings(&[&one])).await;
    counted(&one, |counts| {
        counts.refused_bad_seal >= 5 && counts.refused_other_cluster >= 5 && counts.refused_unsealed >= 5
    })
    .await;
    eventually(&one.cluster, "n2 is live", |view| is_live(view, "n2")).await;
    let known: BTreeSet<_> = one.cluster.view().nodes().keys().map(ToString::to_string).collect();
    assert_eq!(known, ["n1", "n2"].map(String::from).into());
    for stranger in &strangers {
        assert_eq!(stranger.cluster.view().nodes().len(), 1);
        // Nothing was answered.
        assert_eq!(
            stranger.gossip.counters().snapshot(),
            GossipCounts { sealed: stranger.gossip.counters().snapshot().sealed, ..GossipCounts::default() }
        );
    }
    drop(two);
}

#[tokio::test]
async fn hostile_datagrams_disturb_nothing() {
    let one = start(node("n1", 1), settings(&[])).await;
    let two = start(node("n2", 1), settings(&[&one])).await;
    eventually(&one.cluster, "n2 is live", |view| is_live(view, "n2")).await;
    let (mut host, attacker, _) = runtime::bind("127.0.0.1:0".parse().unwrap(), INTERVAL).await.unwrap();
    host.launch(std::future::ready(())).await;
    let (target, mut rng) = (one.gossip.advertised(), StdRng::seed_from_u64(7));
    let refused = |counts: GossipCounts| {
        counts.refused_malformed
            + counts.refused_other_cluster
            + counts.refused_unsealed
            + counts.refused_bad_seal
    };
    let genuine = Sealer::new("test", &["guess"]).seal(&mut rng, two.gossip.advertised(), &[0; 200]).unwrap();
    for sent in 1..=1_000u64 {
        let mut datagram = vec![0; rng.next_u32() as usize % 1_500];
        rng.fill_bytes(&mut datagram);
        // Every other one gets past the first checks.
        if sent % 2 == 0 {
            let head = genuine[..rng.next_u32() as usize % genuine.len()].to_vec();
            datagram.splice(..0, head);
        }
        attacker.send_to(&datagram, target).await.unwrap();
        // No more at once than the socket's buffer holds, so that each one is looked at.
        if sent % 50 == 0 {
            counted(&one, |counts| refused(counts) == sent).await;
        }
    }
    assert!(is_live(&one.cluster.view(), "n2"));
    let three = start(node("n3", 1), settings(&[&one])).await;
    eventually(&one.cluster, "n3 is live", |view| is_live(view, "n3")).await;
    assert_eq!(*one.gossip.events().borrow(), None);
    assert_eq!(three.cluster.view().nodes().len(), 3);
}

#[tokio::test]
async fn of_two_nodes_with_one_id_the_older_start_is_told() {
    let one = start(node("n1", 1), settings(&[])).await;
    let old = start(node("twin", 3), settings(&[&one])).await;
    let new = start(node("twin", 4), settings(&[&one])).await;
    let mut events = old.gossip.events();
    let event = timeout(PATIENCE, events.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(event, Some(GossipEvent::DuplicateNodeId { generation: 4, gossip: new.gossip.advertised() }));
    assert_eq!(*new.gossip.events().borrow(), None);
}

#[tokio::test]
async fn of_two_equal_starts_the_larger_address_is_told() {
    let one = start(node("n1", 1), settings(&[])).await;
    let twins =
        [start(node("twin", 3), settings(&[&one])).await, start(node("twin", 3), settings(&[&one])).await];
    let [winner, loser] =
        if twins[0].gossip.advertised().to_string() < twins[1].gossip.advertised().to_string() {
            [&twins[0], &twins[1]]
        } else {
            [&twins[1], &twins[0]]
        };
    let mut events = loser.gossip.events();
    let event = timeout(PATIENCE, events.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(
        event,
        Some(GossipEvent::DuplicateNodeId { generation: 3, gossip: winner.gossip.advertised() })
    );
    assert_eq!(*winner.gossip.events().borrow(), None);
}

#[tokio::test]
async fn a_secret_is_replaced_while_nodes_talk() {
    let (mut nodes, mut secrets) = (Vec::<Node>::new(), Vec::new());
    for name in ["n1", "n2", "n3"] {
        let own = Secrets::new([SECRET]);
        let seeds: Vec<&Node> = nodes.iter().collect();
        let settings = GossipSettings { secrets: own.clone(), ..settings(&seeds) };
        nodes.push(start(node(name, 1), settings).await);
        secrets.push(own);
    }
    for step in [vec![SECRET, "battery staple"], vec!["battery staple", SECRET], vec!["battery staple"]] {
        for secrets in &secrets {
            assert!(secrets.replace(step.clone()));
            // Several rounds in which this node is ahead of others.
            for node in &nodes {
                let before = node.gossip.counters().snapshot().opened;
                counted(node, |counts| counts.opened >= before + 5).await;
            }
        }
    }
    for node in &nodes {
        assert_eq!(node.gossip.counters().snapshot().refused_bad_seal, 0);
    }
    let outdated = GossipSettings { secrets: Secrets::new([SECRET]), ..settings(&[&nodes[0]]) };
    let _outdated = start(node("n4", 1), outdated).await;
    counted(&nodes[0], |counts| counts.refused_bad_seal >= 5).await;
    assert_eq!(heard(&nodes[0].cluster.view(), "n4"), None);
}

#[tokio::test]
async fn without_a_secret_gossip_stays_on_loopback() {
    let plain = |seeds: &[&Node]| GossipSettings { secrets: Secrets::default(), ..settings(seeds) };
    let one = start(node("n1", 1), plain(&[])).await;
    let two = start(node("n2", 1), plain(&[&one])).await;
    eventually(&one.cluster, "n2 is live", |view| is_live(view, "n2")).await;
    drop(two);
    let exposed = "0.0.0.0:7382".parse().unwrap();
    let public = "192.0.2.1:7382".parse().unwrap();
    for settings in
        [GossipSettings { listen: exposed, ..plain(&[]) }, GossipSettings { advertise: public, ..plain(&[]) }]
    {
        let cluster = Arc::new(Cluster::new(node("n3", 1)));
        let error = Gossip::start(settings, cluster, &env(1)).await.unwrap_err();
        assert!(
            matches!(error, GossipError::SecretRequired(address) if address == exposed || address == public)
        );
        assert!(error.to_string().contains("loopback"), "{error}");
    }
}

#[tokio::test]
async fn unusable_settings_are_refused() {
    let one = start(node("n1", 1), settings(&[])).await;
    let refused = async |settings: GossipSettings, node: NodeInfo| {
        Gossip::start(settings, Arc::new(Cluster::new(node)), &env(1)).await.unwrap_err()
    };
    let unspecified = "0.0.0.0:7382".parse().unwrap();
    let long = NodeInfo { zone: "z".repeat(2_000), ..node("n2", 1) };
    let taken = GossipSettings { listen: one.gossip.advertised(), ..settings(&[]) };
    let empty = GossipSettings { secrets: Secrets::new([SECRET, ""]), ..settings(&[]) };
    let hasty = GossipSettings { timing: timing(Duration::ZERO), ..settings(&[]) };
    let blind =
        GossipSettings { timing: GossipConfig { phi: f64::NAN, ..timing(INTERVAL) }, ..settings(&[]) };
    let nowhere = GossipSettings { advertise: unspecified, ..settings(&[]) };
    assert!(matches!(refused(taken, node("n2", 1)).await, GossipError::Bind { .. }));
    assert!(matches!(refused(empty, node("n2", 1)).await, GossipError::EmptySecret));
    assert!(matches!(refused(hasty, node("n2", 1)).await, GossipError::Timing(_)));
    assert!(matches!(refused(blind, node("n2", 1)).await, GossipError::Timing(_)));
    assert!(matches!(refused(nowhere, node("n2", 1)).await, GossipError::Advertise(_)));
    assert!(matches!(refused(settings(&[]), long).await, GossipError::Schema(_)));
}

#[tokio::test]
async fn the_socket_is_free_after_shutdown() {
    let one = start(node("n1", 1), settings(&[])).await;
    let address = one.gossip.advertised();
    one.gossip.shutdown().await;
    let again = start(node("n1", 2), GossipSettings { listen: address, ..settings(&[]) }).await;
    assert_eq!(again.gossip.advertised().port(), address.port());
}

#[tokio::test]
async fn seeds_may_be_names() {
    let one = start(node("n1", 1), settings(&[])).await;
    let seeds = vec![format!("localhost:{}", one.gossip.advertised().port())];
    let two = start(node("n2", 1), GossipSettings { seeds, ..settings(&[]) }).await;
    eventually(&two.cluster, "n1 is live", |view| is_live(view, "n1")).await;
}
