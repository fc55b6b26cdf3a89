//! The document at `/openapi.json` and the door it describes.

use crate::{cluster::TestCluster, rest_client::send};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, net::SocketAddr};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

async fn document(address: SocketAddr) -> Value {
    let read = send(address, "GET", "/openapi.json", &[], b"").await;
    assert_eq!((read.status, read.header("content-type")), (200, "application/json"));
    read.json()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, operations)| (path, operations.as_object().unwrap()))
}

/// Every `$ref` in it.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found.insert(target.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_has_the_methods_that_the_document_gives_it_and_no_other() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.http(0);
    let document = document(address).await;
    let mut seen = 0;
    for (path, operations) in operations(&document) {
        let target = path.replace("{key}", "k");
        let documented: BTreeSet<String> = operations.keys().map(|method| method.to_uppercase()).collect();
        for method in METHODS {
            let reply = send(address, method, &target, &[], b"").await;
            assert_eq!(reply.status != 405, documented.contains(method), "{method} {path}: {reply:?}");
            if reply.status == 405 {
                let allowed = reply.header("allow").split(',').map(str::to_owned).collect();
                assert_eq!(documented, allowed, "{path}");
            } else {
                let responses = &operations[&method.to_lowercase()]["responses"];
                assert!(responses.get(reply.status.to_string()).is_some(), "{method} {path}: {reply:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 6 + 4 + 2 * 6, "a key, many keys, and all that can only be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parameters_that_a_route_takes_are_those_of_the_document() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.http(0);
    let document = document(address).await;
    let mut seen = 0;
    for (path, operations) in operations(&document).filter(|(path, _)| path.starts_with("/cache")) {
        for (method, operation) in operations.iter().filter(|(method, _)| *method != "head") {
            let parameters = operation["parameters"].as_array().unwrap();
            let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let documented: BTreeSet<&str> =
                in_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            let target = format!("{}?unknown=1", path.replace("{key}", "k"));
            let reply = send(address, &method.to_uppercase(), &target, &[], b"").await;
            let (_, detail) = reply.problem();
            let (_, taken) =
                detail.split_once("'unknown': expected one of ").expect("it names what it takes");
            assert_eq!(taken.split(", ").collect::<BTreeSet<_>>(), documented, "{method} {path}");
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_document_refers_to_is_in_it_and_names_are_given_once() {
    let cluster = TestCluster::start(1).await;
    let document = document(cluster.http(0)).await;
    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    assert!(targets.contains("#/components/schemas/Problem"), "{targets:?}");
    for target in &targets {
        assert!(document.pointer(&target[1..]).is_some(), "{target}");
    }
    let names: Vec<&Value> = operations(&document)
        .flat_map(|(_, operations)| operations.values())
        .map(|o| &o["operationId"])
        .collect();
    let once: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), once.len(), "{names:?}");
}
