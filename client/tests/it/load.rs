//! Values that are loaded when they are missing.

use crate::fake_cluster::{FakeCluster, config, eventually};
use crate::fake_node::{DEFAULTS, LONG, Mood, k, v};
use futures::future::join_all;
use shoal_client::{Client, ClientConfig, ClientError, LoadError, Loaded, Source, Value};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a load takes at least.
const LOAD: Duration = Duration::from_millis(10);
const TTL: Option<Duration> = Some(Duration::from_secs(60));

/// Where values come from: counts, and answers as often as it is let.
#[derive(Clone)]
struct Backend {
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Backend {
    fn new(answers: usize) -> Self {
        Self { asked: Arc::default(), gate: Arc::new(Semaphore::new(answers)) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn answer(self, answer: Result<Value, &'static str>) -> io::Result<Value> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(LOAD).await;
        self.gate.acquire().await.unwrap().forget();
        answer.map_err(io::Error::other)
    }

    async fn load(&self, client: &Client, answer: Result<Value, &'static str>) -> Result<Loaded, LoadError> {
        let backend = self.clone();
        client.get_or_load(k("a"), TTL, &DEFAULTS, move || backend.answer(answer)).await
    }
}

#[tokio::test]
async fn a_thousand_callers_share_one_load() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(0));
    let client = cluster.connect().await;
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let (client, backend) = (client.clone(), backend.clone());
            tokio::spawn(async move { backend.load(&client, Ok(v("1"))).await.unwrap() })
        })
        .collect();
    eventually("a load begins", || backend.asked() > 0).await;
    eventually("all have read", || cluster.calls()[0] >= 1_000).await;
    backend.gate.add_permits(1_000);
    let mut loaded = 0;
    for caller in callers {
        let answer = caller.await.unwrap();
        assert_eq!(answer.value, v("1"));
        loaded += usize::from(matches!(answer.source, Source::Loader(Ok(_))));
    }
    assert_eq!((backend.asked(), loaded, client.stats().loads), (1, 1, 1));
    assert_eq!(client.stats().shared_loads, 999);
    assert!(matches!(backend.load(&client, Ok(v("2"))).await.unwrap().source, Source::Cache(_)));
}

#[tokio::test]
async fn a_failed_load_is_told_to_all_who_wait_and_the_next_call_tries_again() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(0));
    let client = cluster.connect().await;
    let callers = join_all((0..10).map(|_| backend.load(&client, Err("no such row"))));
    let release = async {
        eventually("all wait", || cluster.calls()[0] == 10 && backend.asked() == 1).await;
        backend.gate.add_permits(1);
    };
    let (answers, ()) = tokio::join!(callers, release);
    for answer in answers {
        let Err(LoadError::Loader(error)) = answer else { panic!("{answer:?}") };
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().to_string(), "no such row");
    }
    assert_eq!(backend.asked(), 1);
    backend.gate.add_permits(1);
    assert_eq!(backend.load(&client, Ok(v("1"))).await.unwrap().value, v("1"));
}

#[tokio::test]
async fn when_the_caller_who_loads_is_dropped_another_one_loads() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(0));
    let client = cluster.connect().await;
    let start = || {
        let (client, backend) = (client.clone(), backend.clone());
        tokio::spawn(async move { backend.load(&client, Ok(v("1"))).await })
    };
    let first = start();
    eventually("the first loads", || backend.asked() == 1).await;
    let others: Vec<_> = (0..10).map(|_| start()).collect();
    eventually("all have read", || cluster.calls()[0] == 11).await;
    first.abort();
    eventually("another one loads", || backend.asked() == 2).await;
    backend.gate.add_permits(10);
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().value, v("1"));
    }
    assert_eq!(backend.asked(), 2);
}

#[tokio::test]
async fn a_cluster_that_is_away_does_not_prevent_the_load() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(9));
    let client = cluster.connect().await;
    cluster.nodes.iter().for_each(|node| node.stop());
    let mut answer = backend.load(&client, Ok(v("1"))).await.unwrap();
    // Stopping takes a moment.
    while let Source::Cache(_) | Source::Loader(Ok(_)) = answer.source {
        answer = backend.load(&client, Ok(v("1"))).await.unwrap();
    }
    assert_eq!(answer.value, v("1"));
    assert!(matches!(answer.source, Source::Loader(Err(_))), "{:?}", answer.source);
}

#[tokio::test]
async fn what_can_never_succeed_is_not_loaded() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(9));
    cluster.feel(Mood::Fails(shoal_proto::wire::kv::v1::failure::Kind::Invalid, false));
    let answer = backend.load(&cluster.connect().await, Ok(v("1"))).await;
    assert!(matches!(answer, Err(LoadError::Call(ClientError::Invalid(_)))), "{answer:?}");
    assert_eq!(backend.asked(), 0);
}

#[tokio::test]
async fn a_value_that_is_about_to_expire_is_loaded_anew_in_the_background() {
    let (cluster, backend) = (FakeCluster::start().await, Backend::new(1));
    let client = cluster.connect_to(0, ClientConfig { timeout: LONG, ..config() }).await;
    backend.load(&client, Ok(v("1"))).await.unwrap();
    // A millisecond is left, much less than a load takes.
    cluster.nodes[0].change(|seen| seen.ttl_ms = 1);
    let mut reads = 0;
    while backend.asked() == 1 {
        let answer = backend.load(&client, Ok(v("2"))).await.unwrap();
        assert!(matches!(answer.source, Source::Cache(_)) && answer.value == v("1"));
        tokio::task::yield_now().await;
        reads += 1;
        assert!(reads < 100_000, "no early load");
    }
    // While it lasts, callers get the present value and no second one begins.
    for _ in 0..100 {
        assert_eq!(backend.load(&client, Ok(v("3"))).await.unwrap().value, v("1"));
    }
    assert_eq!((backend.asked(), client.stats().early_loads), (2, 1));
    cluster.nodes[0].change(|seen| seen.ttl_ms = 0);
    backend.gate.add_permits(1);
    eventually("it is stored", || {
        cluster.nodes[0].seen(|seen| seen.values.values().any(|value| value == "2"))
    })
    .await;
}
