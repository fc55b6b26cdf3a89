//! Connections of clients that have to authenticate.

use super::tests::{Client, WRONGPASS};
use super::*;
use crate::auth::{Auth, Credential, Credentials, Digest, Scope};
use crate::frontend::resp::testing::guarded_door;
use std::time::Duration;

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const LONG: Duration = Duration::from_secs(3600);

fn credentials(all: &[(&str, Scope)]) -> Credentials {
    let secret_of = |name: &str| Digest::of(format!("the secret of {name}").as_bytes());
    let each = |(name, scope): &(&str, Scope)| Credential::new(name, *scope, secret_of(name));
    Credentials::new(all.iter().map(each).collect()).unwrap()
}

fn auth() -> Arc<Auth> {
    let all = [("default", Scope::Write), ("app", Scope::Write), ("probe", Scope::Read)];
    Arc::new(Auth::new(credentials(&all)))
}

fn guarded(auth: &Arc<Auth>) -> RespDoor {
    let mut door = guarded_door(Arc::default(), auth.clone());
    door.wrong_password_pause = Duration::ZERO;
    // Tests that take long on a busy machine are not about it.
    door.unproven_patience = LONG;
    door
}

fn client(auth: &Arc<Auth>) -> Client {
    Client::connect(&Arc::new(guarded(auth)))
}

#[tokio::test]
async fn nothing_is_done_before_a_password_is_right_and_everything_in_the_same_breath_afterwards() {
    let mut client = client(&auth());
    client.ask("GET k", NOAUTH).await;
    client.ask("CL ONE SET k v", NOAUTH).await;
    client.ask("PING", NOAUTH).await;
    client.ask("AUTH 'wrong'", WRONGPASS).await;
    client.ask("AUTH 'the secret of app'", WRONGPASS).await;
    client.ask("AUTH default 'the secret of app'", WRONGPASS).await;
    client.ask("AUTH nobody 'the secret of app'", WRONGPASS).await;
    client.ask("AUTH a b c", "-ERR syntax error\r\n").await;
    client.ask("GET k", NOAUTH).await;
    client.send(b"AUTH 'the secret of default'\r\nSET k v\r\nGET k\r\nACL WHOAMI\r\n").await;
    client.expect("+OK\r\n+OK\r\n$1\r\nv\r\n$7\r\ndefault\r\n").await;
    client.ask("AUTH app wrong", WRONGPASS).await;
    client.ask("ACL WHOAMI", "$7\r\ndefault\r\n").await;
    client.ask("AUTH app 'the secret of app'", "+OK\r\n").await;
    client.ask("ACL WHOAMI", "$3\r\napp\r\n").await;
    client.ask("RESET", "+RESET\r\n").await;
    client.ask("GET k", NOAUTH).await;
    client.ask("QUIT", "+OK\r\n").await;
    assert_eq!(client.rest().await.0, "");
}

#[tokio::test]
async fn hello_takes_a_password_with_the_protocol_or_neither() {
    let mut client = client(&auth());
    client.send(b"HELLO 3\r\n").await;
    client.expect("-NOAUTH HELLO must be called with the client already authenticated, otherwise the ").await;
    client
        .expect("HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and ")
        .await;
    client.expect("select the RESP protocol version at the same time\r\n").await;
    client.ask("HELLO 3 AUTH app wrong SETNAME me", WRONGPASS).await;
    client.ask("PING", NOAUTH).await;
    client.send(b"HELLO 3 AUTH app 'the secret of app' SETNAME me\r\nGET none\r\nCLIENT GETNAME\r\n").await;
    client.expect("%7\r\n$6\r\nserver\r\n$5\r\nshoal\r\n").await;
    client.send(b"QUIT\r\n").await;
    assert!(client.rest().await.0.ends_with("_\r\n$2\r\nme\r\n+OK\r\n"));
}

#[tokio::test]
async fn who_may_read_may_not_write() {
    let mut client = client(&auth());
    client.ask("AUTH probe 'the secret of probe'", "+OK\r\n").await;
    client.ask("GET k", "$-1\r\n").await;
    client.ask("SET k v", "-NOPERM User probe has no permissions to run the 'set' command\r\n").await;
    client.ask("CL ALL DEL k", "-NOPERM User probe has no permissions to run the 'del' command\r\n").await;
    client.ask("CL ALL", "+OK\r\n").await;
}

#[tokio::test]
async fn who_is_no_longer_known_loses_access_at_the_next_command() {
    let auth = auth();
    let door = Arc::new(guarded(&auth));
    let (mut app, mut probe) = (Client::connect(&door), Client::connect(&door));
    app.ask("AUTH app 'the secret of app'", "+OK\r\n").await;
    probe.ask("AUTH probe 'the secret of probe'", "+OK\r\n").await;
    app.ask("SET k v", "+OK\r\n").await;
    auth.replace(credentials(&[("app", Scope::Read)]));
    app.ask("GET k", "$1\r\nv\r\n").await;
    app.ask("SET k w", "-NOPERM User app has no permissions to run the 'set' command\r\n").await;
    probe.ask("GET k", NOAUTH).await;
    auth.replace(Credentials::default());
    probe.ask("SET k w", "+OK\r\n").await;
}

#[tokio::test]
async fn a_client_that_has_proven_nothing_is_granted_less() {
    let auth = auth();
    let eleven = format!("*11\r\n{}", "$1\r\na\r\n".repeat(11));
    let long = format!("*2\r\n$4\r\nAUTH\r\n$16385\r\n{}\r\n", "a".repeat(16_385));
    for (sent, header, error) in [
        (&eleven, 5, "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (&long, 22, "-ERR Protocol error: unauthenticated bulk length\r\n"),
    ] {
        let mut unproven = client(&auth);
        // The length is enough.
        unproven.send(&sent.as_bytes()[..header]).await;
        unproven.expect(error).await;
        assert_eq!(unproven.rest().await.0, "");
        let mut proven = client(&auth);
        proven.ask("AUTH app 'the secret of app'", "+OK\r\n").await;
        proven.send(sent.as_bytes()).await;
        let expected = if sent == &long { WRONGPASS } else { "-ERR unknown command 'a'" };
        proven.expect(expected).await;
    }
    let mut unproven = client(&auth);
    let ten = format!("*10\r\n$4\r\nAUTH\r\n{}", format!("$16384\r\n{}\r\n", "a".repeat(16_384)).repeat(9));
    unproven.send(ten.as_bytes()).await;
    unproven.expect("-ERR syntax error\r\n").await;
}

#[tokio::test]
async fn a_client_that_does_not_authenticate_in_time_is_told_so_and_loses_its_connection() {
    let mut door = guarded(&auth());
    door.unproven_patience = Duration::from_millis(20);
    let door = Arc::new(door);
    let (silent, mut chatty) = (Client::connect(&door), Client::connect(&door));
    chatty.send(b"PING\r\n").await;
    let late = "-NOAUTH Authentication required, and the time for it is up.\r\n";
    assert_eq!(silent.rest().await.0, late);
    assert_eq!(chatty.rest().await.0, format!("{NOAUTH}{late}"));
    let mut open = crate::frontend::resp::testing::open_door(Arc::default());
    open.unproven_patience = Duration::ZERO;
    Client::connect(&Arc::new(open)).ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn a_client_that_guesses_is_made_to_wait_and_thrown_out() {
    let mut door = guarded(&auth());
    door.wrong_password_pause = Duration::from_millis(5);
    let began = tokio::time::Instant::now();
    let mut client = Client::connect(&Arc::new(door));
    let guesses = "AUTH guess\r\n".repeat(limits::WRONG_PASSWORDS as usize + 5);
    client.send(guesses.as_bytes()).await;
    assert_eq!(client.rest().await.0, WRONGPASS.repeat(limits::WRONG_PASSWORDS as usize));
    assert!(began.elapsed() >= Duration::from_millis(5) * limits::WRONG_PASSWORDS);
}
