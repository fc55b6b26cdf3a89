use super::*;
use crate::frontend::resp::testing::{MapBackend, door, open_door};
use std::{future::pending, time::Duration};
use tokio::{io::DuplexStream, sync::oneshot, task::JoinHandle};

pub(super) const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// A client and the task that serves it.
pub(super) struct Client {
    stream: DuplexStream,
    server: JoinHandle<io::Result<()>>,
}

impl Client {
    pub(super) fn connect(door: &Arc<RespDoor>) -> Self {
        Self::connect_until(door, pending())
    }

    fn connect_until(door: &Arc<RespDoor>, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stream, served) = tokio::io::duplex(4096);
        let ends = Ends { peer: "client:1".into(), local: "node:1".into() };
        let server = tokio::spawn(serve(served, ends, Arc::clone(door), shutdown));
        Self { stream, server }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads exactly this.
    pub(super) async fn expect(&mut self, expected: &str) {
        let mut read = vec![0; expected.len()];
        within(self.stream.read_exact(&mut read)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read), expected);
    }

    pub(super) async fn ask(&mut self, line: &str, expected: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.expect(expected).await;
    }

    /// Reads what is still to come, until the server has closed the connection.
    pub(super) async fn rest(mut self) -> (String, io::Result<()>) {
        let mut rest = Vec::new();
        within(self.stream.read_to_end(&mut rest)).await.unwrap();
        (String::from_utf8_lossy(&rest).into_owned(), within(self.server).await.unwrap())
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("no progress")
}

fn client() -> Client {
    Client::connect(&door(Arc::default()))
}

/// Waits until these remote commands are held, in any order of beginning.
async fn held(backend: &MapBackend, keys: &[&str]) {
    within(async {
        while backend.held_keys() != keys {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Everything `line` is answered, in the protocol `hello` asks for.
async fn transcript(line: &str, protocol: u8) -> String {
    let mut client = client();
    client.send(format!("HELLO {protocol}\r\nPING start\r\n{line}\r\nQUIT\r\n").as_bytes()).await;
    let text = client.rest().await.0;
    let answer = text.split_once("$5\r\nstart\r\n").unwrap().1;
    answer.strip_suffix("+OK\r\n").unwrap().to_owned()
}

#[tokio::test]
async fn what_concerns_the_connection_alone_is_answered() {
    let mut client = client();
    client.ask("PING", "+PONG\r\n").await;
    client.ask("ping 'a b'", "$3\r\na b\r\n").await;
    client.ask("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n").await;
    client.ask("ECHO hey", "$3\r\nhey\r\n").await;
    client.ask("SELECT 0", "+OK\r\n").await;
    client.ask("SELECT 1", "-ERR DB index is out of range\r\n").await;
    client.ask("SELECT x", "-ERR value is not an integer or out of range\r\n").await;
    client.ask("READONLY", "+OK\r\n").await;
    client.ask("TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n").await;
    client.ask("NOPE 1", "-ERR unknown command 'NOPE', with args beginning with: '1' \r\n").await;
    client.ask("QUIT", "+OK\r\n").await;
    assert_eq!(client.rest().await.0, "");
}

#[tokio::test]
async fn hello_chooses_the_protocol_and_a_password_that_nobody_asks_for_is_taken_as_by_redis() {
    let mut client = client();
    let hello = |kind: &str, fields: u8, proto: u8| {
        format!(
            "{kind}{fields}\r\n$6\r\nserver\r\n$5\r\nshoal\r\n$7\r\nversion\r\n$5\r\n0.1.0\r\n$5\r\nproto\r\n:{proto}\r\n\
             $2\r\nid\r\n:1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
        )
    };
    client.ask("HELLO", &hello("*", 14, 2)).await;
    client.ask("GET k", "$-1\r\n").await;
    client.ask("HELLO 3 SETNAME me", &hello("%", 7, 3)).await;
    client.ask("CLIENT GETNAME", "$2\r\nme\r\n").await;
    client.ask("GET k", "_\r\n").await;
    client.ask("HELLO 4", "-NOPROTO unsupported protocol version\r\n").await;
    client.ask("HELLO 2 FOO", "-ERR syntax error\r\n").await;
    client.ask("HELLO 2 AUTH default anything", &hello("*", 14, 2)).await;
    client.ask("AUTH default anything", "+OK\r\n").await;
    client.ask("AUTH app anything", WRONGPASS).await;
    client.send(b"AUTH secret\r\n").await;
    client.expect("-ERR AUTH <password> called without any password configured for the default user. ").await;
    client.expect("Are you sure your configuration is correct?\r\n").await;
    client.ask("ACL WHOAMI", "$7\r\ndefault\r\n").await;
    client.ask("RESET", "+RESET\r\n").await;
    client.ask("CLIENT GETNAME", "$-1\r\n").await;
}

#[tokio::test]
async fn the_level_of_a_connection_is_told_set_and_forgotten() {
    let mut client = client();
    client.ask("CL", "+DEFAULT\r\n").await;
    client.ask("CL quorum", "+OK\r\n").await;
    client.ask("CL", "+QUORUM\r\n").await;
    client
        .ask(
            "CL some",
            "-ERR unknown consistency level 'some': expected one of ONE, TWO, THREE, QUORUM, ALL\r\n",
        )
        .await;
    client.ask("CL ONE GET k", "$-1\r\n").await;
    client.ask("CL", "+QUORUM\r\n").await;
    client.ask("CL default", "+OK\r\n").await;
    client.ask("CL", "+DEFAULT\r\n").await;
    client.ask("CL ALL", "+OK\r\n").await;
    client.ask("RESET", "+RESET\r\n").await;
    client.ask("CL", "+DEFAULT\r\n").await;
}

#[tokio::test]
async fn the_level_reaches_the_backend() {
    let backend = MapBackend::remote();
    let mut client = Client::connect(&door(backend.clone()));
    client.ask("CL ALL", "+OK\r\n").await;
    client.send(b"GET r1\r\nCL TWO GET r2\r\n").await;
    held(&backend, &["r1", "r2"]).await;
    let levels: Vec<_> = backend.held.lock().iter().map(|(_, options, _)| options.consistency).collect();
    use shoal_proto::types::Consistency::{All, Two};
    assert_eq!(levels, [Some(All), Some(Two)]);
}

#[tokio::test]
async fn a_connection_says_what_it_knows_of_itself() {
    let mut client = client();
    client.ask("CLIENT ID", ":1\r\n").await;
    client.ask("CLIENT SETNAME bob", "+OK\r\n").await;
    client.ask("CLIENT SETINFO LIB-NAME lib", "+OK\r\n").await;
    client.ask("CLIENT SETINFO lib-ver 1.2", "+OK\r\n").await;
    client.ask("CLIENT SETINFO lib-age 3", "-ERR Unrecognized option 'lib-age'\r\n").await;
    client
        .ask(
            "CLIENT SETNAME 'a b'",
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
        )
        .await;
    client.ask("CLIENT NO-EVICT on", "+OK\r\n").await;
    client.ask("CLIENT LIST TYPE pubsub", "$0\r\n\r\n").await;
    for (ask, error) in [
        ("CLIENT LIST TYPE friend", "Unknown client type 'friend'"),
        ("CLIENT LIST ID 0", "Invalid client ID"),
        ("CLIENT LIST NOW", "syntax error"),
        ("CLIENT ID x", "wrong number of arguments for 'client|id' command"),
        ("CLIENT NUKE", "unknown subcommand 'NUKE'. Try CLIENT HELP."),
        (
            "CLIENT TRACKING on",
            "client-side caching needs word of every change, which this store does not send",
        ),
    ] {
        client.ask(ask, &format!("-ERR {error}\r\n")).await;
    }
    client
        .ask(
            "CLIENT TRACKINGINFO",
            "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n",
        )
        .await;
    client.ask("CLIENT GETREDIR", ":-1\r\n").await;
    client
        .send(b"CLIENT INFO\r\nCLIENT LIST\r\nCLIENT LIST TYPE normal\r\nCLIENT LIST ID 2 1\r\nQUIT\r\n")
        .await;
    let told = client.rest().await.0;
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("id=")).collect();
    assert_eq!(lines.len(), 4, "{told}");
    for line in lines {
        let (front, back) = (line.split_once(" omem=").unwrap().0, line.split_once(" events=").unwrap().1);
        let expected = "id=1 addr=client:1 laddr=node:1 fd=-1 name=bob age=0 idle=0 flags=e db=0 sub=0 psub=0 ssub=0 \
                        multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 obl=0 oll=0";
        assert_eq!(front, expected);
        let expected =
            "r cmd=client user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2 consistency=DEFAULT";
        assert_eq!(back, expected);
    }
}

#[tokio::test]
async fn a_client_chooses_which_commands_are_answered() {
    let backend = MapBackend::remote();
    let mut client = Client::connect(&door(backend.clone()));
    client.send(b"CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n").await;
    client.expect("$1\r\n1\r\n").await;
    client.send(b"CLIENT REPLY OFF\r\nSET a 2\r\nNOPE\r\nMGET a r1\r\nCLIENT REPLY SKIP\r\nPING\r\n").await;
    client.send(b"CLIENT REPLY ON\r\nGET a\r\n").await;
    held(&backend, &["r1"]).await;
    backend.release(0);
    client.expect("+OK\r\n$1\r\n2\r\n").await;
    client.send(b"CLIENT REPLY SKIP\r\nPING\r\nPING\r\n").await;
    client.expect("+PONG\r\n").await;
    client.ask("CLIENT REPLY NOW", "-ERR syntax error\r\n").await;
}

#[tokio::test]
async fn clients_of_a_door_see_each_other_and_can_be_let_go() {
    let door = door(Arc::default());
    let (mut first, mut second, mut third) =
        (Client::connect(&door), Client::connect(&door), Client::connect(&door));
    for client in [&mut first, &mut second, &mut third] {
        client.ask("PING", "+PONG\r\n").await;
    }
    assert_eq!(door.clients.list().len(), 3);
    first.ask("CLIENT KILL ID 2", ":1\r\n").await;
    assert_eq!(second.rest().await.0, "");
    first.ask("CLIENT KILL ID 2", ":0\r\n").await;
    first.ask("CLIENT KILL 10.0.0.1:7", "-ERR No such client\r\n").await;
    first.ask("CLIENT KILL TYPE master", ":0\r\n").await;
    first.ask("CLIENT KILL ID 1 SKIPME maybe", "-ERR syntax error\r\n").await;
    first.ask("CLIENT KILL ADDR client:1", ":1\r\n").await;
    assert_eq!(third.rest().await.0, "");
    first.ask("CLIENT KILL ADDR client:1 SKIPME no", ":1\r\n").await;
    assert_eq!(first.rest().await.0, "");
    within(async {
        while !door.clients.list().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(door.counters.connections.ended(Ending::Killed), 2);
}

#[tokio::test]
async fn a_client_that_asks_for_more_than_it_may_leave_unread_is_let_go() {
    let door = door(Arc::default());
    let mut client = Client::connect(&door);
    client.ask("CONFIG SET client-output-buffer-limit 'normal 50000 0 0'", "+OK\r\n").await;
    client.ask(&format!("SET k {}", "x".repeat(60_000)), "+OK\r\n").await;
    client.send(b"GET k\r\n").await;
    assert_eq!(client.rest().await.0, "");
    assert_eq!(door.counters.connections.ended(Ending::OutputLimit), 1);
}

#[tokio::test]
async fn of_clients_that_hold_too_much_the_largest_is_let_go() {
    let door = door(Arc::default());
    let (mut small, mut large) = (Client::connect(&door), Client::connect(&door));
    small.ask("CONFIG SET maxmemory-clients 100kb", "+OK\r\n").await;
    // A request that has not ended is held.
    let part = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n{}", "x".repeat(150_000));
    let _ = large.stream.write_all(part.as_bytes()).await;
    assert_eq!(large.rest().await.0, "");
    small.ask("PING", "+PONG\r\n").await;
    assert_eq!(door.counters.connections.ended(Ending::ClientMemory), 1);
}

#[tokio::test]
async fn an_idle_client_holds_nothing() {
    let door = door(Arc::default());
    let mut client = Client::connect(&door);
    client.ask(&format!("SET k {}", "x".repeat(60_000)), "+OK\r\n").await;
    client.send(b"GET k\r\n").await;
    client.expect(&format!("$60000\r\n{}\r\n", "x".repeat(60_000))).await;
    within(async {
        while door.clients.list()[0].holding.bytes() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn large_values_arrive_whole_and_in_their_places() {
    let door = door(Arc::default());
    let mut client = Client::connect(&door);
    let bulk = |byte: &str, len: usize| format!("${len}\r\n{}\r\n", byte.repeat(len));
    let large = bulk("x", 2 * limits::RESP_TURN_BYTES + 1);
    let shared = bulk("y", limits::RESP_SHARED_BYTES);
    for (key, value) in [("a", &large), ("b", &shared)] {
        client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\n{key}\r\n{value}").as_bytes()).await;
        client.expect("+OK\r\n").await;
    }
    client.send(b"PING\r\nMGET b nobody a b\r\nGET b\r\nPING\r\nGET a\r\nQUIT\r\n").await;
    let expected = format!("+PONG\r\n*4\r\n{shared}$-1\r\n{large}{shared}{shared}+PONG\r\n{large}+OK\r\n");
    let (told, ended) = client.rest().await;
    assert!(told == expected, "{} bytes instead of {}", told.len(), expected.len());
    ended.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_end_its_request_is_let_go() {
    let mut door = open_door(Arc::default());
    door.stall = Duration::from_millis(20);
    let door = Arc::new(door);
    for begun in ["*2\r\n$3\r\nGET\r\n", "GET", "*2\r\n$3\r\nGET\r\n$5\r\nke"] {
        let mut client = Client::connect(&door);
        client.send(begun.as_bytes()).await;
        assert_eq!(client.rest().await.0, "");
    }
    assert_eq!(door.counters.connections.ended(Ending::SlowRequest), 3);
    // Between requests there is time: that nothing happens takes a while to see.
    let mut client = Client::connect(&door);
    client.ask("PING", "+PONG\r\n").await;
    tokio::time::sleep(3 * door.stall).await;
    client.ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn the_node_tells_of_itself() {
    let mut client = client();
    client.ask("DBSIZE", ":5\r\n").await;
    client.ask("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n").await;
    client.ask("CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n").await;
    client.ask("CONFIG GET nothing", "*0\r\n").await;
    client.ask("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n").await;
    client.ask("CONFIG NOPE", "-ERR unknown subcommand 'NOPE'. Try CONFIG HELP.\r\n").await;
    let info = transcript("INFO", 3).await;
    assert!(info.starts_with('='), "{info}");
    for line in [
        "# Server",
        "redis_version:7.2.0",
        "role:master",
        "cluster_enabled:1",
        "connected_clients:1",
        "db0:keys=5",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
    let some = transcript("INFO memory keyspace", 2).await;
    assert_eq!(
        some,
        "$167\r\n# Memory\r\nused_memory:100\r\nmaxmemory:1000\r\nmaxmemory_policy:wtinylfu\r\nused_memory_rss:150\r\n\
         mem_fragmentation_ratio:1.50\r\n\r\n# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n\r\n"
    );
}

#[tokio::test]
async fn settings_that_are_live_change_and_counters_begin_anew() {
    let mut client = client();
    client.ask("CONFIG GET TIME*", "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n").await;
    client.ask("CONFIG SET timeout 30 maxclients 5", "+OK\r\n").await;
    client
        .ask(
            "CONFIG GET timeout maxclient?",
            "*4\r\n$10\r\nmaxclients\r\n$1\r\n5\r\n$7\r\ntimeout\r\n$2\r\n30\r\n",
        )
        .await;
    client.ask("CONFIG SET timeout", "-ERR wrong number of arguments for 'config|set' command\r\n").await;
    client
        .ask("CONFIG SET nope 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'\r\n")
        .await;
    client.ask("CONFIG REWRITE", "-ERR The server is running without a config file\r\n").await;
    client.ask("CONFIG RESETSTAT", "+OK\r\n").await;
    client.send(b"INFO stats\r\n").await;
    client.expect("$193\r\n# Stats\r\ntotal_connections_received:0\r\nrejected_connections:0\r\n").await;
}

#[tokio::test]
async fn commands_are_found_by_pattern_and_say_what_becomes_of_keys() {
    let mut client = client();
    client.ask("COMMAND LIST FILTERBY PATTERN GETR*", "*1\r\n$8\r\ngetrange\r\n").await;
    client.ask("COMMAND LIST FILTERBY MODULE json", "*0\r\n").await;
    client.ask("COMMAND LIST FILTERBY COLOUR red", "-ERR syntax error\r\n").await;
    client.send(b"COMMAND LIST FILTERBY ACLCAT write\r\n").await;
    client.expect("*").await;
    let mut other = self::client();
    other.ask("COMMAND GETKEYSANDFLAGS GET k", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n").await;
    other.ask("COMMAND GETKEYSANDFLAGS DEL k", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RM\r\n+delete\r\n").await;
    other.ask("COMMAND GETKEYS", "-ERR wrong number of arguments for 'command|getkeys' command\r\n").await;
}

#[tokio::test]
async fn commands_describe_themselves() {
    let get = "*10 $3 get :2 *2 +readonly +fast :1 :1 :1 *2 +@read +@fast *0 *1 *6 $5 flags *2 +RO +access \
         $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 \
         $9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0 "
        .replace(' ', "\r\n");
    assert_eq!(transcript("COMMAND INFO get incr", 2).await, format!("*2\r\n{get}*-1\r\n"));
    let sets = transcript("COMMAND INFO mset", 3).await;
    let range = "%3 $7 lastkey :-1 $7 keystep :2 $5 limit :0 *0 ".replace(' ', "\r\n");
    assert!(sets.contains("~2\r\n+@write\r\n+@slow\r\n") && sets.ends_with(&range), "{sets}");
    let documented = "%1\r\n$3\r\nttl\r\n%3\r\n$7\r\nsummary\r\n$44\r\nTells how long a key has to live, in seconds\r\n\
         $5\r\ngroup\r\n$7\r\ngeneric\r\n$9\r\narguments\r\n*1\r\n%2\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n";
    assert_eq!(transcript("COMMAND DOCS TTL", 3).await, documented);
    assert_eq!(transcript("COMMAND DOCS nobody incr", 3).await, "%0\r\n");
    assert_eq!(transcript("COMMAND GETKEYS MSET a 1 b 2", 2).await, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(transcript("COMMAND GETKEYS CL QUORUM GET a", 2).await, "*1\r\n$1\r\na\r\n");
    assert_eq!(transcript("COMMAND GETKEYS CL QUORUM", 2).await, "-ERR The command has no key arguments\r\n");
    let count = transcript("COMMAND COUNT", 2).await;
    let all = transcript("COMMAND", 2).await;
    assert!(all.starts_with(&count.replace(':', "*")) && all.contains(&get));
    assert!(transcript("COMMAND LIST", 2).await.contains("$4\r\nmget\r\n"));
}

#[tokio::test]
async fn clients_can_learn_who_owns_a_slot() {
    let id = |port: u16| format!("$40\r\n{port:040x}\r\n");
    let node = |port: u16| format!("*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n{}", id(port));
    let expected = format!(
        // Node 3 is not there to be asked.
        "*2\r\n*4\r\n:0\r\n:8191\r\n{}{}*3\r\n:8192\r\n:16383\r\n{}",
        node(1),
        node(2),
        node(2),
    );
    assert_eq!(transcript("CLUSTER SLOTS", 2).await, expected);
    assert_eq!(transcript("CLUSTER KEYSLOT abc", 2).await, ":3\r\n");
    assert_eq!(transcript("CLUSTER MYID", 2).await, id(1));
    let nodes = transcript("CLUSTER NODES", 2).await;
    for line in [
        format!("{:040x} 127.0.0.1:1@1 myself,master - 0 0 7 connected 0-8191\n", 1),
        format!("{:040x} 127.0.0.1:2@2 master - 0 0 7 connected 8192-16383\n", 2),
        format!("{:040x} 127.0.0.1:3@3 master,fail - 0 0 7 disconnected\n", 3),
    ] {
        assert!(nodes.contains(&line), "{line} in {nodes}");
    }
    let shards = transcript("CLUSTER SHARDS", 3).await;
    assert!(
        shards.starts_with("*2\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:8191\r\n$5\r\nnodes\r\n*2\r\n%7\r\n"),
        "{shards}"
    );
    assert!(shards.contains("$4\r\nfail\r\n") && shards.contains("$7\r\nreplica\r\n"));
    assert!(
        transcript("CLUSTER INFO", 2).await.contains("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n")
    );
    assert_eq!(
        transcript("CLUSTER MEET a 1", 2).await,
        "-ERR unknown subcommand 'MEET'. Try CLUSTER HELP.\r\n"
    );
}

#[tokio::test]
async fn how_values_are_kept_is_told_or_refused_with_a_reason() {
    assert!(transcript("OBJECT HELP", 2).await.starts_with("*11\r\n+OBJECT <subcommand>"));
    assert!(transcript("OBJECT IDLETIME k", 2).await.starts_with("-ERR idle time is not tracked"));
    assert!(transcript("MEMORY DOCTOR", 2).await.starts_with("-ERR MEMORY has USAGE alone"));
    assert_eq!(transcript("MEMORY FOO", 2).await, "-ERR unknown subcommand 'FOO'. Try MEMORY HELP.\r\n");
    let link = |direction: &str, began| {
        format!(
            "%6\r\n$9\r\ndirection\r\n${}\r\n{direction}\r\n$4\r\nnode\r\n$40\r\n{:040x}\r\n$11\r\ncreate-time\r\n\
             :{began}\r\n$6\r\nevents\r\n$2\r\nrw\r\n$21\r\nsend-buffer-allocated\r\n:0\r\n$16\r\nsend-buffer-used\r\n:0\r\n",
            direction.len(),
            2
        )
    };
    let began = 1_700_000_000_000_u64;
    let expected = format!("*2\r\n{}{}", link("to", began), link("from", began));
    assert_eq!(transcript("CLUSTER LINKS", 3).await, expected);
}

#[tokio::test]
async fn what_is_about_all_keys_waits_for_what_is_before_it_and_holds_up_what_is_behind() {
    let backend = MapBackend::remote();
    let mut client = Client::connect(&door(backend.clone()));
    client.send(b"SET r1 one\r\nSET a 1\r\nSCAN 0\r\nFLUSHALL\r\nGET a\r\n").await;
    held(&backend, &["r1"]).await;
    backend.release(0);
    client.expect("+OK\r\n+OK\r\n").await;
    held(&backend, &[""]).await;
    backend.release(0);
    client.expect("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$2\r\nr1\r\n").await;
    held(&backend, &[""]).await;
    backend.release(0);
    client.expect("+OK\r\n$-1\r\n").await;
}

#[tokio::test]
async fn data_commands_are_answered_in_both_protocols() {
    let mut client = client();
    client.ask("SET k v", "+OK\r\n").await;
    client.ask("GET k", "$1\r\nv\r\n").await;
    client.ask("MSET a 1 b 2", "+OK\r\n").await;
    client.ask("MGET a nope b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n").await;
    client.ask("EXISTS a a nope", ":2\r\n").await;
    client.ask("TTL a", ":-1\r\n").await;
    client.ask("TTL nope", ":-2\r\n").await;
    client.ask("TYPE a", "+string\r\n").await;
    client.ask("DEL a b nope", ":2\r\n").await;
    client.send(b"MGET a b! c\r\n").await;
    client.expect("-LOADING this node has no ring record yet").await;
}

#[tokio::test]
async fn remote_commands_run_together_and_are_answered_in_order() {
    let backend = MapBackend::remote();
    let mut client = Client::connect(&door(backend.clone()));
    client.send(b"SET local 1\r\nSET r1 one\r\nGET r2\r\nGET local\r\nGET r1\r\nPING\r\n").await;
    // The read of r1 waits for its write, and PING for everything.
    held(&backend, &["r1", "r2"]).await;
    backend.release(1);
    client.expect("+OK\r\n").await;
    backend.release(0);
    client.expect("+OK\r\n$-1\r\n$1\r\n1\r\n").await;
    held(&backend, &["r1"]).await;
    backend.release(0);
    client.expect("$3\r\none\r\n+PONG\r\n").await;
}

#[tokio::test]
async fn a_client_may_send_all_its_commands_before_it_reads_any_answer() {
    let mut client = client();
    let value = "x".repeat(1000);
    client.ask(&format!("SET k {value}"), "+OK\r\n").await;
    let count = 5000;
    client.send("GET k\r\n".repeat(count).as_bytes()).await;
    let one = format!("$1000\r\n{value}\r\n");
    for _ in 0..count {
        client.expect(&one).await;
    }
    client.ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn a_client_that_leaves_its_answers_unread_is_let_go() {
    let mut door = open_door(Arc::default());
    door.stall = Duration::from_millis(20);
    let door = Arc::new(door);
    let mut client = Client::connect(&door);
    client.ask(&format!("SET k {}", "x".repeat(60_000)), "+OK\r\n").await;
    client.send(b"GET k\r\n").await;
    let Client { stream: _unread, server } = client;
    within(server).await.unwrap().unwrap();
    assert_eq!(door.counters.connections.ended(Ending::SlowReader), 1);
}

#[tokio::test]
async fn bytes_that_are_not_resp_end_the_connection_after_what_came_before() {
    let backend = MapBackend::remote();
    let mut client = Client::connect(&door(backend.clone()));
    client.send(b"GET r1\r\n*x\r\nPING\r\n").await;
    held(&backend, &["r1"]).await;
    backend.release(0);
    assert_eq!(client.rest().await.0, "$-1\r\n-ERR Protocol error: invalid multibulk length\r\n");
    let mut browser = self::client();
    browser.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n").await;
    assert_eq!(browser.rest().await.0, "-ERR this is no HTTP server\r\n");
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_and_the_connection_goes_on() {
    let mut client = client();
    let len = shoal_proto::types::MAX_VALUE_BYTES + 1;
    client.send(format!("PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len}\r\n").as_bytes()).await;
    client.send(&vec![b'\n'; len]).await;
    client.send(b"\r\nPING\r\n").await;
    client
        .expect("+PONG\r\n-ERR value of 8388609 bytes exceeds the limit of 8388608 bytes\r\n+PONG\r\n")
        .await;
}

#[tokio::test]
async fn shutdown_answers_what_was_received_and_closes() {
    let backend = MapBackend::remote();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut client = Client::connect_until(&door(backend.clone()), async { drop(stopped.await) });
    client.send(b"GET r1\r\nPING\r\n").await;
    held(&backend, &["r1"]).await;
    stop.send(()).unwrap();
    backend.release(0);
    let (rest, ended) = client.rest().await;
    assert_eq!(rest, "$-1\r\n+PONG\r\n");
    ended.unwrap();
}

#[tokio::test]
async fn a_client_that_stops_sending_is_still_answered() {
    let mut client = client();
    client.send(b"PING\r\nSET k v\r\nGET k\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await.0, "+PONG\r\n+OK\r\n$1\r\nv\r\n");
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let door = door(Arc::default());
    let counters = door.counters();
    let full: Vec<_> = (0..limits::RESP_CLIENTS).map(|_| door.admit().unwrap()).collect();
    let (rest, _) = Client::connect(&door).rest().await;
    assert_eq!(rest, "-ERR max number of clients reached\r\n");
    drop(full);
    let mut client = Client::connect(&door);
    client.ask("PING", "+PONG\r\n").await;
    let connections = &counters.connections;
    assert_eq!((connections.open(), connections.refused(), counters.commands()), (1, 1, 1));
    client.ask("QUIT", "+OK\r\n").await;
    client.rest().await.1.unwrap();
    assert_eq!(connections.open(), 0);
}
