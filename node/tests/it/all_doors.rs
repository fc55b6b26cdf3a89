//! One cache behind every door: what one takes, every other gives back, with the same said of it.

use crate::{
    cluster::{TestCluster, at},
    rest_client::{self, BYTES},
};
use redis::{FromRedisValue as _, Value, aio::MultiplexedConnection};
use shoal_proto::wire::kv::v1::{self as kv, kv_client::KvClient};
use std::collections::BTreeMap;
use tonic::transport::Channel;

const TTL_SECONDS: u64 = 60;
/// Not UTF-8, so that no door may take it for text.
const VALUE: &[u8] = b"\xff\0value\r\n";

/// What an answer was worth, in no particular protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Worth {
    version: u64,
    reached: String,
    asked: u64,
    answered: u64,
    superseded_by: u64,
    flags: Vec<String>,
    expires_at: u64,
    ttl_ms: u64,
}

impl Worth {
    /// Takes out the time left, which no two answers have in common.
    fn timeless(mut self) -> Self {
        let most = TTL_SECONDS * 1_000;
        assert!((most - 20_000..=most).contains(&self.ttl_ms), "{self:?}");
        self.ttl_ms = 0;
        self
    }
}

/// One node's doors, each asked at ALL, so that every answer is worth the same.
struct Doors {
    resp: MultiplexedConnection,
    grpc: KvClient<Channel>,
    http: std::net::SocketAddr,
}

const DOORS: [&str; 3] = ["RESP", "gRPC", "REST"];

impl Doors {
    async fn open(cluster: &TestCluster, i: usize) -> Self {
        let listen = cluster.nodes[i].config.listen;
        let mut resp = cluster.connect(i).await;
        let _: () = redis::cmd("SHOAL.OUTCOME").arg("ON").query_async(&mut resp).await.unwrap();
        let grpc = KvClient::connect(format!("http://{}", listen.grpc)).await.unwrap();
        Self { resp, grpc, http: listen.http }
    }

    async fn set(&mut self, door: &str, key: &str) -> Worth {
        match door {
            "RESP" => {
                let mut set = at(shoal_proto::types::Consistency::All, "SET");
                let reply = set.arg(key).arg(VALUE).arg("EX").arg(TTL_SECONDS);
                let (value, worth) = of_resp(reply.query_async(&mut self.resp).await.unwrap());
                assert_eq!(value, Value::Okay);
                worth
            }
            "gRPC" => {
                let request = kv::SetRequest {
                    key: key.to_owned().into(),
                    value: VALUE.into(),
                    ttl_ms: TTL_SECONDS * 1_000,
                    consistency: kv::Consistency::All.into(),
                    ..Default::default()
                };
                of_grpc(self.grpc.set(request).await.unwrap().into_inner().outcome)
            }
            _ => {
                let target = format!("/cache/{key}?ttlSeconds={TTL_SECONDS}&consistency=all");
                let reply = rest_client::send(self.http, "POST", &target, &[BYTES], VALUE).await;
                assert_eq!((reply.status, reply.text()), (201, r#"{"status":"stored"}"#));
                of_rest(&reply)
            }
        }
    }

    async fn get(&mut self, door: &str, key: &str) -> (Vec<u8>, Worth) {
        match door {
            "RESP" => {
                let mut get = at(shoal_proto::types::Consistency::All, "GET");
                let (value, worth) = of_resp(get.arg(key).query_async(&mut self.resp).await.unwrap());
                (Vec::from_redis_value(value).unwrap(), worth)
            }
            "gRPC" => {
                let request = kv::GetRequest {
                    key: key.to_owned().into(),
                    consistency: kv::Consistency::All.into(),
                    ..Default::default()
                };
                let got = self.grpc.get(request).await.unwrap().into_inner();
                (got.value.expect("a hit").to_vec(), of_grpc(got.outcome))
            }
            _ => {
                let headers = [("accept", BYTES.1), ("shoal-consistency", "ALL")];
                let target = format!("/cache/{key}");
                let reply = rest_client::send(self.http, "GET", &target, &headers, b"").await;
                assert_eq!(reply.status, 200, "{reply:?}");
                let worth = of_rest(&reply);
                (reply.body, worth)
            }
        }
    }
}

fn of_resp(reply: Value) -> (Value, Worth) {
    let Value::Array(both) = reply else { panic!("{reply:?}") };
    let [value, outcome] = <[Value; 2]>::try_from(both).unwrap();
    let mut fields: BTreeMap<String, Value> = BTreeMap::from_redis_value(outcome).unwrap();
    let flags = Vec::from_redis_value(fields.remove("flags").unwrap()).unwrap();
    let reached = String::from_redis_value(fields.remove("reached").unwrap()).unwrap();
    let mut number =
        |name: &str| Option::<u64>::from_redis_value(fields.remove(name).unwrap()).unwrap().unwrap_or(0);
    let worth = Worth {
        version: number("version"),
        reached,
        asked: number("asked"),
        answered: number("answered"),
        superseded_by: number("superseded-by"),
        flags,
        expires_at: number("expires-at"),
        ttl_ms: number("ttl-ms"),
    };
    assert!(fields.is_empty(), "{fields:?}");
    (value, worth)
}

fn of_grpc(outcome: Option<kv::Outcome>) -> Worth {
    let outcome = outcome.expect("an outcome");
    let flags = [
        ("repaired", outcome.repaired),
        ("hinted", outcome.hinted),
        ("degraded", outcome.degraded),
        ("superseded", outcome.superseded_by != 0),
    ];
    Worth {
        version: outcome.tag,
        reached: outcome.reached().as_str_name().trim_start_matches("CONSISTENCY_").to_owned(),
        asked: outcome.asked.into(),
        answered: outcome.answered.into(),
        superseded_by: outcome.superseded_by,
        flags: flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()).collect(),
        expires_at: outcome.expires_at,
        ttl_ms: outcome.ttl_ms,
    }
}

fn of_rest(reply: &rest_client::Reply) -> Worth {
    let number = |name: &str| match reply.header(name) {
        "" => 0,
        text => text.parse().unwrap_or_else(|_| panic!("{name}: {text}")),
    };
    Worth {
        version: number("shoal-version"),
        reached: reply.header("shoal-reached").to_owned(),
        asked: number("shoal-asked"),
        answered: number("shoal-answered"),
        superseded_by: number("shoal-superseded-by"),
        flags: reply.header("shoal-flags").split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect(),
        expires_at: number("shoal-expires-at"),
        ttl_ms: number("shoal-ttl-ms"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_at_any_door_is_read_at_every_door_of_every_node_and_they_agree_what_that_is_worth() {
    let cluster = TestCluster::start(3).await;
    let mut nodes = Vec::new();
    for i in 0..3 {
        nodes.push(Doors::open(&cluster, i).await);
    }
    for writer in 0..3 {
        for set_at in DOORS {
            let key = format!("{writer}-{set_at}");
            let written = nodes[writer].set(set_at, &key).await.timeless();
            assert_eq!((written.reached.as_str(), written.asked, written.answered), ("ALL", 3, 3));
            assert!(written.version != 0 && written.expires_at != 0);
            for (reader, node) in nodes.iter_mut().enumerate() {
                for got_at in DOORS {
                    let (value, worth) = node.get(got_at, &key).await;
                    let case = format!("set at {set_at} of node {writer}, read at {got_at} of node {reader}");
                    assert_eq!(value, VALUE, "{case}");
                    assert_eq!(worth.timeless(), written, "{case}");
                }
            }
        }
    }
}
