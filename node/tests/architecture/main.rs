//! Who may know whom, and a few shapes of code, read off the sources of the whole workspace.
//!
//! The tables are the drawing that `docs/ARCHITECTURE.md` explains. They are exact: what they do not list fails, and so
//! does what they list and no source needs any more. Tests may name what they like.

mod paths;
mod shapes;
mod source;

use source::Source;
use std::collections::{BTreeMap, BTreeSet};

type Edges = [(&'static str, &'static [&'static str])];

/// Which crates of the workspace each crate names. `shoal` is the command, in the same package as the node.
const CRATES: &Edges = &[
    ("shoal_proto", &[]),
    ("shoal_membership", &["shoal_proto"]),
    ("shoal_client", &["shoal_membership", "shoal_proto"]),
    ("shoal_node", &["shoal_membership", "shoal_proto"]),
    ("shoal", &["shoal_client", "shoal_membership", "shoal_node", "shoal_proto"]),
    ("shoal_benches", &["shoal_node", "shoal_proto"]),
    ("shoal_sim", &["shoal_client", "shoal_membership", "shoal_node", "shoal_proto"]),
];

/// Which modules of its crate each module of the node names. `assembly`, which knows them all, is not listed. `ring` and
/// `replica` know each other: a replica hands votes to the ledger, the agent asks its peers.
const NODE: &Edges = &[
    ("shoal_node::admin", &[]),
    ("shoal_node::auth", &[]),
    ("shoal_node::config", &["auth", "limits", "store", "tls"]),
    ("shoal_node::coordinator", &["limits", "live", "metrics", "mutant", "replica", "ring"]),
    ("shoal_node::frontend", &["admin", "auth", "coordinator", "limits", "live", "metrics"]),
    ("shoal_node::hot_keys", &[]),
    (
        "shoal_node::info",
        &["admin", "coordinator", "frontend", "limits", "metrics", "replica", "store", "tls"],
    ),
    ("shoal_node::limits", &[]),
    ("shoal_node::listen", &["admin", "config", "frontend", "limits", "metrics", "replica", "tls"]),
    ("shoal_node::live", &["config", "limits", "store"]),
    ("shoal_node::metrics", &["hot_keys", "limits"]),
    ("shoal_node::mutant", &[]),
    ("shoal_node::rebuild", &["config", "limits", "metrics", "replica"]),
    ("shoal_node::replica", &["limits", "mutant", "ring", "store", "tls"]),
    ("shoal_node::ring", &["replica"]),
    ("shoal_node::store", &["limits", "mutant"]),
    ("shoal_node::tls", &["metrics"]),
];

/// Decisions: time, randomness and the view of the cluster are their arguments.
const PURE: &[&str] = &[
    "shoal::cli::bench::doors::reply",
    "shoal::cli::bench::keys",
    "shoal::cli::bench::payload",
    "shoal::cli::bench::plot",
    "shoal::cli::bench::recorder",
    "shoal::cli::bench::schedule",
    "shoal::cli::bench::summary",
    "shoal::cli::bench::timeline",
    "shoal::cli::bench::workload",
    "shoal_client::breaker",
    "shoal_client::budget",
    "shoal_client::clock",
    "shoal_client::load::refresh",
    "shoal_client::outcome",
    "shoal_client::retry",
    "shoal_client::router",
    "shoal_client::topology",
    "shoal_membership::gossip::schema",
    "shoal_membership::gossip::seal",
    "shoal_membership::ring",
    "shoal_node::auth::credentials",
    "shoal_node::auth::header",
    "shoal_node::coordinator::api",
    "shoal_node::coordinator::cursor",
    "shoal_node::coordinator::explanation",
    "shoal_node::coordinator::glob",
    "shoal_node::coordinator::plan",
    "shoal_node::coordinator::quorum",
    "shoal_node::coordinator::resolve",
    "shoal_node::frontend::error_map::http",
    "shoal_node::frontend::http::cache::accept",
    "shoal_node::frontend::http::cache::answer",
    "shoal_node::frontend::http::cache::request",
    "shoal_node::frontend::http::percent",
    "shoal_node::frontend::resp::command",
    "shoal_node::frontend::resp::inline",
    "shoal_node::frontend::resp::parser",
    "shoal_node::frontend::resp::writer",
    "shoal_node::hot_keys",
    "shoal_node::info::load",
    "shoal_node::live::notation",
    "shoal_node::rebuild::decide",
    "shoal_node::replica::handshake",
    "shoal_node::replica::stamp",
    "shoal_node::store::arena",
    "shoal_node::store::class",
    "shoal_node::store::entries",
    "shoal_node::store::found",
    "shoal_node::store::index",
    "shoal_node::store::links",
    "shoal_node::store::list",
    "shoal_node::store::loan",
    "shoal_node::store::order",
    "shoal_node::store::policy",
    "shoal_node::store::record",
    "shoal_node::store::scan",
    "shoal_node::store::shard",
    "shoal_node::store::stats",
    "shoal_node::store::wheel",
    "shoal_proto::types",
    "shoal_sim::content",
    "shoal_sim::evidence",
    "shoal_sim::fault",
    "shoal_sim::history",
    "shoal_sim::invariants",
    "shoal_sim::options",
    "shoal_sim::report",
    "shoal_sim::snapshot",
    "shoal_sim::watermark",
];

/// What no decision names: tasks, sockets, clocks, locks, generators nobody seeded.
const IMPURE: &[&str] = &[
    "futures",
    "madsim",
    "parking_lot",
    "rand::random",
    "rand::rng",
    "rand::rngs::SysRng",
    "rand::rngs::ThreadRng",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::atomic",
    "std::sync::mpsc",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tokio_stream",
    "tokio_util",
    "tonic",
];

/// Things with few keepers, and who those are.
const KEPT: &Edges = &[
    ("axum", &["shoal_node::frontend::http"]),
    ("chacha20poly1305", &["shoal_membership::gossip::seal"]),
    ("chitchat", &["shoal_membership::gossip::chitchat"]),
    ("clap", &["shoal", "shoal_sim::run_commands"]),
    ("hyper", &["shoal_node::frontend::http::server"]),
    ("hyper_rustls", &["shoal::cli::bench::doors::rest"]),
    ("madsim", &["shoal_sim"]),
    ("plotters", &["shoal::cli::bench::plot"]),
    ("procfs", &["shoal_benches", "shoal_node::metrics::process"]),
    ("prometheus_client", &["shoal_node::metrics"]),
    ("rand::rngs::SysRng", &["shoal::cli", "shoal_client::seed"]),
    ("schemars", &["shoal_node::frontend::http"]),
    (
        "shoal_proto::wire",
        &[
            "shoal_client",
            "shoal_membership::env::state_file",
            "shoal_membership::ring",
            "shoal_node::frontend::error_map::grpc",
            "shoal_node::frontend::grpc",
            "shoal_node::frontend::standard",
            "shoal_node::listen",
            "shoal_node::replica::handshake",
            "shoal_node::replica::link",
            "shoal_node::replica::server",
            "shoal_proto::codec",
            "shoal_proto::convert",
        ],
    ),
    ("std::env", &["shoal::cli", "shoal_benches", "shoal_client::mutant", "shoal_node::mutant", "shoal_sim"]),
    ("std::fs", &["shoal::cli", "shoal_membership::env::state_file"]),
    ("std::process", &["shoal", "shoal_sim"]),
    ("std::thread", &["shoal::cli::bench::feed", "shoal_sim::runner"]),
    ("std::time::Instant", &[]),
    ("std::time::SystemTime", &["shoal_membership::env::clock", "shoal_sim::journal"]),
    ("subtle", &["shoal_node::auth::credentials"]),
    ("tokio_rustls", &["shoal_node::tls"]),
    ("tokio_real", &["shoal_membership::gossip::runtime"]),
    (
        "tonic",
        &[
            "shoal_client",
            "shoal_node::frontend::error_map::grpc",
            "shoal_node::frontend::grpc",
            "shoal_node::frontend::places",
            "shoal_node::frontend::standard",
            "shoal_node::listen",
            "shoal_node::replica::link",
            "shoal_node::replica::server",
            "shoal_proto",
        ],
    ),
    ("tonic_real", &["shoal_client::tls", "shoal_node::tls"]),
    ("x509_cert", &["shoal_node::tls::material"]),
];

/// What nobody names. The first two iterate in an order that differs from run to run.
const NOBODY: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "tokio::task::JoinSet",
    "tokio::task::LocalSet",
];

#[test]
fn sources_name_only_what_the_tables_let_them() {
    let sources = source::all();
    assert!(sources.len() > 100, "only {} sources were found", sources.len());
    let faults: Vec<String> = [
        edges(&sources, CRATES, crate_edge),
        edges(&sources, NODE, module_edge),
        unlisted(&sources),
        impurities(&sources),
        kept(&sources),
        named_by_nobody(&sources),
    ]
    .concat();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn sources_have_the_shapes_that_keep_runs_repeatable() {
    let faults: Vec<String> =
        source::files().iter().flat_map(|(file, text)| shapes::faults(file, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn crate_edge(path: &str) -> Option<&str> {
    let (name, _) = path.split_once("::").unwrap_or((path, ""));
    name.starts_with("shoal").then_some(name)
}

fn module_edge(path: &str) -> Option<&str> {
    let (_, inner) = path.split_once("shoal_node::")?;
    let (name, _) = inner.split_once("::").unwrap_or((inner, ""));
    name.starts_with(char::is_lowercase).then_some(name)
}

/// Compares the edges that sources draw from the modules in `table` with the edges it lists.
fn edges(sources: &[Source], table: &Edges, edge: fn(&str) -> Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    for (from, listed) in table {
        let mut drawn: BTreeMap<&str, &Source> = BTreeMap::new();
        for source in sources.iter().filter(|source| within(&source.module, from)) {
            let targets = source.paths.iter().filter_map(|path| edge(path));
            let foreign = targets.filter(|to| to != from && !from.ends_with(&format!("::{to}")));
            drawn.extend(foreign.map(|to| (to, source)));
        }
        for (to, source) in &drawn {
            if !listed.contains(to) {
                faults.push(format!("{}: {from} must not know {to}", source.file));
            }
        }
        let stale = listed.iter().filter(|to| !drawn.contains_key(**to));
        faults.extend(stale.map(|to| format!("the table lets {from} know {to}, which it does not need")));
    }
    faults
}

/// Modules that the tables have forgotten.
fn unlisted(sources: &[Source]) -> Vec<String> {
    let whole = ["shoal_node", "shoal_node::assembly"];
    let inside = |module: &str, table: &Edges| table.iter().any(|(from, _)| within(module, from));
    let listed = |module: &str| {
        inside(module, CRATES)
            && (!within(module, "shoal_node") || whole.contains(&module) || inside(module, NODE))
    };
    let forgotten = sources.iter().filter(|source| !listed(&source.module));
    forgotten.map(|source| format!("{}: no table lists {}", source.file, source.module)).collect()
}

fn impurities(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for pure in PURE {
        let mut found = false;
        for source in sources.iter().filter(|source| within(&source.module, pure)) {
            found = true;
            let names = IMPURE.iter().filter(|impure| source.names(impure));
            faults.extend(names.map(|impure| format!("{}: a decision must not know {impure}", source.file)));
        }
        if !found {
            faults.push(format!("the table calls {pure} pure, which does not exist"));
        }
    }
    faults
}

fn kept(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (what, keepers) in KEPT {
        let mut idle: BTreeSet<&str> = keepers.iter().copied().collect();
        for source in sources.iter().filter(|source| source.names(what)) {
            match keepers.iter().find(|keeper| within(&source.module, keeper)) {
                Some(keeper) => drop(idle.remove(keeper)),
                None => faults.push(format!("{}: only {} may know {what}", source.file, keepers.join(", "))),
            }
        }
        faults.extend(
            idle.iter().map(|keeper| format!("the table lets {keeper} know {what}, which it does not need")),
        );
    }
    faults
}

fn named_by_nobody(sources: &[Source]) -> Vec<String> {
    let named = |source: &Source, what: &str| {
        source.names(what).then(|| format!("{}: nobody may know {what}", source.file))
    };
    sources.iter().flat_map(|source| NOBODY.iter().filter_map(move |what| named(source, what))).collect()
}

/// Whether `module` is `outer` or lies below it.
fn within(module: &str, outer: &str) -> bool {
    module.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

mod planted {
    //! The checker itself must find what is planted.

    use super::*;

    fn planted(file: &str, text: &str) -> Vec<Source> {
        vec![Source::read(file, text, &BTreeSet::new()).unwrap()]
    }

    #[track_caller]
    fn check(faults: &[String], expected: &str) {
        assert!(faults.iter().any(|fault| fault == expected), "{expected:?} is not among {faults:#?}");
    }

    #[test]
    fn a_crate_that_climbs_the_ladder_is_found() {
        let sources = planted("proto/src/types/key.rs", "fn f() { shoal_node::store::Store::new() }");
        check(
            &edges(&sources, CRATES, crate_edge),
            "proto/src/types/key.rs: shoal_proto must not know shoal_node",
        );
    }

    #[test]
    fn a_module_that_reaches_around_its_neighbour_is_found() {
        for text in [
            "use crate::store::Store;",
            "use crate::{limits, store::{Store, StoreConfig}};",
            "use super::super::store as memory;",
            "fn f() { crate::store::Store::new() }",
            "mod inner { use super::super::super::store::Store; }",
            "use crate::store;",
        ] {
            let sources = planted("node/src/frontend/grpc/mod.rs", text);
            check(
                &edges(&sources, NODE, module_edge),
                "node/src/frontend/grpc/mod.rs: shoal_node::frontend must not know store",
            );
        }
    }

    #[test]
    fn a_module_that_no_table_lists_is_found() {
        let sources = planted("node/src/cleverness.rs", "");
        check(&unlisted(&sources), "node/src/cleverness.rs: no table lists shoal_node::cleverness");
        assert!(unlisted(&planted("node/src/store/cleverness.rs", "")).is_empty());
    }

    #[test]
    fn a_decision_that_reads_a_clock_takes_a_lock_or_awaits_is_found() {
        for (text, what) in [
            ("use tokio::time::Instant;", "tokio"),
            ("fn f() { std::time::Instant::now() }", "std::time::Instant"),
            ("use std::time::*;", "std::time::Instant"),
            ("use std::{sync::{Arc, Mutex}, fmt};", "std::sync::Mutex"),
            ("use std::sync;", "std::sync::Mutex"),
            ("fn f() -> u8 { rand::random() }", "rand::random"),
        ] {
            let sources = planted("node/src/coordinator/plan.rs", text);
            let expected = format!("node/src/coordinator/plan.rs: a decision must not know {what}");
            check(&impurities(&sources), &expected);
        }
    }

    #[test]
    fn a_second_keeper_and_a_forbidden_collection_are_found() {
        let sources = planted(
            "membership/src/gossip/driver.rs",
            "use chitchat::ChitchatId; use std::collections::HashMap;",
        );
        let expected =
            "membership/src/gossip/driver.rs: only shoal_membership::gossip::chitchat may know chitchat";
        check(&kept(&sources), expected);
        let expected = "membership/src/gossip/driver.rs: nobody may know std::collections::HashMap";
        check(&named_by_nobody(&sources), expected);
    }

    #[test]
    fn comments_literals_tests_and_harmless_names_are_not_found() {
        let text = r##"
            //! crate::store, tokio::time
            /* use crate::store::Store; */
            use std::{sync::Arc, time::Duration};
            const TEXT: &str = "use tokio::spawn; \" crate::store::x";
            const RAW: &str = r#"tokio::"spawn" "#;
            fn lifetimes<'a>(quote: &'a char) -> bool { *quote == '"' || *quote == '\'' }
            #[cfg(test)]
            mod tests { use tokio::time::Instant; fn f() { crate::store::Store::new(); } }
        "##;
        let sources = planted("node/src/coordinator/plan.rs", text);
        let impure = IMPURE.iter().filter(|impure| sources[0].names(impure)).count();
        let stored = sources[0].names("shoal_node::store");
        assert_eq!(
            (impure, stored, sources[0].names("std::sync::Arc")),
            (0, false, true),
            "{:?}",
            sources[0].paths
        );
    }
}
