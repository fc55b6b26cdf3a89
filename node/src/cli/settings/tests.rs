use super::{
    rules::{self, Given},
    secret,
    table::SETTINGS,
    *,
};
use shoal_membership::config::GossipConfig;
use std::io::Write as _;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/shoal.toml");

type Pairs<'a> = &'a [(&'static str, &'a str)];

fn flags(values: Pairs<'_>) -> Flags {
    Flags { config: None, values: values.iter().map(|(name, text)| (*name, (*text).to_owned())).collect() }
}

fn variables(values: Pairs<'_>) -> BTreeMap<String, String> {
    values.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn setup(values: Pairs<'_>) -> Setup {
    load(&flags(values), &BTreeMap::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(values: Pairs<'_>) -> String {
    load(&flags(values), &BTreeMap::new()).map(drop).unwrap_err().to_string()
}

/// What is wrong with one setting when all others are sound.
fn fault(name: &'static str, text: &str) -> String {
    error(&[("seed", "127.0.0.1:7382"), (name, text)])
}

const SECRET: (&str, &str) = (secret::CLUSTER.variable, "a secret of some length");
const PASSWORD: (&str, &str) = (secret::PASSWORD.variable, "a password of some length");

fn secrets() -> BTreeMap<String, String> {
    variables(&[SECRET, PASSWORD])
}

#[test]
fn flags_go_before_the_environment_before_the_file_before_defaults() {
    let file = file("capacity = 1\nreplicas = 5\nvnodes = 64\nbootstrap = true\n");
    let mut flags = flags(&[("capacity", "3")]);
    flags.config = Some(file.path().to_owned());
    let environment = variables(&[("SHOAL_CAPACITY", "2"), ("SHOAL_REPLICAS", "7")]);
    let layers = Layers::read(&flags, &environment).unwrap();
    let node = Setup::new(&layers, &environment).map(|setup| setup.node).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((node.capacity, node.replicas, node.vnodes), (3, 7, 64));
    assert_eq!(node.request_timeout, Duration::from_secs(1));
    let origins = ["capacity", "replicas", "vnodes", "zone"].map(|name| layers.origin(name));
    assert_eq!(origins, ["--capacity", "SHOAL_REPLICAS", &file.path().display().to_string(), "default"]);
}

#[test]
fn defaults_are_those_of_a_node_on_a_local_network() {
    let setup = setup(&[("bootstrap", "true")]);
    let node = setup.node;
    assert_eq!(node.gossip, GossipConfig::lan());
    assert_eq!(node.node_id.as_str(), "127.0.0.1:7382");
    assert_eq!(node.seeds, ["127.0.0.1:7382"]);
    assert_eq!(setup.state_dir, PathBuf::from("shoal-state/127.0.0.1_7382"));
    let ports = [node.listen.resp, node.listen.http, node.listen.grpc, node.listen.gossip].map(|a| a.port());
    assert_eq!(ports, [7379, 7380, 7381, 7382]);
    assert!(node.listen.resp.ip().is_loopback());
    assert_eq!(node.max_memory, 1 << 30);
}

#[test]
fn the_example_file_holds_every_setting_at_its_default() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let values: toml::Table = toml::from_str(&text).unwrap();
    let named: Vec<&String> = values.keys().collect();
    let mut expected: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    expected.sort_unstable();
    assert_eq!(named, expected);

    let with_file = Flags { config: Some(EXAMPLE.into()), ..Flags::default() };
    let from_file = Layers::read(&with_file, &BTreeMap::new()).unwrap().settings().unwrap();
    let from_table = Layers::read(&Flags::default(), &BTreeMap::new()).unwrap().settings().unwrap();
    assert_eq!(from_file, from_table);
}

#[test]
fn a_node_that_is_not_among_its_seeds_is_a_gateway() {
    assert!(setup(&[("seed", "10.0.0.1:7382, 127.0.0.1:7382")]).is_member());
    assert!(!setup(&[("seed", "10.0.0.1:7382")]).is_member());
    assert!(setup(&[("bootstrap", "true")]).is_member());
}

#[test]
fn seeds_are_a_list_in_a_file_and_separated_by_commas_elsewhere() {
    let file = file("seed = [\"a:1\", \"b:2\"]\n");
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    assert_eq!(load(&flags, &BTreeMap::new()).unwrap().node.seeds, ["a:1", "b:2"]);
    assert_eq!(setup(&[("seed", "a:1,b:2")]).node.seeds, ["a:1", "b:2"]);
}

#[test]
fn doors_on_every_interface_are_advertised_under_the_host_of_gossip() {
    let everywhere = [
        ("bootstrap", "true"),
        ("resp", "0.0.0.0:7379"),
        ("grpc", "0.0.0.0:7381"),
        ("gossip", "[::]:7382"),
        ("advertise_resp", "cache.example.org:17379"),
    ];
    let mut flags = flags(&everywhere);
    let error = load(&flags, &secrets()).map(drop).unwrap_err().to_string();
    assert!(error.contains("advertise_gossip must be set") && error.contains("[::]:7382"), "{error}");
    assert!(error.contains("advertise_grpc must be set") && !error.contains("advertise_resp"), "{error}");

    flags.values.insert("advertise_gossip", "10.0.0.9:7382".into());
    let node = load(&flags, &secrets()).unwrap().node;
    assert_eq!(node.advertise.gossip, "10.0.0.9:7382");
    assert_eq!(node.advertise.grpc, "10.0.0.9:7381");
    assert_eq!(node.advertise.resp, "cache.example.org:17379");
    assert_eq!(node.advertise.http, "127.0.0.1:7380");
    assert_eq!(node.node_id.as_str(), "10.0.0.9:7382");
}

#[test]
fn every_value_of_the_wrong_type_is_named_with_its_source() {
    let file = file("max_memory = \"much\"\nreplicas = -1\nseed = [\"a:1\"]\n");
    let mut flags = flags(&[("capacity", "x")]);
    flags.config = Some(file.path().to_owned());
    let environment = variables(&[("SHOAL_GOSSIP_PHI", "high")]);
    let error = load(&flags, &environment).map(drop).unwrap_err().to_string();
    let path = file.path().display();
    for expected in [
        format!("invalid value 'much' for max_memory: expected a size such as 512MiB or 4GiB (from {path})"),
        format!("invalid value '-1' for replicas: expected a whole number (from {path})"),
        "invalid value 'x' for capacity: expected a whole number up to 4294967295 (from --capacity)"
            .to_owned(),
        "invalid value 'high' for gossip_phi: expected a number (from SHOAL_GOSSIP_PHI)".to_owned(),
    ] {
        assert!(error.contains(&expected), "{expected}\nis not in\n{error}");
    }
}

#[test]
fn every_type_refuses_nonsense_and_says_what_it_expects() {
    for setting in SETTINGS {
        // Any path is a path.
        if !setting.name.ends_with("_file") && setting.name != "state_dir" {
            let error = fault(setting.name, "no such!thing");
            let start = format!("invalid value 'no such!thing' for {}: expected", setting.name);
            assert!(error.contains(&start), "{error}");
        }
    }
}

#[test]
fn rules_name_the_setting_that_breaks_them() {
    for (name, text, expected) in [
        ("vnodes", "1000", "power of two"),
        ("vnodes", "0", "power of two"),
        ("vnodes", "32768", "power of two up to 16384"),
        ("replicas", "0", "1 to 9"),
        ("replicas", "10", "1 to 9"),
        ("capacity", "0", "1 to 10000"),
        ("max_memory", "1MiB", "at least 16MiB"),
        ("gossip_phi", "NaN", "1 to 100"),
        ("gossip_phi", "0", "1 to 100"),
        ("gossip_interval", "1ms", "20ms to 30s"),
        ("gossip_grace", "1s", "20 times gossip_interval"),
        ("request_timeout", "0s", "1ms to 600s"),
        ("read_patience", "1s", "less than request_timeout"),
        ("resp", "127.0.0.1:0", "other than 0"),
        ("http", "127.0.0.1:7379", "resp listens there already"),
        ("grpc", "10.0.0.1:7381", "SHOAL_SECRET"),
        ("advertise_gossip", "0.0.0.0:7382", "others can dial"),
        ("advertise_gossip", "cache-1:7382", "an IP address and a port"),
        ("bootstrap", "true", "leave it out"),
    ] {
        let error = fault(name, text);
        let start = format!("invalid value '{text}' for {name}: ");
        assert!(error.contains(&start) && error.contains(expected), "{name} {text}: {error}");
    }
}

#[test]
fn a_level_must_be_within_reach_of_the_replicas() {
    let error = error(&[("bootstrap", "true"), ("replicas", "2"), ("read_consistency", "three")]);
    assert!(error.contains("for read_consistency: it needs 3 owners and there are 2 replicas"), "{error}");
    assert!(!error.contains("write_consistency"), "{error}");
}

#[test]
fn without_seeds_the_error_says_what_to_do() {
    let error = error(&[]);
    assert!(error.starts_with("seed must be set") && error.contains("--bootstrap"), "{error}");
    assert!(self::error(&[("seed", "a:1,b:1,a:1")]).contains("named twice"));
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let settings = Layers::read(
        &flags(&[("vnodes", "3"), ("replicas", "0"), ("capacity", "0"), ("resp", "1.2.3.4:1")]),
        &BTreeMap::new(),
    );
    let complaints =
        rules::check(&settings.unwrap().settings().unwrap(), Given { secret: true, credentials: false });
    let names: Vec<&str> = complaints.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["vnodes", "replicas", "capacity", "resp", "seed"]);
}

#[test]
fn a_door_leaves_loopback_only_if_something_must_be_proven_there_or_that_is_meant() {
    let insecure = ("insecure_bind", "true");
    let tokens = file("app read a-secret-of-the-app\n");
    let tokens = ("tokens_file", tokens.path().to_str().unwrap());
    // A door, what is set, which variables are, and what is missing.
    let cases: [(&str, Pairs<'_>, Pairs<'_>, &[&str]); 13] = [
        ("resp", &[], &[], &["SHOAL_PASSWORD"]),
        ("resp", &[], &[SECRET], &["SHOAL_PASSWORD"]),
        ("resp", &[], &[PASSWORD], &[]),
        ("resp", &[tokens], &[], &[]),
        ("resp", &[insecure], &[], &[]),
        ("http", &[], &[], &["SHOAL_PASSWORD"]),
        ("http", &[], &[PASSWORD], &[]),
        ("grpc", &[], &[], &["SHOAL_SECRET", "SHOAL_PASSWORD"]),
        ("grpc", &[], &[SECRET], &["SHOAL_PASSWORD"]),
        ("grpc", &[insecure], &[PASSWORD], &["SHOAL_SECRET"]),
        ("grpc", &[], &[SECRET, PASSWORD], &[]),
        ("gossip", &[insecure], &[PASSWORD], &["SHOAL_SECRET"]),
        ("gossip", &[], &[SECRET], &[]),
    ];
    for (door, settings, environment, missing) in cases {
        let values = [&[("bootstrap", "true"), (door, "10.0.0.1:9999")], settings].concat();
        let loaded = load(&flags(&values), &variables(environment));
        let strangers = loaded.as_ref().is_ok_and(Setup::is_open_to_strangers);
        assert_eq!(
            strangers,
            settings.contains(&insecure) && missing.is_empty(),
            "{values:?} {environment:?}"
        );
        let told = loaded.map(drop).map_err(|error| error.to_string());
        let case = format!("{values:?} {environment:?}: {told:?}");
        assert_eq!(told.is_ok(), missing.is_empty(), "{case}");
        let told = told.err().unwrap_or_default();
        for name in ["SHOAL_SECRET", "SHOAL_PASSWORD"] {
            assert_eq!(told.contains(name), missing.contains(&name), "{case}");
        }
        let expected = format!("invalid value '10.0.0.1:9999' for {door}: any");
        assert_eq!(told.matches(&expected).count(), missing.len(), "{case}");
    }
}

#[test]
fn secrets_stay_off_the_command_line_and_out_of_what_is_shown() {
    for name in ["secret", "password", "token"] {
        assert!(SETTINGS.iter().all(|setting| setting.name != name), "{name}");
    }
    let node = load(&flags(&[("bootstrap", "true")]), &secrets()).unwrap().node;
    assert_eq!(*node.secrets.current(), [SECRET.1.to_owned()]);
    let known: Vec<&str> = node.credentials.iter().map(|credential| credential.name()).collect();
    assert_eq!(known, ["default"]);
    let shown = format!("{:?}", node.credentials);
    assert!(!shown.contains("some length"), "{shown}");
}

#[test]
fn faulty_files_are_named_with_the_line() {
    let read = |path: PathBuf| {
        let flags = Flags { config: Some(path), ..Flags::default() };
        Layers::read(&flags, &BTreeMap::new()).map(drop).unwrap_err().to_string()
    };
    assert!(read("/nowhere/shoal.toml".into()).contains("/nowhere/shoal.toml"));
    let broken = file("replicas = 3\nzone = = 1\n");
    assert!(read(broken.path().to_owned()).contains("line 2: "));
    let unknown = file("replica = 3\n[gossip2]\ninterval = 1\n");
    assert!(read(unknown.path().to_owned()).ends_with("unknown setting gossip2, replica"));
    let nested = file("bootstrap = true\n[gossip]\ninterval = \"1s\"\n");
    let flags = Flags { config: Some(nested.path().to_owned()), ..Flags::default() };
    let error = load(&flags, &BTreeMap::new()).map(drop).unwrap_err().to_string();
    assert!(error.contains("invalid value 'a table' for gossip"), "{error}");
}

#[test]
fn variables_that_are_no_settings_are_told_apart() {
    let known = ["SHOAL_ZONE", "SHOAL_SECRET", "SHOAL_PASSWORD", "SHOAL_TOKEN", "SHOAL_CONFIG"];
    let mut environment = variables(&known.map(|name| (name, "a")));
    environment.insert("SHOAL_ZNOE".into(), "b".into());
    assert_eq!(unknown_variables(&environment), ["SHOAL_ZNOE"]);
}
